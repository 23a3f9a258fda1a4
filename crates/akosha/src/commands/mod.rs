//! One file per command: what it takes and what it does.

pub(crate) mod completions;
pub(crate) mod config;
pub(crate) mod demo;
pub(crate) mod doctor;
pub(crate) mod drain;
pub(crate) mod export;
pub(crate) mod files;
pub(crate) mod forget;
pub(crate) mod get;
pub(crate) mod history;
pub(crate) mod hook;
pub(crate) mod import;
pub(crate) mod ingest;
pub(crate) mod key;
pub(crate) mod list;
pub(crate) mod machines;
pub(crate) mod mcp;
mod notice;
pub(crate) mod pull;
pub(crate) mod quarantine;
pub(crate) mod search;
pub(crate) mod serve;
pub(crate) mod status;
pub(crate) mod store;
pub(crate) mod sync;
pub(crate) mod token;
pub(crate) mod vault;

use std::sync::Arc;

use akosha_mcp::StoreHandle;
use akosha_store::{Store, StoreError};
use akosha_sync::Syncer;
use akosha_sync::breaker::Breakers;

use crate::background;
use crate::cli::Command;
use crate::context::Context;
use crate::failure::{Exit, Failure};

/// What an empty store says to a person.
const NOTHING_STORED: &str =
    "nothing is stored yet; store something: `akosha store \"what to remember\"`";

/// Runs a command.
pub(crate) fn run(context: Context, command: Command) -> Result<Exit, Failure> {
    notice::tell(&context, &command);
    match needs(&command) {
        Needs::RightConfig => context.require_valid_config()?,
        Needs::Owner => context.check_writes()?,
        Needs::Nothing => {}
    }
    // A sync under a wrong configuration would only be parked.
    let resumes = resumes_queue(&command) && context.loaded().errors.is_empty();
    let ended = match command {
        Command::Hook(args) => {
            hook::run(context, args);
            return Ok(Exit::Done);
        }
        Command::Mcp => mcp::run(&context),
        Command::Serve(args) => serve::run(&context, args),
        Command::Store(args) => store::run(&context, args),
        Command::Get(args) => get::run(&context, args),
        Command::List(args) => list::run(&context, args),
        Command::Search(args) => search::run(&context, args),
        Command::Forget(args) => forget::run(&context, args),
        Command::History(args) => history::run(&context, &args),
        Command::Sync(args) => sync::run(&context, &args),
        Command::Pull(args) => pull::run(&context, &args),
        Command::Ingest(args) => ingest::run(&context, args),
        Command::Quarantine(command) => quarantine::run(&context, &command),
        Command::Status => status::run(&context),
        Command::Doctor => doctor::run(&context),
        Command::Import(args) => import::run(&context, &args),
        Command::Export(args) => export::run(&context, args),
        Command::Files(command) => files::run(&context, &command),
        Command::Vault(command) => vault::run(&context, &command),
        Command::Config(command) => config::run(&context, &command),
        Command::Key(command) => key::run(&context, &command),
        Command::Token(command) => token::run(&context, command),
        Command::Machines(command) => machines::run(&context, command),
        Command::Completions(args) => completions::run(&context, &args),
        Command::Demo => demo::run(&context),
        Command::Drain => drain::run(&context),
    };
    if resumes {
        background::resume(&context);
    }
    ended
}

/// Returns whether a command wakes a sync that an earlier process left. Those that sync or serve
/// see to the queue themselves, and `status` changes nothing that it shows.
fn resumes_queue(command: &Command) -> bool {
    !matches!(
        command,
        Command::Mcp
            | Command::Serve(_)
            | Command::Hook(_)
            | Command::Sync(_)
            | Command::Status
            | Command::Doctor
            | Command::Drain
    )
}

/// What a command needs of the configuration.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Needs {
    /// All of it: what uses the vault or serves others must not do so by a setting that is not
    /// meant.
    RightConfig,
    /// To know whose memories it stores and what is to be taken out of them.
    Owner,
    /// No more than it says itself: nobody may lose their memory over a setting, and a person must
    /// be able to see what is wrong.
    Nothing,
}

fn needs(command: &Command) -> Needs {
    match command {
        Command::Serve(_)
        | Command::Sync(_)
        | Command::Pull(_)
        | Command::Ingest(_)
        | Command::Quarantine(quarantine::Command::Retry(_))
        | Command::Files(_)
        | Command::Vault(_)
        | Command::Machines(_) => Needs::RightConfig,
        Command::Store(_) | Command::Forget(_) | Command::Import(_) => Needs::Owner,
        Command::Mcp
        | Command::Hook(_)
        | Command::Get(_)
        | Command::List(_)
        | Command::Search(_)
        | Command::Quarantine(_)
        | Command::History(_)
        | Command::Status
        | Command::Doctor
        | Command::Export(_)
        | Command::Config(_)
        | Command::Key(_)
        | Command::Token(_)
        | Command::Completions(_)
        | Command::Demo
        | Command::Drain => Needs::Nothing,
    }
}

/// Returns whether nothing at all is stored.
fn is_empty(store: &Store) -> Result<bool, StoreError> {
    Ok(store.stats()?.memories == 0)
}

/// Returns the handle of a server, which opens the store when it is asked to.
fn handle(context: &Context) -> Result<StoreHandle, Failure> {
    handle_with(context, None)
}

/// As [`handle`], for a server that lives long enough to leave alone what fails.
fn handle_with(context: &Context, breakers: Option<&Breakers>) -> Result<StoreHandle, Failure> {
    let home = context.home()?.clone();
    let options = context.store_options();
    let loaded = Arc::clone(context.loaded());
    let breakers = breakers.cloned();
    Ok(StoreHandle::new(move || {
        let store = Store::open(&home, options.clone())?;
        let syncer = Syncer::new(store, Arc::clone(&loaded));
        Ok(match &breakers {
            Some(breakers) => syncer.with_breakers(breakers.clone()),
            None => syncer,
        })
    }))
}
