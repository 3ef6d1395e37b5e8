//! The keys that verify tokens, each for one algorithm.
//! Does not know claims, callers, nor where a key is stored.

use jsonwebtoken::jwk::{Jwk, KeyOperations, PublicKeyUse};
use jsonwebtoken::{
    Algorithm, AlgorithmFamily, DecodingKey, DecodingKeyKind, EncodingKey, Header, Validation,
};
use secrecy::{ExposeSecret, SecretString};
use serde::Deserialize;
use serde_json::{Map, Value};

/// The keys that tokens are verified with; never empty.
#[derive(Debug, Clone)]
pub struct KeyRing {
    keys: Vec<VerifyingKey>,
}

/// Why the server cannot start with these keys.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum KeyError {
    /// Neither a secret nor a key file.
    #[error("no key was given: JWT authentication needs a secret or a public key")]
    NoKey,
    /// A blank secret.
    #[error("the JWT secret is empty; make one with: openssl rand -hex 32")]
    EmptySecret,
    /// A secret of fewer bytes than HS256 puts out: one token is enough to search for it.
    #[error(
        "the JWT secret is shorter than {MIN_SECRET_BYTES} bytes, and may be guessed; make one \
         with: openssl rand -hex 32"
    )]
    ShortSecret,
    /// A key file that cannot be used; the first one has the number 1.
    #[error("key file {number} {fault}")]
    File {
        /// The place of the file among those given, counted from 1.
        number: usize,
        /// The fault.
        fault: KeyFault,
    },
}

/// The fault of a key file; continues the text "key file 1".
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum KeyFault {
    /// Neither of the two formats.
    #[error("is neither a PEM public key nor a JWKS document")]
    Unreadable,
    /// A private key, which this server does not need.
    #[error("holds a private key: give the public key instead")]
    Private,
    /// A kind, curve, size or algorithm that is not supported, or damage within the key.
    #[error(
        "holds a key that is damaged or of an unsupported kind: \
         RSA of 2048 to 4096 bits, EC P-256, EC P-384 and Ed25519 public keys are supported"
    )]
    Unsupported,
    /// A JWKS that is empty or only has keys for encryption.
    #[error("holds no key that verifies signatures")]
    NoSigningKey,
}

/// As many as RFC 7518 §3.2 demands for HS256.
const MIN_SECRET_BYTES: usize = 32;
const RSA_MODULUS_BYTES: std::ops::RangeInclusive<usize> = 256..=512;

impl KeyRing {
    /// Gathers the keys of a secret and of the texts of key files; [`Authenticator::jwt`] has the
    /// rules and the errors.
    ///
    /// [`Authenticator::jwt`]: super::Authenticator::jwt
    pub(super) fn new(secret: Option<&SecretString>, files: &[String]) -> Result<Self, KeyError> {
        let mut keys = Vec::new();
        if let Some(secret) = secret {
            let key = DecodingKey::from_secret(secret_bytes(secret)?);
            keys.push(VerifyingKey::new(None, Algorithm::HS256, key));
        }
        for (text, number) in files.iter().zip(1..) {
            let found = read_key_file(text).map_err(|fault| KeyError::File { number, fault })?;
            keys.extend(found);
        }
        if keys.is_empty() {
            return Err(KeyError::NoKey);
        }
        Ok(Self { keys })
    }

    /// How many keys there are.
    pub(super) fn count(&self) -> usize {
        self.keys.len()
    }

    /// The keys that may have signed a token with this header: those of its algorithm which have
    /// its key id or none, or, when it names no id, all of its algorithm.
    pub(super) fn fitting(&self, header: &Header) -> impl Iterator<Item = &VerifyingKey> {
        self.keys.iter().filter(|key| key.fits(header))
    }

    /// The key that signs: the shared secret, the only key that can sign and verify.
    pub(super) fn signing_key(&self) -> Option<EncodingKey> {
        let mut keys = self.keys.iter();
        let secret = keys.find(|key| key.algorithm == Algorithm::HS256)?;
        let bytes = secret.key.try_get_as_bytes().ok()?;
        Some(EncodingKey::from_secret(bytes))
    }
}

/// A key and the one algorithm it is for: no claim or header of a token can select another.
#[derive(Debug, Clone)]
pub(super) struct VerifyingKey {
    id: Option<String>,
    algorithm: Algorithm,
    key: DecodingKey,
    signature_only: Validation,
}

impl VerifyingKey {
    fn new(id: Option<String>, algorithm: Algorithm, key: DecodingKey) -> Self {
        // The library reads the ambient clock and rounds: `auth` checks times itself.
        let mut signature_only = Validation::new(algorithm);
        signature_only.required_spec_claims.clear();
        signature_only.validate_exp = false;
        signature_only.validate_nbf = false;
        signature_only.validate_aud = false;
        Self {
            id,
            algorithm,
            key,
            signature_only,
        }
    }

    /// Takes a public key for the algorithm that its JWK names, or else for that of its kind.
    fn public(
        id: Option<String>,
        named: Option<Algorithm>,
        key: DecodingKey,
    ) -> Result<Self, KeyFault> {
        let natural = natural_algorithm(&key)?;
        let algorithm = match named {
            Some(named) if natural == Algorithm::RS256 && named.family() == natural.family() => {
                named
            }
            Some(named) if named != natural => return Err(KeyFault::Unsupported),
            _ => natural,
        };
        // No signature fits nothing; this only checks that the key can be used.
        match jsonwebtoken::crypto::verify("", b"", &key, algorithm) {
            Ok(_) => Ok(Self::new(id, algorithm, key)),
            Err(_) => Err(KeyFault::Unsupported),
        }
    }

    /// Returns the unchecked claims of a token that this key signed.
    ///
    /// # Errors
    ///
    /// `InvalidSignature` when another key did; any other kind when the token is unreadable.
    pub(super) fn open(&self, token: &str) -> jsonwebtoken::errors::Result<Map<String, Value>> {
        jsonwebtoken::decode(token, &self.key, &self.signature_only).map(|data| data.claims)
    }

    fn fits(&self, header: &Header) -> bool {
        let same_id = match (&self.id, &header.kid) {
            (Some(ours), Some(theirs)) => ours == theirs,
            _ => true,
        };
        same_id && self.algorithm == header.alg
    }
}

/// The algorithm of a public key of which nothing else is known. Every length is checked here:
/// the library panics on an Ed25519 key that is too short, and no RSA token would ever be accepted
/// by a key that is too long.
fn natural_algorithm(key: &DecodingKey) -> Result<Algorithm, KeyFault> {
    match key.family() {
        AlgorithmFamily::Rsa => {
            let jwk = Jwk::from_decoding_key(key, None).map_err(|_| KeyFault::Unsupported)?;
            let key = DecodingKey::from_jwk(&jwk).map_err(|_| KeyFault::Unsupported)?;
            match key.kind() {
                DecodingKeyKind::RsaModulusExponent { n, .. }
                    if RSA_MODULUS_BYTES
                        .contains(&n.iter().skip_while(|&&byte| byte == 0).count()) =>
                {
                    Ok(Algorithm::RS256)
                }
                _ => Err(KeyFault::Unsupported),
            }
        }
        family => match (family, key.try_get_as_bytes().map(<[u8]>::len)) {
            (AlgorithmFamily::Ec, Ok(33 | 65)) => Ok(Algorithm::ES256),
            (AlgorithmFamily::Ec, Ok(49 | 97)) => Ok(Algorithm::ES384),
            (AlgorithmFamily::Ed, Ok(32)) => Ok(Algorithm::EdDSA),
            _ => Err(KeyFault::Unsupported),
        },
    }
}

/// The bytes of a secret that HS256 tokens are signed with.
///
/// # Errors
///
/// [`KeyError::EmptySecret`] when it is blank, [`KeyError::ShortSecret`] when it has fewer than
/// [`MIN_SECRET_BYTES`] without the white space around it.
pub(super) fn secret_bytes(secret: &SecretString) -> Result<&[u8], KeyError> {
    let secret = secret.expose_secret();
    match secret.trim().len() {
        0 => Err(KeyError::EmptySecret),
        1..MIN_SECRET_BYTES => Err(KeyError::ShortSecret),
        _ => Ok(secret.as_bytes()),
    }
}

fn read_key_file(text: &str) -> Result<Vec<VerifyingKey>, KeyFault> {
    if text.contains("PRIVATE KEY-----") {
        Err(KeyFault::Private)
    } else if text.contains("-----BEGIN ") {
        let blocks = text.split("-----BEGIN ").skip(1);
        blocks.map(read_pem_block).collect()
    } else {
        read_jwks(text)
    }
}

fn read_pem_block(block: &str) -> Result<VerifyingKey, KeyFault> {
    if !block.starts_with("PUBLIC KEY-----") && !block.starts_with("RSA PUBLIC KEY-----") {
        return Err(KeyFault::Unsupported);
    }
    let pem = format!("-----BEGIN {block}");
    let key = DecodingKey::from_rsa_pem(pem.as_bytes())
        .or_else(|_| DecodingKey::from_ec_pem(pem.as_bytes()))
        .or_else(|_| DecodingKey::from_ed_pem(pem.as_bytes()))
        .map_err(|_| KeyFault::Unsupported)?;
    VerifyingKey::public(None, None, key)
}

fn read_jwks(text: &str) -> Result<Vec<VerifyingKey>, KeyFault> {
    let document: Value = serde_json::from_str(text).map_err(|_| KeyFault::Unreadable)?;
    let entries = document.get("keys").and_then(Value::as_array);
    let mut keys = Vec::new();
    for entry in entries.ok_or(KeyFault::Unreadable)? {
        if entry.get("d").is_some() {
            return Err(KeyFault::Private);
        }
        let jwk = Jwk::deserialize(entry).map_err(|_| KeyFault::Unsupported)?;
        if !verifies_signatures(&jwk) {
            continue;
        }
        let named = jwk.common.key_algorithm.map(Algorithm::try_from);
        let named = named.transpose().map_err(|_| KeyFault::Unsupported)?;
        let key = DecodingKey::from_jwk(&jwk).map_err(|_| KeyFault::Unsupported)?;
        keys.push(VerifyingKey::public(jwk.common.key_id, named, key)?);
    }
    if keys.is_empty() {
        return Err(KeyFault::NoSigningKey);
    }
    Ok(keys)
}

fn verifies_signatures(jwk: &Jwk) -> bool {
    let usage = jwk.common.public_key_use.as_ref();
    let operations = jwk.common.key_operations.as_ref();
    usage.is_none_or(|usage| *usage == PublicKeyUse::Signature)
        && operations.is_none_or(|operations| operations.contains(&KeyOperations::Verify))
}

#[cfg(test)]
#[path = "keys_tests.rs"]
mod tests;
