//! A session starts: the assistant is told what earlier ones left.

use std::io;
use std::path::Path;

use akosha_mcp::{BackgroundDrain, project_of, session_context};
use serde::Serialize;

use crate::background::DetachedDrain;
use crate::context::Context;
use crate::failure::Failure;
use crate::output::{Answer, Page};

use super::Payload;

/// Prints the context and wakes a sync that an earlier process left.
pub(crate) fn run(context: &Context, payload: &Payload) -> Result<(), Failure> {
    let syncer = super::syncer(context)?;
    let project = payload
        .text("cwd")
        .and_then(|cwd| project_of(Path::new(&cwd)));
    let known = session_context(syncer.store(), project.as_deref())?;
    context.output().answer(&HookAnswer::new(known.text))?;
    if syncer.store().has_due_job()? {
        DetachedDrain::new(context)?.start();
    }
    Ok(())
}

/// What assistants take as JSON.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
struct HookAnswer {
    hook_specific_output: SessionStart,
}

#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
struct SessionStart {
    hook_event_name: &'static str,
    additional_context: String,
}

impl HookAnswer {
    fn new(text: String) -> Self {
        Self {
            hook_specific_output: SessionStart {
                hook_event_name: "SessionStart",
                additional_context: text,
            },
        }
    }
}

impl Answer for HookAnswer {
    fn write_text(&self, page: &mut Page<'_>) -> io::Result<()> {
        page.line(&self.hook_specific_output.additional_context)
    }
}
