//! `akosha forget`: forgets a memory.

use std::io;

use akosha_core::{MemoryId, SystemId};
use akosha_store::Forgotten;
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
    /// Remove its content and history too
    #[arg(long)]
    erase: bool,
}

/// Runs the command.
pub(crate) fn run(context: &Context, args: Args) -> Result<Exit, Failure> {
    let forgotten = context
        .store()?
        .forget(&args.id, args.system.as_ref(), args.erase)?;
    context
        .output()
        .answer(&ForgetAnswer::new(args.id, forgotten))?;
    Ok(Exit::Done)
}

#[derive(Debug, Serialize)]
struct ForgetAnswer {
    status: &'static str,
    memory_id: String,
    system_id: String,
    revision: i64,
    already: bool,
    erased: bool,
    /// Where copies remain.
    note: Option<&'static str>,
}

impl ForgetAnswer {
    fn new(memory_id: MemoryId, forgotten: Forgotten) -> Self {
        let note = (forgotten.erased && forgotten.was_pushed).then_some(
            "it was pushed before: the next sync carries the deletion, but uploads that lie in \
             the vault already still hold the text",
        );
        Self {
            status: "forgotten",
            memory_id: memory_id.into(),
            system_id: forgotten.system_id.into(),
            revision: forgotten.revision,
            already: forgotten.already,
            erased: forgotten.erased,
            note,
        }
    }
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
        self.note.map_or(Ok(()), |note| page.line(note))
    }
}
