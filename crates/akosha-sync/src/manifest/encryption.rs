//! What a manifest says of its encryption, and the names of files that are sealed in it.

use akosha_core::{SystemId, excerpt};
use serde_json::{Value, json};

use super::document::Object;
use super::{ManifestError, check};
use crate::crypt::{KeyId, Sealer, VaultKeys};

/// The form of sealed objects.
const FORMAT: &str = "akosha-1";

/// What they are encrypted with.
const CIPHER: &str = "xchacha20-poly1305";

/// Longest sealed name in characters: 255 bytes, filled up and sealed, in base64url.
const MAX_SEALED_NAME: usize = 416;

/// How the objects and names of one manifest are sealed, or that they are not.
#[derive(Debug, Clone, Copy)]
pub(super) struct Seal<'a> {
    sealer: Option<&'a Sealer>,
    system_id: &'a SystemId,
}

impl<'a> Seal<'a> {
    /// Takes what a manifest is to be written with.
    pub(super) fn new(sealer: Option<&'a Sealer>, system_id: &'a SystemId) -> Self {
        Self { sealer, system_id }
    }

    /// Reads the field `encryption` and finds the key that it names.
    ///
    /// # Errors
    /// Fails where the format is not known or the key is not here.
    pub(super) fn read(
        top: &Object<'_>,
        keys: &'a VaultKeys,
        system_id: &'a SystemId,
    ) -> Result<Self, ManifestError> {
        if top.get("encryption").is_none() {
            return Ok(Self::new(None, system_id));
        }
        let field = top.object("encryption")?;
        let format = field.text("format")?;
        let cipher = field.optional_text("cipher")?.unwrap_or_default();
        if (format, cipher) != (FORMAT, CIPHER) {
            return Err(ManifestError::UnknownEncryption {
                format: excerpt(format),
                cipher: excerpt(cipher),
            });
        }
        let key_id: KeyId = field
            .text("key_id")?
            .parse()
            .map_err(|error| ManifestError::id(field.name("key_id"), error))?;
        let sealer = keys.find(key_id);
        let sealer = sealer.ok_or_else(|| ManifestError::KeyMissing {
            key_id,
            held: keys.ids(),
        })?;
        Ok(Self::new(Some(sealer), system_id))
    }

    /// Returns the key, `None` where nothing is sealed.
    pub(super) fn key_id(self) -> Option<KeyId> {
        self.sealer.map(Sealer::key_id)
    }

    /// Returns the field `encryption`.
    pub(super) fn to_json(self) -> Value {
        match self.key_id() {
            None => Value::Null,
            Some(key_id) => json!({ "format": FORMAT, "cipher": CIPHER, "key_id": key_id }),
        }
    }

    /// Returns the bytes by which a sealed object is longer than what it holds.
    pub(super) fn overhead(self) -> u64 {
        self.sealer.map_or(0, |_| crate::crypt::OVERHEAD)
    }

    /// Returns a file's name as the manifest holds it.
    pub(super) fn seal_name(self, name: &str) -> Result<String, ManifestError> {
        let Some(sealer) = self.sealer else {
            return Ok(name.to_owned());
        };
        // A name that is too long is refused like any other one that breaks the rule.
        check::file_name("name", name)?;
        sealer
            .seal_name(self.system_id, name)
            .map_err(|_| ManifestError::name("name", name))
    }

    /// Returns a file's name as it is, from what the manifest holds in `field`.
    pub(super) fn open_name(self, field: &str, name: &str) -> Result<String, ManifestError> {
        let Some(sealer) = self.sealer else {
            check::file_name(field, name)?;
            return Ok(name.to_owned());
        };
        if name.len() > MAX_SEALED_NAME {
            return Err(ManifestError::name(field, name));
        }
        sealer
            .open_name(self.system_id, name)
            .map_err(|reason| ManifestError::SealedName {
                field: field.into(),
                reason,
            })
    }
}
