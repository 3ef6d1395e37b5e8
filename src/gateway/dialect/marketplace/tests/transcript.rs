//! The conversation in `transcripts/marketplace.txt`, replayed: the frames of a client (`>`) go in,
//! and the frames to each client are those recorded (`<`), to the letter. Connections, hub and
//! service are those of the server, without transports; the hub receives a notice before the
//! response is encoded.

use std::collections::{BTreeMap, VecDeque};
use std::sync::Arc;

use super::scene::{begin, event, then, user};
use crate::auth::Authenticator;
use crate::fixtures::{BlockingBackend, identity};
use crate::gateway::closing::Closing;
use crate::gateway::connection::Connection;
use crate::gateway::dialect::fixtures::{decode, respond, texts};
use crate::gateway::dialect::{Decoded, DialectSession};
use crate::gateway::state::GatewayState;
use crate::hub::{Hub, OutboxLimits};
use crate::limits::Limits;
use crate::model::{
    Clock, Command, ConnectionId, Error, Fact, NewEvent, NewPk, Notice, Profile, Reply, User,
};
use crate::telemetry::{Metrics, Transport};

const TRANSCRIPT: &str = include_str!("../../transcripts/marketplace.txt");

#[test]
fn the_transcript_comes_true() {
    let mut replay = Replay::begin();
    for (number, line) in (1..).zip(TRANSCRIPT.lines()) {
        if line.is_empty() || line.starts_with('#') {
            continue;
        }
        let (name, rest) = line.split_once(' ').expect("a name");
        match rest.split_at_checked(2) {
            Some(("> ", frame)) => {
                replay.all_was_written(number);
                replay.receive(name, frame);
            }
            Some(("< ", frame)) => {
                let sent = replay.clients.get_mut(name).expect(name).sent.pop_front();
                let expected = replay.chats.expected(frame, sent.as_deref().unwrap_or(""));
                assert_eq!(sent, Some(expected), "line {number}");
            }
            _ => panic!("line {number}"),
        }
    }
    replay.all_was_written(TRANSCRIPT.lines().count());
    assert_eq!(replay.chats.0.len(), 2, "Gleb's chat and Vera's");
}

struct Replay<'a> {
    backend: BlockingBackend,
    state: GatewayState,
    users: Vec<Arc<User>>,
    chats: ChatIds<'a>,
    clients: BTreeMap<&'a str, Client>,
}

/// One connection, and the frames that were sent to it and not compared yet.
struct Client {
    connection: Connection,
    session: Arc<dyn DialectSession>,
    sent: VecDeque<String>,
}

impl<'a> Replay<'a> {
    /// A new server with three users; Olga owns event 1.
    fn begin() -> Self {
        let backend = BlockingBackend::open(then());
        let users = [("Olga", None), ("Gleb", Some("gleb-uuid")), ("Vera", None)];
        let users = users.map(|(name, image)| {
            let profile = Profile {
                name: Some(name.to_owned()),
                image_uuid: image.map(str::to_owned),
                ..Profile::default()
            };
            backend.user(name, profile)
        });
        let new = NewEvent {
            pk: NewPk::default(),
            owner: users[0].id,
            details: event(1, &user(1, "Olga", None)).details.clone(),
            key: None,
            at: then(),
            audit: None,
        };
        // The event of the seed ends before it starts.
        let event = backend.store(async |store| store.create_event(new).await);
        assert_eq!(event.expect("an event").pk, 1);
        let state = GatewayState {
            service: backend.service(),
            hub: Arc::new(Hub::default()),
            authenticator: Arc::new(Authenticator::open()),
            clock: Clock::fixed(then()),
            outbox: OutboxLimits {
                frames: 1000,
                bytes: 1 << 20,
            },
            limits: Arc::new(Limits::off()),
            closing: Closing::default(),
            metrics: Metrics::default(),
            log_requests: false,
        };
        Self {
            backend,
            state,
            users: users.to_vec(),
            chats: ChatIds::default(),
            clients: BTreeMap::new(),
        }
    }

    /// A client connects, or sends a frame.
    fn receive(&mut self, name: &'a str, frame: &str) {
        if frame == "(connects)" {
            self.connect(name);
        } else {
            let client = &self.clients[name];
            let frames = match decode(&client.session, &self.chats.assigned(frame)) {
                Decoded::Refused(_, frames) => frames,
                Decoded::Request(command, answer) => respond(answer, self.execute(client, command)),
            };
            for frame in frames {
                let outbox = client.connection.outbox();
                outbox.respond(frame).expect("an open connection");
            }
        }
        for client in self.clients.values_mut() {
            while let Some(frame) = client.connection.outbox().try_next() {
                client.sent.extend(texts(&[frame]));
            }
        }
    }

    /// A client connects under this name, and under the user's whose name it begins with.
    fn connect(&mut self, name: &'a str) {
        let mut users = self.users.iter();
        let user = users.find(|user| name.starts_with(&user.name));
        let user = user.expect("a known user");
        let session = begin(user);
        let id = ConnectionId::from_bytes([u8::try_from(self.clients.len()).expect("a few"); 16]);
        let connection = Connection::open(
            self.state.clone(),
            identity(user.id, id),
            None,
            Arc::clone(&session),
            Transport::Raw,
        );
        let connection = self.backend.block_on(connection);
        let client = Client {
            connection: connection.expect("a connection"),
            session,
            sent: VecDeque::new(),
        };
        self.clients.insert(name, client);
    }

    fn execute(&self, client: &Client, command: Command) -> Result<Reply, Error> {
        let reply = async { client.connection.begin(command).await.await };
        let reply = self.backend.block_on(reply);
        for notice in self.backend.notices() {
            self.pass_on(&notice);
        }
        reply
    }

    /// Hands a notice to the hub, as the relay does.
    fn pass_on(&self, notice: &Arc<Notice>) {
        let hub = &self.state.hub;
        match &notice.fact {
            Fact::MessageSent(message) => {
                hub.deliver(message.chat, std::slice::from_ref(notice));
            }
            Fact::ChatCreated(chat) => hub.chat_created(chat, notice),
            Fact::EventChatOpened(chat) | Fact::AccessChanged(chat) | Fact::ReadMoved(chat) => {
                hub.broadcast(chat.chat, notice);
            }
            other => panic!("not of this dialect: {other:?}"),
        }
    }

    /// Asserts that nothing was sent that the transcript does not have.
    fn all_was_written(&self, number: usize) {
        for (name, client) in &self.clients {
            assert!(
                client.sent.is_empty(),
                "line {number}: {name}: {:?}",
                client.sent
            );
        }
    }
}

/// The ids of chats in the transcript, each with the one that the service has generated: they are
/// random.
#[derive(Default)]
struct ChatIds<'a>(Vec<(&'a str, String)>);

impl<'a> ChatIds<'a> {
    /// The frame with the ids that the service has assigned.
    fn assigned(&self, frame: &str) -> String {
        let ids = self.0.iter();
        ids.fold(frame.to_owned(), |frame, (written, assigned)| {
            frame.replace(written, assigned)
        })
    }

    /// The same, once the id in `sent` is known to stand for the one that is new in `frame`.
    fn expected(&mut self, frame: &'a str, sent: &str) -> String {
        if let (Some(written), Some(assigned)) = (chat_id(frame), chat_id(sent))
            && !self
                .0
                .iter()
                .any(|(one, other)| *one == written || other == assigned)
        {
            self.0.push((written, assigned.to_owned()));
        }
        self.assigned(frame)
    }
}

/// The first id of a chat in a frame.
fn chat_id(frame: &str) -> Option<&str> {
    let (_, after) = frame.split_once(r#""chatId":""#)?;
    after.split('"').next()
}
