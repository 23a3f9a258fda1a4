//! The tools: their registry, and what every call goes through.
//!
//! A tool is one type that implements [`ToolSpec`] and one line in [`entries`].

pub(crate) mod arguments;
mod batch;
mod claim;
mod filter;
mod forget;
mod incoming;
pub(crate) mod memory;
pub(crate) mod search;
mod session;
mod status;
mod store;
pub(crate) mod sync;
mod text;

use std::future::Future;
use std::pin::Pin;
use std::sync::LazyLock;

use akosha_core::Scope;
use rmcp::RoleServer;
use rmcp::model::{CallToolResult, ContentBlock, JsonObject, Tool, ToolAnnotations};
use rmcp::service::RequestContext;
use schemars::JsonSchema;
use serde::Serialize;
use serde::de::DeserializeOwned;

use crate::{AkoshaServer, Failure, schema};

pub use forget::not_reached;
pub(crate) use memory::get;
pub(crate) use search::{SearchArguments, found_text, search};
pub(crate) use status::status_json;
pub(crate) use text::cut;

/// A tool.
pub(crate) trait ToolSpec {
    /// The name that clients call.
    const NAME: &'static str;
    /// The name that people see.
    const TITLE: &'static str;
    /// What it is for and when to use it, under 2 KB.
    const DESCRIPTION: &'static str;
    /// The arguments.
    type Arguments: DeserializeOwned + JsonSchema + Send;
    /// The structured result, of good calls and of failed ones.
    type Answer: Answer;

    /// Reads the arguments.
    ///
    /// # Errors
    /// Names the argument that is unknown, missing or of the wrong type.
    fn parse(arguments: JsonObject) -> Result<Self::Arguments, Failure> {
        arguments::parse(arguments)
    }

    /// Says what a call does to the world.
    fn annotations() -> ToolAnnotations;

    /// Does the work.
    fn call(
        server: &AkoshaServer,
        arguments: Self::Arguments,
        context: &RequestContext<RoleServer>,
    ) -> impl Future<Output = Result<Self::Answer, Failure>> + Send;
}

/// The structured result of a tool.
pub(crate) trait Answer: Serialize + JsonSchema + Send {
    /// Creates the result of a call that failed as a whole; `arguments` are as they were given.
    fn failed(arguments: &Given, failure: Failure) -> Self;

    /// Returns whether the call failed.
    fn is_error(&self) -> bool;

    /// Returns a short text for clients that show no structured results. Of a call that reads it
    /// holds what was read.
    fn text(&self) -> String;
}

/// What a failed call can still say of its arguments.
#[derive(Debug, Default)]
pub(crate) struct Given {
    /// `memory_id`, where it is text.
    pub(crate) memory_id: Option<String>,
    /// `system_id`, where it is text.
    pub(crate) system_id: Option<String>,
    /// Entries of `memories`, where it is a list.
    pub(crate) memories: u64,
}

impl Given {
    fn of(arguments: &JsonObject) -> Self {
        let text = |key: &str| {
            let text = arguments.get(key)?.as_str()?;
            Some(text.chars().take(256).collect())
        };
        Self {
            memory_id: text("memory_id"),
            system_id: text("system_id"),
            memories: arguments
                .get("memories")
                .and_then(|list| list.as_array())
                .map_or(0, |list| list.len() as u64),
        }
    }
}

/// What a failed call says; all null on success.
#[derive(Debug, Clone, Default, Serialize, JsonSchema)]
pub(crate) struct Problem {
    /// What went wrong; null when nothing did.
    pub(crate) error: Option<String>,
    /// What to do about the error.
    pub(crate) hint: Option<String>,
    /// The class of the error, such as `invalid`, `not_found`, `config`, `storage`.
    pub(crate) kind: Option<String>,
}

impl Problem {
    /// Returns the message with what to do, as a text.
    pub(crate) fn text(&self) -> Option<String> {
        let error = self.error.as_ref()?;
        Some(match &self.hint {
            Some(hint) => format!("error: {error}\nhint: {hint}"),
            None => format!("error: {error}"),
        })
    }
}

impl From<Failure> for Problem {
    fn from(failure: Failure) -> Self {
        Self {
            error: Some(failure.message),
            hint: failure.hint,
            kind: Some(failure.kind.as_str().to_owned()),
        }
    }
}

type Called<'a> = Pin<Box<dyn Future<Output = CallToolResult> + Send + 'a>>;
type CallFn = for<'a> fn(&'a AkoshaServer, JsonObject, RequestContext<RoleServer>) -> Called<'a>;

/// A tool in the registry.
pub(crate) struct Entry {
    /// How it is listed.
    pub(crate) tool: Tool,
    /// What the client has to be allowed.
    pub(crate) scope: Scope,
    call: CallFn,
}

impl Entry {
    fn of<T: ToolSpec + 'static>() -> Self {
        let annotations = T::annotations();
        let only_reads = annotations.read_only_hint == Some(true);
        Self {
            scope: if only_reads {
                Scope::Read
            } else {
                Scope::Write
            },
            tool: Tool::new(T::NAME, T::DESCRIPTION, schema::input::<T::Arguments>())
                .with_title(T::TITLE)
                .with_raw_output_schema(schema::output::<T::Answer>())
                .with_annotations(annotations),
            call: |server, arguments, context| {
                Box::pin(async move { call::<T>(server, arguments, &context).await })
            },
        }
    }

    /// Calls the tool; every failure is in the result.
    pub(crate) async fn call(
        &self,
        server: &AkoshaServer,
        arguments: JsonObject,
        context: RequestContext<RoleServer>,
    ) -> CallToolResult {
        (self.call)(server, arguments, context).await
    }
}

async fn call<T: ToolSpec>(
    server: &AkoshaServer,
    arguments: JsonObject,
    context: &RequestContext<RoleServer>,
) -> CallToolResult {
    let given = Given::of(&arguments);
    let answer = match T::parse(arguments) {
        Ok(arguments) => T::call(server, arguments, context).await,
        Err(failure) => Err(failure),
    };
    shape(&answer.unwrap_or_else(|failure| T::Answer::failed(&given, failure)))
}

fn shape<A: Answer>(answer: &A) -> CallToolResult {
    let content = vec![ContentBlock::text(answer.text())];
    let mut result = if answer.is_error() {
        CallToolResult::error(content)
    } else {
        CallToolResult::success(content)
    };
    match serde_json::to_value(answer) {
        Ok(value) => result.structured_content = Some(value),
        Err(error) => tracing::error!(%error, "a result cannot be written as JSON"),
    }
    result
}

static ENTRIES: LazyLock<Vec<Entry>> = LazyLock::new(entries);

/// Every tool, in the order in which clients list them.
fn entries() -> Vec<Entry> {
    vec![
        Entry::of::<store::StoreMemory>(),
        Entry::of::<batch::BatchStoreMemories>(),
        Entry::of::<search::SearchMemories>(),
        Entry::of::<memory::GetMemory>(),
        Entry::of::<memory::ListMemories>(),
        Entry::of::<forget::ForgetMemory>(),
        Entry::of::<sync::SyncToAkosha>(),
        Entry::of::<status::SyncStatusTool>(),
        Entry::of::<session::SessionStart>(),
        Entry::of::<session::SessionEndTool>(),
    ]
}

/// Returns what a client has to be allowed in order to call the tool of this name.
pub fn scope_of(name: &str) -> Option<Scope> {
    find(name).map(|entry| entry.scope)
}

/// Returns every tool as it is listed.
pub fn list() -> Vec<Tool> {
    ENTRIES.iter().map(|entry| entry.tool.clone()).collect()
}

/// Returns the tool of this name.
pub(crate) fn find(name: &str) -> Option<&'static Entry> {
    ENTRIES.iter().find(|entry| entry.tool.name == name)
}

/// Annotations of a tool that only reads this node's store.
fn reads() -> ToolAnnotations {
    ToolAnnotations::new()
        .read_only(true)
        .destructive(false)
        .idempotent(true)
        .open_world(false)
}
