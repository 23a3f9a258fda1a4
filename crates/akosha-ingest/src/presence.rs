//! Tells the workers of one home which of them live.
//!
//! Each holds a lock on a file of its own in the home. The system ends the lock with the process,
//! however it ends, so what a worker had claimed that was killed is taken over at once, and not
//! after its lease expires.

use std::fs::{File, OpenOptions, TryLockError};
use std::path::{Path, PathBuf};
use std::time::Duration;

use akosha_store::Home;

/// Age at which a file that nobody locks is removed.
const STALE: Duration = Duration::from_hours(24);

/// A worker that lives as long as this value.
#[derive(Debug)]
pub(crate) struct Presence {
    folder: PathBuf,
    /// The lock; `None` where the file system has none, so that leases alone tell.
    lock: Option<(File, PathBuf)>,
}

impl Presence {
    /// Shows that the worker `name` lives.
    pub(crate) fn show(home: &Home, name: &str) -> Self {
        let folder = home.root().join("workers");
        remove_stale(&folder);
        let lock = lock(&folder, name)
            .inspect_err(|error| {
                tracing::warn!(%error, "other workers of this home learn of my end by leases alone");
            })
            .ok();
        Self { folder, lock }
    }

    /// Returns whether the worker `name` of this home has surely ended.
    pub(crate) fn has_ended(&self, name: &str) -> bool {
        // The name comes out of the vault.
        let is_name = name.len() == 26 && name.bytes().all(|byte| byte.is_ascii_alphanumeric());
        if !is_name || self.lock.is_none() {
            return false;
        }
        match File::open(self.folder.join(name)) {
            Ok(file) => file.try_lock_shared().is_ok(),
            Err(error) => error.kind() == std::io::ErrorKind::NotFound,
        }
    }
}

impl Drop for Presence {
    fn drop(&mut self) {
        if let Some((_, path)) = &self.lock {
            // What stays is removed once it is old.
            let _ = std::fs::remove_file(path);
        }
    }
}

fn lock(folder: &Path, name: &str) -> std::io::Result<(File, PathBuf)> {
    std::fs::create_dir_all(folder)?;
    let path = folder.join(name);
    let mut options = OpenOptions::new();
    let file = options
        .write(true)
        .create(true)
        .truncate(false)
        .open(&path)?;
    match file.try_lock() {
        Ok(()) => Ok((file, path)),
        Err(TryLockError::WouldBlock) => Err(std::io::ErrorKind::WouldBlock.into()),
        Err(TryLockError::Error(error)) => Err(error),
    }
}

fn remove_stale(folder: &Path) {
    let Ok(entries) = std::fs::read_dir(folder) else {
        return;
    };
    for path in entries.flatten().map(|entry| entry.path()) {
        let Ok(file) = File::open(&path) else {
            continue;
        };
        let modified = file.metadata().and_then(|found| found.modified());
        let is_old = modified.is_ok_and(|at| at.elapsed().is_ok_and(|age| age > STALE));
        if is_old && file.try_lock().is_ok() {
            let _ = std::fs::remove_file(&path);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_worker_lives_as_long_as_its_lock() {
        let folder = tempfile::tempdir().unwrap();
        let home = Home::new(folder.path());
        let (one, other) = ("01ARZ3NDEKTSV4RRFFQ69G5FAV", "01ARZ3NDEKTSV4RRFFQ69G5FAW");
        let here = Presence::show(&home, one);
        let there = Presence::show(&home, other);
        assert!(!here.has_ended(other));
        assert!(!here.has_ended(one));
        // A process that is killed leaves its file.
        let left = folder.path().join("workers").join(other);
        drop(there);
        assert!(here.has_ended(other));
        std::fs::write(&left, "").unwrap();
        assert!(here.has_ended(other));
    }

    #[test]
    fn names_out_of_a_vault_lead_nowhere_else() {
        let folder = tempfile::tempdir().unwrap();
        std::fs::write(folder.path().join("secret"), "").unwrap();
        let here = Presence::show(&Home::new(folder.path()), "01ARZ3NDEKTSV4RRFFQ69G5FAV");
        for name in ["../secret", "", "../../../../../../../../etc", "a"] {
            assert!(!here.has_ended(name), "{name}");
        }
    }
}
