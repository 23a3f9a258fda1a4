//! `akosha completions`: prints a completion script for a shell.

use std::io;

use clap::CommandFactory;
use clap_complete::Shell;
use serde::Serialize;

use crate::cli::Cli;
use crate::context::Context;
use crate::failure::{Exit, Failure};
use crate::output::{Answer, Page};

/// Options of `akosha completions`.
#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    /// Shell to complete for
    shell: Shell,
}

/// Runs the command.
pub(crate) fn run(context: &Context, args: &Args) -> Result<Exit, Failure> {
    let mut script = Vec::new();
    clap_complete::generate(args.shell, &mut Cli::command(), "akosha", &mut script);
    context.output().answer(&CompletionsAnswer {
        shell: args.shell.to_string(),
        script: String::from_utf8_lossy(&script).into_owned(),
    })?;
    Ok(Exit::Done)
}

#[derive(Debug, Serialize)]
struct CompletionsAnswer {
    shell: String,
    script: String,
}

impl Answer for CompletionsAnswer {
    fn write_text(&self, page: &mut Page<'_>) -> io::Result<()> {
        page.raw(&self.script)
    }
}
