//! The server as it is wired, on a port of loopback, with small buffers of the kernel: what a client
//! does not read soon waits in its outbox.
//! Does not know clients.

use std::collections::BTreeMap;
use std::ffi::OsString;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use tokio::net::TcpSocket;
use tokio::task::JoinHandle;

use super::super::nodes::Node as Shared;
use super::super::{Admission, Parts, Stop};
use crate::bus::Local;
use crate::config::{Cli, Config, Drain, SocketIo};
use crate::fixtures::HOST;
use crate::gateway::{self, Gateway, MetricsAddress};
use crate::lease::Lease;
use crate::limits::Hosts;
use crate::model::{
    ChatChoice, ChatId, ChatRef, Clock, Command, Draft, EventDetails, Profile, Reply, UserId,
};
use crate::server::listeners::Listeners;
use crate::store;

/// How many users there are, and how many chats of all of them.
pub(super) const USERS: usize = 5;
pub(super) const CHATS: usize = 3;

/// The buffers of the kernel, on either side.
pub(super) const BUFFER: u32 = 4096;

/// How many messages each chat has at first, and how long they are: a response with all of them is
/// longer than what the kernel holds.
const HISTORY: (usize, usize) = (60, 3000);

/// The name of a user, which is its token.
pub(super) fn name(user: usize) -> String {
    format!("user-{user}")
}

/// A running server, with users and chats.
pub(super) struct Node {
    pub(super) address: SocketAddr,
    pub(super) users: Vec<UserId>,
    /// Closed chats of all users; the last one is about an event, and of the first two.
    pub(super) chats: Vec<(ChatId, i64)>,
    pub(super) parts: Parts,
    gateway: Gateway,
    serving: Vec<JoinHandle<std::io::Result<()>>>,
}

fn config(side: &str) -> Config {
    let arguments = [
        "polychat",
        "--store",
        "sqlite::memory:",
        "--rate-limit",
        "off",
        "--max-outbox-bytes",
        "1000000",
        "--max-outbox-messages",
        "24",
        "--socketio",
        side,
    ];
    let arguments = arguments.map(OsString::from).to_vec();
    Cli::read(arguments).expect("good options").config
}

impl Node {
    /// Starts a server with this side of Socket.IO.
    pub(super) async fn open(side: &str) -> Self {
        let config = config(side);
        let admission = Admission::of(&config).expect("a good combination");
        let socket = TcpSocket::new_v4().expect("a socket");
        socket.set_send_buffer_size(BUFFER).expect("a small buffer");
        let any = SocketAddr::from(([127, 0, 0, 1], 0));
        socket.bind(any).expect("a free port");
        let clients = socket.listen(64).expect("a listener");
        let address = clients.local_addr().expect("an address");
        let store = store::connect(&config.store).await.expect("a store");
        let mut lease = Lease::share(&store).await.expect("a lease");
        lease.migrate().await.expect("a new store");
        let bus = Arc::new(Local::default());
        let (node, clock) = (Shared { lease, bus }, Clock::system());
        let parts = Parts::assemble(&config, store, node, admission.authenticator, clock);
        let settings = gateway::Settings {
            hosts: admission.hosts,
            zone: config.timezone.clone(),
            frame_bytes: config.max_frame_bytes,
            socketio: match config.socketio {
                SocketIo::Socketioxide => gateway::SocketIo::Socketioxide,
                SocketIo::Native => gateway::SocketIo::Native,
            },
            metrics: MetricsAddress::Shared,
        };
        let gateway = Gateway::new(&parts.state, &admission.origins, settings);
        let metrics = None;
        let serving = Listeners { clients, metrics }.serve(&parts, &gateway, Hosts::Any);
        let mut node = Self {
            address,
            users: Vec::new(),
            chats: Vec::new(),
            parts,
            gateway,
            serving,
        };
        node.populate().await;
        node
    }

    async fn populate(&mut self) {
        for user in 0..USERS {
            let create = Command::CreateUser {
                pk: None,
                external_id: Some(name(user)),
                profile: Profile::default(),
            };
            match self.execute(create).await {
                Reply::User(user) => self.users.push(user.id),
                other => panic!("{other:?}"),
            }
        }
        for _ in 0..CHATS {
            let create = Command::CreateChat {
                chosen: ChatChoice::default(),
                name: None,
                members: self.users.iter().copied().map(Into::into).collect(),
                key: None,
            };
            match self.execute(create).await {
                Reply::Chat(chat) => self.chats.push((chat.id, chat.pk)),
                other => panic!("{other:?}"),
            }
        }
        let details = EventDetails {
            name: "an event".to_owned(),
            ..EventDetails::default()
        };
        let create = Command::CreateEvent {
            pk: None,
            owner: self.users[0].into(),
            details,
            key: None,
        };
        let Reply::Event(event) = self.execute(create).await else {
            panic!("no event");
        };
        let open = Command::OpenEventChat {
            chosen: ChatChoice::default(),
            user: Some(self.users[1]),
            event: event.pk,
        };
        match self.execute(open).await {
            Reply::EventChat(found) => {
                let found = &found.chat;
                self.chats.push((found.chat, found.chat_pk));
            }
            other => panic!("{other:?}"),
        }
        for chat in 0..=CHATS {
            self.send(chat, HISTORY.0, HISTORY.1).await;
        }
    }

    async fn execute(&self, command: Command) -> Reply {
        let reply = self.parts.state.service.execute(&HOST, command).await;
        reply.expect("the host application may")
    }

    /// The host application sends so many messages of this length, of the first user.
    pub(super) async fn send(&self, chat: usize, count: usize, length: usize) {
        for _ in 0..count {
            let send = Command::SendMessage {
                user: Some(self.users[0].into()),
                chat: ChatRef::Id(self.chats[chat].0),
                draft: Draft::text("x".repeat(length)),
            };
            self.execute(send).await;
        }
    }

    /// The host application removes the user from the chat, and adds it again.
    pub(super) async fn remove_for_a_while(&self, chat: usize, user: usize) {
        let (chat, user) = (ChatRef::Id(self.chats[chat].0), self.users[user]);
        self.execute(Command::RemoveMember {
            chat: chat.clone(),
            user,
        })
        .await;
        let users = vec![user.into()];
        self.execute(Command::AddMembers { chat, users }).await;
    }

    /// All samples of the gauges of what clients do, by their names with labels.
    pub(super) fn gauges(&self) -> BTreeMap<String, i64> {
        let text = self.parts.state.metrics.text();
        let types = text.lines().filter_map(|line| {
            let named = line.strip_prefix("# TYPE ")?.strip_suffix(" gauge")?;
            let of_nodes = named == "polychat_nodes" || named.starts_with("polychat_bus_");
            (named.starts_with("polychat_") && !of_nodes).then_some(named)
        });
        let names: Vec<_> = types.collect();
        let samples = text.lines().filter_map(|line| {
            let (sample, value) = line.rsplit_once(' ')?;
            let name = sample.split('{').next()?;
            let value = || value.parse().expect("a whole number");
            names.contains(&name).then(|| (sample.to_owned(), value()))
        });
        samples.collect()
    }

    /// The value of a counter, of all its samples together whose labels have this text.
    pub(super) fn counted(&self, counter: &str, labels: &str) -> u64 {
        let text = self.parts.state.metrics.text();
        let samples = text.lines().filter_map(|line| {
            let (sample, value) = line.strip_prefix(counter)?.rsplit_once(' ')?;
            sample
                .contains(labels)
                .then(|| value.parse::<u64>().expect("a number"))
        });
        samples.sum()
    }

    /// Ends the server in order.
    pub(super) async fn close(self) {
        let (stop, now) = (Ok(Stop::Terminate), Duration::ZERO);
        let drain = Drain {
            delay: now,
            spread: now,
        };
        let ended = self.parts.end(&self.gateway, self.serving, stop, drain);
        let ended = ended.await;
        ended.expect("the store closes");
    }
}

/// What waits in the outboxes, counted frame by frame.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Waiting {
    pub(super) connections: i64,
    pub(super) bytes: i64,
    /// The same by the totals of the users.
    pub(super) of_users: i64,
}

impl Node {
    /// Counts the connections of the hub, and what waits for them.
    pub(super) fn waiting(&self) -> Waiting {
        let users = self.parts.state.hub.recount();
        let sum = |of: fn(&(usize, usize, usize)) -> usize| {
            i64::try_from(users.iter().map(of).sum::<usize>()).expect("few")
        };
        Waiting {
            connections: sum(|user| user.0),
            bytes: sum(|user| user.1),
            of_users: sum(|user| user.2),
        }
    }
}
