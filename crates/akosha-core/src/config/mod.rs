//! The configuration: what every setting is, its default, its rule, and where its value came from.
//!
//! Order, last wins: built-in defaults, the TOML file, the environment (`AKOSHA_` and the
//! upper-case name; the `CLOUD_SYNC_*` aliases), flags.

mod bucket;
mod field;
mod load;

use std::path::PathBuf;
use std::time::Duration;

use secrecy::SecretString;

use crate::SystemId;

pub use bucket::{CloudLocation, check_bucket_name};
pub use load::{ConfigError, ConfigSource, Environment, LoadedConfig, Shown};

/// Which sync methods may be used.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ForceMethod {
    /// Cloud, then HTTP.
    Auto,
    /// Cloud alone.
    Cloud,
    /// HTTP alone.
    Http,
}

/// How files are compressed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Compression {
    /// Zstandard.
    Zstd,
    /// Gzip.
    Gzip,
}

/// What `stored` survives.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Durability {
    /// Loss of power: every commit is synced to disk.
    Full,
    /// Death of the process, not loss of power.
    Process,
}

/// The resolved configuration. Every value obeys its rule; see `docs/configuration.md`.
#[derive(Debug, Clone)]
pub struct Config {
    /// A bucket name or URL; empty means cloud sync is off.
    pub cloud_bucket: String,
    /// URL of an S3-compatible service; empty means the provider's own.
    pub cloud_endpoint: String,
    /// Region, or `auto`.
    pub cloud_region: String,
    /// This machine's id.
    pub system_id: SystemId,
    /// Whether a session's end queues a sync.
    pub upload_on_session_end: bool,
    /// Whether HTTP is tried when the cloud fails.
    pub enable_fallback: bool,
    /// Which methods may be used.
    pub force_method: ForceMethod,
    /// Longest time without progress of one request to a vault, 30 to 3600 s.
    pub upload_timeout: Duration,
    /// Retries after the first attempt, 0 to 10.
    pub max_retries: u32,
    /// First delay between attempts, doubled each time, 0.1 to 60 s.
    pub retry_backoff: Duration,
    /// Whether files are compressed.
    pub enable_compression: bool,
    /// Whether pieces of files that the vault has are not sent again.
    pub enable_deduplication: bool,
    /// Size of a piece of a file and of a multipart part, 1 to 100 MiB.
    pub chunk_size_mb: u32,

    /// Address of another Akosha's MCP endpoint.
    pub akosha_url: String,
    /// Bearer token for [`Config::akosha_url`].
    pub akosha_token: Option<SecretString>,
    /// Access key id for the bucket.
    pub cloud_access_key: Option<SecretString>,
    /// Secret key for the bucket.
    pub cloud_secret_key: Option<SecretString>,
    /// Key prefix within the bucket, without slashes at its ends.
    pub cloud_prefix: String,
    /// Whether plain `http` endpoints beyond loopback are allowed.
    pub allow_insecure_http: bool,
    /// How files are compressed.
    pub compression: Compression,
    /// What `stored` survives.
    pub durability: Durability,
    /// Longest time that a stopping server drains.
    pub shutdown_grace: Duration,
}

impl Config {
    /// Returns whether a sync may use the cloud: a bucket is set and HTTP is not forced.
    pub fn should_use_cloud(&self) -> bool {
        !self.cloud_bucket.is_empty() && self.force_method != ForceMethod::Http
    }

    /// Returns whether a sync may use HTTP: it is forced, or (automatic and (fallback is on or no
    /// bucket is set)).
    pub fn should_use_http(&self) -> bool {
        match self.force_method {
            ForceMethod::Http => true,
            ForceMethod::Cloud => false,
            ForceMethod::Auto => self.enable_fallback || self.cloud_bucket.is_empty(),
        }
    }

    /// Returns where the vault lies, or `None` where no bucket is set.
    pub fn cloud_location(&self) -> Option<CloudLocation> {
        CloudLocation::parse(&self.cloud_bucket).ok().flatten()
    }

    /// Returns the path of the file that is read where none is named: `akosha.toml` in the
    /// platform's configuration directory.
    pub fn default_file() -> Option<PathBuf> {
        directories::ProjectDirs::from("", "", "akosha")
            .map(|dirs| dirs.config_dir().join("akosha.toml"))
    }

    /// Returns the home that is used where none is named: the platform's data directory.
    pub fn default_home() -> Option<PathBuf> {
        directories::ProjectDirs::from("", "", "akosha").map(|dirs| dirs.data_dir().to_owned())
    }
}
