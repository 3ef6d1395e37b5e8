//! Without the lease nothing is served, and what the caches hold is right when it is back.
//! Does not test when a lease lapses: the tests of the store do.

use jiff::Timestamp;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use crate::fixtures::{Backend, HOST, identity};
use crate::model::{
    Caller, ChatChoice, ChatId, ChatRef, Clock, Command, ConnectionId, Error, ErrorKind,
    EventDetails, History, Positions, Profile, Range, Reply, Rights, Role, UserId, Window,
};
use crate::store::lease::{Mode, Process};
use crate::store::{Gate, Scratch, gated, open};
use crate::telemetry::Metrics;

const NOW: Timestamp = Timestamp::UNIX_EPOCH;

/// A service on a database of its own whose lease is taken, and three users of it.
struct Fixture {
    backend: Backend,
    gate: Gate,
    users: [UserId; 3],
    stop: CancellationToken,
    _scratch: Scratch,
}

impl Fixture {
    async fn open() -> Self {
        let scratch = Scratch::new();
        let store = open(&scratch.url()).await.expect("a database");
        let metrics = Metrics::default();
        let (store, gate) = gated(store, metrics.clone());
        let (backend, committer) = Backend::over(store, metrics, Clock::fixed(NOW));
        let stop = CancellationToken::new();
        TaskTracker::new().spawn(committer.run(stop.clone()));
        let mut users = [HOST; 3].map(|_| UserId::new(NOW));
        for (user, name) in users.iter_mut().zip(["anna", "boris", "vera"]) {
            *user = backend.user(name, Profile::default()).await.id;
        }
        let fixture = Self {
            backend,
            gate,
            users,
            stop,
            _scratch: scratch,
        };
        fixture.take().await;
        fixture
    }

    async fn take(&self) {
        let process = Process {
            command: "serve".into(),
            host: "here".into(),
            pid: 1,
            version: "1".into(),
        };
        let taken = self.backend.store.take_lease(&process, Mode::Shared).await;
        assert!(taken.expect("an answer").is_own());
    }

    async fn host(&self, command: Command) -> Result<Reply, Error> {
        self.backend.service.execute(&HOST, command).await
    }

    /// A chat of these users, whose members are cached.
    async fn chat(&self, members: &[UserId]) -> ChatId {
        let create = Command::CreateChat {
            chosen: ChatChoice::default(),
            name: None,
            members: members.iter().copied().map(Into::into).collect(),
            key: None,
        };
        let chat = match self.host(create).await {
            Ok(Reply::Chat(chat)) => chat.id,
            other => panic!("{other:?}"),
        };
        assert!(self.sees(members[0], chat).await);
        chat
    }

    /// Whether the user may read the chat.
    async fn sees(&self, user: UserId, chat: ChatId) -> bool {
        let list = Command::ListMessages {
            user: None,
            chat: ChatRef::Id(chat),
            history: History {
                range: Range::default(),
                window: Window::Last(1),
            },
            positions: Positions::Omitted,
        };
        let caller = identity(user, ConnectionId::new(NOW));
        match self.backend.service.execute(&caller, list).await {
            Ok(_) => true,
            Err(error) if error.kind == ErrorKind::NotFound => false,
            Err(error) => panic!("{error:?}"),
        }
    }

    /// Lets the lease be gone when the store has done this, until after its answer.
    async fn loses_the_answer(&self, operation: &'static str, command: Command) {
        let held = self.gate.hold(operation);
        let lapse = async {
            held.answered().await;
            let released = self.backend.store.release_lease().await;
            released.expect("released");
            held.release();
        };
        let (reply, ()) = tokio::join!(self.host(command), lapse);
        assert_unavailable(reply);
        self.take().await;
    }
}

impl Drop for Fixture {
    fn drop(&mut self) {
        self.stop.cancel();
    }
}

fn assert_unavailable<T: std::fmt::Debug>(reply: Result<T, Error>) {
    let error = reply.expect_err("the lease is not held");
    assert_eq!(error.kind, ErrorKind::Unavailable, "{error:?}");
}

#[tokio::test]
async fn without_the_lease_nothing_is_served_and_the_reason_is_given() {
    let fixture = Fixture::open().await;
    let service = &fixture.backend.service;
    let caller = || Caller {
        pk: None,
        external_id: "anna".into(),
        profile: Profile::default(),
        role: Role::User,
        expires_at: None,
        issued_at: None,
    };
    // Known from now on, so that the store is not needed.
    let known = service.identify(Some(caller()), Rights::Own).await;
    known.expect("an identity");
    fixture
        .backend
        .store
        .release_lease()
        .await
        .expect("released");
    assert_unavailable(service.identify(Some(caller()), Rights::Own).await);
    assert_unavailable(
        fixture
            .host(Command::ListRooms {
                limit: None,
                before: None,
            })
            .await,
    );
    let error = service.ready().await.expect_err("not ready");
    assert!(error.message.contains("lease"), "{error:?}");
    fixture.take().await;
    service.ready().await.expect("ready");
    let known = service.identify(Some(caller()), Rights::Own).await;
    known.expect("an identity");
}

#[tokio::test]
async fn a_change_of_members_without_an_answer_is_not_forgotten() {
    let fixture = Fixture::open().await;
    let [anna, boris, vera] = fixture.users;
    let chat = fixture.chat(&[anna, boris]).await;
    let remove = Command::RemoveMember {
        chat: ChatRef::Id(chat),
        user: boris,
    };
    fixture.loses_the_answer("remove_member", remove).await;
    assert!(!fixture.sees(boris, chat).await);
    let add = Command::AddMembers {
        chat: ChatRef::Id(chat),
        users: vec![vera.into()],
    };
    fixture.loses_the_answer("add_member", add).await;
    assert!(fixture.sees(vera, chat).await);
    assert!(fixture.sees(anna, chat).await);
}

#[tokio::test]
async fn a_deletion_without_an_answer_is_not_forgotten() {
    let fixture = Fixture::open().await;
    let [anna, boris, _] = fixture.users;
    let chat = fixture.chat(&[anna, boris]).await;
    let delete = Command::DeleteChat {
        chat: ChatRef::Id(chat),
    };
    fixture.loses_the_answer("delete_chat", delete).await;
    assert!(!fixture.sees(anna, chat).await);

    let create = Command::CreateEvent {
        pk: None,
        owner: anna.into(),
        details: EventDetails {
            name: "Fair".into(),
            ..EventDetails::default()
        },
        key: None,
    };
    let event = match fixture.host(create).await {
        Ok(Reply::Event(event)) => event.pk,
        other => panic!("{other:?}"),
    };
    let open = Command::OpenEventChat {
        chosen: ChatChoice::default(),
        user: Some(boris),
        event,
    };
    let chat = match fixture.host(open).await {
        Ok(Reply::EventChat(opened)) => opened.chat.chat,
        other => panic!("{other:?}"),
    };
    assert!(fixture.sees(boris, chat).await);
    fixture
        .loses_the_answer("delete_event", Command::DeleteEvent { event })
        .await;
    assert!(!fixture.sees(boris, chat).await);
}
