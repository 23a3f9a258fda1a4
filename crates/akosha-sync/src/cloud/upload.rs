//! One upload: segments, then the manifest, then the head and the marker, then the cursor.

use akosha_core::{SystemId, UploadId};
use akosha_store::{PushIntent, Store, Target, Trigger};
use bytes::Bytes;

use super::changes::Segments;
use crate::disk::on_disk;
use crate::manifest::{
    MAX_MANIFEST_BYTES, Manifest, ManifestDraft, SealedManifest, SegmentEntry, UnverifiedManifest,
    Verification,
};
use crate::vault::{Created, CurrentHead, Head, Swap, Vault, VaultKey};
use crate::{MethodReport, Progress, ProgressState, SyncError};

/// Most rows of one upload; what is more goes into the next one.
const MAX_ROWS: u64 = 500_000;

/// Most segments of one upload: a reader needs room for all of them at once.
const MAX_SEGMENTS: usize = 64;

/// An upload to be made.
pub(super) struct Upload<'a> {
    pub(super) store: &'a Store,
    pub(super) vault: &'a Vault,
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
        if entries.is_empty() {
            // Every change in the range was erased since.
            return acknowledge(self.store, self.target, self.system_id, None, up_to).await;
        }
        if reached < up_to {
            intent.to_seq = reached;
            self.begin(&intent).await?;
        }
        let sealed = self.seal(&intent, current.as_ref(), entries)?;
        let publication = Publication {
            store: self.store,
            vault: self.vault,
            target: self.target,
            system_id: self.system_id,
        };
        let key = VaultKey::manifest(self.system_id, &intent.upload_id);
        let size = sealed.bytes.len() as u64;
        match self.vault.create(&key, sealed.bytes).await? {
            Created::Created => report.bytes_transferred += size,
            Created::AlreadyThere => {
                publication.abandon().await?;
                return Err(SyncError::Conflict {
                    message: format!("`{key}` was written by another machine at the same moment"),
                    hint: "give each machine a `system_id` of its own: `akosha config show`".into(),
                });
            }
        }
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
        let mut segments = Segments::new(self.store, self.system_id, after, up_to);
        let mut entries: Vec<SegmentEntry> = Vec::new();
        let mut rows = 0;
        while rows < MAX_ROWS && entries.len() < MAX_SEGMENTS {
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
    ) -> Result<SealedManifest, SyncError> {
        let mut draft =
            ManifestDraft::new(self.system_id.clone(), intent.upload_id.clone(), intent.at);
        draft.parent = current.map(|current| current.head.upload_id.clone());
        draft.segments = entries;
        self.trigger
            .as_str()
            .clone_into(&mut draft.metadata.trigger);
        Ok(draft.seal()?)
    }
}

/// Makes an upload whose manifest is written the newest one of its system.
pub(super) struct Publication<'a> {
    pub(super) store: &'a Store,
    pub(super) vault: &'a Vault,
    pub(super) target: &'a Target,
    pub(super) system_id: &'a SystemId,
}

impl Publication<'_> {
    /// Reads the manifest back and checks it and its segments, moves the head, leaves the marker,
    /// and acknowledges. Each step may have happened already in an earlier try.
    pub(super) async fn publish(
        &self,
        intent: &PushIntent,
        current: Option<CurrentHead>,
        report: &mut MethodReport,
    ) -> Result<(), SyncError> {
        let manifest = self.read_back(intent).await?;
        self.move_head(intent, current).await?;
        self.vault
            .put(&VaultKey::inbox(&intent.upload_id), Bytes::new())
            .await?;
        let rows = manifest.conversation_count();
        on_disk(self.store, {
            let (id, system_id) = (intent.upload_id.clone(), self.system_id.clone());
            move |store| store.record_upload(&id, &system_id, rows)
        })
        .await?;
        let upload_id = Some(intent.upload_id.clone());
        acknowledge(
            self.store,
            self.target,
            self.system_id,
            upload_id,
            intent.to_seq,
        )
        .await?;
        report.memories_uploaded += rows;
        report.upload_id = Some(intent.upload_id.clone());
        Ok(())
    }

    async fn read_back(&self, intent: &PushIntent) -> Result<Manifest, SyncError> {
        let upload_id = &intent.upload_id;
        let key = VaultKey::manifest(self.system_id, upload_id);
        let bytes = self.vault.get(&key, MAX_MANIFEST_BYTES).await?;
        let manifest = UnverifiedManifest::parse(&bytes)?.verify(&Verification {
            system_id: self.system_id,
            upload_id,
            // The clock may have been set back since the upload was begun.
            now: self.store.sources().clock.now().max(intent.at),
        })?;
        for segment in manifest.segments() {
            let key = segment.key(self.system_id);
            let found = self.vault.size_of(&key).await?;
            if found != Some(segment.size_bytes) {
                return Err(SyncError::damaged(format!(
                    "`{key}` has {found:?} bytes, {} were sent",
                    segment.size_bytes
                )));
            }
        }
        Ok(manifest)
    }

    /// Gives the upload up; its changes stay unacknowledged.
    pub(super) async fn abandon(&self) -> Result<(), SyncError> {
        let (target, system_id) = (self.target.clone(), self.system_id.clone());
        on_disk(self.store, move |store| {
            store.abandon_push(&target, &system_id)
        })
        .await
    }

    /// Moves the head to the upload. Where somebody else moved it first, the manifest is taken
    /// back: it was never announced.
    async fn move_head(
        &self,
        intent: &PushIntent,
        current: Option<CurrentHead>,
    ) -> Result<(), SyncError> {
        let is_ours = |current: &CurrentHead| current.head.upload_id == intent.upload_id;
        if current.as_ref().is_some_and(is_ours) {
            return Ok(());
        }
        let head = Head {
            upload_id: intent.upload_id.clone(),
            system_id: self.system_id.clone(),
            writer_id: self.store.writer_id().clone(),
            epoch: current.as_ref().map_or(0, |current| current.head.epoch),
            updated_at: self.store.sources().clock.now(),
        };
        let expected = current.map(|current| current.version);
        match self.vault.swap_head(expected.as_ref(), &head).await? {
            Swap::Swapped => Ok(()),
            // An earlier try whose answer was lost came through.
            Swap::Lost { current: Some(now) }
                if is_ours(&now) && now.head.writer_id == head.writer_id =>
            {
                Ok(())
            }
            Swap::Lost { .. } => {
                self.vault
                    .delete(&VaultKey::manifest(self.system_id, &intent.upload_id))
                    .await?;
                self.abandon().await?;
                Err(SyncError::Conflict {
                    message: format!(
                        "another machine wrote as `{}` at the same moment; nothing was overwritten",
                        self.system_id
                    ),
                    hint: format!(
                        "set another `system_id` on one of the machines, or take the id over on \
                         this one: `akosha machines adopt {}`",
                        self.system_id
                    ),
                })
            }
        }
    }
}

async fn acknowledge(
    store: &Store,
    target: &Target,
    system_id: &SystemId,
    upload_id: Option<UploadId>,
    to_seq: i64,
) -> Result<(), SyncError> {
    let (target, system_id) = (target.clone(), system_id.clone());
    on_disk(store, move |store| {
        store.ack_push(&target, &system_id, upload_id.as_ref(), to_seq)
    })
    .await
}
