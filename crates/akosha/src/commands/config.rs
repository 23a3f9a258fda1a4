//! `akosha config`: shows, checks and creates the configuration.

mod check;
mod init;
mod show;

use crate::context::Context;
use crate::failure::{Exit, Failure};

/// Commands of `akosha config`.
#[derive(Debug, clap::Subcommand)]
pub(crate) enum Command {
    /// Show every setting with its value and where it comes from; secrets are masked
    Show,
    /// Check the configuration; exit code 2 where it has errors
    Check,
    /// Write a commented configuration file
    Init(init::Args),
}

/// Runs the command.
pub(crate) fn run(context: &Context, command: &Command) -> Result<Exit, Failure> {
    match command {
        Command::Show => show::run(context),
        Command::Check => check::run(context),
        Command::Init(args) => init::run(context, args),
    }
}
