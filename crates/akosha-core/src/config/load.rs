//! Reads the layers and reports every error at once.

use std::collections::BTreeMap;
use std::path::PathBuf;

use super::Config;

/// Where a value came from.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum ConfigSource {
    /// Built in.
    Default,
    /// The configuration file.
    File(PathBuf),
    /// An environment variable.
    Env(String),
    /// A command-line flag.
    Flag(String),
}

/// A setting that breaks its rule.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ConfigError {
    /// The setting.
    pub key: String,
    /// The value as given; masked for a secret.
    pub value: String,
    /// Where the value came from.
    pub source: ConfigSource,
    /// What is wrong.
    pub message: String,
    /// What to do.
    pub hint: String,
}

/// A setting as `config show` lists it.
#[derive(Debug, Clone, PartialEq)]
pub struct Shown {
    /// The value; secrets are masked.
    pub value: serde_json::Value,
    /// Where it came from.
    pub source: ConfigSource,
}

/// What the configuration is read from.
#[derive(Debug, Clone, Default)]
pub struct Environment {
    /// The file that the user named by flag or `AKOSHA_CONFIG`; it must exist.
    pub named_file: Option<PathBuf>,
    /// The file that is read where none is named; it may be missing.
    pub default_file: Option<PathBuf>,
    /// The environment variables.
    pub variables: BTreeMap<String, String>,
    /// Settings given by flags, as (key, value).
    pub flags: Vec<(String, String)>,
}

/// The configuration with all that is wrong with it.
#[derive(Debug, Clone)]
pub struct LoadedConfig {
    /// The values; one that broke its rule is replaced by its default.
    pub config: Config,
    /// Every error found.
    pub errors: Vec<ConfigError>,
    /// What is odd but harmless, such as an unknown `AKOSHA_` variable.
    pub warnings: Vec<String>,
    /// Every setting with its source.
    pub shown: BTreeMap<&'static str, Shown>,
}
