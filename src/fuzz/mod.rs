//! Fuzz targets: a target is a decoder and a check of what the decoder promises, and stands in the
//! file `fuzz.rs` beside the decoder.
//! Does not know any decoder.
//!
//! Targets run in two ways. `make test` gives each mutated inputs (`mutator`): valid input with
//! edits, the dialect's own words in wrong places, numbers at the ends of their types; `make
//! fuzz` does so for `FUZZ_SECONDS` a target, and `FUZZ_SEED` repeats a run. A coverage-guided
//! engine runs the same checks by the package in `fuzz/`, see the README there. A failing input
//! becomes a file in `fuzz/corpus/<target>/`: the tests replay those first, always.

pub mod fixtures;
pub mod invariants;
#[cfg(test)]
pub mod mutator;
#[cfg(test)]
mod runner;

#[cfg(test)]
pub use runner::run;

/// A decoder to fuzz.
pub struct Target {
    /// Its name on the command line; also its folder in `fuzz/corpus`.
    pub name: &'static str,
    /// Reads an input as the decoder does, and panics if anything promised does not hold.
    pub check: fn(&[u8]),
}

/// Every target.
pub fn targets() -> Vec<&'static Target> {
    let gateway = crate::gateway::targets();
    let others = [
        crate::auth::fuzz::TARGETS,
        crate::bus::fuzz::TARGETS,
        crate::config::fuzz::TARGETS,
        crate::model::fuzz::TARGETS,
    ];
    let others = others.into_iter().flatten();
    gateway.into_iter().chain(others).collect()
}

/// Checks the target of this name on one input.
///
/// # Panics
/// Something does not hold, or there is no such target.
pub fn check(name: &str, input: &[u8]) {
    let targets = targets();
    let target = targets.iter().find(|target| target.name == name);
    let target = target.unwrap_or_else(|| panic!("no target is called {name}"));
    (target.check)(input);
}
