//! Verifies one upload whole, then merges it.

use std::fs::File;

use akosha_core::{ErrorKind, IngestionMethod, SystemId, UploadId};
use akosha_store::{Change, Merged, Store, StoreError, UploadOutcome};
use tempfile::TempPath;

use crate::SyncError;
use crate::crypt::VaultKeys;
use crate::disk::on_disk;
use crate::manifest::{Manifest, SegmentEntry};
use crate::received::{self, ReceiveError};
use crate::segment::{self, SegmentError};
use crate::vault::Vault;

/// Bytes of text of an upload that are kept from the check to the merge; the rows of a larger one
/// are decoded again.
const KEPT_BYTES: usize = 4 << 20;

/// Bytes of a row beside its text.
const ROW_BYTES: usize = 2 << 10;

/// Rows that may break a rule before the whole upload is set aside.
const MAX_REFUSED: usize = 100;

/// Most bytes of the segments of one upload: 8 GiB.
const MAX_UPLOAD_BYTES: u64 = 8 << 30;

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
    /// The upload is at fault, or cannot be read: it is set aside with this reason and tried
    /// again by the next pull.
    Upload(String),
    /// The vault lacks something of it: it was removed since it was listed, or lost.
    Missing(String),
    /// What its manifest says is at fault, or what that pins by its hash: it is set aside with
    /// this reason until the manifest is another one.
    ForGood(String),
    /// The vault did not answer: the upload is tried again by the next pull.
    Vault(SyncError),
    /// The store or its disk refused, and will refuse every other upload too.
    Store(SyncError),
}

impl From<ReceiveError> for Fault {
    fn from(error: ReceiveError) -> Self {
        let shown = error.to_string();
        match error {
            ReceiveError::Vault(error) if error.is_retryable() => Self::Vault(error.into()),
            ReceiveError::Vault(error) if error.is_not_found() => Self::Missing(shown),
            ReceiveError::Vault(_) => Self::Upload(shown),
            ReceiveError::Manifest(error) if error.may_pass_later() => Self::Upload(shown),
            // The manifest pins its segments by their hashes.
            ReceiveError::Manifest(_) | ReceiveError::Segment { .. } => Self::ForGood(shown),
            ReceiveError::Disk(_) | ReceiveError::Lost(_) => Self::Store(error.into()),
        }
    }
}

impl From<SegmentError> for Fault {
    fn from(error: SegmentError) -> Self {
        match error.kind() {
            // The bytes are those that the manifest names.
            ErrorKind::Data => Self::ForGood(error.to_string()),
            _ => Self::Store(error.into()),
        }
    }
}

impl From<StoreError> for Fault {
    fn from(error: StoreError) -> Self {
        Self::Store(error.into())
    }
}

/// Verifies the manifest and every segment in full, and only then merges: an upload with a bad
/// segment leaves no trace but its quarantine. Counts by what was here at the change `since`.
pub(super) async fn pull(
    vault: &Vault,
    keys: &VaultKeys,
    store: &Store,
    since: i64,
    system_id: &SystemId,
    upload_id: &UploadId,
) -> Result<Outcome, Fault> {
    let now = store.sources().clock.now();
    let (manifest, mut bytes) = received::manifest(vault, keys, now, system_id, upload_id).await?;
    if has_all_of(store, &manifest).await? {
        return Ok(Outcome {
            merged: Merged::default(),
            rows: manifest.conversation_count(),
            refused: Vec::new(),
            bytes,
        });
    }
    let announced = manifest
        .segments()
        .iter()
        .map(|entry| entry.size_bytes)
        .sum::<u64>();
    if announced > MAX_UPLOAD_BYTES {
        return Err(Fault::ForGood(format!(
            "its segments have {announced} bytes, the limit is {MAX_UPLOAD_BYTES}"
        )));
    }
    let sealer = manifest.encryption().and_then(|key_id| keys.find(key_id));
    let folder = store.home().temporary();
    let mut files = Vec::with_capacity(manifest.segments().len());
    for entry in manifest.segments() {
        let path = received::segment(vault, sealer, system_id, entry, &folder).await?;
        bytes += entry.size_bytes;
        files.push((*entry, path));
    }
    let store = store.clone();
    let mut outcome = blocking(move || merge(&store, since, &manifest, &files)).await?;
    outcome.bytes = bytes;
    Ok(outcome)
}

/// Returns whether this store has merged every upload for which this one stands, so that it brings
/// nothing new.
async fn has_all_of(store: &Store, manifest: &Manifest) -> Result<bool, Fault> {
    if manifest.replaces().is_empty() || manifest.holds_more() {
        return Ok(false);
    }
    let direct = manifest.replaces().iter().filter(|it| it.via.is_none());
    let uploads: Vec<UploadId> = direct.map(|it| it.upload_id.clone()).collect();
    let system_id = manifest.system_id().clone();
    let has_all = on_disk(store, move |store| {
        for upload_id in &uploads {
            if store.upload_outcome(&system_id, upload_id)? != UploadOutcome::Merged {
                return Ok(false);
            }
        }
        Ok(true)
    });
    has_all.await.map_err(Fault::Store)
}

/// Reads every row, then merges those that are right.
fn merge(
    store: &Store,
    since: i64,
    manifest: &Manifest,
    files: &[(SegmentEntry, TempPath)],
) -> Result<Outcome, Fault> {
    let mut refused = Vec::new();
    let mut kept: Option<Vec<Change>> = Some(Vec::new());
    let mut size = 0;
    each_batch(manifest, files, |batch| {
        for row in batch {
            match row {
                Ok(change) => {
                    size += change.text.len() + ROW_BYTES;
                    kept = kept.take().filter(|_| size <= KEPT_BYTES);
                    if let Some(changes) = &mut kept {
                        changes.push(change);
                    }
                }
                Err(error) if refused.len() < MAX_REFUSED => {
                    refused.push((error.memory_id, error.reason.to_string()));
                }
                Err(error) => {
                    return Err(Fault::ForGood(format!(
                        "over {MAX_REFUSED} rows break a rule, the last: {error}"
                    )));
                }
            }
        }
        Ok(())
    })?;
    let mut merged = Merged::default();
    if let Some(changes) = kept {
        merged = store.merge_since(&changes, IngestionMethod::CloudPull, since)?;
    } else {
        each_batch(manifest, files, |batch| {
            let changes: Vec<Change> = batch.into_iter().flatten().collect();
            merged += store.merge_since(&changes, IngestionMethod::CloudPull, since)?;
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
    files: &[(SegmentEntry, TempPath)],
    mut take: impl FnMut(Vec<Row>) -> Result<(), Fault>,
) -> Result<(), Fault> {
    for (entry, path) in files {
        let file = File::open(path).map_err(SegmentError::Io)?;
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
        // The upload stays unmerged and is found again.
        Err(error) => Err(Fault::Store(SyncError::of_join(&error))),
    }
}
