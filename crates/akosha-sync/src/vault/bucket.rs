//! A bucket of a service: opened from its location, the configuration and the provider's own
//! environment.

mod aws_profile;
pub(super) mod azure;
mod endpoint;
mod environment;
pub(super) mod gcs;
pub(super) mod s3;
mod transport;

use std::error::Error;
use std::sync::Arc;
use std::{fmt, io};

use object_store::multipart::MultipartStore;
use object_store::{ClientOptions, ObjectStore, RetryConfig};

use super::provider::{Conditions, Provider};
use super::{VaultError, VaultOptions};

pub(super) use endpoint::Endpoint;
pub(super) use environment::Environment;
use transport::Transport;

/// What every kind of bucket can do.
pub(super) trait BucketStore: ObjectStore + MultipartStore {}

impl<T: ObjectStore + MultipartStore> BucketStore for T {}

/// A bucket.
pub(super) struct Bucket {
    pub(super) store: Arc<dyn BucketStore>,
    /// The bucket's name; Azure calls it a container.
    pub(super) name: String,
    /// What connections go to.
    pub(super) endpoint: Endpoint,
    /// Whether the endpoint tells this vault from others of the same URL.
    pub(super) is_named: bool,
    pub(super) provider: &'static Provider,
    pub(super) credentials: Credentials,
}

impl Bucket {
    /// Returns the store.
    pub(super) fn object_store(&self) -> Arc<dyn ObjectStore> {
        Arc::<dyn BucketStore>::clone(&self.store)
    }

    /// Returns what is known of conditional writes before the first one.
    pub(super) fn conditions(&self) -> Conditions {
        let Endpoint { host, port, .. } = &self.endpoint;
        self.provider.conditions_at(host, *port)
    }

    /// Returns the URL of the bucket.
    pub(super) fn url(&self) -> String {
        format!("{}://{}", self.provider.protocol.scheme(), self.name)
    }
}

/// Leaves out the store, which holds the credentials.
impl fmt::Debug for Bucket {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Bucket")
            .field("name", &self.name)
            .field("endpoint", &self.endpoint)
            .field("provider", &self.provider)
            .field("credentials", &self.credentials)
            .finish_non_exhaustive()
    }
}

/// Where the credentials of a bucket come from.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Credentials {
    /// `cloud_access_key` and `cloud_secret_key`.
    Configured,
    /// A variable of the environment, the first of those that count.
    Variable(&'static str),
    /// A profile of AWS's files.
    Profile(String),
    /// A file of the provider's own tools.
    File(String),
    /// None: an emulator on this machine wants none.
    None,
    /// What the machine itself has, if it lies in the provider's cloud: asked for on first use.
    Machine,
}

impl fmt::Display for Credentials {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Configured => f.write_str("`cloud_access_key` and `cloud_secret_key`"),
            Self::Variable(name) => write!(f, "the environment's `{name}`"),
            Self::Profile(name) => write!(f, "the AWS profile `{name}`"),
            Self::File(path) => write!(f, "the file `{path}`"),
            Self::None => f.write_str("none, for an emulator on this machine"),
            Self::Machine => f.write_str(
                "none found in the configuration, the environment or the provider's files; only \
                 a machine in the provider's cloud has some of its own",
            ),
        }
    }
}

/// Returns options of a client for the store's builder; the transport has the limits.
fn client_options() -> ClientOptions {
    ClientOptions::new().with_allow_http(true)
}

/// Returns that a store does not try again: every operation is retried as a whole, by the
/// configured policy.
fn no_retries() -> RetryConfig {
    RetryConfig {
        max_retries: 0,
        ..RetryConfig::default()
    }
}

/// Creates the transport of a bucket.
fn transport(options: &VaultOptions) -> Result<Transport, VaultError> {
    Transport::new(options.stall_timeout).map_err(|error| VaultError::Config {
        setting: "cloud_bucket",
        message: format!("cannot be reached from this machine: {error}"),
        hint: "look at the machine's certificates of trusted authorities".into(),
    })
}

/// Returns that what was read does not open a bucket.
fn unopened(error: &object_store::Error) -> VaultError {
    VaultError::Config {
        setting: "cloud_bucket",
        message: format!("cannot be opened: {}", class_of(error)),
        hint: "see where the credentials come from: `akosha doctor`".into(),
    }
}

/// Returns what is wrong with what a store was given, in general: the library's own words may
/// quote a key.
fn class_of(error: &object_store::Error) -> &'static str {
    use serde_json::error::Category;
    let mut next: Option<&(dyn Error + 'static)> = Some(error);
    while let Some(error) = next {
        if let Some(error) = error.downcast_ref::<io::Error>() {
            match error.kind() {
                io::ErrorKind::NotFound => return "the file of the credentials does not exist",
                io::ErrorKind::PermissionDenied => {
                    return "the file of the credentials may not be read";
                }
                // What parses JSON may report what it finds like this.
                _ => {}
            }
        }
        if let Some(error) = error.downcast_ref::<serde_json::Error>() {
            return match error.classify() {
                Category::Io => "the file of the credentials cannot be read",
                Category::Syntax | Category::Eof => "the credentials are no JSON",
                Category::Data => "the credentials are JSON of another kind",
            };
        }
        next = error.source();
    }
    "the credentials, or other settings that the environment names, are malformed"
}

/// Returns both keys of the configuration, or none.
fn key_pair(options: &VaultOptions) -> Result<Option<(&str, &str)>, VaultError> {
    use secrecy::ExposeSecret;
    let (given, missing) = match (&options.access_key, &options.secret_key) {
        (Some(key), Some(secret)) => {
            return Ok(Some((key.expose_secret(), secret.expose_secret())));
        }
        (None, None) => return Ok(None),
        (Some(_), None) => ("cloud_access_key", "cloud_secret_key"),
        (None, Some(_)) => ("cloud_secret_key", "cloud_access_key"),
    };
    Err(VaultError::Config {
        setting: given,
        message: format!("is set without `{missing}`"),
        hint: format!("set `{missing}` too"),
    })
}
