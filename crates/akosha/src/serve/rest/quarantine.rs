//! `/api/v1/quarantine`: what is set aside.

use akosha_core::{Scope, time};
use akosha_store::Quarantined;
use schemars::JsonSchema;
use serde::Serialize;

use super::route::{Call, Route, Running, Verb, answer, blocking, json, nothing};

pub(super) const LIST: Route = Route {
    verb: Verb::Get,
    path: "/api/v1/quarantine",
    scope: Scope::Read,
    summary: "Lists what is set aside, oldest first, with the reasons.",
    parameters: nothing,
    answer: answer::<Quarantine>,
    run: list,
};

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
