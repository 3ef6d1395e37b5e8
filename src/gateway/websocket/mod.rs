//! RFC 6455 as a server needs it: the opening handshake, frames both ways, and the task that
//! serves one connection.
//! Does not know the content of messages, Engine.IO, or extensions.

#[cfg(test)]
mod autobahn_tests;
mod batch;
mod connection;
mod decoder;
mod frame;
#[cfg(any(test, fuzzing))]
pub mod fuzz;
mod handshake;

pub use batch::Batch;
pub use connection::{Connection, Endpoint};
pub use decoder::{Decoder, Message};
pub use frame::Frame;
pub use handshake::{BadHandshake, Upgrade, asks_for_upgrade};
