//! `akosha forget`: forgets a memory.

use std::io;

use akosha_core::{MemoryId, SystemId};
use akosha_mcp::not_reached;
use serde::Serialize;

use crate::context::Context;
use crate::failure::{Exit, Failure};
use crate::output::{Answer, Page};

/// Options of `akosha forget`.
#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    /// Id of the memory
    id: MemoryId,
    /// System that it belongs to, where several have the id
    #[arg(long, value_name = "ID")]
    system: Option<SystemId>,
    /// Remove its content and history too, for good
    #[arg(long)]
    erase: bool,
}

/// Runs the command.
pub(crate) fn run(context: &Context, args: Args) -> Result<Exit, Failure> {
    let store = context.store()?;
    let forgotten = store.forget(&args.id, args.system.as_ref(), args.erase)?;
    let not_reached = not_reached(store, &forgotten)?;
    context.output().answer(&ForgetAnswer {
        memory_id: args.id.into(),
        system_id: forgotten.system_id.into(),
        forgotten: true,
        erased: forgotten.erased,
        already: forgotten.already,
        revision: forgotten.revision,
        not_reached,
    })?;
    Ok(Exit::Done)
}

/// What `forget` answers: the same as the tool `forget_memory`.
#[derive(Debug, Serialize)]
struct ForgetAnswer {
    memory_id: String,
    system_id: String,
    forgotten: bool,
    erased: bool,
    already: bool,
    revision: i64,
    not_reached: Vec<String>,
}

impl Answer for ForgetAnswer {
    fn write_text(&self, page: &mut Page<'_>) -> io::Result<()> {
        let id = &self.memory_id;
        let done = if self.erased { "erased" } else { "forgotten" };
        if self.already {
            page.line(format!("{id} was {done} already"))?;
        } else {
            page.line(format!("{done} {id}"))?;
        }
        for place in &self.not_reached {
            page.line(format!("not reached: {place}"))?;
        }
        Ok(())
    }
}
