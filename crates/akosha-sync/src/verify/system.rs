//! Checks one system: its head, its manifests, and that what they name is there.

use std::collections::{HashMap, HashSet};

use akosha_core::{SystemId, UploadId};
use futures::stream::FuturesUnordered;
use futures::{StreamExt, TryStreamExt};

use super::{Check, VerifyReport, fault};
use crate::SyncError;
use crate::crypt::KeyId;
use crate::manifest::{ChunkEntry, Manifest, SegmentEntry};
use crate::received;
use crate::vault::VaultKey;

/// Manifests that are read at once.
const AT_ONCE: usize = 8;

/// An object as a manifest names it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(super) enum Named {
    Segment(SegmentEntry),
    Chunk(ChunkEntry),
}

impl Named {
    /// Returns the size of the object in bytes.
    pub(super) fn size(&self) -> u64 {
        match self {
            Self::Segment(entry) => entry.size_bytes,
            Self::Chunk(entry) => entry.stored_bytes,
        }
    }
}

/// An upload that names an object, and the key that the object is sealed with.
#[derive(Debug, Clone)]
pub(super) struct Origin {
    pub(super) upload_id: UploadId,
    pub(super) key: Option<KeyId>,
}

/// What is known of one system. Manifests are not kept, only what they name.
struct System<'a> {
    id: &'a SystemId,
    /// Every object that is there, with its size in bytes.
    sizes: HashMap<VaultKey, u64>,
    /// Every object that is named, whether it is there or not.
    named: HashSet<VaultKey>,
    /// Those that are there, once for each way in which they are named.
    found: HashMap<(VaultKey, Named), Origin>,
}

impl Check<'_> {
    /// Checks one system and adds what is found to the report.
    pub(super) async fn system(
        &self,
        system_id: &SystemId,
        report: &mut VerifyReport,
    ) -> Result<(), SyncError> {
        let listed = self.vault.list_objects(system_id);
        let sizes = listed.map_ok(|listed| (listed.key, listed.size_bytes));
        let mut system = System {
            id: system_id,
            sizes: sizes.try_collect().await?,
            named: HashSet::new(),
            found: HashMap::new(),
        };
        report.systems += 1;
        if let Some(upload_id) = self.pushed.get(system_id) {
            let key = VaultKey::manifest(system_id, upload_id);
            if !system.sizes.contains_key(&key) {
                let problem = "this home pushed it, and it is not there";
                report.note(system_id, Some(upload_id), &key, problem);
            }
        }
        self.head(&system, report).await?;
        let are_all_read = self.manifests(&mut system, report).await?;
        if are_all_read {
            system.count_unreferenced(report);
        }
        if self.deep {
            self.contents(system_id, system.found, report).await?;
        }
        Ok(())
    }

    /// Checks that the head names an upload that is there.
    async fn head(&self, system: &System<'_>, report: &mut VerifyReport) -> Result<(), SyncError> {
        let key = VaultKey::head(system.id);
        let head = match self.vault.read_head(system.id).await {
            Ok(current) => current.map(|current| current.head),
            Err(error) => {
                report.note(system.id, None, &key, fault(error.into())?);
                return Ok(());
            }
        };
        match head {
            Some(head) if !system.has(&head.upload_id) => {
                let problem = "it names an upload that is not there";
                report.note(system.id, Some(&head.upload_id), &key, problem);
            }
            None if !system.uploads().is_empty() => {
                let problem = "it is not there although the system has uploads";
                report.note(system.id, None, &key, problem);
            }
            _ => {}
        }
        Ok(())
    }

    /// Reads every manifest and takes in what it names. Returns whether all could be read.
    async fn manifests(
        &self,
        system: &mut System<'_>,
        report: &mut VerifyReport,
    ) -> Result<bool, SyncError> {
        let now = self.store.sources().clock.now();
        let id = system.id;
        let mut waiting = system.uploads().into_iter();
        let mut reading = FuturesUnordered::new();
        let mut are_all_read = true;
        loop {
            while reading.len() < AT_ONCE
                && let Some(upload_id) = waiting.next()
            {
                reading.push(async move {
                    let read = received::manifest(self.vault, self.keys, now, id, &upload_id).await;
                    (upload_id, read)
                });
            }
            match reading.next().await {
                Some((_, Ok((manifest, _)))) => system.take(&manifest, report),
                Some((upload_id, Err(error))) => {
                    are_all_read = false;
                    let key = VaultKey::manifest(id, &upload_id);
                    report.note(id, Some(&upload_id), &key, fault(error)?);
                }
                None => return Ok(are_all_read),
            }
        }
    }
}

impl System<'_> {
    fn has(&self, upload_id: &UploadId) -> bool {
        let key = VaultKey::manifest(self.id, upload_id);
        self.sizes.contains_key(&key)
    }

    fn uploads(&self) -> Vec<UploadId> {
        let uploads = self.sizes.keys().filter_map(|key| match key {
            VaultKey::Manifest { upload_id, .. } => Some(upload_id.clone()),
            _ => None,
        });
        uploads.collect()
    }

    /// Checks what a manifest names against what is there.
    fn take(&mut self, manifest: &Manifest, report: &mut VerifyReport) {
        report.uploads += 1;
        let upload_id = manifest.upload_id();
        if let Some(parent) = manifest.parent().filter(|parent| !self.has(parent)) {
            let key = VaultKey::manifest(self.id, upload_id);
            let problem = format!("the upload before it, `{parent}`, is not there");
            report.note(self.id, Some(upload_id), &key, problem);
        }
        let segments = manifest.segments().iter();
        let segments = segments.map(|entry| (entry.key(self.id), Named::Segment(*entry)));
        let chunks = manifest.files().iter().flat_map(|file| &file.chunks);
        let chunks = chunks.map(|entry| {
            let key = VaultKey::chunk(self.id, entry.sha256);
            (key, Named::Chunk(*entry))
        });
        let origin = Origin {
            upload_id: upload_id.clone(),
            key: manifest.encryption(),
        };
        for (key, object) in segments.chain(chunks) {
            let said = object.size();
            if self.named.insert(key.clone()) {
                report.objects += 1;
                report.bytes += said;
            }
            let problem = match self.sizes.get(&key) {
                Some(size) if *size == said => {
                    self.found.insert((key, object), origin.clone());
                    continue;
                }
                Some(size) => format!("it has {size} bytes, the manifest says {said}"),
                None => "it is not there".into(),
            };
            report.note(self.id, Some(upload_id), &key, problem);
        }
    }

    fn count_unreferenced(&self, report: &mut VerifyReport) {
        for (key, size) in &self.sizes {
            let is_content = matches!(key, VaultKey::Segment { .. } | VaultKey::Chunk { .. });
            if is_content && !self.named.contains(key) {
                report.unreferenced += 1;
                report.unreferenced_bytes += size;
            }
        }
    }
}
