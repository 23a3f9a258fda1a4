//! Reads objects: small ones into memory under a limit, large ones into a file.

use std::io::{ErrorKind, Write};
use std::path::Path;

use akosha_store::DOWNLOAD_PREFIX;
use bytes::{Bytes, BytesMut};
use futures::TryStreamExt;
use object_store::{
    Attributes, Extensions, GetResult, GetResultPayload, ObjectMeta, ObjectStoreExt,
};
use sha2::{Digest, Sha256};
use tempfile::TempPath;

use super::blocking::on_blocking_thread;
use super::folder::Folder;
use super::{Backend, Listed, Vault, VaultError, VaultKey, regular};
use crate::ContentHash;

/// What an object must be.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Expected {
    /// Hash of its bytes.
    pub sha256: ContentHash,
    /// Its size in bytes.
    pub size_bytes: u64,
}

/// An object as a local file, which vanishes when this is dropped.
#[derive(Debug)]
pub struct Downloaded {
    /// The file.
    pub path: TempPath,
    /// Its size in bytes.
    pub size_bytes: u64,
}

/// An object as it arrives, and its size as announced.
struct Incoming {
    result: GetResult,
    size: u64,
}

impl Vault {
    /// Returns an object of at most `limit` bytes.
    ///
    /// # Errors
    /// Fails where there is no such object, it is larger, or the vault does not answer.
    pub async fn get(&self, key: &VaultKey, limit: u64) -> Result<Bytes, VaultError> {
        self.inner.retry.run(|| self.get_once(key, limit)).await
    }

    async fn get_once(&self, key: &VaultKey, limit: u64) -> Result<Bytes, VaultError> {
        let name = key.to_string();
        let Incoming { result, size } = self.open_object(&name, limit).await?;
        let mut bytes = BytesMut::new();
        let mut stream = result.into_stream();
        while let Some(piece) = self.piece(&name, stream.try_next().await)? {
            let seen = (bytes.len() + piece.len()) as u64;
            if seen > size {
                return Err(overlong(name, seen, size));
            }
            bytes.extend_from_slice(&piece);
        }
        complete(&name, bytes.len() as u64, size)?;
        Ok(bytes.freeze())
    }

    /// Copies an object into a file in `folder` and checks size and hash on the way. Memory use
    /// does not depend on the object's size.
    ///
    /// # Errors
    /// Fails where there is no such object, it is not what `expected` says, the local disk
    /// refuses, or the vault does not answer.
    pub async fn download(
        &self,
        key: &VaultKey,
        expected: Expected,
        folder: &Path,
    ) -> Result<Downloaded, VaultError> {
        self.inner
            .retry
            .run(|| self.download_once(key, expected, folder))
            .await
    }

    async fn download_once(
        &self,
        key: &VaultKey,
        expected: Expected,
        folder: &Path,
    ) -> Result<Downloaded, VaultError> {
        let name = key.to_string();
        let limit = expected.size_bytes;
        let Incoming { result, size } = self.open_object(&name, limit).await?;
        let mut stream = result.into_stream();
        let (sender, receiver) = tokio::sync::mpsc::channel::<Bytes>(4);
        let sink = tokio::task::spawn_blocking({
            let folder = folder.to_owned();
            move || receive(&folder, receiver)
        });
        let mut seen = 0;
        while let Some(piece) = self.piece(&name, stream.try_next().await)? {
            seen += piece.len() as u64;
            if seen > limit {
                return Err(overlong(name, seen, limit));
            }
            if sender.send(piece).await.is_err() {
                break;
            }
        }
        drop(sender);
        let stored = sink.await.map_err(|error| VaultError::Unavailable {
            operation: "read",
            key: name.clone(),
            reason: error.to_string(),
        })?;
        let (path, sha256) = stored.map_err(|error| VaultError::Storage {
            operation: "write a temporary file in",
            path: folder.to_owned(),
            reason: error.to_string(),
        })?;
        complete(&name, seen, size)?;
        let reason = if seen != expected.size_bytes {
            format!("it has {seen} bytes, expected {}", expected.size_bytes)
        } else if sha256 != expected.sha256 {
            format!("its SHA-256 is {sha256}, expected {}", expected.sha256)
        } else {
            return Ok(Downloaded {
                path,
                size_bytes: seen,
            });
        };
        Err(VaultError::Damaged { key: name, reason })
    }

    /// Returns the size of an object in bytes, or `None` where there is no such object.
    ///
    /// # Errors
    /// Fails where the vault does not answer or refuses.
    pub async fn size_of(&self, key: &VaultKey) -> Result<Option<u64>, VaultError> {
        Ok(self.look_up(key).await?.map(|found| found.size_bytes))
    }

    /// Returns an object's size and when it was written last, or `None` where there is no such
    /// object.
    ///
    /// # Errors
    /// Fails where the vault does not answer or refuses.
    pub async fn look_up(&self, key: &VaultKey) -> Result<Option<Listed>, VaultError> {
        let name = key.to_string();
        let look_up = async || {
            let Some(store) = self.reader().await? else {
                return Ok(None);
            };
            match store.head(&self.path(&name)).await {
                Ok(meta) => Ok(Some(Listed {
                    key: key.clone(),
                    size_bytes: meta.size,
                    last_modified: meta.last_modified,
                })),
                Err(error) => match self.failed("look up", &name, &error) {
                    VaultError::NotFound { .. } => Ok(None),
                    error => Err(error),
                },
            }
        };
        self.inner.retry.run(look_up).await
    }

    async fn open_object(&self, name: &str, limit: u64) -> Result<Incoming, VaultError> {
        let result = match &self.inner.backend {
            Backend::Bucket(bucket) => bucket
                .store
                .get(&self.path(name))
                .await
                .map_err(|error| self.failed("read", name, &error))?,
            Backend::Folder(folder) => self.open_file(folder, name).await?,
        };
        let size = result.meta.size;
        if size > limit {
            return Err(overlong(name.to_owned(), size, limit));
        }
        Ok(Incoming { result, size })
    }

    /// Opens an object in a folder, past the library, which would wait for a pipe.
    async fn open_file(&self, folder: &Folder, name: &str) -> Result<GetResult, VaultError> {
        let location = self.path(name);
        let parts = location.parts();
        let path = parts.fold(folder.root().to_owned(), |path, part| {
            path.join(part.as_ref())
        });
        let opened = on_blocking_thread(move || {
            Ok(regular::open(&path).and_then(|file| {
                let found = file.metadata()?;
                Ok(GetResult {
                    payload: GetResultPayload::File(file, path),
                    meta: ObjectMeta {
                        location,
                        last_modified: found.modified()?.into(),
                        size: found.len(),
                        e_tag: None,
                        version: None,
                    },
                    range: 0..found.len(),
                    attributes: Attributes::default(),
                    extensions: Extensions::default(),
                })
            }))
        });
        opened.await?.map_err(|error| match error.kind() {
            ErrorKind::NotFound => VaultError::NotFound {
                key: name.to_owned(),
            },
            ErrorKind::InvalidData => VaultError::Damaged {
                key: name.to_owned(),
                reason: error.to_string(),
            },
            _ => {
                let source = Box::new(error);
                let error = object_store::Error::Generic {
                    store: "folder",
                    source,
                };
                self.failed("read", name, &error)
            }
        })
    }

    fn piece<T>(
        &self,
        name: &str,
        piece: Result<Option<T>, object_store::Error>,
    ) -> Result<Option<T>, VaultError> {
        piece.map_err(|error| self.failed("read", name, &error))
    }
}

fn overlong(key: String, size: u64, limit: u64) -> VaultError {
    VaultError::TooLarge { key, size, limit }
}

/// Fails where the connection ended before the announced size was reached.
fn complete(name: &str, seen: u64, announced: u64) -> Result<(), VaultError> {
    if seen == announced {
        return Ok(());
    }
    Err(VaultError::Unavailable {
        operation: "read",
        key: name.to_owned(),
        reason: format!("the connection ended after {seen} of {announced} bytes"),
    })
}

/// Writes what comes to a file that vanishes with its path, and hashes it.
fn receive(
    folder: &Path,
    mut pieces: tokio::sync::mpsc::Receiver<Bytes>,
) -> std::io::Result<(TempPath, ContentHash)> {
    let (mut file, path) = tempfile::Builder::new()
        .prefix(DOWNLOAD_PREFIX)
        .tempfile_in(folder)?
        .into_parts();
    let mut hasher = Sha256::new();
    while let Some(piece) = pieces.blocking_recv() {
        hasher.update(&piece);
        file.write_all(&piece)?;
    }
    Ok((path, ContentHash::from_hasher(hasher)))
}
