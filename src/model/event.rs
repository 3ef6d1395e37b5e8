//! An event of a marketplace, and the chats between its owner and its guests.
//! Does not know rights: `service::access` does.

use std::sync::Arc;

use jiff::Timestamp;

use super::{
    AuditRecord, ChatId, ChatPk, EventPk, IdempotencyKey, Message, NewPk, Seq, User, UserId,
};

/// An event with an owner, to whom guests write.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Event {
    /// Its small integer, which is its only id.
    pub pk: EventPk,
    /// Its owner.
    pub owner: Arc<User>,
    /// Its name, place and time.
    pub details: EventDetails,
    /// When it was created.
    pub created_at: Timestamp,
    /// When its details last changed.
    pub modified_at: Timestamp,
}

/// The details of an event, from the host application.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct EventDetails {
    /// The name.
    pub name: String,
    /// The ids of its pictures in the host application.
    pub icons: Vec<String>,
    /// The place, as the host application writes it.
    pub location: String,
    /// When it begins, in seconds since 1970.
    pub starts: i64,
    /// When it ends, in seconds since 1970.
    pub ends: i64,
}

/// An event to create.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NewEvent {
    /// The integer id to take.
    pub pk: NewPk,
    /// Its owner.
    pub owner: UserId,
    /// Its details.
    pub details: EventDetails,
    /// The idempotency key.
    pub key: Option<IdempotencyKey>,
    /// Now.
    pub at: Timestamp,
    /// The record; the store completes it ([`AuditRecord::of_event`]).
    pub audit: Option<AuditRecord>,
}

/// The changes of an event; `None` leaves a field as it is.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct EventChange {
    /// See [`EventDetails::name`].
    pub name: Option<String>,
    /// See [`EventDetails::icons`].
    pub icons: Option<Vec<String>>,
    /// See [`EventDetails::location`].
    pub location: Option<String>,
    /// See [`EventDetails::starts`].
    pub starts: Option<i64>,
    /// See [`EventDetails::ends`].
    pub ends: Option<i64>,
}

impl EventChange {
    /// The details once they are changed.
    pub fn apply(self, details: EventDetails) -> EventDetails {
        EventDetails {
            name: self.name.unwrap_or(details.name),
            icons: self.icons.unwrap_or(details.icons),
            location: self.location.unwrap_or(details.location),
            starts: self.starts.unwrap_or(details.starts),
            ends: self.ends.unwrap_or(details.ends),
        }
    }
}

/// Some events, by their integer ids.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct EventPage {
    /// The events.
    pub events: Vec<Event>,
    /// After which number the next page begins, if there is one.
    pub next: Option<EventPk>,
}

/// A guest's access to an event.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Access {
    /// No application was made.
    Unasked,
    /// The guest has applied.
    Asked,
    /// The guest has applied, and the owner has agreed.
    Granted,
}

/// One of the two sides of an event's chat.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Side {
    /// The owner of the event.
    Owner,
    /// The guest.
    Guest,
}

impl Side {
    /// The side across.
    #[must_use]
    pub const fn other(self) -> Self {
        match self {
            Self::Owner => Self::Guest,
            Self::Guest => Self::Owner,
        }
    }
}

/// The state of an event's chat. Every field moves forward only, so [`EventChatState::merge`] of
/// two reports in any order is the latest.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct EventChatState {
    /// The number of the latest message, 0 without one.
    pub head: Seq,
    /// How far the owner has read.
    pub owner_read: Seq,
    /// How far the guest has read.
    pub guest_read: Seq,
    /// Whether the owner has granted access.
    pub access: Access,
    /// How often `access` has changed.
    pub access_version: i64,
}

impl EventChatState {
    /// Takes over each field that is later in another report.
    pub fn merge(&mut self, other: Self) {
        self.head = self.head.max(other.head);
        self.owner_read = self.owner_read.max(other.owner_read);
        self.guest_read = self.guest_read.max(other.guest_read);
        if other.access_version > self.access_version {
            self.access = other.access;
            self.access_version = other.access_version;
        }
    }

    /// How many messages this side has not read. Sending marks as read, so there are only two
    /// kinds of messages after a position: the other side's, and none.
    pub fn unread(&self, side: Side) -> Seq {
        let read = match side {
            Side::Owner => self.owner_read,
            Side::Guest => self.guest_read,
        };
        (self.head - read).max(0)
    }
}

/// The chat between an event's owner and one guest.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct EventChat {
    /// Which chat it is.
    pub chat: ChatId,
    /// Its small integer.
    pub chat_pk: ChatPk,
    /// Which event it is about.
    pub event: Arc<Event>,
    /// The guest.
    pub guest: Arc<User>,
    /// Its state when this was read.
    pub state: EventChatState,
    /// When something last happened there.
    pub active_at: Timestamp,
}

impl EventChat {
    /// On which side this user is; `None`: on neither.
    pub fn side_of(&self, user: UserId) -> Option<Side> {
        if user == self.event.owner.id {
            Some(Side::Owner)
        } else if user == self.guest.id {
            Some(Side::Guest)
        } else {
            None
        }
    }

    /// The user on this side.
    pub fn user(&self, side: Side) -> &Arc<User> {
        match side {
            Side::Owner => &self.event.owner,
            Side::Guest => &self.guest,
        }
    }
}

/// A chat to open between an event's owner and a guest.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NewEventChat {
    /// The id to take if there is none yet.
    pub id: ChatId,
    /// The integer id to take then.
    pub pk: NewPk,
    /// The name in the host application that it has then; unique.
    pub external_id: Option<String>,
    /// The event.
    pub event: EventPk,
    /// The guest.
    pub guest: UserId,
    /// Now.
    pub at: Timestamp,
    /// The record of a new one.
    pub audit: Option<AuditRecord>,
}

/// The outcome of a request that may have changed an event's chat.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Updated {
    /// Whether it has changed.
    pub changed: bool,
    /// The chat afterwards.
    pub chat: Arc<EventChat>,
}

/// An event's chat with its latest messages, oldest first.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct EventChatSnapshot {
    /// The chat.
    pub chat: EventChat,
    /// None of them is later than the state of the chat.
    pub messages: Vec<Message>,
}

/// The initial data of a user of the marketplace.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Marketplace {
    /// The events that the user owns.
    pub own: Vec<Event>,
    /// The chats in which the user takes part, the most recently active first.
    pub chats: Vec<EventChatSnapshot>,
}

#[cfg(test)]
mod tests {
    use super::*;

    fn state(head: Seq, owner_read: Seq, guest_read: Seq) -> EventChatState {
        EventChatState {
            head,
            owner_read,
            guest_read,
            access: Access::Unasked,
            access_version: 0,
        }
    }

    #[test]
    fn reports_in_any_order_make_the_same_present() {
        let granted = EventChatState {
            access: Access::Granted,
            access_version: 2,
            ..state(5, 5, 1)
        };
        let asked = EventChatState {
            access: Access::Asked,
            access_version: 1,
            ..state(6, 5, 6)
        };
        let (mut one, mut other) = (granted, asked);
        one.merge(asked);
        other.merge(granted);
        assert_eq!(one, other);
        assert_eq!(
            (one.head, one.guest_read, one.access),
            (6, 6, Access::Granted)
        );
    }

    #[test]
    fn unread_is_what_lies_behind_the_position() {
        let state = state(7, 7, 3);
        assert_eq!(state.unread(Side::Owner), 0);
        assert_eq!(state.unread(Side::Guest), 4);
    }

    #[test]
    fn a_change_keeps_what_it_does_not_name() {
        let details = EventDetails {
            name: "Picnic".into(),
            location: "ONLINE".into(),
            ..EventDetails::default()
        };
        let change = EventChange {
            ends: Some(9),
            ..EventChange::default()
        };
        let changed = change.apply(details.clone());
        assert_eq!(changed, EventDetails { ends: 9, ..details });
    }
}
