//! The folder in which a node keeps everything.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use crate::StoreError;

/// A home: the folder that holds the store and temporary files. Only its owner may read it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Home {
    root: PathBuf,
}

impl Home {
    /// Names a home; nothing is created yet.
    pub fn new(root: impl Into<PathBuf>) -> Self {
        Self { root: root.into() }
    }

    /// Returns the folder.
    pub fn root(&self) -> &Path {
        &self.root
    }

    /// Returns the path of the database.
    pub fn database(&self) -> PathBuf {
        self.root.join("akosha.db")
    }

    /// Returns the folder for temporary files, on the same disk as the store.
    pub fn temporary(&self) -> PathBuf {
        self.root.join("tmp")
    }

    /// Creates the folders where they are missing, readable by their owner alone.
    ///
    /// # Errors
    /// Fails where the system refuses, or the path is a file.
    pub fn create(&self) -> Result<(), StoreError> {
        for folder in [self.root.clone(), self.temporary()] {
            create_private(&folder).map_err(|source| StoreError::Home {
                path: folder,
                source,
            })?;
        }
        Ok(())
    }
}

fn create_private(folder: &Path) -> io::Result<()> {
    let mut builder = fs::DirBuilder::new();
    builder.recursive(true);
    #[cfg(unix)]
    std::os::unix::fs::DirBuilderExt::mode(&mut builder, 0o700);
    builder.create(folder)
}
