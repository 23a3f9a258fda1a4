//! Puts the layers on top of each other and collects what is wrong with each.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::path::PathBuf;

use super::alias::{self, Aliases};
use super::field::{self, FIELDS, Field, RETENTION};
use super::file::ConfigFile;
use super::kind::Given;
use super::{Config, ConfigError, ConfigSource, Environment, LoadedConfig, Shown};
use super::{credentials, error, redaction, suggest, together};
use crate::SystemId;
use crate::error::quote;
use crate::redact::Redactor;

/// Names of hosts that have no name of their own, as ids.
const PLACEHOLDERS: [&str; 6] = [
    "localhost",
    "localhost-localdomain",
    "none",
    "unknown",
    "unnamed",
    "default",
];

/// Variables that are no settings and are read elsewhere.
const OTHER_VARIABLES: [&str; 3] = ["AKOSHA_HOME", "AKOSHA_CONFIG", "AKOSHA_DUCKDB"];

/// Beginnings of variables that are no settings and are read elsewhere.
const OTHER_PREFIXES: [&str; 2] = ["AKOSHA_TEST_", "AKOSHA_LOG"];

/// Parts of keys that hold secrets.
const SECRET_WORDS: [&str; 5] = ["key", "pass", "secret", "token", "cred"];

/// The configuration as it is being read.
pub(super) struct Loader<'a> {
    pub(super) env: &'a Environment,
    pub(super) config: Config,
    sources: BTreeMap<&'static str, ConfigSource>,
    errors: Vec<ConfigError>,
    warnings: Vec<String>,
    file: Option<PathBuf>,
    system_id_known: bool,
    redaction_known: bool,
}

impl<'a> Loader<'a> {
    pub(super) fn new(env: &'a Environment) -> Self {
        let id = env
            .host_name
            .as_deref()
            .and_then(SystemId::from_name)
            .filter(|id| !PLACEHOLDERS.contains(&id.as_str().to_ascii_lowercase().as_str()));
        Self {
            env,
            system_id_known: id.is_some(),
            config: id.map_or_else(Config::fallback, Config::default_with),
            sources: BTreeMap::new(),
            errors: Vec::new(),
            warnings: Vec::new(),
            file: None,
            redaction_known: true,
        }
    }

    pub(super) fn variable(&self, name: &str) -> Option<&'a str> {
        self.env.variables.get(name).map(String::as_str)
    }

    pub(super) fn error(&mut self, error: ConfigError) {
        self.errors.push(error);
    }

    pub(super) fn warn(&mut self, warning: String) {
        self.warnings.push(warning);
    }

    /// Returns where the value that stands came from.
    pub(super) fn source(&self, name: &str) -> ConfigSource {
        self.sources
            .get(name)
            .cloned()
            .unwrap_or(ConfigSource::Default)
    }

    /// Puts a setting back to its default.
    pub(super) fn reset(&mut self, name: &'static str, reset: impl FnOnce(&mut Config)) {
        reset(&mut self.config);
        self.sources.remove(name);
    }

    /// Returns whether there is an error on that setting.
    pub(super) fn failed(&self, name: &str) -> bool {
        self.errors.iter().any(|error| error.key == name)
    }

    pub(super) fn set(&mut self, field: &'static Field, given: Given<'_>, source: ConfigSource) {
        let result = field.kind.set(&mut self.config, given);
        match field.name {
            "system_id" => self.system_id_known = result.is_ok(),
            redaction::KEY => self.redaction_known = result.is_ok(),
            _ => {}
        }
        match result {
            Ok(()) => {
                self.sources.insert(field.name, source);
            }
            Err(message) => self.errors.push(ConfigError {
                key: field.name.to_owned(),
                value: field.presentable(given),
                hint: field.hint_for(given, &source),
                source,
                message,
            }),
        }
    }

    /// Notes that the file, which may name a `system_id` and redaction rules, cannot be read.
    pub(super) fn file_failed(&mut self, error: ConfigError) {
        self.system_id_known = false;
        self.redaction_known = false;
        if let ConfigSource::File(path) = &error.source {
            self.file = Some(path.clone());
        }
        self.errors.push(error);
    }

    pub(super) fn file(&mut self, file: &ConfigFile) {
        self.file = Some(file.path.clone());
        let source = || ConfigSource::File(file.path.clone());
        let mut secrets = Vec::new();
        for (key, value) in &file.table {
            let given = Given::Toml(value);
            match (field::find(key), value) {
                (Some(field), _) => {
                    if field.kind.holds_secret(given) {
                        secrets.push(field.name);
                    }
                    self.set(field, given, source());
                }
                (None, toml::Value::Table(table)) if key == "retention" => {
                    self.retention(table, &file.table, &source());
                }
                (None, _) => self.unknown(key, given, source()),
            }
        }
        if let Some(mode) = file.mode.filter(|mode| mode & 0o077 != 0)
            && let Some(first) = secrets.first()
        {
            let names: Vec<_> = secrets.iter().map(|name| format!("`{name}`")).collect();
            self.error(ConfigError {
                key: (*first).to_owned(),
                value: error::MASK.to_owned(),
                source: source(),
                message: format!(
                    "is secret, but the mode {mode:04o} of the file lets others at {}",
                    names.join(", ")
                ),
                hint: format!("run `chmod 600 {}`", file.path.display()),
            });
        }
    }

    /// Reads the four settings that may stand in a table of their own.
    fn retention(&mut self, table: &toml::Table, file: &toml::Table, source: &ConfigSource) {
        for (key, value) in table {
            let known = RETENTION.contains(&key.as_str());
            match field::find(key).filter(|_| known) {
                Some(field) if file.contains_key(key) => self.error(ConfigError {
                    key: format!("retention.{key}"),
                    value: field.presentable(Given::Toml(value)),
                    source: source.clone(),
                    message: format!("is given twice: `{key}` stands at the top level too"),
                    hint: "remove one of them".to_owned(),
                }),
                Some(field) => self.set(field, Given::Toml(value), source.clone()),
                None => {
                    self.unknown(
                        &format!("retention.{key}"),
                        Given::Toml(value),
                        source.clone(),
                    );
                }
            }
        }
    }

    pub(super) fn variables(&mut self, aliases: &Aliases) {
        for field in FIELDS {
            for alias in field.aliases {
                // Compose files pass variables that nobody set as empty ones.
                if let Some(text) = self.variable(alias).filter(|text| !text.is_empty()) {
                    let text = aliases.translate(alias, text);
                    self.set(
                        field,
                        Given::Text(&text),
                        ConfigSource::Env((*alias).to_owned()),
                    );
                }
            }
            let name = field.variable();
            if let Some(text) = self.variable(&name) {
                self.set(field, Given::Text(text), ConfigSource::Env(name));
            }
        }
        self.unknown_variables();
    }

    fn unknown_variables(&mut self) {
        let mut known: Vec<String> = FIELDS.iter().map(Field::variable).collect();
        known.extend(
            FIELDS
                .iter()
                .flat_map(|field| field.aliases)
                .map(ToString::to_string),
        );
        known.extend([alias::ENABLED, alias::PROVIDER].map(ToOwned::to_owned));
        for name in self.env.variables.keys() {
            let ours = name.starts_with("AKOSHA_") || name.starts_with("CLOUD_SYNC_");
            let other = OTHER_VARIABLES.contains(&name.as_str())
                || OTHER_PREFIXES.iter().any(|prefix| name.starts_with(prefix));
            if !ours || other || known.contains(name) {
                continue;
            }
            let mut warning = format!(
                "the variable {} is no setting and has no effect",
                quote(name)
            );
            if let Some(meant) = suggest::nearest(name, known.iter().map(String::as_str)) {
                let _ = write!(warning, "; did you mean `{meant}`?");
            }
            self.warnings.push(warning);
        }
    }

    pub(super) fn flags(&mut self) {
        let env = self.env;
        for (key, text) in &env.flags {
            let source = ConfigSource::Flag(key.replace('_', "-"));
            match field::find(key) {
                Some(field) => self.set(field, Given::Text(text), source),
                None => self.unknown(key, Given::Text(text), source),
            }
        }
    }

    /// Adds the error that a value which is right by itself does not go with the others.
    pub(super) fn refuse(&mut self, key: &'static str, message: &str, hint: &str) {
        let value = match field::find(key).map(|field| field.kind.show(&self.config)) {
            Some(serde_json::Value::String(text)) => error::presentable(&text),
            Some(other) => other.to_string(),
            None => String::new(),
        };
        self.errors.push(ConfigError {
            key: key.to_owned(),
            value,
            source: self.source(key),
            message: message.to_owned(),
            hint: hint.to_owned(),
        });
    }

    /// Refuses a key that is no setting. Its value is shown only where it cannot be a secret that
    /// was meant for another key.
    fn unknown(&mut self, key: &str, given: Given<'_>, source: ConfigSource) {
        let names = FIELDS.iter().map(|field| field.name).chain(["retention"]);
        let meant = suggest::nearest(key.rsplit('.').next().unwrap_or(key), names);
        match meant {
            Some("system_id") => self.system_id_known = false,
            Some(redaction::KEY) => self.redaction_known = false,
            _ => {}
        }
        let secret = meant.and_then(field::find).is_some_and(Field::is_secret)
            || SECRET_WORDS
                .iter()
                .any(|word| key.to_ascii_lowercase().contains(word));
        let value = match given {
            Given::Toml(toml::Value::Table(_)) => "{…}".to_owned(),
            Given::Toml(toml::Value::Array(_)) => "[…]".to_owned(),
            _ if secret => error::MASK.to_owned(),
            Given::Toml(toml::Value::String(text)) => error::presentable(text),
            Given::Text(text) => error::presentable(text),
            Given::Toml(value) => value.to_string(),
        };
        let is_table = matches!(given, Given::Toml(toml::Value::Table(_)));
        let hint = match meant {
            Some(meant) if !is_table => format!("did you mean `{meant}`?"),
            _ if is_table || key.contains('.') => {
                "settings are flat: write `key = value` above the first line in brackets".to_owned()
            }
            _ => "remove it; `akosha config show` lists every setting".to_owned(),
        };
        self.errors.push(ConfigError {
            key: key.escape_debug().to_string(),
            value,
            source,
            message: "is no setting".to_owned(),
            hint,
        });
    }

    /// Checks what concerns more than one setting and says what has no effect.
    pub(super) fn finish(mut self) -> LoadedConfig {
        together::check(&mut self);
        let redactor = redaction::read(&mut self);
        let credentials_warning = credentials::missing(&self);
        let fallback = Config::fallback();
        let mut shown = BTreeMap::new();
        for field in FIELDS {
            let value = field.kind.show(&self.config);
            let source = self.source(field.name);
            if !field.built && value != field.kind.show(&fallback) {
                let name = field.name;
                self.warn(format!("`{name}` has no effect in this version ({source})"));
            }
            shown.insert(field.name, Shown { value, source });
        }
        LoadedConfig {
            config: self.config,
            errors: self.errors,
            credentials_warning,
            warnings: self.warnings,
            file: self.file,
            shown,
            system_id_known: self.system_id_known,
            redaction_known: self.redaction_known && redactor.is_some(),
            redactor: redactor.unwrap_or_else(Redactor::built_in),
        }
    }
}
