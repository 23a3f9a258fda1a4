//! `akosha vault`: proves what the vault holds.

use std::io;

use akosha_core::SystemId;
use akosha_sync::verify::{Problem, VerifyReport};

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

/// Runs the command.
pub(crate) fn run(context: &Context, command: &Command) -> Result<Exit, Failure> {
    let Command::Verify(args) = command;
    verify(context, args)
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
            count => show::counted(count as u64, "problem", "problems"),
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
                "beside them {} that nothing names, {}, of pushes that were interrupted",
                show::counted(self.unreferenced, "object", "objects"),
                show::size(self.unreferenced_bytes)
            ))?;
        }
        Ok(())
    }
}
