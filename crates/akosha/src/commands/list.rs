//! `akosha list`: lists memories, newest first.

use std::io;

use akosha_core::Memory;
use akosha_store::{Page as Listed, PageRequest};
use serde::Serialize;

use crate::context::Context;
use crate::failure::{Exit, Failure};
use crate::filter::FilterArgs;
use crate::output::{Answer, Page};
use crate::show;

use super::NOTHING_STORED;

/// Options of `akosha list`.
#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    /// Most memories to list, 1 to 1000
    #[arg(long, default_value_t = 20)]
    limit: usize,
    /// Where the list before ended: its `next_cursor`
    #[arg(long)]
    cursor: Option<String>,
    #[command(flatten)]
    filter: FilterArgs,
}

/// Runs the command.
pub(crate) fn run(context: &Context, args: Args) -> Result<Exit, Failure> {
    let store = context.store()?;
    let filter = args.filter.filter();
    let is_whole = filter.is_empty() && args.cursor.is_none();
    let Listed {
        memories,
        next_cursor,
    } = store.list(&PageRequest {
        limit: args.limit,
        cursor: args.cursor,
        filter,
    })?;
    let is_empty_store = memories.is_empty() && (is_whole || super::is_empty(store)?);
    context.output().answer(&ListAnswer {
        memories,
        next_cursor,
        is_empty_store,
    })?;
    Ok(Exit::Done)
}

#[derive(Debug, Serialize)]
struct ListAnswer {
    memories: Vec<Memory>,
    next_cursor: Option<String>,
    #[serde(skip)]
    is_empty_store: bool,
}

impl Answer for ListAnswer {
    fn write_text(&self, page: &mut Page<'_>) -> io::Result<()> {
        if self.is_empty_store {
            return page.line(NOTHING_STORED);
        }
        if self.memories.is_empty() {
            return page.line("no memory passes the filter");
        }
        for memory in &self.memories {
            page.line(format!(
                "{}  {}  {}",
                show::moment(memory.created_at),
                memory.memory_id,
                show::one_line(&memory.text, 80)
            ))?;
        }
        match &self.next_cursor {
            Some(cursor) => page.aside(format!("more: `akosha list --cursor {cursor}`")),
            None => Ok(()),
        }
    }
}
