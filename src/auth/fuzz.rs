//! Fuzz targets for tokens, their claims and key files.
//! Does not run the targets: `crate::fuzz` does.

use std::time::Duration;

use jiff::Timestamp;
use jsonwebtoken::{Algorithm, EncodingKey, Header};
use serde_json::Value;

use super::{Authenticator, MAX_ID_CHARACTERS, mint};
use crate::fuzz::Target;
use crate::model::{Caller, Role};

/// Every target of this module.
pub const TARGETS: &[Target] = &[TOKEN, CLAIMS, KEYS];

const SECRET: &str = "a secret of more than 32 bytes, as it should be";

const TOKEN: Target = Target {
    name: "token",
    check: |input| {
        let Ok(token) = std::str::from_utf8(input) else {
            return;
        };
        let (open, jwt) = (Authenticator::open(), by_secret());
        if let Ok(Some(caller)) = open.authenticate(Some(token), now()) {
            assert_eq!(caller.external_id, token);
            assert_eq!(caller.role, Role::User);
            hold(&caller);
        }
        let refused = jwt.authenticate(Some(token), now());
        let refusal = refused.expect_err("it is not signed");
        // A shorter one may be a piece of the sentence by chance.
        assert!(token.len() < 32 || !refusal.to_string().contains(token));
        let hour = Duration::from_hours(1);
        if let Ok(minted) = mint(&SECRET.into(), token, Role::User, hour, now()) {
            let caller = jwt.authenticate(Some(&minted), now()).expect("it is good");
            assert_eq!(caller.expect("a caller").external_id, token);
        }
    },
};

const CLAIMS: Target = Target {
    name: "claims",
    check: |input| {
        let Ok(claims) = serde_json::from_slice::<Value>(input) else {
            return;
        };
        let key = EncodingKey::from_secret(SECRET.as_bytes());
        let header = Header::new(Algorithm::HS256);
        let token = jsonwebtoken::encode(&header, &claims, &key).expect("a token");
        if let Ok(caller) = by_secret().authenticate(Some(&token), now()) {
            let caller = caller.expect("a caller");
            assert!(caller.expires_at.is_some_and(|end| end > now()), "{claims}");
            assert_eq!(claims["sub"], caller.external_id);
            let service = caller.role == Role::Service;
            assert_eq!(service, claims["role"] == "service", "{claims}");
            hold(&caller);
        }
    },
};

const KEYS: Target = Target {
    name: "keys",
    check: |input| {
        let text = String::from_utf8_lossy(input).into_owned();
        if let Err(error) = Authenticator::jwt(None, &[text]) {
            let sentence = error.to_string();
            assert!(sentence.starts_with("key file 1 "), "{sentence}");
            assert!(!sentence.contains('\n') && sentence.len() < 256);
        }
    },
};

fn by_secret() -> Authenticator {
    Authenticator::jwt(Some(&SECRET.into()), &[]).expect("a secret")
}

fn now() -> Timestamp {
    Timestamp::from_second(1_740_836_400).expect("a time")
}

fn hold(caller: &Caller) {
    assert!(!caller.external_id.trim().is_empty());
    assert!(caller.external_id.chars().count() <= MAX_ID_CHARACTERS);
    assert!(!caller.external_id.chars().any(char::is_control));
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::fuzz::mutator::{Words, bytes, input, text};
    use crate::fuzz::run;

    const CLAIM_WORDS: Words = Words {
        samples: &[
            r#"{"sub":"anna","exp":1740840000,"nbf":1740836400,"role":"service","name":"Anna"}"#,
            r#"{"sub":"anna","exp":1740836400.5,"iat":1,"username":"a","avatar":"b","github":"c","imageUUID":"d"}"#,
            r#"{"sub":"anna","exp":99999999999999999999}"#,
        ],
        keys: &[
            "sub",
            "exp",
            "nbf",
            "iat",
            "role",
            "username",
            "name",
            "avatar",
            "github",
            "imageUUID",
            "aud",
        ],
        texts: &["anna", "service", "user", "1740840000", "a\u{1}b"],
    };

    const FILES: [&str; 4] = [
        include_str!("testdata/rsa-public.pem"),
        include_str!("testdata/ec-p256-public.pem"),
        include_str!("testdata/ed25519-public.pem"),
        include_str!("testdata/jwks.json"),
    ];

    #[test]
    fn tokens() {
        let inputs = text(&[
            "anna",
            "a.b.c",
            "eyJ0eXAiOiJKV1QiLCJhbGciOiJIUzI1NiJ9.eyJzdWIiOiJhbm5hIiwiZXhwIjoxNzQwODQwMDAwfQ.",
            "eyJhbGciOiJub25lIn0.eyJzdWIiOiJhbm5hIiwiZXhwIjoxNzQwODQwMDAwfQ.",
            "eyJhbGciOiJIUzI1NiIsImNyaXQiOlsiYSJdLCJraWQiOjF9.e30.AAAA",
        ]);
        run(&TOKEN, &bytes(inputs));
    }

    #[test]
    fn claims() {
        run(&CLAIMS, &bytes(input(CLAIM_WORDS)));
    }

    #[test]
    fn key_files() {
        let edits = (0_usize..3000, 0_usize..9, "[ -~\n]{0,9}");
        let inputs = (prop::sample::select(&FILES[..]), edits);
        let inputs = inputs.prop_map(|(file, (at, length, text))| {
            let at = at % file.len();
            let rest = file.len().min(at + length);
            format!("{}{text}{}", &file[..at], &file[rest..]).into_bytes()
        });
        run(&KEYS, &inputs);
    }
}
