//! Runs a target on its corpus, and then on generated inputs, for so many cases or so many seconds.
//! Does not generate inputs and does not check results.

use std::cell::Cell;
use std::hash::{BuildHasher, Hasher, RandomState};
use std::path::{Path, PathBuf};
use std::time::Duration;
use std::{env, fs};

use proptest::strategy::Strategy;
use proptest::test_runner::{Config, RngAlgorithm, TestError, TestRng, TestRunner};
use tokio::time::Instant;

use super::Target;

/// How many generated inputs a target gets, unless it is given seconds.
const CASES: u32 = 2000;

/// Runs a target.
///
/// # Panics
/// Something does not hold; the message has the smallest input found for which it does not.
pub fn run(target: &Target, inputs: &impl Strategy<Value = Vec<u8>>) {
    replay(target);
    let seed = number("FUZZ_SEED").unwrap_or_else(|| RandomState::new().build_hasher().finish());
    let seconds = Duration::from_secs(number("FUZZ_SECONDS").unwrap_or(0));
    print(&format!("{}: FUZZ_SEED={seed}", target.name));
    let config = Config {
        cases: CASES,
        failure_persistence: None,
        max_shrink_iters: 10_000,
        ..Config::default()
    };
    let mut bytes = [0; 32];
    bytes[..8].copy_from_slice(&seed.to_le_bytes());
    let random = TestRng::from_seed(RngAlgorithm::ChaCha, &bytes);
    let mut runner = TestRunner::new_with_rng(config, random);
    let end = Instant::now() + seconds;
    let checked = Cell::new(0_u64);
    let seeds = env::var_os("FUZZ_KEEP").map(|folder| Seeds::new(target, Path::new(&folder)));
    loop {
        let outcome = runner.run(inputs, |input| {
            if let Some(seeds) = &seeds {
                seeds.keep(&input);
            }
            (target.check)(&input);
            checked.set(checked.get() + 1);
            Ok(())
        });
        match outcome {
            Ok(()) => {}
            Err(TestError::Fail(why, input)) => panic!(
                "{}, FUZZ_SEED={seed}: {why}\ninput: {}",
                target.name,
                input.escape_ascii()
            ),
            Err(error) => panic!("{}: {error}", target.name),
        }
        if Instant::now() >= end {
            print(&format!("{}: {} inputs", target.name, checked.get()));
            return;
        }
    }
}

#[expect(clippy::print_stderr, reason = "a run is repeated and counted with it")]
fn print(line: &str) {
    eprintln!("{line}");
}

/// Where generated inputs are kept, for an engine that starts from them.
struct Seeds {
    folder: PathBuf,
    kept: Cell<usize>,
}

impl Seeds {
    fn new(target: &Target, folder: &Path) -> Self {
        let folder = folder.join(target.name);
        fs::create_dir_all(&folder).expect("a folder");
        let kept = Cell::new(0);
        Self { folder, kept }
    }

    fn keep(&self, input: &[u8]) {
        let number = self.kept.get();
        self.kept.set(number + 1);
        let file = self.folder.join(format!("generated-{number}"));
        fs::write(file, input).expect("space");
    }
}

/// Runs the target on the failing inputs of earlier runs.
fn replay(target: &Target) {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("fuzz/corpus");
    let entries = fs::read_dir(root.join(target.name)).expect("a target has a corpus");
    let mut replayed = 0;
    for entry in entries {
        let input = fs::read(entry.expect("an entry").path()).expect("an input");
        (target.check)(&input);
        replayed += 1;
    }
    assert!(replayed > 0, "{} has an empty corpus", target.name);
}

fn number(variable: &str) -> Option<u64> {
    let text = env::var(variable).ok()?;
    Some(text.parse().expect("a number"))
}

#[test]
fn every_target_has_a_name_of_its_own_and_a_corpus() {
    let targets = super::targets();
    let names: std::collections::BTreeSet<_> = targets.iter().map(|target| target.name).collect();
    assert_eq!(names.len(), targets.len());
    for target in targets {
        replay(target);
    }
}
