//! What whoever takes uploads in needs of one vault and one store: to find them, to verify one
//! whole, to merge those that are verified. [`Syncer::pull`](crate::Syncer::pull) does one after
//! another; a server's worker does many at once and shares them out among replicas.

mod candidate;
mod fault;
mod merge;
mod upload;

use std::collections::BTreeSet;

use akosha_core::{SystemId, UploadId};
use akosha_store::{Store, StoreError};
use chrono::{DateTime, Utc};
use futures::TryStreamExt;
use futures::stream::{BoxStream, StreamExt};

use crate::SyncError;
use crate::crypt::VaultKeys;
use crate::disk::on_disk;
use crate::engine::reachable;
use crate::vault::{Vault, VaultKey};

pub use candidate::{Candidate, Sorted};
pub use fault::Fault;
pub use merge::{Intaken, Merging};
pub use upload::blocking;
pub use upload::{Fetched, Opened, Verified};

/// Bytes of an upload's rows that are kept from the check to the merge where nothing else is said;
/// the rows of a larger one are decoded again.
pub const KEPT_BYTES: usize = 4 << 20;

/// A vault, the keys that it is read with, and the store that takes its uploads in. Clones share
/// them.
#[derive(Debug, Clone)]
pub struct Intake {
    vault: Vault,
    keys: VaultKeys,
    store: Store,
}

/// A marker of the inbox.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Marker {
    /// The upload that it announces.
    pub upload_id: UploadId,
    /// When it was written, by the storage's clock.
    pub at: DateTime<Utc>,
}

impl Intake {
    pub(crate) fn new(vault: Vault, keys: VaultKeys, store: Store) -> Self {
        Self { vault, keys, store }
    }

    /// Returns the store.
    pub fn store(&self) -> &Store {
        &self.store
    }

    /// Runs a call of the store on a blocking thread.
    ///
    /// # Errors
    /// Fails as the call does.
    pub async fn on_store<T: Send + 'static>(
        &self,
        call: impl FnOnce(&Store) -> Result<T, StoreError> + Send + 'static,
    ) -> Result<T, SyncError> {
        on_disk(&self.store, call).await
    }

    /// Returns the vault.
    pub fn vault(&self) -> &Vault {
        &self.vault
    }

    pub(crate) fn keys(&self) -> &VaultKeys {
        &self.keys
    }

    /// Fails where the vault surely cannot be reached: a folder that is not there is no empty one.
    ///
    /// # Errors
    /// See above.
    pub async fn reach(&self) -> Result<(), SyncError> {
        reachable(&self.vault).await.map_err(SyncError::in_pull)
    }

    /// Lists the inbox: one listing, however many systems there are. Names that are no upload ids
    /// are passed over.
    pub fn inbox(&self) -> BoxStream<'static, Result<Marker, SyncError>> {
        let markers = self.vault.list_inbox();
        markers
            .map_ok(|(upload_id, at)| Marker { upload_id, at })
            .map_err(SyncError::from)
            .boxed()
    }

    /// Removes a marker; one that is not there counts as removed.
    ///
    /// # Errors
    /// Fails where the vault refuses or does not answer.
    pub async fn remove_marker(&self, upload_id: &UploadId) -> Result<(), SyncError> {
        Ok(self.vault.delete(&VaultKey::inbox(upload_id)).await?)
    }

    /// Returns the systems that have a prefix in the vault, sorted.
    ///
    /// # Errors
    /// Fails where the vault does not answer or refuses.
    pub async fn systems(&self) -> Result<BTreeSet<SystemId>, SyncError> {
        Ok(self.vault.list_systems().await?)
    }

    /// Lists the uploads of a system that have a manifest, oldest first.
    ///
    /// Looks into the system's own prefix, so that an upload whose marker was never written is
    /// found too.
    ///
    /// # Errors
    /// Fails where the vault does not answer or refuses.
    pub async fn uploads(&self, system_id: &SystemId) -> Result<Vec<Candidate>, SyncError> {
        let listed: Vec<_> = self.vault.list_uploads(system_id).try_collect().await?;
        let mut candidates: Vec<Candidate> = listed
            .into_iter()
            .map(|listed| Candidate::listed(system_id, listed))
            .collect();
        candidates.sort_unstable_by(|one, other| one.upload_id.cmp(&other.upload_id));
        Ok(candidates)
    }

    /// Looks up the manifest of an upload; `None` where there is none.
    ///
    /// # Errors
    /// Fails where the vault does not answer or refuses.
    pub async fn find(
        &self,
        system_id: &SystemId,
        upload_id: &UploadId,
    ) -> Result<Option<Candidate>, SyncError> {
        let manifest = VaultKey::manifest(system_id, upload_id);
        let found = self.vault.look_up(&manifest).await?;
        Ok(found.map(|listed| Candidate::of_manifest(system_id, upload_id, &listed)))
    }
}
