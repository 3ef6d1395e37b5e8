//! The promises of the committer when the store and the sender know different outcomes.

use jiff::Timestamp;
use tokio_util::task::TaskTracker;

use super::*;
use crate::bus::Local;
use crate::model::{
    Chat, Draft, MessageId, NewChat, NewPk, NewUser, Policy, Profile, User, UserId,
};
use crate::service::trust::Trust;
use crate::store;
use crate::telemetry::Metrics;

async fn chat_of(store: &dyn Store, name: &str) -> (User, Chat) {
    let at = Timestamp::UNIX_EPOCH;
    let user = NewUser {
        pk: NewPk::default(),
        id: UserId::new(at),
        external_id: name.into(),
        profile: Profile::default(),
        at,
        audit: None,
    };
    let user = store.find_or_create_user(user).await.expect("a user");
    let chat = NewChat {
        pk: NewPk::default(),
        external_id: None,
        id: ChatId::new(at),
        name: None,
        policy: Policy::Closed,
        owner: None,
        team: None,
        key: None,
        members: vec![user.id],
        at,
        audit: Vec::new(),
    };
    let chat = store.create_chat(chat).await.expect("a chat");
    (user, chat)
}

fn entry(sender: &User, chat: &Chat, client_id: &str) -> PendingMessage {
    let at = Timestamp::UNIX_EPOCH;
    PendingMessage {
        id: MessageId::new(at),
        chat: chat.id,
        sender: sender.id,
        origin: None,
        draft: Draft {
            client_id: Some(client_id.into()),
            ..Draft::text("hello")
        },
        at,
    }
}

#[tokio::test]
async fn what_was_stored_without_an_answer_is_answered_when_it_is_sent_again() {
    let store = store::open("sqlite::memory:").await.expect("a store");
    let bus: Arc<dyn Bus> = Arc::new(Local::default());
    let (anna, chat) = chat_of(&*store, "anna").await;
    // Stored, but the response was lost: so nothing was published.
    let lost = store.append(vec![entry(&anna, &chat, "once")]).await;
    let lost = lost.expect("stored").remove(0).expect("a chat");

    let heads = Arc::new(Heads::with_trust(Trust::default()));
    let metrics = Metrics::default();
    let memberships = Arc::new(Memberships::new(Arc::clone(&store), Trust::default()));
    let (append, committer) = new(
        Arc::clone(&store),
        Arc::clone(&bus),
        heads,
        (memberships, Arc::default()),
        metrics,
    );
    let (tasks, stop) = (TaskTracker::new(), CancellationToken::new());
    let running = tasks.spawn(committer.run(stop.clone()));
    let request = SendRequest {
        actor: Actor::User(anna.id),
        chat: ChatRef::Id(chat.id),
    };
    let answered = append
        .enqueue(entry(&anna, &chat, "once"), Some(request))
        .await;
    let answer = answered.expect("a place").await.expect("an answer");
    let Ok(Sent::Repeated(again)) = answer else {
        panic!("{answer:?}");
    };
    assert_eq!(again.id, lost.message().id);

    stop.cancel();
    running.await.expect("the committer ends");
    bus.close();
    let notices = bus.next(2).await.local();
    let [notice] = &*notices else {
        panic!("once only: {notices:?}");
    };
    let Fact::MessageSent(published) = &notice.fact else {
        panic!("{notice:?}");
    };
    assert_eq!(published.id, again.id);
}
