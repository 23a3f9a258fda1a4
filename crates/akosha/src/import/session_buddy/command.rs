//! DuckDB's command: found, asked for its version, and run with its answer read line by line.

use std::ffi::OsString;
use std::fs::{self, File};
use std::io::{BufRead, BufReader, Read, Write};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};

use super::copy::DatabaseCopy;
use super::error::DatabaseError;
use crate::import::ImportError;

/// The variable that names the command.
const VARIABLE: &str = "AKOSHA_DUCKDB";

/// Longest line of an answer in bytes: a row of the largest size that is asked for, each byte of
/// it written as six.
const MAX_LINE: u64 = 32 << 20;

/// Most bytes of an error that are read.
const MAX_ERROR: u64 = 16 << 10;

/// What every script begins with: little memory, one core left to others, nothing downloaded.
const SETTINGS: &str = "SET memory_limit = '512MB'; SET threads = 1; \
                        SET temp_directory = 'spill'; SET autoinstall_known_extensions = false;";

/// DuckDB's command.
#[derive(Debug)]
pub(super) struct DuckDb {
    command: OsString,
    version: String,
}

impl DuckDb {
    /// Finds the command that `AKOSHA_DUCKDB` names, else `duckdb` on the PATH.
    ///
    /// # Errors
    /// Fails where there is none, or it is none of DuckDB.
    pub(super) fn find() -> Result<Self, DatabaseError> {
        let named = std::env::var_os(VARIABLE).filter(|name| !name.is_empty());
        let is_named = named.is_some();
        let command = absolute(named.unwrap_or_else(|| "duckdb".into()));
        let shown = command.display().to_string();
        let bad = |reason: String| DatabaseError::BadCommand {
            command: shown.clone(),
            reason,
        };
        let answer = Command::new(&command)
            .arg("--version")
            .stdin(Stdio::null())
            .output()
            .map_err(|error| match error.kind() {
                std::io::ErrorKind::NotFound if !is_named => DatabaseError::NoCommand,
                _ => bad(error.to_string()),
            })?;
        let said = String::from_utf8_lossy(&answer.stdout);
        match said.split_whitespace().find(|word| is_version(word)) {
            Some(version) if answer.status.success() => Ok(Self {
                version: version.to_owned(),
                command,
            }),
            _ => Err(bad(match first_line(&answer.stderr) {
                line if line.is_empty() => "it does not tell its version".into(),
                line => line,
            })),
        }
    }

    /// Runs statements on a copy, which they know as `sb`, and gives `each` every line of the
    /// answer. The copy is not changed. Holds one line.
    ///
    /// # Errors
    /// Fails where the database cannot be read, and with what `each` answers; `original` is how
    /// errors name the database.
    pub(super) fn run(
        &self,
        copy: &DatabaseCopy,
        original: &Path,
        statements: impl Iterator<Item = String>,
        each: &mut dyn FnMut(&[u8]) -> Result<(), ImportError>,
    ) -> Result<(), ImportError> {
        let script = Script::write(copy, statements)?;
        let mut child = Running(
            script
                .start(&self.command)
                .map_err(DatabaseError::io("run DuckDB's command on", original))?,
        );
        let unreadable = |reason: String| DatabaseError::Unreadable {
            path: original.to_owned(),
            reason,
        };
        if let Some(output) = child.0.stdout.take() {
            let mut output = BufReader::with_capacity(1 << 16, output);
            let mut line = Vec::new();
            loop {
                line.clear();
                (&mut output)
                    .take(MAX_LINE)
                    .read_until(b'\n', &mut line)
                    .map_err(|error| unreadable(error.to_string()))?;
                match line.strip_suffix(b"\n") {
                    Some(whole) => each(whole.strip_suffix(b"\r").unwrap_or(whole))?,
                    None if line.is_empty() => break,
                    // What it says to standard error tells why it ended here.
                    None if (line.len() as u64) < MAX_LINE => break,
                    None => {
                        return Err(unreadable("a line of its answer is too long".into()).into());
                    }
                }
            }
        }
        let status = child
            .0
            .wait()
            .map_err(|error| unreadable(error.to_string()))?;
        if status.success() {
            return Ok(());
        }
        let said = script.said();
        Err(self
            .explain(copy, original, &said, &status.to_string())
            .into())
    }

    /// Makes an error of what the command wrote to standard error.
    fn explain(
        &self,
        copy: &DatabaseCopy,
        original: &Path,
        said: &[u8],
        status: &str,
    ) -> DatabaseError {
        let text = String::from_utf8_lossy(said);
        if text.contains("version number") && text.contains("can only read") {
            return DatabaseError::OtherVersion {
                path: original.to_owned(),
                written_by: copy.written_by.clone(),
                command: self.command.display().to_string(),
                version: self.version.clone(),
                is_newer: !text.contains("older version"),
            };
        }
        let copied = copy.path.display().to_string();
        DatabaseError::Unreadable {
            path: original.to_owned(),
            reason: match first_line(said) {
                line if line.is_empty() => format!("DuckDB's command ended with {status}"),
                line => line.replace(&copied, &original.display().to_string()),
            },
        }
    }
}

/// A script in files beside the copy: the command could block on a pipe for its input while this
/// side waits for its answer.
struct Script {
    folder: PathBuf,
    input: PathBuf,
    errors: PathBuf,
}

/// An empty file: the user's own start-up file is not wanted.
const START_UP: &str = "empty";

impl Script {
    fn write(
        copy: &DatabaseCopy,
        statements: impl Iterator<Item = String>,
    ) -> Result<Self, DatabaseError> {
        let folder = copy.path.parent().unwrap_or(&copy.path);
        let script = Self {
            input: folder.join("script.sql"),
            errors: folder.join("errors"),
            folder: folder.to_owned(),
        };
        let write = || {
            fs::write(folder.join(START_UP), "")?;
            let mut file = std::io::BufWriter::new(File::create(&script.input)?);
            // Attached, since a log may say what only works once a database is open.
            let name = copy.path.file_name().unwrap_or_default();
            let name = quote(&name.to_string_lossy());
            writeln!(file, "{SETTINGS}\nATTACH {name} AS sb (READ_ONLY);")?;
            for statement in statements {
                writeln!(file, "{statement};")?;
            }
            file.flush()
        };
        write().map_err(DatabaseError::io("write", &script.input))?;
        Ok(script)
    }

    fn start(&self, command: &OsString) -> std::io::Result<Child> {
        Command::new(command)
            .args(["-batch", "-bail", "-noheader", "-list", "-init", START_UP])
            .arg(":memory:")
            .current_dir(&self.folder)
            .stdin(File::open(&self.input)?)
            .stdout(Stdio::piped())
            .stderr(File::create(&self.errors)?)
            .spawn()
    }

    fn said(&self) -> Vec<u8> {
        let mut said = Vec::new();
        if let Ok(file) = File::open(&self.errors) {
            // What cannot be read is only lacking in a message.
            let _ = file.take(MAX_ERROR).read_to_end(&mut said);
        }
        said
    }
}

/// A command that ends with this.
struct Running(Child);

impl Drop for Running {
    fn drop(&mut self) {
        // It has ended already where all of its answer was read.
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

/// Returns a text as a literal of SQL.
pub(super) fn quote(text: &str) -> String {
    format!("'{}'", text.replace('\'', "''"))
}

/// Returns a name as an identifier of SQL.
pub(super) fn identifier(name: &str) -> String {
    format!("\"{}\"", name.replace('"', "\"\""))
}

/// Returns a command that means the same from any folder; one without a slash is looked for.
fn absolute(command: OsString) -> OsString {
    match Path::new(&command).components().count() {
        ..=1 => command,
        _ => std::path::absolute(&command).map_or(command, PathBuf::into_os_string),
    }
}

fn is_version(word: &str) -> bool {
    word.strip_prefix('v')
        .is_some_and(|rest| rest.starts_with(|c: char| c.is_ascii_digit()))
}

/// Returns the first line with words in it, without control characters and cut.
fn first_line(said: &[u8]) -> String {
    let text = String::from_utf8_lossy(said);
    let line = text.lines().map(str::trim).find(|line| !line.is_empty());
    let plain = line.unwrap_or_default().chars().filter(|c| !c.is_control());
    plain.take(500).collect()
}
