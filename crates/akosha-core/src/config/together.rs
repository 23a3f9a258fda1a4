//! Rules that concern more than one setting, checked once all layers are read.

use super::loader::Loader;
use super::{
    CloudLocation, Config, ConfigError, ConfigSource, Encryption, ForceMethod, alias, check as text,
};
use crate::error::quote;

/// What to do about an address that would carry secrets in the clear.
const USE_HTTPS: &str =
    "use `https://`, or set `allow_insecure_http = true` for a network you trust";

/// Checks every rule and adds an error for each that is broken.
pub(super) fn check(loader: &mut Loader<'_>) {
    system_id(loader);
    durability(loader);
    endpoint(loader);
    node(loader);
    method(loader);
    encryption(loader);
    tiers(loader);
    key_pair(loader);
}

/// Asks for a `system_id` where nothing gave one: a shared placeholder would mix the memories of
/// many machines.
fn system_id(loader: &mut Loader<'_>) {
    let given = loader.source("system_id") != ConfigSource::Default;
    let explained = loader.failed("system_id") || loader.failed(ConfigError::FILE);
    let named = loader.config.system_id != Config::fallback().system_id;
    if given || explained || named {
        return;
    }
    let why = match &loader.env.host_name {
        Some(name) => format!("the host name {} is not a name of its own", quote(name)),
        None => "this machine has no host name".to_owned(),
    };
    loader.error(ConfigError {
        key: "system_id".to_owned(),
        value: String::new(),
        source: ConfigSource::Default,
        message: format!("must be set, since {why}"),
        hint: "give this machine a name that no other has: `AKOSHA_SYSTEM_ID=my-laptop`, or \
               `system_id = \"my-laptop\"` in the configuration file"
            .to_owned(),
    });
}

/// What memories are to survive is not known where the setting is wrong: then it is the most.
fn durability(loader: &mut Loader<'_>) {
    if loader.failed("durability") {
        loader.reset("durability", |config| {
            config.durability = Config::fallback().durability;
        });
    }
}

fn endpoint(loader: &mut Loader<'_>) {
    let config = &loader.config;
    if !config.allow_insecure_http && text::is_exposed(&config.cloud_endpoint) {
        loader.refuse(
            "cloud_endpoint",
            "must be https, or http to this machine",
            USE_HTTPS,
        );
        loader.config.cloud_endpoint.clear();
    }
}

fn node(loader: &mut Loader<'_>) {
    let config = &loader.config;
    let exposed = config.akosha_token.is_some() && text::is_exposed(&config.akosha_url);
    if !config.allow_insecure_http && exposed {
        loader.refuse(
            "akosha_url",
            "must be https, since `akosha_token` goes to another machine",
            USE_HTTPS,
        );
        loader.config.akosha_url = Config::fallback().akosha_url;
    }
}

/// The method stays forced: nothing may go over HTTP that was to go to a bucket alone.
fn method(loader: &mut Loader<'_>) {
    let config = &loader.config;
    let lacks = config.force_method == ForceMethod::Cloud && config.cloud_bucket.is_empty();
    if !lacks || loader.failed("cloud_bucket") {
        return;
    }
    let hint = match loader.source("cloud_bucket") {
        ConfigSource::Env(name) if name == alias::ENABLED => {
            "`CLOUD_SYNC_ENABLED` turns cloud sync off: set it to `true`, or `force_method` to \
             `auto`"
        }
        _ => "set `cloud_bucket`, or `force_method` to `auto`",
    };
    loader.refuse("force_method", "needs a bucket", hint);
}

/// An encrypted vault is signed, too: who can write the bucket could otherwise add uploads in the
/// clear.
fn encryption(loader: &mut Loader<'_>) {
    let is_open = loader.source("require_signatures") == ConfigSource::Default;
    if is_open && !loader.failed("require_signatures") {
        loader.config.require_signatures = loader.config.encryption == Encryption::On;
    }
}

fn tiers(loader: &mut Loader<'_>) {
    if loader.config.hot_days < loader.config.warm_days {
        return;
    }
    let key = match loader.source("warm_days") {
        ConfigSource::Default => "hot_days",
        _ => "warm_days",
    };
    loader.refuse(
        key,
        "must leave `hot_days` below `warm_days`",
        "write for example `hot_days = 7` and `warm_days = 90`",
    );
    let default = Config::fallback();
    loader.config.hot_days = default.hot_days;
    loader.config.warm_days = default.warm_days;
}

fn key_pair(loader: &mut Loader<'_>) {
    let config = &loader.config;
    let has_keys = config.cloud_access_key.is_some() && config.cloud_secret_key.is_some();
    if has_keys && matches!(config.cloud_location(), Some(CloudLocation::Gcs { .. })) {
        loader.refuse(
            "cloud_access_key",
            "is no credential of `gs://`, which takes a service account",
            "remove both keys and name the account's file by `GOOGLE_APPLICATION_CREDENTIALS`; \
             HMAC keys work with `cloud_bucket = \"s3://...\"` and `cloud_endpoint = \
             \"https://storage.googleapis.com\"`",
        );
        return;
    }
    let (set, unset) = match (&config.cloud_access_key, &config.cloud_secret_key) {
        (Some(_), None) => ("cloud_access_key", "cloud_secret_key"),
        (None, Some(_)) => ("cloud_secret_key", "cloud_access_key"),
        _ => return,
    };
    loader.warn(format!("`{set}` has no effect without `{unset}`"));
}
