//! Writes a manifest.

use akosha_core::{SystemId, UploadId, time};
use bytes::Bytes;
use chrono::{DateTime, Utc};
use serde_json::{Value, json};

use super::encryption::Seal;
use super::read::UNCOMPRESSED;
use super::{
    CompressionFormat, FileEntry, Manifest, ManifestError, Replaced, SegmentEntry,
    UnverifiedManifest, UploadKind, UploadMetadata, Verification, check,
};
use crate::crypt::VaultKeys;

/// The format that is written.
const VERSION: &str = "1.0";

/// What a manifest is to say.
#[derive(Debug, Clone, PartialEq)]
pub struct ManifestDraft {
    /// The upload.
    pub upload_id: UploadId,
    /// The system whose upload it is.
    pub system_id: SystemId,
    /// Why it is made.
    pub kind: UploadKind,
    /// The name of a snapshot.
    pub name: Option<String>,
    /// When the upload was begun.
    pub uploaded_at: DateTime<Utc>,
    /// The upload that this one continues.
    pub parent: Option<UploadId>,
    /// How the pieces of files are compressed; zstd where there are none, since segments are
    /// compressed with it inside.
    pub compression: Option<CompressionFormat>,
    /// The segments.
    pub segments: Vec<SegmentEntry>,
    /// The files: all that the system syncs, where any of them has changed.
    pub files: Vec<FileEntry>,
    /// The newest upload of the system that lists files, where this one lists none.
    pub files_from: Option<UploadId>,
    /// The uploads for which it stands.
    pub replaces: Vec<Replaced>,
    /// Whether it may also hold changes that none of those holds.
    pub holds_more: bool,
    /// Who makes it.
    pub metadata: UploadMetadata,
}

/// A manifest with the bytes that are to be stored.
#[derive(Debug, Clone)]
pub struct SealedManifest {
    /// The manifest.
    pub manifest: Manifest,
    /// Its bytes: canonical JSON, the same for the same draft.
    pub bytes: Bytes,
}

impl ManifestDraft {
    /// Starts the manifest of an upload that brings what is new.
    pub fn new(system_id: SystemId, upload_id: UploadId, uploaded_at: DateTime<Utc>) -> Self {
        Self {
            upload_id,
            system_id,
            kind: UploadKind::Sync,
            name: None,
            uploaded_at,
            parent: None,
            compression: Some(CompressionFormat::Zstd),
            segments: Vec::new(),
            files: Vec::new(),
            files_from: None,
            replaces: Vec::new(),
            holds_more: false,
            metadata: UploadMetadata {
                uploader: "akosha".into(),
                uploader_version: env!("CARGO_PKG_VERSION").into(),
                ..UploadMetadata::default()
            },
        }
    }

    /// Returns the rows in all segments together.
    pub fn conversation_count(&self) -> u64 {
        let rows = self.segments.iter().map(|segment| segment.rows);
        rows.fold(0, u64::saturating_add)
    }

    /// Returns the sizes of all segments and, before compression, of all files together, in bytes.
    pub fn total_size_bytes(&self) -> u64 {
        let segments = self.segments.iter().map(|segment| segment.size_bytes);
        let files = self.files.iter().map(|file| file.size_bytes);
        segments.chain(files).fold(0, u64::saturating_add)
    }

    /// Makes the bytes with their checksum and, where there is a key, their signature, and passes
    /// them through the reader's checks. Where the vault is encrypted, the names of files are
    /// sealed here; everything else that the draft names must be sealed before.
    ///
    /// # Errors
    /// Fails where a reader with these keys would refuse the manifest.
    pub fn seal(&self, keys: &VaultKeys) -> Result<SealedManifest, ManifestError> {
        let mut value = self.to_json(Seal::new(keys.to_encrypt(), &self.system_id))?;
        let checksum = check::checksum(&value)?;
        value["checksum"] = checksum.to_string().into();
        value["signature"] = keys
            .to_sign()
            .map_or(Value::Null, |signer| signer.sign(&checksum).into());
        let bytes = check::canonical(&value)?;
        let manifest = UnverifiedManifest::parse(&bytes)?.verify(&Verification {
            system_id: &self.system_id,
            upload_id: &self.upload_id,
            now: self.uploaded_at,
            keys,
        })?;
        Ok(SealedManifest {
            manifest,
            bytes: bytes.into(),
        })
    }

    fn to_json(&self, seal: Seal<'_>) -> Result<Value, ManifestError> {
        let mut files = files_to_json(&self.files);
        for (entry, file) in files.as_array_mut().into_iter().flatten().zip(&self.files) {
            entry["name"] = seal.seal_name(&file.name)?.into();
        }
        let segments: Vec<Value> = self
            .segments
            .iter()
            .map(|segment| {
                json!({
                    "path": segment.key(&self.system_id).to_string(),
                    "sha256": segment.sha256,
                    "size_bytes": segment.size_bytes,
                    "rows": segment.rows,
                    "min_seq": segment.min_seq,
                    "max_seq": segment.max_seq,
                })
            })
            .collect();
        let mut metadata = json!({
            "uploader": self.metadata.uploader,
            "uploader_version": self.metadata.uploader_version,
            "trigger": self.metadata.trigger,
        });
        if let Some(hostname) = &self.metadata.hostname {
            metadata["hostname"] = hostname.as_str().into();
        }
        let mut manifest = json!({
            "version": VERSION,
            "upload_id": self.upload_id,
            "system_id": self.system_id,
            "kind": self.kind.as_str(),
            "name": self.name,
            "uploaded_at": time::format(self.uploaded_at),
            "parent": self.parent,
            "conversation_count": self.conversation_count(),
            "total_size_bytes": self.total_size_bytes(),
            "compressed": self.compression.is_some(),
            "compression_format": self.compression.map(CompressionFormat::as_str),
            "segments": segments,
            "files": files,
            "encryption": seal.to_json(),
            "metadata": metadata,
        });
        if let Some(upload_id) = &self.files_from {
            manifest["files_from"] = upload_id.as_str().into();
        }
        if !self.replaces.is_empty() {
            manifest["replaces"] = self.replaces.iter().map(replaced).collect();
        }
        if self.holds_more {
            manifest["holds_more"] = true.into();
        }
        Ok(manifest)
    }
}

fn replaced(replaced: &Replaced) -> Value {
    let mut value = json!({
        "upload_id": replaced.upload_id,
        "uploaded_at": time::format(replaced.uploaded_at),
        "max_seq": replaced.max_seq,
    });
    if let Some(upload_id) = &replaced.via {
        value["via"] = upload_id.as_str().into();
    }
    value
}

/// Returns files as a manifest lists them.
pub(crate) fn files_to_json(files: &[FileEntry]) -> Value {
    files.iter().map(file).collect()
}

fn file(file: &FileEntry) -> Value {
    let chunks: Vec<Value> = file
        .chunks
        .iter()
        .map(|chunk| {
            let mut value = json!({
                "sha256": chunk.sha256,
                "size_bytes": chunk.size_bytes,
                "stored_bytes": chunk.stored_bytes,
            });
            if chunk.compression != file.compression {
                let format = chunk.compression.map(CompressionFormat::as_str);
                value["compression"] = format.unwrap_or(UNCOMPRESSED).into();
            }
            value
        })
        .collect();
    json!({
        "name": file.name,
        "size_bytes": file.size_bytes,
        "sha256": file.sha256,
        "compression": file.compression.map(CompressionFormat::as_str),
        "chunks": chunks,
    })
}
