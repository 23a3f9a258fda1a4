//! One upload: segments, then the manifest; what follows is its publication.

use akosha_core::{SystemId, UploadId};
use akosha_store::{PushIntent, Store, Target, Trigger};

use super::changes::Segments;
use super::files::newest_with_files;
use super::publication::Publication;
use crate::crypt::VaultKeys;
use crate::disk::on_disk;
use crate::manifest::{ManifestDraft, SealedManifest, SegmentEntry};
use crate::vault::{CurrentHead, Vault};
use crate::{MethodReport, Progress, ProgressState, SyncError};

/// Most rows of one upload; what is more goes into the next one.
const UPLOAD_ROWS: u64 = 500_000;

/// Most segments of one upload: a reader needs room for all of them at once.
const UPLOAD_SEGMENTS: usize = 64;

/// An upload to be made.
pub(super) struct Upload<'a> {
    pub(super) store: &'a Store,
    pub(super) vault: &'a Vault,
    pub(super) keys: &'a VaultKeys,
    pub(super) target: &'a Target,
    pub(super) system_id: &'a SystemId,
    pub(super) trigger: Trigger,
    pub(super) progress: &'a dyn Progress,
}

impl Upload<'_> {
    /// Makes one upload of the local changes in `after < seq <= up_to`, or of as many of them as
    /// one upload may hold, and acknowledges them.
    pub(super) async fn run(
        &self,
        after: i64,
        up_to: i64,
        current: Option<CurrentHead>,
        report: &mut MethodReport,
    ) -> Result<(), SyncError> {
        let sources = self.store.sources();
        let mut intent = PushIntent {
            upload_id: UploadId::generate(self.system_id, sources),
            to_seq: up_to,
            at: sources.clock.now(),
        };
        self.begin(&intent).await?;
        let (entries, reached) = self.send_segments(after, up_to, report).await?;
        let publication = Publication {
            store: self.store,
            vault: self.vault,
            keys: self.keys,
            target: self.target,
            system_id: self.system_id,
        };
        if entries.is_empty() {
            // Every change in the range was erased since.
            return publication.acknowledge(None, up_to).await;
        }
        if reached < up_to {
            intent.to_seq = reached;
            self.begin(&intent).await?;
        }
        let files_from = newest_with_files(self.store, self.target, self.system_id).await?;
        let sealed = self.seal(&intent, current.as_ref(), entries, files_from)?;
        publication.create(sealed, &intent, report).await?;
        publication.publish(&intent, current, report).await
    }

    /// Records the upload, so that a later push can tell what became of it.
    async fn begin(&self, intent: &PushIntent) -> Result<(), SyncError> {
        let (target, system_id) = (self.target.clone(), self.system_id.clone());
        let intent = intent.clone();
        on_disk(self.store, move |store| {
            store.begin_push(&target, &system_id, &intent)
        })
        .await
    }

    /// Sends the changes as segments. Returns them with the last change that they hold.
    async fn send_segments(
        &self,
        after: i64,
        up_to: i64,
        report: &mut MethodReport,
    ) -> Result<(Vec<SegmentEntry>, i64), SyncError> {
        let sealer = self.keys.to_encrypt();
        let mut segments = Segments::new(self.store, self.system_id, sealer, after, up_to);
        let mut entries: Vec<SegmentEntry> = Vec::new();
        let mut rows = 0;
        while rows < UPLOAD_ROWS && entries.len() < UPLOAD_SEGMENTS {
            let Some((file, path)) = segments.next().await? else {
                break;
            };
            let entry = SegmentEntry::from(file);
            let key = entry.key(self.system_id);
            if self.vault.size_of(&key).await? == Some(entry.size_bytes) {
                report.bytes_deduplicated += entry.size_bytes;
            } else {
                self.vault.put_file(&key, &path).await?;
                report.bytes_transferred += entry.size_bytes;
            }
            rows += entry.rows;
            self.progress.update(ProgressState {
                bytes: report.bytes_transferred,
                memories: report.memories_uploaded + rows,
                ..ProgressState::default()
            });
            entries.push(entry);
        }
        Ok((entries, segments.reached()))
    }

    fn seal(
        &self,
        intent: &PushIntent,
        current: Option<&CurrentHead>,
        entries: Vec<SegmentEntry>,
        files_from: Option<UploadId>,
    ) -> Result<SealedManifest, SyncError> {
        let mut draft =
            ManifestDraft::new(self.system_id.clone(), intent.upload_id.clone(), intent.at);
        draft.parent = current.map(|current| current.head.upload_id.clone());
        draft.segments = entries;
        draft.files_from = files_from;
        self.trigger
            .as_str()
            .clone_into(&mut draft.metadata.trigger);
        Ok(draft.seal(self.keys)?)
    }
}
