//! Tokens of open mode that are none.

use jiff::Timestamp;
use secrecy::SecretString;

use super::{Authenticator, Refusal, Role, mint};

#[test]
fn the_text_of_a_missing_token_names_nobody() {
    let open = Authenticator::open();
    for text in ["null", "undefined"] {
        let judged = open.authenticate(Some(text), Timestamp::UNIX_EPOCH);
        let refusal = judged.expect_err("refused");
        assert_eq!(refusal, Refusal::NoToken(text));
        assert!(refusal.to_string().contains(text), "{refusal}");
    }
    for name in ["Null", "null ", "undefined1", "nil"] {
        let judged = open.authenticate(Some(name), Timestamp::UNIX_EPOCH);
        let caller = judged.expect("accepted").expect("a caller");
        assert_eq!(caller.external_id, name);
    }
}

#[test]
fn a_signed_token_may_name_any_user() {
    let secret = SecretString::from("a secret of no importance at all");
    let hour = std::time::Duration::from_hours(1);
    let token = mint(&secret, "null", Role::User, hour, Timestamp::UNIX_EPOCH);
    let authenticator = Authenticator::jwt(Some(&secret), &[]).expect("a key");
    let judged = authenticator.authenticate(token.ok().as_deref(), Timestamp::UNIX_EPOCH);
    assert_eq!(
        judged.expect("accepted").expect("a caller").external_id,
        "null"
    );
}
