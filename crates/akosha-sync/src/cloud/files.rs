//! Pushes files: an upload that lists all files of the system as they are now, after the memories
//! are safe.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};

use akosha_core::config::{Compression, Config};
use akosha_core::{ErrorKind, SystemId, UploadId};
use akosha_store::{PushedFile, Store, Target, Trigger};

use super::CloudSync;
use super::publication::Publication;
use crate::crypt::{KeyId, Sealer};
use crate::disk::on_disk;
use crate::files::{
    Coding, FileError, FileSource, Group, SendError, SendOptions, Sender, Sent, Snapshot,
    StoredPieces, signature, sources,
};
use crate::manifest::{CompressionFormat, FileEntry, MAX_CHUNKS, MAX_TOTAL_BYTES};
use crate::vault::CurrentHead;
use crate::{FileFailure, MethodReport, Progress, ProgressState, SyncError, SyncRequest};

/// Longest name of a file in an encrypted vault, so that the sealed name of its longest log is one
/// of at most 255 characters.
const SEALED_NAME: usize = 110;

/// What is to be done about the files of this node.
#[derive(Debug, Default)]
pub(super) struct Plan {
    /// Files that have changed since they were pushed.
    changed: Vec<FileSource>,
    /// The others.
    unchanged: Vec<FileSource>,
    /// What the target has of the files, also of those that are not configured any more.
    pushed: HashMap<String, Group>,
    /// Why others cannot be pushed.
    failed: Vec<FileError>,
}

impl Plan {
    /// Looks at the configured files, not into them. Blocks on the disk for as long as that takes.
    pub(super) fn make(
        store: &Store,
        config: &Config,
        target: &Target,
        system_id: &SystemId,
        request: &SyncRequest,
        key: Option<KeyId>,
    ) -> Result<Self, SyncError> {
        let (wanted, failed) = sources(config, request);
        let rows = store.pushed_files(target, system_id)?;
        let pushed: HashMap<String, Group> = rows
            .iter()
            .filter_map(Group::of)
            .map(|group| (group.name.clone(), group))
            .collect();
        let mut plan = Self {
            pushed,
            failed,
            ..Self::default()
        };
        for source in wanted {
            let before = plan.pushed.get(&source.name).map(|group| &*group.signature);
            match signature(&source) {
                _ if key.is_some() && source.name.len() > SEALED_NAME => {
                    plan.failed.push(FileError::Name { path: source.path });
                }
                Ok(now) if before == Some(&Group::sign(key, &now)) => plan.unchanged.push(source),
                Ok(_) => plan.changed.push(source),
                Err(error) => plan.failed.push(error),
            }
        }
        Ok(plan)
    }

    /// Returns whether a push would send anything.
    pub(super) fn has_changes(&self) -> bool {
        !self.changed.is_empty()
    }

    /// Returns the names of the files that have changed.
    pub(super) fn names(self) -> Vec<String> {
        self.changed.into_iter().map(|source| source.name).collect()
    }

    /// Returns why some files cannot be pushed.
    pub(super) fn failures(&self) -> Vec<FileFailure> {
        self.failed.iter().map(failure).collect()
    }
}

fn failure(error: &FileError) -> FileFailure {
    FileFailure {
        message: error.to_string(),
        kind: error.kind(),
    }
}

impl CloudSync {
    /// Looks at the configured files.
    pub(super) async fn plan_files(
        &self,
        target: &Target,
        request: &SyncRequest,
    ) -> Result<Plan, SyncError> {
        let (store, config) = (self.store.clone(), Arc::clone(&self.config));
        let (target, request) = (target.clone(), request.clone());
        let key = self.keys().await?.to_encrypt().map(Sealer::key_id);
        tokio::task::spawn_blocking(move || {
            Plan::make(&store, &config, &target, store.system_id(), &request, key)
        })
        .await
        .map_err(|error| SyncError::of_join(&error))?
    }

    /// Pushes the files of this node that have changed.
    pub(super) async fn push_files(
        &self,
        request: &SyncRequest,
        trigger: Trigger,
        progress: &dyn Progress,
        report: &mut MethodReport,
    ) -> Result<(), SyncError> {
        let vault = self.vault()?;
        let target = Self::target(vault);
        let plan = self.plan_files(&target, request).await?;
        report.files_failed = plan.failures();
        if !plan.has_changes() {
            return Ok(());
        }
        let system_id = self.store.system_id();
        let publication = self.publication(&target, system_id).await?;
        let state = publication.state().await?;
        let current = vault.read_head(system_id).await?;
        // The push of the memories has just found it as it is to be.
        if let Some(CurrentHead { head, .. }) = &current
            && !publication.is_expected(head, &state)
        {
            return Err(publication.conflict(head, &state));
        }
        let push = FilesPush {
            publication,
            config: &self.config,
            trigger,
            progress,
        };
        push.run(plan, state.acked_seq, current, report).await
    }
}

/// A push of files to one vault.
struct FilesPush<'a> {
    publication: Publication<'a>,
    config: &'a Config,
    trigger: Trigger,
    progress: &'a dyn Progress,
}

/// Bytes of files that are done, for the progress.
#[derive(Debug, Clone, Copy, Default)]
struct Tally {
    done: u64,
    sent: u64,
    deduplicated: u64,
}

impl FilesPush<'_> {
    /// Sends what has changed and makes it visible. What goes wrong with one file is reported and
    /// leaves the others alone.
    async fn run(
        &self,
        plan: Plan,
        acked_seq: i64,
        current: Option<CurrentHead>,
        report: &mut MethodReport,
    ) -> Result<(), SyncError> {
        let Publication {
            store,
            vault,
            target,
            system_id,
            ..
        } = self.publication;
        let known = plan.pushed.values().flat_map(|group| &group.entries);
        let chunks = known.flat_map(|file| file.chunks.iter().copied());
        let stored = StoredPieces::of(vault, system_id, chunks).await?;
        // What the vault has lost is sent again, and not listed as if it were there.
        let key = self.key();
        let is_there =
            |group: &Group| group.is_under(key) && stored.missing(&group.entries).is_none();
        let (mut groups, lost): (HashMap<_, _>, HashMap<_, _>) = plan
            .pushed
            .into_iter()
            .partition(|(_, group)| is_there(group));
        let mut files = plan.changed;
        let unchanged = plan.unchanged.into_iter();
        files.extend(unchanged.filter(|source| lost.contains_key(&source.name)));
        let is_sent = |name: &String| files.iter().any(|source| source.name == *name);
        let gone: Vec<&String> = lost.keys().filter(|name| !is_sent(name)).collect();
        // What is sent again takes the room of what it replaces.
        let mut room = Room::default();
        for (_, group) in groups.iter().filter(|(name, _)| !is_sent(name)) {
            room.takes(group);
        }
        let mut changed = Vec::new();
        for (source, group) in self.send(files, stored, room, report).await? {
            let before = groups.insert(source.name.clone(), group);
            let now = groups.get(&source.name);
            let is_same = before
                .zip(now)
                .is_some_and(|(before, now)| before.has_content_of(now));
            if !is_same {
                changed.push(source.name);
            }
        }
        // Without a new listing the old one stands.
        for name in gone.into_iter().filter(|_| !changed.is_empty()) {
            report.files_failed.push(FileFailure {
                message: format!(
                    "`{name}` is not listed any more: it is not here to be sent again; earlier \
                     uploads hold it"
                ),
                kind: ErrorKind::Config,
            });
        }
        let upload_id = if changed.is_empty() {
            self.publication.newest_with_files().await?
        } else {
            let files = listed(&groups, self.compression());
            let intent = self.publish(files, acked_seq, current, report).await?;
            report.files_uploaded.extend(changed);
            Some(intent)
        };
        let Some(upload_id) = upload_id else {
            return Ok(());
        };
        let rows: Vec<PushedFile> = groups.values().map(|group| group.row(&upload_id)).collect();
        let (target, system_id) = (target.clone(), system_id.clone());
        on_disk(store, move |store| {
            store.record_files(&target, &system_id, &rows)
        })
        .await
    }

    fn compression(&self) -> Option<CompressionFormat> {
        self.config
            .enable_compression
            .then_some(match self.config.compression {
                Compression::Zstd => CompressionFormat::Zstd,
                Compression::Gzip => CompressionFormat::Gzip,
            })
    }

    /// Brings the pieces of files, one file after another.
    async fn send(
        &self,
        files: Vec<FileSource>,
        stored: StoredPieces,
        mut room: Room,
        report: &mut MethodReport,
    ) -> Result<Vec<(FileSource, Group)>, SyncError> {
        let sizes = files.iter().filter_map(|file| file.path.metadata().ok());
        let total_bytes = Some(sizes.map(|file| file.len()).sum());
        let tally = Mutex::new(Tally::default());
        let done = |piece: Sent| {
            let mut tally = tally.lock().unwrap_or_else(PoisonError::into_inner);
            tally.done += piece.size_bytes;
            tally.sent += piece.sent_bytes;
            if piece.sent_bytes == 0 {
                tally.deduplicated += piece.size_bytes;
            }
            self.progress.update(ProgressState {
                bytes: tally.done,
                total_bytes,
                ..ProgressState::default()
            });
        };
        let options = SendOptions {
            chunk_size: u64::from(self.config.chunk_size_mb) << 20,
            compression: self.compression(),
            deduplicates: self.config.enable_deduplication,
        };
        let Publication {
            vault,
            keys,
            system_id,
            ..
        } = self.publication;
        let sender = Sender::new(
            vault,
            system_id,
            Coding::new(system_id, keys.to_encrypt()),
            options,
            stored,
            &done,
        );
        let mut sent = Vec::new();
        let mut result = Ok(());
        for source in files {
            if !room.has_bytes_for(&source) {
                report.files_failed.push(too_large(&source));
                continue;
            }
            match self.send_one(&source, &sender).await {
                Ok(group) if !room.takes(&group) => report.files_failed.push(too_large(&source)),
                Ok(group) => sent.push((source, group)),
                Err(SendError::File(error)) => report.files_failed.push(failure(&error)),
                Err(SendError::Sync(error)) => {
                    result = Err(error);
                    break;
                }
            }
        }
        let tally = *tally.lock().unwrap_or_else(PoisonError::into_inner);
        report.bytes_transferred += tally.sent;
        report.bytes_deduplicated += tally.deduplicated;
        result.map(|()| sent)
    }

    async fn send_one(&self, source: &FileSource, sender: &Sender<'_>) -> Result<Group, SendError> {
        let (copied, temporary) = (source.clone(), self.publication.store.home().temporary());
        let snapshot = tokio::task::spawn_blocking(move || Snapshot::take(&copied, &temporary))
            .await
            .map_err(|error| SyncError::of_join(&error))??;
        let mut entries = Vec::new();
        for part in &snapshot.parts {
            entries.push(sender.send(part).await?);
        }
        Ok(Group {
            name: source.name.clone(),
            signature: Group::sign(self.key(), &snapshot.signature),
            entries,
        })
    }

    /// Makes an upload of files alone; returns it once it is acknowledged.
    async fn publish(
        &self,
        files: Vec<FileEntry>,
        acked_seq: i64,
        current: Option<CurrentHead>,
        report: &mut MethodReport,
    ) -> Result<UploadId, SyncError> {
        let publication = &self.publication;
        let intent = publication.intend(acked_seq);
        publication.begin(&intent).await?;
        let mut draft = publication.draft(&intent, current.as_ref(), self.trigger);
        draft.compression = self.compression();
        draft.files = files;
        publication.create(&draft, &intent, report).await?;
        publication.publish(&intent, current, report).await?;
        Ok(intent.upload_id)
    }

    /// Returns the key that pieces are sealed with.
    fn key(&self) -> Option<KeyId> {
        self.publication.keys.to_encrypt().map(Sealer::key_id)
    }
}

/// How much of one upload is taken.
#[derive(Debug, Default)]
struct Room {
    bytes: u64,
    chunks: usize,
}

impl Room {
    /// Returns whether a file, as large as it is now, still fits.
    fn has_bytes_for(&self, source: &FileSource) -> bool {
        let size = source.path.metadata().map_or(0, |file| file.len());
        self.bytes + size <= MAX_TOTAL_BYTES
    }

    /// Takes a file in; returns false where it does not fit.
    fn takes(&mut self, group: &Group) -> bool {
        let bytes: u64 = group.entries.iter().map(|file| file.size_bytes).sum();
        let chunks: usize = group.entries.iter().map(|file| file.chunks.len()).sum();
        if self.bytes + bytes > MAX_TOTAL_BYTES || self.chunks + chunks > MAX_CHUNKS {
            return false;
        }
        self.bytes += bytes;
        self.chunks += chunks;
        true
    }
}

fn too_large(source: &FileSource) -> FileFailure {
    let path = source.path.clone();
    failure(&FileError::TooLarge { path })
}

/// Returns what a manifest lists: every file, by name, compressed as one format says or, piece by
/// piece, otherwise.
pub(crate) fn listed(
    groups: &HashMap<String, Group>,
    compression: Option<CompressionFormat>,
) -> Vec<FileEntry> {
    let entries = groups
        .values()
        .flat_map(|group| group.entries.iter().cloned());
    let mut files: Vec<FileEntry> = entries
        .map(|file| FileEntry {
            compression,
            ..file
        })
        .collect();
    files.sort_by(|one, other| one.name.cmp(&other.name));
    files
}
