//! The promises of `authenticate` and `mint`. Does not know keys except as files.

use jsonwebtoken::{Algorithm, EncodingKey, Header};
use proptest::prelude::*;
use serde_json::json;

use super::*;

const RSA_PRIVATE: &[u8] = include_bytes!("testdata/rsa-private.pem");
const EC_PRIVATE: &[u8] = include_bytes!("testdata/ec-p256-private.pem");
const ED_PRIVATE: &[u8] = include_bytes!("testdata/ed25519-private.pem");
const RSA: &str = include_str!("testdata/rsa-public.pem");
const EC: &str = include_str!("testdata/ec-p256-public.pem");
const ED: &str = include_str!("testdata/ed25519-public.pem");
const OTHER_ED: &str = include_str!("testdata/other-ed25519-public.pem");
const JWKS: &str = include_str!("testdata/jwks.json");
const SECRET: &str = "a development secret of enough bytes";
const TOKEN_LIKE: &str = r"\PC{4,80}|.{0,80}|[A-Za-z0-9_-]{1,30}(\.[A-Za-z0-9_-]{0,30}){2}";
pub(super) const NOW: i64 = 1_800_000_000;

fn now() -> Timestamp {
    Timestamp::from_second(NOW).unwrap()
}

fn secret() -> SecretString {
    SecretString::from(SECRET)
}

fn with_secret() -> Authenticator {
    Authenticator::jwt(Some(&secret()), &[]).unwrap()
}

fn with_files(files: &[&str]) -> Authenticator {
    let files: Vec<String> = files.iter().map(ToString::to_string).collect();
    Authenticator::jwt(None, &files).unwrap()
}

fn sign(header: &Header, claims: &Value) -> String {
    let key = match header.alg {
        Algorithm::HS256 | Algorithm::HS384 => EncodingKey::from_secret(SECRET.as_bytes()),
        Algorithm::ES256 => EncodingKey::from_ec_pem(EC_PRIVATE).unwrap(),
        Algorithm::EdDSA => EncodingKey::from_ed_pem(ED_PRIVATE).unwrap(),
        _ => EncodingKey::from_rsa_pem(RSA_PRIVATE).unwrap(),
    };
    jsonwebtoken::encode(header, claims, &key).unwrap()
}

fn hs256(claims: &Value) -> String {
    sign(&Header::new(Algorithm::HS256), claims)
}

fn signed(algorithm: Algorithm, key_id: Option<&str>) -> String {
    let mut header = Header::new(algorithm);
    header.kid = key_id.map(str::to_owned);
    sign(&header, &json!({"sub": "ada", "exp": NOW + 60}))
}

/// The result for a well-signed token with the minimal claims overlaid with these.
pub(super) fn judged(claims: &Value) -> Result<Caller, Refusal> {
    let mut all = json!({"sub": "ada", "exp": NOW + 60});
    for (name, value) in claims.as_object().unwrap() {
        all[name] = value.clone();
    }
    let token = hs256(&all);
    let caller = with_secret().authenticate(Some(&token), now())?;
    Ok(caller.expect("a JWT never means anyone"))
}

/// The external id that this token authenticates.
fn verdict(authenticator: &Authenticator, token: &str) -> Result<String, Refusal> {
    let caller = authenticator.authenticate(Some(token), now())?;
    Ok(caller.unwrap().external_id)
}

fn wrong_type(claim: &'static str, expected: &'static str) -> Result<Caller, Refusal> {
    Err(Refusal::WrongClaimType { claim, expected })
}

#[test]
fn an_open_token_is_the_user_id_itself() {
    let expected = Caller {
        pk: None,
        external_id: " Ada.L-1 ".into(),
        role: Role::User,
        profile: Profile::default(),
        issued_at: None,
        expires_at: None,
    };
    let caller = Authenticator::open().authenticate(Some(" Ada.L-1 "), now());
    assert_eq!(caller, Ok(Some(expected)));
}

#[test]
fn without_a_token_an_open_caller_is_anyone() {
    assert_eq!(Authenticator::open().authenticate(None, now()), Ok(None));
}

#[test]
fn an_open_id_that_is_blank_or_too_long_or_has_control_characters_is_refused() {
    let open = Authenticator::open();
    assert_eq!(verdict(&open, ""), Err(Refusal::BlankId));
    assert_eq!(verdict(&open, " \u{a0}"), Err(Refusal::BlankId));
    assert_eq!(verdict(&open, &"é".repeat(256)), Ok("é".repeat(256)));
    assert_eq!(verdict(&open, &"é".repeat(257)), Err(Refusal::LongId));
    for id in ["a\0", "a\nb", "a\u{7f}", "a\u{85}b"] {
        assert_eq!(verdict(&open, id), Err(Refusal::ControlCharacterInId));
    }
}

#[test]
fn without_a_token_nobody_is_believed_in_jwt_mode() {
    let answer = with_secret().authenticate(None, now());
    assert_eq!(answer, Err(Refusal::Missing));
}

#[test]
fn each_kind_of_key_verifies_the_tokens_that_it_signed() {
    let ring = Authenticator::jwt(Some(&secret()), &[RSA.into(), EC.into(), ED.into()]).unwrap();
    for algorithm in [
        Algorithm::HS256,
        Algorithm::RS256,
        Algorithm::ES256,
        Algorithm::EdDSA,
    ] {
        assert_eq!(verdict(&ring, &signed(algorithm, None)), Ok("ada".into()));
    }
}

#[test]
fn an_hmac_made_with_a_public_key_is_refused() {
    let claims = json!({"sub": "ada", "exp": NOW + 60});
    for file in [RSA, EC, ED, JWKS] {
        let key = EncodingKey::from_secret(file.as_bytes());
        let forged = jsonwebtoken::encode(&Header::new(Algorithm::HS256), &claims, &key).unwrap();
        let public_only = with_files(&[file]);
        assert_eq!(verdict(&public_only, &forged), Err(Refusal::NoFittingKey));
        let both = Authenticator::jwt(Some(&secret()), &[file.into()]).unwrap();
        assert_eq!(verdict(&both, &forged), Err(Refusal::WrongSignature));
    }
}

#[test]
fn a_token_without_signature_is_refused() {
    // {"alg":"none"}, then {"sub":"ada","exp":9999999999}
    let head = "eyJhbGciOiJub25lIn0.eyJzdWIiOiJhZGEiLCJleHAiOjk5OTk5OTk5OTl9";
    for authenticator in [with_secret(), with_files(&[RSA, EC, ED])] {
        for tail in ["", ".", ".AAAA"] {
            let answer = verdict(&authenticator, &format!("{head}{tail}"));
            assert_eq!(answer, Err(Refusal::Malformed));
        }
    }
    let token = signed(Algorithm::HS256, None);
    let unsigned = &token[..=token.rfind('.').unwrap()];
    let answer = verdict(&with_secret(), unsigned);
    assert_eq!(answer, Err(Refusal::WrongSignature));
}

#[test]
fn a_key_serves_no_other_algorithm_of_its_family() {
    let answer = verdict(&with_secret(), &signed(Algorithm::HS384, None));
    assert_eq!(answer, Err(Refusal::NoFittingKey));
    for algorithm in [Algorithm::RS512, Algorithm::PS256] {
        let answer = verdict(&with_files(&[RSA]), &signed(algorithm, None));
        assert_eq!(answer, Err(Refusal::NoFittingKey));
    }
}

#[test]
fn a_key_id_selects_the_keys_of_that_id_and_those_without_one() {
    let jwks = with_files(&[JWKS]);
    for (algorithm, id) in [
        (Algorithm::RS256, Some("rsa-2026")),
        (Algorithm::ES256, Some("ec-2026")),
        (Algorithm::RS256, None),
        (Algorithm::ES256, None),
    ] {
        assert_eq!(verdict(&jwks, &signed(algorithm, id)), Ok("ada".into()));
    }
    for id in ["ec-2026", "rsa-2025", ""] {
        let token = signed(Algorithm::RS256, Some(id));
        assert_eq!(verdict(&jwks, &token), Err(Refusal::NoFittingKey));
        assert_eq!(verdict(&with_files(&[RSA]), &token), Ok("ada".into()));
    }
}

#[test]
fn all_fitting_keys_are_tried_and_another_ones_signature_is_refused() {
    let token = signed(Algorithm::EdDSA, None);
    let answer = verdict(&with_files(&[OTHER_ED, ED]), &token);
    assert_eq!(answer, Ok("ada".into()));
    let answer = verdict(&with_files(&[OTHER_ED]), &token);
    assert_eq!(answer, Err(Refusal::WrongSignature));
    let other = Authenticator::jwt(Some(&SECRET.to_uppercase().into()), &[]).unwrap();
    let answer = verdict(&other, &signed(Algorithm::HS256, None));
    assert_eq!(answer, Err(Refusal::WrongSignature));
}

#[test]
fn claims_changed_after_signing_are_refused() {
    let ours = signed(Algorithm::HS256, None);
    let theirs = hs256(&json!({"sub": "eve", "exp": NOW + 60}));
    let mut parts: Vec<&str> = ours.split('.').collect();
    parts[1] = theirs.split('.').nth(1).unwrap();
    let answer = verdict(&with_secret(), &parts.join("."));
    assert_eq!(answer, Err(Refusal::WrongSignature));
}

#[test]
fn a_demand_for_unknown_header_extensions_is_refused() {
    let mut header = Header::new(Algorithm::HS256);
    header.crit = Some(vec!["b64".into()]);
    let token = sign(&header, &json!({"sub": "ada", "exp": NOW + 60}));
    let answer = verdict(&with_secret(), &token);
    assert_eq!(answer, Err(Refusal::CriticalExtension));
}

#[test]
fn a_token_ends_at_its_expiry_without_leeway() {
    assert!(judged(&json!({"exp": NOW + 1})).is_ok());
    for exp in [NOW, NOW - 1, 0, -1, i64::MIN] {
        let late = judged(&json!({"exp": exp}));
        assert!(matches!(late, Err(Refusal::Expired(_))));
    }
    let missing = Err(Refusal::MissingClaim("exp"));
    assert_eq!(judged(&json!({"exp": null})), missing);
    let quoted = judged(&json!({"exp": "1900000000"}));
    assert_eq!(quoted, wrong_type("exp", "number"));
    let answer = verdict(&with_secret(), &hs256(&json!({"sub": "ada"})));
    assert_eq!(answer, Err(Refusal::MissingClaim("exp")));
}

#[test]
fn an_expiry_may_have_a_fraction() {
    let end = now() + SignedDuration::from_millis(500);
    let caller = judged(&json!({"exp": 1_800_000_000.5})).unwrap();
    assert_eq!(caller.expires_at, Some(end));
    let past = judged(&json!({"exp": 1_799_999_999.5}));
    assert!(matches!(past, Err(Refusal::Expired(_))));
}

#[test]
fn an_expiry_beyond_the_calendar_is_its_last_moment() {
    for exp in [
        json!(i64::MAX),
        json!(u64::MAX),
        json!(1e300),
        json!(253_402_300_800_u64),
    ] {
        let caller = judged(&json!({"exp": exp})).unwrap();
        assert_eq!(caller.expires_at, Some(Timestamp::MAX));
    }
    let past = judged(&json!({"exp": -1e300}));
    assert_eq!(past, Err(Refusal::Expired(Timestamp::MIN)));
    let future = judged(&json!({"nbf": 1e300}));
    assert_eq!(future, Err(Refusal::NotYetValid(Timestamp::MAX)));
}

#[test]
fn a_token_starts_at_its_not_before_without_leeway() {
    for nbf in [
        json!(NOW),
        json!(NOW - 1),
        json!(null),
        json!(1_799_999_999.9),
    ] {
        assert!(judged(&json!({"nbf": nbf})).is_ok());
    }
    for nbf in [json!(NOW + 1), json!(1_800_000_000.5)] {
        let early = judged(&json!({"nbf": nbf}));
        assert!(matches!(early, Err(Refusal::NotYetValid(_))));
    }
    assert_eq!(judged(&json!({"nbf": true})), wrong_type("nbf", "number"));
}

#[test]
fn time_is_what_the_caller_says_it_is() {
    let token = hs256(&json!({"sub": "ada", "nbf": -20, "exp": -10}));
    let at = |second| {
        let moment = Timestamp::from_second(second).unwrap();
        with_secret().authenticate(Some(&token), moment).is_ok()
    };
    assert_eq!([-21, -20, -11, -10].map(at), [false, true, true, false]);
}

#[test]
fn the_subject_is_a_sensible_string() {
    let subject = |sub: Value| judged(&json!({"sub": sub})).map(|caller| caller.external_id);
    let longest = "é".repeat(256);
    assert_eq!(subject(json!(longest)), Ok(longest.clone()));
    assert_eq!(subject(json!(longest + "é")), Err(Refusal::LongId));
    assert_eq!(subject(json!(" ")), Err(Refusal::BlankId));
    let control = Err(Refusal::ControlCharacterInId);
    assert_eq!(subject(json!("a\0")), control);
    let missing = Err(Refusal::MissingClaim("sub"));
    assert_eq!(subject(json!(null)), missing);
    assert_eq!(judged(&json!({"sub": 7})), wrong_type("sub", "string"));
    assert!(subject(json!({"id": "ada"})).is_err());
    let answer = verdict(&with_secret(), &hs256(&json!({"exp": NOW + 60})));
    assert_eq!(answer, missing);
}

#[test]
fn claims_fill_the_profile_and_absent_ones_leave_it_open() {
    let claims = json!({
        "username": "ada", "name": "Ada Lovelace", "avatar": "https://a/1.png", "github": "adal",
        "imageUUID": "0190", "aud": "elsewhere", "iss": "somebody", "unknown": [1],
    });
    let profile = Profile {
        username: Some("ada".into()),
        name: Some("Ada Lovelace".into()),
        avatar: Some("https://a/1.png".into()),
        github: Some("adal".into()),
        image_uuid: Some("0190".into()),
    };
    assert_eq!(judged(&claims).unwrap().profile, profile);
    assert_eq!(judged(&json!({})).unwrap().profile, Profile::default());
    for claim in ["username", "name", "avatar", "github", "imageUUID"] {
        let nulled = judged(&json!({claim: null})).unwrap();
        assert_eq!(nulled.profile, Profile::default());
        assert_eq!(judged(&json!({claim: ["x"]})), wrong_type(claim, "string"));
    }
}

#[test]
fn only_the_role_service_makes_a_service() {
    assert_eq!(
        judged(&json!({"role": "service"})).unwrap().role,
        Role::Service
    );
    for role in [
        json!("user"),
        json!("Service"),
        json!(""),
        json!(null),
        json!(["service"]),
    ] {
        assert_eq!(judged(&json!({"role": role})).unwrap().role, Role::User);
    }
    assert_eq!(judged(&json!({})).unwrap().role, Role::User);
}

#[test]
fn a_minted_token_is_accepted_until_it_ends() {
    let start = now() + SignedDuration::from_millis(300);
    let token = mint(&secret(), "ada", Role::User, Duration::from_mins(1), start).unwrap();
    let expected = Caller {
        pk: None,
        external_id: "ada".into(),
        role: Role::User,
        profile: Profile::default(),
        issued_at: Some(now()),
        expires_at: Some(now() + SignedDuration::from_secs(61)),
    };
    let caller = with_secret().authenticate(Some(&token), start);
    assert_eq!(caller, Ok(Some(expected)));
    let service = mint(&secret(), "host", Role::Service, Duration::MAX, start).unwrap();
    let caller = with_secret().authenticate(Some(&service), start);
    let caller = caller.unwrap().unwrap();
    let expected = (Role::Service, Some(Timestamp::MAX));
    assert_eq!((caller.role, caller.expires_at), expected);
}

#[test]
fn nothing_is_minted_that_would_be_refused() {
    let hour = Duration::from_hours(1);
    let refused = mint(&secret(), " ", Role::User, hour, now());
    assert_eq!(refused, Err(MintError::ExternalId(Refusal::BlankId)));
    let refused = mint(&SECRET[..31].into(), "ada", Role::User, hour, now());
    assert_eq!(refused, Err(MintError::Secret(KeyError::ShortSecret)));
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    #[test]
    fn no_token_whatever_makes_it_panic_or_shows_up_in_the_refusal(token in TOKEN_LIKE) {
        for authenticator in [Authenticator::open(), with_secret(), with_files(&[RSA, EC, ED])] {
            if let Err(refusal) = authenticator.authenticate(Some(&token), now()) {
                let blank_or_short = token.trim().len() < 4;
                prop_assert!(blank_or_short || !refusal.to_string().contains(&token));
            }
        }
    }

    #[test]
    fn a_damaged_token_is_refused(place in 0_usize..1000, byte in "[ -~]") {
        let good = signed(Algorithm::EdDSA, None);
        let place = place % good.len();
        let damaged = format!("{}{byte}{}", &good[..place], &good[place + 1..]);
        prop_assume!(damaged != good);
        prop_assert!(verdict(&with_files(&[ED]), &damaged).is_err());
    }

    #[test]
    fn no_claims_whatever_make_it_panic(exp in any::<f64>(), nbf in any::<i64>(), sub in ".*") {
        let _ = judged(&json!({"exp": exp, "nbf": nbf, "sub": sub, "name": sub}));
    }
}
