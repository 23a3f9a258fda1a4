//! The folder in which a node keeps everything.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use chrono::{DateTime, TimeDelta, Utc};

use crate::StoreError;

/// What the names of files and folders in [`Home::temporary`] begin with that a push makes: whoever
/// pushes next removes what is left of them.
pub const PUSH_PREFIX: &str = "push-";

/// What the names of files begin with that a pull receives into [`Home::temporary`].
pub const DOWNLOAD_PREFIX: &str = "download-";

/// Age at which work that holds no lease has surely died and left what it made.
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

    /// Removes what processes that died left in the folder for temporary files: all that a push
    /// made, so that only the holder of the drain lease may call it, and what any other work made,
    /// such as a pull or an import, a day or more ago.
    pub fn remove_leftovers(&self, now: DateTime<Utc>) {
        self.remove_temporary(now, |of_push, is_stale| of_push || is_stale);
    }

    /// Removes what processes that died left in the folder for temporary files a day or more ago,
    /// except for what a push made. Anybody may call it.
    pub fn remove_stale_leftovers(&self, now: DateTime<Utc>) {
        self.remove_temporary(now, |of_push, is_stale| !of_push && is_stale);
    }

    /// Removes temporary files, told of each whether a push made it and whether it is stale.
    fn remove_temporary(&self, now: DateTime<Utc>, is_doomed: impl Fn(bool, bool) -> bool) {
        let Ok(entries) = fs::read_dir(self.temporary()) else {
            return;
        };
        for entry in entries.flatten() {
            let of_push = entry.file_name().to_string_lossy().starts_with(PUSH_PREFIX);
            let Ok(found) = entry.metadata() else {
                continue;
            };
            let modified = found.modified().map(DateTime::<Utc>::from);
            let is_stale = modified.is_ok_and(|modified| now - modified > STALE);
            if !is_doomed(of_push, is_stale) {
                continue;
            }
            // What cannot be removed now is tried again by the next caller.
            let _ = if found.is_dir() {
                fs::remove_dir_all(entry.path())
            } else {
                fs::remove_file(entry.path())
            };
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
