//! The gauges, over whole connections: clients of all dialects and transports open connections, send,
//! read or do not, catch up and end at random, and each gauge is compared with a recount.
//! Does not test counters and histograms.

mod client;
mod node;

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::Duration;

use parking_lot::Mutex;
use serde_json::{Value, json};
use tokio::time::{Instant, sleep};
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use self::client::{Client, Kind};
use self::node::{CHATS, Node, USERS, name};
use crate::membership_tests::{Random, print_count};

/// The sides of Socket.IO, each of which has a seed of its own.
const SIDES: [&str; 2] = ["socketioxide", "native"];

/// How many steps each has, unless the environment has `GAUGES_STEPS`, and after how many the gauges
/// are compared. `GAUGES_SEED` is the first seed.
const STEPS: usize = 240;
const ROUND: usize = 40;

/// How many clients there are at most.
const MOST: usize = 14;

/// How long the server may take until it has nothing more to do.
const SETTLING: Duration = Duration::from_secs(10);

const CONNECTIONS: &str = "polychat_connections";
const OUTBOX: &str = "polychat_outbox_bytes";
const QUEUE: &str = "polychat_append_queue";

struct World {
    node: Arc<Node>,
    clients: Vec<Client>,
    random: Random,
    /// The reads of the clients.
    reading: TaskTracker,
}

impl World {
    fn pick(&mut self) -> Option<usize> {
        (!self.clients.is_empty()).then(|| self.random.below(self.clients.len()))
    }

    async fn step(&mut self) {
        let draw = self.random.below(100);
        let few = self.clients.len() < MOST;
        match draw {
            0..20 if few => self.open().await,
            20..23 => self.open_refused().await,
            23..27 => self.change_kind().await,
            27..30 => self.add_namespace().await,
            30..33 => self.leave_namespace().await,
            33..43 => self.host().await,
            43..52 => self.end().await,
            52..54 => self.break_protocol().await,
            54..66 => self.change_reading(),
            _ => self.request().await,
        }
    }

    async fn open(&mut self) {
        let kind = Kind::ALL[self.random.below(Kind::ALL.len())];
        let user = self.random.below(USERS);
        let since = self.random.one_in(2).then(|| {
            let (chat, _) = self.node.chats[self.random.below(CHATS)];
            let seq = self.random.below(60);
            json!({ chat.to_string(): seq }).to_string()
        });
        let since = since.filter(|_| kind.labels().0 == "event-name");
        let caller = (user, name(user));
        let opened = Client::open(
            self.node.address,
            &self.reading,
            kind,
            (caller.0, &caller.1),
            since.as_deref(),
        );
        let opened = opened.await;
        assert!(opened.is_some(), "{kind:?} was refused");
        self.clients.extend(opened);
    }

    /// A token that is too long is none.
    async fn open_refused(&mut self) {
        let kind = Kind::ALL[self.random.below(Kind::ALL.len())];
        let token = "x".repeat(300);
        let opened = Client::open(self.node.address, &self.reading, kind, (0, &token), None);
        assert!(opened.await.is_none(), "{kind:?} was accepted");
    }

    /// A client changes to a WebSocket, decides on its dialect, or finds another user.
    async fn change_kind(&mut self) {
        let Some(index) = self.pick() else { return };
        let (is_action, user) = (self.random.one_in(2), self.random.below(USERS));
        let client = &mut self.clients[index];
        let sent = match client.kind {
            Kind::Undecided => {
                let (kind, request) = if is_action {
                    (Kind::Action, json!({ "action": "list" }))
                } else {
                    (Kind::Type, json!({ "type": "getChats", "data": {} }))
                };
                (client.kind, client.counted) = (kind, vec![kind.labels()]);
                client.send(&request.to_string()).await
            }
            Kind::PollingEventName | Kind::PollingMarketplace => {
                client.change_transport(&self.reading).await;
                client.kind = match client.kind {
                    Kind::PollingEventName => Kind::EventName,
                    _ => Kind::Marketplace,
                };
                Some(())
            }
            Kind::EventName => {
                let user = json!({ "user": { "externalUserId": name(user) } });
                let event = json!(["create-user", user]);
                client.send(&format!("42{event}")).await
            }
            _ => Some(()),
        };
        self.keep_if(index, sent).await;
    }

    /// A client in `/` connects to `/events`, too.
    async fn add_namespace(&mut self) {
        let Some(index) = self.pick() else { return };
        let client = &mut self.clients[index];
        let is_first = matches!(client.kind, Kind::EventName | Kind::PollingEventName);
        if is_first && client.counted.len() == 1 {
            let (_, transport) = client.counted[0];
            client.counted.push(("marketplace", transport));
            let connect = format!("40/events,{{\"token\":\"{}\"}}", name(client.user));
            let sent = client.send(&connect).await;
            self.keep_if(index, sent).await;
        }
    }

    async fn leave_namespace(&mut self) {
        let Some(index) = self.pick() else { return };
        let client = &mut self.clients[index];
        if client.counted.len() == 2 {
            client.counted.remove(1);
            let sent = client.send("41/events,").await;
            self.keep_if(index, sent).await;
        }
    }

    /// The host application writes much, or removes a user from a chat for a while.
    async fn host(&mut self) {
        let (chat, user) = (self.random.below(CHATS), self.random.below(USERS));
        if self.random.one_in(3) {
            self.node.remove_for_a_while(chat, user).await;
        } else {
            let chat = self.random.below(CHATS + 1);
            self.node.send(chat, 15, 3000).await;
        }
    }

    async fn end(&mut self) {
        let Some(index) = self.pick() else { return };
        let in_order = self.random.one_in(2);
        self.clients.swap_remove(index).end(in_order).await;
    }

    async fn break_protocol(&mut self) {
        let Some(index) = self.pick() else { return };
        let client = &mut self.clients[index];
        client.counted.clear();
        let sent = client.send_rubbish().await;
        self.keep_if(index, sent).await;
    }

    fn change_reading(&mut self) {
        let Some(index) = self.pick() else { return };
        let reads = self.random.one_in(3);
        self.clients[index].reads(reads);
    }

    async fn request(&mut self) {
        let Some(index) = self.pick() else { return };
        let (chat, draw) = (self.random.below(CHATS), self.random.below(4));
        let length = 1 + self.random.below(2000);
        let client = &mut self.clients[index];
        let (id, pk) = match client.kind {
            Kind::Marketplace | Kind::RawMarketplace => self.node.chats[CHATS],
            _ => self.node.chats[chat],
        };
        let text = "x".repeat(length);
        let request = match client.kind {
            Kind::Undecided => return,
            Kind::Action => match draw {
                0 => json!({ "action": "create_message", "pk": pk, "message": text }),
                1 => json!({ "action": "subscribe_to_messages_in_room", "pk": pk }),
                _ => json!({ "action": "retrieve", "pk": pk }),
            },
            Kind::Type => match draw {
                0 | 1 => json!({ "type": "newMessage", "data": { "chat": pk, "text": text } }),
                _ => json!({ "type": "getChatMessages", "data": { "chatId": pk } }),
            },
            Kind::RawMarketplace => {
                let (event, data) = marketplace(draw, &id, &text);
                json!({ "event": event, "data": data })
            }
            Kind::Marketplace | Kind::PollingMarketplace => {
                let (event, data) = marketplace(draw, &id, &text);
                json!([event, data])
            }
            Kind::EventName | Kind::PollingEventName => match draw {
                0 | 1 => json!(["new-message", { "room": id, "msg": text }]),
                _ => json!(["list-messages", { "chat": { "id": id } }]),
            },
        };
        let prefix = match client.kind.labels().1 {
            "raw" => String::new(),
            _ => format!("42{}1", client.kind.namespace()),
        };
        let sent = client.send(&format!("{prefix}{request}")).await;
        self.keep_if(index, sent).await;
    }

    /// A client whose frame was not sent as a whole ends.
    async fn keep_if(&mut self, index: usize, sent: Option<()>) {
        if sent.is_none() {
            self.clients.swap_remove(index).end(false).await;
        }
    }

    /// Those that are open, by their labels.
    fn open_connections(&mut self) -> BTreeMap<String, i64> {
        self.clients.retain(|client| !client.is_over());
        let mut counts = BTreeMap::new();
        let all = self.clients.iter().flat_map(|client| &client.counted);
        for (dialect, transport) in all {
            let labels = format!("{{dialect=\"{dialect}\",transport=\"{transport}\"}}");
            *counts.entry(format!("{CONNECTIONS}{labels}")).or_default() += 1;
        }
        counts
    }

    /// While some clients do not read: what waits is counted, for all and for each user; returns it.
    async fn compare_waiting(&self) -> i64 {
        let deadline = Instant::now() + SETTLING;
        loop {
            let gauges = self.node.gauges();
            let waiting = self.node.waiting();
            let of_connections = gauges
                .iter()
                .filter(|(name, _)| name.starts_with(CONNECTIONS));
            let counted: i64 = of_connections.map(|(_, value)| value).sum();
            let right = gauges[OUTBOX] == waiting.bytes
                && waiting.bytes == waiting.of_users
                && gauges[QUEUE] == 0
                && counted == waiting.connections;
            // Twice: nothing is under way between the scrape and the recount.
            if right && self.node.gauges() == gauges {
                return waiting.bytes;
            }
            assert!(Instant::now() < deadline, "{gauges:#?} {waiting:?}");
            sleep(Duration::from_millis(2)).await;
        }
    }

    /// All clients read everything: nothing waits, and exactly the open connections are counted.
    async fn compare_open(&mut self) {
        for client in &self.clients {
            client.reads(true);
        }
        let deadline = Instant::now() + SETTLING;
        loop {
            let mut expected = self.open_connections();
            expected.extend([(OUTBOX.to_owned(), 0), (QUEUE.to_owned(), 0)]);
            let mut gauges = self.node.gauges();
            gauges.retain(|name, value| *value != 0 || expected.contains_key(name));
            if gauges == expected {
                return;
            }
            assert!(Instant::now() < deadline, "{gauges:#?}, not {expected:#?}");
            sleep(Duration::from_millis(2)).await;
        }
    }
}

/// A request of the marketplace, to send or to read.
fn marketplace(draw: usize, chat: &impl serde::Serialize, text: &str) -> (&'static str, Value) {
    match draw {
        0 | 1 => (
            "send_message",
            json!({ "chatId": chat, "message": { "text": text } }),
        ),
        _ => (
            "load_history",
            json!({ "chatId": chat, "lastMessageId": 1_000_000 }),
        ),
    }
}

/// Scrapes again and again: the first value that was negative.
async fn watch(node: Arc<Node>, stop: CancellationToken, negative: Arc<Mutex<Option<String>>>) {
    while !stop.is_cancelled() {
        let found = node.gauges().into_iter().find(|(_, value)| *value < 0);
        if let Some((name, value)) = found {
            negative.lock().get_or_insert(format!("{name} {value}"));
        }
        sleep(Duration::from_millis(1)).await;
    }
}

/// Runs one seed; returns how much it has met of what it is for.
async fn run(seed: u64, side: &str, steps: usize) -> Vec<(String, u64)> {
    let node = Arc::new(Node::open(side).await);
    let samples = node.gauges().into_keys();
    let families = samples.map(|sample| sample.split('{').next().map(str::to_owned));
    let families: BTreeSet<_> = families.collect();
    let known = [QUEUE, CONNECTIONS, OUTBOX].map(|name| Some(name.to_owned()));
    assert_eq!(
        families,
        BTreeSet::from(known),
        "each gauge has its recount"
    );
    let (stop, negative) = (CancellationToken::new(), Arc::default());
    let reading = TaskTracker::new();
    let watching = watch(Arc::clone(&node), stop.clone(), Arc::clone(&negative));
    let watching = reading.spawn(watching);
    let mut world = World {
        node,
        clients: Vec::new(),
        random: Random::new(seed, 1),
        reading,
    };
    let mut most = 0;
    for step in 1..=steps {
        world.step().await;
        if step % ROUND == 0 {
            most = most.max(world.compare_waiting().await);
            if world.random.one_in(2) {
                world.compare_open().await;
            }
            assert_eq!(*negative.lock(), None, "seed {seed}, step {step}");
        }
    }
    for client in std::mem::take(&mut world.clients) {
        let in_order = world.random.one_in(2);
        client.end(in_order).await;
    }
    world.compare_open().await;
    assert_eq!(world.compare_waiting().await, 0);
    stop.cancel();
    watching.await.expect("no panic");
    assert_eq!(*negative.lock(), None, "seed {seed}");
    let World { node, .. } = world;
    let mut met = met(&node);
    met.push(("bytes that wait".to_owned(), most.unsigned_abs()));
    Arc::into_inner(node).expect("the last one").close().await;
    print_count(seed, steps);
    met
}

/// Connections of each kind, and ends of several kinds.
fn met(node: &Node) -> Vec<(String, u64)> {
    let opened = Kind::ALL.map(Kind::labels).map(|(dialect, transport)| {
        let labels = format!("dialect=\"{dialect}\",transport=\"{transport}\"");
        let count = node.counted("polychat_connections_opened_total", &labels);
        (labels, count)
    });
    let ended = ["gone", "lagging", "protocol_error"].map(|reason| {
        let count = node.counted("polychat_connections_closed_total", reason);
        (reason.to_owned(), count)
    });
    opened.into_iter().chain(ended).collect()
}

fn number(variable: &str) -> Option<u64> {
    let text = std::env::var(variable).ok()?;
    Some(text.parse().expect("a number"))
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn each_gauge_is_what_is_counted_again() {
    let steps = number("GAUGES_STEPS").map_or(STEPS, |steps| steps.try_into().expect("few"));
    let mut all: BTreeMap<String, u64> = BTreeMap::new();
    for (seed, side) in (number("GAUGES_SEED").unwrap_or(1)..).zip(SIDES) {
        for (what, count) in run(seed, side, steps).await {
            *all.entry(what).or_default() += count;
        }
    }
    assert!(all.values().all(|count| *count > 0), "{all:#?}");
}
