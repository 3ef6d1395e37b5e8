//! What is promised of revoked tokens.

use super::*;
use crate::fixtures::{BlockingBackend, HOST};
use crate::model::{Command, ErrorKind, Profile, Rights, Role, UserId};

fn at(second: i64) -> Timestamp {
    Timestamp::from_second(second).expect("a time")
}

fn token(issued_at: Option<i64>, name: &str) -> Caller {
    Caller {
        pk: None,
        external_id: "anna".into(),
        role: Role::User,
        profile: Profile {
            name: Some(name.into()),
            ..Profile::default()
        },
        issued_at: issued_at.map(at),
        expires_at: None,
    }
}

fn identify(backend: &BlockingBackend, caller: Caller, rights: Rights) -> Result<UserId, Error> {
    let service = backend.service();
    let identified = backend.block_on(service.identify(Some(caller), rights));
    identified.map(|(_, user)| user.expect("a user"))
}

fn revoke(backend: &BlockingBackend, user: UserId, before: Option<i64>) -> Result<Reply, Error> {
    let revoke = Command::RevokeTokens {
        user: UserRef::Id(user),
        before: before.map(at),
    };
    backend.execute(&HOST, revoke)
}

#[test]
fn tokens_that_were_issued_before_are_not_valid() {
    let backend = BlockingBackend::open(at(100));
    let anna = identify(&backend, token(Some(1), "Anna"), Rights::Own).expect("valid");
    revoke(&backend, anna, Some(50)).expect("revoked");
    for refused in [Some(1), Some(49), None] {
        // With another profile as well: the cache is not asked then.
        for name in ["Anna", "Mallory"] {
            let refused = identify(&backend, token(refused, name), Rights::Own);
            assert_eq!(
                refused.expect_err("revoked").kind,
                ErrorKind::Unauthenticated
            );
        }
    }
    let get = Command::GetUser {
        user: UserRef::Id(anna),
    };
    let Ok(Reply::User(user)) = backend.execute(&HOST, get) else {
        panic!("no user")
    };
    assert_eq!(user.name, "Anna", "a revoked token changes nothing");
    for _ in 0..2 {
        let valid = identify(&backend, token(Some(50), "Anna"), Rights::Own);
        assert_eq!(valid.expect("valid"), anna);
    }
}

#[test]
fn in_open_mode_there_is_nothing_to_revoke() {
    let backend = BlockingBackend::open(at(100));
    let anna = identify(&backend, token(None, "Anna"), Rights::Open).expect("valid");
    revoke(&backend, anna, None).expect("revoked");
    assert!(identify(&backend, token(None, "Anna"), Rights::Open).is_ok());
}

#[test]
fn a_revocation_is_not_of_the_future_and_never_moves_back() {
    let backend = BlockingBackend::open(at(100));
    let anna = identify(&backend, token(Some(1), "Anna"), Rights::Own).expect("valid");
    let future = revoke(&backend, anna, Some(101)).expect_err("the future");
    assert_eq!(future.kind, ErrorKind::Invalid);
    revoke(&backend, anna, None).expect("revoked");
    let Ok(Reply::Revoked(user)) = revoke(&backend, anna, Some(50)) else {
        panic!("not revoked")
    };
    assert_eq!(user.revoked_before, Some(at(100)));
    let unknown = revoke(&backend, UserId::new(at(1)), None).expect_err("nobody");
    assert_eq!(unknown.kind, ErrorKind::NotFound);
}

#[test]
fn a_revocation_between_the_check_and_the_connection_is_found() {
    let backend = BlockingBackend::open(at(100));
    let service = backend.service();
    let since = service.revocations();
    let anna = identify(&backend, token(Some(1), "Anna"), Rights::Own).expect("valid");
    let confirm = |second: i64| {
        let issue = Issue {
            user: anna,
            at: Some(at(second)),
        };
        backend.block_on(service.confirm(issue, since))
    };
    assert!(confirm(1).is_ok());
    revoke(&backend, anna, Some(50)).expect("revoked");
    assert_eq!(
        confirm(1).expect_err("revoked").kind,
        ErrorKind::Unauthenticated
    );
    assert!(confirm(50).is_ok());
}
