//! Writes objects: content-named ones at any size, create-only ones that are small.

use std::path::Path;
use std::sync::Arc;

use async_trait::async_trait;
use bytes::Bytes;
use futures::TryStreamExt;
use futures::stream::FuturesUnordered;
use object_store::client::HttpErrorKind;
use object_store::retry::{RetryContext, RetryFailure, RetryPolicy};
use object_store::{
    MultipartUpload, ObjectStore, ObjectStoreExt, PutMode, PutMultipartOptions, PutOptions,
};
use tokio::io::AsyncReadExt;

use super::classify::is_unsupported;
use super::conditional::Support;
use super::{Vault, VaultError, VaultKey};
use crate::retry::Policy;

/// Parts of one object that are on their way at once; more does not help R2 and costs memory.
const PARTS_IN_FLIGHT: usize = 3;

/// What became of a create-only write.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Created {
    /// The object is there with our bytes: written now, or by an attempt of ours whose answer was
    /// lost.
    Created,
    /// Another object was there before; it is untouched.
    AlreadyThere,
}

impl Vault {
    /// Writes an object whose key names its content, or an empty marker. Writing it again is
    /// harmless.
    ///
    /// # Errors
    /// Fails where the vault refuses or does not answer.
    pub async fn put(&self, key: &VaultKey, bytes: Bytes) -> Result<(), VaultError> {
        let name = key.to_string();
        let write = async || self.overwrite(&name, bytes.clone()).await;
        self.inner.retry.run(write).await
    }

    /// Sends a file as an object whose key names its content; in parts where it is larger than
    /// the configured part size, so that memory use does not grow with it.
    ///
    /// When this future is dropped half-way, a service keeps the parts until its lifecycle rule
    /// for unfinished multipart uploads removes them.
    ///
    /// # Errors
    /// Fails where the file cannot be read, or the vault refuses or does not answer.
    pub async fn put_file(&self, key: &VaultKey, file: &Path) -> Result<(), VaultError> {
        let size = tokio::fs::metadata(file)
            .await
            .map_err(|error| unreadable(file, &error))?
            .len();
        if size <= self.inner.part_size {
            let bytes = tokio::fs::read(file).await;
            let bytes = bytes.map_err(|error| unreadable(file, &error))?;
            return self.put(key, bytes.into()).await;
        }
        let name = key.to_string();
        let send = async || match self.put_parts(&name, file).await {
            // The answer to the last request may be what was lost.
            Err(error) if error.is_retryable() && self.size_of(key).await? == Some(size) => Ok(()),
            result => result,
        };
        self.inner.retry.run(send).await
    }

    /// Creates an object where there is none, and changes nothing where there is one.
    ///
    /// # Errors
    /// Fails where the vault refuses or does not answer.
    pub async fn create(&self, key: &VaultKey, bytes: Bytes) -> Result<Created, VaultError> {
        self.inner.retry.run(|| self.create_once(key, &bytes)).await
    }

    async fn create_once(&self, key: &VaultKey, bytes: &Bytes) -> Result<Created, VaultError> {
        let name = key.to_string();
        let support = self.inner.conditional.get();
        if support != Support::Honoured && self.size_of(key).await?.is_some() {
            return self.whose(key, bytes).await;
        }
        if support != Support::Missing {
            match self.put_once(&name, bytes.clone(), PutMode::Create).await {
                Ok(()) => {
                    if support == Support::Unknown {
                        self.probe(&name, bytes).await;
                    }
                    return Ok(Created::Created);
                }
                Err(Failed::Exists) => return self.whose(key, bytes).await,
                Err(Failed::Unsupported) => self.fall_back("has no conditional writes"),
                Err(Failed::Other(error)) => return Err(error),
            }
        }
        self.overwrite(&name, bytes.clone()).await?;
        Ok(Created::Created)
    }

    /// Finds out whether the service honours conditions, by creating what was just created: one
    /// that does not replaces the object by equal bytes.
    async fn probe(&self, name: &str, bytes: &Bytes) {
        match self.put_once(name, bytes.clone(), PutMode::Create).await {
            Ok(()) => self.fall_back("ignores the conditions of conditional writes"),
            Err(Failed::Exists) => self.inner.conditional.found(true),
            // It stays unknown; the next creation asks again.
            Err(Failed::Unsupported | Failed::Other(_)) => {}
        }
    }

    /// Records that the store cannot create atomically.
    pub(super) fn fall_back(&self, why: &str) {
        self.inner.conditional.found(false);
        self.warn(format!(
            "the storage {why}: two machines that write at the same instant may not notice each \
             other"
        ));
    }

    /// Tells an object that an earlier attempt of ours wrote from one that somebody else wrote.
    async fn whose(&self, key: &VaultKey, ours: &Bytes) -> Result<Created, VaultError> {
        match self.get(key, ours.len() as u64).await {
            Ok(theirs) if theirs == *ours => Ok(Created::Created),
            Ok(_) | Err(VaultError::TooLarge { .. }) => Ok(Created::AlreadyThere),
            // It was there a moment ago: a claim that was given back.
            Err(VaultError::NotFound { key }) => Err(contended(key)),
            Err(error) => Err(error),
        }
    }

    /// Removes an object; one that is not there counts as removed.
    ///
    /// # Errors
    /// Fails where the vault refuses or does not answer.
    pub async fn delete(&self, key: &VaultKey) -> Result<(), VaultError> {
        let name = key.to_string();
        let remove = async || {
            let Some(store) = self.reader().await? else {
                return Ok(());
            };
            match store.delete(&self.path(&name)).await {
                Ok(()) => Ok(()),
                Err(error) => match self.failed("delete", &name, &error) {
                    VaultError::NotFound { .. } => Ok(()),
                    error => Err(error),
                },
            }
        };
        self.inner.retry.run(remove).await
    }

    pub(super) async fn overwrite(&self, name: &str, bytes: Bytes) -> Result<(), VaultError> {
        match self.put_once(name, bytes, PutMode::Overwrite).await {
            Ok(()) => Ok(()),
            Err(Failed::Exists) => Err(contended(name.to_owned())),
            Err(Failed::Unsupported) => Err(VaultError::Refused {
                operation: "write",
                key: name.to_owned(),
                reason: "the storage does not support it".into(),
            }),
            Err(Failed::Other(error)) => Err(error),
        }
    }

    pub(super) async fn put_once(
        &self,
        name: &str,
        bytes: Bytes,
        mode: PutMode,
    ) -> Result<(), Failed> {
        let store = self.writer().await?;
        let options = PutOptions::from(mode);
        let result = store
            .put_opts(&self.path(name), bytes.into(), options)
            .await;
        result.map(drop).map_err(|error| match error {
            object_store::Error::AlreadyExists { .. }
            | object_store::Error::Precondition { .. } => Failed::Exists,
            error if is_unsupported(&error) => Failed::Unsupported,
            error => Failed::Other(self.failed("write", name, &error)),
        })
    }

    async fn put_parts(&self, name: &str, file: &Path) -> Result<(), VaultError> {
        let store: Arc<dyn ObjectStore> = self.writer().await?;
        let failed = |error| self.failed("write", name, &error);
        let options =
            PutMultipartOptions::default().with_retry_policy(Arc::new(PartRetry(self.inner.retry)));
        let mut upload = store
            .put_multipart_opts(&self.path(name), options)
            .await
            .map_err(failed)?;
        let sent = self.send_parts(&mut *upload, name, file).await;
        let done = match sent {
            Ok(()) => upload.complete().await.map(drop).map_err(failed),
            Err(error) => Err(error),
        };
        if done.is_err()
            && let Err(error) = upload.abort().await
        {
            tracing::debug!(%error, name, "the parts that were sent stay behind");
        }
        done
    }

    async fn send_parts(
        &self,
        upload: &mut dyn MultipartUpload,
        name: &str,
        file: &Path,
    ) -> Result<(), VaultError> {
        let failed = |error| self.failed("write", name, &error);
        let unreadable = |error| unreadable(file, &error);
        let mut input = tokio::fs::File::open(file).await.map_err(unreadable)?;
        let mut parts = FuturesUnordered::new();
        loop {
            let mut part = Vec::new();
            let mut limited = (&mut input).take(self.inner.part_size);
            limited.read_to_end(&mut part).await.map_err(unreadable)?;
            if part.is_empty() {
                break;
            }
            if parts.len() == PARTS_IN_FLIGHT {
                parts.try_next().await.map_err(failed)?;
            }
            parts.push(upload.put_part(part.into()));
        }
        while parts.try_next().await.map_err(failed)?.is_some() {}
        Ok(())
    }
}

/// Why one write did not happen.
pub(super) enum Failed {
    /// The object exists, or another request for it is on its way.
    Exists,
    /// The store cannot write under a condition.
    Unsupported,
    /// Anything else.
    Other(VaultError),
}

impl From<VaultError> for Failed {
    fn from(error: VaultError) -> Self {
        Self::Other(error)
    }
}

/// Somebody else writes the same object at the same moment.
fn contended(key: String) -> VaultError {
    VaultError::Unavailable {
        operation: "write",
        key,
        reason: "somebody else writes it at the same moment".into(),
    }
}

fn unreadable(file: &Path, error: &std::io::Error) -> VaultError {
    VaultError::Storage {
        operation: "read",
        path: file.to_owned(),
        reason: error.to_string(),
    }
}

/// Sends a part again by the policy that every operation has.
#[derive(Debug)]
struct PartRetry(Policy);

#[async_trait]
impl RetryPolicy for PartRetry {
    async fn retry(&self, context: RetryContext) -> bool {
        let is_retryable = match context.failure {
            RetryFailure::Status(status) => {
                matches!(status.as_u16(), 200 | 408 | 429 | 500 | 502..=599)
            }
            RetryFailure::Transport(kind) => kind != HttpErrorKind::Decode,
            _ => false,
        };
        let attempt = u32::try_from(context.attempt).unwrap_or(u32::MAX);
        let pause = self.0.delay(attempt.saturating_sub(1));
        match pause.filter(|_| is_retryable) {
            Some(pause) => {
                tokio::time::sleep(pause).await;
                true
            }
            None => false,
        }
    }
}
