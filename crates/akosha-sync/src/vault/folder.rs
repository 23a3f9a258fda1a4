//! A folder as a vault: nothing is created before the first write.

use std::io;
use std::path::{Path, PathBuf};
use std::sync::{Arc, OnceLock};

use object_store::local::LocalFileSystem;

use super::VaultError;
use super::blocking::on_blocking_thread;

/// A folder that may not exist yet.
#[derive(Debug)]
pub(super) struct Folder {
    root: PathBuf,
    opened: OnceLock<Arc<LocalFileSystem>>,
}

impl Folder {
    pub(super) fn new(root: PathBuf) -> Self {
        Self {
            root,
            opened: OnceLock::new(),
        }
    }

    pub(super) fn root(&self) -> &Path {
        &self.root
    }

    /// Returns the folder's store, or `None` where the folder does not exist.
    pub(super) async fn existing(&self) -> Result<Option<Arc<LocalFileSystem>>, VaultError> {
        if let Some(store) = self.opened.get() {
            return Ok(Some(Arc::clone(store)));
        }
        let root = self.root.clone();
        let store = on_blocking_thread(move || match root.try_exists() {
            Ok(true) => open(&root).map(Some),
            Ok(false) => Ok(None),
            Err(error) => Err(refused("open", &root, &error)),
        })
        .await?;
        Ok(store.map(|store| Arc::clone(self.opened.get_or_init(|| store))))
    }

    /// Returns the folder's store; creates the folder, for its owner alone, where it is missing.
    pub(super) async fn created(&self) -> Result<Arc<LocalFileSystem>, VaultError> {
        if let Some(store) = self.existing().await? {
            return Ok(store);
        }
        let root = self.root.clone();
        let store = on_blocking_thread(move || {
            let mut builder = std::fs::DirBuilder::new();
            builder.recursive(true);
            #[cfg(unix)]
            std::os::unix::fs::DirBuilderExt::mode(&mut builder, 0o700);
            builder
                .create(&root)
                .map_err(|error| refused("create", &root, &error))?;
            open(&root)
        })
        .await?;
        Ok(Arc::clone(self.opened.get_or_init(|| store)))
    }
}

fn open(root: &Path) -> Result<Arc<LocalFileSystem>, VaultError> {
    match LocalFileSystem::new_with_prefix(root) {
        Ok(store) => Ok(Arc::new(store.with_fsync(true))),
        Err(error) => Err(VaultError::Storage {
            operation: "open",
            path: root.to_owned(),
            reason: error.to_string(),
        }),
    }
}

fn refused(operation: &'static str, path: &Path, error: &io::Error) -> VaultError {
    VaultError::Storage {
        operation,
        path: path.to_owned(),
        reason: error.to_string(),
    }
}
