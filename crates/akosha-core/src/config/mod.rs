//! The configuration: what every setting is, its default, its rule, and where its value came from.
//!
//! Order, last wins: built-in defaults, the TOML file, the environment (`AKOSHA_` and the
//! upper-case name; the `CLOUD_SYNC_*` aliases), flags.

mod alias;
mod bucket;
mod check;
mod choice;
mod credentials;
mod environment;
mod error;
mod field;
mod file;
#[cfg(any(fuzzing, test))]
pub mod fuzz;
mod kind;
mod load;
mod loader;
mod redaction;
mod suggest;
#[cfg(test)]
mod tests;
mod together;

use std::path::PathBuf;
use std::time::Duration;

use secrecy::SecretString;
use serde_json::{Map, Value};

use crate::SystemId;

pub use bucket::{CloudLocation, check_bucket_name};
pub use choice::{Compression, Durability, Encryption, ForceMethod};
pub use environment::Environment;
pub use error::{ConfigError, ConfigSource, WritesRefused};
pub use load::{LoadedConfig, Shown};

/// How many snapshots are kept; 0 everywhere keeps all.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Retention {
    /// The newest ones.
    pub keep_last: u32,
    /// The newest of each of so many days.
    pub keep_daily: u32,
    /// The newest of each of so many weeks.
    pub keep_weekly: u32,
    /// The newest of each of so many months.
    pub keep_monthly: u32,
}

/// The resolved configuration. Every value obeys its rule; see `docs/configuration.md`.
#[derive(Debug, Clone)]
#[expect(
    clippy::struct_excessive_bools,
    reason = "each is a setting of its own"
)]
pub struct Config {
    /// A bucket name or URL; empty means cloud sync is off.
    pub cloud_bucket: String,
    /// URL of the service; empty means the provider's own.
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
    /// Longest time in which nothing of a request to a vault moves, 30 to 3600 s.
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
    /// Longest time that a stopping server drains, 0 to 600 s.
    pub shutdown_grace: Duration,
    /// Path of the server's certificate chain, PEM; empty serves plain http.
    pub tls_cert: String,
    /// Path of the certificate's private key, PEM.
    pub tls_key: String,
    /// Names by which clients reach the server, `host` or `host:port`, beside its own address and
    /// loopback.
    pub allowed_hosts: Vec<String>,
    /// Requests of one token that the server answers in a minute; 0 means any number.
    pub rate_limit_per_minute: u32,
    /// Connections that the server holds open at a time, 16 to 1,000,000.
    pub max_connections: u32,
    /// Path of the file with the user's own redaction rules; empty where there is none.
    pub redaction_rules: String,

    /// Files that are synced beside the memories; `None` means Session-Buddy's two databases where
    /// they exist.
    pub files: Option<Vec<PathBuf>>,

    /// Whether what goes into the vault is encrypted end to end; needs a key in the home.
    pub encryption: Encryption,
    /// Whether an upload without a signature that counts is set aside; unless it is set, as
    /// [`Config::encryption`] is.
    pub require_signatures: bool,
    /// Public keys whose signatures count beside this home's own: 64 lower-case hex digits each.
    pub trusted_keys: Vec<String>,
    /// Cron fields of a scheduled sync; empty means none.
    pub sync_schedule: String,
    /// Whether an empty store is filled from the vault.
    pub restore_on_empty: bool,
    /// How many snapshots are kept.
    pub retention: Retention,
    /// Shards of the store, 1 to 4096; fixed when the store is made.
    pub shards: u32,
    /// Age in days from which a memory is warm.
    pub hot_days: u32,
    /// Age in days from which a memory is cold, more than [`Config::hot_days`].
    pub warm_days: u32,
    /// Uploads that a server pulls at a time, 1 to 10,000.
    pub max_concurrent_ingests: u32,
    /// Pause between two looks for uploads, 1 s to a day.
    pub poll_interval: Duration,
    /// Longest wait for one shard of a search, 1 to 300 s.
    pub shard_timeout: Duration,
    /// Address of a bootstrap orchestrator; empty means none.
    pub orchestrator_url: String,
    /// `postgres://…` of the store; `None` means the embedded one.
    pub store_url: Option<SecretString>,
    /// Address of a Milvus; `None` means that the store holds the vectors.
    pub milvus_url: Option<SecretString>,
}

impl Config {
    /// Returns the built-in defaults for a machine of that id.
    pub fn default_with(system_id: SystemId) -> Self {
        Self {
            cloud_bucket: String::new(),
            cloud_endpoint: String::new(),
            cloud_region: "auto".to_owned(),
            system_id,
            upload_on_session_end: true,
            enable_fallback: true,
            force_method: ForceMethod::Auto,
            upload_timeout: Duration::from_mins(5),
            max_retries: 3,
            retry_backoff: Duration::from_secs(2),
            enable_compression: true,
            enable_deduplication: true,
            chunk_size_mb: 5,
            akosha_url: "http://localhost:8682/mcp".to_owned(),
            akosha_token: None,
            cloud_access_key: None,
            cloud_secret_key: None,
            cloud_prefix: String::new(),
            allow_insecure_http: false,
            compression: Compression::Zstd,
            durability: Durability::Full,
            shutdown_grace: Duration::from_secs(30),
            tls_cert: String::new(),
            tls_key: String::new(),
            allowed_hosts: Vec::new(),
            rate_limit_per_minute: 6000,
            max_connections: 4096,
            redaction_rules: String::new(),
            files: None,
            encryption: Encryption::Off,
            require_signatures: false,
            trusted_keys: Vec::new(),
            sync_schedule: String::new(),
            restore_on_empty: true,
            retention: Retention {
                keep_last: 10,
                keep_daily: 7,
                keep_weekly: 4,
                keep_monthly: 12,
            },
            shards: 1,
            hot_days: 7,
            warm_days: 90,
            max_concurrent_ingests: 100,
            poll_interval: Duration::from_secs(30),
            shard_timeout: Duration::from_secs(5),
            orchestrator_url: String::new(),
            store_url: None,
            milvus_url: None,
        }
    }

    /// Returns the defaults under an id that stands for no machine.
    fn fallback() -> Self {
        Self::default_with(SystemId::unnamed())
    }

    /// Returns the 13 main settings by name, as `akosha_sync_status` tells them; none is secret.
    pub fn sync_fields(&self) -> Map<String, Value> {
        field::FIELDS
            .iter()
            .take(field::MAIN)
            .map(|field| (field.name.to_owned(), field.kind.show(self)))
            .collect()
    }

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
