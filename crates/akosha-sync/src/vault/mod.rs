//! The vault: a bucket prefix, or a folder, that holds immutable objects and one manifest per
//! upload that makes them visible.
//!
//! | operation | in a bucket | in a folder |
//! |---|---|---|
//! | [`Vault::put`], [`Vault::put_file`] | overwrites with equal content | temporary file, sync, rename |
//! | [`Vault::create`] | `If-None-Match: *` | temporary file, sync, hard link |
//! | [`Vault::swap_head`] | `If-Match` | lock file, compare, rename |
//!
//! Each is atomic: readers see the whole object or none. A bucket whose service has no conditional
//! writes, or ignores the conditions, is found out on the first of them; from then on the vault
//! looks first and writes then, and [`Vault::warnings`] says so.
//!
//! Every operation is retried by the configured policy where time may heal its error.

mod availability;
mod blocking;
mod classify;
mod clock;
mod conditional;
mod error;
mod folder;
mod head;
mod layout;
mod list;
mod options;
mod read;
mod regular;
mod retry;
mod write;

use std::fmt;
use std::sync::{Arc, Mutex, PoisonError};

use akosha_core::config::Config;
use object_store::ObjectStore;
use object_store::aws::AmazonS3;
use object_store::path::{Path, PathPart};

pub use error::VaultError;
pub use head::{CurrentHead, Head, HeadVersion, Swap};
pub use layout::{Month, Shard, VaultKey};
pub use list::{Listed, UploadListed};
pub use options::VaultOptions;
pub use read::{Downloaded, Expected};
pub use write::Created;

use crate::tls;

use classify::{Attempt, classify};
use conditional::Conditional;
use folder::Folder;
use options::{Endpoint, Place};

use crate::retry::Policy;

/// A vault. Clones share it. Opening contacts nothing and creates nothing.
#[derive(Debug, Clone)]
pub struct Vault {
    inner: Arc<Inner>,
}

struct Inner {
    backend: Backend,
    prefix: Path,
    retry: Policy,
    part_size: u64,
    conditional: Conditional,
    warnings: Mutex<Vec<String>>,
}

#[derive(Debug)]
enum Backend {
    S3 {
        store: Arc<AmazonS3>,
        bucket: String,
        endpoint: Endpoint,
        is_named: bool,
    },
    Folder(Folder),
}

impl fmt::Debug for Inner {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        // The store itself holds credentials.
        f.write_str(&self.address())
    }
}

impl Inner {
    fn url(&self) -> String {
        let root = match &self.backend {
            Backend::S3 { bucket, .. } => format!("s3://{bucket}"),
            Backend::Folder(folder) => format!("file://{}", folder.root().display()),
        };
        if self.prefix.as_ref().is_empty() {
            root
        } else {
            format!("{root}/{}", self.prefix)
        }
    }

    fn address(&self) -> String {
        match &self.backend {
            Backend::S3 {
                endpoint,
                is_named: true,
                ..
            } => format!(
                "{} at {}://{}:{}",
                self.url(),
                endpoint.scheme,
                endpoint.host,
                endpoint.port
            ),
            _ => self.url(),
        }
    }
}

impl Vault {
    /// Opens the configured vault.
    ///
    /// # Errors
    /// Fails where no bucket is set or a setting of it is wrong.
    pub fn open(config: &Config) -> Result<Self, VaultError> {
        Self::with_options(&VaultOptions::from_config(config)?)
    }

    /// Opens a vault.
    ///
    /// # Errors
    /// Fails where an option is wrong.
    pub fn with_options(options: &VaultOptions) -> Result<Self, VaultError> {
        tls::install_provider();
        let (place, prefix) = Place::resolve(options)?;
        let prefix = Path::parse(&prefix).map_err(|error| VaultError::Config {
            setting: "cloud_prefix",
            message: format!("is no prefix of keys: {error}"),
            hint: "use letters, digits, `-`, `_` and `/`".into(),
        })?;
        let (backend, conditional) = match place {
            Place::S3 {
                store,
                bucket,
                endpoint,
                is_named,
            } => {
                let backend = Backend::S3 {
                    store: Arc::new(store),
                    bucket,
                    endpoint,
                    is_named,
                };
                (backend, Conditional::unknown())
            }
            Place::Folder(root) => (Backend::Folder(Folder::new(root)), Conditional::honoured()),
        };
        Ok(Self {
            inner: Arc::new(Inner {
                backend,
                prefix,
                retry: Policy::new(options.max_retries, options.retry_backoff),
                part_size: options.part_size.max(5 << 20),
                conditional,
                warnings: Mutex::new(Vec::new()),
            }),
        })
    }

    /// Returns where the vault lies, such as `s3://bucket/prefix`.
    pub fn url(&self) -> String {
        self.inner.url()
    }

    /// Returns [`Vault::url`] with the service it lies at where one is named: two vaults with
    /// equal addresses are the same vault, so it can name a cursor.
    pub fn address(&self) -> String {
        self.inner.address()
    }

    /// Returns what the vault cannot promise, such as atomic creation where the service has no
    /// conditional writes. Grows as it is found out.
    pub fn warnings(&self) -> Vec<String> {
        let warnings = self.inner.warnings.lock();
        warnings.unwrap_or_else(PoisonError::into_inner).clone()
    }

    fn warn(&self, warning: String) {
        let warnings = self.inner.warnings.lock();
        let mut warnings = warnings.unwrap_or_else(PoisonError::into_inner);
        if !warnings.contains(&warning) {
            tracing::warn!(vault = %self.inner.address(), "{warning}");
            warnings.push(warning);
        }
    }

    fn bucket(&self) -> Option<&str> {
        match &self.inner.backend {
            Backend::S3 { bucket, .. } => Some(bucket),
            Backend::Folder(_) => None,
        }
    }

    /// Returns the store to read from, or `None` where a folder does not exist yet.
    async fn reader(&self) -> Result<Option<Arc<dyn ObjectStore>>, VaultError> {
        Ok(match &self.inner.backend {
            Backend::S3 { store, .. } => Some(Arc::clone(store) as Arc<dyn ObjectStore>),
            Backend::Folder(folder) => folder
                .existing()
                .await?
                .map(|store| store as Arc<dyn ObjectStore>),
        })
    }

    /// Returns the store to write to.
    async fn writer(&self) -> Result<Arc<dyn ObjectStore>, VaultError> {
        Ok(match &self.inner.backend {
            Backend::S3 { store, .. } => Arc::clone(store) as Arc<dyn ObjectStore>,
            Backend::Folder(folder) => folder.created().await? as Arc<dyn ObjectStore>,
        })
    }

    /// Returns where a key, or a prefix of keys, lies in the store.
    fn path(&self, below_prefix: &str) -> Path {
        let inner = self.inner.prefix.parts();
        let below = below_prefix.split('/').filter(|part| !part.is_empty());
        inner.chain(below.map(PathPart::from)).collect()
    }

    /// Returns what lies below the prefix at `path`, `None` outside.
    fn below_prefix(&self, path: &Path) -> Option<String> {
        let parts = path.prefix_match(&self.inner.prefix)?;
        let parts: Vec<String> = parts.map(|part| part.as_ref().to_owned()).collect();
        Some(parts.join("/"))
    }

    fn failed(
        &self,
        operation: &'static str,
        key: &str,
        error: &object_store::Error,
    ) -> VaultError {
        let attempt = Attempt {
            operation,
            key,
            bucket: self.bucket(),
        };
        classify(error, attempt)
    }
}
