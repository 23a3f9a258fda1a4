//! `akosha machines`: settles which machine owns a system id.

use std::io;

use akosha_core::SystemId;
use akosha_sync::Adoption;
use serde::Serialize;

use crate::context::Context;
use crate::failure::{Exit, Failure};
use crate::output::{Answer, Page};
use crate::runtime;

/// Commands of `akosha machines`.
#[derive(Debug, clap::Subcommand)]
pub(crate) enum Command {
    /// Make this home the writer of a system id whose vault names another one
    ///
    /// The other machine is refused from then on, until it takes a system id of its own. Where
    /// nobody else has the id, nothing is done.
    Adopt(AdoptArgs),
}

/// Options of `akosha machines adopt`.
#[derive(Debug, clap::Args)]
pub(crate) struct AdoptArgs {
    /// System id of this machine to take over [default: the present one]
    id: Option<SystemId>,
}

/// Runs the command.
pub(crate) fn run(context: &Context, command: Command) -> Result<Exit, Failure> {
    let Command::Adopt(args) = command;
    let system_id = args
        .id
        .unwrap_or_else(|| context.config().system_id.clone());
    let syncer = context.syncer()?;
    let Adoption { epoch, adopted } = runtime::start()?.block_on(syncer.adopt(&system_id))?;
    context.output().answer(&AdoptAnswer {
        system_id: system_id.into(),
        epoch,
        adopted,
    })?;
    Ok(Exit::Done)
}

#[derive(Debug, Serialize)]
struct AdoptAnswer {
    system_id: String,
    epoch: i64,
    /// Whether anybody else had the id.
    adopted: bool,
}

impl Answer for AdoptAnswer {
    fn write_text(&self, page: &mut Page<'_>) -> io::Result<()> {
        let id = &self.system_id;
        if !self.adopted {
            return page.line(format!("nothing to do: nobody else writes as `{id}`"));
        }
        page.line(format!(
            "this machine writes `{id}` now, epoch {}",
            self.epoch
        ))?;
        page.line("push what it has: `akosha sync`; the other machine needs another `system_id`")
    }
}
