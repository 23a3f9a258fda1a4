//! What a target has of the files, as the store keeps it between pushes.

use akosha_core::UploadId;
use akosha_store::PushedFile;

use super::log_suffixes;
use crate::crypt::KeyId;
use crate::manifest::{FileEntry, files_from_json, files_to_json};

/// A file, with the logs that belong to it, as it was pushed last.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Group {
    /// The file's name.
    pub(crate) name: String,
    /// The key with which it was sealed, and the state in which it was pushed where that is known.
    pub(crate) signature: String,
    /// What the manifest says of the file and of its logs.
    pub(crate) entries: Vec<FileEntry>,
}

impl Group {
    /// Reads what the store keeps. A row that cannot be read counts as never pushed.
    pub(crate) fn of(row: &PushedFile) -> Option<Self> {
        let list = serde_json::from_str(&row.entries).ok()?;
        Some(Self {
            name: row.name.clone(),
            signature: row.signature.clone(),
            entries: files_from_json(&list).ok()?,
        })
    }

    /// Returns what the store keeps of it after `upload_id` has listed it.
    pub(crate) fn row(&self, upload_id: &UploadId) -> PushedFile {
        PushedFile {
            name: self.name.clone(),
            signature: self.signature.clone(),
            entries: files_to_json(&self.entries).to_string(),
            upload_id: upload_id.clone(),
        }
    }

    /// Returns whether the vault would have the same of both.
    pub(crate) fn has_content_of(&self, other: &Self) -> bool {
        let content = |group: &Self| -> Vec<_> {
            let entries = group.entries.iter();
            entries
                .map(|entry| (entry.name.clone(), entry.sha256))
                .collect()
        };
        content(self) == content(other)
    }

    /// Returns the signature of a file that is sealed with `key` and in a state here.
    pub(crate) fn sign(key: Option<KeyId>, state: &str) -> String {
        let key = key.map_or_else(|| "plain".into(), |key| key.to_string());
        format!("{key} {state}")
    }

    /// Returns whether it is sealed with `key`.
    pub(crate) fn is_under(&self, key: Option<KeyId>) -> bool {
        self.signature.starts_with(&Self::sign(key, ""))
    }

    /// Puts the files of a manifest, sealed with `key`, with their logs. Their state here is not
    /// known.
    pub(crate) fn all_of(files: &[FileEntry], key: Option<KeyId>) -> Vec<Self> {
        let is_log_of = |name: &str, main: &str| {
            log_suffixes().any(|suffix| !suffix.is_empty() && name == format!("{main}{suffix}"))
        };
        let is_log = |file: &FileEntry| files.iter().any(|main| is_log_of(&file.name, &main.name));
        let mains = files.iter().filter(|file| !is_log(file));
        mains
            .map(|main| Self {
                name: main.name.clone(),
                signature: Self::sign(key, ""),
                entries: files
                    .iter()
                    .filter(|file| file.name == main.name || is_log_of(&file.name, &main.name))
                    .cloned()
                    .collect(),
            })
            .collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ContentHash;
    use crate::manifest::{ChunkEntry, CompressionFormat};

    fn entry(name: &str, compression: Option<CompressionFormat>) -> FileEntry {
        FileEntry {
            name: name.into(),
            size_bytes: 9,
            sha256: ContentHash::of(name.as_bytes()),
            compression: Some(CompressionFormat::Zstd),
            chunks: vec![ChunkEntry {
                sha256: ContentHash::of(name.as_bytes()),
                size_bytes: 9,
                stored_bytes: 9,
                compression,
            }],
        }
    }

    #[test]
    fn logs_go_with_their_file_through_the_store() {
        let files = [
            entry("a.db", Some(CompressionFormat::Gzip)),
            entry("a.db-wal", None),
            entry("b.wal", Some(CompressionFormat::Zstd)),
        ];
        let groups = Group::all_of(&files, None);
        assert_eq!(groups.len(), 2);
        assert_eq!((&*groups[0].name, groups[0].entries.len()), ("a.db", 2));
        assert_eq!((&*groups[1].name, groups[1].entries.len()), ("b.wal", 1));
        let upload: UploadId = "20260102_030405_laptop_00000a".parse().unwrap();
        for group in groups {
            assert_eq!(Group::of(&group.row(&upload)), Some(group));
        }
    }
}
