//! `akosha pull`: pulls from the vault into the local store.

use std::io;

use akosha_core::SystemId;
use akosha_sync::PullReport;
use tokio_util::sync::CancellationToken;

use crate::context::Context;
use crate::failure::{Exit, Failure};
use crate::output::{Answer, Page};
use crate::progress::Bar;
use crate::{runtime, show};

/// Options of `akosha pull`.
#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    /// Pull uploads of this system alone; repeat it for more [default: all]
    #[arg(long = "system", value_name = "ID")]
    systems: Vec<SystemId>,
}

/// Runs the command.
pub(crate) fn run(context: &Context, args: &Args) -> Result<Exit, Failure> {
    let syncer = context.syncer()?;
    let bar = Bar::new(context.output(), "pulling");
    let cancel = CancellationToken::new();
    let pulled = runtime::start()?.block_on(async {
        if let Err(error) = runtime::cancel_on_signal(cancel.clone()) {
            tracing::warn!(%error, "this process cannot be asked to end");
        }
        syncer.pull(&args.systems, &bar, &cancel).await
    });
    bar.clear();
    let report = pulled?;
    context.output().answer(&report)?;
    Ok(exit(&report))
}

/// Returns the exit code that a report stands for.
pub(super) fn exit(report: &PullReport) -> Exit {
    if !report.quarantined.is_empty() {
        Exit::Partial
    } else if report.success {
        Exit::Done
    } else {
        Exit::Failed
    }
}

impl Answer for PullReport {
    fn write_text(&self, page: &mut Page<'_>) -> io::Result<()> {
        if self.uploads_seen == 0 && self.quarantined.is_empty() && self.error.is_none() {
            return page.line("nothing new in the vault");
        }
        page.line(format!(
            "merged {} of {}: {} new, {} updated, {} known; {} in {:.1} s",
            self.uploads_merged,
            show::counted(self.uploads_seen, "upload", "uploads"),
            self.memories_added,
            self.memories_updated,
            self.memories_skipped,
            show::size(self.bytes_transferred),
            self.duration_seconds
        ))?;
        for upload in &self.quarantined {
            page.line(format!(
                "set aside {} of {}: {}",
                upload.upload_id, upload.system_id, upload.reason
            ))?;
        }
        match &self.error {
            Some(error) => page.line(format!("not all: {error}")),
            None => Ok(()),
        }
    }
}
