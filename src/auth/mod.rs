//! Turns credentials into a caller. With `keys`, the only module that knows tokens.
//! Does not know users, the carrier of a token, the error format of a protocol, or the clock.

use std::time::Duration;

use jiff::{SignedDuration, Timestamp};
use jsonwebtoken::errors::ErrorKind;
use jsonwebtoken::{Algorithm, EncodingKey, Header};
use secrecy::SecretString;
use serde_json::{Map, Value, json};

use crate::model::{Caller, MAX_ID, Profile, Role, UserPk};

#[cfg(any(test, fuzzing))]
pub mod fuzz;
mod keys;

pub use keys::{KeyError, KeyFault, KeyRing};

/// How callers authenticate (docs/AUTHENTICATION.md).
#[derive(Debug, Clone)]
pub enum Authenticator {
    /// The token is the external user id itself, unchecked.
    Open,
    /// The token is a JWT that one of these keys must have signed.
    Jwt(KeyRing),
}

/// Why a credential was refused: for the log, never for the client, never with the token in it.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[allow(missing_docs, reason = "the messages describe it")]
pub enum Refusal {
    #[error("no token was given")]
    Missing,
    #[error("the token is the text `{0}`, which a page sends that has no token yet")]
    NoToken(&'static str),
    #[error("the token is longer than {MAX_TOKEN_BYTES} bytes")]
    LongToken,
    #[error("the external user id is blank")]
    BlankId,
    #[error("the external user id is longer than {MAX_ID_CHARACTERS} characters")]
    LongId,
    #[error("the external user id contains a control character")]
    ControlCharacterInId,
    #[error("the token is not a JWT, or names an algorithm that is never accepted")]
    Malformed,
    #[error("the token demands header extensions that this server does not know")]
    CriticalExtension,
    #[error("no key fits the algorithm and the key id of the token")]
    NoFittingKey,
    #[error("the signature was made by none of the keys that fit the token")]
    WrongSignature,
    #[error("the signature or the claims of the token cannot be read")]
    UnreadableClaims,
    #[error("the claim `{0}` is missing")]
    MissingClaim(&'static str),
    #[error("the claim `{claim}` is not a {expected}")]
    WrongClaimType {
        claim: &'static str,
        expected: &'static str,
    },
    #[error("the token expired at {0}")]
    Expired(Timestamp),
    #[error("the token is not valid before {0}")]
    NotYetValid(Timestamp),
    #[error("the token was issued in the future, at {0}")]
    NotYetIssued(Timestamp),
}

/// Why no token was minted.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum MintError {
    /// The secret is one that the server would not start with.
    #[error(transparent)]
    Secret(#[from] KeyError),
    /// The id is one that the server would refuse in a token.
    #[error(transparent)]
    ExternalId(#[from] Refusal),
    /// No shared secret is known: tokens are made elsewhere, or there are none.
    #[error("there is no shared secret to sign with")]
    NoSecret,
    /// The signing library failed, which is not known to happen.
    #[error("the token could not be signed")]
    Signing,
}

/// A new token.
#[derive(Clone)]
pub struct Minted {
    /// The token.
    pub token: String,
    /// Its `exp`.
    pub expires_at: Timestamp,
}

const MAX_ID_CHARACTERS: usize = 256;

/// The texts of a token that is not there.
const NOT_THERE: [&str; 2] = ["null", "undefined"];

/// By how much the clock of the token's issuer may be ahead. A revocation does not cover tokens whose
/// `iat` is later than it, so no more than clocks that are set by NTP differ by.
const ISSUE_LEEWAY: SignedDuration = SignedDuration::from_secs(5);

/// A header can be nested so deeply that reading it ends the stack, before any signature was
/// looked at; no real token is that long.
const MAX_TOKEN_BYTES: usize = 8192;

impl Authenticator {
    /// Accepts every caller: for development (`--auth open`).
    #[must_use]
    pub fn open() -> Self {
        Self::Open
    }

    /// Accepts JWTs that one of the keys signed (`--auth jwt`).
    ///
    /// The secret verifies HS256. A key file is the text of a PEM file with one or more public
    /// keys, or of a JWKS document, whose keys for encryption are passed over. An RSA key verifies
    /// RS256, or what its JWK names as `alg`; the curve of any other key decides.
    ///
    /// # Errors
    ///
    /// When there is no key at all, when the secret is blank or has fewer than 32 bytes, and when a
    /// file is unreadable, holds a private or an unsupported key, or none. One bad key fails all:
    /// the operator gets the error at the start, not from locked-out users.
    pub fn jwt(secret: Option<&SecretString>, key_files: &[String]) -> Result<Self, KeyError> {
        KeyRing::new(secret, key_files).map(Self::Jwt)
    }

    /// How many keys verify tokens, the shared secret included.
    pub fn keys(&self) -> usize {
        match self {
            Self::Open => 0,
            Self::Jwt(ring) => ring.count(),
        }
    }

    /// Authenticates the caller at the moment `now`, without I/O.
    ///
    /// `None` is an anonymous caller, in open mode only. A JWT must have been signed by a fitting
    /// key, name its `sub`, and be past its `nbf` and before its `exp`, both without leeway, and its
    /// `iat` may be 5 seconds ahead; `Caller::expires_at` is that `exp`, `Caller::issued_at` its `iat`.
    /// `iss` and `aud` are not looked at.
    ///
    /// # Errors
    ///
    /// A [`Refusal`] for every other credential, whatever its bytes. The gateway decides how much
    /// of it the client receives.
    pub fn authenticate(
        &self,
        token: Option<&str>,
        now: Timestamp,
    ) -> Result<Option<Caller>, Refusal> {
        match (self, token) {
            (Self::Open, None) => Ok(None),
            (Self::Open, Some(token)) => Ok(Some(Caller {
                external_id: external_id(given(token)?)?,
                role: Role::User,
                pk: None,
                profile: Profile::default(),
                issued_at: None,
                expires_at: None,
            })),
            (Self::Jwt(_), None) => Err(Refusal::Missing),
            (Self::Jwt(ring), Some(token)) => caller(&verify(ring, token)?, now).map(Some),
        }
    }

    /// Makes an HS256 token that this authenticator takes, for a person: never for a service.
    ///
    /// # Errors
    ///
    /// [`MintError::NoSecret`] without a shared secret, and always for [`Authenticator::Open`];
    /// otherwise as [`mint`].
    pub fn mint(
        &self,
        external_id: &str,
        ttl: Duration,
        now: Timestamp,
    ) -> Result<Minted, MintError> {
        let key = match self {
            Self::Open => None,
            Self::Jwt(ring) => ring.signing_key(),
        };
        let key = key.ok_or(MintError::NoSecret)?;
        sign(&key, external_id, Role::User, ttl, now)
    }
}

/// Makes an HS256 token for `external_id`, as `polychat token` prints it.
///
/// It is valid from `now` for the time `ttl`, rounded up to a whole second.
///
/// # Errors
///
/// When the secret or the id is one that [`Authenticator`] would refuse.
pub fn mint(
    secret: &SecretString,
    external_id: &str,
    role: Role,
    ttl: Duration,
    now: Timestamp,
) -> Result<String, MintError> {
    let key = EncodingKey::from_secret(keys::secret_bytes(secret)?);
    sign(&key, external_id, role, ttl, now).map(|minted| minted.token)
}

fn sign(
    key: &EncodingKey,
    external_id: &str,
    role: Role,
    ttl: Duration,
    now: Timestamp,
) -> Result<Minted, MintError> {
    let ttl = SignedDuration::try_from(ttl).unwrap_or(SignedDuration::MAX);
    let end = now.as_duration().saturating_add(ttl);
    let exp = end
        .as_secs()
        .saturating_add(i64::from(end.subsec_nanos() > 0));
    let mut claims = json!({
        "sub": self::external_id(external_id)?,
        "iat": now.as_second(),
        "exp": exp,
    });
    if role == Role::Service {
        claims["role"] = json!("service");
    }
    let token = jsonwebtoken::encode(&Header::new(Algorithm::HS256), &claims, key);
    Ok(Minted {
        token: token.map_err(|_| MintError::Signing)?,
        expires_at: Timestamp::from_second(exp).unwrap_or(Timestamp::MAX),
    })
}

type Claims = Map<String, Value>;

fn verify(ring: &KeyRing, token: &str) -> Result<Claims, Refusal> {
    if token.len() > MAX_TOKEN_BYTES {
        return Err(Refusal::LongToken);
    }
    let header = jsonwebtoken::decode_header(token).map_err(|_| Refusal::Malformed)?;
    if header.crit.is_some() {
        return Err(Refusal::CriticalExtension);
    }
    let mut refusal = Refusal::NoFittingKey;
    for key in ring.fitting(&header) {
        match key.open(token) {
            Ok(claims) => return Ok(claims),
            Err(error) if matches!(error.kind(), ErrorKind::InvalidSignature) => {
                refusal = Refusal::WrongSignature;
            }
            Err(_) => return Err(Refusal::UnreadableClaims),
        }
    }
    Err(refusal)
}

fn caller(claims: &Claims, now: Timestamp) -> Result<Caller, Refusal> {
    let expires_at = instant(claims, "exp")?.ok_or(Refusal::MissingClaim("exp"))?;
    if expires_at <= now {
        return Err(Refusal::Expired(expires_at));
    }
    if let Some(start) = instant(claims, "nbf")?.filter(|start| *start > now) {
        return Err(Refusal::NotYetValid(start));
    }
    // Revocation alone depends on it: an unreadable one is none.
    let issued_at = instant(claims, "iat").ok().flatten();
    // It would stay valid after a revocation until then.
    let latest = now.saturating_add(ISSUE_LEEWAY).unwrap_or(now);
    if let Some(issue) = issued_at.filter(|issue| *issue > latest) {
        return Err(Refusal::NotYetIssued(issue));
    }
    let subject = text(claims, "sub")?.ok_or(Refusal::MissingClaim("sub"))?;
    let is_service = claims.get("role").and_then(Value::as_str) == Some("service");
    Ok(Caller {
        external_id: external_id(&subject)?,
        role: if is_service {
            Role::Service
        } else {
            Role::User
        },
        pk: pk(claims),
        profile: Profile {
            username: text(claims, "username")?,
            name: text(claims, "name")?,
            avatar: text(claims, "avatar")?,
            github: text(claims, "github")?,
            image_uuid: text(claims, "imageUUID")?,
        },
        issued_at,
        expires_at: Some(expires_at),
    })
}

/// A token in open mode. JavaScript makes these texts of a token that is not there; a user of that
/// name would be shared by all clients that have none.
fn given(token: &str) -> Result<&str, Refusal> {
    match NOT_THERE.iter().find(|text| **text == token) {
        Some(text) => Err(Refusal::NoToken(text)),
        None => Ok(token),
    }
}

fn external_id(text: &str) -> Result<String, Refusal> {
    if text.trim().is_empty() {
        Err(Refusal::BlankId)
    } else if text.chars().count() > MAX_ID_CHARACTERS {
        Err(Refusal::LongId)
    } else if text.chars().any(char::is_control) {
        Err(Refusal::ControlCharacterInId)
    } else {
        Ok(text.to_owned())
    }
}

fn text(claims: &Claims, claim: &'static str) -> Result<Option<String>, Refusal> {
    match claims.get(claim) {
        None | Some(Value::Null) => Ok(None),
        Some(Value::String(text)) => Ok(Some(text.clone())),
        Some(_) => Err(Refusal::WrongClaimType {
            claim,
            expected: "string",
        }),
    }
}

/// The claim `pk`: a number from 1 to [`MAX_ID`], also as a text. Anything else is not meant for this server.
fn pk(claims: &Claims) -> Option<UserPk> {
    let pk = match claims.get("pk")? {
        Value::Number(number) => number.as_i64().or_else(|| whole(number.as_f64()?)),
        Value::String(text) => text.parse().ok(),
        _ => None,
    };
    pk.filter(|pk| (1..=MAX_ID).contains(pk))
}

/// The integer that this number is, as `14.0` is one.
fn whole(number: f64) -> Option<i64> {
    #[expect(clippy::cast_possible_truncation, reason = "greater ones are no ids")]
    let whole = number as i64;
    (number.fract() == 0.0).then_some(whole)
}

/// Reads a `NumericDate` (RFC 7519 §2): seconds, perhaps with a fraction. One beyond the calendar
/// is the nearest day in it, so that "never" may be written as any large number.
fn instant(claims: &Claims, claim: &'static str) -> Result<Option<Timestamp>, Refusal> {
    let seconds = match claims.get(claim) {
        None | Some(Value::Null) => return Ok(None),
        Some(Value::Number(seconds)) => seconds.as_f64(),
        Some(_) => None,
    };
    let seconds = seconds.ok_or(Refusal::WrongClaimType {
        claim,
        expected: "number",
    })?;
    let beyond = if seconds < 0.0 {
        Timestamp::MIN
    } else {
        Timestamp::MAX
    };
    let since_epoch = SignedDuration::try_from_secs_f64(seconds);
    let instant = since_epoch.and_then(Timestamp::from_duration);
    Ok(Some(instant.unwrap_or(beyond)))
}

#[cfg(test)]
mod tests;

#[cfg(test)]
mod issue_tests;

#[cfg(test)]
mod length_tests;

#[cfg(test)]
mod minting_tests;

#[cfg(test)]
mod open_tests;

#[cfg(test)]
mod number_tests;
