//! Brings the pieces of a file that a vault lacks, as a pipeline of bounded memory: one thread
//! reads, cuts and hashes, others compress, and several pieces are on their way at once.

use std::collections::HashMap;
use std::fs::File;
use std::sync::{Arc, Mutex, PoisonError};

use akosha_core::SystemId;
use bytes::Bytes;
use futures::stream::FuturesOrdered;
use futures::{StreamExt, TryStreamExt};
use sha2::{Digest, Sha256};
use tokio::sync::{OnceCell, mpsc};

use super::FileError;
use super::chunker::{Sizes, pieces};
use super::coding::Coding;
use super::snapshot::Part;
use crate::crypt::OVERHEAD;
use crate::manifest::{ChunkEntry, CompressionFormat, FileEntry};
use crate::vault::{Vault, VaultKey};
use crate::{ContentHash, SyncError};

/// Bytes of pieces that are on their way at once, before compression.
const IN_FLIGHT: usize = 12 << 20;

/// The objects of pieces that a vault has.
#[derive(Debug, Default)]
pub(crate) struct StoredPieces {
    sizes: HashMap<ContentHash, u64>,
    known: HashMap<ContentHash, ChunkEntry>,
}

impl StoredPieces {
    /// Lists the pieces of a system. `entries` are those whose compression is known, from files
    /// that were sent before.
    ///
    /// # Errors
    /// Fails where the vault does not answer or refuses.
    pub(crate) async fn of(
        vault: &Vault,
        system_id: &SystemId,
        entries: impl IntoIterator<Item = ChunkEntry>,
    ) -> Result<Self, SyncError> {
        let sizes = vault
            .list_chunks(system_id)
            .try_collect::<HashMap<_, _>>()
            .await?;
        let known = entries
            .into_iter()
            .filter(|entry| sizes.get(&entry.sha256) == Some(&entry.stored_bytes))
            .map(|entry| (entry.sha256, entry))
            .collect();
        Ok(Self { sizes, known })
    }

    /// Returns a piece of `files` that the vault lacks, or has in another size.
    pub(crate) fn missing<'a>(&self, files: &'a [FileEntry]) -> Option<&'a ChunkEntry> {
        let mut chunks = files.iter().flat_map(|file| &file.chunks);
        chunks.find(|chunk| self.sizes.get(&chunk.sha256) != Some(&chunk.stored_bytes))
    }
}

/// How files are sent.
#[derive(Debug, Clone, Copy)]
pub(crate) struct SendOptions {
    /// The most bytes of an object.
    pub(crate) chunk_size: u64,
    /// How pieces are compressed.
    pub(crate) compression: Option<CompressionFormat>,
    /// Whether pieces that the vault has are left out.
    pub(crate) deduplicates: bool,
}

/// Sends files of one system to one vault.
pub(crate) struct Sender<'a> {
    vault: &'a Vault,
    system_id: &'a SystemId,
    coding: Coding,
    sizes: Sizes,
    options: SendOptions,
    stored: StoredPieces,
    sent: Mutex<HashMap<ContentHash, Arc<OnceCell<ChunkEntry>>>>,
    report: &'a (dyn Fn(Sent) + Send + Sync),
}

/// A piece that is done.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Sent {
    /// Its size in the file in bytes.
    pub(crate) size_bytes: u64,
    /// Bytes that were sent for it; 0 where the vault has it.
    pub(crate) sent_bytes: u64,
}

/// A piece between reading and sending.
struct Piece {
    sha256: ContentHash,
    bytes: Vec<u8>,
}

/// What was found out on reading a whole file.
struct Whole {
    sha256: ContentHash,
    size_bytes: u64,
}

impl<'a> Sender<'a> {
    /// Creates a sender; `report` is told of every piece that is done.
    pub(crate) fn new(
        vault: &'a Vault,
        system_id: &'a SystemId,
        coding: Coding,
        options: SendOptions,
        stored: StoredPieces,
        report: &'a (dyn Fn(Sent) + Send + Sync),
    ) -> Self {
        Self {
            vault,
            system_id,
            coding,
            sizes: Sizes::of(options.chunk_size),
            options,
            stored,
            sent: Mutex::default(),
            report,
        }
    }

    /// Sends what the vault lacks of a file and returns its entry. Memory use does not depend on
    /// the file's size. Dropping the future stops at once and leaves whole pieces behind, which
    /// the next try finds.
    ///
    /// # Errors
    /// Fails where the file cannot be read, or the vault refuses or does not answer.
    pub(crate) async fn send(&self, part: &Part) -> Result<FileEntry, SendError> {
        let (sender, receiver) = mpsc::channel(1);
        let reading = tokio::task::spawn_blocking({
            let (path, sizes, coding) = (part.path.clone(), self.sizes, self.coding.clone());
            move || read(&path, sizes, &coding, &sender)
        });
        let at_once = (IN_FLIGHT / self.sizes.most()).clamp(1, self.vault.objects_in_flight());
        let chunks = self.bring_all(receiver, at_once).await?;
        let whole = reading
            .await
            .map_err(|error| SyncError::of_join(&error))??;
        Ok(FileEntry {
            name: part.name.clone(),
            size_bytes: whole.size_bytes,
            sha256: whole.sha256,
            compression: self.options.compression,
            chunks,
        })
    }

    /// Brings the pieces that come, so many at once; returns their entries in order.
    async fn bring_all(
        &self,
        mut pieces: mpsc::Receiver<Piece>,
        at_once: usize,
    ) -> Result<Vec<ChunkEntry>, SyncError> {
        let mut on_their_way = FuturesOrdered::new();
        let mut entries = Vec::new();
        let mut has_more = true;
        while has_more || !on_their_way.is_empty() {
            tokio::select! {
                piece = pieces.recv(), if has_more && on_their_way.len() < at_once => match piece {
                    Some(piece) => on_their_way.push_back(self.piece(piece)),
                    None => has_more = false,
                },
                Some(entry) = on_their_way.next(), if !on_their_way.is_empty() => {
                    entries.push(entry?);
                }
            }
        }
        Ok(entries)
    }

    /// Brings one piece to the vault. The same piece is brought once, however often and however
    /// close together it comes.
    async fn piece(&self, piece: Piece) -> Result<ChunkEntry, SyncError> {
        let size_bytes = piece.bytes.len() as u64;
        let cell = {
            let mut sent = self.sent.lock().unwrap_or_else(PoisonError::into_inner);
            Arc::clone(sent.entry(piece.sha256).or_default())
        };
        let mut sent_bytes = 0;
        let bring = self.bring(piece, &mut sent_bytes);
        let entry = *cell.get_or_try_init(|| bring).await?;
        (self.report)(Sent {
            size_bytes,
            sent_bytes,
        });
        Ok(entry)
    }

    async fn bring(&self, piece: Piece, sent_bytes: &mut u64) -> Result<ChunkEntry, SyncError> {
        let known = self.stored.known.get(&piece.sha256);
        if let Some(entry) = known.filter(|_| self.options.deduplicates) {
            return Ok(*entry);
        }
        let key = VaultKey::chunk(self.system_id, piece.sha256);
        let mut entry = ChunkEntry {
            sha256: piece.sha256,
            size_bytes: piece.bytes.len() as u64,
            stored_bytes: 0,
            compression: self.options.compression,
        };
        let (coding, format) = (self.coding.clone(), self.options.compression);
        let object = tokio::task::spawn_blocking(move || coding.encode(piece.bytes, format))
            .await
            .map_err(|error| SyncError::of_join(&error))?
            .map_err(|error| SyncError::Local {
                message: format!("a piece of a file cannot be compressed: {error}"),
                hint: "set `enable_compression = false`".into(),
                kind: akosha_core::ErrorKind::Internal,
            })?;
        entry.stored_bytes = object.len() as u64;
        match self.stored.sizes.get(&entry.sha256) {
            // Made in the same way, as far as sizes tell.
            Some(size) if *size == entry.stored_bytes && self.options.deduplicates => {
                return Ok(entry);
            }
            // Manifests before this one know it as it is, so it stays.
            Some(size) if *size != entry.stored_bytes => {
                if let Some(theirs) = self.recognise(&key, entry, *size).await? {
                    return Ok(theirs);
                }
            }
            _ => {}
        }
        self.vault.put(&key, Bytes::from(object)).await?;
        *sent_bytes = entry.stored_bytes;
        Ok(entry)
    }

    /// Finds out how an object that is there was made, by reading it; `None` where it does not
    /// hold the piece.
    async fn recognise(
        &self,
        key: &VaultKey,
        ours: ChunkEntry,
        size: u64,
    ) -> Result<Option<ChunkEntry>, SyncError> {
        // No format in use makes a piece larger than by a small part.
        if size > ours.size_bytes + ours.size_bytes / 8 + 4096 + OVERHEAD {
            return Ok(None);
        }
        let object = self.vault.get(key, size).await?;
        let formats = [
            Some(CompressionFormat::Zstd),
            Some(CompressionFormat::Gzip),
            None,
        ];
        let mut candidates = formats.into_iter().map(move |compression| ChunkEntry {
            stored_bytes: size,
            compression,
            ..ours
        });
        let coding = self.coding.clone();
        let found = tokio::task::spawn_blocking(move || {
            candidates.find(|entry| coding.decode(&object, entry).is_ok())
        });
        found.await.map_err(|error| SyncError::of_join(&error))
    }
}

/// Why a file was not sent.
#[derive(Debug, thiserror::Error)]
pub(crate) enum SendError {
    /// Something is wrong with this file; others may go out.
    #[error(transparent)]
    File(#[from] FileError),
    /// Nothing can be sent now.
    #[error(transparent)]
    Sync(#[from] SyncError),
}

/// Reads a file to its end, cuts and hashes it. Ends early where nobody takes the pieces.
fn read(
    path: &std::path::Path,
    sizes: Sizes,
    coding: &Coding,
    sender: &mpsc::Sender<Piece>,
) -> Result<Whole, FileError> {
    let file = File::open(path).map_err(FileError::io("open", path))?;
    let mut hasher = Sha256::new();
    let mut size_bytes = 0;
    for bytes in pieces(file, sizes, coding.seed()) {
        let bytes = bytes.map_err(FileError::io("read", path))?;
        hasher.update(&bytes);
        size_bytes += bytes.len() as u64;
        let sha256 = coding.name_of(ContentHash::of(&bytes));
        if sender.blocking_send(Piece { sha256, bytes }).is_err() {
            break;
        }
    }
    Ok(Whole {
        sha256: coding.name_of(ContentHash::from_hasher(hasher)),
        size_bytes,
    })
}
