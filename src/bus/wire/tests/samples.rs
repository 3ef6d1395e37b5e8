//! One notice of every fact, with fixed values in every field.
//! Does not know how they are encoded.

use std::sync::Arc;

use jiff::Timestamp;

use crate::model::{
    Access, Chat, ChatId, ConnectionId, Draft, Event, EventChat, EventChatState, EventDetails,
    Fact, ListedMembers, MemberRole, Membership, Message, MessageId, Metadata, Notice, Origin,
    Policy, RoleChange, Room, Sanction, SanctionChange, User, UserId,
};

/// The chat of all of them.
pub(super) const CHAT: ChatId = ChatId::from_bytes([0xc4; 16]);

fn at(second: i64) -> Timestamp {
    Timestamp::from_millisecond(1_796_000_000_000 + second * 1000 + 7).expect("a time")
}

/// The owner of the event.
pub(super) fn anna() -> User {
    User::example()
}

/// The guest, with a value in every field.
pub(super) fn boris() -> User {
    User {
        id: UserId::from_bytes([2; 16]),
        pk: 2,
        external_id: "boris".to_owned(),
        username: "bo".to_owned(),
        name: "Борис".to_owned(),
        avatar: "/media/2.jpg".to_owned(),
        github: "boris".to_owned(),
        image_uuid: Some("a-picture".to_owned()),
        created_at: at(1),
        modified_at: at(2),
        revoked_before: Some(at(3)),
    }
}

fn event_chat() -> EventChat {
    EventChat {
        chat: CHAT,
        chat_pk: 9,
        event: Arc::new(Event {
            pk: 5,
            owner: Arc::new(anna()),
            details: EventDetails {
                name: "Picnic".to_owned(),
                icons: vec!["one".to_owned(), "two".to_owned()],
                location: "ONLINE".to_owned(),
                starts: 1_796_000_000,
                ends: 1_796_003_600,
            },
            created_at: at(4),
            modified_at: at(5),
        }),
        guest: Arc::new(boris()),
        state: EventChatState {
            head: 12,
            owner_read: 11,
            guest_read: 10,
            access: Access::Granted,
            access_version: 2,
        },
        active_at: at(6),
    }
}

/// A message of an event's chat.
pub(super) fn message() -> Message {
    Message {
        id: MessageId::from_bytes([3; 16]),
        chat: CHAT,
        chat_pk: 9,
        seq: 12,
        photos: vec!["p1".to_owned(), "p2".to_owned()],
        client_id: Some("client".to_owned()),
        original_id: Some("original".to_owned()),
        metadata: Metadata::of_json(r#"{"b": 1.0}"#.to_owned()),
        sent_as_read: true,
        event_chat: Some(Arc::new(event_chat())),
        created_at: at(7),
        modified_at: at(8),
        ..Message::example_of(Draft::text("hello\u{0}😀"))
    }
}

fn chat() -> Chat {
    Chat {
        id: CHAT,
        pk: 9,
        members: vec![anna().id, boris().id],
        ..Chat::example()
    }
}

fn membership() -> Membership {
    Membership {
        chat: CHAT,
        chat_pk: 9,
        policy: Policy::Open,
        user: Arc::new(boris()),
        version: 4,
        head: 12,
    }
}

fn sanction(sanction: Option<Sanction>, left: Option<Membership>) -> Arc<SanctionChange> {
    Arc::new(SanctionChange {
        chat: CHAT,
        user: Arc::new(boris()),
        sanction,
        left: left.map(Arc::new),
        to_user: true,
        version: 5,
    })
}

/// Every fact, in the order of the numbers of their kinds.
pub(super) fn notices() -> Vec<Notice> {
    let (chat_pk, user) = (9, boris().id);
    let event_chat = Arc::new(event_chat());
    let facts = [
        Fact::MessageSent(Arc::new(message())),
        Fact::ChatCreated(chat()),
        Fact::MemberJoined(Arc::new(membership())),
        Fact::MemberLeft(Arc::new(membership())),
        Fact::MembersListed(Arc::new(ListedMembers {
            chat: CHAT,
            members: vec![Arc::new(anna()), Arc::new(boris())],
            version: 4,
        })),
        Fact::ChatChanged(Arc::new(Room {
            chat: chat(),
            members: vec![Arc::new(anna())],
            messages: vec![message()],
        })),
        Fact::ChatDeleted {
            chat: CHAT,
            pk: chat_pk,
        },
        Fact::EventChatOpened(Arc::clone(&event_chat)),
        Fact::AccessChanged(Arc::clone(&event_chat)),
        Fact::ReadMoved(event_chat),
        Fact::RoleSet(Arc::new(RoleChange {
            chat: CHAT,
            user: Arc::new(boris()),
            role: MemberRole::Moderator,
            version: 6,
        })),
        Fact::Muted(sanction(Some(Sanction { until: Some(at(9)) }), None)),
        Fact::Banned(sanction(Some(Sanction { until: None }), Some(membership()))),
        Fact::MembersConfirmed(chat()),
        Fact::MembersUncertain(CHAT),
        Fact::CreationUncertain(CHAT),
        Fact::DeletionUncertain {
            chat: CHAT,
            pk: chat_pk,
        },
        Fact::Disconnected(user),
        Fact::TokensRevoked {
            user,
            before: at(10),
        },
        Fact::UserChanged {
            user,
            external_id: "boris".into(),
        },
    ];
    let origin = Some(Origin {
        connection: ConnectionId::from_bytes([0xcc; 16]),
        request: Some(u64::MAX),
    });
    let notice = |fact| Notice {
        origin,
        fact,
        durable: None,
    };
    facts.into_iter().map(notice).collect()
}
