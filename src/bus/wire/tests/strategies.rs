//! Random notices and headers.
//! Does not know how they are encoded.

use std::sync::Arc;

use jiff::Timestamp;
use proptest::collection::vec;
use proptest::option;
use proptest::prelude::*;
use proptest::sample::select;

use super::super::{Header, Kind};
use crate::model::{
    Access, Chat, ChatId, ConnectionId, Event, EventChat, EventChatState, EventDetails, Fact,
    ListedMembers, MemberRole, Membership, Message, MessageId, Metadata, Notice, Origin, Policy,
    RoleChange, Room, Sanction, SanctionChange, User, UserId,
};

fn text() -> impl Strategy<Value = String> {
    vec(any::<char>(), 0..8).prop_map(String::from_iter)
}

fn bytes() -> impl Strategy<Value = [u8; 16]> {
    any::<[u8; 16]>()
}

/// Any time in whole milliseconds.
fn time() -> impl Strategy<Value = Timestamp> {
    let millisecond = -377_705_023_201_000_i64..=253_402_207_200_000;
    millisecond.prop_map(|it| Timestamp::from_millisecond(it).expect("a time"))
}

fn user() -> BoxedStrategy<Arc<User>> {
    let texts = [text(), text(), text(), text(), text()];
    let times = (time(), time(), option::of(time()));
    (bytes(), any::<i64>(), texts, option::of(text()), times)
        .prop_map(
            |(id, pk, texts, image_uuid, (created_at, modified_at, revoked_before))| {
                let [external_id, username, name, avatar, github] = texts;
                Arc::new(User {
                    id: UserId::from_bytes(id),
                    pk,
                    external_id,
                    username,
                    name,
                    avatar,
                    github,
                    image_uuid,
                    created_at,
                    modified_at,
                    revoked_before,
                })
            },
        )
        .boxed()
}

fn event() -> BoxedStrategy<Arc<Event>> {
    let details = (text(), vec(text(), 0..3), text(), any::<[i64; 2]>());
    let details = details.prop_map(|(name, icons, location, [starts, ends])| EventDetails {
        name,
        icons,
        location,
        starts,
        ends,
    });
    (any::<i64>(), user(), details, [time(), time()])
        .prop_map(|(pk, owner, details, [created_at, modified_at])| {
            Arc::new(Event {
                pk,
                owner,
                details,
                created_at,
                modified_at,
            })
        })
        .boxed()
}

fn event_chat(chat: ChatId, chat_pk: i64) -> BoxedStrategy<Arc<EventChat>> {
    let access = select(&[Access::Unasked, Access::Asked, Access::Granted][..]);
    let state = (any::<[i64; 4]>(), access).prop_map(|(numbers, access)| EventChatState {
        head: numbers[0],
        owner_read: numbers[1],
        guest_read: numbers[2],
        access,
        access_version: numbers[3],
    });
    (event(), user(), state, time())
        .prop_map(move |(event, guest, state, active_at)| {
            Arc::new(EventChat {
                chat,
                chat_pk,
                event,
                guest,
                state,
                active_at,
            })
        })
        .boxed()
}

fn message(chat: ChatId, chat_pk: i64) -> BoxedStrategy<Arc<Message>> {
    let json = select(&[r#"{"a": [1.0, "\u00e9"]}"#, "{}", "7"][..]);
    let metadata = json.prop_map(|json| Metadata::of_json(json.to_owned()).expect("JSON"));
    let content = ([text(), text()], vec(text(), 0..3), option::of(metadata));
    let names = [option::of(text()), option::of(text())];
    let numbers = (bytes(), any::<i64>(), any::<bool>());
    let rest = (
        user(),
        option::of(event_chat(chat, chat_pk)),
        [time(), time()],
    );
    (content, names, numbers, rest)
        .prop_map(move |(content, names, numbers, rest)| {
            let ([kind, text], photos, metadata) = content;
            let [client_id, original_id] = names;
            let (id, seq, sent_as_read) = numbers;
            let (sender, event_chat, [created_at, modified_at]) = rest;
            Arc::new(Message {
                id: MessageId::from_bytes(id),
                chat,
                chat_pk,
                seq,
                sender,
                kind,
                text,
                photos,
                client_id,
                original_id,
                metadata,
                sent_as_read,
                event_chat,
                created_at,
                modified_at,
            })
        })
        .boxed()
}

fn membership(chat: ChatId, chat_pk: i64) -> BoxedStrategy<Arc<Membership>> {
    let policy = select(&[Policy::Closed, Policy::Open][..]);
    (policy, user(), any::<[i64; 2]>())
        .prop_map(move |(policy, user, [version, head])| {
            Arc::new(Membership {
                chat,
                chat_pk,
                policy,
                user,
                version,
                head,
            })
        })
        .boxed()
}

fn sanction_change(chat: ChatId, chat_pk: i64) -> BoxedStrategy<Arc<SanctionChange>> {
    let sanction = option::of(time()).prop_map(|until| Sanction { until });
    let sanction = option::of(sanction);
    let left = option::of(membership(chat, chat_pk));
    (user(), sanction, left, any::<bool>(), any::<i64>())
        .prop_map(move |(user, sanction, left, to_user, version)| {
            Arc::new(SanctionChange {
                chat,
                user,
                sanction,
                left,
                to_user,
                version,
            })
        })
        .boxed()
}

fn origin() -> impl Strategy<Value = Option<Origin>> {
    let origin = (bytes(), option::of(any::<u64>())).prop_map(|(connection, request)| Origin {
        connection: ConnectionId::from_bytes(connection),
        request,
    });
    option::of(origin)
}

/// The facts that have hardly more than ids.
fn facts_of_ids((chat, pk): (ChatId, i64), user: &User, before: Timestamp) -> [Fact; 7] {
    let (user, external_id) = (user.id, user.external_id.as_str().into());
    [
        Fact::ChatDeleted { chat, pk },
        Fact::MembersUncertain(chat),
        Fact::CreationUncertain(chat),
        Fact::DeletionUncertain { chat, pk },
        Fact::Disconnected(user),
        Fact::TokensRevoked { user, before },
        Fact::UserChanged { user, external_id },
    ]
}

/// A notice of every fact, all of one chat and one user.
pub(super) fn one_of_every_fact() -> BoxedStrategy<Vec<Notice>> {
    let chat = (bytes(), any::<i64>()).prop_map(|(id, pk)| (ChatId::from_bytes(id), pk));
    chat.prop_flat_map(|(chat, pk)| {
        let role = select(&MemberRole::ALL[..]);
        let parts = (
            message(chat, pk),
            [membership(chat, pk), membership(chat, pk)],
            [sanction_change(chat, pk), sanction_change(chat, pk)],
            event_chat(chat, pk),
            vec(bytes().prop_map(UserId::from_bytes), 0..20),
        );
        let rest = (role, user(), any::<i64>(), time(), origin());
        (parts, rest).prop_map(move |(parts, (role, user, version, before, origin))| {
            let (message, [joined, left], [muted, banned], event_chat, members) = parts;
            let room = Chat {
                id: chat,
                pk,
                members,
                ..Chat::example()
            };
            let ids = facts_of_ids((chat, pk), &user, before);
            let facts = vec![
                Fact::MessageSent(message),
                Fact::ChatCreated(room.clone()),
                Fact::MemberJoined(joined),
                Fact::MemberLeft(left),
                Fact::MembersListed(Arc::new(ListedMembers {
                    chat,
                    members: vec![Arc::clone(&user)],
                    version,
                })),
                Fact::ChatChanged(Arc::new(Room {
                    chat: room.clone(),
                    members: Vec::new(),
                    messages: Vec::new(),
                })),
                Fact::EventChatOpened(Arc::clone(&event_chat)),
                Fact::AccessChanged(Arc::clone(&event_chat)),
                Fact::ReadMoved(event_chat),
                Fact::RoleSet(Arc::new(RoleChange {
                    chat,
                    user,
                    role,
                    version,
                })),
                Fact::Muted(muted),
                Fact::Banned(banned),
                Fact::MembersConfirmed(room),
            ];
            let notice = |fact| Notice {
                origin,
                fact,
                durable: None,
            };
            facts.into_iter().chain(ids).map(notice).collect()
        })
    })
    .boxed()
}

/// Any header that a node sends.
pub(super) fn header() -> impl Strategy<Value = Header> {
    let kind = prop_oneof![0_u32..40, any::<u32>()].prop_map(Kind::of);
    let chat = option::of(bytes().prop_map(ChatId::from_bytes));
    let users = option::of(vec(bytes().prop_map(UserId::from_bytes), 1..=16));
    (kind, chat, users, option::of(any::<i64>())).prop_map(|(kind, chat, users, seq)| Header {
        kind,
        chat,
        users,
        seq,
    })
}
