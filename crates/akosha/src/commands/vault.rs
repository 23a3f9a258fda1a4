//! `akosha vault`: proves what the vault holds, and cares for it.

use std::io;

use akosha_core::SystemId;
use akosha_store::Trigger;
use akosha_sync::care::{CollectOptions, CollectReport, RepairReport};
use akosha_sync::verify::{Problem, VerifyReport};
use akosha_sync::{SyncError, SyncReport, SyncRequest};
use chrono::TimeDelta;
use serde::Serialize;
use tokio_util::sync::CancellationToken;

use crate::context::Context;
use crate::failure::{Exit, Failure};
use crate::output::{Answer, Page};
use crate::progress::Bar;
use crate::{runtime, show};

/// Commands of `akosha vault`.
#[derive(Debug, clap::Subcommand)]
pub(crate) enum Command {
    /// Check that the vault holds what its manifests say
    ///
    /// Every manifest is read, and every object that one names is looked for with its size. What is
    /// wrong is named, with exit code 3.
    Verify(VerifyArgs),
    /// Merge small uploads of this machine, and remove what nothing needs
    ///
    /// Removes objects that interrupted pushes left and nothing names, and uploads for which another
    /// one stands. Younger ones than the grace stay. It runs by itself after some dozens of syncs in
    /// the background.
    Gc(GcArgs),
    /// Send again what the vault has lost and this home still knows
    ///
    /// Then syncs and checks what this machine has in the vault. What is left is named, with exit
    /// code 3.
    Repair(RepairArgs),
}

/// Options of `akosha vault verify`.
#[derive(Debug, clap::Args)]
pub(crate) struct VerifyArgs {
    /// Read, hash and decode every object too
    #[arg(long)]
    deep: bool,
    /// Check this system alone; repeat it for more [default: all]
    #[arg(long = "system", value_name = "ID")]
    systems: Vec<SystemId>,
}

/// Options of `akosha vault gc`.
#[derive(Debug, clap::Args)]
pub(crate) struct GcArgs {
    /// Change nothing, only say what would be removed
    #[arg(long)]
    dry_run: bool,
    /// Hours that an object is left alone after it was written, by the storage's clock
    #[arg(long, value_name = "HOURS", default_value_t = 24,
          value_parser = clap::value_parser!(u32).range(..=87_600))]
    grace_hours: u32,
    /// Fewest small uploads that are merged into one
    #[arg(long, value_name = "COUNT", default_value_t = 32,
          value_parser = clap::value_parser!(u32).range(2..))]
    merge_from: u32,
}

/// Options of `akosha vault repair`.
#[derive(Debug, clap::Args)]
pub(crate) struct RepairArgs {
    /// Read, hash and decode every object too, to find those that are damaged
    #[arg(long)]
    deep: bool,
}

/// Runs the command.
pub(crate) fn run(context: &Context, command: &Command) -> Result<Exit, Failure> {
    match command {
        Command::Verify(args) => verify(context, args),
        Command::Gc(args) => gc(context, args),
        Command::Repair(args) => repair(context, args),
    }
}

fn verify(context: &Context, args: &VerifyArgs) -> Result<Exit, Failure> {
    let syncer = context.syncer()?;
    let bar = Bar::new(context.output(), "verifying");
    let verified = runtime::start()?.block_on(syncer.verify_vault(&args.systems, args.deep, &bar));
    bar.clear();
    let report = verified?;
    context.output().answer(&report)?;
    Ok(exit(report.success))
}

fn exit(is_done: bool) -> Exit {
    if is_done { Exit::Done } else { Exit::Partial }
}

fn gc(context: &Context, args: &GcArgs) -> Result<Exit, Failure> {
    let syncer = context.syncer()?;
    let options = CollectOptions {
        grace: TimeDelta::hours(i64::from(args.grace_hours)),
        merge_from: usize::try_from(args.merge_from).unwrap_or(usize::MAX),
        dry_run: args.dry_run,
    };
    let report = runtime::start()?.block_on(async {
        let cancel = cancel_on_signal();
        syncer.collect_garbage(options, &cancel).await
    })?;
    let is_done = report.success;
    context.output().answer(&GcAnswer {
        dry_run: args.dry_run,
        report,
    })?;
    Ok(exit(is_done))
}

fn repair(context: &Context, args: &RepairArgs) -> Result<Exit, Failure> {
    let syncer = context.syncer()?;
    let own = syncer.store().local_systems()?;
    let bar = Bar::new(context.output(), "repairing");
    let repaired = runtime::start()?.block_on(async {
        let cancel = cancel_on_signal();
        let repaired = syncer.repair_vault(args.deep, &bar, &cancel).await?;
        let request = SyncRequest::default();
        let sync = syncer.sync(&request, Trigger::Manual, &bar, &cancel).await;
        let verified = syncer.verify_vault(&own, args.deep, &bar).await?;
        Ok::<_, SyncError>(RepairAnswer {
            success: sync.success && verified.success,
            repaired,
            sync,
            verified,
        })
    });
    bar.clear();
    let answer = repaired?;
    context.output().answer(&answer)?;
    Ok(exit(answer.success))
}

fn cancel_on_signal() -> CancellationToken {
    let cancel = CancellationToken::new();
    if let Err(error) = runtime::cancel_on_signal(cancel.clone()) {
        tracing::warn!(%error, "this process cannot be asked to end");
    }
    cancel
}

fn write_problems(page: &mut Page<'_>, problems: &[Problem]) -> io::Result<()> {
    for problem in problems {
        page.line(format!("{}: {}", problem.key, problem.problem))?;
    }
    Ok(())
}

impl Answer for VerifyReport {
    fn write_text(&self, page: &mut Page<'_>) -> io::Result<()> {
        write_problems(page, &self.problems)?;
        let verdict = match self.problems.len() {
            0 => "everything is right".to_owned(),
            count => format!(
                "{}; what the machine that wrote it still knows it sends again: `akosha vault \
                 repair{}`",
                show::counted(count as u64, "problem", "problems"),
                if self.bytes_read > 0 { " --deep" } else { "" }
            ),
        };
        page.line(format!(
            "{} of {}, {}, {}: {verdict}",
            show::counted(self.uploads, "upload", "uploads"),
            show::counted(self.systems, "system", "systems"),
            show::counted(self.objects, "object", "objects"),
            show::size(self.bytes)
        ))?;
        if self.bytes_read > 0 {
            page.line(format!("read and hashed {}", show::size(self.bytes_read)))?;
        }
        if self.unreferenced > 0 {
            page.line(format!(
                "beside them {} that nothing names, {}: `akosha vault gc` removes old ones",
                show::counted(self.unreferenced, "object", "objects"),
                show::size(self.unreferenced_bytes)
            ))?;
        }
        Ok(())
    }
}

#[derive(Debug, Serialize)]
struct GcAnswer {
    dry_run: bool,
    #[serde(flatten)]
    report: CollectReport,
}

impl Answer for GcAnswer {
    fn write_text(&self, page: &mut Page<'_>) -> io::Result<()> {
        let report = &self.report;
        write_problems(page, &report.problems)?;
        if report.uploads_merged > 0 {
            let merged = show::counted(report.uploads_merged, "small upload", "small uploads");
            page.line(format!("merged {merged}"))?;
        }
        page.line(format!(
            "{} {} that another stands for, and {} that nothing names, {}; {} too young",
            if self.dry_run {
                "would remove"
            } else {
                "removed"
            },
            show::counted(report.uploads_removed, "upload", "uploads"),
            show::counted(report.removed, "object", "objects"),
            show::size(report.removed_bytes),
            show::counted(report.kept, "is", "are")
        ))
    }
}

#[derive(Debug, Serialize)]
struct RepairAnswer {
    success: bool,
    repaired: RepairReport,
    sync: SyncReport,
    verified: VerifyReport,
}

impl Answer for RepairAnswer {
    fn write_text(&self, page: &mut Page<'_>) -> io::Result<()> {
        let repaired = &self.repaired;
        if repaired.heads_restored > 0 {
            let heads = show::counted(repaired.heads_restored, "head", "heads");
            page.line(format!("wrote {heads} again"))?;
        }
        page.line(format!(
            "restored {} as they were, {}",
            show::counted(repaired.segments_restored, "segment", "segments"),
            show::size(repaired.bytes_transferred)
        ))?;
        if repaired.uploads_replaced > 0 {
            page.line(format!(
                "sent {} anew, in place of {}",
                show::counted(repaired.memories_resent, "change", "changes"),
                show::counted(repaired.uploads_replaced, "upload", "uploads")
            ))?;
        }
        for name in &repaired.files_resent {
            page.line(format!(
                "the sync that follows sends {name} again where it is here"
            ))?;
        }
        self.sync.write_text(page)?;
        self.verified.write_text(page)
    }
}
