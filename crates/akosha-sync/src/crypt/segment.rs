//! Seals the file of a segment and opens it again.

use std::fs::File;
use std::io::{self, Read, Write};
use std::path::Path;

use akosha_core::SystemId;
use akosha_store::{DOWNLOAD_PREFIX, PUSH_PREFIX};
use tempfile::TempPath;

use super::{Kind, OVERHEAD, OpenError, SealError, Sealer};
use crate::ContentHash;

/// Largest sealed segment in bytes of its object.
pub(crate) const MAX_SEALED_SEGMENT_BYTES: u64 = Kind::Segment.limit() + OVERHEAD;

/// Why the file of a segment was not sealed or opened.
#[derive(Debug, thiserror::Error)]
pub(crate) enum SegmentSealError {
    /// The local disk refused.
    #[error(transparent)]
    Io(#[from] io::Error),
    /// It is too large to be sealed.
    #[error(transparent)]
    Seal(#[from] SealError),
    /// It cannot be opened.
    #[error(transparent)]
    Open(#[from] OpenError),
}

/// A sealed segment in a file of its own.
pub(crate) struct SealedSegment {
    /// The file.
    pub(crate) path: TempPath,
    /// Hash of its bytes.
    pub(crate) sha256: ContentHash,
    /// Its size in bytes.
    pub(crate) size_bytes: u64,
}

impl Sealer {
    /// Seals the file of a segment into another one in `folder`. Blocks, and holds the segment in
    /// memory twice for a moment.
    pub(crate) fn seal_segment(
        &self,
        system_id: &SystemId,
        plain: &Path,
        folder: &Path,
    ) -> Result<SealedSegment, SegmentSealError> {
        let bytes = read(plain, Kind::Segment.limit())?;
        let object = self.seal(Kind::Segment, system_id, &bytes)?;
        drop(bytes);
        Ok(SealedSegment {
            path: write(folder, PUSH_PREFIX, &object)?,
            sha256: ContentHash::of(&object),
            size_bytes: object.len() as u64,
        })
    }

    /// Opens the file of a sealed segment into another one in `folder`. Blocks, and holds the
    /// segment in memory.
    pub(crate) fn open_segment(
        &self,
        system_id: &SystemId,
        sealed: &Path,
        folder: &Path,
    ) -> Result<TempPath, SegmentSealError> {
        let object = read(sealed, MAX_SEALED_SEGMENT_BYTES)?;
        let bytes = self.open(Kind::Segment, system_id, object)?;
        Ok(write(folder, DOWNLOAD_PREFIX, &bytes)?)
    }
}

/// Reads a file, and of one that is too large a byte more than the limit.
fn read(path: &Path, limit: u64) -> io::Result<Vec<u8>> {
    let file = File::open(path)?;
    let size = file.metadata()?.len().min(limit);
    let mut bytes = Vec::with_capacity(size as usize + 1);
    file.take(limit + 1).read_to_end(&mut bytes)?;
    Ok(bytes)
}

/// Writes a file that only its owner may read and that vanishes with its path.
fn write(folder: &Path, prefix: &str, bytes: &[u8]) -> io::Result<TempPath> {
    let file = tempfile::Builder::new()
        .prefix(prefix)
        .tempfile_in(folder)?;
    file.as_file().write_all(bytes)?;
    Ok(file.into_temp_path())
}
