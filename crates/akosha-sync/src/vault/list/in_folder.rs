//! Lists a vault in a folder.
//!
//! Anybody may leave anything in a shared folder, and the library's own listing ends at a name
//! that is not UTF-8, at one with a control character and at a circle of links. Here they are
//! passed over, and nothing is looked for deeper than keys reach.

use std::collections::BTreeSet;
use std::fs::{self, Metadata};
use std::io::{Error, ErrorKind};
use std::path::{Path, PathBuf};

use akosha_core::SystemId;
use chrono::DateTime;

use super::Listed;
use crate::vault::blocking::on_blocking_thread;
use crate::vault::folder::Folder;
use crate::vault::{Vault, VaultError};

/// Most names that a key is made of, as in `systems/{}/uploads/{}/manifest.json`.
const DEEPEST: usize = 5;

impl Vault {
    /// Returns the systems that have a folder.
    pub(super) async fn systems_in_folder(
        &self,
        folder: &Folder,
    ) -> Result<BTreeSet<SystemId>, VaultError> {
        let path = self.path_in_folder(folder, "systems");
        on_blocking_thread(move || {
            let mut systems = BTreeSet::new();
            for_each(&path, |name, found, _| {
                if found.is_dir() {
                    systems.extend(name.parse::<SystemId>().ok());
                }
                Ok(())
            })?;
            Ok(systems)
        })
        .await
    }

    /// Returns the objects below `prefix`.
    pub(super) async fn objects_in_folder(
        &self,
        folder: &Folder,
        prefix: &str,
    ) -> Result<Vec<Listed>, VaultError> {
        let path = self.path_in_folder(folder, prefix);
        let prefix = prefix.trim_end_matches('/').to_owned();
        on_blocking_thread(move || {
            let mut listed = Vec::new();
            walk(&path, &prefix, &mut listed)?;
            Ok(listed)
        })
        .await
    }

    fn path_in_folder(&self, folder: &Folder, below_prefix: &str) -> PathBuf {
        let key = self.path(below_prefix);
        let parts = key.parts();
        parts.fold(folder.root().to_owned(), |path, part| {
            path.join(part.as_ref())
        })
    }
}

/// Collects the objects in a folder whose key is `key`, and in those below it.
fn walk(folder: &Path, key: &str, listed: &mut Vec<Listed>) -> Result<(), VaultError> {
    for_each(folder, |name, found, path| {
        let key = format!("{key}/{name}");
        if found.is_dir() && key.split('/').count() < DEEPEST {
            walk(path, &key, listed)?;
        } else if found.is_file()
            && let Ok(key) = key.parse()
        {
            let modified = found.modified().map_err(|error| VaultError::Storage {
                operation: "look at",
                path: path.to_owned(),
                reason: error.to_string(),
            })?;
            listed.push(Listed {
                key,
                size_bytes: found.len(),
                last_modified: DateTime::from(modified),
            });
        }
        Ok(())
    })
}

/// Calls `take` for everything in a folder that has a readable name and is still there.
fn for_each(
    folder: &Path,
    mut take: impl FnMut(&str, &Metadata, &Path) -> Result<(), VaultError>,
) -> Result<(), VaultError> {
    let refused = |error: Error| VaultError::Storage {
        operation: "list",
        path: folder.to_owned(),
        reason: error.to_string(),
    };
    let entries = match fs::read_dir(folder) {
        Ok(entries) => entries,
        Err(error) if is_gone(error.kind()) => return Ok(()),
        Err(error) => return Err(refused(error)),
    };
    for entry in entries {
        let entry = entry.map_err(refused)?;
        let path = entry.path();
        match (entry.file_name().to_str(), fs::metadata(&path)) {
            (Some(name), Ok(found)) => take(name, &found, &path)?,
            // A link that leads nowhere, or what went away since, is nothing. What cannot be looked
            // at may be anything: whoever lists must not take it for missing.
            (Some(_), Err(error)) if !is_nothing(&error) => return Err(refused(error)),
            _ => {}
        }
    }
    Ok(())
}

fn is_nothing(error: &Error) -> bool {
    #[cfg(unix)]
    let is_circle = rustix::io::Errno::from_io_error(error) == Some(rustix::io::Errno::LOOP);
    #[cfg(not(unix))]
    let is_circle = false;
    is_circle || is_gone(error.kind())
}

fn is_gone(kind: ErrorKind) -> bool {
    matches!(kind, ErrorKind::NotFound | ErrorKind::NotADirectory)
}
