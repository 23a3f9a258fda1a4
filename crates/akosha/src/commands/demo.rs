//! `akosha demo`: the whole loop on a temporary folder.

use std::io;

use crate::context::Context;
use crate::demo::{self, DemoError, DemoReport, Step};
use crate::failure::{Exit, Failure};
use crate::output::{Answer, Page};
use crate::runtime;

/// Runs the command. Neither the home nor the configuration is looked at.
pub(crate) fn run(context: &Context) -> Result<Exit, Failure> {
    let output = context.output();
    let runtime = runtime::start()?;
    let mut told = Ok(());
    let report = runtime.block_on(demo::run(&mut |step| {
        if told.is_ok() {
            told = output.part(step);
        }
    }))?;
    told?;
    output.answer(&report)?;
    Ok(Exit::Done)
}

impl From<DemoError> for Failure {
    fn from(error: DemoError) -> Self {
        Self {
            message: error.to_string(),
            hint: error.hint(),
            kind: error.kind(),
            settings: Vec::new(),
        }
    }
}

impl Answer for Step {
    fn write_text(&self, page: &mut Page<'_>) -> io::Result<()> {
        page.line(format!(
            "{:<12} {:>8.1} ms  {}",
            self.name, self.took_ms, self.detail
        ))?;
        for item in &self.items {
            page.aside(format!("{:27}{item}", ""))?;
        }
        Ok(())
    }
}

impl Answer for DemoReport {
    /// Writes what comes next; the steps were told one by one.
    fn write_text(&self, page: &mut Page<'_>) -> io::Result<()> {
        page.line("")?;
        let commands = self.next.iter().map(|next| next.command.len());
        let width = commands.max().unwrap_or_default();
        for next in &self.next {
            page.line(format!("{:<width$}  {}", next.command, next.purpose))?;
        }
        Ok(())
    }
}
