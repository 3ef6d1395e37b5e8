//! Tokens that the server makes itself.

use std::time::Duration;

use jiff::Timestamp;
use secrecy::SecretString;

use super::{Authenticator, MintError};
use crate::model::Role;

const HOUR: Duration = Duration::from_hours(1);

fn shared() -> Authenticator {
    let secret = SecretString::from("0123456789abcdef0123456789abcdef");
    Authenticator::jwt(Some(&secret), &[]).expect("a secret")
}

#[test]
fn a_minted_token_is_taken_and_speaks_for_a_person() {
    let now = Timestamp::from_second(1_740_837_113).expect("a time");
    let minted = shared().mint("anna", HOUR, now).expect("a token");
    let caller = shared().authenticate(Some(&minted.token), now);
    let caller = caller.expect("a good token").expect("a caller");
    assert_eq!((&*caller.external_id, caller.role), ("anna", Role::User));
    assert_eq!(caller.expires_at, Some(minted.expires_at));
    assert_eq!(minted.expires_at.as_second() - now.as_second(), 3600);
}

#[test]
fn an_id_that_would_be_refused_is_not_minted() {
    let minted = shared().mint(" ", HOUR, Timestamp::UNIX_EPOCH);
    assert!(matches!(minted, Err(MintError::ExternalId(_))));
}

#[test]
fn without_a_shared_secret_there_is_nothing_to_sign_with() {
    let minted = Authenticator::open().mint("anna", HOUR, Timestamp::UNIX_EPOCH);
    assert!(matches!(minted, Err(MintError::NoSecret)));
}
