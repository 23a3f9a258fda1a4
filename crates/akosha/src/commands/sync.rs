//! `akosha sync`: pushes what is unsynced.

use std::io;

use akosha_core::{ErrorKind, JobId};
use akosha_store::Trigger;
use akosha_sync::{MethodChoice, SyncReport, SyncRequest};
use clap::ValueEnum;
use serde::Serialize;
use tokio_util::sync::CancellationToken;

use crate::background::DetachedDrain;
use crate::context::Context;
use crate::failure::{Exit, Failure};
use crate::output::{Answer, Page};
use crate::progress::Bar;
use crate::{runtime, show};

/// Options of `akosha sync`.
#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    /// Method to use; one that is named is used alone
    #[arg(long, value_enum, default_value_t = Method::Auto)]
    method: Method,
    /// Do not try HTTP after the cloud failed
    #[arg(long)]
    no_fallback: bool,
    /// Queue the sync and answer at once; a process in the background runs it
    #[arg(long)]
    background: bool,
}

/// Methods of sync.
#[derive(Debug, Clone, Copy, ValueEnum)]
enum Method {
    /// Cloud, then HTTP
    Auto,
    /// The bucket alone
    Cloud,
    /// Another Akosha alone
    Http,
}

impl Args {
    fn request(&self) -> SyncRequest {
        SyncRequest {
            method: match self.method {
                Method::Auto => MethodChoice::Auto,
                Method::Cloud => MethodChoice::Cloud,
                Method::Http => MethodChoice::Http,
            },
            enable_fallback: !self.no_fallback,
            ..SyncRequest::default()
        }
    }
}

/// Runs the command.
pub(crate) fn run(context: &Context, args: &Args) -> Result<Exit, Failure> {
    if args.background {
        queue(context, &args.request())
    } else {
        push(context, &args.request())
    }
}

/// Queues the sync and leaves it to a detached child.
fn queue(context: &Context, request: &SyncRequest) -> Result<Exit, Failure> {
    let job_id = context.syncer()?.enqueue(Trigger::Manual, request)?;
    let started = DetachedDrain::new(context)?.spawn();
    if let Err(error) = &started {
        tracing::warn!(%error, "the queued sync waits for the next start of akosha");
    }
    context.output().answer(&QueueAnswer {
        queued: true,
        job_id,
        started: started.is_ok(),
    })?;
    Ok(Exit::Done)
}

/// Pushes now.
fn push(context: &Context, request: &SyncRequest) -> Result<Exit, Failure> {
    let output = context.output();
    let syncer = context.syncer()?;
    let bar = Bar::new(output, "pushing");
    let cancel = CancellationToken::new();
    let runtime = runtime::start()?;
    let report = runtime.block_on(async {
        if let Err(error) = runtime::cancel_on_signal(cancel.clone()) {
            tracing::warn!(%error, "this process cannot be asked to end");
        }
        syncer.sync(request, Trigger::Manual, &bar, &cancel).await
    });
    bar.clear();
    for warning in &report.warnings {
        output.warning(warning, &[]);
    }
    if report.success {
        output.answer(&report)?;
        return Ok(Exit::Done);
    }
    let kind = report.kind.unwrap_or(ErrorKind::Internal);
    // Whatever stopped it, something was changed.
    let exit = if report.is_partial() {
        Exit::Partial
    } else {
        Exit::of(kind)
    };
    if output.is_json() {
        output.answer(&report)?;
        return Ok(exit);
    }
    if report.is_partial() {
        output.answer(&report)?;
    }
    let status = runtime.block_on(syncer.status())?;
    output.failure(&failure(&report, kind, status.lag.unsynced_memories));
    Ok(exit)
}

/// Says what went wrong and how much is left.
fn failure(report: &SyncReport, kind: ErrorKind, left: u64) -> Failure {
    let left = show::counted(left, "change is", "changes are");
    Failure {
        message: format!(
            "{}; {left} not synced yet, none is lost",
            report.error.as_deref().unwrap_or("the sync failed")
        ),
        hint: report.hint.clone(),
        kind,
        settings: Vec::new(),
    }
    .in_command("sync")
}

#[derive(Debug, Serialize)]
struct QueueAnswer {
    queued: bool,
    job_id: JobId,
    /// Whether the process in the background could be started.
    started: bool,
}

impl Answer for QueueAnswer {
    fn write_text(&self, page: &mut Page<'_>) -> io::Result<()> {
        page.line(format!("queued {}; see `akosha status`", self.job_id))
    }
}

impl Answer for SyncReport {
    fn write_text(&self, page: &mut Page<'_>) -> io::Result<()> {
        if let Some(method) = self.fallback_from {
            page.line(format!("{method} failed, so {} was used", self.method))?;
        }
        if self.success && self.memories_uploaded == 0 && self.files_uploaded.is_empty() {
            return page.line(if self.warnings.is_empty() {
                "nothing to push: everything is synced"
            } else {
                "nothing else to push"
            });
        }
        page.line(format!(
            "pushed {} by {}: {} in {:.1} s",
            show::counted(self.memories_uploaded, "change", "changes"),
            self.method,
            show::size(self.bytes_transferred),
            self.duration_seconds
        ))?;
        if self.bytes_deduplicated > 0 {
            let known = show::size(self.bytes_deduplicated);
            page.line(format!("{known} were there already"))?;
        }
        for file in &self.files_uploaded {
            page.line(format!("pushed file {file}"))?;
        }
        for id in &self.upload_ids {
            page.aside(format!("upload {id}"))?;
        }
        Ok(())
    }
}
