//! What is done with the vault beside push and pull: its files come back, its content is proved.

use std::collections::HashMap;
use std::path::Path;

use akosha_core::{SystemId, UploadId};

use super::Syncer;
use crate::disk::on_disk;
use crate::files::{self, FetchError, FetchedFile, FileError, FileVersion};
use crate::manifest::Manifest;
use crate::verify::{Check, VerifyReport};
use crate::{CloudSync, Progress, SyncError};

impl Syncer {
    /// Returns the files that a system has in the vault: as its newest upload has them, or the one
    /// that is named.
    ///
    /// # Errors
    /// Fails where no vault is set or it cannot be read.
    pub async fn files(
        &self,
        system_id: &SystemId,
        upload_id: Option<&UploadId>,
    ) -> Result<Vec<FileVersion>, SyncError> {
        let cloud = self.cloud(&self.store)?;
        let manifest = self.files_manifest(&cloud, system_id, upload_id).await?;
        let files = manifest.as_ref().map(FileVersion::all_of);
        Ok(files.unwrap_or_default())
    }

    /// Brings a file of a system, with the logs that belong to it, into a folder; `progress` is
    /// told the bytes. Where something else lies there, nothing is touched unless `replace`.
    ///
    /// # Errors
    /// Fails where no upload holds the file, the vault does not hold what the manifest says, or
    /// the folder cannot be written.
    pub async fn fetch_file(
        &self,
        system_id: &SystemId,
        upload_id: Option<&UploadId>,
        name: &str,
        folder: &Path,
        replace: bool,
        progress: &dyn Progress,
    ) -> Result<Vec<FetchedFile>, FetchError> {
        let cloud = self.cloud(&self.store)?;
        let manifest = self.files_manifest(&cloud, system_id, upload_id).await?;
        let manifest = manifest.ok_or_else(|| FileError::NotStored { name: name.into() })?;
        let keys = cloud.keys().await?;
        let key = manifest.encryption();
        let coding = files::Coding::new(system_id, key.and_then(|id| keys.find(id)));
        let to = files::Destination { folder, replace };
        files::fetch(cloud.vault()?, &manifest, &coding, name, to, progress).await
    }

    async fn files_manifest(
        &self,
        cloud: &CloudSync,
        system_id: &SystemId,
        upload_id: Option<&UploadId>,
    ) -> Result<Option<Manifest>, SyncError> {
        let now = self.store.sources().clock.now();
        let (vault, keys) = (cloud.vault()?, cloud.keys().await?);
        files::find(vault, system_id, upload_id, now, keys).await
    }

    /// Checks what the vault holds of the named systems, or of all; with `deep` every byte.
    ///
    /// # Errors
    /// Fails where no vault is set or it does not answer.
    pub async fn verify_vault(
        &self,
        systems: &[SystemId],
        deep: bool,
        progress: &dyn Progress,
    ) -> Result<VerifyReport, SyncError> {
        let cloud = self.cloud(&self.store)?;
        let (vault, keys) = (cloud.vault()?, cloud.keys().await?);
        let target = CloudSync::target(vault);
        let pushed = on_disk(&self.store, move |store| {
            let mut pushed = HashMap::new();
            for system_id in store.local_systems()? {
                if let Some(upload_id) = store.push_state(&target, &system_id)?.last_upload_id {
                    pushed.insert(system_id, upload_id);
                }
            }
            Ok(pushed)
        })
        .await?;
        let check = Check {
            vault,
            keys,
            store: &self.store,
            pushed: &pushed,
            deep,
            progress,
        };
        check.run(systems).await
    }
}
