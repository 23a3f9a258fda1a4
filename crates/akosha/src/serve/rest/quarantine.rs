//! `/api/v1/quarantine`: what is set aside, tried again or dismissed by the same functions as
//! `akosha quarantine`.

use akosha_core::{ErrorKind, Scope, time};
use akosha_ingest::{Selection, UploadName};
use akosha_mcp::Failure;
use akosha_store::Quarantined;
use akosha_sync::NoProgress;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::json;

use super::route::{
    Call, Refusal, Route, Running, Verb, answer, blocking, json, nothing, parameters,
};

pub(super) const LIST: Route = Route {
    verb: Verb::Get,
    path: "/api/v1/quarantine",
    scope: Scope::Read,
    summary: "Lists what is set aside, oldest first, with the reasons.",
    parameters: nothing,
    answer: answer::<Quarantine>,
    run: list,
};

pub(super) const RETRY: Route = Route {
    verb: Verb::Post,
    path: "/api/v1/quarantine/retry",
    scope: Scope::Admin,
    summary: "Forgets what is known against uploads that are set aside and takes them in now.",
    parameters: parameters::<Which>,
    answer: answer::<Retried>,
    run: retry,
};

pub(super) const RELEASE: Route = Route {
    verb: Verb::Post,
    path: "/api/v1/quarantine/release",
    scope: Scope::Admin,
    summary: "Dismisses uploads that are set aside: they are neither tried nor listed any more.",
    parameters: parameters::<Which>,
    answer: answer::<Released>,
    run: release,
};

/// Which uploads are meant: all, or one.
#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
struct Which {
    /// True for every upload that is set aside and open.
    #[serde(default)]
    all: bool,
    /// The system of the one that is meant; every one with that id where it is left out.
    system_id: Option<String>,
    /// The one that is meant.
    upload_id: Option<String>,
}

impl Which {
    fn selection(self) -> Result<Selection, Refusal> {
        match (self.all, self.upload_id, self.system_id) {
            (true, None, None) => Ok(Selection::All),
            (false, Some(upload_id), system_id) => Ok(Selection::Uploads(vec![UploadName {
                upload_id,
                system_id,
            }])),
            _ => {
                let message = "either `all` or `upload_id` says which uploads are meant";
                let hint = "send `{\"all\": true}`, or `{\"system_id\": …, \"upload_id\": …}`";
                let failure = Failure::new(ErrorKind::Invalid, message).with_hint(hint);
                Err(failure.into())
            }
        }
    }
}

/// What came of trying uploads again.
#[derive(Serialize, JsonSchema)]
struct Retried {
    /// Whether all of them are merged, as far as they still exist.
    success: bool,
    /// Those that are merged whole now.
    merged: Vec<Named>,
    /// Those that are set aside again, with the reason.
    quarantined: Vec<Again>,
    /// Those that are in the vault no more.
    gone: Vec<Named>,
    /// Those that are tried again by the next look.
    waiting: Vec<Named>,
    /// What went wrong with the whole.
    error: Option<String>,
}

#[derive(Serialize, JsonSchema)]
struct Released {
    /// Those that were open.
    released: Vec<Named>,
}

#[derive(Serialize, JsonSchema)]
struct Named {
    /// The upload.
    upload_id: String,
    /// The system under which it lies.
    system_id: String,
}

#[derive(Serialize, JsonSchema)]
struct Again {
    /// The upload.
    upload_id: String,
    /// The system under which it lies.
    system_id: String,
    /// Why.
    reason: String,
}

#[derive(Serialize, JsonSchema)]
struct Quarantine {
    /// What is set aside.
    quarantine: Vec<SetAside>,
}

/// Something that is set aside.
#[derive(Serialize, JsonSchema)]
pub(super) struct SetAside {
    /// The upload.
    upload_id: String,
    /// The system under which it lies.
    system_id: String,
    /// The memory, where the rest of the upload was merged.
    item: Option<String>,
    /// Why.
    reason: String,
    /// Since when.
    since: String,
}

impl From<Quarantined> for SetAside {
    fn from(aside: Quarantined) -> Self {
        Self {
            upload_id: aside.upload_id,
            system_id: aside.system_id,
            item: aside.item,
            reason: aside.reason,
            since: time::format(aside.since),
        }
    }
}

fn list(call: Call) -> Running {
    Box::pin(async move {
        let (store, _) = call.node.store.get().await?;
        let aside = blocking(move || store.quarantined()).await?;
        json(&Quarantine {
            quarantine: aside.into_iter().map(SetAside::from).collect(),
        })
    })
}

fn retry(mut call: Call) -> Running {
    Box::pin(async move {
        let which = call.read::<Which>()?.selection()?;
        let worker = call.node.worker().await?;
        json(&worker.retry(&which, &NoProgress, &call.cancel).await?)
    })
}

fn release(mut call: Call) -> Running {
    Box::pin(async move {
        let which = call.read::<Which>()?.selection()?;
        let worker = call.node.worker().await?;
        Ok(json!({"released": worker.release(&which).await?}))
    })
}
