//! `akosha doctor`: looks at everything that a person would look at, and says what to do.

mod assistants;
mod home;
mod sync;
mod vault;

use std::io;

use serde::Serialize;

use crate::context::Context;
use crate::failure::{Exit, Failure};
use crate::output::{Answer, Page};
use crate::runtime;

/// How a check came out.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
enum State {
    /// As it should be.
    Ok,
    /// As it should be, and a person may not know it.
    Note,
    /// Works, and a person may want to change something.
    Warning,
    /// Does not work.
    Failed,
}

/// One check.
#[derive(Debug, Serialize)]
struct Check {
    name: &'static str,
    state: State,
    message: String,
    hint: Option<String>,
}

#[derive(Debug, Serialize)]
struct DoctorAnswer {
    healthy: bool,
    checks: Vec<Check>,
}

/// The checks as they are made.
#[derive(Debug, Default)]
struct Checks(Vec<Check>);

impl Checks {
    fn ok(&mut self, name: &'static str, message: impl Into<String>) {
        self.add(name, State::Ok, message.into(), None);
    }

    fn note(&mut self, name: &'static str, message: impl Into<String>, hint: &str) {
        self.add(name, State::Note, message.into(), Some(hint.into()));
    }

    fn warn(&mut self, name: &'static str, message: impl Into<String>, hint: &str) {
        self.add(name, State::Warning, message.into(), Some(hint.into()));
    }

    fn fail(&mut self, name: &'static str, message: impl Into<String>, hint: Option<String>) {
        self.add(name, State::Failed, message.into(), hint);
    }

    fn add(&mut self, name: &'static str, state: State, message: String, hint: Option<String>) {
        self.0.push(Check {
            name,
            state,
            message,
            hint,
        });
    }
}

/// Runs the command. Every check is made although others fail.
pub(crate) fn run(context: &Context) -> Result<Exit, Failure> {
    let mut checks = Checks::default();
    configuration(context, &mut checks);
    match home::check(context, &mut checks) {
        Ok(()) => {
            let syncer = context.syncer()?;
            runtime::start()?.block_on(async {
                let status = syncer.status().await?;
                vault::check(&syncer, &status, &mut checks).await;
                sync::check(&syncer, &status, &mut checks)
            })?;
        }
        Err(failure) => checks.fail("home", failure.message, failure.hint),
    }
    assistants::check(&mut checks);
    let healthy = checks.0.iter().all(|check| check.state != State::Failed);
    context.output().answer(&DoctorAnswer {
        healthy,
        checks: checks.0,
    })?;
    Ok(if healthy { Exit::Done } else { Exit::Failed })
}

fn configuration(context: &Context, checks: &mut Checks) {
    const NAME: &str = "configuration";
    let loaded = context.loaded();
    for error in &loaded.errors {
        checks.fail(NAME, error.to_string(), Some(error.hint.clone()));
    }
    let files = akosha_sync::files::config_errors(loaded);
    for error in &files {
        checks.fail(NAME, error.to_string(), Some(error.hint.clone()));
    }
    for warning in loaded.warnings.iter().chain(&loaded.credentials_warning) {
        checks.warn(
            NAME,
            warning.clone(),
            "see all settings: `akosha config show`",
        );
    }
    if loaded.errors.is_empty() && files.is_empty() {
        let id = &loaded.config.system_id;
        checks.ok(NAME, format!("valid; this machine is `{id}`"));
    }
}

impl Answer for DoctorAnswer {
    fn write_text(&self, page: &mut Page<'_>) -> io::Result<()> {
        for check in &self.checks {
            let state = match check.state {
                State::Ok => "ok",
                State::Note => "note",
                State::Warning => "warning",
                State::Failed => "FAILED",
            };
            page.line(format!("{:8} {}: {}", state, check.name, check.message))?;
            if let Some(hint) = &check.hint {
                page.line(format!("         hint: {hint}"))?;
            }
        }
        page.line(if self.healthy {
            "nothing stands in the way"
        } else {
            "something does not work"
        })
    }
}
