//! `akosha token prune`: removes what may not be used any more.

use std::io;

use serde::Serialize;

use crate::context::Context;
use crate::failure::{Exit, Failure};
use crate::output::{Answer, Page};
use crate::show::counted;

/// Runs the command.
pub(super) fn run(context: &Context) -> Result<Exit, Failure> {
    let store = context.store()?;
    let removed = store.prune_tokens()?;
    let left = store.tokens()?.len() as u64;
    context.output().answer(&PruneAnswer { removed, left })?;
    Ok(Exit::Done)
}

#[derive(Debug, Serialize)]
struct PruneAnswer {
    removed: u64,
    left: u64,
}

impl Answer for PruneAnswer {
    fn write_text(&self, page: &mut Page<'_>) -> io::Result<()> {
        let removed = counted(self.removed, "token", "tokens");
        page.line(format!("removed {removed}, {} left", self.left))
    }
}
