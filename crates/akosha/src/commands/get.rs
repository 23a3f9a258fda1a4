//! `akosha get`: shows a memory.

use std::io;

use akosha_core::{Memory, MemoryId, SystemId};
use akosha_store::StoreError;

use crate::context::Context;
use crate::failure::{Exit, Failure};
use crate::output::{Answer, Page};
use crate::show;

/// Options of `akosha get`.
#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    /// Id of the memory
    id: MemoryId,
    /// System that it belongs to, where several have the id
    #[arg(long, value_name = "ID")]
    system: Option<SystemId>,
}

/// Runs the command.
pub(crate) fn run(context: &Context, args: Args) -> Result<Exit, Failure> {
    let memory = context
        .store()?
        .get(&args.id, args.system.as_ref())?
        .ok_or(StoreError::NoMemory(args.id))?;
    context.output().answer(&memory)?;
    Ok(Exit::Done)
}

impl Answer for Memory {
    fn write_text(&self, page: &mut Page<'_>) -> io::Result<()> {
        page.heading(&self.memory_id)?;
        page.field("system", &self.system_id)?;
        page.field("type", self.metadata.kind())?;
        if let Some(project) = self.metadata.project() {
            page.field("project", project)?;
        }
        let tags: Vec<&str> = self.metadata.tags().collect();
        if !tags.is_empty() {
            page.field("tags", tags.join(", "))?;
        }
        page.field("created", show::moment(self.created_at))?;
        if self.revision > 1 {
            page.field("updated", show::moment(self.updated_at))?;
        }
        page.field("revision", self.revision.to_string())?;
        page.line("")?;
        page.line(&self.text)
    }
}
