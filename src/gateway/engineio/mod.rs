//! Engine.IO 4 and 3 towards the client: sessions over polling and WebSocket, and the upgrade from
//! one to the other.
//! Does not know Socket.IO: each session has a [`Handler`].
//!
//! Frames are pulled: the writer of a session (the pending poll, or the WebSocket) takes them from
//! the queues above. All changes of a session's state happen under one lock, in [`Session`], with
//! no await inside.

mod carrier;
#[cfg(test)]
pub(in crate::gateway) mod fixtures;
#[cfg(any(test, fuzzing))]
pub mod fuzz;
mod payload;
mod polling;
mod probe;
mod refusal;
mod registry;
mod request;
mod server;
mod session;
mod state;

pub use refusal::{forbidden, unavailable};
pub use request::names_session;
pub use server::Server;
pub use session::{Handler, Opening, Session};
pub use state::Settings;
