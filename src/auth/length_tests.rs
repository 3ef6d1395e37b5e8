//! The limit on the length of a token.

use jiff::Timestamp;
use secrecy::SecretString;

use super::{Authenticator, MAX_TOKEN_BYTES, Refusal};

#[test]
fn a_token_longer_than_any_real_one_is_refused_before_it_is_read() {
    let secret = SecretString::from("a secret of no importance at all");
    let authenticator = Authenticator::jwt(Some(&secret), &[]).expect("a key");
    let endless = "x".repeat(MAX_TOKEN_BYTES + 1);
    let judged = authenticator.authenticate(Some(&endless), Timestamp::UNIX_EPOCH);
    assert_eq!(judged.err(), Some(Refusal::LongToken));
}
