//! What a vault is read and written with: the keys of this home, and whose signatures count.

use akosha_core::config::{Config, ConfigError, ConfigSource, Encryption, LoadedConfig};
use akosha_store::Home;

use super::{KeyError, KeyId, KeyRing, PublicKey, Sealer, SignatureError, sign};
use crate::ContentHash;

/// What a vault is read and written with. Clones share the keys.
#[derive(Debug, Clone, Default)]
pub struct VaultKeys {
    ring: KeyRing,
    encrypts: bool,
    requires_signatures: bool,
    trusted: Vec<PublicKey>,
}

impl VaultKeys {
    /// Reads the keys of a home and what the configuration says of them. Blocks on the disk.
    ///
    /// # Errors
    /// Fails where the vault is to be encrypted and there is no key, and as [`KeyRing::load`].
    pub fn load(home: &Home, config: &Config) -> Result<Self, KeyError> {
        let keys = Self {
            ring: KeyRing::load(home)?,
            encrypts: config.encryption == Encryption::On,
            requires_signatures: config.require_signatures,
            // Each is a key by the rule of the setting.
            trusted: config
                .trusted_keys
                .iter()
                .filter_map(|key| key.parse().ok())
                .collect(),
        };
        if keys.encrypts && keys.ring.current().is_none() {
            return Err(KeyError::Missing);
        }
        Ok(keys)
    }

    #[cfg(any(fuzzing, test))]
    pub(crate) fn new(
        ring: KeyRing,
        encrypts: bool,
        requires_signatures: bool,
        trusted: Vec<PublicKey>,
    ) -> Self {
        Self {
            ring,
            encrypts,
            requires_signatures,
            trusted,
        }
    }

    /// Returns what is wrong with the configuration as far as the keys of the home tell: whoever
    /// asks for encryption needs a key that can be used. Blocks on the disk.
    pub fn config_error(home: &Home, loaded: &LoadedConfig) -> Option<ConfigError> {
        const KEY: &str = "encryption";
        if loaded.config.encryption == Encryption::Off {
            return None;
        }
        let error = Self::load(home, &loaded.config).err()?;
        let message = match &error {
            KeyError::Missing => "needs a key, and this home has none".to_owned(),
            error => format!("needs a key, but {error}"),
        };
        let source = loaded.shown.get(KEY).map(|shown| shown.source.clone());
        Some(ConfigError {
            key: KEY.to_owned(),
            value: loaded.config.encryption.as_str().to_owned(),
            source: source.unwrap_or(ConfigSource::Default),
            message,
            hint: error.hint(),
        })
    }

    /// Checks that what is pushed would be accepted back.
    ///
    /// # Errors
    /// Fails where signatures are required and there is no key to sign with.
    pub fn check_push(&self) -> Result<(), KeyError> {
        if self.requires_signatures && self.to_sign().is_none() {
            return Err(KeyError::Unsigned);
        }
        Ok(())
    }

    /// Returns what uploads are encrypted with, `None` where they go out as they are.
    pub fn to_encrypt(&self) -> Option<&Sealer> {
        self.to_sign().filter(|_| self.encrypts)
    }

    /// Returns what manifests are signed with: the current key, where there is one.
    pub fn to_sign(&self) -> Option<&Sealer> {
        self.ring.current().map(super::HeldKey::sealer)
    }

    /// Returns what reads the objects of an upload that names this key.
    pub fn find(&self, key_id: KeyId) -> Option<&Sealer> {
        self.ring.find(key_id).map(super::HeldKey::sealer)
    }

    /// Returns the ids of the keys, the current one first.
    pub fn ids(&self) -> Vec<KeyId> {
        let keys = self.ring.keys().iter();
        keys.map(super::HeldKey::key_id).collect()
    }

    /// Returns the same keys for what this home wrote itself: nothing has to be signed that was
    /// written before signatures were required.
    #[must_use]
    pub(crate) fn for_own_uploads(&self) -> Self {
        Self {
            requires_signatures: false,
            ..self.clone()
        }
    }

    /// Checks the signature of a manifest with this checksum. Returns whose it is, where it says.
    ///
    /// A signature that does not fit is refused always; one that is missing, of an unknown form
    /// or by somebody else only where signatures are required.
    ///
    /// # Errors
    /// Says what is wrong.
    pub fn check_signature(
        &self,
        signature: Option<&str>,
        checksum: &ContentHash,
    ) -> Result<Option<PublicKey>, SignatureError> {
        let checked = match signature {
            None => Err(SignatureError::Missing),
            Some(signature) => sign::verify(signature, checksum),
        };
        match checked {
            Ok(public_key) if self.requires_signatures && !self.trusts(public_key) => {
                Err(SignatureError::Untrusted { public_key })
            }
            Ok(public_key) => Ok(Some(public_key)),
            Err(error @ SignatureError::Wrong { .. }) => Err(error),
            Err(error) if self.requires_signatures => Err(error),
            Err(_) => Ok(None),
        }
    }

    fn trusts(&self, public_key: PublicKey) -> bool {
        let mut own = self.ring.keys().iter().map(super::HeldKey::public_key);
        own.any(|key| key == public_key) || self.trusted.contains(&public_key)
    }
}
