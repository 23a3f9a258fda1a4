//! Copies a file that others may be writing, together with its logs, so that the copies are what
//! lay on disk at one moment: what a database finds after a crash, and recovers from.

use std::fs::{self, Metadata};
use std::io;
use std::path::{Path, PathBuf};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use akosha_store::PUSH_PREFIX;
use tempfile::TempDir;

use super::{FileError, FileSource};

/// What databases append to the name of a file for the logs that belong to it: DuckDB, also during
/// a checkpoint and while one is made up for; SQLite in write-ahead mode; SQLite otherwise.
const LOGS: [&str; 5] = [
    ".wal",
    ".wal.checkpoint",
    ".wal.recovery",
    "-wal",
    "-journal",
];

/// How often a copy is tried while somebody writes the file.
const TRIES: u32 = 6;

/// The pause after the first try; twice as long after each further one, 3 s in all.
const PAUSE: Duration = Duration::from_millis(100);

/// A change that is younger may have a later one behind the same time: file systems count time in
/// ticks of up to 10 ms.
const SETTLED: Duration = Duration::from_millis(30);

/// Copies of a file and its logs; they vanish with this.
#[derive(Debug)]
pub(crate) struct Snapshot {
    /// The copies, the file first.
    pub(crate) parts: Vec<Part>,
    /// The state that was copied: see [`signature`].
    pub(crate) signature: String,
    _folder: TempDir,
}

/// One copy.
#[derive(Debug)]
pub(crate) struct Part {
    /// Its name in the manifest.
    pub(crate) name: String,
    /// Where the copy lies.
    pub(crate) path: PathBuf,
}

/// The state of one file that tells whether it was written in between.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Stamp {
    suffix: &'static str,
    size: u64,
    modified: SystemTime,
    identity: u64,
}

/// Returns what the names of a file and of its logs end in: nothing, then the logs' suffixes.
pub(crate) fn log_suffixes() -> impl Iterator<Item = &'static str> {
    std::iter::once("").chain(LOGS)
}

/// Returns a text that differs once the file or one of its logs was written, made or removed.
pub(crate) fn signature(source: &FileSource) -> Result<String, FileError> {
    stamps(source).map(|stamps| shown(&stamps))
}

impl Snapshot {
    /// Copies a file and its logs into a folder of their own in `temporary`. Where the file system
    /// can share the blocks of two files, the copies take no time and no space. Blocks.
    ///
    /// # Errors
    /// Fails where the file keeps changing, cannot be read, or the copies find no room.
    pub(crate) fn take(source: &FileSource, temporary: &Path) -> Result<Self, FileError> {
        let folder = tempfile::Builder::new()
            .prefix(PUSH_PREFIX)
            .tempdir_in(temporary)
            .map_err(FileError::io("create a folder in", temporary))?;
        for attempt in 0..TRIES {
            if attempt > 0 {
                std::thread::sleep(PAUSE * 2_u32.pow(attempt - 1));
            }
            let before = stamps(source)?;
            if before.iter().any(|stamp| !is_settled(stamp.modified)) {
                continue;
            }
            let Some(parts) = copy(source, &before, folder.path())? else {
                continue;
            };
            if stamps(source)? == before {
                return Ok(Self {
                    parts,
                    signature: shown(&before),
                    _folder: folder,
                });
            }
        }
        Err(FileError::Busy {
            path: source.path.clone(),
        })
    }
}

/// Copies the files that `stamps` found; `None` where one has vanished since.
fn copy(
    source: &FileSource,
    stamps: &[Stamp],
    folder: &Path,
) -> Result<Option<Vec<Part>>, FileError> {
    let mut parts = Vec::new();
    for stamp in stamps {
        let from = with_suffix(&source.path, stamp.suffix);
        let name = format!("{}{}", source.name, stamp.suffix);
        let to = folder.join(&name);
        match fs::remove_file(&to) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => {
                return Err(FileError::io("replace", &to)(error));
            }
            _ => {}
        }
        match reflink_copy::reflink_or_copy(&from, &to) {
            Ok(_) => {}
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
            Err(error) => return Err(FileError::io("copy", &from)(error)),
        }
        parts.push(Part { name, path: to });
    }
    Ok(Some(parts))
}

fn stamps(source: &FileSource) -> Result<Vec<Stamp>, FileError> {
    let mut stamps = Vec::new();
    for suffix in log_suffixes() {
        let path = with_suffix(&source.path, suffix);
        match path.metadata() {
            Ok(metadata) if metadata.is_file() => stamps.push(Stamp {
                suffix,
                size: metadata.len(),
                modified: metadata
                    .modified()
                    .map_err(FileError::io("look at", &path))?,
                identity: identity(&metadata),
            }),
            Ok(_) if suffix.is_empty() => return Err(FileError::NotAFile { path }),
            // A folder that happens to have a log's name.
            Ok(_) => {}
            Err(error) if error.kind() == io::ErrorKind::NotFound && !suffix.is_empty() => {}
            Err(error) => return Err(FileError::io("look at", &path)(error)),
        }
    }
    Ok(stamps)
}

fn shown(stamps: &[Stamp]) -> String {
    let parts: Vec<String> = stamps
        .iter()
        .map(|stamp| {
            let since = stamp.modified.duration_since(UNIX_EPOCH);
            let nanos = since.map_or(0, |since| since.as_nanos());
            format!("{}:{}:{nanos}:{}", stamp.suffix, stamp.size, stamp.identity)
        })
        .collect();
    parts.join(" ")
}

/// Returns whether a change at `modified` is old enough to be told from a later one. A time in
/// the future, from another machine's clock, counts as old.
fn is_settled(modified: SystemTime) -> bool {
    modified.elapsed().map_or(true, |age| age >= SETTLED)
}

fn with_suffix(path: &Path, suffix: &str) -> PathBuf {
    let mut path = path.as_os_str().to_owned();
    path.push(suffix);
    path.into()
}

/// Returns what tells a file from another one that took its name.
#[cfg(unix)]
fn identity(metadata: &Metadata) -> u64 {
    std::os::unix::fs::MetadataExt::ino(metadata)
}

#[cfg(windows)]
fn identity(metadata: &Metadata) -> u64 {
    std::os::windows::fs::MetadataExt::creation_time(metadata)
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;
    use std::sync::atomic::{AtomicBool, Ordering};

    use super::*;

    fn source(path: &Path) -> FileSource {
        FileSource {
            name: path.file_name().unwrap().to_str().unwrap().into(),
            path: path.into(),
        }
    }

    #[test]
    fn a_file_is_copied_with_its_log() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("notes.duckdb");
        fs::write(&path, "pages").unwrap();
        fs::write(folder.path().join("notes.duckdb.wal"), "log").unwrap();
        let source = source(&path);
        let before = signature(&source).unwrap();
        let snapshot = Snapshot::take(&source, folder.path()).unwrap();
        assert_eq!(snapshot.signature, before);
        let found: Vec<(&str, Vec<u8>)> = snapshot
            .parts
            .iter()
            .map(|part| (&*part.name, fs::read(&part.path).unwrap()))
            .collect();
        assert_eq!(
            found,
            [
                ("notes.duckdb", b"pages".to_vec()),
                ("notes.duckdb.wal", b"log".to_vec())
            ]
        );
        let copies = snapshot.parts[0].path.clone();
        drop(snapshot);
        assert!(!copies.exists(), "the copies are left behind");
        fs::remove_file(folder.path().join("notes.duckdb.wal")).unwrap();
        assert_ne!(signature(&source).unwrap(), before);
    }

    #[test]
    fn a_file_that_is_written_all_the_time_is_said_to_be_busy() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("busy.db");
        fs::write(&path, "0").unwrap();
        let stop = Arc::new(AtomicBool::new(false));
        let writer = std::thread::spawn({
            let (path, stop) = (path.clone(), Arc::clone(&stop));
            move || {
                let mut round = 0_u64;
                while !stop.load(Ordering::Relaxed) {
                    round += 1;
                    fs::write(&path, round.to_string()).unwrap();
                    std::thread::sleep(Duration::from_millis(2));
                }
            }
        });
        // The writer may stand still for once on a busy machine.
        let taken = (0..5).find_map(|_| Snapshot::take(&source(&path), folder.path()).err());
        stop.store(true, Ordering::Relaxed);
        writer.join().unwrap();
        assert!(matches!(taken, Some(FileError::Busy { .. })), "{taken:?}");
        // It holds still now.
        Snapshot::take(&source(&path), folder.path()).unwrap();
    }
}
