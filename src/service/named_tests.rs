//! Users that a request names by the external id or the number, and which of them it creates.
//! Does not know dialects.

use super::*;
use crate::fixtures::{BlockingBackend, HOST, identity};
use crate::model::{
    Chat, ChatChoice, ChatRef, Command, ConnectionId, Draft, MemberRole, Reply, Rights,
    SanctionTerm,
};

const NOW: jiff::Timestamp = jiff::Timestamp::UNIX_EPOCH;

/// A caller without a token in open mode.
const OPEN: Identity = Identity {
    rights: Rights::Open,
    ..HOST
};

fn external(name: &str) -> UserRef {
    UserRef::External(name.to_owned())
}

fn create(members: Vec<UserRef>) -> Command {
    Command::CreateChat {
        chosen: ChatChoice::default(),
        name: None,
        members,
        key: None,
    }
}

fn chat(reply: Result<Reply, Error>) -> Chat {
    match reply {
        Ok(Reply::Chat(chat)) => chat,
        Ok(Reply::Room(room)) => room.chat,
        other => panic!("{other:?}"),
    }
}

fn user(backend: &BlockingBackend, name: &str) -> crate::model::User {
    crate::model::User::clone(&backend.user(name, Profile::default()))
}

/// How many users there are.
fn users(backend: &BlockingBackend) -> usize {
    let all = backend.store(async |store| store.users_after(0, 1000).await);
    all.expect("read").len()
}

#[test]
fn unknown_members_are_created_by_the_host_and_in_open_mode() {
    for caller in [HOST, OPEN] {
        let backend = BlockingBackend::open(NOW);
        let anna = user(&backend, "anna");
        let named = vec![external("boris"), anna.id.into(), external("carla")];
        let made = chat(backend.execute(&caller, create(named)));
        let [boris, carla] = ["boris", "carla"].map(|name| user(&backend, name).id);
        assert_eq!(made.members, [boris, anna.id, carla]);
        assert_eq!(users(&backend), 3);
        let add = Command::AddMembers {
            chat: ChatRef::Id(made.id),
            users: vec![external("dora"), external("carla")],
        };
        let members = chat(backend.execute(&caller, add)).members;
        let dora = user(&backend, "dora").id;
        assert_eq!(members, [boris, anna.id, carla, dora]);
    }
}

#[test]
fn with_a_users_token_unknown_members_are_not_found() {
    let backend = BlockingBackend::open(NOW);
    let [anna, boris] = ["anna", "boris"].map(|name| user(&backend, name).id);
    let caller = identity(anna, ConnectionId::new(NOW));
    let refused = backend.execute(&caller, create(vec![external("boris"), external("eve")]));
    let refused = refused.expect_err("refused");
    assert_eq!(refused.kind, ErrorKind::NotFound);
    assert_eq!(refused.message, "no such user external:eve");
    assert_eq!(users(&backend), 2);
    let made = chat(backend.execute(&caller, create(vec![external("boris")])));
    assert_eq!(made.members, [boris, anna]);
    let add = Command::AddMembers {
        chat: ChatRef::Id(made.id),
        users: vec![external("eve")],
    };
    let refused = backend.execute(&caller, add).expect_err("refused");
    assert_eq!(refused.kind, ErrorKind::NotFound);
}

#[test]
fn a_user_with_two_names_is_one_member() {
    let backend = BlockingBackend::open(NOW);
    let anna = user(&backend, "anna");
    let names = vec![
        external("anna"),
        external("new"),
        UserRef::Pk(anna.pk),
        external("new"),
        anna.id.into(),
    ];
    let made = chat(backend.execute(&HOST, create(names)));
    assert_eq!(made.members, [anna.id, user(&backend, "new").id]);
}

#[test]
fn nothing_is_created_for_a_request_that_is_refused() {
    let backend = BlockingBackend::open(NOW);
    let unknown = UserId::new(NOW);
    let too_many = (0..1001).map(|number| external(&format!("u{number}")));
    let long = "x".repeat(257);
    let cases = [
        (vec![external("eve"), unknown.into()], ErrorKind::NotFound),
        (vec![external("eve"), UserRef::Pk(7)], ErrorKind::NotFound),
        (vec![external("eve"), external(" ")], ErrorKind::Invalid),
        (vec![external("eve"), external(&long)], ErrorKind::TooLarge),
        (too_many.collect(), ErrorKind::TooLarge),
    ];
    for (members, expected) in cases {
        let refused = backend
            .execute(&HOST, create(members))
            .expect_err("refused");
        assert_eq!(refused.kind, expected);
    }
    assert_eq!(users(&backend), 0);
}

#[test]
fn requests_on_behalf_of_a_user_and_about_one_find_it_and_create_none() {
    let backend = BlockingBackend::open(NOW);
    let [anna, boris] = ["anna", "boris"].map(|name| user(&backend, name));
    let made = chat(backend.execute(&HOST, create(vec![anna.id.into(), boris.id.into()])));
    let chat = ChatRef::Id(made.id);
    let send = |user| Command::SendMessage {
        user: Some(user),
        chat: chat.clone(),
        draft: Draft::text("hello"),
    };
    for name in [external("anna"), UserRef::Pk(anna.pk)] {
        let Ok(Reply::Sent(stored)) = backend.execute(&OPEN, send(name)) else {
            panic!("a message");
        };
        assert_eq!(stored.message().sender.id, anna.id);
    }
    let about = |user: UserRef| {
        [
            Command::SetRole {
                chat: chat.clone(),
                user: user.clone(),
                role: MemberRole::Reader,
            },
            Command::MuteUser {
                chat: chat.clone(),
                user: user.clone(),
                term: SanctionTerm::Endless,
            },
            Command::ListChats {
                user: Some(user.clone()),
                limit: None,
                before: None,
            },
            Command::BanUser {
                chat: chat.clone(),
                user,
                term: SanctionTerm::Endless,
            },
        ]
    };
    for command in about(external("boris")) {
        backend.execute(&OPEN, command).expect("done");
    }
    for command in about(external("eve"))
        .into_iter()
        .chain([send(external("eve"))])
    {
        let refused = backend.execute(&OPEN, command).expect_err("refused");
        assert_eq!(refused.kind, ErrorKind::NotFound);
    }
    assert_eq!(users(&backend), 2);
    // A verified user is itself by each of its names, and nobody else.
    let verified = identity(anna.id, ConnectionId::new(NOW));
    backend
        .execute(&verified, send(external("anna")))
        .expect("sent");
    let refused = backend.execute(&verified, send(external("boris")));
    assert_eq!(refused.expect_err("refused").kind, ErrorKind::Forbidden);
}

#[test]
fn every_user_may_look_up_every_other_one_and_itself() {
    let backend = BlockingBackend::open(NOW);
    let [anna, boris] = ["anna", "boris"].map(|name| user(&backend, name));
    let verified = identity(anna.id, ConnectionId::new(NOW));
    let names = [boris.id.into(), UserRef::Pk(boris.pk), external("boris")];
    for caller in [verified, HOST, OPEN] {
        for user in names.clone() {
            let found = backend.execute(&caller, Command::GetProfile { user });
            assert_eq!(found.expect("found"), Reply::Profile(boris.clone()));
        }
        let user = external("eve");
        let refused = backend.execute(&caller, Command::GetProfile { user });
        assert_eq!(refused.expect_err("refused").kind, ErrorKind::NotFound);
    }
    let of_service = Identity {
        user: Some(anna.id),
        ..HOST
    };
    for caller in [verified, of_service] {
        let me = backend.execute(&caller, Command::WhoAmI);
        assert_eq!(me.expect("found"), Reply::Me(anna.clone()));
    }
    let nobody = backend.execute(&OPEN, Command::WhoAmI);
    assert_eq!(nobody.expect_err("refused").kind, ErrorKind::Invalid);
    // The own full profile by the number, and no other one.
    let get = |user| Command::GetUser { user };
    let own = backend.execute(&verified, get(UserRef::Pk(anna.pk)));
    assert_eq!(own.expect("found"), Reply::User(anna));
    let other = backend.execute(&verified, get(UserRef::Pk(boris.pk)));
    assert_eq!(other.expect_err("refused").kind, ErrorKind::Forbidden);
}
