//! The secrets and key files that are accepted, and the errors of the others. Does not know tokens.

use proptest::prelude::*;
use serde_json::json;

use super::*;

const RSA: &str = include_str!("testdata/rsa-public.pem");
const RSA_PKCS1: &str = include_str!("testdata/rsa-pkcs1-public.pem");
const RSA_1024: &str = include_str!("testdata/unsupported-rsa-1024-public.pem");
const EC: &str = include_str!("testdata/ec-p256-public.pem");
const EC_P384: &str = include_str!("testdata/ec-p384-public.pem");
const EC_P521: &str = include_str!("testdata/unsupported-ec-p521-public.pem");
const ED: &str = include_str!("testdata/ed25519-public.pem");
const JWKS: &str = include_str!("testdata/jwks.json");
const PRIVATE: [&str; 3] = [
    include_str!("testdata/rsa-private.pem"),
    include_str!("testdata/ec-p256-private.pem"),
    include_str!("testdata/ed25519-private.pem"),
];

fn algorithms(file: &str) -> Result<Vec<Algorithm>, KeyFault> {
    let keys = read_key_file(file)?;
    Ok(keys.iter().map(|key| key.algorithm).collect())
}

/// The RSA key of the JWKS with some members replaced; `null` takes a member away.
fn rsa_jwk_with(members: &Value) -> String {
    let mut document: Value = serde_json::from_str(JWKS).unwrap();
    let mut jwk = document["keys"][0].take();
    for (name, value) in members.as_object().unwrap() {
        jwk[name] = value.clone();
    }
    jwk.as_object_mut()
        .unwrap()
        .retain(|_, value| !value.is_null());
    json!({"keys": [jwk]}).to_string()
}

fn jwk(jwk: &Value) -> String {
    json!({"keys": [jwk]}).to_string()
}

#[test]
fn without_any_key_there_is_no_ring() {
    assert_eq!(KeyRing::new(None, &[]).unwrap_err(), KeyError::NoKey);
}

#[test]
fn a_blank_secret_is_refused() {
    for secret in ["", " \n"] {
        let refused = KeyRing::new(Some(&secret.into()), &[RSA.into()]);
        assert_eq!(refused.unwrap_err(), KeyError::EmptySecret);
    }
}

#[test]
fn a_secret_of_fewer_than_32_bytes_is_refused_also_beside_other_keys() {
    let ring = |secret: &str| KeyRing::new(Some(&secret.into()), &[RSA.into()]);
    let padded = format!(" {}\n", "x".repeat(31));
    for secret in ["x", "\u{2603}", &"x".repeat(31), &padded] {
        assert_eq!(ring(secret).unwrap_err(), KeyError::ShortSecret, "{secret}");
    }
    // Bytes, not characters.
    for secret in ["x".repeat(32), "\u{2603}".repeat(11)] {
        assert!(ring(&secret).is_ok(), "{secret}");
    }
}

#[test]
fn the_error_about_a_secret_has_the_command_that_makes_one() {
    for error in [KeyError::EmptySecret, KeyError::ShortSecret] {
        let sentence = error.to_string();
        assert!(sentence.ends_with("make one with: openssl rand -hex 32"));
    }
}

#[test]
fn the_kind_of_a_key_decides_its_algorithm() {
    for (file, algorithm) in [
        (RSA, Algorithm::RS256),
        (RSA_PKCS1, Algorithm::RS256),
        (EC, Algorithm::ES256),
        (EC_P384, Algorithm::ES384),
        (ED, Algorithm::EdDSA),
    ] {
        assert_eq!(algorithms(file), Ok(vec![algorithm]));
    }
    let from_jwks = vec![Algorithm::RS256, Algorithm::ES256];
    assert_eq!(algorithms(JWKS), Ok(from_jwks));
}

#[test]
fn every_key_of_a_pem_file_is_taken() {
    let all = vec![Algorithm::RS256, Algorithm::EdDSA];
    assert_eq!(algorithms(&format!("first\n{RSA}\nsecond\n{ED}")), Ok(all));
}

#[test]
fn a_jwk_may_name_another_algorithm_of_its_own_kind_only() {
    for (named, algorithm) in [
        (json!("RS512"), Algorithm::RS512),
        (json!("PS256"), Algorithm::PS256),
        (json!(null), Algorithm::RS256),
    ] {
        let file = rsa_jwk_with(&json!({"alg": named}));
        assert_eq!(algorithms(&file), Ok(vec![algorithm]));
    }
    for named in ["HS256", "ES256", "EdDSA", "RSA-OAEP", "none", "XY1"] {
        let file = rsa_jwk_with(&json!({"alg": named}));
        assert_eq!(algorithms(&file), Err(KeyFault::Unsupported));
    }
}

#[test]
fn keys_for_encryption_are_passed_over() {
    for members in [
        json!({"use": "enc", "alg": "RSA-OAEP"}),
        json!({"use": null, "key_ops": ["encrypt"]}),
    ] {
        let file = rsa_jwk_with(&members);
        assert_eq!(algorithms(&file), Err(KeyFault::NoSigningKey));
    }
    let verifying = rsa_jwk_with(&json!({"use": null, "key_ops": ["verify"]}));
    assert_eq!(algorithms(&verifying), Ok(vec![Algorithm::RS256]));
    assert_eq!(algorithms(r#"{"keys": []}"#), Err(KeyFault::NoSigningKey));
}

#[test]
fn a_private_key_is_refused() {
    for file in PRIVATE {
        assert_eq!(algorithms(file), Err(KeyFault::Private));
        assert_eq!(algorithms(&format!("{RSA}{file}")), Err(KeyFault::Private));
    }
    let file = rsa_jwk_with(&json!({"d": "AQAB"}));
    assert_eq!(algorithms(&file), Err(KeyFault::Private));
}

#[test]
fn a_file_of_no_known_format_is_refused() {
    for file in ["", "hello", "{}", "[]", "null", r#"{"keys": {}}"#] {
        assert_eq!(algorithms(file), Err(KeyFault::Unreadable));
    }
}

#[test]
fn an_unsupported_or_damaged_key_is_refused() {
    let certificate = RSA.replace("PUBLIC KEY", "CERTIFICATE");
    let cut = ED.replace("MCow", "");
    for file in [RSA_1024, EC_P521, &certificate, &cut] {
        assert_eq!(algorithms(file), Err(KeyFault::Unsupported));
    }
    for key in [
        json!({"kty": "oct", "k": "c2VjcmV0"}),
        json!({"kty": "oct", "k": "c2VjcmV0", "alg": "HS256"}),
        json!({"kty": "OKP", "crv": "Ed25519", "x": "c2hvcnQ"}),
        json!({"kty": "OKP", "crv": "Ed448", "x": "c2hvcnQ"}),
        json!({"kty": "OKP", "crv": "X25519", "x": "c2hvcnQ"}),
        json!({"kty": "EC", "crv": "P-256", "x": "AAAA", "y": "AAAA"}),
        json!({"kty": "EC", "crv": "P-256", "x": "A".repeat(43), "y": "A".repeat(43)}),
        json!({"kty": "RSA", "n": "!", "e": "AQAB"}),
        json!({"kty": "RSA", "n": "A".repeat(400), "e": "AQAB"}),
        json!({"kty": "RSA", "n": "_".repeat(700), "e": "AQAB"}),
        json!({"kty": "Ю"}),
        json!("a key"),
    ] {
        assert_eq!(algorithms(&jwk(&key)), Err(KeyFault::Unsupported));
    }
}

#[test]
fn an_error_is_one_sentence_that_names_the_file() {
    let files = [RSA.to_owned(), PRIVATE[1].to_owned()];
    let error = KeyRing::new(None, &files).unwrap_err();
    let sentence = "key file 2 holds a private key: give the public key instead";
    assert_eq!(error.to_string(), sentence);
}

#[test]
fn a_ring_does_not_show_its_secret() {
    let secret = "hush".repeat(8).into();
    let shown = format!("{:?}", KeyRing::new(Some(&secret), &[]).unwrap());
    assert!(!shown.contains("hush") && !shown.contains("104, 117"));
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    #[test]
    fn no_key_file_whatever_makes_it_panic(place in 0_usize..2000, text in "[ -~\n]{0,9}") {
        for file in [RSA, RSA_PKCS1, EC, ED, JWKS] {
            let place = place % file.len();
            let rest = file.len().min(place + 3);
            let _ = read_key_file(&format!("{}{text}{}", &file[..place], &file[rest..]));
        }
    }
}
