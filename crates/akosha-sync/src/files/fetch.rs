//! Brings files back: pieces are verified one by one, the whole again, and only then does a file
//! appear under its name.

use std::fs::File;
use std::io::{Read, Write};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, Ordering};

use akosha_core::{SystemId, UploadId};
use bytes::Bytes;
use chrono::{DateTime, Utc};
use futures::StreamExt;
use futures::stream::FuturesOrdered;
use serde::Serialize;
use sha2::{Digest, Sha256};
use tempfile::{NamedTempFile, TempPath};
use tokio::sync::mpsc;

use super::coding::Coding;
use super::{FileError, log_suffixes};
use crate::manifest::{ChunkEntry, FileEntry, Manifest};
use crate::vault::{Vault, VaultKey};
use crate::{ContentHash, Progress, ProgressState, SyncError};

/// Pieces that are on their way at once.
const AT_ONCE: usize = 4;

/// Bytes of pieces, before compression, beyond which one at a time is brought.
const IN_FLIGHT: u64 = 32 << 20;

/// A file as an upload holds it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct FileVersion {
    /// Its name.
    pub name: String,
    /// Whose file.
    pub system_id: SystemId,
    /// The upload.
    pub upload_id: UploadId,
    /// When the upload was begun.
    pub uploaded_at: DateTime<Utc>,
    /// Size in bytes.
    pub size_bytes: u64,
    /// Hash of its bytes.
    pub sha256: ContentHash,
}

impl FileVersion {
    /// Returns the files of an upload.
    pub(crate) fn all_of(manifest: &Manifest) -> Vec<Self> {
        let files = manifest.files().iter();
        files
            .map(|file| Self {
                name: file.name.clone(),
                system_id: manifest.system_id().clone(),
                upload_id: manifest.upload_id().clone(),
                uploaded_at: manifest.uploaded_at(),
                size_bytes: file.size_bytes,
                sha256: file.sha256,
            })
            .collect()
    }
}

/// What became of a file that was asked for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum FetchOutcome {
    /// It is there now.
    Fetched,
    /// It was there with the same content.
    Unchanged,
    /// Another file lies there; it is untouched.
    Differs,
    /// A log of another version lay there and was removed.
    Removed,
}

/// A file that was asked for.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct FetchedFile {
    /// Its name.
    pub name: String,
    /// Where it lies.
    pub path: PathBuf,
    /// Size in bytes.
    pub size_bytes: u64,
    /// What became of it.
    pub outcome: FetchOutcome,
}

/// Where a file is brought back to, and how.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Destination<'a> {
    /// The folder.
    pub(crate) folder: &'a Path,
    /// Whether files that differ are replaced.
    pub(crate) replace: bool,
}

/// Fetches a file of an upload with the logs that belong to it; `progress` is told the bytes of what
/// is not there yet. Nothing appears unless all of it
/// is whole and nothing stands in the way. A log of another version stands in the way, too: a
/// database would apply it.
///
/// # Errors
/// Fails where the upload has no such file, the vault does not answer or does not hold what the
/// manifest says, and where the folder cannot be written.
pub(crate) async fn fetch(
    vault: &Vault,
    manifest: &Manifest,
    coding: &Coding,
    name: &str,
    to: Destination<'_>,
    progress: &dyn Progress,
) -> Result<Vec<FetchedFile>, FetchError> {
    let mut fetched = Vec::new();
    let mut wanted = Vec::new();
    let mut stale = Vec::new();
    for suffix in log_suffixes() {
        let part = format!("{name}{suffix}");
        let path = to.folder.join(&part);
        let entry = manifest.files().iter().find(|file| file.name == part);
        let outcome = match entry {
            Some(entry) => compare(&path, entry, coding).await?,
            None if suffix.is_empty() => return Err(FileError::NotStored { name: part }.into()),
            None if exists(&path).await? => {
                stale.push(path.clone());
                FetchOutcome::Differs
            }
            None => continue,
        };
        if let Some(entry) = entry.filter(|_| outcome != FetchOutcome::Unchanged) {
            wanted.push((entry, path.clone()));
        }
        fetched.push(FetchedFile {
            name: part,
            path,
            size_bytes: entry.map_or(0, |entry| entry.size_bytes),
            outcome,
        });
    }
    let in_the_way = |file: &FetchedFile| file.outcome == FetchOutcome::Differs;
    if !to.replace && fetched.iter().any(in_the_way) {
        return Ok(fetched);
    }
    let total_bytes = Some(wanted.iter().map(|(entry, _)| entry.size_bytes).sum());
    let bytes = AtomicU64::new(0);
    let done = |size| {
        progress.update(ProgressState {
            bytes: bytes.fetch_add(size, Ordering::Relaxed) + size,
            total_bytes,
            ..ProgressState::default()
        });
    };
    let mut arrived = Vec::new();
    for (entry, path) in wanted {
        let from = (vault, manifest.system_id());
        let temporary = download(from, entry, coding, to.folder, &done).await?;
        arrived.push((temporary, path));
    }
    // Logs first: a database without its log lacks rows, a log without its database does nothing.
    arrived.reverse();
    let (replace, removed) = (to.replace, stale.clone());
    blocking(move || place(arrived, stale, replace)).await?;
    for file in &mut fetched {
        if removed.contains(&file.path) {
            file.outcome = FetchOutcome::Removed;
        } else if file.outcome != FetchOutcome::Unchanged {
            file.outcome = FetchOutcome::Fetched;
        }
    }
    Ok(fetched)
}

/// Gives files that have arrived their names.
fn place(
    arrived: Vec<(TempPath, PathBuf)>,
    stale: Vec<PathBuf>,
    replace: bool,
) -> Result<(), FileError> {
    for path in stale {
        std::fs::remove_file(&path).map_err(FileError::io("remove", &path))?;
    }
    // The old database goes before the new log comes: whoever dies in between must not leave the
    // one beside the other.
    if let Some((_, path)) = arrived.last().filter(|_| replace && arrived.len() > 1) {
        match std::fs::remove_file(path) {
            Err(error) if error.kind() != std::io::ErrorKind::NotFound => {
                return Err(FileError::io("replace", path)(error));
            }
            _ => {}
        }
    }
    for (temporary, path) in arrived {
        let persisted = if replace {
            temporary.persist(&path)
        } else {
            temporary.persist_noclobber(&path)
        };
        persisted.map_err(|error| FileError::io("create", &path)(error.error))?;
    }
    Ok(())
}

async fn exists(path: &Path) -> Result<bool, FetchError> {
    let path = path.to_owned();
    blocking(move || match path.symlink_metadata() {
        Ok(_) => Ok(true),
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => Ok(false),
        Err(error) => Err(FileError::io("look at", &path)(error)),
    })
    .await
}

/// Returns what lies at `path`, as the outcome where nothing is done about it.
async fn compare(
    path: &Path,
    file: &FileEntry,
    coding: &Coding,
) -> Result<FetchOutcome, FetchError> {
    let (path, size, sha256) = (path.to_owned(), file.size_bytes, file.sha256);
    let coding = coding.clone();
    blocking(move || match path.symlink_metadata() {
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => Ok(FetchOutcome::Fetched),
        Err(error) => Err(FileError::io("look at", &path)(error)),
        Ok(metadata) if !metadata.is_file() => Err(FileError::NotAFile { path }),
        Ok(metadata) if metadata.len() != size => Ok(FetchOutcome::Differs),
        Ok(_) => {
            let found = hash_of(&path).map_err(FileError::io("read", &path))?;
            Ok(if coding.name_of(found) == sha256 {
                FetchOutcome::Unchanged
            } else {
                FetchOutcome::Differs
            })
        }
    })
    .await
}

fn hash_of(path: &Path) -> std::io::Result<ContentHash> {
    let mut file = File::open(path)?;
    let mut hasher = Sha256::new();
    let mut buffer = vec![0; 256 << 10];
    loop {
        match file.read(&mut buffer)? {
            0 => return Ok(ContentHash::from_hasher(hasher)),
            read => hasher.update(buffer.get(..read).unwrap_or_default()),
        }
    }
}

/// Downloads one file into a temporary one beside its place. Memory use does not depend on its
/// size.
async fn download(
    from: (&Vault, &SystemId),
    file: &FileEntry,
    coding: &Coding,
    folder: &Path,
    done: &(dyn Fn(u64) + Send + Sync),
) -> Result<TempPath, FetchError> {
    let (sender, receiver) = mpsc::channel(1);
    let writing = tokio::task::spawn_blocking({
        let folder = folder.to_owned();
        move || write(&folder, receiver)
    });
    let sent = bring_all(from, file, coding, &sender, done).await;
    drop(sender);
    let (temporary, sha256) = writing
        .await
        .map_err(|error| SyncError::of_join(&error))??;
    sent?;
    if coding.name_of(sha256) == file.sha256 {
        return Ok(temporary);
    }
    let reason = "its pieces are right and make another file than the manifest says";
    Err(damaged(&file.name, reason.into()).into())
}

/// Brings the pieces of a file in order, several at once.
async fn bring_all(
    from: (&Vault, &SystemId),
    file: &FileEntry,
    coding: &Coding,
    sender: &mpsc::Sender<Bytes>,
    done: &(dyn Fn(u64) + Send + Sync),
) -> Result<(), FetchError> {
    let mut chunks = file.chunks.iter();
    let mut on_their_way = FuturesOrdered::new();
    let largest = file.chunks.iter().map(|chunk| chunk.size_bytes).max();
    let fit = IN_FLIGHT / largest.unwrap_or(1).max(1);
    let at_once = usize::try_from(fit).unwrap_or(1).clamp(1, AT_ONCE);
    loop {
        while on_their_way.len() < at_once
            && let Some(chunk) = chunks.next()
        {
            on_their_way.push_back(piece(from, coding, &file.name, *chunk));
        }
        let Some(piece) = on_their_way.next().await else {
            return Ok(());
        };
        let piece = piece?;
        let size = piece.len() as u64;
        if sender.send(piece).await.is_err() {
            // The writer has given up and says why when it is asked.
            return Ok(());
        }
        done(size);
    }
}

async fn piece(
    (vault, system_id): (&Vault, &SystemId),
    coding: &Coding,
    name: &str,
    chunk: ChunkEntry,
) -> Result<Bytes, FetchError> {
    let key = VaultKey::chunk(system_id, chunk.sha256);
    let object = vault.get(&key, chunk.stored_bytes).await?;
    let coding = coding.clone();
    let decoded = tokio::task::spawn_blocking(move || coding.decode(&object, &chunk));
    match decoded.await.map_err(|error| SyncError::of_join(&error))? {
        Ok(piece) => Ok(piece.into()),
        Err(reason) => Err(damaged(name, format!("the piece `{key}`: {reason}")).into()),
    }
}

fn damaged(name: &str, reason: String) -> FileError {
    FileError::Damaged {
        name: name.to_owned(),
        reason,
    }
}

/// Writes what comes to a new file that only its owner may read, and brings it to the disk.
fn write(
    folder: &Path,
    mut pieces: mpsc::Receiver<Bytes>,
) -> Result<(TempPath, ContentHash), FileError> {
    std::fs::create_dir_all(folder).map_err(FileError::io("create", folder))?;
    let mut file = NamedTempFile::with_prefix_in(".akosha-", folder)
        .map_err(FileError::io("create a file in", folder))?;
    let mut hasher = Sha256::new();
    while let Some(piece) = pieces.blocking_recv() {
        hasher.update(&piece);
        file.write_all(&piece)
            .map_err(FileError::io("write a file in", folder))?;
    }
    file.as_file()
        .sync_all()
        .map_err(FileError::io("write a file in", folder))?;
    Ok((file.into_temp_path(), ContentHash::from_hasher(hasher)))
}

async fn blocking<T: Send + 'static>(
    work: impl FnOnce() -> Result<T, FileError> + Send + 'static,
) -> Result<T, FetchError> {
    let joined = tokio::task::spawn_blocking(work).await;
    Ok(joined.map_err(|error| SyncError::of_join(&error))??)
}

/// Why files were not brought back.
#[derive(Debug, thiserror::Error)]
pub enum FetchError {
    /// Something is wrong with a file, here or in the vault.
    #[error(transparent)]
    File(#[from] FileError),
    /// The vault cannot be read.
    #[error(transparent)]
    Sync(#[from] SyncError),
}

impl From<crate::vault::VaultError> for FetchError {
    fn from(error: crate::vault::VaultError) -> Self {
        Self::Sync(error.into())
    }
}
