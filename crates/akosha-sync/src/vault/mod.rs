//! The vault: a bucket prefix, or a folder, that holds immutable objects and one manifest per
//! upload that makes them visible.
//!
//! | operation | in a bucket | in a folder |
//! |---|---|---|
//! | [`Vault::put`], [`Vault::put_file`] | overwrites with equal content | temporary file, sync, rename |
//! | [`Vault::create`] | conditional on absence | temporary file, sync, hard link |
//! | [`Vault::swap_head`] | conditional on its state | lock file, compare, rename |
//!
//! Each is atomic: readers see the whole object or none. A bucket whose service has no conditional
//! writes, or ignores the conditions, is found out on the first of them; from then on the vault
//! looks first and writes then, and [`Vault::warnings`] says so.
//!
//! Every operation is retried by the configured policy where time may heal its error.

mod availability;
mod blocking;
mod bucket;
mod classify;
mod clock;
mod conditional;
mod error;
mod folder;
mod head;
mod layout;
mod list;
mod options;
mod parts;
mod provider;
mod read;
mod regular;
mod retry;
mod write;

use std::fmt;
use std::sync::{Arc, Mutex, PoisonError};

use akosha_core::config::{CloudLocation, Config};
use object_store::ObjectStore;
use object_store::path::{Path, PathPart};

pub use error::VaultError;
pub use head::{CurrentHead, Head, HeadVersion, Swap};
pub use layout::{Month, Shard, VaultKey};
pub use list::{Listed, UploadListed};
pub use options::VaultOptions;
pub use parts::{Journal, NoJournal, Unfinished};
pub use read::{Downloaded, Expected};
pub use write::Created;

use crate::tls;

use bucket::{Bucket, Credentials, Environment};
use classify::{Attempt, classify};
use conditional::{Conditional, Support};
use folder::Folder;
use provider::Conditions;

use crate::retry::Policy;

/// Objects that are written into a folder at once, at most.
const OBJECTS_INTO_FOLDER: usize = 8;

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
    Bucket(Bucket),
    Folder(Folder),
}

impl Backend {
    fn open(options: &VaultOptions) -> Result<Self, VaultError> {
        let environment = Environment::of_process();
        let bucket = match &options.location {
            CloudLocation::S3 { bucket, .. } => bucket::s3::open(options, bucket, &environment)?,
            CloudLocation::Gcs { bucket, .. } => bucket::gcs::open(options, bucket, &environment)?,
            CloudLocation::Azure { container, .. } => {
                bucket::azure::open(options, container, &environment)?
            }
            CloudLocation::Folder(root) => return Ok(Self::Folder(Folder::new(root.clone()))),
        };
        Ok(Self::Bucket(bucket))
    }
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
            Backend::Bucket(bucket) => bucket.url(),
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
            Backend::Bucket(Bucket {
                endpoint,
                is_named: true,
                ..
            }) => format!(
                "{} at {}://{}:{}{}",
                self.url(),
                endpoint.scheme,
                endpoint.host,
                endpoint.port,
                endpoint.path
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
        let prefix = Path::parse(options.whole_prefix()).map_err(|error| VaultError::Config {
            setting: "cloud_prefix",
            message: format!("is no prefix of keys: {error}"),
            hint: "use letters, digits, `-`, `_` and `/`".into(),
        })?;
        let backend = Backend::open(options)?;
        let conditional = match &backend {
            Backend::Bucket(bucket) => match bucket.conditions() {
                Conditions::Honoured => Conditional::honoured(),
                Conditions::Probed => Conditional::unknown(),
            },
            Backend::Folder(_) => Conditional::honoured(),
        };
        Ok(Self {
            inner: Arc::new(Inner {
                backend,
                prefix,
                retry: Policy::new(options.max_retries, options.retry_backoff),
                part_size: options.part_size,
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

    /// Returns whether conditional writes are honoured, as far as that is known.
    pub(crate) fn conditions(&self) -> Option<bool> {
        match self.inner.conditional.get() {
            Support::Unknown => None,
            Support::Honoured => Some(true),
            Support::Missing => Some(false),
        }
    }

    /// Takes over what an earlier process found of conditional writes, where nothing is known.
    pub(crate) fn assume_conditions(&self, are_honoured: bool) {
        match self.inner.conditional.get() {
            Support::Unknown if are_honoured => self.inner.conditional.found(true),
            Support::Unknown => self.fall_back("was found to have no conditional writes"),
            Support::Honoured | Support::Missing => {}
        }
    }

    /// Returns how many objects may be on their way at once.
    pub(crate) fn objects_in_flight(&self) -> usize {
        match &self.inner.backend {
            Backend::Bucket(bucket) => bucket.provider.objects_in_flight,
            Backend::Folder(_) => OBJECTS_INTO_FOLDER,
        }
    }

    /// Returns where the credentials of a bucket come from, as a phrase; `None` for a folder.
    pub fn credentials(&self) -> Option<String> {
        match &self.inner.backend {
            Backend::Bucket(bucket) => Some(bucket.credentials.to_string()),
            Backend::Folder(_) => None,
        }
    }

    /// Returns whether credentials were found; nothing is contacted, so those that a machine in
    /// the provider's cloud is given are not known of. A folder needs none.
    pub fn has_credentials(&self) -> bool {
        match &self.inner.backend {
            Backend::Bucket(bucket) => bucket.credentials != Credentials::Machine,
            Backend::Folder(_) => true,
        }
    }

    /// Returns the provider's name, as `docs/providers.md` has it; `None` for a folder.
    pub fn provider(&self) -> Option<&'static str> {
        match &self.inner.backend {
            Backend::Bucket(bucket) => Some(bucket.provider.name),
            Backend::Folder(_) => None,
        }
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
            Backend::Bucket(bucket) => Some(&bucket.name),
            Backend::Folder(_) => None,
        }
    }

    /// Returns the store to read from, or `None` where a folder does not exist yet.
    async fn reader(&self) -> Result<Option<Arc<dyn ObjectStore>>, VaultError> {
        Ok(match &self.inner.backend {
            Backend::Bucket(bucket) => Some(bucket.object_store()),
            Backend::Folder(folder) => folder
                .existing()
                .await?
                .map(|store| store as Arc<dyn ObjectStore>),
        })
    }

    /// Returns the store to write to.
    async fn writer(&self) -> Result<Arc<dyn ObjectStore>, VaultError> {
        Ok(match &self.inner.backend {
            Backend::Bucket(bucket) => bucket.object_store(),
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
