//! What the command line accepts.

use std::ffi::OsString;
use std::path::PathBuf;

use clap::{ArgAction, Args, Parser, Subcommand};

use crate::commands;

/// Memory for AI coding assistants that outlives the session and the machine.
#[derive(Debug, Parser)]
#[command(
    name = "akosha",
    version,
    propagate_version = true,
    disable_help_subcommand = true,
    max_term_width = 100
)]
pub(crate) struct Cli {
    #[command(flatten)]
    pub(crate) global: Global,
    #[command(subcommand)]
    pub(crate) command: Option<Command>,
}

/// Options that every command takes.
#[derive(Debug, Clone, Default, Args)]
pub(crate) struct Global {
    /// Folder that holds the store [default: the platform's data directory]
    // An `OsString`, because a path may not be empty there and an empty variable means unset.
    #[arg(
        long,
        global = true,
        env = "AKOSHA_HOME",
        hide_env_values = true,
        value_name = "DIR"
    )]
    pub(crate) home: Option<OsString>,
    /// Configuration file [default: `akosha.toml` in the platform's configuration directory]
    #[arg(
        long,
        global = true,
        env = "AKOSHA_CONFIG",
        hide_env_values = true,
        value_name = "FILE"
    )]
    pub(crate) config: Option<OsString>,
    /// Answer with one JSON object on standard output
    #[arg(long, global = true)]
    pub(crate) json: bool,
    /// Log more to standard error; twice for everything
    #[arg(short, long, global = true, action = ArgAction::Count, conflicts_with = "quiet")]
    pub(crate) verbose: u8,
    /// Log errors alone, show no progress
    #[arg(short, long, global = true)]
    pub(crate) quiet: bool,
}

impl Global {
    /// Returns the home that was named.
    pub(crate) fn named_home(&self) -> Option<PathBuf> {
        named(self.home.as_ref())
    }

    /// Returns the configuration file that was named.
    pub(crate) fn named_config(&self) -> Option<PathBuf> {
        named(self.config.as_ref())
    }

    /// Returns whether the configuration file is the one that the environment names.
    pub(crate) fn is_config_from_env(&self) -> bool {
        self.config.is_some() && self.config == std::env::var_os("AKOSHA_CONFIG")
    }
}

fn named(path: Option<&OsString>) -> Option<PathBuf> {
    path.filter(|path| !path.is_empty()).map(PathBuf::from)
}

/// The commands.
#[derive(Debug, Subcommand)]
pub(crate) enum Command {
    /// Serve MCP on standard input and output, for an assistant
    Mcp,
    /// Serve MCP, a REST API and a dashboard over HTTP, and take in what other machines upload
    Serve(commands::serve::Args),
    /// Answer an assistant's lifecycle hook: JSON on standard input, always exit code 0
    Hook(commands::hook::Args),
    /// Store a memory
    Store(commands::store::Args),
    /// Show a memory
    Get(commands::get::Args),
    /// List memories, newest first
    List(commands::list::Args),
    /// Search memories by words
    Search(commands::search::Args),
    /// Forget a memory; the deletion syncs where the memory was made on this machine
    ///
    /// A memory that was pulled from another system is forgotten here alone: forget it there too.
    Forget(commands::forget::Args),
    /// Show every revision of a memory
    History(commands::history::Args),
    /// Push what is unsynced, now
    Sync(commands::sync::Args),
    /// Pull from the vault into the local store
    Pull(commands::pull::Args),
    /// Take the uploads of every system in, as a server does, until it is stopped
    ///
    /// Several may work on one vault: they share out the uploads.
    Ingest(commands::ingest::Args),
    /// See what ingestion set aside, try it again, or dismiss it
    #[command(subcommand)]
    Quarantine(commands::quarantine::Command),
    /// Show the queue, the lag, the last success and error, quarantine and conflicts
    Status,
    /// Check everything that can stand in the way, and say what to do
    Doctor,
    /// Store what files or other tools hold; the same again stores nothing
    Import(commands::import::Args),
    /// Write all memories to a file or to standard output
    Export(commands::export::Args),
    /// List the files that travel beside the memories, and bring them back
    #[command(subcommand)]
    Files(commands::files::Command),
    /// Prove what the vault holds
    #[command(subcommand)]
    Vault(commands::vault::Command),
    /// Show, check or create the configuration
    #[command(subcommand)]
    Config(commands::config::Command),
    /// Make, show and bring in the keys that encrypt and sign what goes into the vault
    #[command(subcommand)]
    Key(commands::key::Command),
    /// Make, list and revoke the tokens by which others use this server
    #[command(subcommand)]
    Token(commands::token::Command),
    /// Settle which machine owns a system id
    #[command(subcommand)]
    Machines(commands::machines::Command),
    /// Print a completion script for a shell
    Completions(commands::completions::Args),
    /// Show the whole loop, two machines and a vault, in a temporary folder
    Demo,
    /// Work through the queue and end: what the detached child runs
    #[command(hide = true)]
    Drain,
}

impl Command {
    /// Returns the name as it is typed.
    pub(crate) fn name(&self) -> &'static str {
        match self {
            Self::Mcp => "mcp",
            Self::Serve(_) => "serve",
            Self::Hook(_) => "hook",
            Self::Store(_) => "store",
            Self::Get(_) => "get",
            Self::List(_) => "list",
            Self::Search(_) => "search",
            Self::Forget(_) => "forget",
            Self::History(_) => "history",
            Self::Sync(_) => "sync",
            Self::Pull(_) => "pull",
            Self::Ingest(_) => "ingest",
            Self::Quarantine(_) => "quarantine",
            Self::Status => "status",
            Self::Doctor => "doctor",
            Self::Import(_) => "import",
            Self::Export(_) => "export",
            Self::Files(_) => "files",
            Self::Vault(_) => "vault",
            Self::Config(_) => "config",
            Self::Key(_) => "key",
            Self::Token(_) => "token",
            Self::Machines(_) => "machines",
            Self::Completions(_) => "completions",
            Self::Demo => "demo",
            Self::Drain => "drain",
        }
    }
}

/// What can be told of a command line that breaks the rules.
pub(crate) struct Typed {
    /// Whether answers are wanted as JSON.
    pub(crate) is_json: bool,
    /// Whether it calls a hook.
    pub(crate) is_hook: bool,
}

impl Typed {
    /// Looks at the command line of this process.
    pub(crate) fn from_process() -> Self {
        Self::of(std::env::args_os().skip(1))
    }

    fn of(arguments: impl Iterator<Item = OsString>) -> Self {
        let mut command = None;
        let mut is_json = false;
        let mut is_value = false;
        for argument in arguments {
            let text = argument.to_string_lossy();
            is_json |= text == "--json";
            if !is_value && !text.starts_with('-') {
                command.get_or_insert_with(|| text.clone().into_owned());
            }
            is_value = text == "--home" || text == "--config";
        }
        Self {
            is_json,
            is_hook: command.as_deref() == Some("hook"),
        }
    }
}

#[cfg(test)]
mod tests {
    use clap::CommandFactory;

    use super::*;

    #[test]
    fn the_definition_is_sound() {
        Cli::command().debug_assert();
    }

    #[test]
    fn broken_command_lines_still_tell_hooks() {
        let typed = |line: &str| Typed::of(line.split(' ').map(OsString::from));
        assert!(typed("--home hook-home hook --what").is_hook);
        assert!(typed("-v hook").is_hook);
        assert!(!typed("store hook --what").is_hook);
        assert!(!typed("--home hook store").is_hook);
        assert!(typed("list --json --what").is_json);
    }
}
