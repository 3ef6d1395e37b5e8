//! The scene of the tests: Olga, the owner of event 10, and her guests Gleb and Vera, with the
//! names and numbers of the seed.
//! Does not check results: the tests do.

use std::sync::Arc;

use jiff::Timestamp;
use jiff::tz::TimeZone;
use serde_json::{Value, json};

use super::super::requests::Question;
use super::super::{DIALECT, MarketplaceSession};
use crate::gateway::dialect::fixtures::encode;
use crate::gateway::dialect::{Acks, DialectSession, Push, RequestRef, SessionOptions};
use crate::hub::{Outgoing, SharedEncoding};
use crate::model::{
    Access, ChatId, Clock, ConnectionId, Event, EventChat, EventChatSnapshot, EventChatState,
    EventDetails, Fact, Marketplace, Message, MessageId, NewUser, Notice, Profile, Reply, Seq,
    User, UserId,
};

/// The time of the seed's messages.
pub fn then() -> Timestamp {
    at("2025-03-01T13:51:53.285Z")
}

pub fn at(time: &str) -> Timestamp {
    time.parse().expect("a time")
}

pub fn user(pk: u8, name: &str, image: Option<&str>) -> Arc<User> {
    let new = NewUser {
        id: UserId::from_bytes([pk; 16]),
        external_id: format!("external {pk}"),
        profile: Profile {
            name: Some(name.to_owned()),
            image_uuid: image.map(str::to_owned),
            ..Profile::default()
        },
        at: then(),
        audit: None,
    };
    Arc::new(new.into_user(pk.into()))
}

pub fn olga() -> Arc<User> {
    user(14, "Olga", None)
}

pub fn gleb() -> Arc<User> {
    user(1, "User 1", Some("uuid1"))
}

pub fn vera() -> Arc<User> {
    user(17, "Vera", Some("uuid17"))
}

/// The event of the seed, under this number, of this owner.
pub fn event(pk: i64, owner: &Arc<User>) -> Arc<Event> {
    Arc::new(Event {
        pk,
        owner: Arc::clone(owner),
        details: EventDetails {
            name: "Event name".to_owned(),
            icons: vec!["icon uuid1".to_owned(), "icon uuid2".to_owned()],
            location: "ONLINE".to_owned(),
            starts: 2_514_131_321,
            ends: 1_957_817_098,
        },
        created_at: then(),
        modified_at: then(),
    })
}

/// The same as JSON.
pub fn event_body(pk: i64) -> Value {
    json!({
        "id": pk, "name": "Event name", "iconsUUIDs": ["icon uuid1", "icon uuid2"],
        "location": "ONLINE", "dateFromS": 2_514_131_321_i64, "dateToS": 1_957_817_098,
    })
}

/// So many messages, with these read positions; without an application.
pub fn state(head: Seq, owner_read: Seq, guest_read: Seq) -> EventChatState {
    EventChatState {
        head,
        owner_read,
        guest_read,
        access: Access::Unasked,
        access_version: 0,
    }
}

pub fn chat_id(byte: u8) -> ChatId {
    ChatId::from_bytes([byte; 16])
}

/// The chat 7 of Gleb with Olga about her event 10.
pub fn chat(state: EventChatState) -> EventChat {
    EventChat {
        chat: chat_id(7),
        chat_pk: 7,
        event: event(10, &olga()),
        guest: gleb(),
        state,
        active_at: then(),
    }
}

pub fn message(chat: &EventChat, seq: Seq, sender: &Arc<User>, text: &str) -> Message {
    Message {
        id: MessageId::from_bytes(i128::from(seq).to_be_bytes()),
        chat: chat.chat,
        chat_pk: chat.chat_pk,
        seq,
        sender: Arc::clone(sender),
        text: text.to_owned(),
        event_chat: Some(Arc::new(chat.clone())),
        created_at: then(),
        modified_at: then(),
        ..Message::example()
    }
}

pub fn notice(fact: Fact) -> Notice {
    Notice {
        origin: None,
        fact,
        durable: None,
    }
}

/// The message `seq` was sent in a chat that has this state now.
pub fn sent(chat: &EventChat, seq: Seq, sender: &Arc<User>) -> Notice {
    let message = message(chat, seq, sender, &format!("number {seq}"));
    notice(Fact::MessageSent(Arc::new(message)))
}

pub fn read(chat: &EventChat) -> Notice {
    notice(Fact::ReadMoved(Arc::new(chat.clone())))
}

pub fn decided(chat: &EventChat) -> Notice {
    notice(Fact::AccessChanged(Arc::new(chat.clone())))
}

pub fn opened(chat: &EventChat) -> Notice {
    notice(Fact::EventChatOpened(Arc::new(chat.clone())))
}

/// A market of this chat with these messages.
pub fn market(chat: &EventChat, messages: Vec<Message>) -> Marketplace {
    let chat = chat.clone();
    Marketplace {
        own: Vec::new(),
        chats: vec![EventChatSnapshot { chat, messages }],
    }
}

/// The name and the body of each frame.
pub fn read_frames(frames: &[Outgoing]) -> Vec<(String, Value)> {
    let read = |frame: &Outgoing| {
        assert_eq!(
            frame.ack, None,
            "no acknowledgement was requested: {frame:?}"
        );
        let body = serde_json::from_str(frame.body.as_str()).expect("JSON");
        (frame.name.expect("a name").to_owned(), body)
    };
    frames.iter().map(read).collect()
}

/// A connection that was sent nothing yet.
pub fn entering(user: &Arc<User>) -> MarketplaceSession {
    MarketplaceSession::new(user.id)
}

/// A connection that was sent this initial data.
pub fn inside(user: &Arc<User>, market: Marketplace) -> MarketplaceSession {
    let session = entering(user);
    enter(&session, market);
    session
}

/// A connection with initial data without chats.
pub fn fresh(user: &Arc<User>) -> MarketplaceSession {
    inside(user, Marketplace::default())
}

/// The frames once the initial data was read.
pub fn enter(session: &dyn DialectSession, market: Marketplace) -> Vec<(String, Value)> {
    let mut frames = Vec::new();
    let reply = Reply::Marketplace(market);
    session.opened(reply, &mut |frame| frames.push(frame));
    read_frames(&frames)
}

pub fn delivered(session: &dyn DialectSession, notice: &Notice) -> Vec<(String, Value)> {
    read_frames(&encode(session, notice, &mut SharedEncoding::default()))
}

/// The events that answer a request without an acknowledgement.
pub fn respond(
    session: &MarketplaceSession,
    question: Question,
    reply: &Reply,
) -> Vec<(String, Value)> {
    read_frames(&session.respond(&RequestRef::default(), None, &question, reply))
}

/// One raw WebSocket of this user.
pub fn begin(user: &Arc<User>) -> Arc<dyn DialectSession> {
    (DIALECT.begin)(SessionOptions {
        connection: ConnectionId::from_bytes([1; 16]),
        user: user.id,
        clock: Clock::fixed(then()),
        zone: TimeZone::UTC,
        acks: Acks::Silent,
        push: Push::On,
    })
}
