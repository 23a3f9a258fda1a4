//! The bootstrap orchestrator: an external scheduler that is told of news and then says when it is
//! worked on, while it does its part.
//!
//! It never stands in the way. It is asked only when a look into the vault found something, within
//! [`LIMIT`]; where it is absent, fails, answers an error, or was told and says nothing within one
//! poll interval, this process goes ahead at once. That counts as failures of its circuit breaker,
//! which decides when it is asked again.
//!
//! One that answers is trusted again at once. One that answered and then said nothing is told
//! further on, but not waited for until it says when: else each piece of news would wait once more.

mod http;
mod mcp;

use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use akosha_core::{SystemId, metric};
use akosha_sync::Syncer;
use akosha_sync::breaker::{Breaker, Permit};
use async_trait::async_trait;
use chrono::{DateTime, Utc};
use serde::Serialize;
use serde_json::Value;
use tokio::time::timeout;
use url::Url;

use crate::{News, OrchestratorHealth, OrchestratorMode, Scheduler, Turn};

/// The call that it has to know.
const CALL: &str = "trigger_workflow";

/// The workflow that it is asked to trigger.
const WORKFLOW: &str = "akosha_ingest";

/// Longest time for one call.
const LIMIT: Duration = Duration::from_secs(5);

/// Longest time for a connection to be made.
const CONNECT: Duration = Duration::from_secs(2);

/// Most systems that are named to it.
const MOST_SYSTEMS: usize = 100;

/// A bootstrap orchestrator.
#[derive(Debug)]
pub struct Orchestrator {
    url: Url,
    speaks: Speaks,
    syncer: Syncer,
    breaker: Breaker,
    state: Mutex<State>,
}

/// How it is spoken to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Speaks {
    /// MCP over streamable HTTP: the address ends in `/mcp`.
    Mcp,
    /// JSON over HTTP.
    Http,
}

#[derive(Debug, Default)]
struct State {
    is_fallback: bool,
    since: Option<DateTime<Utc>>,
    last_contact_at: Option<DateTime<Utc>>,
    last_error: Option<String>,
    /// A call that was answered and has not led to anything yet.
    told: Option<Permit>,
    /// Whether it was told once and said nothing, and has not said when since then.
    is_silent: bool,
}

/// What it is told.
#[derive(Debug, Serialize)]
struct Call<'a> {
    workflow: &'static str,
    parameters: Parameters<'a>,
}

#[derive(Debug, Serialize)]
struct Parameters<'a> {
    /// The node that has news.
    node: &'a SystemId,
    /// Uploads that wait there.
    uploads: u64,
    /// Some of the systems that they come from.
    systems: &'a [SystemId],
    /// When the oldest of them was written.
    oldest_upload_at: Option<String>,
    /// What the node waits for.
    trigger: &'static str,
}

/// Why a call led to nothing.
#[derive(Debug, thiserror::Error)]
#[error("{0}")]
struct Unanswered(String);

impl Orchestrator {
    /// Creates the orchestrator that the configuration names, or `None` where it names none: its
    /// check lets nothing else but a URL through. Contacts nobody.
    pub fn configured(syncer: &Syncer, breaker: Breaker) -> Option<Self> {
        let url = Url::parse(&syncer.config().config.orchestrator_url).ok()?;
        let speaks = if url.path().trim_end_matches('/').ends_with("/mcp") {
            Speaks::Mcp
        } else {
            Speaks::Http
        };
        let state = State {
            since: Some(syncer.store().sources().clock.now()),
            ..State::default()
        };
        metrics::gauge!(metric::ORCHESTRATOR_FALLBACK.name).set(0.0);
        Some(Self {
            url,
            speaks,
            syncer: syncer.clone(),
            breaker,
            state: Mutex::new(state),
        })
    }

    async fn call(&self, news: &News) -> Result<(), Unanswered> {
        let systems = news.systems.get(..MOST_SYSTEMS).unwrap_or(&news.systems);
        let call = Call {
            workflow: WORKFLOW,
            parameters: Parameters {
                node: self.syncer.store().system_id(),
                uploads: news.uploads,
                systems,
                oldest_upload_at: news.oldest.map(akosha_core::time::format),
                trigger: "POST /api/v1/ingest",
            },
        };
        let answered = async {
            match self.speaks {
                Speaks::Mcp => mcp::call(&self.url, &call).await,
                Speaks::Http => http::call(&self.url, &call).await,
            }
        };
        match timeout(LIMIT, answered).await {
            Ok(answered) => answered,
            Err(_) => Err(Unanswered(format!(
                "it did not answer within {} s",
                LIMIT.as_secs()
            ))),
        }
    }

    /// Notes that it answered. Returns whether it is waited for.
    fn answered(&self, permit: Permit) -> Turn {
        let now = self.now();
        let mut state = self.lock();
        state.last_contact_at = Some(now);
        state.told = Some(permit);
        if state.is_silent {
            return Turn::Local;
        }
        state.change(false, None, now);
        Turn::Scheduler
    }

    /// Notes that it does not do its part.
    fn failed(&self, reason: String) {
        let now = self.now();
        self.lock().change(true, Some(reason), now);
    }

    fn now(&self) -> DateTime<Utc> {
        self.syncer.store().sources().clock.now()
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl State {
    fn change(&mut self, is_fallback: bool, error: Option<String>, now: DateTime<Utc>) {
        if self.is_fallback != is_fallback {
            self.is_fallback = is_fallback;
            self.since = Some(now);
            metrics::gauge!(metric::ORCHESTRATOR_FALLBACK.name).set(f64::from(is_fallback));
            if is_fallback {
                tracing::warn!(
                    reason = error,
                    "local scheduling stands in for the orchestrator"
                );
            } else {
                tracing::info!("the orchestrator schedules again");
            }
        }
        self.last_error = error;
    }

    /// Says of the call before that it led to nothing, where it did not.
    fn give_up(&mut self) {
        if let Some(permit) = self.told.take() {
            permit.failed(&silence());
        }
    }
}

fn silence() -> String {
    "it was told of new uploads and did not trigger ingestion within one poll interval".into()
}

#[async_trait]
impl Scheduler for Orchestrator {
    async fn tell(&self, news: &News) -> Turn {
        {
            let mut state = self.lock();
            if state.is_silent {
                state.give_up();
            }
        }
        let permit = match self.breaker.admit() {
            Ok(permit) => permit,
            Err(open) => {
                self.failed(open.to_string());
                return Turn::Local;
            }
        };
        match self.call(news).await {
            Ok(()) => self.answered(permit),
            Err(error) => {
                let reason = format!("`{}`: {error}", shown(&self.url));
                permit.failed(&reason);
                self.failed(reason);
                Turn::Local
            }
        }
    }

    fn triggered(&self) {
        let now = self.now();
        let mut state = self.lock();
        // Whoever asks for ingestion while nothing was told is not the orchestrator.
        let Some(permit) = state.told.take() else {
            return;
        };
        permit.succeeded();
        state.is_silent = false;
        state.change(false, None, now);
    }

    fn missed(&self) {
        let now = self.now();
        let mut state = self.lock();
        state.give_up();
        state.is_silent = true;
        state.change(true, Some(silence()), now);
    }

    fn health(&self) -> OrchestratorHealth {
        let state = self.lock();
        OrchestratorHealth {
            mode: if state.is_fallback {
                OrchestratorMode::Fallback
            } else {
                OrchestratorMode::Normal
            },
            url: Some(shown(&self.url)),
            last_contact_at: state.last_contact_at,
            last_error: state.last_error.clone(),
            since: state.since,
        }
    }
}

/// Returns an address without what may be secret in it.
fn shown(url: &Url) -> String {
    let mut url = url.clone();
    // Fails only for addresses that have no host, which have none of it.
    let _ = url.set_username("");
    let _ = url.set_password(None);
    url.set_query(None);
    url.to_string()
}

/// Reads what an answer says: it may report a failure in a call that succeeded.
fn judge(answer: &Value) -> Result<(), Unanswered> {
    let said_no = answer.get("success") == Some(&Value::Bool(false));
    let status = answer.get("status").and_then(Value::as_str);
    let is_bad = status.is_some_and(|status| matches!(status, "error" | "failed" | "rejected"));
    let error = answer.get("error").filter(|error| !error.is_null());
    if !(said_no || is_bad || error.is_some()) {
        return Ok(());
    }
    let told = error.map_or_else(
        || answer.to_string(),
        |error| match error {
            Value::String(text) => text.clone(),
            other => other.to_string(),
        },
    );
    Err(Unanswered(format!(
        "it refused `{CALL}`: {}",
        akosha_core::excerpt(&told)
    )))
}

/// Creates the client of one call. It follows no redirect: what is told is for one address.
fn client() -> Result<reqwest::Client, Unanswered> {
    akosha_sync::install_tls_provider();
    reqwest::Client::builder()
        .connect_timeout(CONNECT)
        .redirect(reqwest::redirect::Policy::none())
        .build()
        .map_err(|error| Unanswered(format!("no client can be made: {}", innermost(&error))))
}

/// Returns what an error comes from in the end: the layers above it say that there was one.
fn innermost(error: &(dyn std::error::Error + 'static)) -> String {
    let mut last = error;
    while let Some(source) = last.source() {
        last = source;
    }
    last.to_string()
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn an_answer_can_report_a_failure() {
        for good in [
            json!(null),
            json!("started"),
            json!({"status": "started", "workflow_id": "w1", "error": null}),
            json!({"success": true}),
        ] {
            assert!(judge(&good).is_ok(), "{good}");
        }
        for bad in [
            json!({"success": false}),
            json!({"status": "failed"}),
            json!({"error": "no such workflow"}),
            json!({"error": {"code": 7}}),
        ] {
            assert!(judge(&bad).is_err(), "{bad}");
        }
        let told = judge(&json!({"success": false, "error": "no such workflow"})).unwrap_err();
        assert_eq!(
            told.to_string(),
            "it refused `trigger_workflow`: no such workflow"
        );
    }

    #[test]
    fn credentials_are_not_shown() {
        let url = Url::parse("https://me:secret@host:8680/mcp?key=secret").unwrap();
        assert_eq!(shown(&url), "https://host:8680/mcp");
    }
}
