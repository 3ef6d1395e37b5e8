//! The seam to what clients speak: how a dialect writes what it has to tell.
//! It refuses to do anything: no state, no input, no output, the same answer every time.

pub mod fields;
pub mod plain;

use std::sync::Arc;

use serde_json::value::RawValue;

use crate::model::Notice;

/// A protocol that clients speak.
pub trait Dialect: Send + Sync {
    /// What it is called in logs and figures; two dialects never share a name.
    fn name(&self) -> &'static str;

    /// How it tells a client of `notice`; `None`: it does not.
    fn encode(&self, notice: &Notice) -> Option<Frame>;

    /// Whether the connection whose request brought `notice` about is told of it like any
    /// other, beside the answer to its request.
    fn tells_origin(&self, notice: &Notice) -> bool;
}

/// Something for one client, encoded; a clone shares the text.
#[derive(Debug, Clone)]
pub struct Frame {
    /// How the client will recognise it.
    pub address: Address,
    /// The JSON.
    pub body: Arc<RawValue>,
}

/// How a client recognises what it receives.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Address {
    /// A Socket.IO event of this name.
    Event(&'static str),
    /// The acknowledgement that a Socket.IO client asked for under this number.
    Ack(i64),
}

impl Frame {
    /// About how many bytes it takes on the wire and in a queue.
    pub fn weight(&self) -> usize {
        const ENVELOPE: usize = 64;
        self.body.get().len() + ENVELOPE
    }
}
