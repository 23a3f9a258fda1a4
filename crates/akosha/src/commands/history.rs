//! `akosha history`: shows every revision of a memory.

use std::io;

use akosha_core::{Memory, MemoryId, SystemId};
use serde::Serialize;

use crate::context::Context;
use crate::failure::{Exit, Failure};
use crate::output::{Answer, Page};
use crate::show;

/// Options of `akosha history`.
#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    /// Id of the memory
    id: MemoryId,
    /// System that it belongs to, where several have the id
    #[arg(long, value_name = "ID")]
    system: Option<SystemId>,
}

/// Runs the command.
pub(crate) fn run(context: &Context, args: &Args) -> Result<Exit, Failure> {
    let revisions = context.store()?.history(&args.id, args.system.as_ref())?;
    context.output().answer(&HistoryAnswer { revisions })?;
    Ok(Exit::Done)
}

#[derive(Debug, Serialize)]
struct HistoryAnswer {
    revisions: Vec<Memory>,
}

impl Answer for HistoryAnswer {
    fn write_text(&self, page: &mut Page<'_>) -> io::Result<()> {
        if self.revisions.is_empty() {
            return page.line("its content was erased");
        }
        for memory in &self.revisions {
            page.heading(format!(
                "revision {}  {}  {}",
                memory.revision,
                show::moment(memory.updated_at),
                memory.system_id
            ))?;
            page.line(&memory.text)?;
        }
        Ok(())
    }
}
