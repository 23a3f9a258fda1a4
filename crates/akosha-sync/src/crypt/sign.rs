//! Signs manifests with Ed25519 and checks signatures.

use std::fmt;
use std::str::FromStr;

use akosha_core::Invalid;
use ring::signature::{ED25519, Ed25519KeyPair, KeyPair, UnparsedPublicKey};
use serde::{Deserialize, Serialize};

use super::{KeyError, SignatureError};
use crate::{ContentHash, lower_hex};

/// What a signature is over begins with, so that it can stand for nothing else.
const CONTEXT: &[u8] = b"akosha-manifest-v1\n";

/// How a signature in a manifest begins.
const SCHEME: &str = "ed25519";

/// The public half of an Ed25519 key: 64 lower-case hex digits.
#[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct PublicKey([u8; 32]);

impl fmt::Display for PublicKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&hex::encode(self.0))
    }
}

impl fmt::Debug for PublicKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

impl FromStr for PublicKey {
    type Err = Invalid;

    fn from_str(text: &str) -> Result<Self, Invalid> {
        let invalid = || Invalid::new("public_key", "must be 64 lower-case hex digits");
        lower_hex::decode(text).map(Self).ok_or_else(invalid)
    }
}

impl TryFrom<String> for PublicKey {
    type Error = Invalid;

    fn try_from(text: String) -> Result<Self, Invalid> {
        text.parse()
    }
}

impl From<PublicKey> for String {
    fn from(key: PublicKey) -> Self {
        key.to_string()
    }
}

/// The secret half of a signing key.
pub(super) struct Signer(Ed25519KeyPair);

impl Signer {
    /// Makes the key of a seed.
    pub(super) fn new(seed: &[u8; 32]) -> Result<Self, KeyError> {
        let pair = Ed25519KeyPair::from_seed_unchecked(seed);
        pair.map(Self).map_err(|_| KeyError::Unusable)
    }

    pub(super) fn public_key(&self) -> PublicKey {
        let mut bytes = [0; 32];
        for (to, from) in bytes.iter_mut().zip(self.0.public_key().as_ref()) {
            *to = *from;
        }
        PublicKey(bytes)
    }

    /// Signs a checksum: `ed25519:{public key}:{signature}`, both in hex.
    pub(super) fn sign(&self, checksum: &ContentHash) -> String {
        let signature = self.0.sign(&message(checksum));
        let (public_key, signature) = (self.public_key(), hex::encode(signature.as_ref()));
        format!("{SCHEME}:{public_key}:{signature}")
    }
}

/// Checks a signature of the manifest with this checksum and returns whose it is.
///
/// # Errors
/// Fails where it has another form or does not fit. Whether its key is trusted is another matter.
pub(super) fn verify(signature: &str, checksum: &ContentHash) -> Result<PublicKey, SignatureError> {
    let unknown = || SignatureError::UnknownForm;
    let mut parts = signature.split(':');
    let (Some(SCHEME), Some(public_key), Some(signature), None) =
        (parts.next(), parts.next(), parts.next(), parts.next())
    else {
        return Err(unknown());
    };
    let public_key: PublicKey = public_key.parse().map_err(|_| unknown())?;
    let bytes: [u8; 64] = lower_hex::decode(signature).ok_or_else(unknown)?;
    UnparsedPublicKey::new(&ED25519, public_key.0)
        .verify(&message(checksum), &bytes)
        .map_err(|_| SignatureError::Wrong { public_key })?;
    Ok(public_key)
}

fn message(checksum: &ContentHash) -> Vec<u8> {
    [CONTEXT, checksum.to_string().as_bytes()].concat()
}
