//! Reads the file with the user's own redaction rules.
//!
//! What is wrong with it is an error that stops writes: what a rule was to take out must not be
//! stored because the rule has a slip.

use std::fs::File;
use std::io::{self, ErrorKind, Read};
use std::path::{Path, PathBuf};

use super::loader::Loader;
use super::{ConfigError, Environment, error};
use crate::redact::Redactor;

/// The setting that names the file.
pub(super) const KEY: &str = "redaction_rules";

/// The name of the file that is read where none is named.
const DEFAULT_NAME: &str = "redaction.toml";

/// Largest file in bytes: 256 KiB, room for every rule that is allowed.
const MAX_BYTES: u64 = 256 << 10;

/// Returns the redactor with the rules of the file that is named, else of the default one where
/// it exists. Where something is wrong, says so to `loader` and returns `None`.
pub(super) fn read(loader: &mut Loader<'_>) -> Option<Redactor> {
    let named = Some(&loader.config.redaction_rules)
        .filter(|path| !path.is_empty())
        .map(PathBuf::from);
    let is_named = named.is_some();
    let Some(path) = named.or_else(|| default_path(loader.env)) else {
        return Some(Redactor::built_in());
    };
    let text = match text(&path) {
        Ok(text) => text,
        Err(error) if error.kind() == ErrorKind::NotFound && !is_named => {
            return Some(Redactor::built_in());
        }
        Err(error) => {
            let message = match error.kind() {
                ErrorKind::NotFound => "names a file that does not exist".to_owned(),
                _ => format!("names a file that cannot be read: {error}"),
            };
            refuse(loader, &path, message);
            return None;
        }
    };
    loader.config.redaction_rules = path.display().to_string();
    match Redactor::with_rules(&text) {
        Ok(redactor) => Some(redactor),
        Err(bad) => {
            for bad in bad {
                let message = match &bad.rule {
                    Some(rule) => format!("names a file whose rule {rule} {}", bad.cause),
                    None => format!("names a file that {}", bad.cause),
                };
                refuse(loader, &path, message);
            }
            None
        }
    }
}

/// Returns the file beside the default configuration file. It is looked for whichever file is
/// read, so that no choice of a configuration file switches the rules off.
fn default_path(env: &Environment) -> Option<PathBuf> {
    Some(env.default_file.as_ref()?.parent()?.join(DEFAULT_NAME))
}

fn text(path: &Path) -> io::Result<String> {
    let mut text = String::new();
    let read = File::open(path)?
        .take(MAX_BYTES + 1)
        .read_to_string(&mut text)?;
    if read as u64 > MAX_BYTES {
        return Err(io::Error::other("it is larger than 256 KiB"));
    }
    Ok(text)
}

fn refuse(loader: &mut Loader<'_>, path: &Path, message: String) {
    loader.error(ConfigError {
        key: KEY.to_owned(),
        value: error::presentable(&path.display().to_string()),
        source: loader.source(KEY),
        message,
        hint: "correct the file, see `docs/configuration.md`; until then nothing is stored"
            .to_owned(),
    });
}
