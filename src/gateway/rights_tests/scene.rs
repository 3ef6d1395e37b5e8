//! The users, and a chat in which each has its role.
//! Does not know operations.

use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use secrecy::SecretString;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use super::matrix::Role;
use crate::auth::{self, Authenticator};
use crate::fixtures::{Backend, HOST, identity};
use crate::gateway::closing::Closing;
use crate::gateway::rest;
use crate::gateway::state::GatewayState;
use crate::hub::{Hub, OutboxLimits};
use crate::limits::Limits;
use crate::model::{
    Chat, ChatChoice, ChatId, ChatPk, ChatRef, Clock, Command, ConnectionId, Draft, Identity,
    MemberRole, Profile, Reply, Rights, SanctionTerm, User, UserId,
};
use crate::service::Service;

/// How long the mutes and bans of a scene apply, in seconds.
const TERM: i64 = 60;

/// The visibility of the chat.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Kind {
    Closed,
    Open,
}

/// The users of all scenes, and the server.
pub(super) struct World {
    pub(super) clock: Clock,
    /// Of a server in open mode: a request has the rights of the token's user.
    pub(super) open_rest: Router,
    /// Of a server with JWTs.
    pub(super) jwt_rest: Router,
    /// The token of the host application's backend.
    pub(super) service_token: String,
    users: Vec<(Role, Arc<User>)>,
    /// A member that is the creator of the chat.
    pub(super) creator: UserId,
    pub(super) creator_name: String,
    /// Members on which the others act.
    pub(super) member: UserId,
    pub(super) moderator: UserId,
    pub(super) owner: UserId,
    pub(super) muted: UserId,
    /// A user that is no member, and one that is banned.
    pub(super) outsider: UserId,
    pub(super) banned: UserId,
    backend: Backend,
    stop: CancellationToken,
    tasks: TaskTracker,
}

impl World {
    pub(super) async fn open() -> Self {
        let clock = Clock::fixed("2026-01-01T00:00:00Z".parse().expect("a time"));
        let (backend, committer) = Backend::open(clock.clone()).await;
        let (tasks, stop) = (TaskTracker::new(), CancellationToken::new());
        tasks.spawn(committer.run(stop.clone()));
        let bus = Arc::clone(&backend.bus);
        tasks.spawn(async move { while !bus.next(64).await.local().is_empty() {} });
        let user = async |name: &str| backend.user(name, Profile::default()).await;
        let mut users = Vec::new();
        for role in super::ROLES {
            users.push((role, user(&format!("{role:?}")).await));
        }
        let creator = user("creator").await;
        let secret = SecretString::from("a secret of thirty-two characters".to_owned());
        let mint = |name: &str| {
            let (role, ttl) = (crate::model::Role::Service, Duration::from_hours(1));
            auth::mint(&secret, name, role, ttl, clock.now()).expect("a token")
        };
        let rest = |authenticator: Authenticator| {
            rest::router(
                &state(&backend, &clock, authenticator),
                TaskTracker::new(),
                65536,
            )
        };
        let jwt = Authenticator::jwt(Some(&secret), &[]).expect("a key");
        Self {
            open_rest: rest(Authenticator::open()),
            jwt_rest: rest(jwt),
            service_token: mint("Service"),
            users,
            creator: creator.id,
            creator_name: creator.external_id.clone(),
            member: user("another member").await.id,
            moderator: user("another moderator").await.id,
            owner: user("another owner").await.id,
            muted: user("another muted member").await.id,
            outsider: user("another stranger").await.id,
            banned: user("another banned user").await.id,
            backend,
            clock,
            stop,
            tasks,
        }
    }

    pub(super) fn service(&self) -> &Service {
        &self.backend.service
    }

    /// The user of this role.
    pub(super) fn of(&self, role: Role) -> UserId {
        self.user(role).id
    }

    fn user(&self, role: Role) -> &User {
        let mut users = self.users.iter();
        let found = users.find(|(known, _)| *known == role);
        &found.expect("every role has a user").1
    }

    /// The token of this user in open mode.
    pub(super) fn token(&self, user: UserId) -> &str {
        let mut users = self.users.iter().map(|(_, user)| user);
        let known = users.find(|known| known.id == user);
        known.map_or(&self.creator_name, |user| &user.external_id)
    }

    /// The identity of this user on a connection of its own.
    pub(super) fn identity(&self, role: Role, user: UserId) -> Identity {
        let connection = ConnectionId::new(self.clock.now());
        match role {
            Role::Service => Identity {
                rights: Rights::Service,
                ..identity(user, connection)
            },
            _ => identity(user, connection),
        }
    }

    pub(super) async fn execute(&self, identity: &Identity, command: Command) -> Reply {
        let shown = format!("{command:?}");
        let reply = self.service().execute(identity, command).await;
        reply.unwrap_or_else(|error| panic!("{shown}: {error}"))
    }

    pub(super) async fn close(self) {
        self.stop.cancel();
        self.backend.bus.close();
        self.tasks.close();
        self.tasks.wait().await;
    }
}

fn state(backend: &Backend, clock: &Clock, authenticator: Authenticator) -> GatewayState {
    GatewayState {
        service: Arc::clone(&backend.service),
        hub: Arc::new(Hub::default()),
        authenticator: Arc::new(authenticator),
        clock: clock.clone(),
        outbox: OutboxLimits {
            frames: 1000,
            bytes: 1 << 20,
        },
        limits: Arc::new(Limits::off()),
        closing: Closing::default(),
        metrics: backend.metrics.clone(),
        log_requests: false,
    }
}

/// A chat in which each user has its role.
pub(super) struct Scene {
    pub(super) chat: ChatId,
    pub(super) pk: ChatPk,
}

impl Scene {
    pub(super) async fn set(world: &World, kind: Kind) -> Self {
        let Chat { id, pk, .. } = created(world, kind).await;
        let chat = ChatRef::Id(id);
        let host = async |command| world.execute(&HOST, command).await;
        let users = [
            world.of(Role::ExMember),
            world.of(Role::Banned),
            world.of(Role::Muted),
            world.of(Role::Reader),
            world.of(Role::Member),
            world.of(Role::Moderator),
            world.of(Role::Owner),
            world.member,
            world.moderator,
            world.owner,
            world.muted,
            world.banned,
        ];
        let users = users.iter().copied().map(Into::into).collect();
        let added = Command::AddMembers {
            chat: chat.clone(),
            users,
        };
        host(added).await;
        let user = world.of(Role::ExMember);
        host(Command::RemoveMember {
            chat: chat.clone(),
            user,
        })
        .await;
        judge(world, &chat).await;
        let user = Some(world.creator.into());
        let draft = Draft::text("hello");
        host(Command::SendMessage { user, chat, draft }).await;
        Self { chat: id, pk }
    }
}

/// Gives the users of the scene their roles, mutes and bans.
async fn judge(world: &World, chat: &ChatRef) {
    let host = async |command| world.execute(&HOST, command).await;
    let chat = || chat.clone();
    let roles = [
        (world.of(Role::Reader), MemberRole::Reader),
        (world.of(Role::Moderator), MemberRole::Moderator),
        (world.of(Role::Owner), MemberRole::Owner),
        (world.moderator, MemberRole::Moderator),
        (world.owner, MemberRole::Owner),
    ];
    for (user, role) in roles {
        let (chat, user) = (chat(), user.into());
        host(Command::SetRole { chat, user, role }).await;
    }
    let term = SanctionTerm::Seconds(TERM);
    for user in [world.of(Role::Muted), world.muted] {
        let (chat, user) = (chat(), user.into());
        host(Command::MuteUser { chat, user, term }).await;
    }
    for user in [world.of(Role::Banned), world.banned] {
        let (chat, user) = (chat(), user.into());
        host(Command::BanUser { chat, user, term }).await;
    }
}

async fn created(world: &World, kind: Kind) -> Chat {
    let creator = world.identity(Role::Owner, world.creator);
    let (name, key) = (None, None);
    match kind {
        Kind::Closed => {
            let members = vec![world.creator.into()];
            let create = Command::CreateChat {
                chosen: ChatChoice::default(),
                name,
                members,
                key,
            };
            match world.execute(&creator, create).await {
                Reply::Chat(chat) => chat,
                other => panic!("{other:?}"),
            }
        }
        Kind::Open => {
            let create = Command::CreateRoom { name, team: None };
            let Reply::Room(room) = world.execute(&creator, create).await else {
                panic!("no room")
            };
            let (chat, read) = (ChatRef::Id(room.chat.id), None);
            world
                .execute(&creator, Command::JoinChat { chat, read })
                .await;
            room.chat
        }
    }
}
