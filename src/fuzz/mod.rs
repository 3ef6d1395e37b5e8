//! What every decoder is held to when strangers write to it: a target is a decoder and its
//! judge, and stands in the file `fuzz.rs` beside the decoder.
//! It refuses to know any decoder.
//!
//! A target is driven in two ways. `make test` gives it what is likely to hurt: valid input
//! with edits, the dialect's own words in wrong places, numbers at the ends of their types
//! (`likely`); `make fuzz` does so for `FUZZ_SECONDS` a target, and `FUZZ_SEED` repeats a run.
//! A coverage-guided engine drives the same judges by the package in `fuzz/`, see the README
//! there. What either of them finds becomes a file in `fuzz/corpus/<target>/`: the tests replay
//! those first, always.

pub mod bounds;
#[cfg(test)]
mod drive;
#[cfg(test)]
pub mod likely;
pub mod stage;

#[cfg(test)]
pub use drive::run;

/// A decoder under fire.
pub struct Target {
    /// What it is called on the command line; also its folder in `fuzz/corpus`.
    pub name: &'static str,
    /// Reads an input as the decoder does, and panics if anything promised does not hold.
    pub judge: fn(&[u8]),
}

/// Every target.
pub fn targets() -> Vec<&'static Target> {
    let gateway = crate::gateway::targets();
    let others = [
        crate::auth::fuzz::TARGETS,
        crate::config::fuzz::TARGETS,
        crate::model::fuzz::TARGETS,
    ];
    let others = others.into_iter().flatten();
    gateway.into_iter().chain(others).collect()
}

/// Holds the target of this name to what is promised of it, on one input.
///
/// # Panics
/// Something does not hold, or there is no such target.
pub fn judge(name: &str, input: &[u8]) {
    let targets = targets();
    let target = targets.iter().find(|target| target.name == name);
    let target = target.unwrap_or_else(|| panic!("no target is called {name}"));
    (target.judge)(input);
}
