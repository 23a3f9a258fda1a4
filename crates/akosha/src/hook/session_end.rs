//! A session ends: its sync is queued and left to a detached child.
//!
//! The whole process has tens of milliseconds: no runtime is started and nothing is contacted.

use std::io;
use std::path::Path;

use akosha_core::IngestionMethod;
use akosha_mcp::{Ending, QueuedSync, end_session, project_of};
use serde::Serialize;

use crate::background::DetachedDrain;
use crate::context::Context;
use crate::failure::Failure;
use crate::output::{Answer, Page, stderr_line};

use super::Payload;

/// Queues the sync; it is durable when this returns.
pub(crate) fn run(context: &Context, payload: &Payload) -> Result<(), Failure> {
    let syncer = super::syncer(context)?;
    let ending = Ending {
        owner: syncer.store().system_id().clone(),
        method: IngestionMethod::Local,
        session_id: payload.text("session_id"),
        project: payload
            .text("cwd")
            .and_then(|cwd| project_of(Path::new(&cwd))),
        summary: payload.text("summary"),
        reason: payload.text("reason"),
    };
    let ended = end_session(&syncer, &ending, &DetachedDrain::new(context)?);
    // The last process to close a store merges its log into it, with two waits for the disk. The
    // child opens it next and does so when it ends; what is committed is durable either way.
    std::mem::forget(syncer);
    let memory_id = match ended.summary {
        Ok(memory_id) => memory_id.map(String::from),
        Err(failure) => {
            super::complain(&failure.into());
            None
        }
    };
    let answer = EndAnswer {
        status: "ended",
        memory_id,
        sync: ended.sync.into(),
    };
    if let Some(reason) = &answer.sync.reason {
        stderr_line(&format!("akosha: no sync is queued: {reason}"));
    }
    context.output().answer(&answer)
}

/// What the tool `session_end` answers too.
#[derive(Debug, Serialize)]
struct EndAnswer {
    status: &'static str,
    memory_id: Option<String>,
    sync: Sync,
}

#[derive(Debug, Serialize)]
struct Sync {
    queued: bool,
    job_id: Option<String>,
    reason: Option<String>,
}

impl From<QueuedSync> for Sync {
    fn from(sync: QueuedSync) -> Self {
        Self {
            queued: sync.job_id.is_some(),
            job_id: sync.job_id.map(String::from),
            reason: sync.reason,
        }
    }
}

impl Answer for EndAnswer {
    /// Writes nothing: assistants ignore it, and some show it.
    fn write_text(&self, _page: &mut Page<'_>) -> io::Result<()> {
        Ok(())
    }
}
