//! A session of the action dialect with replies that stand here: of two rooms, 4 and 7, and
//! never a refusal.
//! What frames look like is tested here; rights and storage are not.

mod errors;
mod events;
mod replies;
mod transcript;

use std::sync::Arc;

use jiff::Timestamp;
use jiff::tz::TimeZone;
use serde_json::{Value, json};

use super::responses::Bodies;
use super::*;
use crate::gateway::dialect::fixtures::{self, decode, encode, respond, texts};
use crate::gateway::dialect::{Acks, Decoded, DialectSession, Push, SessionOptions};
use crate::hub::SharedEncoding;
use crate::model::{
    Chat, ChatId, ChatPk, ChatRef, Clock, Command, ConnectionId, Draft, Error, ErrorKind, Fact,
    Joined, Membership, Message, MessageId, Notice, Policy, Reply, Room, Sent, Seq, User, UserId,
};

const OWN: ConnectionId = ConnectionId::from_bytes([1; 16]);
const OTHER: ConnectionId = ConnectionId::from_bytes([2; 16]);

fn at(text: &str) -> Timestamp {
    text.parse().expect("a time")
}

fn user(pk: u8, username: &str) -> Arc<User> {
    Arc::new(User {
        id: UserId::from_bytes([pk; 16]),
        pk: pk.into(),
        external_id: format!("external {username}"),
        username: username.to_owned(),
        name: format!("name of {username}"),
        ..User::example()
    })
}

fn guest() -> Arc<User> {
    user(47, "djwoms1")
}

fn owner() -> Arc<User> {
    user(29, "string")
}

fn chat_id(pk: ChatPk) -> ChatId {
    ChatId::from_bytes([u8::try_from(pk).expect("a small pk"); 16])
}

fn message(chat: ChatPk, seq: Seq, sender: Arc<User>, text: &str, sent: &str) -> Message {
    Message {
        id: MessageId::from_bytes([9; 16]),
        chat: chat_id(chat),
        chat_pk: chat,
        seq,
        sender,
        text: text.to_owned(),
        created_at: at(sent),
        modified_at: at(sent),
        ..Message::example()
    }
}

/// The message that the service makes of everything that is sent.
fn sent(chat: ChatPk, text: &str) -> Message {
    message(chat, 2, owner(), text, "2021-12-08T16:34:41.242824Z")
}

fn room(pk: ChatPk) -> Room {
    let chat = Chat {
        id: chat_id(pk),
        pk,
        name: (pk == 4).then(|| "Python".to_owned()),
        policy: Policy::Open,
        owner: (pk == 4).then_some(29),
        members: vec![guest().id],
        head: 1,
        ..Chat::example()
    };
    let day = "2021-12-02T10:29:38.171083Z";
    Room {
        chat,
        members: vec![guest()],
        messages: vec![message(pk, 1, guest(), "мое сообщение", day)],
    }
}

/// The reply to a command.
fn served(command: &Command) -> Result<Reply, Error> {
    let known = |chat: &ChatRef| match *chat {
        ChatRef::Pk(pk @ (4 | 7)) => Ok(room(pk)),
        other => Err(Error::not_found(format_args!("chat {other}"))),
    };
    Ok(match command {
        Command::GetRoom { chat, messages } => {
            let mut room = known(chat)?;
            room.messages.truncate(*messages);
            Reply::Room(room)
        }
        Command::JoinChat { chat, .. } => Reply::Joined(Joined {
            fresh: true,
            user: owner(),
            room: known(chat)?,
        }),
        Command::LeaveChat { chat } => Reply::Left(known(chat)?.chat.id),
        Command::DeleteChat { chat } => Reply::Deleted(known(chat)?.chat.id),
        Command::SendMessage { chat, draft, .. } => {
            let message = sent(known(chat)?.chat.pk, &draft.text);
            Reply::Sent(Sent::Stored(Arc::new(message)))
        }
        Command::ListRooms => {
            let mut rooms = vec![room(4), room(7)];
            for room in &mut rooms {
                room.messages.clear();
            }
            Reply::Rooms(rooms)
        }
        Command::CreateRoom { name, team } => {
            let mut room = room(7);
            room.chat.name.clone_from(name);
            room.chat.team = *team;
            room.messages.clear();
            Reply::Room(room)
        }
        Command::ChangeChat { chat, change } => {
            let mut room = known(chat)?;
            room.chat.name = change.name.clone().or(room.chat.name);
            room.chat.team = change.team.unwrap_or(room.chat.team);
            Reply::Room(room)
        }
        other => panic!("no request of this dialect: {other:?}"),
    })
}

fn notice(origin: ConnectionId, fact: Fact) -> Notice {
    let origin = Some(origin);
    Notice {
        origin,
        fact,
        durable: None,
    }
}

fn membership(pk: ChatPk, members: Vec<Arc<User>>) -> Arc<Membership> {
    Arc::new(Membership {
        chat: chat_id(pk),
        chat_pk: pk,
        policy: crate::model::Policy::Open,
        user: guest(),
        members,
        head: 1,
    })
}

/// One connection.
struct Client(Arc<dyn DialectSession>);

impl Client {
    fn new() -> Self {
        Self::with(Acks::Silent, "Europe/Moscow")
    }

    fn with(acks: Acks, zone: &str) -> Self {
        Self((DIALECT.begin)(SessionOptions {
            connection: OWN,
            user: guest().id,
            clock: Clock::fixed(Timestamp::UNIX_EPOCH),
            zone: TimeZone::get(zone).expect("a zone"),
            acks,
            push: Push::On,
        }))
    }

    fn hear(&self, text: &str) -> Decoded {
        decode(&self.0, text)
    }

    /// The command that a request becomes; it is never answered.
    fn command(&self, request: &Value) -> Command {
        match self.hear(&request.to_string()) {
            Decoded::Request(command, _) => command,
            Decoded::Refused(_, frames) => panic!("refused: {:?}", texts(&frames)),
        }
    }

    /// All that is said to a frame.
    fn say(&self, frame: &str) -> Vec<String> {
        texts(&match self.hear(frame) {
            Decoded::Request(command, answer) => respond(answer, served(&command)),
            Decoded::Refused(_, frames) => frames,
        })
    }

    /// The one frame that answers a request.
    fn answer(&self, request: &Value) -> Value {
        let said = self.say(&request.to_string());
        let [frame] = &said[..] else {
            panic!("to {request} it said {said:?}");
        };
        serde_json::from_str(frame).expect("JSON")
    }

    /// A request that succeeds in silence.
    fn silent(&self, request: &Value) -> &Self {
        let said = self.say(&request.to_string());
        assert!(said.is_empty(), "to {request} it said {said:?}");
        self
    }

    /// A request with `action` and `pk` that succeeds in silence.
    fn quietly(&self, action: &str, pk: ChatPk) -> &Self {
        self.silent(&json!({"action": action, "pk": pk, "request_id": 1}))
    }

    fn told(&self, notice: &Notice) -> Vec<String> {
        self.told_with(notice, &mut SharedEncoding::default())
    }

    fn told_with(&self, notice: &Notice, shared: &mut SharedEncoding) -> Vec<String> {
        texts(&encode(&*self.0, notice, shared))
    }
}
