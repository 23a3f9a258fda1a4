//! The demo: the whole loop in a temporary folder, on two systems and text that it carries.
//!
//! Nothing in it is staged: it calls the store and the sync that every other command calls.

mod machine;
mod report;
mod step;

use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use akosha_core::redact::Redactor;
use akosha_core::{ErrorKind, Invalid, MemoryInput, NewMemory};
use akosha_store::{SearchQuery, StoreError, Trigger};
use akosha_sync::{NoProgress, SyncError, SyncRequest};
use tempfile::TempDir;
use tokio_util::sync::CancellationToken;

use machine::Machine;
pub(crate) use report::{DemoReport, Step};
use step::{Steps, check};

/// What the laptop learns, one memory a line.
const MEMORIES: &str = include_str!("memories.jsonl");

/// What the desktop is asked, and the memory that answers it.
const QUESTION: &str = "why did the export time out?";
const ANSWER: &str = "demo-01";

/// What the laptop learns later about it.
const CORRECTION: &str = "The nightly export timed out because the connection pool was exhausted. \
     Closing the transaction before sending mail fixed it; the pool now also gives up after 5 s.";

/// What to type next.
const NEXT: [(&str, &str); 4] = [
    (
        "akosha store \"what to remember\"",
        "remember something of your own",
    ),
    ("akosha search \"what was it?\"", "find it again"),
    (
        "akosha config init",
        "name the bucket or folder that you own, for sync",
    ),
    (
        "claude mcp add --scope user akosha -- akosha mcp",
        "give it to Claude Code",
    ),
];

/// Why the demo stopped. The steps before were told already; nothing is left behind.
#[derive(Debug, thiserror::Error)]
pub(crate) enum DemoError {
    /// A step did not do what it must.
    #[error("step `{step}` failed: {message}")]
    Check {
        /// The step.
        step: &'static str,
        /// What was found instead.
        message: String,
    },
    /// The store failed.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// The sync failed.
    #[error(transparent)]
    Sync(#[from] SyncError),
    /// The temporary folder could not be used.
    #[error("cannot use `{}`: {source}", path.display())]
    Folder {
        /// The folder or file.
        path: PathBuf,
        /// What the system said.
        source: io::Error,
    },
}

impl DemoError {
    /// Returns what the caller has to do about it.
    pub(crate) fn kind(&self) -> ErrorKind {
        match self {
            Self::Check { .. } => ErrorKind::Internal,
            Self::Store(error) => error.kind(),
            Self::Sync(error) => error.kind(),
            Self::Folder { .. } => ErrorKind::Storage,
        }
    }

    /// Returns what to do now, where there is something to do.
    pub(crate) fn hint(&self) -> Option<String> {
        match self {
            Self::Check { .. } => None,
            Self::Store(error) => error.hint(),
            Self::Sync(error) => error.hint(),
            Self::Folder { .. } => Some(
                "name a folder with space for temporary files: `TMPDIR=DIR akosha demo`".into(),
            ),
        }
    }
}

impl From<Invalid> for DemoError {
    fn from(error: Invalid) -> Self {
        Self::Store(error.into())
    }
}

/// Runs the demo and tells `out` of every step when it is done.
///
/// # Errors
/// Fails where a step does not do what it must.
pub(crate) async fn run(out: &mut dyn FnMut(&Step)) -> Result<DemoReport, DemoError> {
    let mut steps = Steps::new(out);
    let folder = tempfile::Builder::new()
        .prefix("akosha-demo-")
        .tempdir()
        .map_err(|source| DemoError::Folder {
            path: std::env::temp_dir(),
            source,
        })?;
    let vault = folder.path().join("vault");
    let laptop = Machine::start("demo-laptop", folder.path(), &vault).await?;
    let desktop = Machine::start("demo-desktop", folder.path(), &vault).await?;
    steps.done("start", "two homes and a folder as the vault".into());

    let known = learn(&laptop, &mut steps).await?;
    end_session(&laptop, &mut steps).await?;
    fetch(&desktop, known, &mut steps).await?;
    ask(&desktop, &mut steps).await?;
    correct(&laptop, &desktop, &mut steps).await?;
    look_into(&vault, &mut steps)?;
    drop((laptop, desktop));
    clean_up(folder, &mut steps)?;
    Ok(DemoReport::new(steps.into_inner(), &NEXT))
}

/// Stores what the demo carries on the laptop; returns how many memories that is.
async fn learn(laptop: &Machine, steps: &mut Steps<'_>) -> Result<u64, DemoError> {
    let memories = carried()?;
    let stored = laptop.put(memories).await?;
    let new = stored.iter().filter(|stored| !stored.deduplicated).count();
    check(new == stored.len() && new > 0, "store", || {
        format!("{new} of {} memories are new", stored.len())
    })?;
    steps.done(
        "store",
        format!("{new} memories on demo-laptop, synced to disk"),
    );
    Ok(new as u64)
}

fn carried() -> Result<Vec<NewMemory>, DemoError> {
    MEMORIES
        .lines()
        .map(|line| {
            let input: MemoryInput =
                serde_json::from_str(line).map_err(|error| DemoError::Check {
                    step: "store",
                    message: format!("a carried memory is broken: {error}"),
                })?;
            Ok(NewMemory::check(input, &Redactor::built_in())?)
        })
        .collect()
}

/// Ends the laptop's session: the sync is queued at once and runs afterwards.
async fn end_session(laptop: &Machine, steps: &mut Steps<'_>) -> Result<(), DemoError> {
    let syncer = laptop.syncer.clone();
    let job_id =
        machine::blocking(move || syncer.enqueue(Trigger::SessionEnd, &SyncRequest::default()))
            .await??;
    steps.done(
        "session end",
        format!("sync queued as {job_id}, the session is free to go"),
    );

    laptop.syncer.drain(&CancellationToken::new()).await?;
    let queue = laptop.queue().await?;
    check(
        queue.last_success_at.is_some() && queue.pending + queue.running + queue.parked == 0,
        "push",
        || {
            queue
                .last_error
                .clone()
                .unwrap_or_else(|| format!("the queue is {queue:?}"))
        },
    )?;
    steps.done(
        "push",
        "pushed to the vault in the background, read back and verified".into(),
    );
    Ok(())
}

/// Pulls on the desktop what the laptop sent.
async fn fetch(desktop: &Machine, known: u64, steps: &mut Steps<'_>) -> Result<(), DemoError> {
    let pulled = desktop.pull().await?;
    check(
        pulled.success && pulled.memories_added == known,
        "pull",
        || format!("{} of {known} memories arrived", pulled.memories_added),
    )?;
    steps.done(
        "pull",
        format!(
            "{known} memories on demo-desktop, {} bytes",
            pulled.bytes_transferred
        ),
    );
    Ok(())
}

/// Asks the desktop a question that only the laptop's memory answers.
async fn ask(desktop: &Machine, steps: &mut Steps<'_>) -> Result<(), DemoError> {
    let query = SearchQuery {
        text: QUESTION.into(),
        limit: 3,
        ..SearchQuery::default()
    };
    let found = desktop.search(query).await?;
    let best = found.hits.first().map(|hit| &hit.memory);
    let best = best.filter(|memory| memory.memory_id.as_str() == ANSWER);
    let text = best.map(|memory| memory.text.clone()).unwrap_or_default();
    check(best.is_some(), "search", || {
        format!("`{QUESTION}` did not find `{ANSWER}`")
    })?;
    steps.done(
        "search",
        format!("\"{QUESTION}\" finds on demo-desktop: {text}"),
    );
    Ok(())
}

/// Revises the answer on the laptop and follows the revision to the desktop.
async fn correct(
    laptop: &Machine,
    desktop: &Machine,
    steps: &mut Steps<'_>,
) -> Result<(), DemoError> {
    let known = laptop.history(ANSWER).await?;
    let metadata = known.last().map(|memory| memory.metadata.as_map().clone());
    let input = MemoryInput {
        memory_id: Some(ANSWER.into()),
        text: CORRECTION.into(),
        metadata,
        ..MemoryInput::default()
    };
    let revised = NewMemory::check(input, &Redactor::built_in())?;
    let stored = laptop.put(vec![revised]).await?;
    let revision = stored.first().map_or(0, |stored| stored.revision);
    check(revision == 2, "revise", || {
        format!("it became revision {revision}")
    })?;
    steps.done("revise", format!("`{ANSWER}` is revision 2 on demo-laptop"));

    let (request, cancel) = (SyncRequest::default(), CancellationToken::new());
    let report = laptop
        .syncer
        .sync(&request, Trigger::Manual, &NoProgress, &cancel)
        .await;
    check(
        report.success && report.memories_uploaded == 1,
        "push again",
        || {
            let count = || format!("{} memories were sent", report.memories_uploaded);
            report.error.clone().unwrap_or_else(count)
        },
    )?;
    steps.done(
        "push again",
        "1 memory: a sync costs what changed, not what exists".into(),
    );

    let pulled = desktop.pull().await?;
    check(
        pulled.success && pulled.memories_updated == 1,
        "pull again",
        || format!("{} memories were updated", pulled.memories_updated),
    )?;
    steps.done("pull again", "1 memory updated on demo-desktop".into());

    let history = desktop.history(ANSWER).await?;
    let newest = history.last().map(|memory| memory.text.as_str());
    check(
        history.len() == 2 && newest == Some(CORRECTION),
        "history",
        || format!("{} revisions on demo-desktop", history.len()),
    )?;
    steps.done(
        "history",
        format!("both revisions of `{ANSWER}` are on demo-desktop"),
    );
    Ok(())
}

/// Lists what lies in the vault.
fn look_into(vault: &Path, steps: &mut Steps<'_>) -> Result<(), DemoError> {
    let mut files = Vec::new();
    for entry in walkdir::WalkDir::new(vault).sort_by_file_name() {
        let entry = entry.map_err(|error| DemoError::Folder {
            path: vault.to_owned(),
            source: error.into(),
        })?;
        if entry.file_type().is_file() {
            let below = entry.path().strip_prefix(vault).unwrap_or(entry.path());
            let size = fs::metadata(entry.path()).map_or(0, |file| file.len());
            files.push(format!("{} ({size} bytes)", below.display()));
        }
    }
    let manifests = files
        .iter()
        .filter(|file| file.contains("/manifest.json"))
        .count();
    check(manifests == 2, "vault", || {
        format!("it holds {manifests} manifests")
    })?;
    steps.list(
        "vault",
        format!("{} files that you own", files.len()),
        files,
    );
    Ok(())
}

/// Removes everything.
fn clean_up(folder: TempDir, steps: &mut Steps<'_>) -> Result<(), DemoError> {
    let path = folder.path().to_owned();
    folder.close().map_err(|source| DemoError::Folder {
        path: path.clone(),
        source,
    })?;
    check(!path.exists(), "clean up", || {
        format!("`{}` is still there", path.display())
    })?;
    steps.done(
        "clean up",
        "the temporary folder is removed, nothing is left".into(),
    );
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn the_whole_loop_succeeds_and_tells_its_steps() {
        let mut told = Vec::new();
        let report = run(&mut |step| told.push(step.name)).await.unwrap();
        assert!(report.success);
        let names: Vec<_> = report.steps.iter().map(|step| step.name).collect();
        assert_eq!(names, told);
        assert_eq!(
            names,
            [
                "start",
                "store",
                "session end",
                "push",
                "pull",
                "search",
                "revise",
                "push again",
                "pull again",
                "history",
                "vault",
                "clean up"
            ]
        );
    }

    #[test]
    fn what_it_carries_is_valid_and_holds_no_secret() {
        let memories = carried().unwrap();
        assert_eq!(memories.len(), 12);
        assert!(memories.iter().all(|memory| memory.redactions == 0));
    }
}
