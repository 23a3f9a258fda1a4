//! Reads a manifest: bytes, then JSON, then every check, then a [`Manifest`].

use std::collections::HashSet;

use akosha_core::{SystemId, UploadId, excerpt, time};
use chrono::{DateTime, Utc};
use serde_json::Value;

use super::document::Object;
use super::encryption::Seal;
use super::{
    ChunkEntry, CompressionFormat, FileEntry, MAX_CHUNK_BYTES, MAX_CHUNKS, MAX_CLOCK_SKEW,
    MAX_FILES, MAX_MANIFEST_BYTES, MAX_REPLACED, MAX_ROWS, MAX_SAFE_INTEGER, MAX_SEGMENTS,
    MAX_TOTAL_BYTES, Manifest, ManifestDraft, ManifestError, Replaced, SegmentEntry, UploadKind,
    UploadMetadata, check, json,
};
use crate::crypt::{OVERHEAD, VaultKeys};

/// How a piece says that its object is not compressed although others of its file are.
pub(super) const UNCOMPRESSED: &str = "none";

/// What a manifest is verified against.
#[derive(Debug, Clone)]
pub struct Verification<'a> {
    /// The system that the manifest's key names.
    pub system_id: &'a SystemId,
    /// The upload that the manifest's key names.
    pub upload_id: &'a UploadId,
    /// The present time.
    pub now: DateTime<Utc>,
    /// The keys that it is read with, and whose signatures count.
    pub keys: &'a VaultKeys,
}

/// A manifest as it came: JSON, of which nothing is known yet.
#[derive(Debug, Clone)]
pub struct UnverifiedManifest {
    value: Value,
}

impl UnverifiedManifest {
    /// Reads bytes as JSON. Takes up to some seconds for the largest manifests: call it on a
    /// blocking thread.
    ///
    /// # Errors
    /// Fails where they are more than [`MAX_MANIFEST_BYTES`] or not JSON with one meaning.
    pub fn parse(bytes: &[u8]) -> Result<Self, ManifestError> {
        let size = bytes.len() as u64;
        if size > MAX_MANIFEST_BYTES {
            return Err(ManifestError::TooLarge { size });
        }
        match json::parse(bytes) {
            Ok(value) => Ok(Self { value }),
            Err(reason) => Err(ManifestError::Json { reason }),
        }
    }

    /// Checks everything that can be checked without the objects that the manifest names.
    ///
    /// # Errors
    /// Names the first rule that is broken, the field and its value.
    pub fn verify(self, against: &Verification<'_>) -> Result<Manifest, ManifestError> {
        let top = Object::new(&self.value, String::new())?;
        check_version(&top)?;
        let (system_id, upload_id) = place(&top, against)?;
        let found = top.hash("checksum")?;
        let computed = check::checksum(&self.value)?;
        if found != computed {
            return Err(ManifestError::Checksum { found, computed });
        }
        let seal = Seal::read(&top, against.keys, against.system_id)?;
        let signature = bounded_text(&top, "signature", 4096)?;
        let signed_by = against.keys.check_signature(signature, &found)?;
        let encryption = seal.key_id();
        let uploaded_at = uploaded_at(&top, against.now)?;
        let compression = compression(&top)?;
        let content = ManifestDraft {
            kind: kind(&top)?,
            name: optional_name(&top)?,
            uploaded_at,
            parent: upload_id_of(&top, "parent")?,
            files_from: upload_id_of(&top, "files_from")?,
            replaces: replaces(&top, &upload_id)?,
            holds_more: match top.get("holds_more") {
                None => false,
                Some(_) => top.boolean("holds_more")?,
            },
            segments: segments(&top, &system_id)?,
            files: files(&top, Rules::Manifest { compression, seal })?,
            compression,
            metadata: metadata(&top)?,
            upload_id,
            system_id,
        };
        let rows = top.count("conversation_count", 0, MAX_ROWS)?;
        let bytes = top.count("total_size_bytes", 0, MAX_TOTAL_BYTES)?;
        total("conversation_count", rows, content.conversation_count())?;
        total("total_size_bytes", bytes, content.total_size_bytes())?;
        Ok(Manifest {
            content,
            checksum: found,
            encryption,
            signed_by,
        })
    }
}

fn total(field: &str, value: u64, sum: u64) -> Result<(), ManifestError> {
    if value == sum {
        return Ok(());
    }
    Err(ManifestError::Total {
        field: field.into(),
        value,
        sum,
    })
}

fn check_version(top: &Object<'_>) -> Result<(), ManifestError> {
    let text = top.text("version")?;
    let value = excerpt(text);
    let is_number = |part: &str| !part.is_empty() && part.bytes().all(|byte| byte.is_ascii_digit());
    match text.split_once('.') {
        Some((major, minor)) if is_number(major) && is_number(minor) && text.len() <= 20 => {
            if major == "1" {
                Ok(())
            } else {
                Err(ManifestError::UnknownMajor { value })
            }
        }
        _ => Err(ManifestError::Version { value }),
    }
}

fn place(
    top: &Object<'_>,
    against: &Verification<'_>,
) -> Result<(SystemId, UploadId), ManifestError> {
    let system_id: SystemId = top
        .text("system_id")?
        .parse()
        .map_err(|error| ManifestError::id("system_id", error))?;
    let upload_id: UploadId = top
        .text("upload_id")?
        .parse()
        .map_err(|error| ManifestError::id("upload_id", error))?;
    for (field, found, expected) in [
        ("system_id", system_id.as_str(), against.system_id.as_str()),
        ("upload_id", upload_id.as_str(), against.upload_id.as_str()),
    ] {
        if found != expected {
            return Err(ManifestError::WrongPlace {
                field,
                found: found.into(),
                expected: expected.into(),
            });
        }
    }
    Ok((system_id, upload_id))
}

fn uploaded_at(top: &Object<'_>, now: DateTime<Utc>) -> Result<DateTime<Utc>, ManifestError> {
    let text = top.text("uploaded_at")?;
    let at = time::parse(text).map_err(|error| ManifestError::id("uploaded_at", error))?;
    if at - now > MAX_CLOCK_SKEW {
        return Err(ManifestError::InFuture {
            uploaded_at: time::format(at),
            now: time::format(now),
        });
    }
    Ok(at)
}

fn kind(top: &Object<'_>) -> Result<UploadKind, ManifestError> {
    let text = top.text("kind")?;
    [UploadKind::Sync, UploadKind::Snapshot]
        .into_iter()
        .find(|kind| kind.as_str() == text)
        .ok_or_else(|| ManifestError::Type {
            field: "kind".into(),
            found: format!("`{}`", excerpt(text)),
            expected: "`sync` or `snapshot`",
        })
}

/// Returns a text of at most `limit` bytes without control characters.
fn bounded_text<'a>(
    object: &Object<'a>,
    field: &str,
    limit: usize,
) -> Result<Option<&'a str>, ManifestError> {
    let text = object.optional_text(field)?;
    match text {
        Some(text) if text.len() > limit || text.chars().any(char::is_control) => {
            Err(ManifestError::Name {
                field: object.name(field),
                value: excerpt(text),
                expected: "short text without control characters",
            })
        }
        text => Ok(text),
    }
}

fn optional_name(top: &Object<'_>) -> Result<Option<String>, ManifestError> {
    Ok(bounded_text(top, "name", 255)?.map(str::to_owned))
}

fn upload_id_of(top: &Object<'_>, field: &str) -> Result<Option<UploadId>, ManifestError> {
    let Some(_) = top.get(field) else {
        return Ok(None);
    };
    let parsed = top.text(field)?.parse();
    parsed
        .map(Some)
        .map_err(|error| ManifestError::id(top.name(field), error))
}

/// Returns the uploads for which this one stands.
fn replaces(top: &Object<'_>, own: &UploadId) -> Result<Vec<Replaced>, ManifestError> {
    if top.get("replaces").is_none() {
        return Ok(Vec::new());
    }
    let mut seen = HashSet::from([own.clone()]);
    let replaced = top.objects("replaces", MAX_REPLACED)?;
    replaced
        .iter()
        .map(|entry| {
            let upload_id: UploadId = entry
                .text("upload_id")?
                .parse()
                .map_err(|error| ManifestError::id(entry.name("upload_id"), error))?;
            if !seen.insert(upload_id.clone()) {
                return Err(ManifestError::Duplicate {
                    field: "replaces",
                    value: upload_id.to_string(),
                });
            }
            Ok(Replaced {
                uploaded_at: time::parse(entry.text("uploaded_at")?)
                    .map_err(|error| ManifestError::id(entry.name("uploaded_at"), error))?,
                max_seq: entry.integer("max_seq", 0, MAX_SAFE_INTEGER)?,
                via: upload_id_of(entry, "via")?,
                upload_id,
            })
        })
        .collect()
}

fn compression(top: &Object<'_>) -> Result<Option<CompressionFormat>, ManifestError> {
    let compressed = top.boolean("compressed")?;
    let format = top.compression("compression_format")?;
    if compressed == format.is_some() {
        return Ok(format);
    }
    Err(ManifestError::Compression {
        field: "compressed".into(),
        value: compressed.to_string(),
        other: match format {
            Some(format) => format!("`compression_format` `{}`", format.as_str()),
            None => "`compression_format` null".into(),
        },
    })
}

fn segments(top: &Object<'_>, system_id: &SystemId) -> Result<Vec<SegmentEntry>, ManifestError> {
    let mut seen = HashSet::new();
    let segments = top.objects("segments", MAX_SEGMENTS)?;
    segments
        .iter()
        .map(|segment| {
            let entry = SegmentEntry {
                sha256: segment.hash("sha256")?,
                size_bytes: segment.count("size_bytes", 1, MAX_TOTAL_BYTES)?,
                rows: segment.count("rows", 1, MAX_ROWS)?,
                min_seq: segment.integer("min_seq", 0, MAX_SAFE_INTEGER)?,
                max_seq: segment.integer("max_seq", 0, MAX_SAFE_INTEGER)?,
            };
            let expected = entry.key(system_id).to_string();
            let path = segment.text("path")?;
            if path != expected {
                return Err(ManifestError::Path {
                    field: segment.name("path"),
                    value: excerpt(path),
                    expected,
                });
            }
            if entry.min_seq > entry.max_seq {
                return Err(ManifestError::SeqOrder {
                    field: segment.name("min_seq"),
                    min_seq: entry.min_seq,
                    max_seq: entry.max_seq,
                });
            }
            if !seen.insert(entry.sha256) {
                return Err(ManifestError::Duplicate {
                    field: "segments",
                    value: entry.sha256.to_string(),
                });
            }
            Ok(entry)
        })
        .collect()
}

/// Reads files as a manifest lists them, from a list of their own: each may be compressed in its
/// own way.
pub(crate) fn files_from_json(list: &Value) -> Result<Vec<FileEntry>, ManifestError> {
    let value = serde_json::json!({ "files": list });
    files(&Object::new(&value, String::new())?, Rules::Apart)
}

/// What holds for the files of a list.
#[derive(Debug, Clone, Copy)]
enum Rules<'a> {
    /// They stand in a manifest, which says how all are compressed and sealed.
    Manifest {
        compression: Option<CompressionFormat>,
        seal: Seal<'a>,
    },
    /// They stand in a list of their own, with names as they are and pieces sealed or not.
    Apart,
}

impl Rules<'_> {
    fn open_name(self, field: &str, name: &str) -> Result<String, ManifestError> {
        match self {
            Self::Manifest { seal, .. } => seal.open_name(field, name),
            Self::Apart => check::file_name(field, name).map(|()| name.to_owned()),
        }
    }

    fn allows(self, format: Option<CompressionFormat>) -> bool {
        match self {
            Self::Manifest { compression, .. } => format.is_none() || format == compression,
            Self::Apart => true,
        }
    }

    /// Returns the size that the object of a piece has to have that is not compressed.
    fn uncompressed(self, size_bytes: u64, stored_bytes: u64) -> u64 {
        match self {
            Self::Manifest { seal, .. } => size_bytes + seal.overhead(),
            Self::Apart if stored_bytes == size_bytes + OVERHEAD => stored_bytes,
            Self::Apart => size_bytes,
        }
    }
}

/// Reads the files of a list.
fn files(top: &Object<'_>, rules: Rules<'_>) -> Result<Vec<FileEntry>, ManifestError> {
    let mut seen = HashSet::new();
    let mut chunks_left = MAX_CHUNKS;
    let mut files = Vec::new();
    for file in top.objects("files", MAX_FILES)? {
        let name = rules.open_name(&file.name("name"), file.text("name")?)?;
        if !seen.insert(name.clone()) {
            return Err(ManifestError::Duplicate {
                field: "files",
                value: name,
            });
        }
        let compression = file.compression("compression")?;
        if !rules.allows(compression) {
            return Err(ManifestError::Compression {
                field: file.name("compression"),
                value: compression.map_or("null", CompressionFormat::as_str).into(),
                other: "`compression_format`".into(),
            });
        }
        let chunks = chunks(&file, compression, rules, &mut chunks_left)?;
        let size_bytes = file.count("size_bytes", 0, MAX_TOTAL_BYTES)?;
        let sum = chunks.iter().map(|chunk| chunk.size_bytes).sum();
        total(&file.name("size_bytes"), size_bytes, sum)?;
        files.push(FileEntry {
            name,
            size_bytes,
            sha256: file.hash("sha256")?,
            compression,
            chunks,
        });
    }
    Ok(files)
}

fn chunks(
    file: &Object<'_>,
    compression: Option<CompressionFormat>,
    rules: Rules<'_>,
    left: &mut usize,
) -> Result<Vec<ChunkEntry>, ManifestError> {
    let chunks = file.objects("chunks", *left)?;
    *left -= chunks.len();
    chunks
        .iter()
        .map(|chunk| {
            let size_bytes = chunk.count("size_bytes", 1, MAX_CHUNK_BYTES)?;
            let compression = match chunk.get("compression") {
                None => compression,
                Some(value) if value == UNCOMPRESSED => None,
                Some(_) => chunk.compression("compression")?,
            };
            // No compression format in use makes data larger than by a small part.
            let most = size_bytes + size_bytes / 8 + 4096;
            let entry = ChunkEntry {
                sha256: chunk.hash("sha256")?,
                size_bytes,
                stored_bytes: chunk.count("stored_bytes", 1, most)?,
                compression,
            };
            if compression.is_none() {
                let stored = rules.uncompressed(size_bytes, entry.stored_bytes);
                total(&chunk.name("stored_bytes"), entry.stored_bytes, stored)?;
            }
            Ok(entry)
        })
        .collect()
}

fn metadata(top: &Object<'_>) -> Result<UploadMetadata, ManifestError> {
    let metadata = top.object("metadata")?;
    let text = |field| bounded_text(&metadata, field, 255);
    Ok(UploadMetadata {
        uploader: text("uploader")?.unwrap_or_default().into(),
        uploader_version: text("uploader_version")?.unwrap_or_default().into(),
        hostname: text("hostname")?.map(str::to_owned),
        trigger: text("trigger")?.unwrap_or_default().into(),
    })
}
