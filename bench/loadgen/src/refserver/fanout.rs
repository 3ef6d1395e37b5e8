//! Owns the deliveries to members, live and after a reconnect, and the faults in them. Does not decode requests.

use super::message::Message;
use super::{Peer, Ref};
use crate::dialect::Dialect;
use crate::net::{Net, server_text_frame};
use crate::num::fit;
use serde_json::Value;
use std::collections::HashMap;

impl Ref {
    pub(super) fn tell_all(&mut self, net: &mut Net, message: &Message, but: Option<usize>) {
        let to = std::mem::take(&mut self.rooms[message.room].listeners);
        let mut frames: HashMap<Dialect, Vec<u8>> = HashMap::new();
        for &c in to.iter().filter(|each| Some(**each) != but) {
            let Some(Peer { dialect, .. }) = self.peers.get(&c) else {
                continue;
            };
            let dialect = *dialect;
            let frame = frames.entry(dialect).or_insert_with(|| {
                let mut frame = Vec::new();
                server_text_frame(&message.event(dialect, &self.ns), &mut frame);
                frame
            });
            self.deliver(net, c, frame);
            if self.args.no_batch {
                net.flush_dirty(self);
            }
        }
        let other = (message.room + 1) % self.rooms.len();
        let stranger = self.rooms[other].listeners.first().copied();
        if let Some(c) = stranger.filter(|_| self.hit("stray")) {
            let dialect = self.peers[&c].dialect;
            Self::text(net, c, &message.event(dialect, &self.ns));
        }
        if let Some(last) = to.last().copied().filter(|_| self.hit("kill")) {
            net.drop_conn(last);
        }
        self.rooms[message.room].listeners = to;
    }

    fn deliver(&mut self, net: &mut Net, c: usize, frame: &[u8]) {
        if self.hit("drop") {
            return;
        }
        if self.hit("swap") && self.held.is_none() {
            self.held = Some((c, frame.to_vec()));
            return;
        }
        net.send_raw(c, frame);
        if self.hit("dup") {
            net.send_raw(c, frame);
        }
        match self.held.take() {
            Some((who, held)) if who == c => net.send_raw(c, &held),
            held => self.held = held,
        }
    }

    /// The missed messages of a reconnecting client: up to the first live one.
    pub(super) fn missed(&mut self, c: usize, room: usize, known: u32) -> Vec<Message> {
        let history = self
            .rooms
            .get(room)
            .map(|room| room.history.clone())
            .unwrap_or_default();
        let live_after = self
            .peers
            .get(&c)
            .and_then(|peer| peer.live_after.get(&room).copied())
            .unwrap_or(u32::MAX);
        let mut messages: Vec<Message> = Vec::new();
        for message in history
            .into_iter()
            .filter(|each| each.seq > known && each.seq <= live_after)
        {
            if self.hit("told:drop") {
                continue;
            }
            if self.hit("told:dup") {
                messages.push(message.clone());
            }
            messages.push(message);
            if self.hit("told:swap") && messages.len() > 1 {
                let last = messages.len() - 1;
                messages.swap(last - 1, last);
            }
        }
        messages
    }

    /// The answer to a `sync`: everything on one page.
    pub(super) fn sync(&mut self, c: usize, dialect: Dialect, chats: &Value) -> Vec<u8> {
        let mut pages = Vec::new();
        for (name, known) in chats.as_object().into_iter().flatten() {
            let room = name.parse().unwrap_or(usize::MAX);
            let messages = self.missed(c, room, known.as_u64().map_or(0, fit));
            let messages: Vec<Vec<u8>> = messages.iter().map(|each| each.body(dialect)).collect();
            let head = format!("\"{name}\":{{\"messages\":[");
            pages.push(
                [
                    head.as_bytes(),
                    &messages.join(&b','),
                    b"],\"has_more\":false}",
                ]
                .concat(),
            );
        }
        [b"{\"chats\":{".as_slice(), &pages.join(&b','), b"}}"].concat()
    }
}
