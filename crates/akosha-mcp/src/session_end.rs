//! The end of a session: its summary is stored, its sync is queued. Shared by the tool and by the
//! assistants' hooks.

use akosha_core::{
    IngestionMethod, JobId, MemoryId, MemoryInput, NewMemory, SystemId, content_sha256,
};
use akosha_store::Trigger;
use akosha_sync::{SyncError, SyncRequest, Syncer};
use serde_json::{Map, Value};

use crate::failure::check_writes;
use crate::{BackgroundDrain, Failure};

/// The type of a session's summary.
pub(crate) const SUMMARY_TYPE: &str = "session_summary";

/// A session that ends.
#[derive(Debug, Clone)]
pub struct Ending {
    /// Whose memory the summary is.
    pub owner: SystemId,
    /// How the summary comes in.
    pub method: IngestionMethod,
    /// The session's id.
    pub session_id: Option<String>,
    /// The project that it was about.
    pub project: Option<String>,
    /// What was done; nothing is stored where it is blank.
    pub summary: Option<String>,
    /// Why the session ends.
    pub reason: Option<String>,
}

/// What became of a session that ended.
#[derive(Debug, Clone)]
pub struct SessionEnd {
    /// The summary's id, `None` where there was none to store.
    pub summary: Result<Option<MemoryId>, Failure>,
    /// The sync that follows.
    pub sync: QueuedSync,
}

/// The sync that follows a session.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct QueuedSync {
    /// The job, where one is queued.
    pub job_id: Option<JobId>,
    /// Why none is.
    pub reason: Option<String>,
}

/// Ends a session. When it returns, the summary and the job are durable and `background` is
/// started. A summary that cannot be stored does not keep the sync from being queued. Blocks.
pub fn end_session(
    syncer: &Syncer,
    ending: &Ending,
    background: &dyn BackgroundDrain,
) -> SessionEnd {
    SessionEnd {
        summary: store_summary(syncer, ending),
        sync: queue_sync(syncer, &ending.owner, background),
    }
}

fn store_summary(syncer: &Syncer, ending: &Ending) -> Result<Option<MemoryId>, Failure> {
    let Some(summary) = &ending.summary else {
        return Ok(None);
    };
    if summary.trim().is_empty() {
        return Ok(None);
    }
    check_writes(syncer.config())?;
    let mut metadata = Map::new();
    metadata.insert("type".into(), SUMMARY_TYPE.into());
    for (key, value) in [
        ("session_id", &ending.session_id),
        ("project", &ending.project),
        ("reason", &ending.reason),
    ] {
        if let Some(value) = value {
            metadata.insert(key.into(), Value::from(value.as_str()));
        }
    }
    let input = MemoryInput {
        memory_id: ending.session_id.as_ref().map(|id| summary_id(id, summary)),
        text: summary.clone(),
        embedding: None,
        metadata: Some(metadata),
    };
    let memory = NewMemory::check(input, &syncer.config().redactor)?;
    let stored = syncer.store().put(&ending.owner, &memory, ending.method)?;
    Ok(Some(stored.memory_id))
}

/// Returns an id by which the same summary of the same session, told twice, is one memory.
fn summary_id(session_id: &str, summary: &str) -> String {
    let hash = content_sha256(&format!("{session_id}\n{summary}"));
    format!("session-{}", hash.get(..24).unwrap_or(&hash))
}

fn queue_sync(syncer: &Syncer, owner: &SystemId, background: &dyn BackgroundDrain) -> QueuedSync {
    let config = &syncer.config().config;
    let not_queued = |reason: String| QueuedSync {
        job_id: None,
        reason: Some(reason),
    };
    if owner != syncer.store().system_id() {
        return not_queued(format!("system `{owner}` syncs from its own machine"));
    }
    if !config.upload_on_session_end {
        return not_queued("`upload_on_session_end` is off".into());
    }
    if !config.should_use_cloud() && !config.should_use_http() {
        return not_queued("the configuration allows no sync method".into());
    }
    match enqueue(
        syncer,
        Trigger::SessionEnd,
        &SyncRequest::default(),
        background,
    ) {
        Ok(job_id) => QueuedSync {
            job_id: Some(job_id),
            reason: None,
        },
        Err(error) => not_queued(error.to_string()),
    }
}

/// Queues a sync and starts what works through the queue; the job is durable before. Blocks.
///
/// # Errors
/// Fails where the store does.
pub(crate) fn enqueue(
    syncer: &Syncer,
    trigger: Trigger,
    request: &SyncRequest,
    background: &dyn BackgroundDrain,
) -> Result<JobId, SyncError> {
    let job_id = syncer.enqueue(trigger, request)?;
    // Who drains looks for jobs in the transaction that ends the claim, so one that is at work and
    // holds it meets this job.
    let is_met = background.is_at_work() && syncer.store().is_draining()?;
    if !is_met {
        background.start();
    }
    Ok(job_id)
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;
    use std::sync::atomic::{AtomicUsize, Ordering};
    use std::time::Duration;

    use akosha_core::config::{Config, LoadedConfig};
    use akosha_store::{DRAIN_LEASE, Home, Store, StoreOptions};

    use super::*;

    /// A background of which one child has not ended.
    #[derive(Default)]
    struct AtWork(AtomicUsize);

    impl BackgroundDrain for AtWork {
        fn start(&self) {
            self.0.fetch_add(1, Ordering::SeqCst);
        }

        fn is_at_work(&self) -> bool {
            true
        }
    }

    #[test]
    fn a_job_is_left_only_to_who_works_through_the_queue() {
        let folder = tempfile::tempdir().unwrap();
        let config = Config::default_with("node".parse().unwrap());
        let options = StoreOptions::new(config.system_id.clone());
        let store = Store::open(&Home::new(folder.path()), options).unwrap();
        let syncer = Syncer::new(store.clone(), Arc::new(LoadedConfig::new(config)));
        let background = AtWork::default();
        let starts_after = || {
            let request = SyncRequest::default();
            enqueue(&syncer, Trigger::SessionEnd, &request, &background).unwrap();
            background.0.load(Ordering::SeqCst)
        };
        let minute = Duration::from_mins(1);
        assert_eq!(starts_after(), 1, "nobody has the claim");
        let pushing = store.try_lease(DRAIN_LEASE, minute).unwrap().unwrap();
        assert_eq!(starts_after(), 2, "a push ends without a look at the queue");
        pushing.release().unwrap();
        let _draining = store.try_drain(minute).unwrap().unwrap();
        assert_eq!(starts_after(), 2);
    }

    #[test]
    fn a_summary_told_twice_has_one_id() {
        assert_eq!(summary_id("s", "done"), summary_id("s", "done"));
        assert_ne!(summary_id("s", "done"), summary_id("s", "more"));
        assert_ne!(summary_id("s", "done"), summary_id("t", "done"));
        assert!(MemoryId::try_from(summary_id("s\u{7}", "done")).is_ok());
    }
}
