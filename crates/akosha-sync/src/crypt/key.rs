//! The master key, its id, and the keys that are derived from it.

use std::fmt;
use std::str::FromStr;

use akosha_core::Invalid;
use ring::hkdf::{HKDF_SHA256, KeyType, Prk, Salt};
use ring::rand::{SecureRandom, SystemRandom};
use serde::{Deserialize, Serialize};
use zeroize::Zeroizing;

use super::KeyError;
use crate::lower_hex;

/// Bytes of a key.
pub(super) const KEY_BYTES: usize = 32;

/// What a derived key is for. Each text gives a key that tells nothing of the others.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Purpose {
    /// Names the master key.
    Id,
    /// Encrypts objects.
    Object,
    /// Makes nonces from what is encrypted.
    Nonce,
    /// Names pieces of files.
    Name,
    /// Moves the boundaries of pieces.
    ChunkerSeed,
    /// Signs manifests.
    SigningSeed,
}

impl Purpose {
    /// Returns the info of HKDF.
    fn info(self) -> &'static [u8] {
        match self {
            Self::Id => b"akosha-1 key id",
            Self::Object => b"akosha-1 object key",
            Self::Nonce => b"akosha-1 nonce key",
            Self::Name => b"akosha-1 name key",
            Self::ChunkerSeed => b"akosha-1 chunker seed",
            Self::SigningSeed => b"akosha-1 signing seed",
        }
    }
}

/// The key of which every other one is made: 32 random bytes. Whoever has it reads the vault and
/// signs in its owner's name. It cannot be printed and is wiped from memory when dropped.
#[derive(Clone)]
pub struct MasterKey(Zeroizing<[u8; KEY_BYTES]>);

impl MasterKey {
    /// Makes a new key from the operating system's randomness.
    ///
    /// # Errors
    /// Fails where the operating system gives none.
    pub fn generate() -> Result<Self, KeyError> {
        let mut bytes = Zeroizing::new([0; KEY_BYTES]);
        SystemRandom::new()
            .fill(bytes.as_mut_slice())
            .map_err(|_| KeyError::NoRandomness)?;
        Ok(Self(bytes))
    }

    /// Takes the bytes of a key.
    pub fn from_bytes(bytes: Zeroizing<[u8; KEY_BYTES]>) -> Self {
        Self(bytes)
    }

    /// Returns the bytes: for the key file and the recovery phrase alone.
    pub(super) fn expose(&self) -> &[u8; KEY_BYTES] {
        &self.0
    }

    /// Derives a key of `N` bytes by HKDF-SHA256 without salt.
    pub(super) fn derive<const N: usize>(
        &self,
        purpose: Purpose,
    ) -> Result<Zeroizing<[u8; N]>, KeyError> {
        let mut out = Zeroizing::new([0; N]);
        let extracted: Prk = Salt::new(HKDF_SHA256, &[]).extract(self.expose());
        extracted
            .expand(&[purpose.info()], Length(N))
            .and_then(|okm| okm.fill(out.as_mut_slice()))
            .map_err(|_| KeyError::Unusable)?;
        Ok(out)
    }
}

impl fmt::Debug for MasterKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("MasterKey(********)")
    }
}

/// A length that HKDF is asked for.
struct Length(usize);

impl KeyType for Length {
    fn len(&self) -> usize {
        self.0
    }
}

/// Names a master key: 16 lower-case hex digits that are derived from it.
#[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct KeyId([u8; 8]);

impl KeyId {
    /// Takes the bytes as an object holds them.
    pub(super) fn from_bytes(bytes: [u8; 8]) -> Self {
        Self(bytes)
    }

    /// Returns the bytes as an object holds them.
    pub(super) fn as_bytes(&self) -> &[u8; 8] {
        &self.0
    }
}

impl fmt::Display for KeyId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&hex::encode(self.0))
    }
}

impl fmt::Debug for KeyId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

impl FromStr for KeyId {
    type Err = Invalid;

    fn from_str(text: &str) -> Result<Self, Invalid> {
        if let Some(bytes) = lower_hex::decode(text) {
            return Ok(Self(bytes));
        }
        let shown: String = text.chars().take(40).collect();
        Err(Invalid::new(
            "key_id",
            format!(
                "is `{}`, expected 16 lower-case hex digits",
                shown.escape_debug()
            ),
        ))
    }
}

impl TryFrom<String> for KeyId {
    type Error = Invalid;

    fn try_from(text: String) -> Result<Self, Invalid> {
        text.parse()
    }
}

impl From<KeyId> for String {
    fn from(id: KeyId) -> Self {
        id.to_string()
    }
}
