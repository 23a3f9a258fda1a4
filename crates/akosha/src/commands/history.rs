//! `akosha history`: shows every revision of a memory, and whether it is forgotten.

use std::io;

use akosha_core::{Memory, MemoryId, SystemId};
use akosha_store::{Change, Op};
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
    let deletions = store.deletions(&args.id, args.system.as_ref())?;
    let newest = match deletions.last() {
        Some(deletion) => store.newest_change(&deletion.system_id, &args.id)?,
        None => None,
    };
    let deletion = newest.filter(|newest| newest.op != Op::Put);
    context.output().answer(&HistoryAnswer {
        forgotten: deletion.is_some(),
        revisions,
        deletion: deletion.map(Deletion::from),
        deletions: deletions.into_iter().map(Deletion::from).collect(),
    })?;
    Ok(Exit::Done)
}

#[derive(Debug, Serialize)]
struct HistoryAnswer {
    /// The revisions that still have content, oldest first.
    revisions: Vec<Memory>,
    /// Whether the memory is found no more.
    forgotten: bool,
    /// What deleted it, where it is found no more.
    deletion: Option<Deletion>,
    /// Every deletion that is known, oldest first.
    deletions: Vec<Deletion>,
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
        let mut deletions = self.deletions.iter().peekable();
        for memory in &self.revisions {
            while let Some(earlier) = deletions.next_if(|next| next.revision < memory.revision) {
                earlier.write_text(page)?;
            }
            page.heading(heading(
                memory.revision,
                memory.updated_at,
                &memory.system_id,
            ))?;
            page.line(&memory.text)?;
        }
        for deletion in deletions {
            deletion.write_text(page)?;
        }
        match &self.deletion {
            Some(deletion) if deletion.op == Op::Forget.as_str() => {
                page.aside("`akosha forget ID --erase` removes the content too")
            }
            _ => Ok(()),
        }
    }
}

impl Deletion {
    fn write_text(&self, page: &mut Page<'_>) -> io::Result<()> {
        page.heading(&self.shown)?;
        page.line(if self.op == Op::Forget.as_str() {
            "forgotten"
        } else {
            "its content was erased"
        })
    }
}
