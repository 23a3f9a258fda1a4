//! What a command says of the configuration before it does its work: once, on standard error.

use akosha_sync::crypt::VaultKeys;

use crate::cli::Command;
use crate::context::Context;
use crate::show::counted;

use super::{Needs, config, needs};

/// Tells what is odd and what is wrong, as far as the command does not tell it itself.
pub(super) fn tell(context: &Context, command: &Command) {
    let loaded = context.loaded();
    if matches!(command, Command::Config(config::Command::Check)) {
        return;
    }
    let credentials = loaded.credentials_warning.iter();
    let warnings = loaded
        .warnings
        .iter()
        .chain(credentials.filter(|_| uses_vault(command)));
    if has_log(command) {
        warnings.for_each(|warning| tracing::warn!("{warning}"));
        return;
    }
    let output = context.output();
    if stores(command)
        && let Ok(home) = context.home()
        && let Some(error) = VaultKeys::config_error(home, loaded)
    {
        let text = format!(
            "nothing syncs until that is corrected: {error}; {}",
            error.hint
        );
        output.warning(&text, &[]);
    }
    warnings.for_each(|warning| output.warning(warning, &[]));
    if loaded.errors.is_empty() || tells_errors(context, command) {
        return;
    }
    let count = counted(loaded.errors.len() as u64, "error", "errors");
    let text = format!(
        "the configuration has {count}, nothing syncs until that is corrected: `akosha config check`"
    );
    let details: Vec<String> = loaded.errors.iter().map(ToString::to_string).collect();
    output.warning(&text, &details);
}

/// Returns whether a command logs instead of talking to a person.
fn has_log(command: &Command) -> bool {
    matches!(
        command,
        Command::Mcp | Command::Serve(_) | Command::Hook(_) | Command::Drain
    )
}

/// Returns whether a command tells of errors itself, or has nothing to do with them.
fn tells_errors(context: &Context, command: &Command) -> bool {
    let is_refused = match needs(command) {
        Needs::RightConfig => true,
        Needs::Owner => !context.loaded().writes_allowed(),
        Needs::Nothing => false,
    };
    let is_apart = matches!(
        command,
        Command::Status
            | Command::Doctor
            | Command::Completions(_)
            | Command::Demo
            | Command::Key(_)
            | Command::Config(config::Command::Init(_))
    );
    is_refused || is_apart
}

/// Returns whether a command stores what a person may take for synced soon.
fn stores(command: &Command) -> bool {
    matches!(command, Command::Store(_) | Command::Import(_))
}

/// Returns whether a command needs the keys of the bucket.
fn uses_vault(command: &Command) -> bool {
    matches!(
        command,
        Command::Mcp
            | Command::Serve(_)
            | Command::Sync(_)
            | Command::Pull(_)
            | Command::Files(_)
            | Command::Vault(_)
            | Command::Machines(_)
    )
}
