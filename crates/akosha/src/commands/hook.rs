//! `akosha hook`: answers an assistant's lifecycle hook.

use crate::context::Context;
use crate::hook;

/// Options of `akosha hook`.
#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    /// session-start, session-end, stop, pre-compact, post-compact or user-prompt-submit
    ///
    /// `session-start` prints what earlier sessions left, `session-end` queues the sync and leaves
    /// it to a process in the background. The others are taken and do nothing yet. An event that is
    /// not known is named on standard error; the exit code is 0 then too.
    // Any text, because even an event that is not known must end with exit code 0.
    event: String,
}

/// Runs the command: it ends in time and with exit code 0, whatever happens.
pub(crate) fn run(context: Context, args: Args) {
    hook::run(context, args.event);
}
