//! The raw WebSocket: authentication, the choice of the dialect, and the frames.
//! Does not know the content of frames: the dialects do.

mod frame;
mod session;
mod upgrade;

#[cfg(any(test, fuzzing))]
pub(super) use frame::text;
pub use upgrade::RawServer;
pub(super) use upgrade::refusal;
