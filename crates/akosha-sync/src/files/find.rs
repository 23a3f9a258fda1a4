//! Finds the upload that lists the files of a system.

use std::collections::HashSet;

use akosha_core::{SystemId, UploadId};
use chrono::{DateTime, Utc};

use crate::SyncError;
use crate::crypt::VaultKeys;
use crate::manifest::{MAX_MANIFEST_BYTES, Manifest, UnverifiedManifest, Verification};
use crate::vault::{Vault, VaultKey};

/// Most manifests that are read on the way back.
const MOST_READ: usize = 10_000;

/// Returns the manifest that lists the files of a system: that of `upload_id`, or the newest one.
/// `None` where the system has none.
///
/// An upload that brings memories alone names the newest one with files, so this reads at most
/// three objects where Akosha wrote them all; otherwise it goes back from parent to parent.
///
/// # Errors
/// Fails where the vault does not answer, or a manifest on the way is not right.
pub(crate) async fn find(
    vault: &Vault,
    system_id: &SystemId,
    upload_id: Option<&UploadId>,
    now: DateTime<Utc>,
    keys: &VaultKeys,
) -> Result<Option<Manifest>, SyncError> {
    if let Some(upload_id) = upload_id {
        let manifest = read(vault, system_id, upload_id, now, keys).await?;
        return Ok(Some(manifest).filter(|manifest| !manifest.files().is_empty()));
    }
    let head = vault.read_head(system_id).await?;
    let mut next = head.map(|current| current.head.upload_id);
    let mut seen = HashSet::new();
    while let Some(upload_id) = next.take() {
        // Who writes the vault may write a circle.
        if seen.len() == MOST_READ || !seen.insert(upload_id.clone()) {
            break;
        }
        let manifest = match read(vault, system_id, &upload_id, now, keys).await {
            // An upload that was taken back is the end of what can be followed.
            Err(_) if seen.len() > 1 && is_absent(vault, system_id, &upload_id).await? => break,
            manifest => manifest?,
        };
        if !manifest.files().is_empty() {
            return Ok(Some(manifest));
        }
        next = manifest.files_from().or(manifest.parent()).cloned();
    }
    Ok(None)
}

async fn is_absent(
    vault: &Vault,
    system_id: &SystemId,
    upload_id: &UploadId,
) -> Result<bool, SyncError> {
    let key = VaultKey::manifest(system_id, upload_id);
    Ok(vault.size_of(&key).await?.is_none())
}

async fn read(
    vault: &Vault,
    system_id: &SystemId,
    upload_id: &UploadId,
    now: DateTime<Utc>,
    keys: &VaultKeys,
) -> Result<Manifest, SyncError> {
    let key = VaultKey::manifest(system_id, upload_id);
    let bytes = vault.get(&key, MAX_MANIFEST_BYTES).await?;
    let (system_id, upload_id, keys) = (system_id.clone(), upload_id.clone(), keys.clone());
    let verified = tokio::task::spawn_blocking(move || {
        UnverifiedManifest::parse(&bytes)?.verify(&Verification {
            system_id: &system_id,
            upload_id: &upload_id,
            now,
            keys: &keys,
        })
    });
    Ok(verified
        .await
        .map_err(|error| SyncError::of_join(&error))??)
}
