//! What is told of calls that change something, and of calls that were refused.

use std::collections::BTreeSet;
use std::sync::Arc;

use akosha_core::{ErrorKind, Scope};
use rmcp::model::{CallToolResult, JsonObject};
use serde_json::Value;

/// Systems that are named of one call at most.
const MAX_SYSTEMS: usize = 8;

/// Watches what clients do.
pub trait Watch: Send + Sync {
    /// Takes note of a call that wrote, or tried to. Must not block.
    fn done(&self, done: Done);

    /// Takes note of a call that the client's scope does not include. Must not block.
    fn beyond_scope(&self, tool: &str, wanted: Scope);
}

/// How a call ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Outcome {
    /// All of it was done.
    Done,
    /// A part of it was done.
    Partial,
    /// Nothing was done.
    Failed,
    /// The caller may not do it.
    Refused,
    /// The caller went away; what was begun may have been done.
    Abandoned,
}

impl Outcome {
    /// Returns the name.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Done => "done",
            Self::Partial => "partial",
            Self::Failed => "failed",
            Self::Refused => "refused",
            Self::Abandoned => "abandoned",
        }
    }
}

/// A call that wrote, or tried to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Done {
    /// The tool, or method and route.
    pub action: String,
    /// What it asks for.
    pub scope: Scope,
    /// The systems that it is about, some of many.
    pub systems: Vec<String>,
    /// The uploads that it is about, some of many.
    pub uploads: Vec<String>,
    /// Memories or other things that it changed.
    pub items: u64,
    /// How it ended.
    pub outcome: Outcome,
    /// What went wrong.
    pub error: Option<String>,
}

impl Done {
    /// Creates the note of a call that is beyond the caller's scope.
    pub fn refused(action: &str, wanted: Scope) -> Self {
        Self {
            action: action.to_owned(),
            scope: wanted,
            systems: Vec::new(),
            uploads: Vec::new(),
            items: 0,
            outcome: Outcome::Refused,
            error: Some(format!("needs scope `{wanted}`")),
        }
    }
}

/// A call at work, which is told of when it ends, however it does.
pub(crate) struct Watched {
    watch: Option<Arc<dyn Watch>>,
    done: Done,
}

impl Watched {
    /// Begins to watch a call of a tool.
    pub(crate) fn begin(
        watch: Option<Arc<dyn Watch>>,
        tool: &str,
        scope: Scope,
        arguments: &JsonObject,
    ) -> Self {
        Self {
            done: Done {
                action: tool.to_owned(),
                scope,
                systems: watch.as_ref().map_or_else(Vec::new, |_| named(arguments)),
                uploads: Vec::new(),
                items: 0,
                outcome: Outcome::Abandoned,
                error: None,
            },
            watch,
        }
    }

    /// Takes in what became of the call.
    pub(crate) fn end(mut self, result: &CallToolResult) {
        let Some(answer) = &result.structured_content else {
            return;
        };
        let text = |key: &str| answer.get(key).and_then(Value::as_str);
        let done = &mut self.done;
        done.outcome = if text("kind") == Some(ErrorKind::Auth.as_str()) {
            Outcome::Refused
        } else if result.is_error == Some(true) {
            Outcome::Failed
        } else if text("status") == Some("partial") {
            Outcome::Partial
        } else {
            Outcome::Done
        };
        done.error = text("error").map(|error| error.chars().take(300).collect());
        if let Some(system) = text("system_id") {
            done.systems = vec![system.to_owned()];
        }
        let count = |key: &str| answer.get(key).and_then(Value::as_u64);
        let counted = count("stored").or_else(|| count("memories_uploaded"));
        let one = u64::from(done.outcome == Outcome::Done);
        done.items = counted.unwrap_or(one);
    }
}

impl Drop for Watched {
    fn drop(&mut self) {
        if let Some(watch) = &self.watch {
            watch.done(self.done.clone());
        }
    }
}

/// Returns the systems that arguments name: that of a memory, or those of a batch.
fn named(arguments: &JsonObject) -> Vec<String> {
    let source = |memory: &Value| {
        let source = memory.get("metadata")?.get("source")?.as_str()?;
        Some(source.chars().take(100).collect::<String>())
    };
    let batch = arguments.get("memories").and_then(Value::as_array);
    let own = arguments.get("system_id").and_then(Value::as_str);
    let mut systems: BTreeSet<String> = own
        .map(|id| id.chars().take(100).collect())
        .into_iter()
        .collect();
    for memory in batch.into_iter().flatten() {
        systems.extend(source(memory));
        if systems.len() >= MAX_SYSTEMS {
            break;
        }
    }
    systems.into_iter().collect()
}
