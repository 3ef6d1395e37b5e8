//! The promises about the limits of members and chats: they hold for concurrent requests, in every way
//! in, with the codes of the single request.
//! Does not know a dialect.

use std::sync::Arc;

use futures_util::future::join_all;
use jiff::Timestamp;

use super::*;
use crate::bus::Local;
use crate::model::{
    ChatChoice, ChatId, ChatRef, Clock, Command, ErrorKind, EventDetails, NewPk, NewUser, Profile,
    Reply,
};
use crate::service::Limits;
use crate::store::{self, Store};
use crate::telemetry::Metrics;

const NOW: Timestamp = Timestamp::UNIX_EPOCH;

/// How many requests are made at once.
const AT_ONCE: usize = 24;

/// The host application, without a user.
const HOST: Identity = Identity {
    user: None,
    rights: Rights::Service,
    connection: None,
    request: None,
};

const fn own(user: UserId) -> Identity {
    Identity {
        user: Some(user),
        rights: Rights::Own,
        connection: None,
        request: None,
    }
}

struct Scene {
    store: Arc<dyn Store>,
    service: Service,
    users: Vec<UserId>,
}

impl Scene {
    async fn new(members: usize, chats: Option<usize>, users: usize) -> Self {
        let store = store::open("sqlite::memory:").await.expect("a store");
        let limits = Limits {
            message_bytes: 100,
            members,
            chats,
        };
        let (bus, clock) = (Arc::new(Local::default()), Clock::fixed(NOW));
        let (service, _) = Service::new(Arc::clone(&store), bus, clock, limits, Metrics::default());
        let new = (0..users).map(|number| NewUser {
            pk: NewPk::default(),
            id: UserId::new(NOW),
            external_id: format!("user {number}"),
            profile: Profile::default(),
            at: NOW,
            audit: None,
        });
        let users = store.find_or_create_users(new.collect()).await;
        let users = users.expect("users").iter().map(|user| user.id).collect();
        Self {
            store,
            service,
            users,
        }
    }

    async fn execute(&self, identity: &Identity, command: Command) -> Result<Reply, Error> {
        self.service.execute(identity, command).await
    }

    async fn chat(&self, identity: &Identity, members: &[UserId]) -> Result<ChatId, Error> {
        let create = Command::CreateChat {
            chosen: ChatChoice::default(),
            name: None,
            members: members.iter().copied().map(Into::into).collect(),
            key: None,
        };
        match self.execute(identity, create).await? {
            Reply::Chat(chat) => Ok(chat.id),
            other => panic!("{other:?}"),
        }
    }

    async fn room(&self, identity: &Identity) -> Result<ChatId, Error> {
        let create = Command::CreateRoom {
            name: None,
            team: None,
        };
        match self.execute(identity, create).await? {
            Reply::Room(room) => Ok(room.chat.id),
            other => panic!("{other:?}"),
        }
    }

    async fn add(&self, chat: ChatId, user: UserId) -> Result<Reply, Error> {
        let add = Command::AddMembers {
            chat: ChatRef::Id(chat),
            users: vec![user.into()],
        };
        self.execute(&HOST, add).await
    }

    async fn join(&self, chat: ChatId, user: UserId) -> Result<Reply, Error> {
        let join = Command::JoinChat {
            chat: ChatRef::Id(chat),
            read: None,
        };
        self.execute(&own(user), join).await
    }

    async fn members_of(&self, chat: ChatId) -> usize {
        let found = self.store.chat(chat).await.expect("an answer");
        found.expect("a chat").members.len()
    }
}

/// How many of these succeeded; the others were refused with this text.
#[track_caller]
fn succeeded<T: std::fmt::Debug>(outcomes: Vec<Result<T, Error>>, text: &str) -> usize {
    let refused = |outcome: Result<T, Error>| {
        outcome
            .map_err(|error| assert_eq!((error.kind, &*error.message), (ErrorKind::TooLarge, text)))
            .is_ok()
    };
    outcomes
        .into_iter()
        .map(refused)
        .filter(|done| *done)
        .count()
}

#[tokio::test]
async fn additions_at_once_stop_at_the_members_of_a_chat() {
    let scene = Scene::new(10, None, 4 + AT_ONCE).await;
    let chat = scene.chat(&HOST, &scene.users[..4]).await.expect("a chat");
    let additions = scene.users[4..].iter().map(|user| scene.add(chat, *user));
    let added = succeeded(join_all(additions).await, "chat: at most 10 members");
    assert_eq!((added, scene.members_of(chat).await), (6, 10));
}

#[tokio::test]
async fn joins_at_once_stop_at_the_members_of_a_room() {
    let scene = Scene::new(10, None, AT_ONCE).await;
    let room = scene.room(&own(scene.users[0])).await.expect("a room");
    let joins = scene.users.iter().map(|user| scene.join(room, *user));
    let joined = succeeded(join_all(joins).await, "chat: at most 10 members");
    assert_eq!((joined, scene.members_of(room).await), (10, 10));
}

#[tokio::test]
async fn every_way_in_at_once_stops_at_the_chats_of_a_user() {
    let scene = Scene::new(100, Some(5), 2 + AT_ONCE).await;
    let [anna, boris, others @ ..] = &*scene.users else {
        panic!("users");
    };
    let mut rooms = Vec::new();
    for owner in others {
        rooms.push(scene.room(&own(*owner)).await.expect("a room"));
    }
    let details = EventDetails {
        name: "Picnic".into(),
        ..EventDetails::default()
    };
    let create = Command::CreateEvent {
        pk: None,
        owner: (*boris).into(),
        details,
        key: None,
    };
    let Ok(Reply::Event(event)) = scene.execute(&HOST, create).await else {
        panic!("an event");
    };
    let caller = own(*anna);
    let open = async || {
        let open = Command::OpenEventChat {
            chosen: ChatChoice::default(),
            user: None,
            event: event.pk,
        };
        scene.execute(&caller, open).await.map(drop)
    };
    let joins = rooms.iter().map(|room| async {
        let joined = scene.join(*room, *anna).await;
        joined.map(drop)
    });
    let chats = (0..5).map(|_| async { scene.chat(&caller, &[]).await.map(drop) });
    let made = (0..5).map(|_| async { scene.room(&caller).await.map(drop) });
    let (joined, chats, made, opened) =
        tokio::join!(join_all(joins), join_all(chats), join_all(made), open());
    let outcomes = [joined, chats, made, vec![opened]].concat();
    assert_eq!(succeeded(outcomes, "chats: at most 5 of one user"), 5);
    let many = async |chats| {
        let many = scene.store.users_in_many_chats(&[*anna], chats).await;
        !many.expect("an answer").is_empty()
    };
    assert!(many(5).await && !many(6).await);
    let another = scene.room(&own(others[0])).await.expect("a room");
    let added = vec![scene.add(another, *anna).await];
    let text = format!("users: at most 5 chats of user {anna}");
    assert_eq!(succeeded(added, &text), 0);
}

#[tokio::test]
async fn rooms_that_a_user_makes_count_though_it_joins_none() {
    let scene = Scene::new(100, Some(5), 1).await;
    let caller = own(scene.users[0]);
    let mut made = Vec::new();
    for _ in 0..9 {
        made.push(scene.room(&caller).await);
    }
    let first = made[0].clone().expect("a room");
    assert_eq!(succeeded(made, "chats: at most 5 of one user"), 5);
    // It may join each of its own.
    let joined = scene.join(first, scene.users[0]).await;
    assert!(joined.is_ok(), "{joined:?}");
    // A chat that it has left is its own still.
    let leave = Command::LeaveChat {
        chat: ChatRef::Id(first),
    };
    scene.execute(&caller, leave).await.expect("left");
    let refused = vec![scene.room(&caller).await, scene.chat(&caller, &[]).await];
    assert_eq!(succeeded(refused, "chats: at most 5 of one user"), 0);
}

#[tokio::test]
async fn the_user_of_a_service_makes_chats_for_others_in_any_number() {
    let scene = Scene::new(100, Some(2), 9).await;
    let service = Identity {
        user: Some(scene.users[0]),
        ..HOST
    };
    for member in &scene.users[1..] {
        scene.chat(&service, &[*member]).await.expect("a chat");
    }
    let twice = [scene.users[1], scene.users[2]];
    scene.chat(&service, &twice).await.expect("a chat");
    let refused = vec![scene.chat(&service, &twice).await];
    let text = format!("users: at most 2 chats of user {}", twice[0]);
    assert_eq!(succeeded(refused, &text), 0);
}
