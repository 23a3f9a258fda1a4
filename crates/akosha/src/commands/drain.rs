//! `akosha drain`: works through the queue and ends. It is what the detached child runs, so it
//! has no standard streams and logs to a file in the home.

use std::fs::{File, OpenOptions};
use std::io;
use std::path::Path;

use tokio_util::sync::CancellationToken;

use crate::context::Context;
use crate::failure::{Exit, Failure};
use crate::{logging, runtime};

/// Size of the log in bytes from which it starts anew.
const MAX_LOG: u64 = 1 << 20;

/// Runs the command.
pub(crate) fn run(context: &Context) -> Result<Exit, Failure> {
    let home = context.home()?;
    home.create()?;
    let path = home.root().join("drain.log");
    logging::to_file(open_log(&path).map_err(|error| Failure::of_file("write", &path, &error))?);
    let drained = drain(context);
    if let Err(failure) = &drained {
        tracing::error!(hint = failure.hint, "{}", failure.message);
    }
    drained
}

fn drain(context: &Context) -> Result<Exit, Failure> {
    let syncer = context.syncer()?;
    let cancel = CancellationToken::new();
    runtime::start()?.block_on(async {
        if let Err(error) = runtime::cancel_on_signal(cancel.clone()) {
            tracing::warn!(%error, "this process cannot be asked to end");
        }
        syncer.drain(&cancel).await
    })?;
    Ok(Exit::Done)
}

/// Opens the log to append to it; one that grew large starts anew.
fn open_log(path: &Path) -> io::Result<File> {
    let mut options = OpenOptions::new();
    options.create(true);
    if path.metadata().is_ok_and(|file| file.len() > MAX_LOG) {
        options.write(true).truncate(true);
    } else {
        options.append(true);
    }
    #[cfg(unix)]
    std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
    options.open(path)
}
