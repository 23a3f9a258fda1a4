//! Reads the layers and reports every error at once.

use std::collections::BTreeMap;
use std::path::PathBuf;

use serde::Serialize;

use super::alias::Aliases;
use super::field::FIELDS;
use super::file::{self, ConfigFile};
use super::loader::Loader;
use super::{Config, ConfigError, ConfigSource, Environment, WritesRefused};
use crate::redact::Redactor;

/// A setting as `config show` lists it.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Shown {
    /// The value; secrets are masked.
    pub value: serde_json::Value,
    /// Where it came from.
    pub source: ConfigSource,
}

/// The configuration with all that is wrong with it.
#[derive(Debug, Clone)]
pub struct LoadedConfig {
    /// The values; where one broke its rule, that of the layer below stands. What acts on them
    /// looks at [`LoadedConfig::errors`] first.
    pub config: Config,
    /// Every error found.
    pub errors: Vec<ConfigError>,
    /// What is odd but harmless, such as an unknown `AKOSHA_` variable.
    pub warnings: Vec<String>,
    /// What whoever uses the bucket is warned of: no keys for it are found.
    pub credentials_warning: Option<String>,
    /// The file that was read, or could not be.
    pub file: Option<PathBuf>,
    /// Every setting with its source.
    pub shown: BTreeMap<&'static str, Shown>,
    /// Whether [`Config::system_id`] is what the user wants it to be.
    pub system_id_known: bool,
    /// Takes secrets out of all that is stored, by the built-in rules and the user's own.
    pub redactor: Redactor,
    /// Whether [`LoadedConfig::redactor`] has all the rules that the user wants.
    pub redaction_known: bool,
}

impl LoadedConfig {
    /// Reads the layers: defaults, the file, the environment, the flags. Never fails: what is
    /// wrong is in [`LoadedConfig::errors`], all of it.
    pub fn load(env: &Environment) -> Self {
        Self::with_file(env, file::read(env))
    }

    /// Takes a configuration as if every value came from its default.
    pub fn new(config: Config) -> Self {
        let source = ConfigSource::Default;
        let shown = FIELDS.iter().map(|field| {
            let value = field.kind.show(&config);
            (
                field.name,
                Shown {
                    value,
                    source: source.clone(),
                },
            )
        });
        Self {
            shown: shown.collect(),
            config,
            errors: Vec::new(),
            warnings: Vec::new(),
            credentials_warning: None,
            file: None,
            system_id_known: true,
            redactor: Redactor::built_in(),
            redaction_known: true,
        }
    }

    /// Returns whether memories may be stored and synced under [`Config::system_id`].
    ///
    /// They may not where that id is only a stand-in: nothing usable names one, the value given
    /// breaks the rule, or the file that may name it cannot be read. A memory stored then would
    /// belong to a wrong system for good. Nor may they where a redaction rule is wrong, or the
    /// file that may name the rules cannot be read: what was to be taken out would be stored, and
    /// synced. Other errors stop sync, never remembering.
    pub fn writes_allowed(&self) -> bool {
        self.system_id_known && self.redaction_known
    }

    /// Checks that memories may be stored: what every writer asks first.
    ///
    /// # Errors
    /// Fails where [`LoadedConfig::writes_allowed`] says no, with all that is wrong.
    pub fn check_writes(&self) -> Result<(), WritesRefused> {
        if self.writes_allowed() {
            return Ok(());
        }
        Err(WritesRefused {
            errors: self.errors.clone(),
        })
    }

    /// Reads the layers with a file that was read before.
    pub(super) fn with_file(
        env: &Environment,
        file: Result<Option<ConfigFile>, Box<ConfigError>>,
    ) -> Self {
        let mut loader = Loader::new(env);
        match file {
            Ok(Some(file)) => loader.file(&file),
            Ok(None) => {}
            Err(error) => loader.file_failed(*error),
        }
        let aliases = Aliases::read(&mut loader);
        loader.variables(&aliases);
        loader.flags();
        aliases.finish(&mut loader);
        loader.finish()
    }
}
