//! A folder as a vault, read and edited past the program.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};

use serde_json::Value;
use sha2::{Digest, Sha256};
use tempfile::TempDir;

use super::home::copy_folder;

/// The folder of a vault: one of a test's own, or the objects of an S3 server.
pub(crate) struct Vault {
    root: PathBuf,
    _folder: Option<TempDir>,
}

/// An upload in a vault.
#[derive(Debug, Clone)]
pub(crate) struct Upload {
    /// The file.
    pub(crate) path: PathBuf,
    /// What it says.
    pub(crate) manifest: Value,
}

impl Vault {
    /// Makes an empty folder.
    pub(crate) fn new() -> Self {
        let folder = TempDir::new().unwrap();
        Self {
            root: folder.path().join("vault"),
            _folder: Some(folder),
        }
    }

    /// Copies everything that lies in it.
    pub(crate) fn copy(&self) -> Self {
        let copy = Self::new();
        copy_folder(&self.root, &copy.root);
        copy
    }

    /// Looks at a folder that lies elsewhere.
    pub(crate) fn at(root: &Path) -> Self {
        Self {
            root: root.to_owned(),
            _folder: None,
        }
    }

    /// Returns the folder.
    pub(crate) fn root(&self) -> &Path {
        &self.root
    }

    /// Returns the folder of a system.
    pub(crate) fn system(&self, system_id: &str) -> PathBuf {
        self.root.join("systems").join(system_id)
    }

    /// Returns every file with its bytes.
    pub(crate) fn files(&self) -> BTreeMap<PathBuf, Vec<u8>> {
        let mut files = BTreeMap::new();
        read_folder(&self.root, &mut files);
        files
    }

    /// Returns the bytes that lie in it.
    pub(crate) fn size(&self) -> u64 {
        self.files().values().map(|bytes| bytes.len() as u64).sum()
    }

    /// Returns the uploads of a system, oldest first.
    pub(crate) fn uploads(&self, system_id: &str) -> Vec<Upload> {
        let Ok(folders) = fs::read_dir(self.system(system_id).join("uploads")) else {
            return Vec::new();
        };
        let mut uploads: Vec<Upload> = folders
            .filter_map(|folder| {
                let path = folder.unwrap().path().join("manifest.json");
                let manifest = serde_json::from_slice(&fs::read(&path).ok()?).unwrap();
                Some(Upload { path, manifest })
            })
            .collect();
        uploads.sort_by(|one, other| one.path.cmp(&other.path));
        uploads
    }

    /// Returns how many rows the visible uploads of a system hold together.
    pub(crate) fn rows(&self, system_id: &str) -> u64 {
        let uploads = self.uploads(system_id);
        let segments = uploads.iter().flat_map(Upload::segments);
        segments
            .map(|segment| segment["rows"].as_u64().unwrap())
            .sum()
    }

    /// Returns the head of a system.
    pub(crate) fn head(&self, system_id: &str) -> Value {
        let bytes = fs::read(self.system(system_id).join("head.json")).unwrap();
        serde_json::from_slice(&bytes).unwrap()
    }

    /// Checks that the head names the newest upload, that the uploads are a chain from there to
    /// the first, and that each object they name is there with its hash.
    pub(crate) fn check(&self, system_id: &str) {
        let uploads = self.uploads(system_id);
        let by_id: BTreeMap<&str, &Upload> =
            uploads.iter().map(|upload| (upload.id(), upload)).collect();
        let head = self.head(system_id);
        let mut next = head["upload_id"].as_str();
        let mut seen = 0;
        while let Some(id) = next {
            let upload = by_id
                .get(id)
                .unwrap_or_else(|| panic!("no upload {id}: {head}"));
            next = upload.manifest["parent"].as_str();
            seen += 1;
            assert!(seen <= uploads.len(), "the uploads are a circle");
        }
        assert_eq!(
            seen,
            uploads.len(),
            "the head does not lead to every upload"
        );
        for upload in &uploads {
            assert_eq!(
                upload.manifest["checksum"],
                checksum(&upload.manifest),
                "{upload:?}"
            );
            for segment in upload.segments() {
                let bytes = fs::read(self.root.join(segment["path"].as_str().unwrap())).unwrap();
                assert_eq!(
                    segment["sha256"],
                    hex::encode(Sha256::digest(&bytes)),
                    "{segment}"
                );
                assert_eq!(segment["size_bytes"], bytes.len(), "{segment}");
            }
        }
    }
}

impl Upload {
    /// Returns its id.
    pub(crate) fn id(&self) -> &str {
        self.manifest["upload_id"].as_str().unwrap()
    }

    /// Returns the segments that it lists.
    pub(crate) fn segments(&self) -> &[Value] {
        self.manifest["segments"].as_array().unwrap()
    }

    /// Writes the manifest with a checksum that is right for what it says now.
    pub(crate) fn seal(&mut self) {
        self.manifest["checksum"] = checksum(&self.manifest).into();
        self.write();
    }

    /// Writes the manifest as it is.
    pub(crate) fn write(&self) {
        fs::write(&self.path, self.manifest.to_string()).unwrap();
    }
}

/// Returns the checksum that docs/vault-format.md asks for: of the canonical JSON without checksum
/// and signature.
fn checksum(manifest: &Value) -> String {
    let mut manifest = manifest.clone();
    let fields = manifest.as_object_mut().unwrap();
    fields.remove("checksum");
    fields.remove("signature");
    hex::encode(Sha256::digest(
        serde_json_canonicalizer::to_vec(&manifest).unwrap(),
    ))
}

fn read_folder(folder: &Path, files: &mut BTreeMap<PathBuf, Vec<u8>>) {
    let Ok(entries) = fs::read_dir(folder) else {
        return;
    };
    for entry in entries.map(Result::unwrap) {
        // A sync that is at work renames its files.
        if entry.file_type().is_ok_and(|kind| kind.is_dir()) {
            read_folder(&entry.path(), files);
        } else if let Ok(bytes) = fs::read(entry.path()) {
            files.insert(entry.path(), bytes);
        }
    }
}
