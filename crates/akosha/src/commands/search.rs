//! `akosha search`: searches memories.

use std::io;
use std::time::Instant;

use akosha_core::ErrorKind;
use akosha_store::{Hit, SearchMode, SearchOutcome, SearchQuery};
use clap::ValueEnum;
use serde::Serialize;
use serde_json::{Map, Value};

use crate::context::Context;
use crate::failure::{Exit, Failure};
use crate::filter::FilterArgs;
use crate::output::{Answer, Page};
use crate::show;

use super::NOTHING_STORED;

/// Options of `akosha search`.
#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    /// What to look for; any text, none of it is an operator; blank text finds nothing
    query: String,
    /// Most results, 1 to 100
    #[arg(long, default_value_t = 10)]
    limit: usize,
    /// How memories are matched
    #[arg(long, value_enum, default_value_t = Mode::Hybrid)]
    mode: Mode,
    /// Least score of a result, 0 to 1
    #[arg(long, value_name = "SCORE")]
    min_score: Option<f64>,
    #[command(flatten)]
    filter: FilterArgs,
}

/// How memories are matched.
#[derive(Debug, Clone, Copy, ValueEnum)]
enum Mode {
    /// By words, and by meaning where the query has an embedding
    Hybrid,
    /// By meaning alone
    Semantic,
    /// By words alone
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

/// Runs the command.
pub(crate) fn run(context: &Context, args: Args) -> Result<Exit, Failure> {
    let store = context.store()?;
    let started = Instant::now();
    let outcome = store.search(&SearchQuery {
        text: args.query,
        limit: args.limit,
        mode: args.mode.into(),
        embedding: None,
        filter: args.filter.filter(),
        min_score: args.min_score,
    })?;
    // A search that looked nowhere must not read as one that found nothing.
    if let (Mode::Semantic, Some(missing)) = (args.mode, outcome.missing.first()) {
        return Err(Failure::new(
            ErrorKind::Invalid,
            format!("nothing was searched: {}", missing.reason),
            "search by words: `akosha search QUERY`; an assistant that computes vectors gives \
             `embedding` to `search_memories`",
        ));
    }
    let mut answer = SearchAnswer::new(outcome, started.elapsed().as_secs_f64() * 1000.0);
    answer.is_empty_store = answer.results.is_empty() && super::is_empty(store)?;
    context.output().answer(&answer)?;
    Ok(Exit::Done)
}

/// What `search` answers: the same as the tool `search_memories`.
#[derive(Debug, Serialize)]
struct SearchAnswer {
    results: Vec<Found>,
    partial: bool,
    missing: Vec<NotSearched>,
    took_ms: f64,
    #[serde(skip)]
    is_empty_store: bool,
}

#[derive(Debug, Serialize)]
struct Found {
    memory_id: String,
    system_id: String,
    text: String,
    score: f64,
    tier: akosha_core::Tier,
    created_at: String,
    metadata: Map<String, Value>,
    matched: Vec<&'static str>,
    /// Other systems that have a memory of the same text.
    also_in: Vec<String>,
}

#[derive(Debug, Serialize)]
struct NotSearched {
    backend: &'static str,
    reason: String,
}

impl SearchAnswer {
    fn new(outcome: SearchOutcome, took_ms: f64) -> Self {
        let missing: Vec<NotSearched> = outcome
            .missing
            .into_iter()
            .map(|missing| NotSearched {
                backend: missing.backend,
                reason: missing.reason,
            })
            .collect();
        Self {
            results: outcome.hits.into_iter().map(Found::from).collect(),
            partial: !missing.is_empty(),
            missing,
            took_ms,
            is_empty_store: false,
        }
    }
}

impl From<Hit> for Found {
    fn from(hit: Hit) -> Self {
        let memory = hit.memory;
        let matched = [(hit.by_keyword, "keyword"), (hit.by_semantic, "semantic")];
        Self {
            memory_id: memory.memory_id.into(),
            system_id: memory.system_id.into(),
            text: memory.text,
            score: hit.score,
            tier: memory.tier,
            created_at: show::exact(memory.created_at),
            metadata: memory.metadata.into_map(),
            matched: matched
                .into_iter()
                .filter_map(|(by, name)| by.then_some(name))
                .collect(),
            also_in: hit.also_in.into_iter().map(String::from).collect(),
        }
    }
}

impl Answer for SearchAnswer {
    fn write_text(&self, page: &mut Page<'_>) -> io::Result<()> {
        if self.is_empty_store {
            page.line(NOTHING_STORED)?;
        } else if self.results.is_empty() && !self.partial {
            page.line("nothing matches")?;
        }
        for found in &self.results {
            page.heading(format!(
                "{:.2}  {}  {}  {}",
                found.score, found.memory_id, found.system_id, found.created_at
            ))?;
            page.line(format!("      {}", show::one_line(&found.text, 200)))?;
            if !found.also_in.is_empty() {
                let systems = found.also_in.join(", ");
                page.line(format!("      also in {}", show::one_line(&systems, 200)))?;
            }
        }
        for missing in &self.missing {
            page.line(format!(
                "not searched: {}: {}",
                missing.backend, missing.reason
            ))?;
        }
        Ok(())
    }
}
