//! Reads the configuration file.

use std::fs::File;
use std::io::{ErrorKind, Read};
use std::path::{Path, PathBuf};

use super::{ConfigError, ConfigSource, Environment};

/// Largest file in bytes: 1 MiB.
const MAX_BYTES: usize = 1 << 20;

/// A file that was read and is TOML.
pub(super) struct ConfigFile {
    pub(super) path: PathBuf,
    pub(super) table: toml::Table,
    /// The permission bits, where the platform has them.
    pub(super) mode: Option<u32>,
}

/// Reads the named file, else the default file; `None` where that is missing.
///
/// # Errors
/// The named file is missing, or the file cannot be read, is too large or is no TOML.
pub(super) fn read(env: &Environment) -> Result<Option<ConfigFile>, Box<ConfigError>> {
    let (path, named) = match (&env.named_file, &env.default_file) {
        (Some(path), _) => (path, true),
        (None, Some(path)) => (path, false),
        (None, None) => return Ok(None),
    };
    let mut bytes = Vec::new();
    let opened = File::open(path).and_then(|file| {
        let mode = mode(&file)?;
        file.take(MAX_BYTES as u64 + 1).read_to_end(&mut bytes)?;
        Ok(mode)
    });
    match opened {
        Ok(mode) => parse(path, &bytes, mode).map(Some),
        Err(error) if error.kind() == ErrorKind::NotFound && !named => Ok(None),
        Err(error) if error.kind() == ErrorKind::NotFound => Err(Box::new(wrong(
            path,
            "names a file that does not exist",
            "correct `--config` or `AKOSHA_CONFIG`, or make the file: `akosha config init`",
        ))),
        Err(error) => Err(Box::new(wrong(
            path,
            format!("cannot be read: {error}"),
            "make it a file that you can read",
        ))),
    }
}

/// Parses the bytes of a file. Its text is never quoted: there may be secrets in it.
///
/// # Errors
/// They are too many, no UTF-8 or no TOML.
pub(super) fn parse(
    path: &Path,
    bytes: &[u8],
    mode: Option<u32>,
) -> Result<ConfigFile, Box<ConfigError>> {
    if bytes.len() > MAX_BYTES {
        return Err(Box::new(wrong(
            path,
            "is larger than 1 MiB",
            "name the configuration file, not another one",
        )));
    }
    let at_line = |offset: usize| {
        let before = bytes.get(..offset).unwrap_or(bytes);
        before.split(|byte| *byte == b'\n').count()
    };
    let text = std::str::from_utf8(bytes).map_err(|error| {
        let line = at_line(error.valid_up_to());
        wrong(
            path,
            format!("is not UTF-8 in line {line}"),
            "save the file as UTF-8",
        )
    })?;
    let table = text.parse().map_err(|error: toml::de::Error| {
        let place = match error.span() {
            Some(span) => format!(" in line {}", at_line(span.start)),
            None => String::new(),
        };
        wrong(
            path,
            format!("is not TOML{place}: {}", error.message()),
            "correct that line; settings are written `key = value`, text in quotes",
        )
    })?;
    Ok(ConfigFile {
        path: path.to_owned(),
        table,
        mode,
    })
}

#[cfg(unix)]
fn mode(file: &File) -> std::io::Result<Option<u32>> {
    use std::os::unix::fs::PermissionsExt;
    Ok(Some(file.metadata()?.permissions().mode() & 0o7777))
}

#[cfg(not(unix))]
#[expect(clippy::unnecessary_wraps, reason = "as on Unix")]
fn mode(_file: &File) -> std::io::Result<Option<u32>> {
    Ok(None)
}

fn wrong(path: &Path, message: impl Into<String>, hint: &str) -> ConfigError {
    ConfigError {
        key: ConfigError::FILE.to_owned(),
        value: path.display().to_string(),
        source: ConfigSource::File(path.to_owned()),
        message: message.into(),
        hint: hint.to_owned(),
    }
}
