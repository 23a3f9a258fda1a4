//! What follows the manifest of an upload: the head, the marker, the cursor; and what becomes of
//! an upload that stopped half-way.

use akosha_core::{ErrorKind, SystemId, UploadId, time};
use akosha_store::{
    Begun, PushIntent, PushState, PushedFile, Store, StoreError, Target, Trigger, UploadRecord,
};
use bytes::Bytes;
use tempfile::TempPath;

use super::remembered::Remembered;
use crate::crypt::VaultKeys;
use crate::disk::on_disk;
use crate::files::{Group, StoredPieces};
use crate::manifest::{Manifest, ManifestDraft, SealedManifest, SegmentEntry};
use crate::received;
use crate::segment::SegmentFile;
use crate::vault::{Created, CurrentHead, Head, Swap, Vault, VaultKey};
use crate::{MethodReport, SyncError};

/// The uploads of one system to one vault: begins them, makes one whose manifest is written the
/// newest of its system, and settles those that stopped half-way.
#[derive(Clone, Copy)]
pub(crate) struct Publication<'a> {
    pub(crate) store: &'a Store,
    pub(crate) vault: &'a Vault,
    pub(crate) keys: &'a VaultKeys,
    pub(crate) target: &'a Target,
    pub(crate) system_id: &'a SystemId,
}

impl Publication<'_> {
    /// Runs a call of the store about the uploads of the system to the vault, on a blocking thread.
    pub(crate) async fn on_disk<T: Send + 'static>(
        &self,
        call: impl FnOnce(&Store, &Target, &SystemId) -> Result<T, StoreError> + Send + 'static,
    ) -> Result<T, SyncError> {
        let (target, system_id) = (self.target.clone(), self.system_id.clone());
        on_disk(self.store, move |store| call(store, &target, &system_id)).await
    }

    /// Returns how far this store's pushes have come.
    pub(crate) async fn state(&self) -> Result<PushState, SyncError> {
        self.on_disk(Store::push_state).await
    }

    /// Returns whether a head is where this store's pushes to the vault have left it.
    pub(crate) fn is_expected(&self, head: &Head, state: &PushState) -> bool {
        let begun = state.intent.as_ref().map(|intent| &intent.upload_id);
        head.writer_id == *self.store.writer_id()
            && head.epoch <= state.epoch
            && (state.last_upload_id.as_ref() == Some(&head.upload_id)
                || begun == Some(&head.upload_id))
    }

    /// Says who else writes under the id.
    pub(crate) fn conflict(&self, head: &Head, state: &PushState) -> SyncError {
        let who = if &head.writer_id != self.store.writer_id() {
            "another machine"
        } else if head.epoch > state.epoch {
            "a copy of this home that took the id over"
        } else {
            "a copy of this home"
        };
        let message = format!(
            "{who} writes as `{}` in this vault, last at {}, upload `{}`, epoch {}; nothing was \
             overwritten",
            head.system_id,
            time::format(head.updated_at),
            head.upload_id,
            head.epoch
        );
        SyncError::taken("cloud", &head.system_id, Some(head.epoch), message)
    }

    /// Settles what was begun, and returns how far pushes have come, with the head. `None` where
    /// the vault has no head. What this home wrote with a key that is lost counts as not there
    /// where it `gives_up`: then everything is sent again.
    ///
    /// # Errors
    /// Fails with a conflict where another one writes.
    pub(crate) async fn settled(
        &self,
        gives_up: bool,
    ) -> Result<Option<(PushState, CurrentHead)>, SyncError> {
        loop {
            let Some(current) = self.vault.read_head(self.system_id).await? else {
                return Ok(None);
            };
            let state = self.state().await?;
            if !self.is_expected(&current.head, &state) {
                if !self.resume(&current.head, gives_up).await? {
                    return Err(self.conflict(&current.head, &state));
                }
            } else if let Some(intent) = &state.intent {
                let mut report = MethodReport::default();
                let finished = self.finish(intent, Some(current), &mut report).await;
                if gives_up && finished.as_ref().is_err_and(lacks_key) {
                    self.abandon().await?;
                } else {
                    finished?;
                }
            } else {
                return Ok(Some((state, current)));
            }
        }
    }

    /// Sends a segment, unless the vault has it.
    pub(crate) async fn send_segment(
        &self,
        segment: (SegmentFile, TempPath),
        report: &mut MethodReport,
    ) -> Result<SegmentEntry, SyncError> {
        let entry = SegmentEntry::from(segment.0);
        let key = entry.key(self.system_id);
        if self.vault.size_of(&key).await? == Some(entry.size_bytes) {
            report.bytes_deduplicated += entry.size_bytes;
        } else {
            self.put_segment(segment).await?;
            report.bytes_transferred += entry.size_bytes;
        }
        Ok(entry)
    }

    /// Sends a segment, whether the vault has it or not.
    pub(crate) async fn put_segment(
        &self,
        (file, path): (SegmentFile, TempPath),
    ) -> Result<(), SyncError> {
        let journal = Remembered {
            store: self.store,
            target: self.target,
        };
        let key = VaultKey::segment(self.system_id, file.sha256);
        Ok(self.vault.put_file(&key, &path, &journal).await?)
    }

    /// Names an upload that will hold the changes up to `to_seq`.
    pub(crate) fn intend(&self, to_seq: i64) -> PushIntent {
        let sources = self.store.sources();
        PushIntent {
            upload_id: UploadId::generate(self.system_id, sources),
            to_seq,
            at: sources.clock.now(),
        }
    }

    /// Records an upload, so that a later push can tell what became of it.
    pub(crate) async fn begin(&self, intent: &PushIntent) -> Result<(), SyncError> {
        let intent = intent.clone();
        self.on_disk(move |store, target, system_id| store.begin_push(target, system_id, &intent))
            .await
    }

    /// Starts the manifest of an upload that follows `current`.
    pub(crate) fn draft(
        &self,
        intent: &PushIntent,
        current: Option<&CurrentHead>,
        trigger: Trigger,
    ) -> ManifestDraft {
        let (system_id, upload_id) = (self.system_id.clone(), intent.upload_id.clone());
        let mut draft = ManifestDraft::new(system_id, upload_id, intent.at);
        draft.parent = current.map(|current| current.head.upload_id.clone());
        trigger.as_str().clone_into(&mut draft.metadata.trigger);
        draft
    }

    /// Writes the manifest: from here on readers see the upload.
    pub(crate) async fn create(
        &self,
        draft: &ManifestDraft,
        intent: &PushIntent,
        report: &mut MethodReport,
    ) -> Result<(), SyncError> {
        let key = VaultKey::manifest(self.system_id, &intent.upload_id);
        let SealedManifest { bytes, .. } = draft.seal(self.keys)?;
        let size = bytes.len() as u64;
        on_disk(self.store, Store::check_claim).await?;
        match self.vault.create(&key, bytes).await? {
            Created::Created => {
                report.bytes_transferred += size;
                Ok(())
            }
            Created::AlreadyThere => {
                self.abandon().await?;
                let message = format!("`{key}` was written by another machine at the same moment");
                Err(SyncError::taken("cloud", self.system_id, Some(0), message))
            }
        }
    }

    /// Reads the manifest back and checks it and its segments, moves the head, leaves the marker,
    /// and acknowledges. Each step may have happened already in an earlier try.
    pub(crate) async fn publish(
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
        self.settle(intent, &manifest, report).await
    }

    /// Notes an upload that is in the vault and right, and acknowledges what it holds.
    async fn settle(
        &self,
        intent: &PushIntent,
        manifest: &Manifest,
        report: &mut MethodReport,
    ) -> Result<(), SyncError> {
        let rows = manifest.conversation_count();
        // What stands for other uploads brings nothing new.
        let is_new = manifest.replaces().is_empty();
        let files: Vec<PushedFile> = Group::all_of(manifest.files(), manifest.encryption())
            .iter()
            .map(|group| group.row(&intent.upload_id))
            .collect();
        let id = intent.upload_id.clone();
        self.on_disk(move |store, target, system_id| {
            if !files.is_empty() {
                store.record_files(target, system_id, &files)?;
            }
            let made_here = UploadRecord {
                rows,
                ..UploadRecord::default()
            };
            store.record_upload(&id, system_id, &made_here)
        })
        .await?;
        self.acknowledge(Some(&intent.upload_id), intent.to_seq)
            .await?;
        report.memories_uploaded += if is_new { rows } else { 0 };
        report.upload_ids.push(intent.upload_id.clone());
        Ok(())
    }

    /// Moves the cursor.
    pub(crate) async fn acknowledge(
        &self,
        upload_id: Option<&UploadId>,
        to_seq: i64,
    ) -> Result<(), SyncError> {
        let upload_id = upload_id.cloned();
        self.on_disk(move |store, target, system_id| {
            store.ack_push(target, system_id, upload_id.as_ref(), to_seq)
        })
        .await
    }

    /// Finishes an upload that was begun, from the step at which it stopped, or gives it up where
    /// its manifest was never written.
    pub(crate) async fn finish(
        &self,
        intent: &PushIntent,
        current: Option<CurrentHead>,
        report: &mut MethodReport,
    ) -> Result<(), SyncError> {
        let key = VaultKey::manifest(self.system_id, &intent.upload_id);
        let announced = current
            .as_ref()
            .filter(|current| current.head.upload_id == intent.upload_id)
            .map(|current| current.head.epoch);
        if self.vault.size_of(&key).await?.is_some() {
            tracing::info!(upload = %intent.upload_id, "finishes an upload that was begun before");
            let published = self.publish(intent, current, report).await;
            if !published.as_ref().is_err_and(is_damaged) {
                return published;
            }
            // Its changes are sent anew.
            self.take_back(&intent.upload_id).await?;
            if let Some(epoch) = announced {
                let upload_id = intent.upload_id.clone();
                let adopt = move |store: &Store, target: &Target, system_id: &SystemId| {
                    store.adopt(target, system_id, &upload_id, epoch, true)
                };
                return self.on_disk(adopt).await;
            }
        }
        self.abandon().await
    }

    /// Ends an upload that was begun under an id that another machine has now. One that is
    /// visible is right under the id that it names, and is not sent again under another one.
    pub(crate) async fn close(&self, report: &mut MethodReport) -> Result<(), SyncError> {
        let state = self.state().await?;
        let Some(intent) = &state.intent else {
            return Ok(());
        };
        let key = VaultKey::manifest(self.system_id, &intent.upload_id);
        if self.vault.size_of(&key).await?.is_some() {
            match self.read_back(intent).await {
                Ok(manifest) => return self.settle(intent, &manifest, report).await,
                Err(error) if is_damaged(&error) => self.take_back(&intent.upload_id).await?,
                Err(error) => return Err(error),
            }
        }
        self.abandon().await
    }

    /// Goes on from the newest upload of the vault where this store began that upload: the vault
    /// lies at another address now, was put back to an earlier state, or holds what a process of
    /// this home wrote that lost its lease. Returns false where another one wrote it. Where the key
    /// of the upload is lost, it counts as not there if this `gives_up`.
    pub(crate) async fn resume(&self, head: &Head, gives_up: bool) -> Result<bool, SyncError> {
        if &head.writer_id != self.store.writer_id() {
            return Ok(false);
        }
        let begun = self.begun(&head.upload_id).await?;
        let Some(begun) = begun.filter(|begun| head.epoch <= begun.epoch) else {
            return Ok(false);
        };
        let is_whole = match self.read_back(&begun.intent).await {
            Ok(_) => true,
            Err(error) if is_damaged(&error) || gives_up && lacks_key(&error) => false,
            Err(error) => return Err(error),
        };
        tracing::info!(upload = %head.upload_id, is_whole, "goes on from an upload of this home");
        let epoch = head.epoch;
        self.on_disk(move |store, target, system_id| {
            store.resume_push(target, system_id, &begun.intent, epoch, is_whole)
        })
        .await?;
        Ok(true)
    }

    async fn read_back(&self, intent: &PushIntent) -> Result<Manifest, SyncError> {
        let keys = self.keys.for_own_uploads();
        // The clock may have been set back since the upload was begun.
        let now = self.store.sources().clock.now().max(intent.at);
        let upload_id = &intent.upload_id;
        let (manifest, _) =
            received::manifest(self.vault, &keys, now, self.system_id, upload_id).await?;
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
        if !manifest.files().is_empty() {
            let stored = StoredPieces::of(self.vault, self.system_id, []).await?;
            if let Some(piece) = stored.missing(manifest.files()) {
                let key = VaultKey::chunk(self.system_id, piece.sha256);
                return Err(SyncError::damaged(format!(
                    "`{key}` is not there as it was sent, with {} bytes",
                    piece.stored_bytes
                )));
            }
        }
        Ok(manifest)
    }

    /// Returns the newest upload that lists files, as far as this store pushed it.
    pub(crate) async fn newest_with_files(&self) -> Result<Option<UploadId>, SyncError> {
        let rows = self.on_disk(Store::pushed_files).await?;
        Ok(rows.into_iter().map(|row| row.upload_id).max())
    }

    /// Gives the upload up; its changes stay unacknowledged.
    pub(crate) async fn abandon(&self) -> Result<(), SyncError> {
        self.on_disk(Store::abandon_push).await
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
        on_disk(self.store, Store::check_claim).await?;
        match self.vault.swap_head(expected.as_ref(), &head).await? {
            Swap::Swapped => Ok(()),
            // An earlier try whose answer was lost came through.
            Swap::Lost { current: Some(now) }
                if is_ours(&now) && now.head.writer_id == head.writer_id =>
            {
                Ok(())
            }
            Swap::Lost { current } => {
                self.take_back(&intent.upload_id).await?;
                self.abandon().await?;
                Err(self.lost_to(current).await?)
            }
        }
    }

    /// Says to whom a swap of the head was lost.
    async fn lost_to(&self, current: Option<CurrentHead>) -> Result<SyncError, SyncError> {
        let head = current.map(|current| current.head);
        if let Some(head) = &head
            && &head.writer_id == self.store.writer_id()
            && self.begun(&head.upload_id).await?.is_some()
        {
            return Ok(SyncError::Local {
                message: "an earlier sync of this home came through at the same moment".into(),
                hint: "nothing is lost; repeat it: `akosha sync`".into(),
                kind: ErrorKind::Unavailable,
            });
        }
        let message = format!(
            "another machine wrote as `{}` at the same moment; nothing was overwritten",
            self.system_id
        );
        let epoch = head.map_or(0, |head| head.epoch);
        Ok(SyncError::taken(
            "cloud",
            self.system_id,
            Some(epoch),
            message,
        ))
    }

    /// Returns what this store knows of an upload that it began.
    async fn begun(&self, upload_id: &UploadId) -> Result<Option<Begun>, SyncError> {
        let upload_id = upload_id.clone();
        self.on_disk(move |store, _, system_id| store.begun(system_id, &upload_id))
            .await
    }

    /// Removes the marker and the manifest of an upload that was never announced, or is broken. Not
    /// without the claim: whoever has it now may have announced the upload.
    pub(crate) async fn take_back(&self, upload_id: &UploadId) -> Result<(), SyncError> {
        on_disk(self.store, Store::check_claim).await?;
        tracing::warn!(upload = %upload_id, "takes back an upload");
        self.vault.delete(&VaultKey::inbox(upload_id)).await?;
        let manifest = VaultKey::manifest(self.system_id, upload_id);
        Ok(self.vault.delete(&manifest).await?)
    }
}

/// Returns whether a key that this home lacks is what stands in the way.
fn lacks_key(error: &SyncError) -> bool {
    error.kind() == ErrorKind::Config
}

fn is_damaged(error: &SyncError) -> bool {
    error.kind() == ErrorKind::Data
}
