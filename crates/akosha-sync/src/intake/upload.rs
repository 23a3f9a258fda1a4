//! One upload on its way in: its manifest is read, its segments are fetched, its rows are checked.
//! Each step gives the value that the next one needs, so nothing is merged that was not verified
//! whole.

use std::fs::File;

use akosha_core::{SystemId, UploadId};
use akosha_store::{Change, Merged, UploadOutcome};
use tempfile::TempPath;

use super::{Candidate, Fault, Intake};
use crate::SyncError;
use crate::disk::on_disk;
use crate::manifest::{MAX_MANIFEST_BYTES, Manifest, SegmentEntry};
use crate::received::{self, ReceiveError};
use crate::segment::{self, SegmentError};
use crate::vault::VaultError;

/// Bytes of memory that a row takes beside what its size in the vault tells: more than one with an
/// embedding and some metadata does.
const ROW_BYTES: usize = 4 << 10;

/// Most bytes of a manifest that is read at once with many others. Parsed, it takes several times
/// as much.
const SMALL_MANIFEST_BYTES: u64 = 256 << 10;

/// Rows that may break a rule before the whole upload is set aside.
const MAX_REFUSED: usize = 100;

/// Most bytes of the segments of one upload: 8 GiB.
const MAX_UPLOAD_BYTES: u64 = 8 << 30;

/// An upload whose manifest is read and verified.
#[derive(Debug)]
pub struct Opened {
    manifest: Manifest,
    bytes: u64,
    /// Whether the store has all that it brings.
    is_known: bool,
}

/// An upload whose segments are local files that vanish with it.
#[derive(Debug)]
pub struct Fetched {
    manifest: Manifest,
    files: Vec<(SegmentEntry, TempPath)>,
    bytes: u64,
}

/// An upload that is verified whole: every row of it is right, or refused with its reason.
#[derive(Debug)]
pub struct Verified {
    pub(super) manifest: Manifest,
    pub(super) content: Content,
    pub(super) refused: Vec<(String, String)>,
    pub(super) bytes: u64,
    /// How far a merge came that was cut off.
    pub(super) begun: Begun,
    size: usize,
}

/// How far the merge of an upload came that takes several transactions.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct Begun {
    /// The change from which it is counted.
    pub(super) since: Option<i64>,
    /// Batches that are merged.
    pub(super) batches: usize,
    /// What they did.
    pub(super) merged: Merged,
}

/// What of an upload is to be merged.
#[derive(Debug)]
pub(super) enum Content {
    /// All of it, in memory.
    Kept(Vec<Change>),
    /// All of it, to be decoded again.
    Files(Vec<(SegmentEntry, TempPath)>),
}

/// Why a manifest was not opened.
enum OpenError {
    Received(ReceiveError),
    Fault(Fault),
}

impl From<OpenError> for Fault {
    fn from(error: OpenError) -> Self {
        match error {
            OpenError::Received(error) => error.into(),
            OpenError::Fault(fault) => fault,
        }
    }
}

impl Intake {
    /// Reads the manifest of an upload and verifies it. It may take a few hundred MiB of memory.
    ///
    /// # Errors
    /// Fails where it is not there, breaks a rule, or the vault does not answer.
    pub async fn open(&self, candidate: &Candidate) -> Result<Opened, Fault> {
        Ok(self.open_within(candidate, MAX_MANIFEST_BYTES).await?)
    }

    /// As [`Intake::open`], but returns `None` where the manifest is too large for many such to be
    /// in memory at once.
    ///
    /// # Errors
    /// As [`Intake::open`].
    pub async fn open_small(&self, candidate: &Candidate) -> Result<Option<Opened>, Fault> {
        match self.open_within(candidate, SMALL_MANIFEST_BYTES).await {
            Ok(opened) => Ok(Some(opened)),
            Err(OpenError::Received(ReceiveError::Vault(VaultError::TooLarge { .. }))) => Ok(None),
            Err(error) => Err(error.into()),
        }
    }

    async fn open_within(&self, candidate: &Candidate, most: u64) -> Result<Opened, OpenError> {
        let Candidate {
            system_id,
            upload_id,
            ..
        } = candidate;
        let now = self.store().sources().clock.now();
        let (manifest, bytes) =
            received::manifest_within(most, self.vault(), self.keys(), now, system_id, upload_id)
                .await
                .map_err(OpenError::Received)?;
        let announced: u64 = manifest.segments().iter().map(|it| it.size_bytes).sum();
        if announced > MAX_UPLOAD_BYTES {
            return Err(OpenError::Fault(Fault::ForGood(format!(
                "its segments have {announced} bytes, the limit is {MAX_UPLOAD_BYTES}"
            ))));
        }
        let is_known = self.has_all_of(&manifest).await;
        Ok(Opened {
            is_known: is_known.map_err(OpenError::Fault)?,
            manifest,
            bytes,
        })
    }

    /// Returns whether the store has merged every upload for which this one stands, so that it
    /// brings nothing new.
    async fn has_all_of(&self, manifest: &Manifest) -> Result<bool, Fault> {
        if manifest.replaces().is_empty() || manifest.holds_more() {
            return Ok(false);
        }
        let direct = manifest.replaces().iter().filter(|it| it.via.is_none());
        let uploads: Vec<UploadId> = direct.map(|it| it.upload_id.clone()).collect();
        let system_id = manifest.system_id().clone();
        let has_all = on_disk(self.store(), move |store| {
            for upload_id in &uploads {
                if store.upload_outcome(&system_id, upload_id)? != UploadOutcome::Merged {
                    return Ok(false);
                }
            }
            Ok(true)
        });
        has_all.await.map_err(Fault::Store)
    }

    /// Fetches the segments of an upload into files of the home, each checked by size and hash.
    /// Memory use does not depend on their size.
    ///
    /// # Errors
    /// Fails where one is not what the manifest says, or the vault does not answer.
    #[tracing::instrument(
        name = "fetch_upload",
        skip_all,
        fields(upload_id = %opened.manifest.upload_id(), system_id = %opened.manifest.system_id())
    )]
    pub async fn fetch(&self, opened: Opened) -> Result<Fetched, Fault> {
        let Opened {
            manifest,
            mut bytes,
            is_known,
        } = opened;
        let mut files = Vec::new();
        if !is_known {
            let keys = self.keys();
            let sealer = manifest.encryption().and_then(|key_id| keys.find(key_id));
            let folder = self.store().home().temporary();
            for entry in manifest.segments() {
                let system_id = manifest.system_id();
                let path =
                    received::segment(self.vault(), sealer, system_id, entry, &folder).await?;
                bytes += entry.size_bytes;
                files.push((*entry, path));
            }
        }
        Ok(Fetched {
            manifest,
            files,
            bytes,
        })
    }
}

impl Opened {
    /// Returns how many bytes of the disk its segments take until it is merged.
    pub fn stored_bytes(&self) -> u64 {
        if self.is_known {
            return 0;
        }
        self.manifest
            .segments()
            .iter()
            .map(|it| it.size_bytes)
            .sum()
    }

    /// Returns how many bytes its rows take in memory, as far as its manifest tells: more than most
    /// do, and never more than `most`.
    pub fn size_hint(&self, most: usize) -> usize {
        if self.is_known {
            return 0;
        }
        let rows = usize::try_from(self.manifest.conversation_count()).unwrap_or(most);
        let stored: u64 = self
            .manifest
            .segments()
            .iter()
            .map(|it| it.size_bytes)
            .sum();
        // Texts shrink to a quarter or less.
        let text = usize::try_from(stored.saturating_mul(4)).unwrap_or(most);
        rows.saturating_mul(ROW_BYTES)
            .saturating_add(text)
            .min(most)
    }
}

impl Fetched {
    /// Decodes and checks every row; those of an upload of at most `room` bytes stay in memory, the
    /// others are decoded again when they are merged. Blocks on the disk and the processor.
    ///
    /// # Errors
    /// Fails where a segment is damaged, or too many rows break a rule.
    pub fn verify(self, room: usize) -> Result<Verified, Fault> {
        let Self {
            manifest,
            files,
            bytes,
        } = self;
        let mut refused = Vec::new();
        let mut kept: Option<Vec<Change>> = Some(Vec::new());
        let mut size = 0;
        each_batch(&manifest, &files, |batch| {
            for row in batch {
                match row {
                    Ok(change) => {
                        size += segment::size_in_memory(&change);
                        kept = kept.take().filter(|_| size <= room);
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
        let (content, size) = match kept {
            Some(changes) => (Content::Kept(changes), size),
            None => (Content::Files(files), 0),
        };
        Ok(Verified {
            manifest,
            content,
            refused,
            bytes,
            begun: Begun::default(),
            size,
        })
    }
}

impl Verified {
    /// Returns the system under which it lies.
    pub fn system_id(&self) -> &SystemId {
        self.manifest.system_id()
    }

    /// Returns its id.
    pub fn upload_id(&self) -> &UploadId {
        self.manifest.upload_id()
    }

    /// Returns how many rows it has.
    pub fn rows(&self) -> u64 {
        self.manifest.conversation_count()
    }

    /// Returns how many bytes were received.
    pub fn bytes(&self) -> u64 {
        self.bytes
    }

    /// Returns how many bytes of memory its rows take until they are merged.
    pub fn size(&self) -> usize {
        self.size
    }

    /// Returns whether its rows are in memory, so that it can be committed together with others.
    pub fn is_kept(&self) -> bool {
        matches!(self.content, Content::Kept(_))
    }
}

type Row = Result<Change, segment::RowError>;

pub(super) fn each_batch(
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

/// Runs a step that blocks on a blocking thread.
///
/// # Errors
/// Fails as the step does.
pub async fn blocking<T: Send + 'static>(
    work: impl FnOnce() -> Result<T, Fault> + Send + 'static,
) -> Result<T, Fault> {
    match tokio::task::spawn_blocking(work).await {
        Ok(result) => result,
        // The upload stays unmerged and is found again.
        Err(error) => Err(Fault::Store(SyncError::of_join(&error))),
    }
}
