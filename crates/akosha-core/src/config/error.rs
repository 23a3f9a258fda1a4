//! Where a value came from, and what is wrong with it.

use std::fmt;
use std::path::PathBuf;

use serde::{Serialize, Serializer};

use crate::ErrorKind;

/// Stands for a secret wherever it would be shown.
pub(super) const MASK: &str = "********";

/// Longest value in characters that an error shows whole.
const SHOWN: usize = 200;

/// Where a value came from. Shown and serialised as `default`, `file PATH`, `env NAME` or
/// `flag --NAME`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum ConfigSource {
    /// Built in.
    Default,
    /// The configuration file.
    File(PathBuf),
    /// An environment variable, by its name.
    Env(String),
    /// A command-line flag, by its name without dashes in front.
    Flag(String),
}

impl fmt::Display for ConfigSource {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Default => f.write_str("default"),
            Self::File(path) => write!(f, "file {}", path.display()),
            Self::Env(name) => write!(f, "env {name}"),
            Self::Flag(name) => write!(f, "flag --{name}"),
        }
    }
}

impl Serialize for ConfigSource {
    fn serialize<S: Serializer>(&self, out: S) -> Result<S::Ok, S::Error> {
        out.collect_str(self)
    }
}

/// A setting that breaks its rule, or a configuration file that cannot be read.
///
/// Shown as one line: the key, what is wrong, the value and its source; the hint is apart.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct ConfigError {
    /// The setting as its source names it; [`ConfigError::FILE`] for the file as a whole.
    pub key: String,
    /// The value as given, masked for a secret, cut after 200 characters; may be empty.
    pub value: String,
    /// Where the value came from.
    pub source: ConfigSource,
    /// What is wrong, as a phrase that continues a sentence starting with the key.
    pub message: String,
    /// What to do.
    pub hint: String,
}

impl ConfigError {
    /// The key of an error of the configuration file as a whole.
    pub const FILE: &'static str = "config";

    /// Returns the class of this error.
    pub fn kind(&self) -> ErrorKind {
        ErrorKind::Config
    }
}

/// Memories may not be stored: the configuration leaves open whose they would be, or what is to be
/// taken out of them.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("nothing is stored while the configuration is wrong")]
pub struct WritesRefused {
    /// All that is wrong.
    pub errors: Vec<ConfigError>,
}

impl WritesRefused {
    /// Returns the class of this error.
    pub fn kind(&self) -> ErrorKind {
        ErrorKind::Config
    }
}

impl fmt::Display for ConfigError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self {
            key,
            value,
            source,
            message,
            ..
        } = self;
        if value.is_empty() || key == Self::FILE {
            write!(f, "`{key}` {message} ({source})")
        } else {
            write!(f, "`{key}` {message}: `{value}` from {source}")
        }
    }
}

impl std::error::Error for ConfigError {}

/// Returns a value as errors show it: cut where it is long, control characters escaped, what may be
/// secret in a URL masked.
pub(super) fn presentable(value: &str) -> String {
    let value = mask_url(value);
    let shown: String = value.chars().take(SHOWN).collect();
    let dots = if shown.len() < value.len() { "…" } else { "" };
    let mut text = String::with_capacity(shown.len() + dots.len());
    for c in shown.chars() {
        if c.is_control() {
            text.extend(c.escape_debug());
        } else {
            text.push(c);
        }
    }
    text + dots
}

/// Masks user and password of a URL and what follows its `?` or `#`, where Azure has the signature
/// and a database may have a password; other text stays as it is.
pub(super) fn mask_url(url: &str) -> String {
    let (scheme, rest) = match url.split_once("://") {
        Some((scheme, _)) if scheme.eq_ignore_ascii_case("file") => return url.to_owned(),
        Some((scheme, rest)) => (format!("{scheme}://"), rest),
        None if url.contains("sig=") => (String::new(), url),
        None => return url.to_owned(),
    };
    let (start, sign) = match rest
        .find(['?', '#'])
        .and_then(|at| rest.split_at_checked(at))
    {
        Some((start, rest)) => (start, rest.get(..1)),
        None => (rest, None),
    };
    let end = sign.map_or_else(String::new, |sign| format!("{sign}{MASK}"));
    match start.rsplit_once('@') {
        Some((_, host)) => format!("{scheme}{MASK}@{host}{end}"),
        // The sign may be part of a password.
        None if rest.contains('@') => format!("{scheme}{MASK}"),
        None if sign.is_none() && scheme.is_empty() => MASK.to_owned(),
        None => format!("{scheme}{start}{end}"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sources_are_short_text() {
        for (source, text) in [
            (ConfigSource::Default, "default"),
            (
                ConfigSource::File("/etc/akosha.toml".into()),
                "file /etc/akosha.toml",
            ),
            (
                ConfigSource::Env("AKOSHA_SHARDS".into()),
                "env AKOSHA_SHARDS",
            ),
            (ConfigSource::Flag("method".into()), "flag --method"),
        ] {
            assert_eq!(source.to_string(), text);
            assert_eq!(serde_json::json!(source), text);
        }
    }

    #[test]
    fn an_error_is_one_line_without_the_hint() {
        let mut error = ConfigError {
            key: "max_retries".into(),
            value: "11".into(),
            source: ConfigSource::Env("AKOSHA_MAX_RETRIES".into()),
            message: "must be a whole number from 0 to 10".into(),
            hint: "unset it".into(),
        };
        assert_eq!(
            error.to_string(),
            "`max_retries` must be a whole number from 0 to 10: `11` from env AKOSHA_MAX_RETRIES"
        );
        error.value = String::new();
        assert_eq!(
            error.to_string(),
            "`max_retries` must be a whole number from 0 to 10 (env AKOSHA_MAX_RETRIES)"
        );
        assert_eq!(error.kind().exit_code(), 2);
    }

    #[test]
    fn values_are_cut_escaped_and_without_passwords() {
        assert_eq!(presentable("a\nb\u{1b}[0m é"), "a\\nb\\u{1b}[0m é");
        assert_eq!(presentable(&"x".repeat(300)), "x".repeat(200) + "…");
        assert_eq!(
            presentable("https://me:pw@host/p"),
            "https://********@host/p"
        );
        assert_eq!(
            presentable("postgres://u:p@ss/w@host"),
            "postgres://********@host"
        );
        assert_eq!(
            presentable("file:///home/me@work/x"),
            "file:///home/me@work/x"
        );
        assert_eq!(presentable("https://host:1/p"), "https://host:1/p");
        for (url, shown) in [
            ("https://host/c?sv=1&sig=s3cret", "https://host/c?********"),
            ("https://host/c#s3cret", "https://host/c#********"),
            ("host/c?sv=1&sig=s3cret", "host/c?********"),
            ("sv=1&sig=s3cret", "********"),
            ("https://host?sig=s3@cret", "https://********"),
            ("postgres://u:s3?cret@host", "postgres://********"),
            (
                "postgres://u:p@host/d?x=1",
                "postgres://********@host/d?********",
            ),
            ("what? #1", "what? #1"),
        ] {
            assert_eq!(presentable(url), shown);
        }
    }
}
