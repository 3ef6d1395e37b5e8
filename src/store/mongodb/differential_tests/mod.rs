//! A differential property test: random sequences of calls return the same from SQLite and MongoDB.
//! Does not define which of the two is right: the contract does.

mod acts;
mod content;
mod sanctions;

use std::fmt::Debug;
use std::mem::swap;

use proptest::collection::vec;
use proptest::prelude::*;

use self::acts::{Act, act, limits};
use self::content::{chats_of_users, histories};
use self::sanctions::{answers_about_rights, record, rights};
use super::replica_set::Scratch;
use crate::model::{
    ChatChange, ChatId, Draft, EventChange, EventDetails, Fingerprint, IdempotencyKey, MessageId,
    Metadata, NewChat, NewEvent, NewEventChat, NewPk, NewUser, PendingMessage, Policy, Profile,
    UserId,
};
use crate::store::contract::{Subject, at};
use crate::store::{Store, StoreError};

/// How many sequences are tried; each is a database of its own.
const CASES: u32 = 12;

/// The ids to choose from, beside an unknown one of each kind.
struct StoredIds {
    users: Vec<UserId>,
    chats: Vec<ChatId>,
    /// Those among the chats that are events'.
    event_chats: Vec<ChatId>,
}

impl StoredIds {
    fn user(&self, index: usize) -> UserId {
        self.users[index % self.users.len()]
    }

    fn chat(&self, index: usize) -> ChatId {
        self.chats[index % self.chats.len()]
    }
}

/// The answer, comparable: an error counts by its kind.
fn comparable<T: Debug>(answer: Result<T, StoreError>) -> String {
    match answer {
        Ok(answer) => format!("{answer:#?}"),
        Err(StoreError::Duplicate) => "Duplicate".into(),
        Err(StoreError::PkTaken) => "PkTaken".into(),
        Err(StoreError::Full(full)) => format!("{full:?}"),
        Err(StoreError::Corrupt(_)) => "Corrupt".into(),
        Err(error @ StoreError::Unavailable(_)) => panic!("{error:?}"),
    }
}

fn text(number: u8) -> String {
    format!("name {number}")
}

fn profile(handle: Option<u8>) -> Profile {
    Profile {
        username: handle.map(text),
        ..Profile::default()
    }
}

fn key(number: u8) -> IdempotencyKey {
    IdempotencyKey {
        name: text(number),
        content: Fingerprint::of("the request"),
    }
}

/// The answers of both stores to the same call.
macro_rules! both {
    ($stores:expr, $store:ident => $question:expr) => {{
        let $store = &$stores.0;
        let one = comparable($question.await);
        let $store = &$stores.1;
        (one, comparable($question.await))
    }};
}
use both;

/// The answers of both stores to an act; new ids are chosen once for both.
async fn answers(stores: &(Subject, Subject), act: Act, ids: &mut StoredIds) -> (String, String) {
    match act {
        Act::MakeUsers { users, now } => {
            let new = |(name, handle)| NewUser {
                pk: NewPk::default(),
                id: UserId::new(at(now)),
                external_id: format!("user {name}"),
                profile: profile(handle),
                at: at(now),
                audit: Some(record(now, None, None)),
            };
            let new: Vec<_> = users.into_iter().map(new).collect();
            ids.users.extend(new.iter().map(|new| new.id));
            both!(stores, store => store.find_or_create_users(new.clone()))
        }
        Act::UpdateUser { user, handle, now } => {
            let user = ids.user(user);
            let audit = Some(record(now, None, Some(user)));
            both!(stores, store => {
                store.update_user(user, profile(handle), at(now), audit.clone())
            })
        }
        Act::MakeChat {
            members,
            policy,
            key,
            now,
        } => {
            let new = new_chat(ids, &members, policy, key, now);
            ids.chats.push(new.id);
            both!(stores, store => store.create_chat_within(new.clone(), limits(now)))
        }
        Act::ChangeChat {
            chat,
            name,
            team,
            now,
        } => {
            let chat = ids.chat(chat);
            let change = ChatChange {
                policy: None,
                name: name.map(text),
                // A team of 0 takes it away.
                team: team.map(|team| (team > 0).then_some(team)),
            };
            let audit = Some(record(now, Some(chat), None));
            both!(stores, store => {
                store.change_chat(chat, change.clone(), at(now), audit.clone())
            })
        }
        Act::DeleteChat { chat } => {
            let chat = ids.chat(chat);
            let audit = Some(record(3, Some(chat), None));
            both!(stores, store => store.delete_chat(chat, audit.clone()))
        }
        // Each store has pieces of its own.
        Act::Sweep => both!(stores, store => async { store.sweep().await.map(drop) }),
        of_chats => answers_about_chats(stores, of_chats, ids).await,
    }
}

async fn answers_about_chats(
    stores: &(Subject, Subject),
    act: Act,
    ids: &mut StoredIds,
) -> (String, String) {
    match act {
        Act::Join {
            chat,
            user,
            read,
            now,
        } => {
            let (chat, user) = (ids.chat(chat), ids.user(user));
            let audit = Some(record(now, Some(chat), Some(user)));
            both!(stores, store => {
                store.add_member_within(chat, user, read, at(now), limits(now), audit.clone())
            })
        }
        // The two of an event's chat stay in it.
        Act::Leave { chat, .. } if ids.event_chats.contains(&ids.chat(chat)) => Default::default(),
        Act::Leave { chat, user, now } => {
            let (chat, user) = (ids.chat(chat), ids.user(user));
            let audit = Some(record(now, Some(chat), Some(user)));
            both!(stores, store => store.remove_member(chat, user, at(now), audit.clone()))
        }
        Act::Read { chat, user, read } => {
            let (chat, user) = (ids.chat(chat), ids.user(user));
            both!(stores, store => store.advance_read(chat, user, read))
        }
        Act::Send { entries } => {
            let entries: Vec<_> = entries.into_iter().map(|entry| sent(ids, entry)).collect();
            both!(stores, store => store.append(entries.clone()))
        }
        of_events => answers_about_events(stores, of_events, ids).await,
    }
}

async fn answers_about_events(
    stores: &(Subject, Subject),
    act: Act,
    ids: &mut StoredIds,
) -> (String, String) {
    match act {
        Act::MakeEvent {
            owner,
            key: number,
            now,
        } => {
            let new = NewEvent {
                pk: NewPk::default(),
                owner: ids.user(owner),
                details: EventDetails::default(),
                key: number.map(key),
                at: at(now),
                audit: Some(record(now, None, Some(ids.user(owner)))),
            };
            both!(stores, store => store.create_event(new.clone()))
        }
        Act::ChangeEvent { event, name, now } => {
            let change = EventChange {
                name: name.map(text),
                ..EventChange::default()
            };
            let audit = Some(record(now, None, None));
            both!(stores, store => {
                store.change_event(event, change.clone(), at(now), audit.clone())
            })
        }
        Act::DeleteEvent { event } => {
            let audit = Some(record(4, None, None));
            both!(stores, store => store.delete_event(event, audit.clone()))
        }
        Act::Open { event, guest, now } => {
            let (id, guest) = (ChatId::new(at(now)), ids.user(guest));
            // No user writes to itself.
            let event_now = stores.0.event(event).await.expect("an answer");
            if event_now.is_some_and(|event| event.owner.id == guest) {
                return Default::default();
            }
            ids.chats.push(id);
            ids.event_chats.push(id);
            let new = NewEventChat {
                pk: NewPk::default(),
                external_id: None,
                id,
                event,
                guest,
                at: at(now),
                audit: Some(record(now, Some(id), Some(guest))),
            };
            both!(stores, store => store.open_event_chat_within(new.clone(), limits(now)))
        }
        of_rights => answers_about_rights(stores, of_rights, ids).await,
    }
}

fn new_chat(
    ids: &StoredIds,
    members: &[usize],
    policy: Policy,
    number: Option<u8>,
    now: i64,
) -> NewChat {
    let mut members: Vec<_> = members.iter().map(|member| ids.user(*member)).collect();
    members.sort_unstable();
    members.dedup();
    let id = ChatId::new(at(now));
    let placed = members.iter();
    let audit = placed.map(|member| record(now, Some(id), Some(*member)));
    NewChat {
        pk: NewPk::default(),
        external_id: None,
        id,
        audit: audit.collect(),
        name: None,
        policy,
        owner: members.first().copied(),
        team: None,
        members,
        key: number.map(key),
        at: at(now),
    }
}

fn sent(
    ids: &StoredIds,
    (chat, sender, client_id, now): (usize, usize, Option<u8>, i64),
) -> PendingMessage {
    PendingMessage {
        id: MessageId::new(at(now)),
        chat: ids.chat(chat),
        sender: ids.user(sender),
        origin: None,
        // All fields: both stores are compared in each of them, a new one included.
        draft: Draft {
            kind: "text".into(),
            text: format!("at {now}"),
            photos: client_id.map(text).into_iter().collect(),
            client_id: client_id.map(text),
            original_id: None,
            metadata: Metadata::of_json(format!("{{\"at\": {now}}}")),
            sent_as_read: now % 2 == 0,
        },
        at: at(now),
    }
}

/// The whole content of a store.
async fn everything(store: &dyn Store, ids: &StoredIds) -> Vec<String> {
    let mut all = vec![
        comparable(store.users_after(1, 3).await),
        comparable(store.chats_after(0, 4).await),
        comparable(store.events_after(None, 0, 9).await),
        comparable(store.users(&ids.users).await),
        comparable(store.unknown_users(&ids.users).await),
        comparable(store.users_in_many_chats(&ids.users, 2).await),
        comparable(store.rights_of(&ids.chats).await),
        comparable(store.chat_by_key(&text(0)).await),
        comparable(store.event_by_key(&text(1)).await),
        comparable(store.chats_of_event(1).await),
    ];
    all.extend(chats_of_users(store, ids).await);
    all.extend(histories(store, ids).await);
    all.extend(rights(store, ids).await);
    all
}

/// Two nodes on one MongoDB, which take turns.
async fn compare(acts: Vec<Act>) {
    let scratch = Scratch::new();
    let (node, other) = (scratch.node().await, scratch.node().await);
    let sqlite = crate::store::open("sqlite::memory:").await;
    let mut stores = (sqlite.expect("a database"), node);
    let mut resting = other;
    let mut ids = StoredIds {
        users: vec![UserId::new(at(0))],
        chats: vec![ChatId::new(at(0))],
        event_chats: Vec::new(),
    };
    for act in acts {
        let shown = format!("{act:?}");
        let (one, other) = answers(&stores, act, &mut ids).await;
        assert_eq!(one, other, "{shown}");
        swap(&mut stores.1, &mut resting);
        let (one, other) = both!(stores, store => store.heads(&ids.chats));
        assert_eq!(one, other, "where chats end after {shown}");
    }
    let one = everything(&*stores.0, &ids).await;
    for node in [&stores.1, &resting] {
        let other = everything(&**node, &ids).await;
        for (one, other) in one.iter().zip(&other) {
            assert_eq!(one, other);
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig {
        cases: CASES,
        max_shrink_iters: 60,
        failure_persistence: None,
        ..ProptestConfig::default()
    })]

    #[test]
    fn both_stores_answer_alike(acts in vec(act(), 1..60)) {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
        runtime.expect("a runtime").block_on(compare(acts));
    }
}
