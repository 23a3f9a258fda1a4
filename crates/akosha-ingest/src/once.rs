//! One look through the whole vault, or uploads that are named, and work until nothing is left.

use akosha_store::{Merged, Store};
use akosha_sync::intake::Candidate;
use akosha_sync::{Progress, ProgressState, PullReport, SyncError};
use tokio::task::{JoinError, JoinHandle};
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

use crate::engine::{Engine, Report, note};
use crate::look::{Look, Piece};

/// Most looks at what is there: one more where uploads went away under way, because another one
/// stands for them now.
const MOST_LOOKS: u32 = 3;

/// Uploads at which a vault may fail to answer before the work ends.
const MAX_SILENCES: u32 = 3;

/// One run at work.
struct Once<'a> {
    engine: Engine,
    progress: &'a dyn Progress,
    report: PullReport,
    merged: Merged,
    silences: u32,
    /// Whether an upload went away since the look that found it.
    has_gone: bool,
}

/// What is worked on.
#[derive(Debug)]
pub(crate) enum Work {
    /// All that a look through the vault finds.
    Vault,
    /// These uploads alone.
    These(Vec<Candidate>),
}

/// Runs the engine once.
pub(crate) async fn run(
    engine: Engine,
    work: Work,
    progress: &dyn Progress,
    cancel: &CancellationToken,
) -> Result<PullReport, SyncError> {
    let started = Instant::now();
    let mut once = Once::new(engine, progress);
    let worked = once.work(work, cancel).await;
    let Once {
        engine, mut report, ..
    } = once;
    let intake = engine.shared.intake.clone();
    let stopped = engine.stop().await;
    worked?;
    stopped?;
    // Content that another machine erased must leave no trace here either.
    if let Err(error) = intake.on_store(Store::scrub).await {
        tracing::warn!(%error, "what was erased is scrubbed by the next pull");
    }
    report.success = report.error.is_none() && report.quarantined.is_empty();
    report.duration_seconds = started.elapsed().as_secs_f64();
    Ok(report)
}

impl<'a> Once<'a> {
    fn new(engine: Engine, progress: &'a dyn Progress) -> Self {
        Self {
            engine,
            progress,
            report: PullReport::default(),
            merged: Merged::default(),
            silences: 0,
            has_gone: false,
        }
    }

    async fn work(&mut self, work: Work, cancel: &CancellationToken) -> Result<(), SyncError> {
        match work {
            Work::Vault => {
                for _ in 0..MOST_LOOKS {
                    self.has_gone = false;
                    self.look(cancel).await?;
                    if !self.has_gone || self.report.error.is_some() {
                        break;
                    }
                }
            }
            Work::These(uploads) => {
                self.take(Piece {
                    uploads,
                    hopeless: Vec::new(),
                });
                self.work_through(None, cancel).await?;
            }
        }
        self.engine.count_quarantined().await
    }

    /// Looks once and works until nothing of what was found is left.
    async fn look(&mut self, cancel: &CancellationToken) -> Result<(), SyncError> {
        let Ok(looking) = self.engine.look(Look::Sweep) else {
            self.left_alone();
            return Ok(());
        };
        self.work_through(Some(looking), cancel).await
    }

    /// Works until nothing is left, and where a look is under way, until that has ended too.
    async fn work_through(
        &mut self,
        mut looking: Option<JoinHandle<Result<(), SyncError>>>,
        cancel: &CancellationToken,
    ) -> Result<(), SyncError> {
        loop {
            if self.is_silent() {
                // What was in work may have been put back since.
                self.engine.queue.clear();
            } else if self.engine.start_work() {
                self.left_alone();
                return Ok(());
            }
            self.engine.show_load();
            let engine = &mut self.engine;
            if looking.is_none() && engine.queue.len() == 0 && engine.tasks.is_empty() {
                // What the look gave last may still wait here.
                match engine.found.try_recv() {
                    Ok(piece) => self.take(piece),
                    Err(_) => return Ok(()),
                }
                continue;
            }
            let due = engine.queue.next_due();
            let has_room = engine.has_room();
            tokio::select! {
                Some(joined) = engine.tasks.join_next_with_id() => {
                    let outcome = engine.joined(joined).await?;
                    self.note(outcome)?;
                }
                Some(piece) = engine.found.recv(), if has_room => self.take(piece),
                looked = ended(&mut looking) => {
                    looking = None;
                    self.looked(looked.ok())?;
                }
                () = until(due) => {}
                () = cancel.cancelled() => return Err(SyncError::Cancelled),
            }
        }
    }

    /// Returns whether the vault failed so often that nothing more is asked of it.
    fn is_silent(&self) -> bool {
        self.silences >= MAX_SILENCES
    }

    fn left_alone(&mut self) {
        let message = "the vault failed again and again and is left alone for a while";
        self.report.error.get_or_insert_with(|| message.to_owned());
    }

    fn take(&mut self, piece: Piece) {
        self.report.uploads_seen += (piece.uploads.len() + piece.hopeless.len()) as u64;
        for (hopeless, reason) in piece.hopeless {
            let (system_id, upload_id) = (&hopeless.system_id, &hopeless.upload_id);
            self.report.set_aside(system_id, upload_id, reason);
        }
        if !self.is_silent() {
            for upload in piece.uploads {
                self.engine.queue.push(upload);
            }
        }
    }

    fn looked(&mut self, looked: Option<Result<(), SyncError>>) -> Result<(), SyncError> {
        match looked {
            // The systems that could be looked into were.
            Some(Err(error @ SyncError::CloudUpload { .. })) => {
                self.report.error.get_or_insert_with(|| error.to_string());
                Ok(())
            }
            Some(result) => result,
            None => Err(SyncError::Cancelled),
        }
    }

    fn note(&mut self, outcome: Report) -> Result<(), SyncError> {
        let report = &mut self.report;
        note(report, &outcome);
        match outcome {
            Report::Merged(intaken) => {
                self.merged += intaken.merged;
                report.memories_added = u64::try_from(self.merged.added).unwrap_or(0);
                report.memories_updated = self.merged.updated;
                report.memories_skipped = self.merged.skipped;
                report.duplicates = self.merged.duplicates;
            }
            Report::Vault(_) => self.silences += 1,
            Report::Gone => self.has_gone = true,
            Report::Store(error) => return Err(error),
            Report::SetAside(..) | Report::Nothing => {}
        }
        self.progress.update(ProgressState {
            bytes: report.bytes_transferred,
            memories: report.memories_added + report.memories_updated + report.memories_skipped,
            ..ProgressState::default()
        });
        Ok(())
    }
}

/// Waits for the end of a task; for ever where there is none.
pub(crate) async fn ended<T>(task: &mut Option<JoinHandle<T>>) -> Result<T, JoinError> {
    match task {
        Some(task) => task.await,
        None => std::future::pending().await,
    }
}

/// Waits until a time; for ever where there is none.
pub(crate) async fn until(time: Option<Instant>) {
    match time {
        Some(time) => tokio::time::sleep_until(time).await,
        None => std::future::pending().await,
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use akosha_sync::NoProgress;
    use akosha_sync::breaker::Breakers;

    use super::*;
    use crate::tests::{Node, candidate, engine};

    #[tokio::test]
    async fn a_vault_that_fell_silent_is_not_waited_for() {
        let folder = tempfile::tempdir().unwrap();
        let node = Node::in_folder("server", &folder.path().join("vault"));
        let intake = node.syncer.intake().await.unwrap();
        let mut once = Once::new(engine(&intake, Breakers::default(), false), &NoProgress);
        once.silences = MAX_SILENCES;
        // Another replica had it, which is told after the vault failed for the last time.
        let queue = &mut once.engine.queue;
        queue.push(candidate(0));
        let upload = queue.take(Instant::now()).unwrap();
        queue.put_back(upload, Instant::now(), Duration::ZERO);
        let cancel = CancellationToken::new();
        tokio::time::timeout(Duration::from_secs(10), once.work_through(None, &cancel))
            .await
            .expect("it waits for nothing")
            .unwrap();
        once.engine.stop().await.unwrap();
    }
}
