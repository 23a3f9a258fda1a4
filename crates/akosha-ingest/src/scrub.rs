//! Scrubs the store of what other machines erased, now and then.
//!
//! It writes the whole store anew, and whoever stores a memory meanwhile waits. So it runs while
//! the worker has nothing else to do, beside it, and seldom, however often something is erased.

use std::time::Duration;

use akosha_store::Store;
use akosha_sync::SyncError;
use akosha_sync::intake::Intake;
use tokio::task::{JoinError, JoinHandle};
use tokio::time::Instant;

use crate::once::ended;

/// Shortest pause between two scrubs.
const AT_MOST_EVERY: Duration = Duration::from_hours(6);

/// When the store was scrubbed, and whether it is again.
#[derive(Debug)]
pub(crate) struct Scrubbing {
    /// Whether anything was merged since.
    has_merged: bool,
    next: Instant,
    task: Option<JoinHandle<Result<(), SyncError>>>,
}

impl Scrubbing {
    /// Creates a schedule by which a scrub may begin now.
    pub(crate) fn new() -> Self {
        Self {
            has_merged: false,
            next: Instant::now(),
            task: None,
        }
    }

    /// Notes that an upload was merged, which may have erased something.
    pub(crate) fn merged(&mut self) {
        self.has_merged = true;
    }

    /// Starts to scrub where it is time.
    pub(crate) fn start(&mut self, intake: &Intake) {
        if !self.has_merged || self.task.is_some() || Instant::now() < self.next {
            return;
        }
        self.has_merged = false;
        self.next = Instant::now() + AT_MOST_EVERY;
        let intake = intake.clone();
        let scrub = async move { intake.on_store(Store::scrub).await };
        self.task = Some(tokio::spawn(scrub));
    }

    /// Waits until a scrub ends; for ever where none runs.
    pub(crate) async fn ended(&mut self) {
        let result = ended(&mut self.task).await;
        self.note(result);
    }

    /// Waits until none runs.
    pub(crate) async fn stop(mut self) {
        if self.task.is_some() {
            self.ended().await;
        }
    }

    fn note(&mut self, result: Result<Result<(), SyncError>, JoinError>) {
        self.task = None;
        let error = match result {
            Ok(Ok(())) => return,
            Ok(Err(error)) => error.to_string(),
            Err(error) => error.to_string(),
        };
        self.has_merged = true;
        tracing::warn!(error, "what was erased is scrubbed later");
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::tests::Node;

    #[tokio::test]
    async fn it_scrubs_what_was_merged_and_not_again_for_hours() {
        let folder = tempfile::tempdir().unwrap();
        let node = Node::in_folder("server", &folder.path().join("vault"));
        let intake = node.syncer.intake().await.unwrap();
        let mut scrubbing = Scrubbing::new();
        scrubbing.start(&intake);
        assert!(scrubbing.task.is_none(), "nothing was merged");
        scrubbing.merged();
        scrubbing.start(&intake);
        assert!(scrubbing.task.is_some());
        scrubbing.ended().await;
        scrubbing.merged();
        scrubbing.start(&intake);
        assert!(scrubbing.task.is_none(), "it is too early");
        scrubbing.next = Instant::now();
        scrubbing.start(&intake);
        assert!(scrubbing.task.is_some(), "it is not forgotten");
        scrubbing.stop().await;
    }
}
