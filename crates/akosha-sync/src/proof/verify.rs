//! Checks a vault: every manifest, that each object it names is there with its size, and, where
//! asked, every byte.

use std::collections::{BTreeSet, HashMap, HashSet};
use std::fs::File;
use std::time::Instant;

use akosha_core::{SystemId, UploadId};
use akosha_store::Store;
use serde::Serialize;

use super::Problem;
use super::survey::Survey;
use crate::crypt::{KeyId, Sealer, VaultKeys};
use crate::files::Coding;
use crate::manifest::{ChunkEntry, Manifest, SegmentEntry};
use crate::segment::{self, MAX_SEGMENT_BYTES};
use crate::vault::{Vault, VaultError, VaultKey};
use crate::{Progress, ProgressState, SyncError};

/// What a check of a vault found.
#[derive(Debug, Clone, Default, PartialEq, Serialize)]
pub struct VerifyReport {
    /// Whether nothing is wrong.
    pub success: bool,
    /// Systems that were looked at.
    pub systems: u64,
    /// Uploads that are visible.
    pub uploads: u64,
    /// Objects that manifests name.
    pub objects: u64,
    /// Their sizes together in bytes.
    pub bytes: u64,
    /// Bytes that were read and hashed; 0 unless every byte was to be checked.
    pub bytes_read: u64,
    /// Objects that no manifest names: left by pushes that were interrupted. 0 for a system with a
    /// manifest that cannot be read.
    pub unreferenced: u64,
    /// Their sizes together in bytes.
    pub unreferenced_bytes: u64,
    /// What is wrong.
    pub problems: Vec<Problem>,
    /// Seconds that it took.
    pub duration_seconds: f64,
}

/// An object that a manifest names.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
enum Named {
    Segment(SegmentEntry),
    Chunk(ChunkEntry),
}

/// Which upload names an object, and the key it is sealed with.
#[derive(Debug, Clone)]
struct Origin {
    upload_id: UploadId,
    key: Option<KeyId>,
}

impl Named {
    fn size(&self) -> u64 {
        match self {
            Self::Segment(entry) => entry.size_bytes,
            Self::Chunk(entry) => entry.stored_bytes,
        }
    }
}

/// Checks the named systems, or all. With `deep` every object is read, hashed and decoded. `last`
/// are the newest uploads that this home knows it made: one that is gone is a problem.
///
/// # Errors
/// Fails where the vault does not answer; what is wrong in it is in the report.
pub(crate) async fn verify(
    vault: &Vault,
    keys: &VaultKeys,
    store: &Store,
    named: &[SystemId],
    last: &HashMap<SystemId, UploadId>,
    deep: bool,
    progress: &dyn Progress,
) -> Result<VerifyReport, SyncError> {
    let started = Instant::now();
    let mut report = VerifyReport::default();
    let systems: BTreeSet<SystemId> = if named.is_empty() {
        let found = vault.list_systems().await?;
        found.into_iter().chain(last.keys().cloned()).collect()
    } else {
        named.iter().cloned().collect()
    };
    for system_id in systems {
        let now = store.sources().clock.now();
        // What was written before signatures were required is this home's own to vouch for.
        let own_keys = keys.for_own_uploads();
        let own = last.get(&system_id);
        let keys = own.map_or(keys, |_| &own_keys);
        let survey = Survey::of(vault, &system_id, now, keys).await?;
        if let Some(upload_id) = own {
            let key = VaultKey::manifest(&system_id, upload_id);
            if !survey.objects.contains_key(&key) {
                report.problems.push(Problem {
                    system_id: system_id.to_string(),
                    upload_id: Some(upload_id.to_string()),
                    key: key.to_string(),
                    problem: "this home pushed it, and it is not there".into(),
                });
            }
        }
        report.systems += 1;
        report.uploads += survey.manifests.len() as u64;
        report.problems.extend(survey.problems.iter().cloned());
        check_head(vault, &system_id, &survey, &mut report.problems).await?;
        let objects = objects(&system_id, &survey, &mut report);
        if deep {
            read_all(
                vault,
                keys,
                store,
                &system_id,
                objects,
                &mut report,
                progress,
            )
            .await?;
        }
    }
    report.problems.sort();
    report.success = report.problems.is_empty();
    report.duration_seconds = started.elapsed().as_secs_f64();
    Ok(report)
}

/// Checks that the head can be read and names an upload that is there, as do all parents.
async fn check_head(
    vault: &Vault,
    system_id: &SystemId,
    survey: &Survey,
    problems: &mut Vec<Problem>,
) -> Result<(), SyncError> {
    let problem = |upload_id: Option<&UploadId>, key: VaultKey, problem: String| Problem {
        system_id: system_id.to_string(),
        upload_id: upload_id.map(ToString::to_string),
        key: key.to_string(),
        problem,
    };
    let is_there = |upload_id: &UploadId| {
        let key = VaultKey::manifest(system_id, upload_id);
        survey.objects.contains_key(&key)
    };
    match vault.read_head(system_id).await {
        Ok(Some(current)) if !is_there(&current.head.upload_id) => problems.push(problem(
            Some(&current.head.upload_id),
            VaultKey::head(system_id),
            "it names an upload that is not there".into(),
        )),
        Ok(None) if !survey.manifests.is_empty() => problems.push(problem(
            None,
            VaultKey::head(system_id),
            "it is not there although the system has uploads".into(),
        )),
        Ok(_) => {}
        Err(error) if error.is_retryable() => return Err(error.into()),
        Err(error) => problems.push(problem(None, VaultKey::head(system_id), error.to_string())),
    }
    for manifest in &survey.manifests {
        if let Some(parent) = manifest.parent().filter(|parent| !is_there(parent)) {
            let message = format!("the upload before it, `{parent}`, is not there");
            let key = VaultKey::manifest(system_id, manifest.upload_id());
            problems.push(problem(Some(manifest.upload_id()), key, message));
        }
    }
    Ok(())
}

/// Returns every object that manifests name, once for each way in which they do, after it was found
/// with its size.
fn objects(
    system_id: &SystemId,
    survey: &Survey,
    report: &mut VerifyReport,
) -> HashMap<(VaultKey, Named), Origin> {
    let mut objects = HashMap::new();
    let mut seen = HashSet::new();
    for manifest in &survey.manifests {
        for (key, object) in named_by(system_id, manifest) {
            if seen.insert(key.clone()) {
                report.objects += 1;
                report.bytes += object.size();
            }
            let problem = match survey.objects.get(&key) {
                Some(listed) if listed.size_bytes == object.size() => {
                    let origin = Origin {
                        upload_id: manifest.upload_id().clone(),
                        key: manifest.encryption(),
                    };
                    objects.insert((key, object), origin);
                    continue;
                }
                Some(listed) => format!(
                    "it has {} bytes, the manifest says {}",
                    listed.size_bytes,
                    object.size()
                ),
                None => "it is not there".into(),
            };
            report.problems.push(Problem {
                system_id: system_id.to_string(),
                upload_id: Some(manifest.upload_id().to_string()),
                key: key.to_string(),
                problem,
            });
        }
    }
    if !survey.problems.is_empty() {
        // What a manifest names that cannot be read is not known.
        return objects;
    }
    for (key, listed) in &survey.objects {
        let is_content = matches!(key, VaultKey::Segment { .. } | VaultKey::Chunk { .. });
        if is_content && !seen.contains(key) {
            report.unreferenced += 1;
            report.unreferenced_bytes += listed.size_bytes;
        }
    }
    objects
}

fn named_by<'a>(
    system_id: &'a SystemId,
    manifest: &'a Manifest,
) -> impl Iterator<Item = (VaultKey, Named)> + 'a {
    let segments = manifest.segments().iter();
    let segments = segments.map(|entry| (entry.key(system_id), Named::Segment(*entry)));
    let chunks = manifest.files().iter().flat_map(|file| &file.chunks);
    let chunks = chunks.map(|entry| {
        let key = VaultKey::chunk(system_id, entry.sha256);
        (key, Named::Chunk(*entry))
    });
    segments.chain(chunks)
}

/// Reads, hashes and decodes objects.
async fn read_all(
    vault: &Vault,
    keys: &VaultKeys,
    store: &Store,
    system_id: &SystemId,
    objects: HashMap<(VaultKey, Named), Origin>,
    report: &mut VerifyReport,
    progress: &dyn Progress,
) -> Result<(), SyncError> {
    let total_bytes = Some(report.bytes);
    for ((key, object), Origin { upload_id, key: id }) in objects {
        let sealer = id.and_then(|id| keys.find(id));
        let checked = match object {
            Named::Segment(entry) => segment(vault, store, system_id, &key, entry, sealer).await,
            Named::Chunk(entry) => chunk(vault, &key, entry, Coding::new(system_id, sealer)).await,
        };
        if let Some(problem) = checked? {
            report.problems.push(Problem {
                system_id: system_id.to_string(),
                upload_id: Some(upload_id.to_string()),
                key: key.to_string(),
                problem,
            });
        }
        report.bytes_read += object.size();
        progress.update(ProgressState {
            bytes: report.bytes_read,
            total_bytes,
            ..ProgressState::default()
        });
    }
    Ok(())
}

/// Returns what is wrong with a segment.
async fn segment(
    vault: &Vault,
    store: &Store,
    system_id: &SystemId,
    key: &VaultKey,
    entry: SegmentEntry,
    sealer: Option<&Sealer>,
) -> Result<Option<String>, SyncError> {
    if entry.size_bytes > MAX_SEGMENT_BYTES {
        return Ok(Some(format!("it is over {MAX_SEGMENT_BYTES} bytes")));
    }
    let folder = store.home().temporary();
    let file = match vault.download(key, entry.expected(), &folder).await {
        Ok(file) => file,
        Err(error) => return at_fault(error),
    };
    let (system_id, sealer) = (system_id.clone(), sealer.cloned());
    let read = tokio::task::spawn_blocking(move || -> Result<(), String> {
        let path = match &sealer {
            None => file.path,
            Some(sealer) => sealer
                .open_segment(&system_id, &file.path, &folder)
                .map_err(|error| error.to_string())?,
        };
        let opened = File::open(&path).map_err(|error| error.to_string())?;
        let batches =
            segment::read(opened, &system_id, &entry).map_err(|error| error.to_string())?;
        for batch in batches {
            for row in batch.map_err(|error| error.to_string())? {
                row.map_err(|error| error.to_string())?;
            }
        }
        Ok(())
    });
    Ok(read
        .await
        .map_err(|error| SyncError::of_join(&error))?
        .err())
}

/// Returns what is wrong with a piece of a file.
async fn chunk(
    vault: &Vault,
    key: &VaultKey,
    entry: ChunkEntry,
    coding: Coding,
) -> Result<Option<String>, SyncError> {
    let object = match vault.get(key, entry.stored_bytes).await {
        Ok(object) => object,
        Err(error) => return at_fault(error),
    };
    let decoded = tokio::task::spawn_blocking(move || coding.decode(&object, &entry).map(drop));
    Ok(decoded
        .await
        .map_err(|error| SyncError::of_join(&error))?
        .err())
}

/// Tells an object that is at fault from a vault that does not answer.
fn at_fault(error: VaultError) -> Result<Option<String>, SyncError> {
    match error {
        VaultError::NotFound { .. } | VaultError::TooLarge { .. } | VaultError::Damaged { .. } => {
            Ok(Some(error.to_string()))
        }
        error => Err(error.into()),
    }
}
