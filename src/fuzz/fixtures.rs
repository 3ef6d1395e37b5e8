//! Executes the requests of fuzzed dialects: a real service, with one user's rooms and event chats
//! in its store.
//! Does not know dialects.

use std::cell::Cell;
use std::sync::Arc;

use jiff::Timestamp;

use crate::fixtures::{BlockingBackend, identity};
use crate::model::{
    Access, ChatId, ChatPk, Command, ConnectionId, Draft, Error, EventDetails, Identity, MessageId,
    NewChat, NewEvent, NewEventChat, NewPk, NewUser, Notice, PendingMessage, Policy, Profile,
    Reply, UserId,
};
use crate::store::Store;

/// Anna, the sender of the requests.
pub const USER: UserId = UserId::from_bytes([1; 16]);

/// Her connection.
pub const CONNECTION: ConnectionId = ConnectionId::from_bytes([1; 16]);

const BORIS: UserId = UserId::from_bytes([2; 16]);

/// Open rooms that Anna owns and is a member of; those between are closed to her.
pub const ROOMS: [ChatPk; 2] = [1, 4];

const AT: Timestamp = Timestamp::UNIX_EPOCH;

const ANNA: Identity = identity(USER, CONNECTION);

thread_local! {
    /// The seeded service that the last input has left as it was.
    static UNCHANGED: Cell<Option<BlockingBackend>> = const { Cell::new(None) };
}

/// A service for one input. Nothing of earlier inputs is in its store, so that an answer is at most
/// as long as this input.
pub struct Fixture {
    backend: Option<BlockingBackend>,
    changed: bool,
}

impl Fixture {
    /// A service as it is seeded.
    pub fn seeded() -> Self {
        Self {
            backend: Some(UNCHANGED.take().unwrap_or_else(backend)),
            changed: false,
        }
    }

    /// Executes a command of Anna's.
    ///
    /// # Errors
    /// Those of the service.
    pub fn execute(&mut self, command: &Command) -> Result<Reply, Error> {
        let reply = self.backend().execute(&ANNA, command.clone());
        self.changed |= command.stores()
            && match &reply {
                // She joined again; what she has read moves without a notice.
                Ok(Reply::Joined(joined)) => {
                    joined.fresh || !matches!(command, Command::JoinChat { read: None, .. })
                }
                Ok(Reply::EventChat(touched)) => touched.changed,
                Ok(Reply::Read(marked)) => marked.moved,
                Ok(_) => true,
                Err(_) => false,
            };
        reply
    }

    /// The notices published since the last call.
    pub fn notices(&self) -> Vec<Arc<Notice>> {
        self.backend().notices()
    }

    fn backend(&self) -> &BlockingBackend {
        self.backend.as_ref().expect("taken when it is dropped")
    }
}

impl Drop for Fixture {
    fn drop(&mut self) {
        if !self.changed && !std::thread::panicking() {
            UNCHANGED.set(self.backend.take());
        }
    }
}

fn backend() -> BlockingBackend {
    let backend = BlockingBackend::open(AT);
    backend.store(seed_rooms);
    backend.store(seed_events);
    backend
}

/// Fixed ids, which samples can name: the service would generate others.
async fn seed_rooms(store: &dyn Store) {
    let mut messages = Vec::new();
    for (id, name) in [(USER, "anna"), (BORIS, "boris")] {
        let new = NewUser {
            pk: NewPk::default(),
            id,
            external_id: name.to_owned(),
            profile: Profile::default(),
            at: AT,
            audit: None,
        };
        store.find_or_create_user(new).await.expect("a user");
    }
    for pk in 1_u8..=4 {
        let open = ROOMS.contains(&pk.into());
        let new = NewChat {
            pk: NewPk::default(),
            external_id: None,
            id: ChatId::from_bytes([0x10 + pk; 16]),
            name: None,
            policy: if open { Policy::Open } else { Policy::Closed },
            owner: open.then_some(USER),
            team: None,
            members: if open { vec![USER] } else { vec![] },
            key: None,
            at: AT,
            audit: Vec::new(),
        };
        let chat = store.create_chat(new).await.expect("a chat");
        assert_eq!(chat.pk, ChatPk::from(pk));
        if open {
            messages.push(PendingMessage {
                id: MessageId::from_bytes([pk; 16]),
                chat: chat.id,
                sender: USER,
                origin: None,
                draft: Draft::text("hello"),
                at: AT,
            });
        }
    }
    store.append(messages).await.expect("messages");
}

/// Anna has applied for Boris's event, and Boris for hers.
async fn seed_events(store: &dyn Store) {
    for (pk, owner, guest) in [(1, BORIS, USER), (2, USER, BORIS)] {
        let details = EventDetails {
            name: "Event name".to_owned(),
            icons: Vec::new(),
            location: "ONLINE".to_owned(),
            starts: 0,
            ends: 0,
        };
        let new = NewEvent {
            pk: NewPk::default(),
            owner,
            details,
            key: None,
            at: AT,
            audit: None,
        };
        let event = store.create_event(new).await.expect("an event");
        let id = ChatId::from_bytes([pk; 16]);
        let new = NewEventChat {
            pk: NewPk::default(),
            external_id: None,
            id,
            event: event.pk,
            guest,
            at: AT,
            audit: None,
        };
        store.open_event_chat(new).await.expect("a chat");
        let from = [Access::Unasked];
        let applied = store
            .change_access(id, &from, Access::Asked, AT, None)
            .await;
        applied.expect("an application");
    }
}
