//! The `CLOUD_SYNC_*` environment variables: other names for the bucket's settings, with a
//! switch, a provider and a schedule of their own.

use url::Url;

use super::field;
use super::kind::Given;
use super::loader::Loader;
use super::{ConfigError, ConfigSource, error};

/// Turns cloud sync on or off.
pub(super) const ENABLED: &str = "CLOUD_SYNC_ENABLED";

/// Says whose service the bucket is.
pub(super) const PROVIDER: &str = "CLOUD_SYNC_PROVIDER";

const BUCKET: &str = "CLOUD_SYNC_BUCKET";

/// When a sync is due where `CLOUD_SYNC_ENABLED` is true and nothing says when.
const SCHEDULE: &str = "0 2 * * *";

/// A provider, by the names that it is known by.
struct Provider {
    names: &'static [&'static str],
    bucket: Bucket,
    /// What its address looks like, where it has no default one.
    address: Option<&'static str>,
}

/// What a bare bucket name means.
enum Bucket {
    Name,
    Url(&'static str),
    Folder,
}

static PROVIDERS: &[Provider] = &[
    Provider {
        names: &["s3", "aws"],
        bucket: Bucket::Name,
        address: None,
    },
    Provider {
        names: &["r2", "cloudflare"],
        bucket: Bucket::Name,
        address: Some("https://ACCOUNT_ID.r2.cloudflarestorage.com"),
    },
    Provider {
        names: &["b2", "backblaze"],
        bucket: Bucket::Name,
        address: Some("https://s3.REGION.backblazeb2.com"),
    },
    Provider {
        names: &["minio"],
        bucket: Bucket::Name,
        address: Some("http://127.0.0.1:9000"),
    },
    Provider {
        names: &["gcs", "gs", "google"],
        bucket: Bucket::Url("gs://"),
        address: None,
    },
    Provider {
        names: &["azure", "az"],
        bucket: Bucket::Url("az://"),
        address: None,
    },
    Provider {
        names: &["local", "file", "folder"],
        bucket: Bucket::Folder,
        address: None,
    },
];

/// What the switch and the provider say.
#[derive(Default)]
pub(super) struct Aliases {
    enabled: Option<bool>,
    provider: Option<&'static Provider>,
}

impl Aliases {
    /// Reads the switch and the provider; empty counts as not set.
    pub(super) fn read(loader: &mut Loader<'_>) -> Self {
        let mut aliases = Self::default();
        if let Some(text) = loader.variable(ENABLED).filter(|text| !text.is_empty()) {
            match text.trim().to_ascii_lowercase().as_str() {
                "true" | "1" | "yes" | "on" => aliases.enabled = Some(true),
                "false" | "0" | "no" | "off" => aliases.enabled = Some(false),
                _ => loader.error(wrong(ENABLED, text, "must be `true` or `false`")),
            }
        }
        if let Some(text) = loader.variable(PROVIDER).filter(|text| !text.is_empty()) {
            let name = text.trim().to_ascii_lowercase();
            aliases.provider = PROVIDERS
                .iter()
                .find(|provider| provider.names.contains(&name.as_str()));
            if aliases.provider.is_none() {
                let names: Vec<_> = PROVIDERS
                    .iter()
                    .filter_map(|provider| provider.names.first())
                    .map(|name| format!("`{name}`"))
                    .collect();
                let message = format!("must be one of {}", names.join(", "));
                loader.error(wrong(PROVIDER, text, &message));
            } else if loader.variable(BUCKET).is_none_or(str::is_empty) {
                loader.warn(format!("`{PROVIDER}` has no effect without `{BUCKET}`"));
            }
        }
        aliases
    }

    /// Returns the value of an alias in the form of its setting: a bucket's bare name becomes the
    /// URL that the provider asks for.
    pub(super) fn translate(&self, variable: &str, text: &str) -> String {
        let bare = !text.contains("://");
        match self.provider {
            Some(provider) if variable == BUCKET && bare => match provider.bucket {
                Bucket::Name => text.to_owned(),
                Bucket::Url(scheme) => format!("{scheme}{text}"),
                // What is no whole path stays as it is and is refused as a bucket name or URL.
                Bucket::Folder => match Url::from_file_path(text) {
                    Ok(url) => url.into(),
                    Err(()) => format!("file://{text}"),
                },
            },
            _ => text.to_owned(),
        }
    }

    /// Applies what concerns more than one setting, once all layers are read.
    pub(super) fn finish(&self, loader: &mut Loader<'_>) {
        self.check_endpoint(loader);
        let switch = ConfigSource::Env(ENABLED.to_owned());
        match self.enabled {
            Some(false) => {
                if let Some(bucket) = field::find("cloud_bucket") {
                    loader.set(bucket, Given::Text(""), switch);
                }
            }
            Some(true) => {
                if loader.config.cloud_bucket.is_empty() {
                    loader.warn(format!("`{ENABLED}` is true, but no bucket is set"));
                }
                if let Some(schedule) = field::find("sync_schedule")
                    && loader.source("sync_schedule") == ConfigSource::Default
                {
                    loader.set(schedule, Given::Text(SCHEDULE), switch);
                }
            }
            None => {}
        }
    }

    /// A bucket of a provider without a default address must not be looked for at Amazon.
    fn check_endpoint(&self, loader: &mut Loader<'_>) {
        let named_here = loader.source("cloud_bucket") == ConfigSource::Env(BUCKET.to_owned());
        let unset = loader.config.cloud_endpoint.is_empty() && !loader.failed("cloud_endpoint");
        let folder = loader.config.cloud_bucket.starts_with("file:");
        if let Some(address) = self.provider.and_then(|provider| provider.address)
            && named_here
            && unset
            && !folder
            && self.enabled != Some(false)
        {
            loader.error(ConfigError {
                key: "cloud_endpoint".to_owned(),
                value: String::new(),
                source: ConfigSource::Env(PROVIDER.to_owned()),
                message: "must be set for this provider".to_owned(),
                hint: format!("set for example `CLOUD_SYNC_ENDPOINT={address}`"),
            });
        }
    }
}

fn wrong(variable: &str, value: &str, message: &str) -> ConfigError {
    ConfigError {
        key: variable.to_owned(),
        value: error::presentable(value),
        source: ConfigSource::Env(variable.to_owned()),
        message: message.to_owned(),
        hint: format!("correct or unset `{variable}`"),
    }
}
