//! Finds the upload that lists the files of a system.

use std::collections::HashSet;

use akosha_core::{SystemId, UploadId};
use chrono::{DateTime, Utc};

use crate::SyncError;
use crate::crypt::VaultKeys;
use crate::manifest::Manifest;
use crate::received::{self, ReceiveError};
use crate::vault::Vault;

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
        let (manifest, _) = received::manifest(vault, keys, now, system_id, upload_id).await?;
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
        let (manifest, _) = match received::manifest(vault, keys, now, system_id, &upload_id).await
        {
            // An upload that was taken back is the end of what can be followed.
            Err(ReceiveError::Vault(error)) if seen.len() > 1 && error.is_not_found() => break,
            received => received?,
        };
        if !manifest.files().is_empty() {
            return Ok(Some(manifest));
        }
        next = manifest.files_from().or(manifest.parent()).cloned();
    }
    Ok(None)
}
