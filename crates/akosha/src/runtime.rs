//! The asynchronous runtime of one command, and the signals that cancel it.

use std::io;

use akosha_core::ErrorKind;
use tokio::runtime::{Builder, Runtime};
use tokio_util::sync::CancellationToken;

use crate::failure::Failure;

/// Starts a runtime on this thread; blocking calls get threads of their own.
pub(crate) fn start() -> Result<Runtime, Failure> {
    build(&mut Builder::new_current_thread())
}

/// Starts a runtime with a thread for each processor.
pub(crate) fn start_on_all() -> Result<Runtime, Failure> {
    build(&mut Builder::new_multi_thread())
}

fn build(builder: &mut Builder) -> Result<Runtime, Failure> {
    builder.enable_all().build().map_err(|error| {
        Failure::new(
            ErrorKind::Storage,
            format!("cannot start the runtime: {error}"),
            "the system is out of file handles or memory: close programs, then repeat",
        )
    })
}

/// Exit code of a process that a second Ctrl-C ended: 128 and the number of SIGINT.
const INTERRUPTED: i32 = 130;

/// Cancels `token` when a person or the system asks this process to end. A second request ends
/// it at once.
///
/// # Errors
/// Fails where the system refuses the handlers.
#[expect(clippy::exit, reason = "a person who asks twice does not want to wait")]
pub(crate) fn cancel_on_signal(token: CancellationToken) -> io::Result<()> {
    let mut signals = Signals::new()?;
    tokio::spawn(async move {
        signals.next().await;
        tracing::info!("asked to end");
        token.cancel();
        signals.next().await;
        std::process::exit(INTERRUPTED);
    });
    Ok(())
}

#[cfg(unix)]
struct Signals {
    interrupt: tokio::signal::unix::Signal,
    terminate: tokio::signal::unix::Signal,
}

#[cfg(unix)]
impl Signals {
    fn new() -> io::Result<Self> {
        use tokio::signal::unix::{SignalKind, signal};
        Ok(Self {
            interrupt: signal(SignalKind::interrupt())?,
            terminate: signal(SignalKind::terminate())?,
        })
    }

    async fn next(&mut self) {
        tokio::select! {
            _ = self.interrupt.recv() => {}
            _ = self.terminate.recv() => {}
        }
    }
}

#[cfg(windows)]
struct Signals {
    interrupt: tokio::signal::windows::CtrlC,
    close: tokio::signal::windows::CtrlClose,
}

#[cfg(windows)]
impl Signals {
    fn new() -> io::Result<Self> {
        Ok(Self {
            interrupt: tokio::signal::windows::ctrl_c()?,
            close: tokio::signal::windows::ctrl_close()?,
        })
    }

    async fn next(&mut self) {
        tokio::select! {
            _ = self.interrupt.recv() => {}
            _ = self.close.recv() => {}
        }
    }
}
