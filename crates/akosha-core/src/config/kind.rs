//! The types of settings: how each is read from TOML or text, kept and shown.

use std::path::{Path, PathBuf};
use std::time::Duration;

use secrecy::{ExposeSecret, SecretString};
use serde_json::{Value, json};

use super::error::{MASK, mask_url};
use super::{Config, check};

/// A value as its layer gives it.
#[derive(Clone, Copy)]
pub(super) enum Given<'a> {
    /// From the file.
    Toml(&'a toml::Value),
    /// From the environment or a flag.
    Text(&'a str),
}

/// A field of [`Config`].
pub(super) struct Place<T: 'static> {
    pub(super) get: fn(&Config) -> &T,
    pub(super) get_mut: fn(&mut Config) -> &mut T,
}

/// Checks a text and returns it as it is kept, or what is wrong with it.
pub(super) type Check = fn(&str) -> Result<String, String>;

/// The type of a setting with its rule and its place in [`Config`].
pub(super) enum Kind {
    Flag(Place<bool>),
    Whole {
        min: u32,
        max: u32,
        at: Place<u32>,
    },
    /// Whole seconds.
    Seconds {
        min: u32,
        max: u32,
        at: Place<Duration>,
    },
    /// Seconds with a fraction.
    Fraction {
        min: f64,
        max: f64,
        at: Place<Duration>,
    },
    Text {
        check: Check,
        at: Place<String>,
    },
    /// Never shown.
    Secret {
        check: Check,
        at: Place<Option<SecretString>>,
    },
    /// Shown without what stands before its `@`.
    SecretUrl {
        check: Check,
        at: Place<Option<SecretString>>,
    },
    Choice {
        names: &'static [&'static str],
        get: fn(&Config) -> &'static str,
        /// Sets the value of that name and returns whether there is one.
        set: fn(&mut Config, &str) -> bool,
    },
    SystemId,
    Paths(Place<Option<Vec<PathBuf>>>),
    /// Public keys of Ed25519 in hex.
    PublicKeys(Place<Vec<String>>),
    /// Names of hosts, each with or without a port.
    Hosts(Place<Vec<String>>),
}

impl Kind {
    /// Sets the value. `config` is as it was where this fails.
    ///
    /// # Errors
    /// Says what is wrong, as a phrase that continues a sentence starting with the setting.
    pub(super) fn set(&self, config: &mut Config, given: Given<'_>) -> Result<(), String> {
        match self {
            Self::Flag(at) => *(at.get_mut)(config) = flag(given)?,
            Self::Whole { min, max, at } => *(at.get_mut)(config) = whole(given, *min, *max)?,
            Self::Seconds { min, max, at } => {
                *(at.get_mut)(config) = Duration::from_secs(whole(given, *min, *max)?.into());
            }
            Self::Fraction { min, max, at } => {
                *(at.get_mut)(config) = fraction(given, *min, *max)?;
            }
            Self::Text { check, at } => *(at.get_mut)(config) = check(text(given)?)?,
            Self::Secret { check, at } | Self::SecretUrl { check, at } => {
                let secret = check(text(given)?)?;
                *(at.get_mut)(config) = (!secret.is_empty()).then(|| secret.into());
            }
            Self::Choice { names, set, .. } => {
                if !text(given).is_ok_and(|name| set(config, name)) {
                    let names: Vec<_> = names.iter().map(|name| format!("`{name}`")).collect();
                    return Err(format!("must be {}", names.join(" or ")));
                }
            }
            Self::SystemId => {
                config.system_id = text(given)?
                    .parse()
                    .map_err(|_| "must be 1 to 100 letters, digits, `_` or `-`".to_owned())?;
            }
            Self::Paths(at) => *(at.get_mut)(config) = Some(paths(given)?),
            Self::PublicKeys(at) => *(at.get_mut)(config) = public_keys(given)?,
            Self::Hosts(at) => *(at.get_mut)(config) = hosts(given)?,
        }
        Ok(())
    }

    /// Returns the value as it is shown.
    pub(super) fn show(&self, config: &Config) -> Value {
        match self {
            Self::Flag(at) => json!((at.get)(config)),
            Self::Whole { at, .. } => json!((at.get)(config)),
            Self::Seconds { at, .. } => json!((at.get)(config).as_secs()),
            Self::Fraction { at, .. } => json!((at.get)(config).as_secs_f64()),
            Self::Text { at, .. } => json!((at.get)(config)),
            Self::Secret { at, .. } => match (at.get)(config) {
                Some(_) => json!(MASK),
                None => json!(""),
            },
            Self::SecretUrl { at, .. } => match (at.get)(config) {
                Some(url) => json!(mask_url(url.expose_secret())),
                None => json!(""),
            },
            Self::Choice { get, .. } => json!(get(config)),
            Self::SystemId => json!(config.system_id),
            Self::Paths(at) => match (at.get)(config) {
                Some(paths) => paths
                    .iter()
                    .map(|path| path.display().to_string())
                    .collect(),
                None => Value::Null,
            },
            Self::PublicKeys(at) | Self::Hosts(at) => json!((at.get)(config)),
        }
    }

    /// Returns whether such a value holds a secret.
    pub(super) fn holds_secret(&self, given: Given<'_>) -> bool {
        let text = text(given).unwrap_or_default();
        match self {
            Self::Secret { .. } => !text.is_empty(),
            Self::SecretUrl { .. } => text.contains('@'),
            _ => false,
        }
    }
}

fn flag(given: Given<'_>) -> Result<bool, String> {
    match given {
        Given::Toml(toml::Value::Boolean(flag)) => Ok(*flag),
        Given::Toml(_) => Err("must be `true` or `false`, without quotes".into()),
        Given::Text(text) => match text.trim().to_ascii_lowercase().as_str() {
            "true" | "1" | "yes" | "on" => Ok(true),
            "false" | "0" | "no" | "off" => Ok(false),
            _ => Err("must be `true` or `false`".into()),
        },
    }
}

fn whole(given: Given<'_>, min: u32, max: u32) -> Result<u32, String> {
    let number = match given {
        Given::Toml(value) => value.as_integer(),
        Given::Text(text) => text.trim().parse().ok(),
    };
    number
        .and_then(|number| u32::try_from(number).ok())
        .filter(|number| (min..=max).contains(number))
        .ok_or_else(|| format!("must be a whole number from {min} to {max}"))
}

fn fraction(given: Given<'_>, min: f64, max: f64) -> Result<Duration, String> {
    let number = match given {
        Given::Toml(toml::Value::Float(number)) => Some(*number),
        Given::Toml(toml::Value::Integer(number)) => Some(*number as f64),
        Given::Toml(_) => None,
        Given::Text(text) => text.trim().parse().ok(),
    };
    number
        .filter(|number| (min..=max).contains(number))
        .and_then(|number| Duration::try_from_secs_f64(number).ok())
        .ok_or_else(|| format!("must be a number from {min} to {max}"))
}

fn text(given: Given<'_>) -> Result<&str, String> {
    match given {
        Given::Toml(value) => value
            .as_str()
            .ok_or_else(|| "must be text in quotes".into()),
        Given::Text(text) => Ok(text),
    }
}

fn paths(given: Given<'_>) -> Result<Vec<PathBuf>, String> {
    let paths: Option<Vec<PathBuf>> = match given {
        Given::Toml(value) => value.as_array().and_then(|list| {
            list.iter()
                .map(|item| Some(item.as_str()?.into()))
                .collect()
        }),
        Given::Text("") => Some(Vec::new()),
        Given::Text(text) => Some(std::env::split_paths(text).collect()),
    };
    let paths = paths.ok_or("must be a list of paths, each in quotes")?;
    let whole = |path: &PathBuf| {
        path.is_absolute() && path.file_name().is_some() && !has_control_characters(path)
    };
    match paths.iter().find(|path| !whole(path)) {
        Some(path) => Err(format!(
            "must hold whole paths of files, `{}` is none",
            path.display().to_string().escape_debug()
        )),
        None => Ok(paths),
    }
}

/// Returns the texts of a list; in the environment commas or spaces separate them.
fn list(given: Given<'_>) -> Option<Vec<&str>> {
    match given {
        Given::Toml(value) => value
            .as_array()
            .and_then(|list| list.iter().map(toml::Value::as_str).collect()),
        Given::Text(text) => Some(
            text.split([',', ' '])
                .filter(|item| !item.is_empty())
                .collect(),
        ),
    }
}

fn hosts(given: Given<'_>) -> Result<Vec<String>, String> {
    let hosts = list(given).ok_or("must be a list of host names, each in quotes")?;
    hosts.into_iter().map(check::host).collect()
}

fn public_keys(given: Given<'_>) -> Result<Vec<String>, String> {
    let keys = list(given).ok_or("must be a list of public keys, each in quotes")?;
    let is_key = |key: &&str| key.len() == 64 && key.bytes().all(|b| b.is_ascii_hexdigit());
    if keys.iter().all(is_key) {
        Ok(keys.iter().map(|key| key.to_ascii_lowercase()).collect())
    } else {
        Err("must hold public keys alone, each of 64 hex digits".into())
    }
}

fn has_control_characters(path: &Path) -> bool {
    path.to_string_lossy().chars().any(char::is_control)
}
