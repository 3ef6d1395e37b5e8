//! The raw WebSocket: who may open one, in which dialect, and what it carries.
//! Does not know what a frame says: the dialects do.

mod frame;
mod session;
mod upgrade;

#[cfg(any(test, fuzzing))]
pub(super) use frame::text;
pub use upgrade::RawServer;
pub(super) use upgrade::refusal;
