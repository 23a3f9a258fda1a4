//! `akosha token revoke`: takes a token back.

use std::io;

use akosha_core::ErrorKind;
use serde::Serialize;

use super::Shown;
use crate::context::Context;
use crate::failure::{Exit, Failure};
use crate::output::{Answer, Page};

/// Options of `akosha token revoke`.
#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    /// Name or id of the token
    #[arg(value_name = "NAME|ID")]
    token: String,
}

/// Runs the command.
pub(super) fn run(context: &Context, args: &Args) -> Result<Exit, Failure> {
    let store = context.store()?;
    let now = store.sources().clock.now();
    let revoked = store.revoke_token(&args.token)?.ok_or_else(|| {
        let shown = akosha_core::excerpt(&args.token);
        Failure::new(
            ErrorKind::NotFound,
            format!("no token `{shown}` that could be revoked"),
            "see what there is: `akosha token list`",
        )
    })?;
    context.output().answer(&RevokeAnswer {
        revoked: Shown::new(revoked, now),
    })?;
    Ok(Exit::Done)
}

#[derive(Debug, Serialize)]
struct RevokeAnswer {
    revoked: Shown,
}

impl Answer for RevokeAnswer {
    fn write_text(&self, page: &mut Page<'_>) -> io::Result<()> {
        page.line(format!(
            "revoked `{}`; a running server refuses it within seconds",
            self.revoked.name
        ))
    }
}
