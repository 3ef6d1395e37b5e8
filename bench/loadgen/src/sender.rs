//! Owns one sender: its requests, and when each message was sent, acknowledged and first delivered. Does not know the
//! deliveries to other members.

use crate::dialect::{ID_MESSAGE, Template};
use crate::net::Net;
use crate::num::fit;
use crate::sio::Tag;

pub struct Sender {
    pub connection: usize,
    pub room: u32,
    /// Its place among the room's senders.
    pub local: u32,
    pub template: Template,
    /// By number: when it was sent, or was to be sent; ns.
    pub sent_at: Vec<u64>,
    /// By number: the message id in the acknowledgement as a hash, 0 before.
    pub acked_id: Vec<u64>,
    /// By number: likewise in the first delivery; the two must agree.
    pub delivered_id: Vec<u64>,
    pub in_flight: usize,
}

impl Sender {
    pub fn new(connection: usize, room: u32, local: u32) -> Sender {
        Sender {
            connection,
            room,
            local,
            template: Template::default(),
            sent_at: Vec::new(),
            acked_id: Vec::new(),
            delivered_id: Vec::new(),
            in_flight: 0,
        }
    }

    /// Sends the next message, with this time in its text.
    pub fn send(&mut self, net: &mut Net, scratch: &mut Vec<u8>, nonce: u32, ts: u64) {
        let seq = fit(self.sent_at.len());
        let tag = Tag {
            nonce,
            room: self.room,
            sender: self.local,
            seq,
            ts,
        };
        scratch.clear();
        self.template.write(scratch, ID_MESSAGE + seq, &tag);
        self.sent_at.push(ts);
        self.acked_id.push(0);
        self.delivered_id.push(0);
        self.in_flight += 1;
        net.send_text(self.connection, scratch);
    }

    /// Messages whose two ids differ.
    pub fn id_mismatches(&self) -> u64 {
        let pairs = self.acked_id.iter().zip(&self.delivered_id);
        pairs
            .filter(|(acked, delivered)| **acked != 0 && **delivered != 0 && acked != delivered)
            .count() as u64
    }
}

/// The text after the tag, so that the whole has this many bytes.
pub fn filling(msg_bytes: usize) -> String {
    lorem(msg_bytes.saturating_sub(crate::sio::TAG_LEN))
}

/// Text of this length in bytes.
pub fn lorem(bytes: usize) -> String {
    "lorem ipsum dolor sit amet "
        .chars()
        .cycle()
        .take(bytes)
        .collect()
}
