//! Rights at every moment: random joins, removals, connections and messages in all dialects, several
//! under way at a time, compared with a record of the members at each instant. A removed user
//! receives nothing that was stored after the removal was acknowledged, nor anything else about the
//! chat; a member receives every message once and in order.
//! Does not know any transport: requests are pushed into the inboxes of real connections.

mod bus;
mod clients;
mod frames;
mod host;
mod ledger;
mod node;
mod random;
mod record;
mod requests;
mod verdict;
mod world;

use std::sync::Arc;
use std::time::Duration;

use parking_lot::Mutex;
use tokio::runtime::Builder;
use tokio::time::Instant;

use self::ledger::Ledger;
use self::node::Node;
pub(crate) use self::random::Random;
use self::verdict::{Missing, Violation};
use self::world::World;
use crate::store::{self, Scratch, Store};

/// The seeds. With an odd one the bus loses messages and there are two threads.
const SEEDS: [u64; 5] = [2, 3, 4, 5, 6];

/// How many steps each seed has.
const STEPS: usize = 2000;

/// After how many steps everything that has begun is waited for, and judged.
const ROUND: usize = 50;

/// How long that is waited for.
const SETTLING: Duration = Duration::from_secs(20);

fn run(seed: u64, store: impl Future<Output = Arc<dyn Store>>) {
    let loses = seed % 2 == 1;
    let mut runtime = if loses {
        Builder::new_multi_thread()
    } else {
        Builder::new_current_thread()
    };
    let runtime = runtime.worker_threads(2).enable_all().build();
    runtime.expect("a runtime").block_on(async {
        let ledger = Arc::new(Ledger::default());
        let node = Node::open(store.await, &ledger, seed, loses).await;
        let world = World::new(node, Arc::clone(&ledger), seed);
        world.populate().await;
        for step in 1..=STEPS {
            world.step(step).await;
            if step % ROUND == 0
                && let Err(violation) = settle(&world, loses).await
            {
                let history = ledger.state().history(&violation);
                panic!("seed {seed}, up to step {step}: {history}");
            }
        }
        world.disconnect_all();
        world.node.close().await;
    });
    print_count(seed, STEPS);
}

/// Prints the number of steps: the security ledger has it.
#[expect(clippy::print_stderr, reason = "the attacks are counted")]
pub(crate) fn print_count(seed: u64, steps: usize) {
    eprintln!("seed {seed}: {steps} steps");
}

/// Waits until everything that has begun is over and delivered, and judges it.
async fn settle(world: &World, loses: bool) -> Result<(), Violation> {
    let deadline = Instant::now() + SETTLING;
    let mut is_over = false;
    for wait in 0.. {
        tokio::time::sleep(Duration::from_millis(1)).await;
        if loses && wait % 100 == 0 {
            // Of the latest messages nothing shows the relay that they are missing.
            world.find_missing();
        }
        is_over |= world.under_way() == 0 && world.node.requests.is_empty();
        let now = world.ledger.tick();
        let mut state = world.ledger.state();
        let missing = if is_over {
            state.finish_lost(now);
            state.missing(now)
        } else {
            Some(state.unanswered())
        };
        match missing {
            None => return state.judge(now),
            Some(Missing(mut violation)) if Instant::now() > deadline => {
                drop(state);
                violation.rule += &world.delivered(&violation);
                return Err(violation);
            }
            Some(_) => {}
        }
    }
    Ok(())
}

/// Runs all seeds, so many at once, each on a thread of its own.
fn run_all<S: Future<Output = Arc<dyn Store>>>(at_once: usize, open: impl Fn() -> S + Sync) {
    for seeds in SEEDS.chunks(at_once) {
        std::thread::scope(|scope| {
            for seed in seeds {
                let open = &open;
                scope.spawn(move || run(*seed, open()));
            }
        });
    }
}

#[test]
fn a_removed_member_receives_nothing_and_a_member_everything_on_sqlite() {
    run_all(SEEDS.len(), || async {
        store::open("sqlite::memory:").await.expect("a store")
    });
}

#[test]
fn a_removed_member_receives_nothing_and_a_member_everything_on_mongodb() {
    let databases = Mutex::new(Vec::new());
    // More would load the database so that it exceeds the time limit of the store.
    run_all(2, || {
        let database = Scratch::new();
        let url = database.url();
        databases.lock().push(database);
        async move { store::open(&url).await.expect("a store") }
    });
}
