//! Verifies one upload whole, then merges it.

use std::fs::File;

use akosha_core::{ErrorKind, IngestionMethod, SystemId, UploadId};
use akosha_store::{Change, Merged, Store, StoreError};

use crate::SyncError;
use crate::manifest::{
    MAX_MANIFEST_BYTES, Manifest, ManifestError, SegmentEntry, UnverifiedManifest, Verification,
};
use crate::segment::{self, MAX_SEGMENT_BYTES, SegmentError};
use crate::vault::{Downloaded, Vault, VaultError, VaultKey};

/// Rows of an upload that are kept from the check to the merge; those of a larger one are decoded
/// again.
const KEPT_ROWS: usize = 4000;

/// What became of an upload that passed its checks.
pub(super) struct Outcome {
    /// What the merge did.
    pub(super) merged: Merged,
    /// Rows of the upload.
    pub(super) rows: u64,
    /// Memories that could not be merged, with the reason.
    pub(super) refused: Vec<(String, String)>,
    /// Bytes received.
    pub(super) bytes: u64,
}

/// Why an upload was not merged.
pub(super) enum Fault {
    /// The upload is at fault: it is set aside with this reason.
    Upload(String),
    /// The vault or the store is: the upload is tried again by the next pull.
    Whole(SyncError),
}

impl From<VaultError> for Fault {
    fn from(error: VaultError) -> Self {
        match error {
            VaultError::NotFound { .. }
            | VaultError::TooLarge { .. }
            | VaultError::Damaged { .. } => Self::Upload(error.to_string()),
            other => Self::Whole(other.into()),
        }
    }
}

impl From<ManifestError> for Fault {
    fn from(error: ManifestError) -> Self {
        Self::Upload(error.to_string())
    }
}

impl From<SegmentError> for Fault {
    fn from(error: SegmentError) -> Self {
        match error.kind() {
            ErrorKind::Data => Self::Upload(error.to_string()),
            _ => Self::Whole(error.into()),
        }
    }
}

impl From<StoreError> for Fault {
    fn from(error: StoreError) -> Self {
        Self::Whole(error.into())
    }
}

/// Verifies the manifest and every segment in full, and only then merges: an upload with a bad
/// segment leaves no trace but its quarantine.
pub(super) async fn pull(
    vault: &Vault,
    store: &Store,
    system_id: &SystemId,
    upload_id: &UploadId,
) -> Result<Outcome, Fault> {
    let key = VaultKey::manifest(system_id, upload_id);
    let manifest_bytes = vault.get(&key, MAX_MANIFEST_BYTES).await?;
    let mut bytes = manifest_bytes.len() as u64;
    let now = store.sources().clock.now();
    let against = (system_id.clone(), upload_id.clone());
    let manifest = blocking(move || {
        let (system_id, upload_id) = &against;
        let against = Verification {
            system_id,
            upload_id,
            now,
        };
        Ok(UnverifiedManifest::parse(&manifest_bytes)?.verify(&against)?)
    })
    .await?;
    let mut files = Vec::with_capacity(manifest.segments().len());
    for entry in manifest.segments() {
        if entry.size_bytes > MAX_SEGMENT_BYTES {
            return Err(Fault::Upload(format!(
                "segment `{}` is {} bytes, the limit is {MAX_SEGMENT_BYTES}",
                entry.sha256, entry.size_bytes
            )));
        }
        let folder = store.home().temporary();
        let Downloaded { file, size_bytes } = vault
            .download(&entry.key(system_id), entry.expected(), &folder)
            .await?;
        bytes += size_bytes;
        files.push((*entry, file));
    }
    let store = store.clone();
    let mut outcome = blocking(move || merge(&store, &manifest, &files)).await?;
    outcome.bytes = bytes;
    Ok(outcome)
}

/// Reads every row, then merges those that are right.
fn merge(
    store: &Store,
    manifest: &Manifest,
    files: &[(SegmentEntry, File)],
) -> Result<Outcome, Fault> {
    let mut refused = Vec::new();
    let mut kept: Option<Vec<Change>> = Some(Vec::new());
    each_batch(manifest, files, |batch| {
        for row in batch {
            match (row, &mut kept) {
                (Ok(change), Some(changes)) if changes.len() < KEPT_ROWS => changes.push(change),
                (Ok(_), _) => kept = None,
                (Err(error), _) => refused.push((error.memory_id, error.reason.to_string())),
            }
        }
        Ok(())
    })?;
    let mut merged = Merged::default();
    if let Some(changes) = kept {
        merged = store.merge(&changes, IngestionMethod::CloudPull)?;
    } else {
        each_batch(manifest, files, |batch| {
            let changes: Vec<Change> = batch.into_iter().flatten().collect();
            merged += store.merge(&changes, IngestionMethod::CloudPull)?;
            Ok(())
        })?;
    }
    Ok(Outcome {
        merged,
        rows: manifest.conversation_count(),
        refused,
        bytes: 0,
    })
}

type Row = Result<Change, segment::RowError>;

fn each_batch(
    manifest: &Manifest,
    files: &[(SegmentEntry, File)],
    mut take: impl FnMut(Vec<Row>) -> Result<(), Fault>,
) -> Result<(), Fault> {
    for (entry, file) in files {
        let file = file.try_clone().map_err(SegmentError::Io)?;
        for batch in segment::read(file, manifest.system_id(), entry)? {
            take(batch?)?;
        }
    }
    Ok(())
}

async fn blocking<T: Send + 'static>(
    work: impl FnOnce() -> Result<T, Fault> + Send + 'static,
) -> Result<T, Fault> {
    match tokio::task::spawn_blocking(work).await {
        Ok(result) => result,
        // The runtime is going down: the upload stays unmerged and is found again.
        Err(_) => Err(Fault::Whole(SyncError::Cancelled)),
    }
}
