//! From replies, errors and notices to the bodies of the seed.
//! Does not know the receivers, except for their side of the chat.

use std::borrow::Cow;
use std::sync::Arc;

use jiff::Timestamp;
use serde::Serialize;

use super::requests::Question;
use crate::gateway::dialect::timestamps::time;
use crate::hub::{Body, Outgoing};
use crate::model::{
    Access, ChatId, ChatRef, Error, Event, EventChat, EventChatSnapshot, EventPk, Marketplace,
    Message, Metadata, Reply, Seq, Side, User, UserId, UserPk,
};

/// The initial data of a connection.
pub(super) const INITIAL_DATA: &str = "initial_data";
/// A chat with its new messages.
pub(super) const CHAT_UPDATES: &str = "chat_updates";
/// How many messages of a chat either side has not read.
pub(super) const CHAT_UNREAD: &str = "chat_unread";
/// Earlier messages of a chat.
const HISTORY: &str = "history";
/// The user of the connection.
const ME: &str = "me";
/// An error.
const DEBUG_INFO: &str = "debug_info";

/// The event that answers a request of this user; `None`: the reply is to another request.
/// `refresh` gives the latest state of a chat that the client was sent.
pub(super) fn response(
    question: &Question,
    reply: &Reply,
    user: UserId,
    refresh: &dyn Fn(&Arc<EventChat>) -> Arc<EventChat>,
) -> Option<Outgoing> {
    // A service that is on neither side sees the chat as its owner does.
    let side_of = |chat: &EventChat| chat.side_of(user).unwrap_or(Side::Owner);
    Some(match (question, reply) {
        (Question::Message, Reply::Sent(sent)) => {
            let message = sent.message();
            let chat = refresh(message.event_chat.as_ref()?);
            let side = chat.side_of(message.sender.id)?;
            Outgoing::event(CHAT_UPDATES, chat_updates(side, &chat, Some(message)))
        }
        (Question::Read, Reply::Read(marked)) => {
            let chat = refresh(marked.event_chat.as_ref()?);
            Outgoing::event(CHAT_UNREAD, chat_unread(side_of(&chat), &chat))
        }
        (Question::History(chat), Reply::Messages(page, _)) => {
            Outgoing::event(HISTORY, history(chat, &page.messages))
        }
        (Question::Chat, Reply::EventChat(touched)) => {
            let chat = refresh(&touched.chat);
            Outgoing::event(CHAT_UPDATES, chat_updates(side_of(&chat), &chat, None))
        }
        (Question::Me, Reply::Me(me)) => Outgoing::event(ME, Body::of(&Me::of(me))),
        _ => return None,
    })
}

/// `initial_data` for this user: an entry per event, the latest activity first.
pub(super) fn initial_data(user: UserId, market: &Marketplace) -> Arc<Body> {
    let mut entries: Vec<Entry<'_>> = Vec::new();
    for snapshot in &market.chats {
        let event = &snapshot.chat.event;
        let chat = ChatBody::of(user, snapshot);
        match entries.iter_mut().find(|entry| entry.event.id == event.pk) {
            Some(entry) => entry.chats.push(chat),
            None => entries.push(Entry::of(event, snapshot.chat.active_at, vec![chat])),
        }
    }
    for event in &market.own {
        if !entries.iter().any(|entry| entry.event.id == event.pk) {
            entries.push(Entry::of(event, event.created_at, Vec::new()));
        }
    }
    // Stable: events with chats keep the order in which the latest of those were active.
    entries.sort_by_key(|entry| std::cmp::Reverse(entry.active_at));
    Body::of(&entries)
}

/// `chat_updates` for this side.
pub(super) fn chat_updates(side: Side, chat: &EventChat, news: Option<&Message>) -> Arc<Body> {
    Body::of(&Update {
        event: EventBody::of(&chat.event),
        event_owner_id: chat.event.owner.pk,
        chat: ChatBody {
            messages: news
                .iter()
                .map(|news| MessageBody::of(chat, news))
                .collect(),
            ..ChatBody::seen_by(side, chat)
        },
    })
}

/// `chat_unread` for this side.
pub(super) fn chat_unread(side: Side, chat: &EventChat) -> Arc<Body> {
    Body::of(&Unread {
        chat_id: chat.chat,
        counts: Counts::of(side, chat),
    })
}

/// `history` of this chat, which is named as in the request if there are no messages.
fn history(chat: &ChatRef, messages: &[Message]) -> Arc<Body> {
    let body = |message| MessageBody::within(message);
    Body::of(&History {
        chat_id: messages
            .first()
            .map_or_else(|| chat.to_string(), |message| message.chat.to_string()),
        messages: messages.iter().filter_map(body).collect(),
    })
}

/// `debug_info`: why the request of this name was refused.
pub(super) fn refused(event: &str, error: &Error) -> Outgoing {
    Outgoing::event(DEBUG_INFO, Body::of(&Debug::of(event, error)))
}

/// The same in an acknowledgement: in the form of every Socket.IO acknowledgement of this server,
/// and of `debug_info`.
pub(super) fn acknowledged(event: &str, error: &Error) -> Arc<Body> {
    Body::of(&Refusal {
        error: Debug::of(event, error),
        debug: Debug::of(event, error),
    })
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Entry<'a> {
    event: EventBody<'a>,
    event_owner_id: UserPk,
    chats: Vec<ChatBody<'a>>,
    #[serde(skip)]
    active_at: Timestamp,
}

impl<'a> Entry<'a> {
    fn of(event: &'a Event, active_at: Timestamp, chats: Vec<ChatBody<'a>>) -> Self {
        Self {
            event: EventBody::of(event),
            event_owner_id: event.owner.pk,
            chats,
            active_at,
        }
    }
}

#[derive(Serialize)]
struct EventBody<'a> {
    id: EventPk,
    name: &'a str,
    #[serde(rename = "iconsUUIDs")]
    icons: &'a [String],
    location: &'a str,
    #[serde(rename = "dateFromS")]
    starts: i64,
    #[serde(rename = "dateToS")]
    ends: i64,
}

impl<'a> EventBody<'a> {
    fn of(event: &'a Event) -> Self {
        Self {
            id: event.pk,
            name: &event.details.name,
            icons: &event.details.icons,
            location: &event.details.location,
            starts: event.details.starts,
            ends: event.details.ends,
        }
    }
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Update<'a> {
    event: EventBody<'a>,
    event_owner_id: UserPk,
    #[serde(flatten)]
    chat: ChatBody<'a>,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct ChatBody<'a> {
    chat_id: ChatId,
    is_request_sended: bool,
    is_access_granted: bool,
    user: Person<'a>,
    messages: Vec<MessageBody<'a>>,
    #[serde(flatten)]
    counts: Counts,
}

impl<'a> ChatBody<'a> {
    /// The chat and its messages, as this user sees them.
    fn of(user: UserId, snapshot: &'a EventChatSnapshot) -> Self {
        let EventChatSnapshot { chat, messages } = snapshot;
        let side = chat.side_of(user).unwrap_or(Side::Guest);
        Self {
            messages: messages
                .iter()
                .map(|message| MessageBody::of(chat, message))
                .collect(),
            ..Self::seen_by(side, chat)
        }
    }

    fn seen_by(side: Side, chat: &'a EventChat) -> Self {
        Self {
            chat_id: chat.chat,
            is_request_sended: chat.state.access != Access::Unasked,
            is_access_granted: chat.state.access == Access::Granted,
            user: Person::of(chat.user(side.other())),
            messages: Vec::new(),
            counts: Counts::of(side, chat),
        }
    }
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Counts {
    my_unread_count: Seq,
    interlocutor_unread_count: Seq,
}

impl Counts {
    fn of(side: Side, chat: &EventChat) -> Self {
        Self {
            my_unread_count: chat.state.unread(side),
            interlocutor_unread_count: chat.state.unread(side.other()),
        }
    }
}

#[derive(Serialize)]
struct Person<'a> {
    id: UserPk,
    name: &'a str,
    #[serde(rename = "imageUUID")]
    image_uuid: Option<&'a str>,
}

impl<'a> Person<'a> {
    fn of(user: &'a User) -> Self {
        Self {
            id: user.pk,
            name: &user.name,
            image_uuid: user.image_uuid.as_deref(),
        }
    }
}

#[derive(Serialize)]
struct Me<'a> {
    #[serde(flatten)]
    user: Person<'a>,
    #[serde(rename = "externalUserId")]
    external_user_id: &'a str,
}

impl<'a> Me<'a> {
    fn of(user: &'a User) -> Self {
        Self {
            user: Person::of(user),
            external_user_id: &user.external_id,
        }
    }
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct MessageBody<'a> {
    message_id: Seq,
    text: &'a str,
    photos: &'a [String],
    #[serde(serialize_with = "time")]
    date: Timestamp,
    from_user_id: UserPk,
    to_user_id: UserPk,
    #[serde(rename = "client_id", skip_serializing_if = "Option::is_none")]
    client_id: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    metadata: Option<&'a Metadata>,
}

impl<'a> MessageBody<'a> {
    /// A message of an event's chat; `None`: it is of another.
    fn within(message: &'a Message) -> Option<Self> {
        let chat = message.event_chat.as_ref()?;
        Some(Self::of(chat, message))
    }

    fn of(chat: &EventChat, message: &'a Message) -> Self {
        let side = chat.side_of(message.sender.id).unwrap_or(Side::Owner);
        Self {
            message_id: message.seq,
            text: &message.text,
            photos: &message.photos,
            date: message.created_at,
            from_user_id: message.sender.pk,
            to_user_id: chat.user(side.other()).pk,
            client_id: message.client_id.as_deref(),
            metadata: message.metadata.as_ref(),
        }
    }
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Unread {
    chat_id: ChatId,
    #[serde(flatten)]
    counts: Counts,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct History<'a> {
    chat_id: String,
    messages: Vec<MessageBody<'a>>,
}

/// The service names the fields of a message as the event-name dialect does; here they have other
/// paths.
fn in_place<'a>(event: &str, message: &'a str) -> Cow<'a, str> {
    let Some((field, rest)) = message.split_once(": ") else {
        return message.into();
    };
    let here = match (event, field) {
        ("request_access", "msg") => "message",
        (_, "msg") => "message.text",
        ("send_message", "photos") => "message.photos",
        ("send_message", "client_id") => "message.client_id",
        ("send_message", "metadata") => "message.metadata",
        _ => return message.into(),
    };
    format!("{here}: {rest}").into()
}

#[derive(Serialize)]
struct Debug<'a> {
    code: &'static str,
    retryable: bool,
    message: Cow<'a, str>,
    event: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    retry_after_ms: Option<u64>,
}

impl<'a> Debug<'a> {
    fn of(event: &'a str, error: &'a Error) -> Self {
        /// As much of an unknown name as an error repeats.
        const SHOWN: usize = 64;
        let end = event
            .char_indices()
            .nth(SHOWN)
            .map_or(event.len(), |(at, _)| at);
        Self {
            code: error.kind.code(),
            retryable: error.kind.is_retryable(),
            message: in_place(event, &error.message),
            event: &event[..end],
            retry_after_ms: error.retry_after_ms,
        }
    }
}

#[derive(Serialize)]
struct Refusal<'a> {
    error: Debug<'a>,
    #[serde(flatten)]
    debug: Debug<'a>,
}
