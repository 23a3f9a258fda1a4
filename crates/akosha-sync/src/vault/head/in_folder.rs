//! The head in a folder: compared and renamed under a lock.

use std::fs::{File, OpenOptions, TryLockError};
use std::io::{ErrorKind, Read, Write};
use std::path::{Path, PathBuf};
use std::time::Duration;

use akosha_core::SystemId;
use bytes::Bytes;

use super::{Head, HeadVersion, MAX_HEAD_BYTES, Raw, Swap, Tag, lost};
use crate::ContentHash;
use crate::vault::blocking::on_blocking_thread;
use crate::vault::{Backend, Vault, VaultError, VaultKey, regular};

/// The lock beside the head. Listings pass it over.
const LOCK_NAME: &str = ".head.lock";

/// Attempts to get the lock, a pause after each: ten seconds in all.
const LOCK_ATTEMPTS: u32 = 500;

/// Pause between two attempts.
const LOCK_PAUSE: Duration = Duration::from_millis(20);

impl Vault {
    pub(super) async fn raw_head_in_folder(
        &self,
        system_id: &SystemId,
    ) -> Result<Option<Raw>, VaultError> {
        let path = self.head_path(system_id);
        on_blocking_thread(move || read(&path)).await
    }

    pub(super) async fn swap_in_folder(
        &self,
        expected: Option<&HeadVersion>,
        head: &Head,
        bytes: &Bytes,
    ) -> Result<Swap, VaultError> {
        // Creates the vault's folder as every first write does.
        self.writer().await?;
        let path = self.head_path(&head.system_id);
        let (expected, head, bytes) = (expected.cloned(), head.clone(), bytes.clone());
        let (swap, is_locked) = on_blocking_thread(move || {
            let folder = path.parent().unwrap_or(&path);
            std::fs::create_dir_all(folder).map_err(refused("create", folder))?;
            let lock = Lock::take(&folder.join(LOCK_NAME))?;
            let raw = read(&path)?;
            let swap = if raw.as_ref().is_some_and(|raw| raw.bytes == bytes) {
                Swap::Swapped
            } else if raw.as_ref().map(|raw| &raw.version) != expected.as_ref() {
                lost(raw.as_ref(), &head.system_id)?
            } else {
                replace(folder, &path, &bytes)?;
                Swap::Swapped
            };
            Ok((swap, lock.0.is_some()))
        })
        .await?;
        if !is_locked {
            self.warn(
                "the folder's file system has no locks: two machines that push at the same \
                 instant may not notice each other"
                    .into(),
            );
        }
        Ok(swap)
    }

    fn head_path(&self, system_id: &SystemId) -> PathBuf {
        let root = match &self.inner.backend {
            Backend::Folder(folder) => folder.root(),
            Backend::Bucket(_) => Path::new(""),
        };
        let key = self.path(&VaultKey::head(system_id).to_string());
        let parts = key.parts();
        parts.fold(root.to_owned(), |path, part| path.join(part.as_ref()))
    }
}

/// A lock that ends with the value; without a file where the file system has no locks.
struct Lock(Option<File>);

impl Lock {
    /// Waits for the lock.
    fn take(path: &Path) -> Result<Self, VaultError> {
        let mut options = OpenOptions::new();
        options.create(true).truncate(false).write(true);
        let file = regular::open_with(path, &mut options).map_err(refused("open", path))?;
        for _ in 0..LOCK_ATTEMPTS {
            match file.try_lock() {
                Ok(()) => return Ok(Self(Some(file))),
                Err(TryLockError::WouldBlock) => std::thread::sleep(LOCK_PAUSE),
                Err(TryLockError::Error(error)) if error.kind() == ErrorKind::Unsupported => {
                    return Ok(Self(None));
                }
                Err(TryLockError::Error(error)) => return Err(refused("lock", path)(error)),
            }
        }
        Err(VaultError::Unavailable {
            operation: "lock",
            key: path.display().to_string(),
            reason: "another process holds it".into(),
        })
    }
}

fn read(path: &Path) -> Result<Option<Raw>, VaultError> {
    let file = match regular::open(path) {
        Ok(file) => file,
        Err(error) if error.kind() == ErrorKind::NotFound => return Ok(None),
        Err(error) => return Err(refused("read", path)(error)),
    };
    let mut bytes = Vec::new();
    let mut limited = file.take(MAX_HEAD_BYTES + 1);
    limited
        .read_to_end(&mut bytes)
        .map_err(refused("read", path))?;
    if bytes.len() as u64 > MAX_HEAD_BYTES {
        return Err(VaultError::TooLarge {
            key: path.display().to_string(),
            size: bytes.len() as u64,
            limit: MAX_HEAD_BYTES,
        });
    }
    Ok(Some(Raw {
        version: HeadVersion(Tag::Folder(ContentHash::of(&bytes))),
        bytes: bytes.into(),
    }))
}

/// Writes a file beside the head, durably, and moves it into its place.
fn replace(folder: &Path, path: &Path, bytes: &[u8]) -> Result<(), VaultError> {
    let write = || {
        let mut builder = tempfile::Builder::new();
        builder.prefix(".head-");
        // As every other object: who may read it is the folder's matter.
        #[cfg(unix)]
        builder.permissions(std::os::unix::fs::PermissionsExt::from_mode(0o666));
        let mut file = builder.tempfile_in(folder)?;
        file.write_all(bytes)?;
        file.as_file().sync_all()?;
        file.persist(path).map_err(|error| error.error)?;
        #[cfg(unix)]
        File::open(folder)?.sync_all()?;
        Ok(())
    };
    write().map_err(refused("write", path))
}

fn refused(operation: &'static str, path: &Path) -> impl FnOnce(std::io::Error) -> VaultError {
    let path = path.to_owned();
    move |error| VaultError::Storage {
        operation,
        path,
        reason: error.to_string(),
    }
}
