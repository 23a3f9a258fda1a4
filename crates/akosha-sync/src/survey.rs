//! What a vault holds of one system, beside what its manifests say that it holds.

use std::collections::{BTreeMap, HashMap, HashSet};

use akosha_core::{SystemId, UploadId};
use akosha_store::Store;
use chrono::{DateTime, Utc};
use futures::stream::FuturesUnordered;
use futures::{StreamExt, TryStreamExt};

use crate::SyncError;
use crate::crypt::{KeyId, VaultKeys};
use crate::manifest::{ChunkEntry, Manifest, Replaced, SegmentEntry, UploadKind};
use crate::received;
use crate::vault::{Vault, VaultKey};

/// Manifests that are read at once, and their bytes beyond which one at a time is.
const AT_ONCE: usize = 8;
const IN_FLIGHT: u64 = 8 << 20;

/// An object that is there.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Object {
    pub(crate) size_bytes: u64,
    /// When it was written, by the storage's clock.
    pub(crate) last_modified: DateTime<Utc>,
}

/// An object as a manifest names it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(crate) enum Named {
    Segment(SegmentEntry),
    Chunk(ChunkEntry),
}

impl Named {
    /// Returns the size of the object in bytes.
    pub(crate) fn size(&self) -> u64 {
        match self {
            Self::Segment(entry) => entry.size_bytes,
            Self::Chunk(entry) => entry.stored_bytes,
        }
    }
}

/// The first upload that names an object, and the key that the object is sealed with.
#[derive(Debug, Clone)]
pub(crate) struct Origin {
    pub(crate) upload_id: UploadId,
    pub(crate) key: Option<KeyId>,
}

/// An upload, without what it lists of files: that may be much.
#[derive(Debug, Clone)]
pub(crate) struct Upload {
    pub(crate) parent: Option<UploadId>,
    pub(crate) files_from: Option<UploadId>,
    pub(crate) uploaded_at: DateTime<Utc>,
    pub(crate) encryption: Option<KeyId>,
    pub(crate) segments: Vec<SegmentEntry>,
    pub(crate) replaces: Vec<Replaced>,
    /// Whether it may hold more than those.
    pub(crate) holds_more: bool,
    pub(crate) lists_files: bool,
    /// Whether it brings memories alone, and nobody gave it a name.
    pub(crate) is_plain: bool,
}

/// An upload whose manifest breaks a rule, or cannot be read with the keys that are here.
#[derive(Debug, Clone)]
pub(crate) struct Unreadable {
    pub(crate) upload_id: UploadId,
    /// What is wrong.
    pub(crate) fault: String,
    /// Whether the bytes are not those that anybody wrote.
    pub(crate) is_damaged: bool,
}

impl From<&Manifest> for Upload {
    fn from(manifest: &Manifest) -> Self {
        let is_sync = manifest.kind() == UploadKind::Sync && manifest.name().is_none();
        Self {
            parent: manifest.parent().cloned(),
            files_from: manifest.files_from().cloned(),
            uploaded_at: manifest.uploaded_at(),
            encryption: manifest.encryption(),
            segments: manifest.segments().to_vec(),
            replaces: manifest.replaces().to_vec(),
            holds_more: manifest.holds_more(),
            lists_files: !manifest.files().is_empty(),
            is_plain: is_sync && manifest.files().is_empty(),
        }
    }
}

impl Upload {
    /// Returns the lowest and the highest sequence number in it, `None` where it has no rows.
    pub(crate) fn seqs(&self) -> Option<(i64, i64)> {
        let first = self.segments.iter().map(|entry| entry.min_seq).min()?;
        let last = self.segments.iter().map(|entry| entry.max_seq).max()?;
        Some((first, last))
    }

    /// Returns the sizes of its segments together in bytes.
    pub(crate) fn segment_bytes(&self) -> u64 {
        self.segments.iter().map(|entry| entry.size_bytes).sum()
    }

    /// Returns its rows.
    pub(crate) fn rows(&self) -> u64 {
        self.segments.iter().map(|entry| entry.rows).sum()
    }
}

/// What a vault holds of one system.
#[derive(Debug)]
pub(crate) struct Survey {
    pub(crate) system_id: SystemId,
    /// Every object that is there.
    pub(crate) objects: HashMap<VaultKey, Object>,
    /// Every upload whose manifest is right.
    pub(crate) uploads: BTreeMap<UploadId, Upload>,
    /// The others, with what is wrong: nobody knows what they name.
    pub(crate) unreadable: Vec<Unreadable>,
    /// Every object that is named, whether it is there or not, once for each way in which it is.
    pub(crate) named: HashMap<(VaultKey, Named), Origin>,
}

impl Survey {
    /// Lists the objects of a system, then reads its manifests.
    ///
    /// # Errors
    /// Fails where the vault does not answer or refuses.
    pub(crate) async fn of(
        vault: &Vault,
        keys: &VaultKeys,
        store: &Store,
        system_id: &SystemId,
    ) -> Result<Self, SyncError> {
        let objects = vault.list_objects(system_id).map_ok(|listed| {
            let object = Object {
                size_bytes: listed.size_bytes,
                last_modified: listed.last_modified,
            };
            (listed.key, object)
        });
        let mut survey = Self {
            system_id: system_id.clone(),
            objects: objects.try_collect().await?,
            uploads: BTreeMap::new(),
            unreadable: Vec::new(),
            named: HashMap::new(),
        };
        let now = store.sources().clock.now();
        let mut waiting = survey.listed().into_iter().peekable();
        let mut reading = FuturesUnordered::new();
        let mut in_flight = 0;
        loop {
            while reading.len() < AT_ONCE
                && let Some((upload_id, size)) =
                    waiting.next_if(|(_, size)| reading.is_empty() || in_flight + size <= IN_FLIGHT)
            {
                in_flight += size;
                reading.push(async move {
                    let read = received::manifest(vault, keys, now, system_id, &upload_id).await;
                    (upload_id, size, read)
                });
            }
            let Some((upload_id, size, read)) = reading.next().await else {
                return Ok(survey);
            };
            in_flight -= size;
            match read {
                Ok((manifest, _)) => survey.take(&manifest),
                Err(error) => survey.unreadable.push(Unreadable {
                    is_damaged: error.is_damage(),
                    fault: error.into_fault()?,
                    upload_id,
                }),
            }
        }
    }

    /// Returns the uploads that a listing found, with the sizes of their manifests.
    fn listed(&self) -> Vec<(UploadId, u64)> {
        let uploads = self.objects.iter().filter_map(|(key, object)| match key {
            VaultKey::Manifest { upload_id, .. } => Some((upload_id.clone(), object.size_bytes)),
            _ => None,
        });
        uploads.collect()
    }

    /// Returns the uploads that have to be there and are not, nor another one that stands for them:
    /// those of `pushed`, and those that others name, with the one that does.
    pub(crate) fn missing<'a>(
        &'a self,
        pushed: impl IntoIterator<Item = &'a UploadId>,
    ) -> BTreeMap<&'a UploadId, Option<&'a UploadId>> {
        let replaced = self.replaced();
        let named = self.uploads.iter().flat_map(|(id, upload)| {
            let others = upload.parent.iter().chain(&upload.files_from);
            others.map(move |other| (other, Some(id)))
        });
        let pushed = pushed.into_iter().map(|id| (id, None));
        named
            .chain(pushed)
            .filter(|(id, _)| !self.has(id) && !replaced.contains(id))
            .collect()
    }

    fn take(&mut self, manifest: &Manifest) {
        let segments = manifest.segments().iter();
        let segments = segments.map(|entry| (entry.key(&self.system_id), Named::Segment(*entry)));
        let chunks = manifest.files().iter().flat_map(|file| &file.chunks);
        let chunks = chunks.map(|entry| {
            let key = VaultKey::chunk(&self.system_id, entry.sha256);
            (key, Named::Chunk(*entry))
        });
        for object in segments.chain(chunks) {
            let by = self.named.entry(object).or_insert_with(|| Origin {
                upload_id: manifest.upload_id().clone(),
                key: manifest.encryption(),
            });
            // Manifests arrive in any order.
            if manifest.upload_id() < &by.upload_id {
                by.upload_id = manifest.upload_id().clone();
                by.key = manifest.encryption();
            }
        }
        let upload_id = manifest.upload_id().clone();
        self.uploads.insert(upload_id, manifest.into());
    }

    /// Returns whether an upload is there, readable or not.
    pub(crate) fn has(&self, upload_id: &UploadId) -> bool {
        let key = VaultKey::manifest(&self.system_id, upload_id);
        self.objects.contains_key(&key)
    }

    /// Returns what is wrong with an object as far as a listing tells.
    pub(crate) fn fault_of(&self, key: &VaultKey, named: &Named) -> Option<String> {
        let said = named.size();
        match self.objects.get(key).map(|object| object.size_bytes) {
            Some(size) if size == said => None,
            Some(size) => Some(format!("it has {size} bytes, the manifest says {said}")),
            None => Some("it is not there".into()),
        }
    }

    /// Returns whether an upload is encrypted, or may be: it cannot be read with what is here.
    pub(crate) fn has_sealed(&self) -> bool {
        let mut readable = self.uploads.values();
        readable.any(|upload| upload.encryption.is_some())
            || self.unreadable.iter().any(|found| !found.is_damaged)
    }

    /// Returns the segments and pieces of files that no readable manifest names.
    pub(crate) fn unnamed(&self) -> impl Iterator<Item = (&VaultKey, &Object)> {
        let named: HashSet<&VaultKey> = self.named.keys().map(|(key, _)| key).collect();
        self.objects.iter().filter(move |(key, _)| {
            matches!(key, VaultKey::Segment { .. } | VaultKey::Chunk { .. }) && !named.contains(key)
        })
    }

    /// Returns every upload that is there, readable or not.
    pub(crate) fn all_uploads(&self) -> impl Iterator<Item = UploadId> {
        let unreadable = self.unreadable.iter().map(|found| &found.upload_id);
        self.uploads.keys().chain(unreadable).cloned()
    }

    /// Returns whether all segments of an upload are there, as far as a listing tells.
    pub(crate) fn is_intact(&self, upload: &Upload) -> bool {
        let mut segments = upload.segments.iter();
        segments.all(|entry| {
            let key = entry.key(&self.system_id);
            self.fault_of(&key, &Named::Segment(*entry)).is_none()
        })
    }

    /// Returns the newest upload that lists files.
    pub(crate) fn newest_with_files(&self) -> Option<&UploadId> {
        let listing = self.uploads.iter().filter(|(_, upload)| upload.lists_files);
        let newest = listing.max_by_key(|(_, upload)| upload.uploaded_at);
        newest.map(|(upload_id, _)| upload_id)
    }

    /// Returns the uploads for which another one stands that is there.
    pub(crate) fn replaced(&self) -> HashSet<&UploadId> {
        let replaced = self.uploads.values().flat_map(|upload| &upload.replaces);
        replaced.map(|replaced| &replaced.upload_id).collect()
    }
}
