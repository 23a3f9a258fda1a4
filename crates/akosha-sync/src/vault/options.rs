//! What a vault is opened with, and how the configuration becomes that.

use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use akosha_core::config::{CloudLocation, Config};
use object_store::aws::{AmazonS3, AmazonS3Builder, AmazonS3ConfigKey, AwsCredential};
use object_store::{ClientOptions, RetryConfig, StaticCredentialProvider};
use secrecy::{ExposeSecret, SecretString};
use url::Url;

use super::VaultError;

/// Region of AWS where none is named.
const DEFAULT_REGION: &str = "us-east-1";

/// Longest time until a connection stands.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(5);

/// How a vault is opened.
#[derive(Debug, Clone)]
pub struct VaultOptions {
    /// Where it lies.
    pub location: CloudLocation,
    /// Key prefix below what the location names; may be empty.
    pub prefix: String,
    /// URL of an S3-compatible service; empty means AWS.
    pub endpoint: String,
    /// Whether plain `http` to other machines is allowed.
    pub allow_insecure_http: bool,
    /// Region, or `auto`.
    pub region: String,
    /// Access key id; without one the environment's credentials are used.
    pub access_key: Option<SecretString>,
    /// Secret key.
    pub secret_key: Option<SecretString>,
    /// Longest time of one request, its body included.
    pub request_timeout: Duration,
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
            request_timeout: config.upload_timeout,
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
            request_timeout: Duration::from_mins(5),
            max_retries: 3,
            retry_backoff: Duration::from_secs(2),
            part_size: 5 << 20,
        }
    }
}

/// Where a vault lies, resolved.
#[derive(Debug)]
pub(super) enum Place {
    /// A bucket.
    S3 {
        store: AmazonS3,
        bucket: String,
        /// What connections go to.
        endpoint: Endpoint,
        /// Whether the user named the endpoint.
        is_named: bool,
    },
    /// A folder.
    Folder(PathBuf),
}

/// Host and port of a service.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Endpoint {
    pub(super) scheme: String,
    pub(super) host: String,
    pub(super) port: u16,
}

impl Endpoint {
    fn parse(text: &str) -> Result<Self, VaultError> {
        let invalid = |message: String| VaultError::Config {
            setting: "cloud_endpoint",
            message,
            hint: "use a URL such as `https://s3.example.org`".into(),
        };
        let url = Url::parse(text).map_err(|error| invalid(format!("is no URL: {error}")))?;
        if !url.username().is_empty() || url.password().is_some() {
            return Err(invalid("holds credentials".into()));
        }
        if !matches!(url.scheme(), "http" | "https") {
            return Err(invalid(format!("has the scheme `{}`", url.scheme())));
        }
        match (url.host_str(), url.port_or_known_default()) {
            (Some(host), Some(port)) => Ok(Self {
                scheme: url.scheme().to_owned(),
                host: host.to_owned(),
                port,
            }),
            _ => Err(invalid("names no host".into())),
        }
    }

    /// Returns whether requests would cross a network as plain text.
    fn is_exposed(&self) -> bool {
        let host = self.host.trim_start_matches('[').trim_end_matches(']');
        let is_loopback = host == "localhost"
            || host
                .parse::<std::net::IpAddr>()
                .is_ok_and(|address| address.is_loopback());
        self.scheme == "http" && !is_loopback
    }

    fn is_aws(&self) -> bool {
        self.host.ends_with(".amazonaws.com") || self.host.ends_with(".amazonaws.com.cn")
    }
}

impl Place {
    /// Resolves the location and its key prefix. Nothing is contacted.
    pub(super) fn resolve(options: &VaultOptions) -> Result<(Self, String), VaultError> {
        let join = |outer: &str| {
            let parts = [outer, &options.prefix];
            let parts = parts.iter().flat_map(|part| part.split('/'));
            let parts: Vec<&str> = parts.filter(|part| !part.is_empty()).collect();
            parts.join("/")
        };
        match &options.location {
            CloudLocation::S3 { bucket, prefix } => Ok((s3(options, bucket)?, join(prefix))),
            CloudLocation::Folder(root) => Ok((Self::Folder(root.clone()), join(""))),
            CloudLocation::Gcs { .. } | CloudLocation::Azure { .. } => Err(VaultError::Config {
                setting: "cloud_bucket",
                message: "names a kind of storage that is not supported in this version".into(),
                hint: "use `s3://…` (Google Cloud Storage speaks it with HMAC keys and \
                       `cloud_endpoint = \"https://storage.googleapis.com\"`) or `file://…`"
                    .into(),
            }),
        }
    }
}

fn s3(options: &VaultOptions, bucket: &str) -> Result<Place, VaultError> {
    let mut builder = AmazonS3Builder::from_env().with_bucket_name(bucket);
    let from_env = |builder: &AmazonS3Builder, keys: &[AmazonS3ConfigKey]| {
        keys.iter().find_map(|key| builder.get_config_value(key))
    };
    let named = if options.endpoint.is_empty() {
        from_env(
            &builder,
            &[AmazonS3ConfigKey::S3Endpoint, AmazonS3ConfigKey::Endpoint],
        )
    } else {
        Some(options.endpoint.clone())
    };
    let named = named
        .map(|url| Ok((Endpoint::parse(&url)?, url)))
        .transpose()?;
    let is_named = named.is_some();
    let is_aws = named.as_ref().is_none_or(|(endpoint, _)| endpoint.is_aws());
    let region = match options.region.as_str() {
        "" | "auto" if is_aws => from_env(
            &builder,
            &[AmazonS3ConfigKey::Region, AmazonS3ConfigKey::DefaultRegion],
        )
        .unwrap_or_else(|| DEFAULT_REGION.into()),
        "" => "auto".into(),
        region => region.to_owned(),
    };
    builder = match (&options.access_key, &options.secret_key) {
        (Some(key), Some(secret)) => {
            // A session token of the environment belongs to other keys.
            builder.with_credentials(Arc::new(StaticCredentialProvider::new(AwsCredential {
                key_id: key.expose_secret().to_owned(),
                secret_key: secret.expose_secret().to_owned(),
                token: None,
            })))
        }
        (None, None) => builder,
        (key, _) => {
            let (given, missing) = match key {
                Some(_) => ("cloud_access_key", "cloud_secret_key"),
                None => ("cloud_secret_key", "cloud_access_key"),
            };
            return Err(VaultError::Config {
                setting: given,
                message: format!("is set without `{missing}`"),
                hint: format!("set `{missing}` too"),
            });
        }
    };
    let endpoint = match named {
        Some((endpoint, url)) => {
            builder = builder
                .with_config(AmazonS3ConfigKey::S3Endpoint, url)
                .with_virtual_hosted_style_request(false);
            endpoint
        }
        None => Endpoint {
            scheme: "https".into(),
            host: format!("s3.{region}.amazonaws.com"),
            port: 443,
        },
    };
    if endpoint.is_exposed() && !options.allow_insecure_http {
        return Err(VaultError::Config {
            setting: "cloud_endpoint",
            message: "is plain `http` to another machine".into(),
            hint: "use `https://`, or set `allow_insecure_http = true` for a network you trust"
                .into(),
        });
    }
    let client = ClientOptions::new()
        .with_allow_http(endpoint.scheme == "http")
        .with_connect_timeout(CONNECT_TIMEOUT)
        .with_timeout(options.request_timeout);
    let store = builder
        .with_region(region)
        .with_client_options(client)
        // Single deletions are all there are, and not every service knows the other request.
        .with_disable_bulk_delete(true)
        // Every operation is retried as a whole, by the configured policy.
        .with_retry(RetryConfig {
            max_retries: 0,
            ..RetryConfig::default()
        })
        .build()
        .map_err(|error| VaultError::Config {
            setting: "cloud_bucket",
            message: format!("cannot be opened: {error}"),
            hint: "run `akosha config check`".into(),
        })?;
    Ok(Place::S3 {
        store,
        bucket: bucket.to_owned(),
        endpoint,
        is_named,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn endpoints_are_http_without_credentials() {
        let parsed = Endpoint::parse("http://127.0.0.1:9000").unwrap();
        assert_eq!((parsed.host.as_str(), parsed.port), ("127.0.0.1", 9000));
        assert_eq!(Endpoint::parse("https://x.org/").unwrap().port, 443);
        for bad in ["", "x.org", "ftp://x.org", "https://key:secret@x.org"] {
            let error = Endpoint::parse(bad).unwrap_err();
            assert!(!error.to_string().contains("secret"), "{error}");
        }
    }

    #[test]
    fn prefixes_are_joined_without_empty_parts() {
        let options = VaultOptions {
            prefix: "/team//a/".into(),
            ..VaultOptions::new(CloudLocation::Folder("/x".into()))
        };
        assert_eq!(Place::resolve(&options).unwrap().1, "team/a");
    }

    #[test]
    fn half_a_pair_of_keys_is_refused() {
        let options = VaultOptions {
            access_key: Some("key".into()),
            ..VaultOptions::new(CloudLocation::S3 {
                bucket: "memories".into(),
                prefix: String::new(),
            })
        };
        let error = Place::resolve(&options).unwrap_err();
        assert!(error.to_string().contains("cloud_secret_key"), "{error}");
    }
}
