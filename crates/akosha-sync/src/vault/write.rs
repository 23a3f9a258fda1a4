//! Writes whole objects: content-named ones, and create-only ones.

use bytes::Bytes;
use object_store::{ObjectStore, ObjectStoreExt, PutMode, PutOptions};

use super::classify::is_unsupported;
use super::conditional::Support;
use super::{Vault, VaultError, VaultKey};

/// Why a write failed that met another one.
const CONTENDED: &str = "somebody else writes it at the same moment";

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

    /// Creates an object where there is none, and changes nothing where there is one.
    ///
    /// # Errors
    /// Fails where the vault refuses or does not answer.
    pub async fn create(&self, key: &VaultKey, bytes: Bytes) -> Result<Created, VaultError> {
        self.inner.retry.run(|| self.create_once(key, &bytes)).await
    }

    /// Creates a claim: as [`Vault::create`], but one that somebody else had and gave back meanwhile
    /// counts as theirs, so that nobody waits to try again.
    ///
    /// # Errors
    /// As [`Vault::create`].
    pub async fn claim(&self, key: &VaultKey, bytes: Bytes) -> Result<Created, VaultError> {
        let claim = async || match self.create_once(key, &bytes).await {
            Err(VaultError::Unavailable { reason, .. }) if reason == CONTENDED => {
                Ok(Created::AlreadyThere)
            }
            created => created,
        };
        self.inner.retry.run(claim).await
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
        tracing::debug!("the storage {why}");
        self.warn(
            "the storage has no conditional writes that count: two machines that write at the \
             same instant may not notice each other"
                .into(),
        );
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
        reason: CONTENDED.into(),
    }
}
