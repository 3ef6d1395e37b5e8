//! A session of the action dialect on a real service, in which user 29 finds the rooms 7 and 4.
//! Tests the form of frames, not rights and storage.

mod errors;
mod events;
mod replies;
mod transcript;

use std::cell::OnceCell;
use std::sync::Arc;

use jiff::Timestamp;
use jiff::tz::TimeZone;
use serde_json::{Value, json};

use super::responses::Bodies;
use super::*;
use crate::fixtures::{BlockingBackend, identity};
use crate::gateway::dialect::fixtures::{self, decode, encode, respond, texts};
use crate::gateway::dialect::{Acks, Decoded, DialectSession, Push, SessionOptions};
use crate::hub::SharedEncoding;
use crate::model::{
    Chat, ChatId, ChatPk, ChatRef, Clock, Command, ConnectionId, Draft, Error, ErrorKind, Fact,
    ListedMembers, Message, MessageId, NewChat, Notice, Policy, Profile, Reply, Room, RoomPage,
    Seq, User, UserId, VisibleCursor,
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

/// The second message of a chat.
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

/// A service with the users up to 47, and the rooms 4 and 7, in which 47 has written; the chats
/// between are closed.
struct Rooms {
    backend: BlockingBackend,
    owner: UserId,
    guest: UserId,
}

impl Rooms {
    fn open() -> Self {
        let first = at("2021-12-02T10:29:38.171Z");
        let backend = BlockingBackend::open(first);
        let users = (1..=47).map(|pk| match pk {
            29 => "string".to_owned(),
            47 => "djwoms1".to_owned(),
            _ => format!("user {pk}"),
        });
        let users = users.map(|name| backend.user(&name, Profile::default()).id);
        let users: Vec<_> = users.collect();
        let (owner, guest) = (users[28], users[46]);
        for pk in 1..=7 {
            let is_open = matches!(pk, 4 | 7);
            let new = NewChat {
                id: chat_id(pk),
                name: (pk == 4).then(|| "Python".to_owned()),
                policy: if is_open {
                    Policy::Open
                } else {
                    Policy::Closed
                },
                owner: (pk == 4).then_some(owner),
                team: None,
                members: if is_open { vec![guest] } else { vec![] },
                key: None,
                at: first,
                audit: Vec::new(),
            };
            // The service would generate ids, and give every room an owner.
            let chat = backend.store(async |store| store.create_chat(new).await);
            assert_eq!(chat.expect("a chat").pk, pk);
        }
        let rooms = Self {
            backend,
            owner,
            guest,
        };
        for pk in [4, 7] {
            let send = Command::SendMessage {
                user: None,
                chat: ChatRef::Pk(pk),
                draft: Draft::text("мое сообщение"),
            };
            rooms.elsewhere(guest, send);
        }
        rooms.backend.notices();
        rooms.backend.set_time(at("2021-12-08T16:34:41.242Z"));
        rooms
    }

    /// Executes a command of a user on another connection than the one under test.
    fn elsewhere(&self, user: UserId, command: Command) {
        let reply = self.backend.execute(&identity(user, OTHER), command);
        reply.expect("no refusal");
    }
}

fn notice(origin: ConnectionId, fact: Fact) -> Notice {
    let origin = Some(origin.into());
    Notice {
        origin,
        fact,
        durable: None,
    }
}

fn listed(pk: ChatPk, members: Vec<Arc<User>>) -> Arc<ListedMembers> {
    Arc::new(ListedMembers {
        chat: chat_id(pk),
        members,
        version: 1,
    })
}

/// One connection of the user 29.
struct Client {
    session: Arc<dyn DialectSession>,
    /// Opened for the first request that is executed.
    rooms: OnceCell<Rooms>,
}

impl Client {
    fn new() -> Self {
        Self::with(Acks::Silent, "Europe/Moscow")
    }

    fn with(acks: Acks, zone: &str) -> Self {
        let session = (DIALECT.begin)(SessionOptions {
            connection: OWN,
            user: owner().id,
            clock: Clock::fixed(Timestamp::UNIX_EPOCH),
            zone: TimeZone::get(zone).expect("a zone"),
            acks,
            push: Push::On,
        });
        Self {
            session,
            rooms: OnceCell::new(),
        }
    }

    fn rooms(&self) -> &Rooms {
        self.rooms.get_or_init(Rooms::open)
    }

    fn decode(&self, text: &str) -> Decoded {
        decode(&self.session, text)
    }

    fn execute(&self, command: Command) -> Result<Reply, Error> {
        let rooms = self.rooms();
        rooms.backend.execute(&identity(rooms.owner, OWN), command)
    }

    /// The command that a request becomes; it is never answered.
    fn command(&self, request: &Value) -> Command {
        match self.decode(&request.to_string()) {
            Decoded::Request(command, _) => command,
            Decoded::Refused(_, frames) => panic!("refused: {:?}", texts(&frames)),
        }
    }

    /// All frames that respond to a frame.
    fn send(&self, frame: &str) -> Vec<String> {
        texts(&match self.decode(frame) {
            Decoded::Request(command, answer) => respond(answer, self.execute(command)),
            Decoded::Refused(_, frames) => frames,
        })
    }

    /// The one frame that answers a request.
    fn answer(&self, request: &Value) -> Value {
        let response = self.send(&request.to_string());
        let [frame] = &response[..] else {
            panic!("to {request}: {response:?}");
        };
        serde_json::from_str(frame).expect("JSON")
    }

    /// The one frame that encodes this reply to a request.
    fn encoded(&self, request: &Value, reply: Reply) -> Value {
        let Decoded::Request(_, answer) = self.decode(&request.to_string()) else {
            panic!("refused: {request}");
        };
        let response = texts(&respond(answer, Ok(reply)));
        serde_json::from_str(&response[0]).expect("JSON")
    }

    /// A request that succeeds in silence.
    fn silent(&self, request: &Value) -> &Self {
        let response = self.send(&request.to_string());
        assert!(response.is_empty(), "to {request}: {response:?}");
        self
    }

    /// A request with `action` and `pk` that succeeds in silence.
    fn quietly(&self, action: &str, pk: ChatPk) -> &Self {
        self.silent(&json!({"action": action, "pk": pk, "request_id": 1}))
    }

    fn delivered(&self, notice: &Notice) -> Vec<String> {
        self.delivered_with(notice, &mut SharedEncoding::default())
    }

    fn delivered_with(&self, notice: &Notice, shared: &mut SharedEncoding) -> Vec<String> {
        texts(&encode(&*self.session, notice, shared))
    }
}
