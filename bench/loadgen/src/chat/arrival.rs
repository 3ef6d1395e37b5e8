//! Owns joining members to their chats before the first message. Does not know the messages.

use super::{Chat, Setup};
use crate::dialect::ID_SUBSCRIBE;
use crate::net::Net;
use crate::rooms::id_text;
use serde_json::{Value, json};

const ID_USER: u32 = 0;
const ID_CHAT: u32 = 1;
/// Chats being made at any one time.
const CHATS_AT_ONCE: usize = 32;

impl Chat<'_> {
    /// The answer to a request before the first message.
    pub(super) fn on_answer(&mut self, c: usize, id: u32, body: &[u8]) {
        let answer: Value = match serde_json::from_slice(body) {
            Ok(answer) => answer,
            Err(e) => {
                self.faults.fatal = Some(format!("ack is not JSON: {e}"));
                return;
            }
        };
        let member = &mut self.members[c];
        match id {
            ID_USER => match id_text(&answer[0]["user"]["id"]) {
                Some(user) => {
                    member.user_id = user;
                    self.is_ready(c);
                }
                None => self.faults.fatal = Some(format!("create-user answered {answer}")),
            },
            ID_CHAT => match id_text(&answer[0]["chat"]["id"]) {
                Some(chat) => {
                    self.rooms[member.room as usize].id = chat;
                    self.chats_done += 1;
                }
                None => self.faults.fatal = Some(format!("create-chat answered {answer}")),
            },
            ID_SUBSCRIBE if answer["response_status"] == 200 => self.is_ready(c),
            ID_SUBSCRIBE => self.faults.fatal = Some(format!("subscribing was answered {answer}")),
            _ => self.faults.errors.add("ack with an unknown id"),
        }
    }

    pub(super) fn is_ready(&mut self, c: usize) {
        self.members[c].ready = true;
        self.ready += 1;
    }

    pub fn pump_connect(&mut self, net: &mut Net) {
        while self.started < self.members.len() && self.started - self.ready < self.concurrency {
            let i = self.started;
            match self.target.start(net, &self.members[i].vars) {
                Ok(c) => assert_eq!(c, i),
                Err(e) => {
                    self.faults.fatal = Some(format!("connect: {e}"));
                    return;
                }
            }
            self.started += 1;
        }
    }

    pub fn pump_chats(&mut self, net: &mut Net) {
        while self.chats_started < self.rooms.len()
            && self.chats_started - self.chats_done < CHATS_AT_ONCE
        {
            let index = self.chats_started;
            let room = &self.rooms[index];
            let members = &self.members[room.first..room.first + room.check.members()];
            let users: Vec<&str> = members.iter().map(|each| each.user_id.as_str()).collect();
            let chat = json!({"chat": {"name": format!("bench {index}")}, "users": users});
            let request = self.target.event(ID_CHAT, "create-chat", &chat);
            net.send_text(room.first, &request);
            self.chats_started += 1;
        }
    }

    /// A connection is one of the chat's, in the sense of its dialect.
    pub(super) fn joined(&mut self, net: &mut Net, c: usize) {
        let dialect = self.target.dialect;
        let room = self.members[c].room as usize;
        if self.setup == Setup::Create {
            let user = json!({"user": {"externalUserId": self.members[c].vars.uid}});
            net.send_text(c, &self.target.event(ID_USER, "create-user", &user));
        } else if let Some(request) = dialect.subscribe(&self.rooms[room].id) {
            net.send_text(c, &request);
        } else {
            self.is_ready(c);
        }
    }
}
