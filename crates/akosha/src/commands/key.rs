//! `akosha key`: the keys that encrypt and sign what goes into the vault.

mod create;
mod import;
mod rotate;
mod show;

use akosha_core::{Clock, SystemClock};
use akosha_sync::crypt::KeyError;
use chrono::{DateTime, Utc};

use crate::context::Context;
use crate::failure::{Exit, Failure};

/// Commands of `akosha key`.
#[derive(Debug, clap::Subcommand)]
pub(crate) enum Command {
    /// Make the first key of this home
    Create,
    /// Show the ids and public keys; with `--phrase` what brings a key to another machine
    Show(show::Args),
    /// Bring in the key of another machine: its recovery phrase or its `keys.json`
    Import(import::Args),
    /// Make a new key for new uploads; the keys before still read the older ones
    Rotate,
}

/// Runs the command.
pub(crate) fn run(context: &Context, command: &Command) -> Result<Exit, Failure> {
    match command {
        Command::Create => create::run(context),
        Command::Show(args) => show::run(context, args),
        Command::Import(args) => import::run(context, args),
        Command::Rotate => rotate::run(context),
    }
}

fn now() -> DateTime<Utc> {
    SystemClock.now()
}

impl From<KeyError> for Failure {
    fn from(error: KeyError) -> Self {
        Self::new(error.kind(), error.to_string(), error.hint())
    }
}
