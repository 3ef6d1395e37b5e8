//! The frames to the client, in their three kinds (a response, a notification, an event of a
//! room), and the envelope around them.
//! Does not know the receivers, nor when a frame is sent.

use std::sync::Arc;

use jiff::Timestamp;
use jiff::tz::TimeZone;
use serde::Serialize;
use serde_json::value::RawValue;

use super::people::{UserBody, users};
use super::refusal::{Complaint, Refusal};
use crate::gateway::dialect::sync::Numbered;
use crate::hub::{Body, Outgoing};
use crate::model::{ChatPk, ErrorKind, ListedMembers, Message, Metadata, Room, UserPk, pair};

/// How frames are wrapped: as the request that they belong to was.
#[derive(Clone, Default)]
pub(super) enum Envelope {
    /// Not at all.
    #[default]
    Plain,
    /// `{"stream": …, "payload": …}`, with this stream.
    Stream(Arc<RawValue>),
}

impl Envelope {
    /// Whether there is one.
    pub(super) fn is_stream(&self) -> bool {
        matches!(self, Self::Stream(_))
    }

    /// A body that is not wrapped yet, in this envelope.
    pub(super) fn around(&self, plain: Arc<Body>) -> Arc<Body> {
        match self {
            Self::Plain => plain,
            Self::Stream(_) => self.wrap(raw(&plain)),
        }
    }

    fn wrap<T: Serialize + ?Sized>(&self, payload: &T) -> Arc<Body> {
        match self {
            Self::Plain => Body::of(payload),
            Self::Stream(stream) => Body::of(&Wrapped { stream, payload }),
        }
    }
}

/// A body as a part of another. It was encoded here, so it is JSON.
fn raw(body: &Body) -> &RawValue {
    serde_json::from_str(body.as_str()).unwrap_or(RawValue::NULL)
}

/// The fields of its request that a response repeats.
#[derive(Clone, Default)]
pub(super) struct Echo {
    /// How the request was wrapped.
    pub(super) envelope: Envelope,
    /// Its `action`, as it came.
    pub(super) action: Option<Arc<RawValue>>,
    /// Its `request_id`, as it came.
    pub(super) request_id: Option<Arc<RawValue>>,
}

impl Echo {
    /// The reply to a request that succeeded.
    pub(super) fn reply<T: Serialize + ?Sized>(&self, status: u16, data: &T) -> Outgoing {
        self.frame(&[], data, status, None, None)
    }

    /// The same with a page of a list, and the `before` of the next one if there is one.
    pub(super) fn page<T: Serialize + ?Sized>(
        &self,
        status: u16,
        data: &T,
        next: Option<String>,
    ) -> Outgoing {
        self.frame(&[], data, status, next, None)
    }

    /// The reply to a request that did not.
    pub(super) fn refuse(&self, refusal: &Refusal) -> Outgoing {
        let errors = std::slice::from_ref(&refusal.error);
        self.frame(errors, &(), refusal.status, None, Some(refusal.kind()))
    }

    /// The subscription of this request.
    pub(super) fn instance(&self) -> Instance {
        Instance {
            envelope: self.envelope.clone(),
            request_id: self.request_id.clone(),
        }
    }

    fn frame<T: Serialize + ?Sized>(
        &self,
        errors: &[Complaint],
        data: &T,
        status: u16,
        next: Option<String>,
        refused: Option<ErrorKind>,
    ) -> Outgoing {
        Outgoing::bare(self.envelope.wrap(&ReplyBody {
            errors,
            data,
            action: self.action.as_deref(),
            response_status: status,
            request_id: self.request_id.as_deref(),
            next,
            code: refused.map(ErrorKind::code),
            retryable: refused.map(ErrorKind::is_retryable),
        }))
    }
}

/// One subscription to a room itself.
#[derive(Clone)]
pub(super) struct Instance {
    /// How its notifications are wrapped.
    pub(super) envelope: Envelope,
    request_id: Option<Arc<RawValue>>,
}

impl Instance {
    /// Its key among the subscriptions to the room.
    pub(super) fn request_id(&self) -> Option<&str> {
        self.request_id.as_deref().map(RawValue::get)
    }

    fn notify<T: Serialize + ?Sized>(&self, action: &str, status: u16, data: &T) -> Outgoing {
        Outgoing::bare(self.envelope.wrap(&ReplyBody {
            errors: &[],
            data,
            action,
            response_status: status,
            request_id: self.request_id.as_deref(),
            next: None,
            code: None,
            retryable: None,
        }))
    }
}

/// Notifies a subscription that its room has changed.
pub(super) fn updated(instance: &Instance, room: &Body) -> Outgoing {
    instance.notify("update", 200, raw(room))
}

/// Notifies a subscription that its room is gone.
pub(super) fn deleted(instance: &Instance, pk: ChatPk) -> Outgoing {
    instance.notify("delete", 204, &Gone { pk })
}

/// The member event: all members.
pub(super) fn members(listed: &ListedMembers) -> Arc<Body> {
    Body::of(&MemberEvent {
        join_user: users(&listed.members),
    })
}

/// Builds the bodies of rooms and messages.
#[derive(Clone, Copy)]
pub(super) struct Bodies<'a> {
    /// The zone of `create_date`.
    pub(super) zone: &'a TimeZone,
}

impl Bodies<'_> {
    /// A message as events show it.
    pub(super) fn message(self, message: &Message) -> MessageBody<'_> {
        MessageBody {
            id: id(message),
            created_at_formatted: None,
            user: UserBody::of(&message.sender),
            text: &message.text,
            create_date: create_date(message.created_at, self.zone),
            room: message.chat_pk,
            photos: &message.photos,
            metadata: message.metadata.as_ref(),
        }
    }

    /// The same with its number in the room.
    pub(super) fn numbered(self, message: &Message) -> Numbered<MessageBody<'_>> {
        Numbered {
            seq: message.seq,
            message: self.message(message),
        }
    }

    /// The event of a new message.
    pub(super) fn message_event(self, message: &Message) -> Arc<Body> {
        Body::of(&MessageEvent {
            data: self.message(message),
            action: "create",
            pk: id(message),
        })
    }

    /// A room with its messages and members.
    pub(super) fn room(self, room: &Room) -> RoomBody<'_> {
        let messages = room.messages.iter().map(|message| MessageBody {
            created_at_formatted: Some(created_at_formatted(message.created_at)),
            ..self.message(message)
        });
        RoomBody {
            pk: room.chat.pk,
            name: room.chat.name.as_deref().unwrap_or_default(),
            user: room.chat.owner,
            team: room.chat.team,
            messages: messages.collect(),
            member: users(&room.members),
        }
    }

    /// Many rooms.
    pub(super) fn rooms(self, rooms: &[Room]) -> Vec<RoomBody<'_>> {
        rooms.iter().map(|room| self.room(room)).collect()
    }
}

#[derive(Serialize)]
struct Wrapped<'a, T: ?Sized> {
    stream: &'a RawValue,
    payload: &'a T,
}

#[derive(Serialize)]
struct ReplyBody<'a, A, T: ?Sized> {
    errors: &'a [Complaint],
    data: &'a T,
    action: A,
    response_status: u16,
    request_id: Option<&'a RawValue>,
    #[serde(skip_serializing_if = "Option::is_none")]
    next: Option<String>,
    /// Of an error.
    #[serde(skip_serializing_if = "Option::is_none")]
    code: Option<&'static str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    retryable: Option<bool>,
}

#[derive(Serialize)]
struct MessageEvent<'a> {
    data: MessageBody<'a>,
    action: &'static str,
    pk: i64,
}

#[derive(Serialize)]
struct MemberEvent<'a> {
    join_user: Vec<UserBody<'a>>,
}

#[derive(Serialize)]
struct Gone {
    pk: ChatPk,
}

/// A room.
#[derive(Serialize)]
pub(super) struct RoomBody<'a> {
    pk: ChatPk,
    name: &'a str,
    user: Option<UserPk>,
    team: Option<i64>,
    messages: Vec<MessageBody<'a>>,
    member: Vec<UserBody<'a>>,
}

/// A message; in `retrieve` it has both dates.
#[derive(Serialize)]
pub(super) struct MessageBody<'a> {
    id: i64,
    #[serde(skip_serializing_if = "Option::is_none")]
    created_at_formatted: Option<String>,
    user: UserBody<'a>,
    text: &'a str,
    create_date: String,
    room: ChatPk,
    #[serde(skip_serializing_if = "<[_]>::is_empty")]
    photos: &'a [String],
    #[serde(skip_serializing_if = "Option::is_none")]
    metadata: Option<&'a Metadata>,
}

/// The message's integer id. One that does not fit was refused when it was sent.
fn id(message: &Message) -> i64 {
    pair(message.chat_pk, message.seq).unwrap_or_default()
}

/// `2021-12-08T19:34:41.242824+03:00`, in UTC `2021-12-08T16:34:41.242824Z`.
fn create_date(at: Timestamp, zone: &TimeZone) -> String {
    let at = at.to_zoned(zone.clone());
    let form = if at.offset().is_zero() {
        "%Y-%m-%dT%H:%M:%S%.6fZ"
    } else {
        "%Y-%m-%dT%H:%M:%S%.6f%:z"
    };
    at.strftime(form).to_string()
}

/// `08-12-2021 16:34:41`, in UTC.
fn created_at_formatted(at: Timestamp) -> String {
    at.strftime("%d-%m-%Y %H:%M:%S").to_string()
}
