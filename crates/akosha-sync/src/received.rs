//! What an upload consists of, as it is received from a vault: its manifest and its segments, each
//! checked against what names it. Whoever reads uploads reads them by this.

use std::io;
use std::path::Path;

use akosha_core::{SystemId, UploadId};
use chrono::{DateTime, Utc};
use tempfile::TempPath;

use crate::crypt::{MAX_SEALED_SEGMENT_BYTES, Sealer, SegmentSealError, VaultKeys};
use crate::manifest::{
    MAX_MANIFEST_BYTES, Manifest, ManifestError, SegmentEntry, UnverifiedManifest, Verification,
};
use crate::segment::MAX_SEGMENT_BYTES;
use crate::vault::{Downloaded, Vault, VaultError, VaultKey};
use crate::{ContentHash, SyncError};

/// Why something of an upload was not received.
#[derive(Debug, thiserror::Error)]
pub(crate) enum ReceiveError {
    /// The vault does not hold it as it has to be, or does not answer.
    #[error(transparent)]
    Vault(#[from] VaultError),
    /// The manifest breaks a rule.
    #[error(transparent)]
    Manifest(#[from] ManifestError),
    /// The manifest pins a segment that nobody can use.
    #[error("segment `{sha256}` {reason}")]
    Segment {
        /// Which segment.
        sha256: ContentHash,
        /// Why not.
        reason: String,
    },
    /// The local disk refused.
    #[error("a received segment cannot be kept: {0}")]
    Disk(#[from] io::Error),
    /// The work was cut off.
    #[error(transparent)]
    Lost(SyncError),
}

impl ReceiveError {
    /// Returns whether the bytes that were received are not those that this program wrote, as
    /// against such that a newer one wrote, or that nobody here has the key for.
    pub(crate) fn is_damage(&self) -> bool {
        match self {
            Self::Manifest(error) => !error.may_pass_later(),
            Self::Vault(error) => matches!(error, VaultError::TooLarge { .. }),
            _ => false,
        }
    }

    /// Tells an upload that is at fault, with what, from a vault or a disk that fails.
    pub(crate) fn into_fault(self) -> Result<String, SyncError> {
        match self {
            Self::Manifest(_)
            | Self::Segment { .. }
            | Self::Vault(
                VaultError::NotFound { .. }
                | VaultError::TooLarge { .. }
                | VaultError::Damaged { .. }
                | VaultError::Newer { .. },
            ) => Ok(self.to_string()),
            error => Err(error.into()),
        }
    }
}

/// Receives the manifest of an upload and checks all that can be checked without the objects that
/// it names. Also returns its size in bytes.
pub(crate) async fn manifest(
    vault: &Vault,
    keys: &VaultKeys,
    now: DateTime<Utc>,
    system_id: &SystemId,
    upload_id: &UploadId,
) -> Result<(Manifest, u64), ReceiveError> {
    manifest_within(MAX_MANIFEST_BYTES, vault, keys, now, system_id, upload_id).await
}

/// As [`manifest`], for one of at most `most` bytes.
pub(crate) async fn manifest_within(
    most: u64,
    vault: &Vault,
    keys: &VaultKeys,
    now: DateTime<Utc>,
    system_id: &SystemId,
    upload_id: &UploadId,
) -> Result<(Manifest, u64), ReceiveError> {
    let key = VaultKey::manifest(system_id, upload_id);
    let bytes = vault.get(&key, most).await?;
    let (system_id, upload_id, keys) = (system_id.clone(), upload_id.clone(), keys.clone());
    blocking(move || {
        let verified = UnverifiedManifest::parse(&bytes)?.verify(&Verification {
            system_id: &system_id,
            upload_id: &upload_id,
            now,
            keys: &keys,
        })?;
        Ok((verified, bytes.len() as u64))
    })
    .await
}

/// Receives a segment into a file in `folder`, opened where it is sealed. Its rows are yet to be
/// checked, as they are read.
pub(crate) async fn segment(
    vault: &Vault,
    sealer: Option<&Sealer>,
    system_id: &SystemId,
    entry: &SegmentEntry,
    folder: &Path,
) -> Result<TempPath, ReceiveError> {
    let unusable = |reason: String| ReceiveError::Segment {
        sha256: entry.sha256,
        reason,
    };
    let limit = match sealer {
        Some(_) => MAX_SEALED_SEGMENT_BYTES,
        None => MAX_SEGMENT_BYTES,
    };
    if entry.size_bytes > limit {
        let size = entry.size_bytes;
        return Err(unusable(format!("is {size} bytes, the limit is {limit}")));
    }
    let key = entry.key(system_id);
    let Downloaded { path, .. } = vault.download(&key, entry.expected(), folder).await?;
    let Some(sealer) = sealer.cloned() else {
        return Ok(path);
    };
    let (system_id, folder) = (system_id.clone(), folder.to_owned());
    let opened = blocking(move || Ok(sealer.open_segment(&system_id, &path, &folder))).await?;
    opened.map_err(|error| match error {
        SegmentSealError::Io(error) => error.into(),
        error => unusable(format!("cannot be opened: {error}")),
    })
}

async fn blocking<T: Send + 'static>(
    work: impl FnOnce() -> Result<T, ReceiveError> + Send + 'static,
) -> Result<T, ReceiveError> {
    let joined = tokio::task::spawn_blocking(work).await;
    joined.map_err(|error| ReceiveError::Lost(SyncError::of_join(&error)))?
}
