//! Sends large files as objects in parts, so that memory use does not grow with them.
//!
//! A service keeps the parts of an object that was not finished, and has them paid for. So each
//! unfinished object is noted before its first part is sent, and what a killed process left behind
//! is dropped by the next push.

use std::path::Path;

use async_trait::async_trait;
use futures::stream::FuturesOrdered;
use futures::{StreamExt, TryStreamExt};
use object_store::multipart::PartId;
use object_store::{MultipartUpload, ObjectStore, ObjectStoreExt};
use tokio::fs::File;
use tokio::io::AsyncReadExt;

use super::bucket::Bucket;
use super::{Backend, Vault, VaultError, VaultKey};

/// Bytes that are copied into a folder at once.
const COPIED: u64 = 8 << 20;

/// An object whose parts a service keeps until it is finished or dropped.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Unfinished {
    /// Its key.
    pub key: VaultKey,
    /// What the service calls its parts.
    pub id: String,
}

/// Is told of unfinished objects, so that none is forgotten.
#[async_trait]
pub trait Journal: Send + Sync {
    /// Notes an object before its first part is sent. An error keeps it from being sent.
    async fn begun(&self, object: &Unfinished) -> Result<(), VaultError>;

    /// Forgets an object that is finished or dropped.
    async fn ended(&self, object: &Unfinished);
}

/// Forgets everything at once.
#[derive(Debug, Clone, Copy, Default)]
pub struct NoJournal;

#[async_trait]
impl Journal for NoJournal {
    async fn begun(&self, _object: &Unfinished) -> Result<(), VaultError> {
        Ok(())
    }

    async fn ended(&self, _object: &Unfinished) {}
}

impl Vault {
    /// Sends a file as an object whose key names its content; in parts where it is larger than
    /// the configured part size.
    ///
    /// When this future is dropped half-way, `journal` still has the object:
    /// [`Vault::drop_parts`] removes what was sent.
    ///
    /// # Errors
    /// Fails where the file cannot be read, or the vault refuses or does not answer.
    pub async fn put_file(
        &self,
        key: &VaultKey,
        file: &Path,
        journal: &dyn Journal,
    ) -> Result<(), VaultError> {
        let size = tokio::fs::metadata(file)
            .await
            .map_err(|error| unreadable(file, &error))?
            .len();
        let part_size = match &self.inner.backend {
            Backend::Bucket(bucket) => bucket.provider.part_size(size, self.inner.part_size),
            Backend::Folder(_) => self.inner.part_size,
        };
        if size <= part_size {
            let bytes = tokio::fs::read(file).await;
            let bytes = bytes.map_err(|error| unreadable(file, &error))?;
            return self.put(key, bytes.into()).await;
        }
        match &self.inner.backend {
            // Each of its requests is tried again by itself.
            Backend::Bucket(bucket) => {
                self.put_parts(bucket, key, file, size, part_size, journal)
                    .await
            }
            Backend::Folder(folder) => {
                let name = key.to_string();
                let copy = async || {
                    let store = folder.created().await?;
                    self.copy_file(&*store, &name, file).await
                };
                self.inner.retry.run(copy).await
            }
        }
    }

    /// Drops the parts of an unfinished object; parts that are not there count as dropped. Azure
    /// drops them by itself after a week.
    ///
    /// # Errors
    /// Fails where the vault refuses or does not answer.
    pub async fn drop_parts(&self, object: &Unfinished) -> Result<(), VaultError> {
        let Backend::Bucket(bucket) = &self.inner.backend else {
            return Ok(());
        };
        let name = object.key.to_string();
        let path = self.path(&name);
        match bucket.store.abort_multipart(&path, &object.id).await {
            Ok(()) => Ok(()),
            Err(error) => match self.failed("drop the parts of", &name, &error) {
                VaultError::NotFound { .. } => Ok(()),
                error => Err(error),
            },
        }
    }

    async fn put_parts(
        &self,
        bucket: &Bucket,
        key: &VaultKey,
        file: &Path,
        size: u64,
        part_size: u64,
        journal: &dyn Journal,
    ) -> Result<(), VaultError> {
        let name = key.to_string();
        let path = self.path(&name);
        let failed = |error| self.failed("write", &name, &error);
        let retry = self.inner.retry;
        let create = async || bucket.store.create_multipart(&path).await.map_err(failed);
        let object = Unfinished {
            key: key.clone(),
            id: retry.run(create).await?,
        };
        // Those of others expire by themselves.
        let is_kept = bucket.provider.aborts_parts;
        let noted = if is_kept {
            journal.begun(&object).await
        } else {
            Ok(())
        };
        let sent = match noted {
            Ok(()) => self.send_parts(bucket, &object, file, part_size).await,
            Err(error) => Err(error),
        };
        let done = match sent {
            Ok(parts) => {
                let complete = async || {
                    let parts = parts.clone();
                    let completed = bucket.store.complete_multipart(&path, &object.id, parts);
                    completed.await.map(drop).map_err(failed)
                };
                match retry.run(complete).await {
                    // The answer may be what was lost. Asked again, the service no longer knows
                    // the parts, and each says so in its own way.
                    Err(_) if self.size_of(key).await == Ok(Some(size)) => Ok(()),
                    result => result,
                }
            }
            Err(error) => Err(error),
        };
        if done.is_err()
            && let Err(error) = self.drop_parts(&object).await
        {
            tracing::debug!(%error, "the parts that were sent stay behind");
            return done;
        }
        if is_kept {
            journal.ended(&object).await;
        }
        done
    }

    async fn send_parts(
        &self,
        bucket: &Bucket,
        object: &Unfinished,
        file: &Path,
        part_size: u64,
    ) -> Result<Vec<PartId>, VaultError> {
        let unreadable = |error| unreadable(file, &error);
        let name = object.key.to_string();
        let path = self.path(&name);
        let send = async |number: usize, part: bytes::Bytes| {
            let once = async || {
                let sent = bucket
                    .store
                    .put_part(&path, &object.id, number, part.clone().into());
                sent.await
                    .map_err(|error| self.failed("write", &name, &error))
            };
            self.inner.retry.run(once).await
        };
        let mut input = File::open(file).await.map_err(unreadable)?;
        let mut on_their_way = FuturesOrdered::new();
        let mut done = Vec::new();
        for number in 0.. {
            let part = next_part(&mut input, part_size).await.map_err(unreadable)?;
            if part.is_empty() {
                break;
            }
            if on_their_way.len() == bucket.provider.parts_in_flight
                && let Some(part) = on_their_way.next().await
            {
                done.push(part?);
            }
            on_their_way.push_back(send(number, part.into()));
        }
        done.extend(on_their_way.try_collect::<Vec<_>>().await?);
        Ok(done)
    }

    /// Copies a file into a folder: the library writes it under another name, then renames it.
    async fn copy_file(
        &self,
        store: &dyn ObjectStore,
        name: &str,
        file: &Path,
    ) -> Result<(), VaultError> {
        let failed = |error| self.failed("write", name, &error);
        let unreadable = |error| unreadable(file, &error);
        let mut upload = store
            .put_multipart(&self.path(name))
            .await
            .map_err(failed)?;
        let mut input = File::open(file).await.map_err(unreadable)?;
        let copied = async {
            loop {
                let part = next_part(&mut input, COPIED).await.map_err(unreadable)?;
                if part.is_empty() {
                    break;
                }
                upload.put_part(part.into()).await.map_err(failed)?;
            }
            upload.complete().await.map(drop).map_err(failed)
        };
        let copied = copied.await;
        if copied.is_err()
            && let Err(error) = upload.abort().await
        {
            tracing::debug!(%error, name, "a temporary file stays behind");
        }
        copied
    }
}

/// Reads the next part; empty at the end.
async fn next_part(input: &mut File, size: u64) -> std::io::Result<Vec<u8>> {
    let mut part = Vec::new();
    input.take(size).read_to_end(&mut part).await?;
    Ok(part)
}

fn unreadable(file: &Path, error: &std::io::Error) -> VaultError {
    VaultError::Storage {
        operation: "read",
        path: file.to_owned(),
        reason: error.to_string(),
    }
}
