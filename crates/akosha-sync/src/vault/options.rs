//! What a vault is opened with, and how the configuration becomes that.

use std::time::Duration;

use akosha_core::config::{CloudLocation, Config};
use secrecy::SecretString;

use super::VaultError;

/// How a vault is opened.
#[derive(Debug, Clone)]
pub struct VaultOptions {
    /// Where it lies.
    pub location: CloudLocation,
    /// Key prefix below what the location names; may be empty.
    pub prefix: String,
    /// URL of the service; empty means the provider's own.
    pub endpoint: String,
    /// Whether plain `http` to other machines is allowed.
    pub allow_insecure_http: bool,
    /// Region, or `auto`.
    pub region: String,
    /// Access key id, or the account of Azure; without one the provider's own environment and
    /// files are looked at.
    pub access_key: Option<SecretString>,
    /// Secret key, or the account's key or shared access signature.
    pub secret_key: Option<SecretString>,
    /// Longest time in which no byte of a request moves.
    pub stall_timeout: Duration,
    /// Retries after the first attempt.
    pub max_retries: u32,
    /// First pause between attempts, doubled each time.
    pub retry_backoff: Duration,
    /// Bytes above which an object is sent in parts of this size.
    pub part_size: u64,
}

impl VaultOptions {
    /// Takes what concerns the vault out of the configuration.
    ///
    /// # Errors
    /// Fails where no bucket is set or its value is no location.
    pub fn from_config(config: &Config) -> Result<Self, VaultError> {
        let location = config.cloud_location().ok_or_else(|| VaultError::Config {
            setting: "cloud_bucket",
            message: "names no bucket".into(),
            hint: "set `cloud_bucket` to a bucket name or to a URL such as `s3://my-bucket` or \
                   `file:///mnt/share/akosha`"
                .into(),
        })?;
        Ok(Self {
            prefix: config.cloud_prefix.clone(),
            endpoint: config.cloud_endpoint.clone(),
            allow_insecure_http: config.allow_insecure_http,
            region: config.cloud_region.clone(),
            access_key: config.cloud_access_key.clone(),
            secret_key: config.cloud_secret_key.clone(),
            stall_timeout: config.upload_timeout,
            max_retries: config.max_retries,
            retry_backoff: config.retry_backoff,
            part_size: u64::from(config.chunk_size_mb) << 20,
            ..Self::new(location)
        })
    }

    /// Creates options with the configuration's defaults.
    pub fn new(location: CloudLocation) -> Self {
        Self {
            location,
            prefix: String::new(),
            endpoint: String::new(),
            allow_insecure_http: false,
            region: "auto".into(),
            access_key: None,
            secret_key: None,
            stall_timeout: Duration::from_mins(5),
            max_retries: 3,
            retry_backoff: Duration::from_secs(2),
            part_size: 5 << 20,
        }
    }

    /// Returns the key prefix: that of the location, then the configured one.
    pub(super) fn whole_prefix(&self) -> String {
        let outer = match &self.location {
            CloudLocation::S3 { prefix, .. }
            | CloudLocation::Gcs { prefix, .. }
            | CloudLocation::Azure { prefix, .. } => prefix,
            CloudLocation::Folder(_) => "",
        };
        let parts = [outer, &self.prefix];
        let parts = parts.iter().flat_map(|part| part.split('/'));
        let parts: Vec<&str> = parts.filter(|part| !part.is_empty()).collect();
        parts.join("/")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn prefixes_are_joined_without_empty_parts() {
        let options = VaultOptions {
            prefix: "/team//a/".into(),
            ..VaultOptions::new(CloudLocation::Gcs {
                bucket: "x".into(),
                prefix: "all".into(),
            })
        };
        assert_eq!(options.whole_prefix(), "all/team/a");
    }
}
