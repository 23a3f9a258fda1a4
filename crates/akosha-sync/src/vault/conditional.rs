//! Whether a store honours the conditions of conditional writes.

use std::sync::atomic::{AtomicU8, Ordering};

use bytes::Bytes;
use object_store::PutMode;

use super::write::Failed;
use super::{Backend, Vault, VaultError, VaultKey};

/// What is known of a store's conditional writes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Support {
    /// Nothing yet.
    Unknown,
    /// It honours the conditions.
    Honoured,
    /// It refuses or ignores them.
    Missing,
}

/// What is known so far; shared by all that use the vault.
#[derive(Debug)]
pub(super) struct Conditional(AtomicU8);

impl Conditional {
    pub(super) fn unknown() -> Self {
        Self(AtomicU8::new(0))
    }

    pub(super) fn honoured() -> Self {
        Self(AtomicU8::new(1))
    }

    pub(super) fn get(&self) -> Support {
        match self.0.load(Ordering::Relaxed) {
            0 => Support::Unknown,
            1 => Support::Honoured,
            _ => Support::Missing,
        }
    }

    pub(super) fn found(&self, is_honoured: bool) {
        self.0
            .store(if is_honoured { 1 } else { 2 }, Ordering::Relaxed);
    }
}

impl Vault {
    /// Returns whether the storage honours conditions, by creating the empty marker `key` where it
    /// is already: a storage that does not replaces it by an equal one. `None` where there is no
    /// such marker. Tries once; a folder has locks instead and is not asked.
    ///
    /// # Errors
    /// Fails where the vault refuses or does not answer.
    pub(crate) async fn honours_conditions(
        &self,
        marker: &VaultKey,
    ) -> Result<Option<bool>, VaultError> {
        if matches!(self.inner.backend, Backend::Folder(_)) {
            return Ok(Some(true));
        }
        if self.size_of(marker).await?.is_none() {
            return Ok(None);
        }
        let name = marker.to_string();
        match self.put_once(&name, Bytes::new(), PutMode::Create).await {
            Err(Failed::Exists) => Ok(Some(true)),
            Ok(()) | Err(Failed::Unsupported) => Ok(Some(false)),
            Err(Failed::Other(error)) => Err(error),
        }
    }
}
