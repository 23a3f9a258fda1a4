//! `akosha quarantine`: shows what ingestion set aside, tries it again, or dismisses it.

use std::io;

use akosha_core::SystemId;
use akosha_ingest::{IngestWorker, RetryReport, Selection, SetAside, UploadName};
use akosha_store::Quarantined;
use akosha_sync::breaker::Breakers;
use serde::Serialize;
use tokio_util::sync::CancellationToken;

use crate::context::Context;
use crate::failure::{Exit, Failure};
use crate::output::{Answer, Page};
use crate::progress::Bar;
use crate::{runtime, show};

/// Commands of `akosha quarantine`.
#[derive(Debug, clap::Subcommand)]
pub(crate) enum Command {
    /// Show what is set aside, with the reasons
    List(ListArgs),
    /// Forget what is known against uploads, and take them in now
    ///
    /// What is at fault still is set aside again and named, with exit code 3.
    Retry(WhichArgs),
    /// Dismiss uploads: they are neither tried nor listed any more
    ///
    /// Nothing is removed from the vault. `akosha quarantine retry UPLOAD_ID` takes it back.
    Release(WhichArgs),
}

/// Options of `akosha quarantine list`.
#[derive(Debug, clap::Args)]
pub(crate) struct ListArgs {
    /// Show what was dismissed instead
    #[arg(long)]
    released: bool,
}

/// Which uploads are meant.
#[derive(Debug, clap::Args)]
pub(crate) struct WhichArgs {
    /// Uploads, as `akosha quarantine list` names them
    #[arg(value_name = "UPLOAD_ID", required_unless_present = "all")]
    uploads: Vec<String>,
    /// All that are open
    #[arg(long, conflicts_with_all = ["uploads", "system"])]
    all: bool,
    /// Of this system alone, where several have uploads of one id
    #[arg(long, value_name = "ID")]
    system: Option<SystemId>,
}

impl WhichArgs {
    fn selection(&self) -> Selection {
        if self.all {
            return Selection::All;
        }
        let named = self.uploads.iter().map(|upload_id| UploadName {
            upload_id: upload_id.clone(),
            system_id: self.system.as_ref().map(SystemId::to_string),
        });
        Selection::Uploads(named.collect())
    }
}

/// Runs the command.
pub(crate) fn run(context: &Context, command: &Command) -> Result<Exit, Failure> {
    match command {
        Command::List(args) => list(context, args),
        Command::Retry(args) => retry(context, args),
        Command::Release(args) => release(context, args),
    }
}

fn list(context: &Context, args: &ListArgs) -> Result<Exit, Failure> {
    let store = context.store()?;
    let found = if args.released {
        store.released()?
    } else {
        store.quarantined()?
    };
    context.output().answer(&ListAnswer {
        quarantine: found.into_iter().map(Listed::from).collect(),
    })?;
    Ok(Exit::Done)
}

fn retry(context: &Context, args: &WhichArgs) -> Result<Exit, Failure> {
    let worker = IngestWorker::new(context.syncer()?, Breakers::default());
    let bar = Bar::new(context.output(), "ingesting");
    let cancel = CancellationToken::new();
    let retried = runtime::start()?.block_on(async {
        if let Err(error) = runtime::cancel_on_signal(cancel.clone()) {
            tracing::warn!(%error, "this process cannot be asked to end");
        }
        worker.retry(&args.selection(), &bar, &cancel).await
    });
    bar.clear();
    let report = retried?;
    context.output().answer(&report)?;
    Ok(if !report.quarantined.is_empty() {
        Exit::Partial
    } else if report.success {
        Exit::Done
    } else {
        Exit::Failed
    })
}

fn release(context: &Context, args: &WhichArgs) -> Result<Exit, Failure> {
    let worker = IngestWorker::new(context.syncer()?, Breakers::default());
    let released = runtime::start()?.block_on(worker.release(&args.selection()))?;
    context.output().answer(&ReleaseAnswer { released })?;
    Ok(Exit::Done)
}

#[derive(Debug, Serialize)]
struct ListAnswer {
    quarantine: Vec<Listed>,
}

/// What is set aside: an upload, or one memory of it.
#[derive(Debug, Serialize)]
struct Listed {
    upload_id: String,
    system_id: String,
    item: Option<String>,
    reason: String,
    since: String,
    released_at: Option<String>,
}

impl From<Quarantined> for Listed {
    fn from(it: Quarantined) -> Self {
        Self {
            upload_id: it.upload_id,
            system_id: it.system_id,
            item: it.item,
            reason: it.reason,
            since: show::exact(it.since),
            released_at: it.released_at.map(show::exact),
        }
    }
}

#[derive(Debug, Serialize)]
struct ReleaseAnswer {
    released: Vec<SetAside>,
}

impl Answer for ListAnswer {
    fn write_text(&self, page: &mut Page<'_>) -> io::Result<()> {
        if self.quarantine.is_empty() {
            return page.line("nothing is set aside");
        }
        for it in &self.quarantine {
            let dismissed = it.released_at.as_ref();
            let dismissed = dismissed.map(|at| format!(", dismissed {at}"));
            page.heading(format!(
                "{}  {}  since {}{}",
                it.upload_id,
                it.system_id,
                it.since,
                dismissed.unwrap_or_default()
            ))?;
            let item = it.item.as_ref();
            let item = item.map(|item| format!("memory `{item}`: "));
            page.line(format!(
                "      {}{}",
                item.unwrap_or_default(),
                show::one_line(&it.reason, 300)
            ))?;
        }
        Ok(())
    }
}

impl Answer for RetryReport {
    fn write_text(&self, page: &mut Page<'_>) -> io::Result<()> {
        let tried = self.merged.len() + self.gone.len() + self.waiting.len();
        if tried == 0 && self.quarantined.is_empty() && self.error.is_none() {
            return page.line("nothing is set aside");
        }
        for (uploads, what) in [
            (&self.merged, "merged"),
            (&self.gone, "in the vault no more"),
            (&self.waiting, "not reached, tried again by the next look"),
        ] {
            for upload in uploads {
                let SetAside {
                    upload_id,
                    system_id,
                } = upload;
                page.line(format!("{upload_id} of {system_id}: {what}"))?;
            }
        }
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

impl Answer for ReleaseAnswer {
    fn write_text(&self, page: &mut Page<'_>) -> io::Result<()> {
        if self.released.is_empty() {
            return page.line("nothing is set aside");
        }
        for it in &self.released {
            page.line(format!("dismissed {} of {}", it.upload_id, it.system_id))?;
        }
        page.line("take it back: `akosha quarantine retry UPLOAD_ID`")
    }
}
