//! Copies a database that Session-Buddy may be writing, so that the copy is what lay on disk at
//! one moment and Session-Buddy notices nothing.
//!
//! DuckDB appends what is committed to a log beside the database. A checkpoint writes it to free
//! blocks of the database, then one of the two headers in its first 12 KiB, which makes them
//! count, and cuts the log. So a copy is whole where no header changed from before to after it and
//! each log only grew: what is missing of it was committed later. DuckDB recovers from such a copy
//! as it does after a loss of power. <https://duckdb.org/docs/stable/internals/storage>

use std::fs::{self, File};
use std::io::{self, Read, Seek, SeekFrom};
use std::path::{Path, PathBuf};
use std::time::{Duration, SystemTime};

use super::error::DatabaseError;

/// What follows the name of the database in those of its logs; the last two stand beside the
/// first during a checkpoint and while one is made up for.
const LOGS: [&str; 3] = [".wal", ".wal.checkpoint", ".wal.recovery"];

/// Bytes that hold the headers.
const HEADERS: u64 = 3 * 4096;

/// Where the file says that it is a database of DuckDB.
const MAGIC: (usize, &[u8]) = (8, b"DUCK");

/// Where the version that wrote it stands, as text that ends in zeros.
const WRITTEN_BY: std::ops::Range<usize> = 52..84;

/// How often a copy is tried while the database is being written.
const TRIES: u32 = 60;

/// The pause after a try.
const PAUSE: Duration = Duration::from_millis(250);

/// A copy of a database with its logs. The folder that it lies in is its maker's to remove.
#[derive(Debug)]
pub(super) struct DatabaseCopy {
    /// The copy.
    pub(super) path: PathBuf,
    /// The version of DuckDB that wrote the database, such as `v1.5.5`.
    pub(super) written_by: String,
}

impl DatabaseCopy {
    /// Copies the database at `from` into `folder`. Blocks, for up to 15 s and the time of the
    /// copies while the database is written.
    ///
    /// # Errors
    /// Fails where the file is no database, is locked, keeps changing, or there is no room.
    pub(super) fn take(from: &Path, folder: &Path) -> Result<Self, DatabaseError> {
        for attempt in 0..TRIES {
            if attempt > 0 {
                std::thread::sleep(PAUSE);
            }
            if let Some(copy) = attempt_copy(from, folder)? {
                return Ok(copy);
            }
        }
        Err(DatabaseError::Busy {
            path: from.to_owned(),
        })
    }
}

/// Copies once; `None` where the database was written in a way that tears the copy.
fn attempt_copy(from: &Path, folder: &Path) -> Result<Option<DatabaseCopy>, DatabaseError> {
    let before = Seen::look(from)?;
    let is_database = before
        .headers
        .get(MAGIC.0..)
        .is_some_and(|rest| rest.starts_with(MAGIC.1));
    if !is_database {
        return Err(DatabaseError::NotADatabase {
            path: from.to_owned(),
        });
    }
    let to = folder.join("database.duckdb");
    // What an earlier try left, which may be read-only as its source is.
    for suffix in [""].into_iter().chain(LOGS) {
        let old = with_suffix(&to, suffix);
        match fs::remove_file(&old) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => {
                return Err(DatabaseError::io("replace", old)(error));
            }
            _ => {}
        }
    }
    fs::copy(from, &to).map_err(|error| failed(from, error))?;
    for log in &before.logs {
        let log_from = with_suffix(from, log);
        match fs::copy(&log_from, with_suffix(&to, log)) {
            Ok(_) => {}
            // A checkpoint cut it.
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
            Err(error) => return Err(failed(&log_from, error)),
        }
    }
    let copied = headers(&to).map_err(DatabaseError::io("read", &to))?;
    if Seen::look(from)? != before || copied != before.headers {
        return Ok(None);
    }
    for log in &before.logs {
        if !is_prefix(&with_suffix(&to, log), &with_suffix(from, log))? {
            return Ok(None);
        }
    }
    Ok(Some(DatabaseCopy {
        path: to,
        written_by: written_by(&before.headers),
    }))
}

/// What tells whether a database was written in between, its logs apart.
#[derive(Debug, PartialEq, Eq)]
struct Seen {
    headers: Vec<u8>,
    size: u64,
    modified: Option<SystemTime>,
    logs: Vec<&'static str>,
}

impl Seen {
    fn look(path: &Path) -> Result<Self, DatabaseError> {
        let metadata = fs::metadata(path).map_err(|error| failed(path, error))?;
        if !metadata.is_file() {
            return Err(DatabaseError::NotADatabase {
                path: path.to_owned(),
            });
        }
        let logs = LOGS
            .into_iter()
            .filter(|log| with_suffix(path, log).is_file());
        Ok(Self {
            logs: logs.collect(),
            headers: headers(path).map_err(|error| failed(path, error))?,
            size: metadata.len(),
            modified: metadata.modified().ok(),
        })
    }
}

fn headers(path: &Path) -> io::Result<Vec<u8>> {
    let mut headers = Vec::new();
    File::open(path)?.take(HEADERS).read_to_end(&mut headers)?;
    Ok(headers)
}

fn written_by(headers: &[u8]) -> String {
    let text = headers.get(WRITTEN_BY).unwrap_or_default();
    let text = String::from_utf8_lossy(text);
    let text = text.trim_end_matches('\0');
    let is_version = text.starts_with('v') && text.chars().all(|c| c.is_ascii_graphic());
    if is_version {
        text
    } else {
        "of another version"
    }
    .to_owned()
}

/// Returns whether a log still begins with what was copied of it.
fn is_prefix(copy: &Path, log: &Path) -> Result<bool, DatabaseError> {
    let mut copied = File::open(copy).map_err(DatabaseError::io("read", copy))?;
    let mut now = match File::open(log) {
        Ok(file) => file,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(false),
        Err(error) => return Err(failed(log, error)),
    };
    let mut left = copied
        .seek(SeekFrom::End(0))
        .and_then(|end| copied.rewind().map(|()| end))
        .map_err(DatabaseError::io("read", copy))?;
    let (mut ours, mut theirs) = (vec![0; 1 << 16], vec![0; 1 << 16]);
    while left > 0 {
        let size = left.min(1 << 16) as usize;
        let (ours, theirs) = (&mut ours[..size], &mut theirs[..size]);
        copied
            .read_exact(ours)
            .map_err(DatabaseError::io("read", copy))?;
        match now.read_exact(theirs) {
            Ok(()) if ours == theirs => left -= size as u64,
            Ok(()) => return Ok(false),
            Err(error) if error.kind() == io::ErrorKind::UnexpectedEof => return Ok(false),
            Err(error) => return Err(failed(log, error)),
        }
    }
    Ok(true)
}

/// Tells a lock, as Windows enforces it on every reader, from other failures.
fn failed(path: &Path, error: io::Error) -> DatabaseError {
    const SHARING_VIOLATION: i32 = 32;
    const LOCK_VIOLATION: i32 = 33;
    let code = error.raw_os_error();
    let is_lock = matches!(code, Some(SHARING_VIOLATION | LOCK_VIOLATION));
    if cfg!(windows) && is_lock {
        return DatabaseError::Locked {
            path: path.to_owned(),
        };
    }
    DatabaseError::io("copy", path)(error)
}

fn with_suffix(path: &Path, suffix: &str) -> PathBuf {
    let mut path = path.as_os_str().to_owned();
    path.push(suffix);
    path.into()
}

#[cfg(test)]
mod tests {
    use std::io::Write;
    use std::sync::Arc;
    use std::sync::atomic::{AtomicBool, Ordering};

    use super::*;

    /// Bytes of one of the two areas behind the headers.
    const AREA: usize = 20_000;

    /// Returns headers that say `number`.
    fn headers_of(number: u8) -> Vec<u8> {
        let mut bytes = vec![number; HEADERS as usize];
        bytes[8..12].copy_from_slice(b"DUCK");
        bytes[52..84].fill(0);
        bytes[52..58].copy_from_slice(b"v1.5.5");
        bytes
    }

    /// Returns a database whose headers say `number`, which stands in one of two areas.
    fn database(number: u8) -> Vec<u8> {
        let mut bytes = headers_of(number);
        bytes.resize(bytes.len() + 2 * AREA, number);
        bytes
    }

    struct Folder(tempfile::TempDir);

    impl Folder {
        fn new() -> Self {
            let folder = tempfile::tempdir().unwrap();
            fs::create_dir(folder.path().join("copy")).unwrap();
            Self(folder)
        }

        fn path(&self) -> PathBuf {
            self.0.path().join("reflection.duckdb")
        }

        fn take(&self) -> Result<DatabaseCopy, DatabaseError> {
            DatabaseCopy::take(&self.path(), &self.0.path().join("copy"))
        }
    }

    #[test]
    fn a_database_is_copied_with_all_of_its_logs() {
        let folder = Folder::new();
        fs::write(folder.path(), database(1)).unwrap();
        for (log, text) in LOGS.into_iter().zip(["a", "b", "c"]) {
            fs::write(with_suffix(&folder.path(), log), text).unwrap();
        }
        let copy = folder.take().unwrap();
        assert_eq!(copy.written_by, "v1.5.5");
        assert_eq!(fs::read(&copy.path).unwrap(), database(1));
        for (log, text) in LOGS.into_iter().zip(["a", "b", "c"]) {
            assert_eq!(
                fs::read_to_string(with_suffix(&copy.path, log)).unwrap(),
                text
            );
        }
        // A log of an earlier try is not mixed with a later state of the database.
        for log in LOGS {
            fs::remove_file(with_suffix(&folder.path(), log)).unwrap();
        }
        let copy = folder.take().unwrap();
        assert!(
            LOGS.iter()
                .all(|log| !with_suffix(&copy.path, log).exists())
        );
    }

    #[test]
    fn what_is_no_database_is_told() {
        let folder = Folder::new();
        let error = folder.take().unwrap_err();
        assert_eq!(error.kind(), akosha_core::ErrorKind::NotFound);
        for bytes in [&b""[..], b"SQLite format 3\0", &vec![7; 30_000]] {
            fs::write(folder.path(), bytes).unwrap();
            let error = folder.take().unwrap_err();
            assert!(
                matches!(error, DatabaseError::NotADatabase { .. }),
                "{error}"
            );
        }
    }

    /// A writer that works as DuckDB does: the log grows; from time to time what it says is written
    /// to an area that is free, then the headers say so, then the log is removed.
    fn write_on(path: &Path, stop: &AtomicBool) {
        let log = with_suffix(path, ".wal");
        let mut number = 1_u8;
        while !stop.load(Ordering::Relaxed) {
            for _ in 0..20 {
                let mut options = File::options();
                let mut log = options.append(true).create(true).open(&log).unwrap();
                log.write_all(&[number; 100]).unwrap();
                std::thread::sleep(Duration::from_millis(5));
            }
            number = number % 200 + 1;
            let mut file = File::options().write(true).open(path).unwrap();
            let area = HEADERS + u64::from(number % 2) * AREA as u64;
            file.seek(SeekFrom::Start(area)).unwrap();
            file.write_all(&vec![number; AREA]).unwrap();
            file.rewind().unwrap();
            file.write_all(&headers_of(number)).unwrap();
            fs::remove_file(&log).unwrap();
        }
    }

    #[test]
    fn a_database_that_is_written_all_the_time_is_copied_as_of_one_moment() {
        let folder = Folder::new();
        fs::write(folder.path(), database(1)).unwrap();
        let stop = Arc::new(AtomicBool::new(false));
        let writer = std::thread::spawn({
            let (path, stop) = (folder.path(), Arc::clone(&stop));
            move || write_on(&path, &stop)
        });
        for _ in 0..20 {
            let copy = folder.take().unwrap();
            let bytes = fs::read(&copy.path).unwrap();
            let number = bytes[0];
            let area = HEADERS as usize + usize::from(number % 2) * AREA;
            assert!(bytes[..8].iter().all(|byte| *byte == number));
            assert!(bytes[area..area + AREA].iter().all(|byte| *byte == number));
            if let Ok(log) = fs::read(with_suffix(&copy.path, ".wal")) {
                // The log of the state before is there until it is removed.
                let first = log.first().copied().unwrap_or(number);
                assert!([number, number - 1].contains(&first), "{number}: {first}");
                assert!(log.iter().all(|byte| *byte == first), "{log:?}");
            }
        }
        stop.store(true, Ordering::Relaxed);
        writer.join().unwrap();
    }
}
