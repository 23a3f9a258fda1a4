//! What the audit log says of a request.

use std::collections::BTreeSet;

use akosha_core::{ErrorKind, Scope};
use akosha_mcp::{Done, Outcome};
use axum::http::StatusCode;
use serde_json::Value;

use super::route::{Object, Refusal, Route};

/// Systems and uploads that are named of one request at most.
const MAX_NAMED: usize = 100;

/// Counts of memories in answers.
const COUNTS: [&str; 3] = ["memories_uploaded", "memories_added", "memories_updated"];

/// Lists of uploads in answers that say what became of them: something, and nothing.
const CHANGED: [&str; 2] = ["merged", "released"];
const LEFT: [&str; 3] = ["quarantined", "gone", "waiting"];

/// A request that is noted when it ends.
pub(super) struct Note {
    action: String,
    scope: Scope,
    systems: BTreeSet<String>,
    uploads: BTreeSet<String>,
}

impl Note {
    /// Begins the note of a request to a route.
    pub(super) fn new(route: &Route) -> Self {
        Self {
            action: format!("{} {}", route.verb.as_str(), route.path),
            scope: route.scope,
            systems: BTreeSet::new(),
            uploads: BTreeSet::new(),
        }
    }

    /// Returns the method and the route.
    pub(super) fn action(&self) -> &str {
        &self.action
    }

    /// Takes in what the parameters name.
    pub(super) fn asked(&mut self, input: &Object) {
        self.name(input.get("system_id"), input.get("upload_id"));
    }

    /// Returns what is noted of a request whose parameters cannot be read.
    pub(super) fn unread(self, status: StatusCode) -> Done {
        let error = format!("the parameters cannot be read: {status}");
        self.end(0, Outcome::Failed, Some(&error))
    }

    /// Returns what is noted of a request that ended.
    pub(super) fn done(mut self, done: &Result<Value, Refusal>) -> Done {
        let answer = match done {
            Ok(answer) => answer,
            Err(Refusal { failure, .. }) => {
                let outcome = match failure.kind {
                    ErrorKind::Auth => Outcome::Refused,
                    _ => Outcome::Failed,
                };
                return self.end(0, outcome, Some(&failure.message));
            }
        };
        self.name(answer.get("system_id"), answer.get("upload_id"));
        let list = |key: &str| answer.get(key).and_then(Value::as_array);
        for upload in CHANGED.into_iter().chain(LEFT).filter_map(list).flatten() {
            self.name(upload.get("system_id"), upload.get("upload_id"));
        }
        let count = |key: &str| answer.get(key).and_then(Value::as_u64);
        let memories: u64 = COUNTS.into_iter().filter_map(count).sum();
        let uploads: usize = CHANGED.into_iter().filter_map(list).map(Vec::len).sum();
        let outcome = match answer.get("success") {
            Some(Value::Bool(false)) => Outcome::Partial,
            _ => Outcome::Done,
        };
        let error = answer.get("error").and_then(Value::as_str);
        self.end(memories + uploads as u64, outcome, error)
    }

    fn name(&mut self, system: Option<&Value>, upload: Option<&Value>) {
        for (names, name) in [(&mut self.systems, system), (&mut self.uploads, upload)] {
            if let Some(name) = name.and_then(Value::as_str)
                && names.len() < MAX_NAMED
            {
                names.insert(name.chars().take(100).collect());
            }
        }
    }

    fn end(self, items: u64, outcome: Outcome, error: Option<&str>) -> Done {
        Done {
            action: self.action,
            scope: self.scope,
            systems: self.systems.into_iter().collect(),
            uploads: self.uploads.into_iter().collect(),
            items,
            outcome,
            error: error.map(|error| error.chars().take(300).collect()),
        }
    }
}
