//! Seals and opens objects with one key.

use std::fmt;
use std::sync::Arc;

use akosha_core::SystemId;
use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use chacha20poly1305::aead::{AeadInOut, KeyInit};
use chacha20poly1305::{Key, Tag, XChaCha20Poly1305, XNonce};
use ring::hmac;

use super::key::Purpose;
use super::sign::Signer;
use super::{KeyError, KeyId, MasterKey, OpenError, PublicKey, SealError};
use crate::ContentHash;
use crate::manifest::{MAX_CHUNK_BYTES, is_file_name};

/// How a sealed object begins.
const MAGIC: [u8; 8] = *b"akosha1\0";

/// Bytes of a nonce.
const NONCE_BYTES: usize = 24;

/// Bytes before the ciphertext: magic, key id, nonce.
const HEADER_BYTES: usize = MAGIC.len() + 8 + NONCE_BYTES;

/// Bytes of the tag, behind the ciphertext.
const TAG_BYTES: usize = 16;

/// Bytes by which a sealed object is longer than what it holds.
pub const OVERHEAD: u64 = (HEADER_BYTES + TAG_BYTES) as u64;

/// A name is filled up with zeros to a multiple of so many bytes, so that its length tells little.
const NAME_STEP: usize = 32;

/// What a sealed object is. An object of one kind cannot stand for one of another.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Kind {
    /// The Parquet bytes of a segment.
    Segment,
    /// A piece of a file as it is stored, compressed or not.
    Chunk,
    /// The name of a file.
    Name,
}

impl Kind {
    /// Returns the name: `segment`, `chunk`, `name`.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Segment => "segment",
            Self::Chunk => "chunk",
            Self::Name => "name",
        }
    }

    /// Returns the most bytes before sealing: an object is held in memory as a whole.
    pub const fn limit(self) -> u64 {
        match self {
            Self::Segment => 64 << 20,
            Self::Chunk => MAX_CHUNK_BYTES + MAX_CHUNK_BYTES / 8 + 4096,
            Self::Name => 256,
        }
    }
}

/// One key in use: seals, opens, names and signs. Clones share it.
#[derive(Clone)]
pub struct Sealer {
    inner: Arc<Inner>,
}

struct Inner {
    id: KeyId,
    cipher: XChaCha20Poly1305,
    nonce_key: hmac::Key,
    name_key: hmac::Key,
    chunker_seed: u64,
    signer: Signer,
}

impl fmt::Debug for Sealer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Sealer").field(&self.inner.id).finish()
    }
}

impl Sealer {
    /// Derives what a key is used for.
    ///
    /// # Errors
    /// Fails where the cryptographic library does, which it must not.
    pub fn new(key: &MasterKey) -> Result<Self, KeyError> {
        let hmac_key = |purpose| {
            let bytes = key.derive::<32>(purpose)?;
            Ok::<_, KeyError>(hmac::Key::new(hmac::HMAC_SHA256, bytes.as_slice()))
        };
        let object_key = key.derive::<32>(Purpose::Object)?;
        let seed = key.derive::<8>(Purpose::ChunkerSeed)?;
        Ok(Self {
            inner: Arc::new(Inner {
                id: KeyId::from_bytes(*key.derive::<8>(Purpose::Id)?),
                cipher: XChaCha20Poly1305::new(<&Key>::from(&*object_key)),
                nonce_key: hmac_key(Purpose::Nonce)?,
                name_key: hmac_key(Purpose::Name)?,
                chunker_seed: u64::from_be_bytes(*seed),
                signer: Signer::new(&*key.derive::<32>(Purpose::SigningSeed)?)?,
            }),
        })
    }

    /// Returns the id of the key.
    pub fn key_id(&self) -> KeyId {
        self.inner.id
    }

    /// Returns the public half of the signing key.
    pub fn public_key(&self) -> PublicKey {
        self.inner.signer.public_key()
    }

    /// Returns the seed that moves the boundaries of pieces, which else tell known content.
    pub fn chunker_seed(&self) -> u64 {
        self.inner.chunker_seed
    }

    /// Returns the name under which content of this hash stands in the vault. Without the key
    /// nobody can tell whether the vault holds a content that they know.
    pub fn name_of(&self, sha256: &ContentHash) -> ContentHash {
        let tag = hmac::sign(&self.inner.name_key, sha256.as_bytes());
        ContentHash::from_bytes(first(&tag))
    }

    /// Returns the signature of a manifest with this checksum, as the manifest holds it.
    pub fn sign(&self, checksum: &ContentHash) -> String {
        self.inner.signer.sign(checksum)
    }

    /// Seals an object. The same plaintext gives the same object, so that what is there already
    /// is recognised. Blocks for as long as it takes: about 50 ms for 16 MiB.
    ///
    /// # Errors
    /// Fails where it has more bytes than [`Kind::limit`].
    pub fn seal(
        &self,
        kind: Kind,
        system_id: &SystemId,
        plaintext: &[u8],
    ) -> Result<Vec<u8>, SealError> {
        let too_large = SealError {
            size: plaintext.len() as u64,
            limit: kind.limit(),
        };
        if too_large.size > too_large.limit {
            return Err(too_large);
        }
        let nonce = self.nonce(kind, system_id, plaintext);
        let mut object = Vec::with_capacity(HEADER_BYTES + plaintext.len() + TAG_BYTES);
        object.extend_from_slice(&MAGIC);
        object.extend_from_slice(self.inner.id.as_bytes());
        object.extend_from_slice(&nonce);
        object.extend_from_slice(plaintext);
        let (_, sealed) = object.split_at_mut(HEADER_BYTES);
        let tag = self
            .inner
            .cipher
            .encrypt_inout_detached(
                <&XNonce>::from(&nonce),
                &self.associated(kind, system_id),
                sealed.into(),
            )
            // The cipher's own limit is far above ours.
            .map_err(|_| too_large)?;
        object.extend_from_slice(&tag);
        Ok(object)
    }

    /// Opens an object. Blocks as [`Sealer::seal`] does.
    ///
    /// # Errors
    /// Says whether it was made with another key, changed, cut or never sealed.
    pub fn open(
        &self,
        kind: Kind,
        system_id: &SystemId,
        mut object: Vec<u8>,
    ) -> Result<Vec<u8>, OpenError> {
        let size = object.len() as u64;
        let limit = kind.limit() + OVERHEAD;
        if size > limit {
            return Err(OpenError::TooLarge { size, limit });
        }
        let id = self.inner.id;
        let header = Header::read(&object)?;
        if header.key_id != id {
            return Err(OpenError::OtherKey {
                found: header.key_id,
                expected: id,
            });
        }
        let (_, sealed) = object.split_at_mut(HEADER_BYTES);
        let (tag, sealed) = sealed
            .split_last_chunk_mut::<TAG_BYTES>()
            .map(|(sealed, tag)| (*tag, sealed))
            .ok_or(OpenError::TooShort { size })?;
        self.inner
            .cipher
            .decrypt_inout_detached(
                <&XNonce>::from(&header.nonce),
                &self.associated(kind, system_id),
                sealed.into(),
                <&Tag>::from(&tag),
            )
            .map_err(|_| OpenError::Changed { key_id: id })?;
        object.truncate(object.len() - TAG_BYTES);
        object.drain(..HEADER_BYTES);
        Ok(object)
    }

    /// Seals the name of a file as the manifest holds it: base64url without padding.
    ///
    /// # Errors
    /// Fails where it has more than 255 bytes.
    pub fn seal_name(&self, system_id: &SystemId, name: &str) -> Result<String, SealError> {
        let mut padded = name.as_bytes().to_vec();
        padded.resize(name.len().next_multiple_of(NAME_STEP), 0);
        let sealed = self.seal(Kind::Name, system_id, &padded)?;
        Ok(URL_SAFE_NO_PAD.encode(sealed))
    }

    /// Opens the name of a file.
    ///
    /// # Errors
    /// As [`Sealer::open`], and where what opens is no name of a file.
    pub fn open_name(&self, system_id: &SystemId, sealed: &str) -> Result<String, OpenError> {
        let object = URL_SAFE_NO_PAD.decode(sealed);
        let object = object.map_err(|_| OpenError::NotSealed)?;
        let mut padded = self.open(Kind::Name, system_id, object)?;
        let length = padded.iter().rposition(|byte| *byte != 0);
        padded.truncate(length.map_or(0, |last| last + 1));
        String::from_utf8(padded)
            .ok()
            .filter(|name| is_file_name(name))
            .ok_or(OpenError::NoName)
    }

    /// Makes the nonce from what is sealed: equal nonces mean equal plaintexts.
    fn nonce(&self, kind: Kind, system_id: &SystemId, plaintext: &[u8]) -> [u8; NONCE_BYTES] {
        let mut context = hmac::Context::with_key(&self.inner.nonce_key);
        context.update(kind.as_str().as_bytes());
        context.update(&[0]);
        context.update(system_id.as_str().as_bytes());
        context.update(&[0]);
        context.update(plaintext);
        first(&context.sign())
    }

    /// Returns what an object is bound to beside its content.
    fn associated(&self, kind: Kind, system_id: &SystemId) -> Vec<u8> {
        [
            MAGIC.as_slice(),
            self.inner.id.as_bytes(),
            kind.as_str().as_bytes(),
            &[0],
            system_id.as_str().as_bytes(),
        ]
        .concat()
    }
}

/// Returns the first bytes of a tag; `N` is at most its 32.
fn first<const N: usize>(tag: &hmac::Tag) -> [u8; N] {
    let mut bytes = [0; N];
    for (to, from) in bytes.iter_mut().zip(tag.as_ref()) {
        *to = *from;
    }
    bytes
}

/// The beginning of a sealed object.
struct Header {
    key_id: KeyId,
    nonce: [u8; NONCE_BYTES],
}

impl Header {
    fn read(object: &[u8]) -> Result<Self, OpenError> {
        let too_short = || OpenError::TooShort {
            size: object.len() as u64,
        };
        let rest = object.strip_prefix(&MAGIC);
        let rest = rest.ok_or_else(|| {
            if MAGIC.starts_with(object) {
                too_short()
            } else {
                OpenError::NotSealed
            }
        })?;
        let (key_id, rest) = rest.split_first_chunk::<8>().ok_or_else(too_short)?;
        let (nonce, _) = rest
            .split_first_chunk::<NONCE_BYTES>()
            .ok_or_else(too_short)?;
        Ok(Self {
            key_id: KeyId::from_bytes(*key_id),
            nonce: *nonce,
        })
    }
}
