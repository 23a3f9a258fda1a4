//! Lifecycle hooks of assistants.
//!
//! An assistant waits for its hooks, and kills those that are late: everything here is bounded,
//! errors are one line on standard error, and the exit code is 0.

mod input;
mod session_end;
mod session_start;

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::mpsc;
use std::thread;
use std::time::Duration;

use akosha_store::{Store, StoreOptions};
use akosha_sync::Syncer;

use crate::context::Context;
use crate::failure::Failure;
use crate::output::stderr_line;

use input::Payload;

/// Longest time of a whole hook: assistants allow 1.5 s to all hooks together.
const LIMIT: Duration = Duration::from_millis(1300);

/// How long each of four tries waits for another process that holds the store.
const BUSY_TIMEOUT: Duration = Duration::from_millis(250);

/// Answers the hook `event` and returns in time, whatever happens.
pub(crate) fn run(context: Context, event: String) {
    std::panic::set_hook(Box::new(|panic| {
        stderr_line(&format!("akosha: a defect, please report it: {panic}").replace('\n', " "));
    }));
    let (done, ended) = mpsc::channel();
    let worker = thread::Builder::new().name("hook".into()).spawn(move || {
        let answered = catch_unwind(AssertUnwindSafe(|| answer(&context, &event)));
        if let Ok(Err(failure)) = answered {
            complain(&failure);
        }
        // Nobody listens any more where this took too long.
        let _ = done.send(());
    });
    match worker {
        Ok(_) => {
            if ended.recv_timeout(LIMIT) == Err(mpsc::RecvTimeoutError::Timeout) {
                stderr_line("akosha: the hook took too long and was given up; `akosha status`");
            }
        }
        Err(error) => stderr_line(&format!("akosha: cannot start the hook: {error}")),
    }
}

fn answer(context: &Context, event: &str) -> Result<(), Failure> {
    let payload = input::read();
    match event {
        "session-start" => session_start::run(context, &payload),
        "session-end" => session_end::run(context, &payload),
        "stop" | "pre-compact" | "post-compact" | "user-prompt-submit" => Ok(()),
        other => {
            stderr_line(&format!(
                "akosha: `{}` is no hook event; see `akosha hook --help`",
                other.escape_debug()
            ));
            Ok(())
        }
    }
}

/// Opens the store with a wait that fits into a hook.
fn syncer(context: &Context) -> Result<Syncer, Failure> {
    if let Err(failure) = context.require_valid_config() {
        complain(&failure);
    }
    let options = StoreOptions {
        busy_timeout: Some(BUSY_TIMEOUT),
        ..context.store_options()
    };
    let store = Store::open(context.home()?, options)?;
    Ok(Syncer::new(store, context.loaded().clone()))
}

/// Says in one line what went wrong.
fn complain(failure: &Failure) {
    let hint = failure.hint.as_deref().unwrap_or("see `akosha status`");
    stderr_line(&format!("akosha: {}; {hint}", failure.message).replace('\n', " "));
}
