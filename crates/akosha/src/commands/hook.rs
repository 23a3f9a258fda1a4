//! `akosha hook`: answers an assistant's lifecycle hook.

use crate::context::Context;
use crate::hook;

/// Options of `akosha hook`.
#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    /// session-start, session-end, stop, pre-compact, post-compact or user-prompt-submit
    // Any text, because even an event that is not known must end with exit code 0.
    event: String,
}

/// Runs the command: it ends in time and with exit code 0, whatever happens.
pub(crate) fn run(context: Context, args: Args) {
    hook::run(context, args.event);
}
