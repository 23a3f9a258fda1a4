//! Tests of the configuration as a whole.

mod aliases;
mod documents;
mod file_on_disk;
mod layers;
mod redaction;
mod rules;
mod secrets;

use std::path::Path;

use super::{Environment, LoadedConfig, file};

/// Returns an environment on a machine called `laptop`.
fn environment(variables: &[(&str, &str)]) -> Environment {
    Environment {
        variables: variables
            .iter()
            .map(|(name, value)| ((*name).to_owned(), (*value).to_owned()))
            .collect(),
        host_name: Some("laptop".to_owned()),
        ..Environment::default()
    }
}

/// Loads the text of a file, which others cannot read, in an environment.
fn load_in(text: &str, env: &Environment) -> LoadedConfig {
    let path = Path::new("/etc/akosha.toml");
    let file = file::parse(path, text.as_bytes(), Some(0o600));
    LoadedConfig::with_file(env, file.map(Some))
}

/// Loads the text of a file alone.
fn load(text: &str) -> LoadedConfig {
    load_in(text, &environment(&[]))
}

/// Loads variables alone.
fn load_variables(variables: &[(&str, &str)]) -> LoadedConfig {
    load_in("", &environment(variables))
}

/// Returns the keys of the errors.
fn keys(loaded: &LoadedConfig) -> Vec<&str> {
    loaded
        .errors
        .iter()
        .map(|error| error.key.as_str())
        .collect()
}
