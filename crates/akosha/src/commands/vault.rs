//! `akosha vault`: proves what the vault holds, and cares for it.

use std::io;

use akosha_core::SystemId;
use akosha_sync::proof::{CollectOptions, CollectReport, Problem, RepairReport, VerifyReport};
use akosha_sync::{SyncReport, SyncRequest};
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
    /// Remove what interrupted pushes of this machine left and nothing names
    Gc(GcArgs),
    /// Send again what the vault has lost and this home still knows
    Repair,
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
    /// Remove nothing, only say what would be removed
    #[arg(long)]
    dry_run: bool,
    /// Hours that an object is left alone after it was written
    #[arg(long, value_name = "HOURS", default_value_t = 24,
          value_parser = clap::value_parser!(u32).range(1..=8760))]
    grace_hours: u32,
}

/// Runs the command.
pub(crate) fn run(context: &Context, command: &Command) -> Result<Exit, Failure> {
    match command {
        Command::Verify(args) => verify(context, args),
        Command::Gc(args) => gc(context, args),
        Command::Repair => repair(context),
    }
}

fn verify(context: &Context, args: &VerifyArgs) -> Result<Exit, Failure> {
    let syncer = context.syncer()?;
    let bar = Bar::new(context.output(), "verifying");
    let verified = runtime::start()?.block_on(syncer.verify_vault(&args.systems, args.deep, &bar));
    bar.clear();
    let report = verified?;
    context.output().answer(&report)?;
    Ok(if report.success {
        Exit::Done
    } else {
        Exit::Partial
    })
}

fn gc(context: &Context, args: &GcArgs) -> Result<Exit, Failure> {
    let syncer = context.syncer()?;
    let options = CollectOptions {
        grace: chrono::TimeDelta::hours(i64::from(args.grace_hours)),
        dry_run: args.dry_run,
    };
    let report = runtime::start()?.block_on(syncer.collect_garbage(options))?;
    let exit = if report.success {
        Exit::Done
    } else {
        Exit::Partial
    };
    context.output().answer(&GcAnswer {
        dry_run: args.dry_run,
        report,
    })?;
    Ok(exit)
}

fn repair(context: &Context) -> Result<Exit, Failure> {
    let syncer = context.syncer()?;
    let bar = Bar::new(context.output(), "repairing");
    let repaired = runtime::start()?.block_on(async {
        let repaired = syncer.repair_vault().await?;
        let cancel = CancellationToken::new();
        let trigger = akosha_store::Trigger::Manual;
        let request = SyncRequest::default();
        let sync = syncer.sync(&request, trigger, &bar, &cancel).await;
        Ok::<_, akosha_sync::SyncError>(RepairAnswer { repaired, sync })
    });
    bar.clear();
    let answer = repaired?;
    let is_done = answer.repaired.success && answer.sync.success;
    context.output().answer(&answer)?;
    Ok(if is_done { Exit::Done } else { Exit::Partial })
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
                "{}; what this machine still knows is sent again by `akosha vault repair`",
                show::counted(count as u64, "problem", "problems")
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
                "{} of interrupted pushes, {}: `akosha vault gc` removes those that are old",
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
        page.line(format!(
            "{} {}, {}; {} too young",
            if self.dry_run {
                "would remove"
            } else {
                "removed"
            },
            show::counted(report.removed, "object", "objects"),
            show::size(report.removed_bytes),
            show::counted(report.kept, "is", "are")
        ))?;
        if report.problems.is_empty() && !report.success {
            page.line("there is more: repeat the command")?;
        }
        if !report.problems.is_empty() {
            page.line("a system with a manifest that cannot be read is left alone")?;
        }
        Ok(())
    }
}

#[derive(Debug, Serialize)]
struct RepairAnswer {
    repaired: RepairReport,
    sync: SyncReport,
}

impl Answer for RepairAnswer {
    fn write_text(&self, page: &mut Page<'_>) -> io::Result<()> {
        let repaired = &self.repaired;
        write_problems(page, &repaired.problems)?;
        page.line(format!(
            "restored {}, {}",
            show::counted(repaired.segments_restored, "segment", "segments"),
            show::size(repaired.bytes_transferred)
        ))?;
        if repaired.segments_resent > 0 {
            page.line(format!(
                "{} cannot be made again as they were; what is left of them was sent anew",
                show::counted(repaired.segments_resent, "segment", "segments")
            ))?;
        }
        for name in &repaired.files_resent {
            page.line(format!("looked at {name} again"))?;
        }
        self.sync.write_text(page)
    }
}
