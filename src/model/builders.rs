//! Example values for tests and fuzz targets. A test names the fields that it is about and takes
//! the rest from here (`Message { seq: 3, ..Message::example() }`), so that a new field of the
//! model needs a test value in this file only.
//! Not part of the server: compiled for tests only.

use std::sync::Arc;

use jiff::Timestamp;

use super::{
    Chat, ChatId, Draft, Message, MessageId, NewPk, NewUser, Policy, Profile, User, UserId,
};

const AT: Timestamp = Timestamp::UNIX_EPOCH;

impl Message {
    /// The first message of [`Chat::example`], sent by [`User::example`].
    pub fn example() -> Self {
        Self::example_of(Draft::text("hello"))
    }

    /// The same message with the content of this draft.
    pub fn example_of(draft: Draft) -> Self {
        let chat = Chat::example();
        Self {
            id: MessageId::from_bytes([9; 16]),
            chat: chat.id,
            chat_pk: chat.pk,
            seq: 1,
            sender: Arc::new(User::example()),
            kind: draft.kind,
            text: draft.text,
            photos: draft.photos,
            client_id: draft.client_id,
            original_id: draft.original_id,
            metadata: draft.metadata,
            sent_as_read: draft.sent_as_read,
            event_chat: None,
            created_at: AT,
            modified_at: AT,
        }
    }
}

impl User {
    /// Anna, with the default profile.
    pub fn example() -> Self {
        let new = NewUser {
            pk: NewPk::default(),
            id: UserId::from_bytes([1; 16]),
            external_id: "anna".to_owned(),
            profile: Profile::default(),
            at: AT,
            audit: None,
        };
        new.into_user(1)
    }
}

impl Chat {
    /// A closed chat without a name, without members and without messages.
    pub fn example() -> Self {
        Self {
            external_id: None,
            id: ChatId::from_bytes([7; 16]),
            pk: 7,
            name: None,
            policy: Policy::Closed,
            owner: None,
            team: None,
            event: None,
            members: Vec::new(),
            members_version: 0,
            head: 0,
            created_at: AT,
            modified_at: AT,
            active_at: AT,
        }
    }
}
