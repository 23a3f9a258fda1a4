//! `akosha history`: shows every revision of a memory, and whether it is forgotten.

use std::io;

use akosha_core::{Memory, MemoryId, SystemId};
use akosha_store::{Change, Op, Store, StoreError};
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
    let store = context.store()?;
    let revisions = store.history(&args.id, args.system.as_ref())?;
    let system = revisions
        .first()
        .map(|memory| &memory.system_id)
        .or(args.system.as_ref());
    let deletion = deletion(store, &args.id, system)?;
    context.output().answer(&HistoryAnswer {
        // Where nothing is left, even of a memory whose system is not known, it was erased.
        forgotten: deletion.is_some() || revisions.is_empty(),
        revisions,
        deletion,
    })?;
    Ok(Exit::Done)
}

/// Returns the deletion of a memory that is forgotten now. Where nothing tells whose it was, it is
/// looked for among those that were made here.
fn deletion(
    store: &Store,
    id: &MemoryId,
    system: Option<&SystemId>,
) -> Result<Option<Deletion>, StoreError> {
    let systems = match system {
        Some(system) => vec![system.clone()],
        None => store.local_systems()?,
    };
    for system in systems {
        let newest = store.newest_change(&system, id)?;
        if let Some(tombstone) = newest.filter(|change| change.op != Op::Put) {
            return Ok(Some(tombstone.into()));
        }
    }
    Ok(None)
}

#[derive(Debug, Serialize)]
struct HistoryAnswer {
    /// The revisions that still have content, oldest first.
    revisions: Vec<Memory>,
    /// Whether the memory is found no more.
    forgotten: bool,
    /// What deleted it.
    deletion: Option<Deletion>,
}

#[derive(Debug, Serialize)]
struct Deletion {
    /// `forget` or `erase`.
    op: &'static str,
    revision: i64,
    system_id: String,
    deleted_at: String,
    #[serde(skip)]
    shown: String,
}

impl From<Change> for Deletion {
    fn from(change: Change) -> Self {
        Self {
            op: change.op.as_str(),
            revision: change.revision,
            deleted_at: show::exact(change.updated_at),
            shown: heading(change.revision, change.updated_at, &change.system_id),
            system_id: change.system_id.into(),
        }
    }
}

fn heading(revision: i64, at: chrono::DateTime<chrono::Utc>, system: &SystemId) -> String {
    format!("revision {revision}  {}  {system}", show::moment(at))
}

impl Answer for HistoryAnswer {
    fn write_text(&self, page: &mut Page<'_>) -> io::Result<()> {
        for memory in &self.revisions {
            page.heading(heading(
                memory.revision,
                memory.updated_at,
                &memory.system_id,
            ))?;
            page.line(&memory.text)?;
        }
        if let Some(deletion) = &self.deletion {
            page.heading(&deletion.shown)?;
            if deletion.op == Op::Forget.as_str() {
                page.aside("forgotten; `akosha forget ID --erase` removes the content too")?;
            }
        }
        if self.revisions.is_empty() {
            page.line("its content was erased")?;
        }
        Ok(())
    }
}
