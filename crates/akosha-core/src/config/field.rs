//! The table of settings: one row for each.
//!
//! The defaults are those of [`Config::default_with`]; `docs/configuration.md` shows this table.

use serde_json::Value;

use super::kind::{Check, Given, Kind, Place};
use super::{
    Compression, Config, ConfigSource, Durability, Encryption, ForceMethod, bucket, check, error,
    redaction,
};

/// How many rows at the top are the main settings, which `akosha_sync_status` tells.
pub(super) const MAIN: usize = 13;

/// Keys that may also stand in a table `retention`.
pub(super) const RETENTION: [&str; 4] = ["keep_last", "keep_daily", "keep_weekly", "keep_monthly"];

/// One setting.
pub(super) struct Field {
    /// The key in the file.
    pub(super) name: &'static str,
    pub(super) kind: Kind,
    /// Environment variables beside `AKOSHA_` and the upper-case name; they yield to it.
    pub(super) aliases: &'static [&'static str],
    /// Whether this version does what the setting asks.
    pub(super) built: bool,
    /// What to do about a bad value, where naming the default does not tell.
    hint: Option<&'static str>,
    /// Says what a bad value was probably meant to be.
    meant: Option<fn(&str) -> Option<String>>,
}

impl Field {
    const fn new(name: &'static str, kind: Kind) -> Self {
        Self {
            name,
            kind,
            aliases: &[],
            built: true,
            hint: None,
            meant: None,
        }
    }

    const fn alias(mut self, aliases: &'static [&'static str]) -> Self {
        self.aliases = aliases;
        self
    }

    const fn hint(mut self, hint: &'static str) -> Self {
        self.hint = Some(hint);
        self
    }

    const fn meant(mut self, meant: fn(&str) -> Option<String>) -> Self {
        self.meant = Some(meant);
        self
    }

    /// Marks a setting whose feature comes later: it is read and checked, and a warning says that
    /// it does nothing.
    const fn later(mut self) -> Self {
        self.built = false;
        self
    }

    /// Returns the environment variable of this setting.
    pub(super) fn variable(&self) -> String {
        format!("AKOSHA_{}", self.name.to_ascii_uppercase())
    }

    /// Returns whether the value is never shown whole.
    pub(super) fn is_secret(&self) -> bool {
        matches!(self.kind, Kind::Secret { .. } | Kind::SecretUrl { .. })
    }

    /// Returns what to do about a bad value from `source`.
    pub(super) fn hint_for(&self, given: Given<'_>, source: &ConfigSource) -> String {
        let text = match given {
            Given::Text(text) => Some(text),
            Given::Toml(value) => value.as_str(),
        };
        if let (Some(meant), Some(text)) = (self.meant, text)
            && let Some(hint) = meant(text)
        {
            return hint;
        }
        if let Some(hint) = self.hint {
            return hint.to_owned();
        }
        let name = self.name;
        let default = self.kind.show(&Config::fallback());
        let bare = match &default {
            Value::String(text) => text.clone(),
            other => other.to_string(),
        };
        match source {
            ConfigSource::Env(variable) => {
                format!("set for example `{variable}={bare}`, or unset it")
            }
            ConfigSource::Flag(flag) => format!("give for example `--{flag} {bare}`"),
            ConfigSource::File(_) | ConfigSource::Default => {
                format!("write for example `{name} = {default}`")
            }
        }
    }

    /// Returns a given value as errors may show it.
    pub(super) fn presentable(&self, given: Given<'_>) -> String {
        match (&self.kind, given) {
            (Kind::Secret { .. }, _) => error::MASK.to_owned(),
            (_, Given::Text(text)) => error::presentable(text),
            (_, Given::Toml(toml::Value::String(text))) => error::presentable(text),
            (_, Given::Toml(value)) => error::presentable(&value.to_string()),
        }
    }
}

/// Returns the setting of that name.
pub(super) fn find(name: &str) -> Option<&'static Field> {
    FIELDS.iter().find(|field| field.name == name)
}

macro_rules! place {
    ($($field:ident).+) => {
        Place { get: |config| &config.$($field).+, get_mut: |config| &mut config.$($field).+ }
    };
}

macro_rules! choice {
    ($type:ident, $field:ident) => {
        Kind::Choice {
            names: $type::NAMES,
            get: |config| config.$field.as_str(),
            set: |config, name| match $type::from_name(name) {
                Some(value) => {
                    config.$field = value;
                    true
                }
                None => false,
            },
        }
    };
}

const fn text(check: Check, at: Place<String>) -> Kind {
    Kind::Text { check, at }
}

const fn whole(min: u32, max: u32, at: Place<u32>) -> Kind {
    Kind::Whole { min, max, at }
}

/// Every setting: the main ones first, in the order of the documentation.
pub(super) static FIELDS: &[Field] = &[
    Field::new("cloud_bucket", text(check::location, place!(cloud_bucket)))
        .alias(&["CLOUD_SYNC_BUCKET"])
        .hint(
            "give a bucket such as `my-bucket`, or a URL: `s3://bucket/prefix`, `gs://bucket`, \
             `az://container`, `file:///folder`",
        )
        .meant(bucket::meant),
    Field::new(
        "cloud_endpoint",
        text(check::endpoint, place!(cloud_endpoint)),
    )
    .alias(&["CLOUD_SYNC_ENDPOINT"])
    .hint("give the service's address, such as `https://s3.example.com`"),
    Field::new("cloud_region", text(check::region, place!(cloud_region)))
        .alias(&["CLOUD_SYNC_REGION"]),
    Field::new("system_id", Kind::SystemId)
        .hint("give this machine a name that no other has: `system_id = \"my-laptop\"`"),
    Field::new(
        "upload_on_session_end",
        Kind::Flag(place!(upload_on_session_end)),
    ),
    Field::new("enable_fallback", Kind::Flag(place!(enable_fallback))),
    Field::new("force_method", choice!(ForceMethod, force_method)),
    Field::new(
        "upload_timeout_seconds",
        Kind::Seconds {
            min: 30,
            max: 3600,
            at: place!(upload_timeout),
        },
    ),
    Field::new("max_retries", whole(0, 10, place!(max_retries))),
    Field::new(
        "retry_backoff_seconds",
        Kind::Fraction {
            min: 0.1,
            max: 60.0,
            at: place!(retry_backoff),
        },
    ),
    Field::new("enable_compression", Kind::Flag(place!(enable_compression))),
    Field::new(
        "enable_deduplication",
        Kind::Flag(place!(enable_deduplication)),
    ),
    Field::new("chunk_size_mb", whole(1, 100, place!(chunk_size_mb))),
    Field::new("akosha_url", text(check::node, place!(akosha_url)))
        .alias(&["AKOSHA_URL"])
        .hint("give the address of an Akosha, such as `https://akosha.example.com/mcp`"),
    Field::new(
        "akosha_token",
        Kind::Secret {
            check: check::secret,
            at: place!(akosha_token),
        },
    )
    .alias(&["AKOSHA_TOKEN"])
    .hint("give the token alone, as `akosha serve` accepts it"),
    Field::new(
        "cloud_access_key",
        Kind::Secret {
            check: check::secret,
            at: place!(cloud_access_key),
        },
    )
    .alias(&["CLOUD_SYNC_ACCESS_KEY"])
    .hint("give the key alone, as your provider shows it"),
    Field::new(
        "cloud_secret_key",
        Kind::Secret {
            check: check::secret,
            at: place!(cloud_secret_key),
        },
    )
    .alias(&["CLOUD_SYNC_SECRET_KEY"])
    .hint("give the key alone, as your provider shows it"),
    Field::new("cloud_prefix", text(check::prefix, place!(cloud_prefix)))
        .alias(&["CLOUD_SYNC_PREFIX"])
        .hint("give a prefix such as `team/akosha`"),
    Field::new(
        "allow_insecure_http",
        Kind::Flag(place!(allow_insecure_http)),
    ),
    Field::new("compression", choice!(Compression, compression)),
    Field::new("durability", choice!(Durability, durability)),
    Field::new(
        "shutdown_grace_seconds",
        Kind::Seconds {
            min: 0,
            max: 600,
            at: place!(shutdown_grace),
        },
    ),
    Field::new("tls_cert", text(check::file_path, place!(tls_cert)))
        .hint("give the whole path of a PEM file, such as `/etc/akosha/tls.crt`"),
    Field::new("tls_key", text(check::file_path, place!(tls_key)))
        .hint("give the whole path of a PEM file, such as `/etc/akosha/tls.key`"),
    Field::new("allowed_hosts", Kind::Hosts(place!(allowed_hosts)))
        .hint("write for example `allowed_hosts = [\"akosha.example.com\"]`"),
    Field::new(
        "rate_limit_per_minute",
        whole(0, 10_000_000, place!(rate_limit_per_minute)),
    ),
    Field::new(
        "max_connections",
        whole(16, 1_000_000, place!(max_connections)),
    ),
    Field::new(
        redaction::KEY,
        text(check::file_path, place!(redaction_rules)),
    )
    .hint("give the whole path of a file, such as `/home/me/redaction.toml`"),
    Field::new("files", Kind::Paths(place!(files)))
        .hint("write for example `files = [\"/srv/notes.db\"]`"),
    Field::new("encryption", choice!(Encryption, encryption)),
    Field::new("require_signatures", Kind::Flag(place!(require_signatures))),
    Field::new("trusted_keys", Kind::PublicKeys(place!(trusted_keys)))
        .hint("write for example `trusted_keys = [\"…\"]` with what `akosha key show` prints"),
    Field::new(
        "max_concurrent_ingests",
        whole(1, 10_000, place!(max_concurrent_ingests)),
    ),
    Field::new(
        "poll_interval_seconds",
        Kind::Seconds {
            min: 1,
            max: 86_400,
            at: place!(poll_interval),
        },
    ),
    Field::new(
        "orchestrator_url",
        text(check::endpoint, place!(orchestrator_url)),
    )
    .hint("give the orchestrator's address, such as `https://host.example.com:8680`"),
    Field::new(
        "sync_schedule",
        text(check::schedule, place!(sync_schedule)),
    )
    .alias(&["CLOUD_SYNC_SCHEDULE"])
    .hint("write for example `sync_schedule = \"0 2 * * *\"` for every night at two")
    .later(),
    Field::new("restore_on_empty", Kind::Flag(place!(restore_on_empty))).later(),
    Field::new("keep_last", whole(0, 10_000, place!(retention.keep_last))).later(),
    Field::new("keep_daily", whole(0, 10_000, place!(retention.keep_daily))).later(),
    Field::new(
        "keep_weekly",
        whole(0, 10_000, place!(retention.keep_weekly)),
    )
    .later(),
    Field::new(
        "keep_monthly",
        whole(0, 10_000, place!(retention.keep_monthly)),
    )
    .later(),
    Field::new("shards", whole(1, 4096, place!(shards))).later(),
    Field::new("hot_days", whole(1, 36_500, place!(hot_days))).later(),
    Field::new("warm_days", whole(1, 36_500, place!(warm_days))).later(),
    Field::new(
        "shard_timeout_seconds",
        Kind::Seconds {
            min: 1,
            max: 300,
            at: place!(shard_timeout),
        },
    )
    .later(),
    Field::new(
        "store_url",
        Kind::SecretUrl {
            check: check::postgres,
            at: place!(store_url),
        },
    )
    .hint("leave it empty for the embedded store, or give `postgres://user@host/database`")
    .later(),
    Field::new(
        "milvus_url",
        Kind::SecretUrl {
            check: check::milvus,
            at: place!(milvus_url),
        },
    )
    .hint("give Milvus's address, such as `http://localhost:19530`")
    .later(),
];
