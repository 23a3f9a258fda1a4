//! The manifest: what one upload consists of. It is written last, and what has none does not
//! exist for readers.
//!
//! Bytes become a [`Manifest`] only through [`UnverifiedManifest::verify`]; a
//! [`ManifestDraft`] becomes bytes only through [`ManifestDraft::seal`], which passes the same
//! checks.

mod check;
mod document;
mod draft;
mod encryption;
mod error;
#[cfg(any(fuzzing, test))]
pub(crate) mod fuzz;
mod json;
mod read;

use akosha_core::{SystemId, UploadId};
use chrono::{DateTime, TimeDelta, Utc};

pub(crate) use check::is_file_name;
pub(crate) use draft::files_to_json;
pub use draft::{ManifestDraft, SealedManifest};
pub use error::ManifestError;
pub(crate) use read::files_from_json;
pub use read::{UnverifiedManifest, Verification};

use crate::ContentHash;
use crate::crypt::{KeyId, PublicKey};
use crate::vault::{Expected, VaultKey};

/// Largest manifest in bytes: 64 MiB.
pub const MAX_MANIFEST_BYTES: u64 = 64 << 20;

/// Most rows of one upload.
pub const MAX_ROWS: u64 = 1_000_000;

/// Most bytes of one upload: segments and files before compression.
pub const MAX_TOTAL_BYTES: u64 = 100_000_000_000;

/// Most segments of one upload.
pub const MAX_SEGMENTS: usize = 10_000;

/// Most files of one upload.
pub const MAX_FILES: usize = 10_000;

/// Most uploads for which one stands.
pub const MAX_REPLACED: usize = 10_000;

/// Most pieces of all files of one upload.
pub const MAX_CHUNKS: usize = 250_000;

/// Largest piece of a file in bytes before compression: 256 MiB.
pub const MAX_CHUNK_BYTES: u64 = 256 << 20;

/// Largest integer that every JSON reader holds exactly: 2^53 - 1.
pub const MAX_SAFE_INTEGER: i64 = (1 << 53) - 1;

/// How far a manifest's time may be ahead of the reader's clock.
pub const MAX_CLOCK_SKEW: TimeDelta = TimeDelta::minutes(5);

/// Why an upload was made.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum UploadKind {
    /// To bring what is new.
    Sync,
    /// To keep a state, by name or by schedule.
    Snapshot,
}

impl UploadKind {
    /// Returns the name in the manifest: `sync`, `snapshot`.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Sync => "sync",
            Self::Snapshot => "snapshot",
        }
    }
}

/// How pieces of files are compressed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum CompressionFormat {
    /// Zstandard.
    Zstd,
    /// Gzip.
    Gzip,
    /// LZ4 frames.
    Lz4,
}

impl CompressionFormat {
    /// Returns the name in the manifest: `zstd`, `gzip`, `lz4`.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Zstd => "zstd",
            Self::Gzip => "gzip",
            Self::Lz4 => "lz4",
        }
    }
}

/// A segment of an upload.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct SegmentEntry {
    /// Hash of the object's bytes; it also gives the path.
    pub sha256: ContentHash,
    /// Size of the object in bytes.
    pub size_bytes: u64,
    /// Rows in it, at least 1.
    pub rows: u64,
    /// Lowest sequence number in it.
    pub min_seq: i64,
    /// Highest sequence number in it.
    pub max_seq: i64,
}

impl SegmentEntry {
    /// Returns the segment's key.
    pub fn key(&self, system_id: &SystemId) -> VaultKey {
        VaultKey::segment(system_id, self.sha256)
    }

    /// Returns what the segment's object must be.
    pub fn expected(&self) -> Expected {
        Expected {
            sha256: self.sha256,
            size_bytes: self.size_bytes,
        }
    }
}

/// An upload for which another one stands, because it holds the same changes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Replaced {
    /// The upload.
    pub upload_id: UploadId,
    /// When it was begun.
    pub uploaded_at: DateTime<Utc>,
    /// The highest sequence number in it: the rows up to here are what a reader had who had pulled
    /// it and all before.
    pub max_seq: i64,
    /// The upload that stood for it before and is among the others, `None` where none did.
    pub via: Option<UploadId>,
}

/// A file of an upload. A log that belongs to a file has its name with `.wal`, `.wal.checkpoint`,
/// `.wal.recovery`, `-wal` or `-journal` behind it; both are restored from the same upload.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FileEntry {
    /// Its name: 1 to 255 of `A-Z`, `a-z`, `0-9`, `_`, `.`, `-`, without `..`.
    pub name: String,
    /// Its size in bytes.
    pub size_bytes: u64,
    /// Hash of its bytes.
    pub sha256: ContentHash,
    /// How its pieces are compressed that do not say otherwise, `None` where they are not.
    pub compression: Option<CompressionFormat>,
    /// Its pieces in their order.
    pub chunks: Vec<ChunkEntry>,
}

/// A piece of a file.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct ChunkEntry {
    /// Hash of its bytes before compression; it also gives the path.
    pub sha256: ContentHash,
    /// Its size in bytes before compression.
    pub size_bytes: u64,
    /// Size of its object in bytes.
    pub stored_bytes: u64,
    /// How its object is compressed, `None` where it is not.
    pub compression: Option<CompressionFormat>,
}

/// Who made an upload.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct UploadMetadata {
    /// The program, `akosha` for this one.
    pub uploader: String,
    /// Its version.
    pub uploader_version: String,
    /// The machine, where it is told.
    pub hostname: Option<String>,
    /// What asked for the upload: `manual`, `session_end`, ….
    pub trigger: String,
}

/// A verified manifest: every rule holds. The objects that it names are yet to be checked against
/// it, as they are read.
#[derive(Debug, Clone, PartialEq)]
pub struct Manifest {
    content: ManifestDraft,
    checksum: ContentHash,
    encryption: Option<KeyId>,
    signed_by: Option<PublicKey>,
}

impl Manifest {
    /// Returns the upload's id.
    pub fn upload_id(&self) -> &UploadId {
        &self.content.upload_id
    }

    /// Returns the system whose upload it is.
    pub fn system_id(&self) -> &SystemId {
        &self.content.system_id
    }

    /// Returns why the upload was made.
    pub fn kind(&self) -> UploadKind {
        self.content.kind
    }

    /// Returns the name that a snapshot was given.
    pub fn name(&self) -> Option<&str> {
        self.content.name.as_deref()
    }

    /// Returns when the upload was begun, by the uploader's clock.
    pub fn uploaded_at(&self) -> DateTime<Utc> {
        self.content.uploaded_at
    }

    /// Returns the upload that this one continues.
    pub fn parent(&self) -> Option<&UploadId> {
        self.content.parent.as_ref()
    }

    /// Returns the rows in all segments together.
    pub fn conversation_count(&self) -> u64 {
        self.content.conversation_count()
    }

    /// Returns the sizes of all segments and, before compression, of all files together, in bytes.
    pub fn total_size_bytes(&self) -> u64 {
        self.content.total_size_bytes()
    }

    /// Returns the segments.
    pub fn segments(&self) -> &[SegmentEntry] {
        &self.content.segments
    }

    /// Returns the files.
    pub fn files(&self) -> &[FileEntry] {
        &self.content.files
    }

    /// Returns the newest upload of the system that lists files, where this one lists none.
    pub fn files_from(&self) -> Option<&UploadId> {
        self.content.files_from.as_ref()
    }

    /// Returns the uploads for which this one stands, oldest first.
    pub fn replaces(&self) -> &[Replaced] {
        &self.content.replaces
    }

    /// Returns whether it may also hold changes that none of [`Manifest::replaces`] holds.
    pub fn holds_more(&self) -> bool {
        self.content.holds_more
    }

    /// Returns who made the upload.
    pub fn metadata(&self) -> &UploadMetadata {
        &self.content.metadata
    }

    /// Returns the checksum.
    pub fn checksum(&self) -> ContentHash {
        self.checksum
    }

    /// Returns the key that the objects are sealed with, `None` where they are not.
    pub fn encryption(&self) -> Option<KeyId> {
        self.encryption
    }

    /// Returns whose signature it has that fits, where it has one.
    pub fn signed_by(&self) -> Option<PublicKey> {
        self.signed_by
    }
}

#[cfg(test)]
mod tests;
