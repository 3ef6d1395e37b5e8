//! Owns the received messages of all clients, and compares them with the sent ones. Does not send requests, except for
//! the next page.

use super::{Crowd, Owner, State};
use crate::client::step;
use crate::dialect::{Decoded, ID_MESSAGE, ID_SUBSCRIBE};
use crate::missed::{self, Page};
use crate::net::{App, Net};
use crate::sio::{self, Tag};
use crate::verify::{Own, Seen};

impl Crowd {
    fn on_page(&mut self, net: &mut Net, index: usize, page: Result<Page, String>, t: u64) {
        let page = match page {
            Ok(page) => page,
            Err(e) => return self.faults.errors.add(&e),
        };
        for message in &page.messages {
            match Tag::find(message.text.as_bytes()) {
                Some(tag) if tag.seq + 1 == message.seq => self.deliver(index, tag, t),
                _ => self.faults.wrong_number += 1,
            }
        }
        if page.has_more {
            return self.ask(net, index);
        }
        let client = &mut self.clients[index];
        client.state = State::Live;
        for tag in std::mem::take(&mut client.waiting) {
            self.deliver(index, tag, t);
        }
        self.look(index, t);
    }

    /// A live message.
    fn on_message(&mut self, c: usize, body: &[u8], t: u64) {
        let Some(tag) = Tag::find(body).filter(|tag| tag.nonce == self.target.nonce) else {
            return self.faults.errors.add("a message of somebody else");
        };
        match self.owners[c] {
            Owner::Sender(index) if tag.room as usize == index => self.count(index, 0, tag.seq),
            Owner::Client(index) if tag.room as usize == self.clients[index].room => {
                if let State::Asking { .. } = self.clients[index].state {
                    self.clients[index].waiting.push(tag);
                } else {
                    self.deliver(index, tag, t);
                    self.look(index, t);
                }
            }
            _ => self.faults.stray += 1,
        }
    }

    /// A message has its place in what a client knows.
    fn deliver(&mut self, index: usize, tag: Tag, t: u64) {
        let client = &mut self.clients[index];
        let (room, place) = (client.room, client.place);
        if tag.room as usize != room || tag.nonce != self.target.nonce {
            self.faults.stray += 1;
            return;
        }
        client.known = client.known.max(tag.seq + 1);
        self.count(room, place, tag.seq);
        self.look(index, t);
    }

    fn count(&mut self, room: usize, place: usize, seq: u32) {
        match self.checks[room].deliver(place, 0, seq) {
            Seen::First | Seen::InOrder | Seen::OutOfOrder => self.unique += 1,
            Seen::Duplicate => {}
            Seen::Unknown => self.faults.unknown += 1,
        }
    }

    /// Counts a client once it has caught up.
    pub(super) fn look(&mut self, index: usize, t: u64) {
        let client = &mut self.clients[index];
        if client.counted || client.state != State::Live || client.known < client.goal {
            return;
        }
        client.counted = true;
        self.there += 1;
        self.last_there = t;
        if let Some(back_at) = self.back_at {
            self.caught_up.add(t - back_at);
        }
    }

    /// The answer to a sender's message.
    fn on_ack(&mut self, index: usize, seq: u32, body: &[u8]) {
        let sender = &mut self.senders[index];
        let members = self.checks[index].members() as u64;
        match Tag::find(body) {
            Some(tag) if sio::find_id(body).is_some() && tag.seq == seq => {
                if !self.checks[index].ack(0, seq) {
                    self.faults.duplicate_acks += 1;
                    return;
                }
                sender.in_flight -= 1;
                self.acked[index] = self.acked[index].max(seq + 1);
                self.expected += members;
                if self.dialect.own() == Own::Answered {
                    self.unique += 1;
                }
            }
            _ => {
                sender.in_flight -= 1;
                self.faults.refused += 1;
                self.faults.errors.add(&format!(
                    "new-message refused: {}",
                    String::from_utf8_lossy(body)
                ));
            }
        }
    }

    fn on_subscribed(&mut self, c: usize, body: &[u8]) {
        if memchr::memmem::find(body, b"\"response_status\":200").is_none() {
            self.fatal = Some(format!(
                "subscribing was answered {}",
                String::from_utf8_lossy(body)
            ));
        } else if let Owner::Sender(_) = self.owners[c] {
            self.senders_ready += 1;
        }
    }
}

impl App for Crowd {
    fn on_ws_open(&mut self, net: &mut Net, c: usize, t: u64) {
        if self.dialect.path().is_some() {
            self.joined(net, c, t);
        }
    }

    fn on_text(&mut self, net: &mut Net, c: usize, text: &[u8], t: u64) {
        let dialect = self.dialect;
        match (dialect.decode(text), self.owners[c]) {
            (Decoded::Message(body), _) => self.on_message(c, body, t),
            (
                Decoded::Answer {
                    id: ID_SUBSCRIBE,
                    body,
                },
                _,
            ) => self.on_subscribed(c, body),
            (Decoded::Answer { id, body }, Owner::Sender(index)) if id >= ID_MESSAGE => {
                self.on_ack(index, id - ID_MESSAGE, body);
            }
            (Decoded::Answer { body, .. }, Owner::Client(index)) => {
                self.on_page(net, index, missed::answered(dialect, body), t);
            }
            (Decoded::Behind(body), Owner::Client(index)) => {
                self.on_page(net, index, missed::pushed(body), t);
            }
            (Decoded::Session(packet), owner) => {
                let vars = match owner {
                    Owner::Sender(index) => &self.sender_vars[index],
                    Owner::Client(index) => &self.clients[index].vars,
                    Owner::Cut => return,
                };
                match step(net, c, &self.target, vars, &packet) {
                    Ok(true) => self.joined(net, c, t),
                    Ok(false) => {}
                    Err(e) => self.fatal = Some(e),
                }
            }
            _ => {}
        }
    }

    fn on_close(&mut self, _net: &mut Net, c: usize, why: &str) {
        self.faults.disconnects += 1;
        self.faults.errors.add(&format!("connection closed: {why}"));
        let there = match self.owners[c] {
            Owner::Client(index) => self.clients[index].counted,
            Owner::Sender(_) => self.sent > 0,
            Owner::Cut => true,
        };
        if !there {
            self.fatal
                .get_or_insert(format!("connection {c} failed before it was there: {why}"));
        }
    }
}
