//! The conversation in `transcripts/type.txt`, replayed: what the client says (`>`) goes in,
//! and what comes out is what the server says there (`<`), to the letter. The service is played
//! by a [`Stage`] that begins as empty as a new server, so that the same file can be replayed
//! against one.

use std::sync::Arc;

use super::scene::{anna, begin, message, room, setting, text};
use crate::gateway::dialect::Decoded;
use crate::gateway::dialect::fixtures::{decode, respond};
use crate::model::{
    ChatRef, Command, Draft, Error, History, Joined, MessagePage, Reads, Reply, Room, Sent, User,
};

const TRANSCRIPT: &str = include_str!("../../transcripts/type.txt");

#[test]
fn the_transcript_comes_true() {
    let mut stage = Stage::default();
    let talk = begin(setting());
    let mut said = Vec::new();
    for (number, line) in (1..).zip(TRANSCRIPT.lines()) {
        match line.split_at_checked(2) {
            Some(("> ", frame)) => {
                assert!(said.is_empty(), "before line {number}: {said:?}");
                let frames = match decode(&talk, frame) {
                    Decoded::Request(command, answer) => respond(answer, stage.execute(command)),
                    Decoded::Refused(_, frames) => frames,
                };
                said = frames.iter().map(|frame| text(frame).to_owned()).collect();
            }
            Some(("< ", frame)) => {
                assert!(!said.is_empty(), "line {number}: nothing was said");
                assert_eq!(said.remove(0), frame, "line {number}");
            }
            _ => assert!(line.is_empty() || line.starts_with('#'), "line {number}"),
        }
    }
    assert!(said.is_empty(), "at the end: {said:?}");
}

/// As much of a service as one client needs whose clock stands.
#[derive(Default)]
struct Stage {
    rooms: Vec<Room>,
}

impl Stage {
    fn execute(&mut self, command: Command) -> Result<Reply, Error> {
        match command {
            Command::ListMyRooms => {
                let mine = |room: &&Room| is_in(room, &anna());
                Ok(Reply::Rooms(
                    self.rooms.iter().filter(mine).cloned().collect(),
                ))
            }
            Command::CreateRoom { .. } => {
                let pk = u8::try_from(self.rooms.len() + 1).expect("a few rooms");
                self.rooms.push(room(pk, &[]));
                Ok(Reply::Room(room(pk, &[])))
            }
            Command::GetRoom { chat, .. } => Ok(Reply::Room(self.room(chat)?.clone())),
            Command::JoinChat { chat, .. } => {
                let room = self.room(chat)?;
                let fresh = !is_in(room, &anna());
                if fresh {
                    room.members.push(anna());
                }
                let room = room.clone();
                let user = anna();
                Ok(Reply::Joined(Joined { fresh, room, user }))
            }
            Command::SendMessage { chat, draft, .. } => send(self.room(chat)?, draft),
            Command::ListMessages { chat, history, .. } => {
                let page = part(self.room(chat)?, history);
                Ok(Reply::Messages(page, Reads::default()))
            }
            other => panic!("no request of this dialect: {other:?}"),
        }
    }

    fn room(&mut self, chat: ChatRef) -> Result<&mut Room, Error> {
        let known = |room: &&mut Room| ChatRef::Pk(room.chat.pk) == chat;
        let room = self.rooms.iter_mut().find(known);
        room.ok_or_else(|| Error::not_found("chat"))
    }
}

fn is_in(room: &Room, user: &Arc<User>) -> bool {
    room.members.contains(user)
}

fn send(room: &mut Room, draft: Draft) -> Result<Reply, Error> {
    if !is_in(room, &anna()) {
        return Err(Error::forbidden("room: only members may write there"));
    }
    let seq = u8::try_from(room.chat.head + 1).expect("a few messages");
    let mut message = message(seq, &anna(), &draft.text);
    message.chat_pk = room.chat.pk;
    message.client_id = draft.client_id;
    message.sent_as_read = draft.sent_as_read;
    room.chat.head = message.seq;
    room.messages.push(message.clone());
    Ok(Reply::Sent(Sent::Stored(Arc::new(message))))
}

fn part(room: &Room, history: History) -> MessagePage {
    let History { range, window } = history;
    let mut messages = room.messages.clone();
    messages.retain(|message| {
        let at = message.created_at;
        range.from.is_none_or(|from| from <= at) && range.to.is_none_or(|to| at <= to)
    });
    let spare = messages.len().saturating_sub(window.limit());
    MessagePage {
        messages: messages.split_off(spare),
        has_more: spare > 0,
    }
}
