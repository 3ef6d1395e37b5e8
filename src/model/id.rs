//! Identifiers, each a type of its own, so that a user's can never stand where a chat's belongs.
//! Does not know how they look on any wire beyond the hyphenated form of a UUID.

use std::fmt;
use std::str::FromStr;

use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use uuid::fmt::Hyphenated;
use uuid::{NoContext, Uuid};

/// A `UUIDv7` of one noun: made from a given time, sortable by it.
macro_rules! uuid_id {
    ($(#[$doc:meta])* $name:ident) => {
        $(#[$doc])*
        #[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
        #[serde(transparent)]
        pub struct $name(Uuid);

        impl $name {
            /// A new id that sorts by `at`.
            pub fn new(at: Timestamp) -> Self {
                Self(uuid_at(at))
            }

            /// The id that these 16 bytes stand for.
            pub const fn from_bytes(bytes: [u8; 16]) -> Self {
                Self(Uuid::from_bytes(bytes))
            }

            /// The 16 bytes under which a store keeps it.
            pub const fn as_bytes(&self) -> &[u8; 16] {
                self.0.as_bytes()
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
                self.0.hyphenated().fmt(out)
            }
        }

        impl FromStr for $name {
            type Err = uuid::Error;
            /// Takes the hyphenated form only: the one that it was given out in.
            fn from_str(text: &str) -> Result<Self, Self::Err> {
                text.parse::<Hyphenated>().map(|id| Self(id.into_uuid()))
            }
        }
    };
}

uuid_id! {
    /// A user.
    UserId
}
uuid_id! {
    /// A chat; on Socket.IO also the name of its room.
    ChatId
}
uuid_id! {
    /// A message.
    MessageId
}
uuid_id! {
    /// A record of the audit log.
    AuditId
}
impl AuditId {
    /// A new id that sorts by `at`, and after the latest one even if both are of one instant.
    pub fn after(latest: Option<Self>, at: Timestamp) -> Self {
        let new = Self::new(at);
        match latest {
            Some(latest) if new <= latest => {
                Self(Uuid::from_u128(latest.0.as_u128().saturating_add(1)))
            }
            _ => new,
        }
    }
}
uuid_id! {
    /// One live connection of one client, unique across all nodes.
    ConnectionId
}
uuid_id! {
    /// A node: one run of one server process.
    NodeId
}

/// The small integer of a user: see [`NewPk`].
pub type UserPk = i64;

/// The small integer of a chat: see [`NewPk`].
pub type ChatPk = i64;

/// The small integer of an event: see [`NewPk`].
pub type EventPk = i64;

/// How a new user, chat or event gets its small integer.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum NewPk {
    /// The host application has chosen this one.
    Chosen(i64),
    /// The next free one, from this one on. Those that were chosen are left out, and the greatest of them
    /// does not matter.
    NextFrom(i64),
}

impl NewPk {
    /// The one that the host application has chosen, if it has.
    pub const fn chosen(self) -> Option<i64> {
        match self {
            Self::Chosen(pk) => Some(pk),
            Self::NextFrom(_) => None,
        }
    }
}

impl Default for NewPk {
    fn default() -> Self {
        Self::NextFrom(1)
    }
}

/// The number of a message in its chat: 1, 2, 3 …, contiguous, the order of the chat on
/// every node. 0 stands before the first.
pub type Seq = i64;

/// Counts the changes of the members of one chat, their roles and mutes, and its bans: 0 when the chat is created. Incremented by the store
/// in the same step as the change, so of two reads the one with the greater version has the later
/// members, and a right that was granted by an earlier read is checked against it.
pub type MembersVersion = i64;

/// The greatest integer that every JSON client can hold; no integer id is greater.
pub const MAX_ID: i64 = (1 << 53) - 1;

/// The greatest integer id of a chat that can be chosen: with it, the integer ids of so many messages of the
/// chat are at most [`MAX_ID`] (`pair.rs`).
pub const MAX_CHAT_PK: ChatPk = 94_000_000;

fn uuid_at(at: Timestamp) -> Uuid {
    let seconds = u64::try_from(at.as_second()).unwrap_or(0);
    let nanoseconds = u32::try_from(at.subsec_nanosecond()).unwrap_or(0);
    Uuid::new_v7(uuid::Timestamp::from_unix(NoContext, seconds, nanoseconds))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ids_of_later_times_sort_later() {
        let earlier = UserId::new(Timestamp::UNIX_EPOCH);
        let later = UserId::new(Timestamp::MAX);
        assert!(earlier < later);
    }

    #[test]
    fn records_of_one_instant_sort_in_their_order() {
        let (mut ids, mut latest) = (Vec::new(), None);
        // The clock may also be set back.
        for at in [Timestamp::MAX, Timestamp::MAX, Timestamp::UNIX_EPOCH] {
            for _ in 0..50 {
                latest = Some(AuditId::after(latest, at));
                ids.extend(latest);
            }
        }
        assert!(ids.is_sorted_by(|one, next| one < next));
    }

    #[test]
    fn an_id_survives_its_text_and_its_bytes() {
        let id = ChatId::new(Timestamp::UNIX_EPOCH);
        assert_eq!(id.to_string().parse::<ChatId>(), Ok(id));
        assert_eq!(ChatId::from_bytes(*id.as_bytes()), id);
    }
}
