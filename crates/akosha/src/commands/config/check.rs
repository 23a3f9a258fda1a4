//! `akosha config check`: checks the configuration.

use std::io;

use akosha_core::config::ConfigError;
use akosha_sync::crypt::VaultKeys;
use akosha_sync::files;
use serde::Serialize;

use crate::context::Context;
use crate::failure::{Exit, Failure};
use crate::output::{Answer, Page};
use crate::show::counted;

/// Runs the command.
pub(crate) fn run(context: &Context) -> Result<Exit, Failure> {
    let loaded = context.loaded();
    let mut errors = loaded.errors.clone();
    errors.extend(VaultKeys::config_error(context.home()?, loaded));
    errors.extend(files::config_errors(loaded));
    let answer = CheckAnswer {
        valid: errors.is_empty(),
        errors,
        warnings: loaded
            .warnings
            .iter()
            .chain(&loaded.credentials_warning)
            .cloned()
            .collect(),
    };
    context.output().answer(&answer)?;
    Ok(if answer.valid {
        Exit::Done
    } else {
        Exit::Usage
    })
}

#[derive(Debug, Serialize)]
struct CheckAnswer {
    valid: bool,
    errors: Vec<ConfigError>,
    warnings: Vec<String>,
}

impl Answer for CheckAnswer {
    fn write_text(&self, page: &mut Page<'_>) -> io::Result<()> {
        if self.valid {
            page.line("the configuration is valid")?;
        } else {
            page.line(counted(self.errors.len() as u64, "error", "errors"))?;
        }
        for error in &self.errors {
            page.line(format!("  {error}"))?;
            page.line(format!("    hint: {}", error.hint))?;
        }
        for warning in &self.warnings {
            page.line(format!("warning: {warning}"))?;
        }
        Ok(())
    }
}
