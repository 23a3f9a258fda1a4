//! `akosha doctor`: looks at everything that a person would look at, and says what to do.

use std::io;

use akosha_sync::SyncStatus;
use akosha_sync::crypt::VaultKeys;
use serde::Serialize;

use crate::context::Context;
use crate::failure::{Exit, Failure};
use crate::output::{Answer, Page};
use crate::{runtime, show};

/// How a check came out.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
enum State {
    /// As it should be.
    Ok,
    /// Works, and a person may want to know.
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
    match home(context, &mut checks) {
        Ok(()) => sync(context, &mut checks)?,
        Err(failure) => checks.fail("home", failure.message, failure.hint),
    }
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
    for warning in loaded.warnings.iter().chain(&loaded.credentials_warning) {
        checks.warn(
            NAME,
            warning.clone(),
            "see all settings: `akosha config show`",
        );
    }
    if loaded.errors.is_empty() {
        let id = &loaded.config.system_id;
        checks.ok(NAME, format!("valid; this machine is `{id}`"));
    }
}

/// Looks at the home, its store and its keys.
fn home(context: &Context, checks: &mut Checks) -> Result<(), Failure> {
    let home = context.home()?;
    let store = context.store()?;
    let temporary = home.temporary();
    tempfile::Builder::new()
        .prefix("doctor-")
        .tempfile_in(&temporary)
        .map_err(|error| Failure::of_file("write", &temporary, &error))?;
    let stats = store.stats()?;
    checks.ok(
        "home",
        format!(
            "{}, {}, {}",
            home.root().display(),
            show::counted(stats.memories, "memory", "memories"),
            show::size(stats.size_bytes)
        ),
    );
    match VaultKeys::config_error(home, context.loaded()) {
        Some(error) => checks.fail("keys", error.to_string(), Some(error.hint)),
        None => match VaultKeys::load(home, context.config()) {
            Ok(keys) if keys.ids().is_empty() => {
                checks.ok("keys", "none; the vault is not encrypted");
            }
            Ok(keys) => {
                let count = show::counted(keys.ids().len() as u64, "key", "keys");
                let is_on = keys.to_encrypt().is_some();
                let on = if is_on { "on" } else { "off" };
                checks.ok("keys", format!("{count}; encryption is {on}"));
            }
            Err(error) => checks.fail("keys", error.to_string(), Some(error.hint())),
        },
    }
    Ok(())
}

/// Looks at the methods, the queue and what is not synced.
fn sync(context: &Context, checks: &mut Checks) -> Result<(), Failure> {
    let syncer = context.syncer()?;
    let status = runtime::start()?.block_on(syncer.status())?;
    methods(&status, checks);
    for warning in &status.vault.warnings {
        let hint = "give every machine a `system_id` of its own: `akosha config show`";
        checks.warn("vault", warning.clone(), hint);
    }
    for conflict in &status.sync_conflicts {
        checks.fail(
            "conflict",
            conflict.error.clone(),
            Some(conflict.hint.clone()),
        );
    }
    let queue = &status.queue;
    match (&queue.parked_job, &queue.last_error) {
        (Some(job), _) => checks.fail("queue", job.error.clone(), job.hint.clone()),
        (None, Some(error)) => {
            checks.warn(
                "queue",
                error.clone(),
                "it is tried again; at once: `akosha sync`",
            );
        }
        (None, None) => {
            let waiting = show::counted(queue.pending, "job waits", "jobs wait");
            checks.ok("queue", waiting);
        }
    }
    let lag = &status.lag;
    match (lag.unsynced_memories, &lag.oldest_unsynced_at) {
        (0, _) => checks.ok("lag", "everything is synced"),
        (count, since) => {
            let count = show::counted(count, "change is", "changes are");
            let since = since.as_deref().unwrap_or("now");
            let message = format!("{count} not synced, the oldest since {since}");
            checks.warn("lag", message, "push them: `akosha sync`");
        }
    }
    let set_aside = syncer.store().quarantined()?.len() as u64;
    if set_aside > 0 {
        let message = format!(
            "{} set aside",
            show::counted(set_aside, "item is", "items are")
        );
        checks.warn("quarantine", message, "see the reasons: `akosha status`");
    }
    Ok(())
}

fn methods(status: &SyncStatus, checks: &mut Checks) {
    const NAME: &str = "reach";
    let used = |method: &str| match method {
        "cloud" => status.should_use_cloud,
        _ => status.should_use_http,
    };
    let any = status.methods.iter().any(|method| method.available);
    if !status.cloud_configured {
        let hint = "name one, for example a folder: `akosha config init`";
        checks.warn(NAME, "no vault is set", hint);
    }
    for method in status.methods.iter().filter(|method| used(method.method)) {
        let name = method.method;
        match &method.reason {
            _ if method.available => checks.ok(NAME, format!("{name} answers")),
            reason => {
                let reason = reason.as_deref().unwrap_or("no answer");
                let message = format!("{name} cannot be reached: {reason}");
                // The other one can take over, or nothing is set at all.
                if any || !status.cloud_configured {
                    checks.warn(NAME, message, "see `akosha status`");
                } else {
                    let hint = "check the network and `akosha config show`".to_owned();
                    checks.fail(NAME, message, Some(hint));
                }
            }
        }
    }
}

impl Answer for DoctorAnswer {
    fn write_text(&self, page: &mut Page<'_>) -> io::Result<()> {
        for check in &self.checks {
            let state = match check.state {
                State::Ok => "ok",
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
