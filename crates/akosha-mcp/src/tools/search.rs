//! `search_memories`.

use std::time::Instant;

use akosha_core::metric::{SEARCH_PARTIAL, SEARCH_SECONDS};
use akosha_core::{Embedding, time};
use akosha_store::{Hit, SearchMode, SearchOutcome, SearchQuery};
use rmcp::RoleServer;
use rmcp::model::ToolAnnotations;
use rmcp::service::RequestContext;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};
use tracing::{Instrument as _, field};

use super::filter::FilterInput;
use super::memory::tier_name;
use super::text::{MEMORY_TEXT, cut, join};
use super::{Answer, Given, Problem, ToolSpec, reads};
use crate::handle::blocking;
use crate::{AkoshaServer, Failure};

/// Results where the client does not say.
const DEFAULT_LIMIT: usize = 10;

/// `search_memories`.
pub(crate) struct SearchMemories;

/// The arguments of `search_memories`.
#[derive(Debug, Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct SearchArguments {
    /// What to look for: any text. Names and exact words work best; blank text finds nothing
    /// unless an embedding comes with it.
    query: String,
    /// Most results to return.
    #[serde(default)]
    #[schemars(range(min = 1, max = 100), extend("default" = 10))]
    limit: Option<usize>,
    /// Whether to match by words (`keyword`), by meaning (`semantic`) or by both (`hybrid`).
    #[serde(default)]
    #[schemars(extend("default" = "hybrid"))]
    mode: Option<Mode>,
    /// The embedding of the query by all-MiniLM-L6-v2, 384 finite numbers, if you have it.
    #[schemars(length(min = 384, max = 384))]
    embedding: Option<Vec<f32>>,
    /// Only memories of this system.
    system_id: Option<String>,
    /// Only memories of this project.
    project: Option<String>,
    /// Only memories with all of these tags.
    tags: Option<Vec<String>>,
    /// Only memories of this type, such as `session_summary`.
    #[serde(rename = "type")]
    kind: Option<String>,
    /// Only memories made at this time or later, RFC 3339.
    since: Option<String>,
    /// Only memories made before this time, RFC 3339.
    until: Option<String>,
    /// Least score of a result.
    #[schemars(range(min = 0, max = 1))]
    min_score: Option<f64>,
}

impl SearchArguments {
    /// Creates a search for `query` with `limit` results and nothing else.
    pub(crate) fn plain(query: String, limit: usize) -> Self {
        Self {
            query,
            limit: Some(limit),
            ..Self::default()
        }
    }
}

#[derive(Debug, Clone, Copy, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
enum Mode {
    Hybrid,
    Semantic,
    Keyword,
}

impl From<Mode> for SearchMode {
    fn from(mode: Mode) -> Self {
        match mode {
            Mode::Hybrid => Self::Hybrid,
            Mode::Semantic => Self::Semantic,
            Mode::Keyword => Self::Keyword,
        }
    }
}

/// Returns the name of a mode as metrics and clients write it.
fn mode_name(mode: SearchMode) -> &'static str {
    match mode {
        SearchMode::Hybrid => "hybrid",
        SearchMode::Semantic => "semantic",
        SearchMode::Keyword => "keyword",
    }
}

/// What was found.
#[derive(Debug, Serialize, JsonSchema)]
pub struct SearchAnswer {
    /// The best matches, best first.
    results: Vec<Found>,
    /// Whether a part of the search did not happen; `missing` says which.
    partial: bool,
    /// What was not searched.
    missing: Vec<MissingPart>,
    /// Milliseconds that the search took.
    took_ms: f64,
    #[serde(flatten)]
    problem: Problem,
}

/// A memory that was found.
#[derive(Debug, Serialize, JsonSchema)]
struct Found {
    /// The id within its system.
    memory_id: String,
    /// The machine or node whose memory it is.
    system_id: String,
    /// The text.
    text: String,
    /// How well it matches, 0 to 1.
    score: f64,
    /// Where it lies: `hot`, `warm`, `cold`.
    tier: String,
    /// When the memory was made, RFC 3339 in UTC.
    created_at: String,
    /// The metadata, whole.
    metadata: Map<String, Value>,
    /// By what it matched: `keyword`, `semantic`.
    matched: Vec<String>,
    /// Other systems that have a memory of the same text; they are not results of their own.
    also_in: Vec<String>,
}

/// A part of the search that did not happen.
#[derive(Debug, Serialize, JsonSchema)]
struct MissingPart {
    /// The part.
    backend: String,
    /// Why.
    reason: String,
}

impl From<Hit> for Found {
    fn from(hit: Hit) -> Self {
        let mut matched = Vec::with_capacity(2);
        if hit.by_keyword {
            matched.push("keyword".to_owned());
        }
        if hit.by_semantic {
            matched.push("semantic".to_owned());
        }
        Self {
            memory_id: hit.memory.memory_id.into(),
            system_id: hit.memory.system_id.into(),
            text: hit.memory.text,
            score: hit.score,
            tier: tier_name(hit.memory.tier).to_owned(),
            created_at: time::format(hit.memory.created_at),
            metadata: hit.memory.metadata.into_map(),
            matched,
            also_in: hit.also_in.into_iter().map(String::from).collect(),
        }
    }
}

impl Answer for SearchAnswer {
    fn failed(_arguments: &Given, failure: Failure) -> Self {
        Self {
            results: Vec::new(),
            partial: true,
            missing: Vec::new(),
            took_ms: 0.0,
            problem: failure.into(),
        }
    }

    fn is_error(&self) -> bool {
        self.problem.error.is_some()
    }

    fn text(&self) -> String {
        self.problem.text().unwrap_or_else(|| found_text(self))
    }
}

/// Returns what was found as a text.
pub(crate) fn found_text(answer: &SearchAnswer) -> String {
    let mut text = if answer.results.is_empty() {
        "Nothing found.".to_owned()
    } else {
        join(answer.results.iter().map(show))
    };
    for part in &answer.missing {
        text.extend(["\nNot searched: ", &part.backend, ": ", &part.reason]);
    }
    text
}

fn show(found: &Found) -> String {
    let project = found.metadata.get("project").and_then(Value::as_str);
    let project = project.map_or(String::new(), |name| {
        format!(", project {}", cut(name, 100))
    });
    let also_in = match found.also_in.as_slice() {
        [] => String::new(),
        systems => format!(", also in {}", cut(&systems.join(", "), 100)),
    };
    format!(
        "[{} of {}{also_in}, {}{project}, score {:.2}]\n{}",
        found.memory_id,
        found.system_id,
        found.created_at,
        found.score,
        cut(&found.text, MEMORY_TEXT)
    )
}

impl ToolSpec for SearchMemories {
    const NAME: &'static str = "search_memories";
    const TITLE: &'static str = "Search memories";
    const DESCRIPTION: &'static str = "\
Finds what earlier sessions remembered, on this machine and on the others whose memories were \
pulled. Use it at the start of a task, before asking the user something they may have said before, \
and whenever a name, an error or a decision comes up that you do not know. The query is any text; \
no word or sign in it is an operator. Names, identifiers and exact error texts work best; try other \
words before you conclude that nothing is known. What was stored a moment ago is found. If \
`partial` is true, `missing` says what was not searched.";
    type Arguments = SearchArguments;
    type Answer = SearchAnswer;

    fn annotations() -> ToolAnnotations {
        reads()
    }

    async fn call(
        server: &AkoshaServer,
        arguments: SearchArguments,
        _context: &RequestContext<RoleServer>,
    ) -> Result<SearchAnswer, Failure> {
        search(server, arguments).await
    }
}

/// Searches as the tool does.
///
/// # Errors
/// Names the argument that breaks a rule, or says why the store cannot be read.
pub(crate) async fn search(
    server: &AkoshaServer,
    arguments: SearchArguments,
) -> Result<SearchAnswer, Failure> {
    let query = SearchQuery {
        text: arguments.query,
        limit: arguments.limit.unwrap_or(DEFAULT_LIMIT),
        mode: arguments.mode.unwrap_or(Mode::Hybrid).into(),
        embedding: arguments.embedding.map(Embedding::try_from).transpose()?,
        filter: FilterInput {
            system_id: arguments.system_id,
            project: arguments.project,
            kind: arguments.kind,
            tags: arguments.tags,
            since: arguments.since,
            until: arguments.until,
        }
        .check("")?,
        min_score: arguments.min_score,
    };
    let (store, _) = server.store().get().await?;
    let started = Instant::now();
    let mode = mode_name(query.mode);
    let span = tracing::info_span!("search", mode, hits = field::Empty, partial = field::Empty);
    let SearchOutcome { hits, missing } = blocking(move || store.search(&query))
        .instrument(span.clone())
        .await?;
    span.record("hits", hits.len());
    span.record("partial", !missing.is_empty());
    metrics::histogram!(SEARCH_SECONDS.name, "mode" => mode).record(started.elapsed());
    for part in &missing {
        metrics::counter!(SEARCH_PARTIAL.name, "part" => part.backend).increment(1);
    }
    Ok(SearchAnswer {
        results: hits.into_iter().map(Found::from).collect(),
        partial: !missing.is_empty(),
        missing: missing
            .into_iter()
            .map(|part| MissingPart {
                backend: part.backend.to_owned(),
                reason: part.reason,
            })
            .collect(),
        took_ms: started.elapsed().as_secs_f64() * 1000.0,
        problem: Problem::default(),
    })
}
