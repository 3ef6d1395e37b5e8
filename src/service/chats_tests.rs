//! A repeated request to create a chat, after its members have changed.
//! Does not know headers: the key is an argument.

use super::*;
use crate::fixtures::{BlockingBackend, HOST, identity};
use crate::model::{ChatChoice, Command, ConnectionId, ErrorKind, Fingerprint, Profile};

const NOW: jiff::Timestamp = jiff::Timestamp::UNIX_EPOCH;

/// Creates a chat of Anna and Boris twice by the same key, and removes Anna in between. Returns the
/// chat, the answer to the second request, and Anna.
fn repeated(host: bool) -> (BlockingBackend, Chat, Result<Reply, Error>, UserId) {
    let backend = BlockingBackend::open(NOW);
    let [anna, boris] = ["anna", "boris"].map(|name| backend.user(name, Profile::default()).id);
    let caller = if host {
        HOST
    } else {
        identity(anna, ConnectionId::new(NOW))
    };
    let create = || Command::CreateChat {
        chosen: ChatChoice::default(),
        name: Some("Tea".to_owned()),
        members: vec![anna.into(), boris.into()],
        key: Some(IdempotencyKey {
            name: "once".to_owned(),
            content: Fingerprint::of("Tea"),
        }),
    };
    let Ok(Reply::Chat(made)) = backend.execute(&caller, create()) else {
        panic!("no chat")
    };
    let remove = Command::RemoveMember {
        chat: ChatRef::Id(made.id),
        user: anna,
    };
    backend.execute(&HOST, remove).expect("removed");
    backend.notices();
    let again = backend.execute(&caller, create());
    (backend, made, again, anna)
}

fn members(backend: &BlockingBackend, chat: ChatId) -> Vec<UserId> {
    let chat = backend.store(async |store| store.chat(chat).await);
    chat.expect("an answer").expect("a chat").members
}

#[test]
fn a_removed_creator_is_not_placed_back_and_does_not_see_the_chat() {
    let (backend, made, again, anna) = repeated(false);
    assert_eq!(again.expect_err("a stranger").kind, ErrorKind::NotFound);
    assert!(!members(&backend, made.id).contains(&anna));
    assert!(backend.notices().is_empty(), "nothing is published");
}

#[test]
fn the_host_sees_the_chat_as_it_is_by_now() {
    let (backend, made, again, anna) = repeated(true);
    let Ok(Reply::Chat(again)) = again else {
        panic!("{again:?}")
    };
    assert_eq!(
        (again.id, &again.members),
        (made.id, &members(&backend, made.id))
    );
    assert!(!again.members.contains(&anna));
    let notices = backend.notices();
    let confirms = |fact: &Fact| matches!(fact, Fact::MembersConfirmed(chat) if *chat == again);
    assert!(notices.iter().all(|notice| confirms(&notice.fact)));
}
