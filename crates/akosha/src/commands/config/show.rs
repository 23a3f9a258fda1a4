//! `akosha config show`: shows every setting with its source.

use std::collections::BTreeMap;
use std::io;

use akosha_core::config::Shown;
use serde::Serialize;

use crate::context::Context;
use crate::failure::{Exit, Failure};
use crate::output::{Answer, Page};

/// Runs the command.
pub(crate) fn run(context: &Context) -> Result<Exit, Failure> {
    let settings = context.loaded().shown.clone();
    context.output().answer(&ShowAnswer(settings))?;
    Ok(Exit::Done)
}

#[derive(Debug, Serialize)]
#[serde(transparent)]
struct ShowAnswer(BTreeMap<&'static str, Shown>);

impl Answer for ShowAnswer {
    fn write_text(&self, page: &mut Page<'_>) -> io::Result<()> {
        for (key, setting) in &self.0 {
            page.line(format!("{key} = {}  # {}", setting.value, setting.source))?;
        }
        Ok(())
    }
}
