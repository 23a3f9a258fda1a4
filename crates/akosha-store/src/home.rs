//! The folder in which a node keeps everything.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use chrono::{DateTime, TimeDelta, Utc};

use crate::StoreError;

/// Age at which a temporary file was surely left by a process that died.
const STALE: TimeDelta = TimeDelta::days(1);

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

    /// Removes temporary files that a process left which died a day or more ago.
    pub fn remove_stale_files(&self, now: DateTime<Utc>) {
        let Ok(entries) = fs::read_dir(self.temporary()) else {
            return;
        };
        for entry in entries.flatten() {
            let modified = entry.metadata().and_then(|file| file.modified());
            if modified.is_ok_and(|modified| now - DateTime::<Utc>::from(modified) > STALE) {
                // What cannot be removed now is tried again by the next sync.
                let _ = fs::remove_file(entry.path());
            }
        }
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
        // SQLite gives its other files the mode of the database; others may enter the home.
        let path = self.database();
        create_private_file(&path).map_err(|source| StoreError::Home { path, source })
    }
}

fn create_private_file(path: &Path) -> io::Result<()> {
    if path.exists() {
        return Ok(());
    }
    let mut options = fs::OpenOptions::new();
    options.append(true).create(true);
    #[cfg(unix)]
    std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
    options.open(path).map(drop)
}

fn create_private(folder: &Path) -> io::Result<()> {
    let mut builder = fs::DirBuilder::new();
    builder.recursive(true);
    #[cfg(unix)]
    std::os::unix::fs::DirBuilderExt::mode(&mut builder, 0o700);
    builder.create(folder)
}
