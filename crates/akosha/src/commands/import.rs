//! `akosha import`: brings memories in from files and other tools.

use std::io;
use std::path::PathBuf;

use clap::builder::PossibleValuesParser;

use crate::context::Context;
use crate::failure::{Exit, Failure};
use crate::import::{self, ImportError, ImportReport};
use crate::output::{Answer, Page};
use crate::progress::Counter;
use crate::show;

/// Most skipped files that a person is shown.
const SHOWN: usize = 20;

/// Options of `akosha import`.
#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    /// What is imported
    #[arg(value_parser = PossibleValuesParser::new(import::formats()))]
    format: String,
    /// File or folder to read [default for `session-buddy`: `~/.claude/data`]
    path: Option<PathBuf>,
}

/// Runs the command.
pub(crate) fn run(context: &Context, args: &Args) -> Result<Exit, Failure> {
    let store = context.store()?;
    let counter = Counter::new(context.output(), "imported");
    let imported = import::run(
        &args.format,
        args.path.as_deref(),
        store,
        &context.loaded().redactor,
        &mut |count| counter.update(count),
    );
    counter.clear();
    let report = imported?;
    context.output().answer(&report)?;
    Ok(if report.skipped.is_empty() {
        Exit::Done
    } else {
        Exit::Partial
    })
}

impl From<ImportError> for Failure {
    fn from(error: ImportError) -> Self {
        Self {
            message: error.to_string(),
            hint: error.hint(),
            kind: error.kind(),
            settings: Vec::new(),
        }
    }
}

impl Answer for ImportReport {
    fn write_text(&self, page: &mut Page<'_>) -> io::Result<()> {
        if let Some(hint) = self.hint {
            page.line("nothing to import was found")?;
            return page.line(hint);
        }
        page.line(format!(
            "imported {}: {} new, {} updated, {} known, in {:.1} s",
            show::counted(self.read, "memory", "memories"),
            self.stored,
            self.updated,
            self.duplicates,
            self.duration_seconds
        ))?;
        if self.redactions > 0 {
            let taken = show::counted(self.redactions, "secret", "secrets");
            page.line(format!("{taken} taken out before"))?;
        }
        if self.vectors_left_out > 0 {
            let vectors = show::counted(self.vectors_left_out, "vector", "vectors");
            page.line(format!("{vectors} left out: not 384 finite numbers"))?;
        }
        for skipped in self.skipped.iter().take(SHOWN) {
            page.line(format!("skipped {}: {}", skipped.path, skipped.reason))?;
        }
        let more = self.skipped.len().saturating_sub(SHOWN);
        if more > 0 {
            page.line(format!("and {more} more; `--json` names all"))?;
        }
        Ok(())
    }
}
