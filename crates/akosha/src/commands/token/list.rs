//! `akosha token list`: the tokens, never their secrets.

use std::io;

use serde::Serialize;

use super::Shown;
use crate::context::Context;
use crate::failure::{Exit, Failure};
use crate::output::{Answer, Page};

/// Runs the command.
pub(super) fn run(context: &Context) -> Result<Exit, Failure> {
    let store = context.store()?;
    let now = store.sources().clock.now();
    let tokens = store.tokens()?.into_iter();
    context.output().answer(&ListAnswer {
        tokens: tokens.map(|token| Shown::new(token, now)).collect(),
    })?;
    Ok(Exit::Done)
}

#[derive(Debug, Serialize)]
struct ListAnswer {
    tokens: Vec<Shown>,
}

impl Answer for ListAnswer {
    fn write_text(&self, page: &mut Page<'_>) -> io::Result<()> {
        if self.tokens.is_empty() {
            return page.line("no tokens; make one: `akosha token create --name NAME`");
        }
        self.tokens
            .iter()
            .try_for_each(|token| page.line(token.line()))
    }
}
