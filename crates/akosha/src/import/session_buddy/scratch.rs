//! A folder for the copies, gone with its owner.

use std::fs::{self, File};
use std::path::{Path, PathBuf};
use std::time::Duration;

use tempfile::TempDir;

use super::error::DatabaseError;

/// What the names of these folders begin with.
const PREFIX: &str = "session-buddy-";

/// The file that its owner keeps locked.
const LOCK: &str = "lock";

/// Age from which a folder without an owner is one that was left, not one that is being made.
const LEFT: Duration = Duration::from_mins(1);

/// A folder that only its owner may enter, removed when this is dropped.
#[derive(Debug)]
pub(super) struct Scratch {
    // Closed first: not every system removes a file that is open.
    _lock: File,
    folder: TempDir,
}

impl Scratch {
    /// Creates a folder in `temporary` and removes those that processes left which were killed.
    ///
    /// # Errors
    /// Fails where the system refuses.
    pub(super) fn new(temporary: &Path) -> Result<Self, DatabaseError> {
        remove_left(temporary);
        let mut builder = tempfile::Builder::new();
        builder.prefix(PREFIX);
        #[cfg(unix)]
        {
            use std::os::unix::fs::PermissionsExt;
            builder.permissions(fs::Permissions::from_mode(0o700));
        }
        let folder = builder
            .tempdir_in(temporary)
            .map_err(DatabaseError::io("create a folder in", temporary))?;
        let path = folder.path().join(LOCK);
        let locked = || {
            let file = File::create(&path)?;
            file.lock()?;
            Ok(file)
        };
        let lock = locked().map_err(DatabaseError::io("lock", &path))?;
        Ok(Self {
            folder,
            _lock: lock,
        })
    }

    /// Returns the folder.
    pub(super) fn path(&self) -> &Path {
        self.folder.path()
    }
}

/// Removes folders without an owner. What cannot be removed now is tried again next time.
fn remove_left(temporary: &Path) {
    let entries = fs::read_dir(temporary).into_iter().flatten().flatten();
    let ours = entries.filter(|entry| entry.file_name().to_string_lossy().starts_with(PREFIX));
    for folder in ours.map(|entry| entry.path()).filter(is_left) {
        if let Err(error) = fs::remove_dir_all(&folder) {
            tracing::warn!(folder = %folder.display(), %error, "a left copy cannot be removed");
        }
    }
}

fn is_left(folder: &PathBuf) -> bool {
    let age = fs::metadata(folder)
        .and_then(|metadata| metadata.modified())
        .ok()
        .and_then(|modified| modified.elapsed().ok());
    let has_owner =
        || File::open(folder.join(LOCK)).is_ok_and(|lock| lock.try_lock_shared().is_err());
    age.is_some_and(|age| age >= LEFT) && !has_owner()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_folder_is_its_owners_alone_and_goes_with_it() {
        let temporary = tempfile::tempdir().unwrap();
        let scratch = Scratch::new(temporary.path()).unwrap();
        let path = scratch.path().to_owned();
        #[cfg(unix)]
        {
            use std::os::unix::fs::PermissionsExt;
            assert_eq!(
                fs::metadata(&path).unwrap().permissions().mode() & 0o777,
                0o700
            );
        }
        assert!(!is_left(&path));
        drop(scratch);
        assert!(!path.exists());
    }

    #[test]
    fn folders_that_were_left_are_removed_and_others_stay() {
        let temporary = tempfile::tempdir().unwrap();
        let make = |name: &str| {
            let folder = temporary.path().join(name);
            fs::create_dir(&folder).unwrap();
            let lock = File::create(folder.join(LOCK)).unwrap();
            File::open(&folder)
                .unwrap()
                .set_modified(std::time::UNIX_EPOCH)
                .unwrap();
            (folder, lock)
        };
        let (left, _) = make("session-buddy-left");
        let (owned, lock) = make("session-buddy-owned");
        lock.lock().unwrap();
        let (other, _) = make("file-other");
        let young = temporary.path().join("session-buddy-young");
        fs::create_dir(&young).unwrap();
        drop(Scratch::new(temporary.path()).unwrap());
        assert!(!left.exists());
        assert!(owned.exists() && other.exists() && young.exists());
    }
}
