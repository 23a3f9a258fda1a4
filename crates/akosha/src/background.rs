//! The detached child that works through the queue after this process has ended.

use std::io;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::thread;

use akosha_mcp::BackgroundDrain;
use process_wrap::std::CommandWrap;

use crate::context::Context;
use crate::failure::Failure;

/// Starts `akosha drain` for one home as a process of its own: in a session of its own, so that a
/// signal to the client's process group does not reach it, and without standard streams, so that
/// nobody waits for them to close.
#[derive(Debug, Clone)]
pub(crate) struct DetachedDrain {
    home: PathBuf,
    config: Option<PathBuf>,
    /// Children that were started here and have not ended.
    children: Arc<AtomicUsize>,
}

impl DetachedDrain {
    /// Creates the starter for the home and the configuration file of `context`.
    pub(crate) fn new(context: &Context) -> Result<Self, Failure> {
        Ok(Self {
            home: context.home()?.root().to_owned(),
            config: context.named_config().map(Path::to_owned),
            children: Arc::default(),
        })
    }

    /// Starts the child and returns at once.
    ///
    /// # Errors
    /// Fails where the system cannot start a process. What is queued stays queued, and the next
    /// Akosha process of the home finds it.
    pub(crate) fn spawn(&self) -> io::Result<()> {
        let mut command = CommandWrap::from(self.command()?);
        #[cfg(unix)]
        command.wrap(process_wrap::std::ProcessSession);
        let mut child = command.spawn()?;
        let children = Arc::clone(&self.children);
        children.fetch_add(1, Ordering::SeqCst);
        // A process that lives on has to take note of the child's end, or a zombie stays. One
        // that ends now leaves that to the system.
        let reaper = thread::Builder::new()
            .name("drain-reaper".into())
            .stack_size(64 << 10)
            .spawn(move || {
                if let Err(error) = child.wait() {
                    tracing::debug!(%error, "the drain child was lost");
                }
                children.fetch_sub(1, Ordering::SeqCst);
            });
        if reaper.is_err() {
            self.children.fetch_sub(1, Ordering::SeqCst);
        }
        reaper?;
        Ok(())
    }

    fn command(&self) -> io::Result<Command> {
        let mut command = Command::new(std::env::current_exe()?);
        command.arg("--home").arg(&self.home);
        if let Some(config) = &self.config {
            command.arg("--config").arg(config);
        }
        command
            .arg("drain")
            // Neither a folder that is to be deleted nor a disk that is to be unmounted is held.
            .current_dir(&self.home)
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::null());
        #[cfg(windows)]
        detach(&mut command);
        Ok(command)
    }
}

impl BackgroundDrain for DetachedDrain {
    fn start(&self) {
        if let Err(error) = self.spawn() {
            tracing::warn!(%error, "the queued sync waits for the next start of akosha");
        }
    }

    fn is_at_work(&self) -> bool {
        self.children.load(Ordering::SeqCst) > 0
    }
}

/// Starts the child where the command has opened a store in which a job is due: one that was
/// queued by a process that died before the sync.
pub(crate) fn resume(context: &Context) {
    let Some(store) = context.opened_store() else {
        return;
    };
    match (store.has_due_job(), DetachedDrain::new(context)) {
        (Ok(true), Ok(drain)) => drain.start(),
        (Ok(_), _) => {}
        (Err(error), _) => tracing::warn!(%error, "the queue cannot be read"),
    }
}

/// Gives the child no console and a process group of its own.
#[cfg(windows)]
fn detach(command: &mut Command) {
    use std::os::windows::process::CommandExt;
    /// <https://learn.microsoft.com/windows/win32/procthread/process-creation-flags>
    const DETACHED_PROCESS: u32 = 0x0000_0008;
    const CREATE_NEW_PROCESS_GROUP: u32 = 0x0000_0200;
    command.creation_flags(DETACHED_PROCESS | CREATE_NEW_PROCESS_GROUP);
}
