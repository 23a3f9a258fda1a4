//! The audit log: who wrote or decided what, one JSON object in each line of
//! `<home>/logs/audit.jsonl`.
//!
//! The file is for its owner alone. At 8 MiB it is put aside and a new one begun; four of them are
//! kept. Where a line cannot be written, the server says so and counts it, and goes on: memories
//! that are not stored are worse than a write that is not on record.

use std::collections::HashMap;
use std::fs::{self, File, OpenOptions};
use std::io::{self, Write};
use std::net::IpAddr;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use akosha_core::{Clock, Scope, metric, time};
use akosha_mcp::Done;
use serde_json::json;
use tokio::time::Instant;
use tokio_util::task::TaskTracker;

use super::guard::Caller;

/// Size in bytes at which a file is put aside.
const MAX_SIZE: u64 = 8 << 20;

/// Files that are kept beside the one that is written.
const KEPT: u32 = 4;

/// How often a source that is refused again and again is noted.
const AGAIN: Duration = Duration::from_hours(1);

/// Sources of refusals that are remembered.
const MAX_SOURCES: usize = 1000;

/// How often it is told that lines cannot be written.
const TELL_AGAIN: Duration = Duration::from_mins(1);

/// The log. Clones share it.
#[derive(Debug, Clone)]
pub(super) struct Audit {
    inner: Arc<Inner>,
}

#[derive(Debug)]
struct Inner {
    path: PathBuf,
    clock: Arc<dyn Clock>,
    file: Mutex<Option<File>>,
    told: Mutex<Option<Instant>>,
    /// When each source was refused and noted last.
    refused: Mutex<HashMap<IpAddr, Instant>>,
    writing: TaskTracker,
}

/// Who did something.
#[derive(Debug, Clone)]
pub(super) struct By {
    pub(super) caller: Caller,
    pub(super) from: Option<IpAddr>,
}

impl Audit {
    /// Creates the log of a home; nothing is written or created yet.
    pub(super) fn new(home: &Path, clock: Arc<dyn Clock>) -> Self {
        Self {
            inner: Arc::new(Inner {
                path: home.join("logs").join("audit.jsonl"),
                clock,
                file: Mutex::default(),
                told: Mutex::default(),
                refused: Mutex::default(),
                writing: TaskTracker::new(),
            }),
        }
    }

    /// Notes what somebody did, or was kept from doing.
    pub(super) fn done(&self, by: &By, done: &Done) {
        let who = by.caller.who.as_ref();
        self.write(&json!({
            "at": self.now(),
            "event": "call",
            "token": who.map(|who| json!({"id": who.id, "name": who.name})),
            "from": by.from,
            "action": done.action,
            "scope": done.scope,
            "systems": done.systems,
            "uploads": done.uploads,
            "items": done.items,
            "outcome": done.outcome.as_str(),
            "error": done.error,
        }));
    }

    /// Notes that a request was beyond the scope of who sent it.
    pub(super) fn beyond_scope(&self, by: &By, action: &str, wanted: Scope) {
        self.done(by, &Done::refused(action, wanted));
    }

    /// Notes the first request of a source that is not let in, once in a while.
    pub(super) fn refused(&self, from: IpAddr, reason: &'static str) {
        let now = Instant::now();
        {
            let mut known = lock(&self.inner.refused);
            if known.get(&from).is_some_and(|noted| now - *noted < AGAIN) {
                return;
            }
            if known.len() >= MAX_SOURCES {
                known.retain(|_, noted| now - *noted < AGAIN);
            }
            // Thousands of sources are no longer told one by one.
            if known.len() >= MAX_SOURCES {
                return;
            }
            known.insert(from, now);
        }
        self.write(&json!({
            "at": self.now(),
            "event": "refused",
            "from": from,
            "reason": reason,
        }));
    }

    /// Waits until what was noted is written.
    pub(super) async fn finish(&self) {
        self.inner.writing.close();
        self.inner.writing.wait().await;
    }

    fn now(&self) -> String {
        time::format(self.inner.clock.now())
    }

    /// Writes a line on a thread that may block, whatever becomes of who asked.
    fn write(&self, line: &serde_json::Value) {
        let line = format!("{line}\n");
        let inner = Arc::clone(&self.inner);
        self.inner
            .writing
            .spawn_blocking(move || inner.append(&line));
    }
}

impl Inner {
    fn append(&self, line: &str) {
        let Err(error) = self.try_append(line) else {
            return;
        };
        metrics::counter!(metric::AUDIT_FAILURES.name).increment(1);
        let now = Instant::now();
        let mut told = lock(&self.told);
        if told.is_none_or(|told| now - told > TELL_AGAIN) {
            tracing::error!(%error, path = %self.path.display(), "the audit log cannot be written");
            *told = Some(now);
        }
    }

    fn try_append(&self, line: &str) -> io::Result<()> {
        let mut kept = lock(&self.file);
        let size = match &*kept {
            Some(file) => file.metadata()?.len(),
            None => 0,
        };
        if size + line.len() as u64 > MAX_SIZE {
            *kept = None;
            rotate(&self.path)?;
        }
        let mut file = match kept.take() {
            Some(file) => file,
            None => open(&self.path)?,
        };
        // One call, so that lines of two processes do not mix. A file that fails is opened anew.
        file.write_all(line.as_bytes())?;
        *kept = Some(file);
        Ok(())
    }
}

fn open(path: &Path) -> io::Result<File> {
    if let Some(folder) = path.parent() {
        fs::create_dir_all(folder)?;
    }
    let mut options = OpenOptions::new();
    options.append(true).create(true);
    #[cfg(unix)]
    {
        use std::os::unix::fs::OpenOptionsExt;
        options.mode(0o600);
    }
    options.open(path)
}

/// Puts the file aside, and what was put aside before by one place; the oldest goes.
fn rotate(path: &Path) -> io::Result<()> {
    let aside = |n: u32| path.with_extension(format!("jsonl.{n}"));
    for n in (1..KEPT).rev() {
        if aside(n).exists() {
            fs::rename(aside(n), aside(n + 1))?;
        }
    }
    match fs::rename(path, aside(1)) {
        // Another server of the home was faster.
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(()),
        other => other,
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

#[cfg(test)]
mod tests {
    use akosha_core::SystemClock;

    use super::*;

    fn audit(home: &Path) -> Audit {
        Audit::new(home, Arc::new(SystemClock))
    }

    #[tokio::test]
    async fn a_source_is_noted_once() {
        let home = tempfile::tempdir().unwrap();
        let audit = audit(home.path());
        for n in 0..2000_u32 {
            audit.refused(IpAddr::from(n.to_be_bytes()), "missing");
            audit.refused(IpAddr::from([10, 0, 0, 1]), "unknown");
        }
        audit.finish().await;
        let text = fs::read_to_string(home.path().join("logs/audit.jsonl")).unwrap();
        assert_eq!(text.lines().count(), MAX_SOURCES);
        assert_eq!(text.matches("10.0.0.1").count(), 1);
    }

    #[test]
    fn the_log_is_bounded_and_for_its_owner_alone() {
        let home = tempfile::tempdir().unwrap();
        let audit = audit(home.path());
        let line = "x".repeat(1 << 20);
        for _ in 0..60 {
            audit.inner.try_append(&line).unwrap();
        }
        let files = fs::read_dir(home.path().join("logs")).unwrap();
        let sizes: Vec<u64> = files
            .map(|file| file.unwrap().metadata().unwrap().len())
            .collect();
        assert_eq!(sizes.len(), 1 + KEPT as usize);
        assert!(sizes.iter().all(|size| *size <= MAX_SIZE), "{sizes:?}");
        #[cfg(unix)]
        {
            use std::os::unix::fs::PermissionsExt;
            let path = home.path().join("logs/audit.jsonl");
            let mode = fs::metadata(path).unwrap().permissions().mode();
            assert_eq!(mode & 0o777, 0o600);
        }
    }

    #[tokio::test]
    async fn a_log_that_cannot_be_written_stops_nobody() {
        let home = tempfile::tempdir().unwrap();
        fs::write(home.path().join("logs"), "in the way").unwrap();
        let audit = audit(home.path());
        audit.refused(IpAddr::from([10, 0, 0, 1]), "missing");
        audit.finish().await;
        fs::remove_file(home.path().join("logs")).unwrap();
        audit.refused(IpAddr::from([10, 0, 0, 2]), "missing");
        audit.finish().await;
        let text = fs::read_to_string(home.path().join("logs/audit.jsonl")).unwrap();
        assert!(text.contains("10.0.0.2"), "{text}");
    }
}
