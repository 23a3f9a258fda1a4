//! `batch_store_memories`.

use std::collections::HashMap;

use akosha_core::redact::Redactor;
use akosha_core::{ErrorKind, IngestionMethod, MAX_BATCH, NewMemory, SystemId, time};
use akosha_store::{Change, Store, StoreError};
use rmcp::RoleServer;
use rmcp::model::{JsonObject, ToolAnnotations};
use rmcp::service::RequestContext;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::claim::{Taken, claim};
use super::incoming::{Incoming, MemoryArguments, Pushed, accept, redacting};
use super::{Answer, Given, Problem, ToolSpec, arguments};
use crate::handle::blocking;
use crate::{AkoshaServer, Failure, Origin};

/// Most errors that the readable text names; the structured result has all.
const SHOWN_ERRORS: usize = 20;

/// `batch_store_memories`.
pub(crate) struct BatchStoreMemories;

/// The arguments of `batch_store_memories`.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct BatchArguments {
    /// The memories, each as `store_memory` takes it.
    // Read one by one, so that an entry of the wrong type fails alone.
    #[schemars(with = "Vec<MemoryArguments>", length(max = 1000))]
    memories: Vec<Value>,
}

/// What became of the batch.
#[derive(Debug, Serialize, JsonSchema)]
pub(crate) struct BatchAnswer {
    /// `completed`: all are durable. `partial`: all but those in `errors`. `failed`: none.
    status: BatchStatus,
    /// Memories given.
    total: u64,
    /// Memories that are durable now, those that were there already included.
    stored: u64,
    /// Memories that were refused.
    failed: u64,
    /// Memories whose content was there already.
    deduplicated: u64,
    /// How many secrets were taken out of texts and metadata.
    redactions: u64,
    /// What was refused and why, in the order given.
    errors: Vec<EntryError>,
    /// When the batch was durable, RFC 3339 in UTC.
    stored_at: Option<String>,
    #[serde(flatten)]
    problem: Problem,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
enum BatchStatus {
    Completed,
    Partial,
    Failed,
}

/// An entry that was refused.
#[derive(Debug, Clone, Serialize, JsonSchema)]
pub(crate) struct EntryError {
    /// Its place in the batch, from 0.
    index: u64,
    /// Its id, where it has one.
    memory_id: Option<String>,
    /// What is wrong with it.
    error: String,
    /// `conflict` where a push is refused because another writer has the system.
    #[serde(skip_serializing_if = "Option::is_none")]
    kind: Option<String>,
    /// The epoch of that writer, where a higher one takes the system over.
    #[serde(skip_serializing_if = "Option::is_none")]
    epoch: Option<i64>,
}

impl EntryError {
    fn new(index: usize, memory_id: Option<String>, error: String) -> Self {
        Self {
            index: index as u64,
            memory_id,
            error,
            kind: None,
            epoch: None,
        }
    }

    fn taken(index: usize, memory_id: Option<String>, taken: Taken) -> Self {
        Self {
            kind: Some(ErrorKind::Conflict.as_str().to_owned()),
            epoch: taken.epoch,
            ..Self::new(index, memory_id, taken.message)
        }
    }
}

impl Answer for BatchAnswer {
    fn failed(arguments: &Given, failure: Failure) -> Self {
        Self {
            status: BatchStatus::Failed,
            total: arguments.memories,
            stored: 0,
            failed: arguments.memories,
            deduplicated: 0,
            redactions: 0,
            errors: Vec::new(),
            stored_at: None,
            problem: failure.into(),
        }
    }

    fn is_error(&self) -> bool {
        self.status == BatchStatus::Failed
    }

    fn text(&self) -> String {
        let mut lines = Vec::new();
        if let Some(problem) = self.problem.text() {
            lines.push(problem);
        } else {
            lines.push(format!(
                "Stored {} of {} memories, {} of them were there already.",
                self.stored, self.total, self.deduplicated
            ));
        }
        for error in self.errors.iter().take(SHOWN_ERRORS) {
            let id = match &error.memory_id {
                Some(id) => format!(" ({id})"),
                None => String::new(),
            };
            lines.push(format!("entry {}{id}: {}", error.index, error.error));
        }
        let hidden = self.errors.len().saturating_sub(SHOWN_ERRORS);
        if hidden > 0 {
            lines.push(format!("and {hidden} more"));
        }
        lines.join("\n")
    }
}

impl ToolSpec for BatchStoreMemories {
    const NAME: &'static str = "batch_store_memories";
    const TITLE: &'static str = "Store many memories";
    const DESCRIPTION: &'static str = "\
Remembers up to 1000 texts at once, much faster than single calls. Use it to bring in notes, \
results or another tool's memories, or at the end of a task with several facts to keep. Each entry \
is what store_memory takes. A bad entry fails alone: the others are stored and `errors` says which \
and why. When it answers, all stored ones are on disk. Give memory_id to be able to repeat a batch \
safely.";
    type Arguments = BatchArguments;
    type Answer = BatchAnswer;

    fn annotations() -> ToolAnnotations {
        super::store::writes()
    }

    fn parse(mut given: JsonObject) -> Result<BatchArguments, Failure> {
        match given.get_mut("memories") {
            // Moved, not read: a batch holds some 400,000 numbers.
            Some(Value::Array(entries)) => {
                let memories = std::mem::take(entries);
                arguments::parse::<BatchArguments>(given)?;
                Ok(BatchArguments { memories })
            }
            _ => arguments::parse(given),
        }
    }

    async fn call(
        server: &AkoshaServer,
        arguments: BatchArguments,
        _context: &RequestContext<RoleServer>,
    ) -> Result<BatchAnswer, Failure> {
        if arguments.memories.len() > MAX_BATCH {
            return Err(Failure::new(
                ErrorKind::Invalid,
                format!("Batch size exceeds maximum of {MAX_BATCH} memories"),
            )
            .with_hint(format!("send at most {MAX_BATCH} memories in one call")));
        }
        let (store, redactor) = redacting(server).await?;
        let origin = server.origin().clone();
        blocking(move || Ok::<_, Failure>(keep(&store, arguments.memories, &origin, &redactor)))
            .await
    }
}

/// What is left of a batch after its bad entries are taken out.
#[derive(Default)]
struct Accepted {
    puts: Vec<(SystemId, NewMemory)>,
    put_at: Vec<usize>,
    pushes: Vec<Change>,
    pushed_at: Vec<usize>,
    errors: Vec<EntryError>,
    redactions: u64,
}

fn keep(store: &Store, entries: Vec<Value>, origin: &Origin, redactor: &Redactor) -> BatchAnswer {
    let total = entries.len() as u64;
    let mut accepted = Accepted::default();
    let mut claims = HashMap::new();
    for (index, entry) in entries.into_iter().enumerate() {
        let memory_id = entry
            .get("memory_id")
            .and_then(Value::as_str)
            .map(|id| id.chars().take(256).collect());
        let incoming = arguments::read::<MemoryArguments>(entry)
            .and_then(|memory| accept(memory, origin, store.system_id(), redactor));
        match incoming {
            Ok(Incoming::Put(owner, memory)) => {
                accepted.redactions += memory.redactions as u64;
                accepted.puts.push((owner, memory));
                accepted.put_at.push(index);
            }
            Ok(Incoming::Pushed(pushed)) => {
                let Pushed {
                    change,
                    writer,
                    redactions,
                } = *pushed;
                let who = (change.system_id.clone(), writer);
                let claimed = claims.entry(who).or_insert_with_key(|(system_id, writer)| {
                    claim(store, system_id, writer.as_ref())
                });
                let refused = match claimed {
                    Ok(Ok(())) => None,
                    Ok(Err(taken)) => Some(EntryError::taken(index, memory_id, taken.clone())),
                    Err(error) => Some(EntryError::new(index, memory_id, error.to_string())),
                };
                if let Some(refused) = refused {
                    accepted.errors.push(refused);
                    continue;
                }
                accepted.redactions += redactions as u64;
                accepted.pushes.push(change);
                accepted.pushed_at.push(index);
            }
            Err(failure) => {
                let refused = EntryError::new(index, memory_id, failure.message);
                accepted.errors.push(refused);
            }
        }
    }
    write(store, accepted, total, origin.ingestion_method())
}

/// Writes what is left of a batch: one transaction, or two where pushed revisions and plain
/// memories are mixed.
fn write(store: &Store, accepted: Accepted, total: u64, method: IngestionMethod) -> BatchAnswer {
    let Accepted {
        puts,
        put_at,
        pushes,
        pushed_at,
        mut errors,
        redactions,
    } = accepted;
    let mut deduplicated = 0;
    let mut whole = None;
    let put = if puts.is_empty() {
        Ok(0)
    } else {
        store
            .put_batch(&puts, method)
            .map(|stored| stored.iter().filter(|one| one.deduplicated).count() as u64)
    };
    let ids = puts.iter().map(|(_, memory)| memory.memory_id.clone());
    let put_ids: Vec<_> = put_at.into_iter().zip(ids).collect();
    settle(put, put_ids, &mut deduplicated, &mut errors, &mut whole);
    let pushed = if pushes.is_empty() {
        Ok(0)
    } else {
        store.merge(&pushes, method).map(|merged| merged.unchanged)
    };
    let ids = pushes.into_iter().map(|change| Some(change.memory_id));
    let pushed_ids: Vec<_> = pushed_at.into_iter().zip(ids).collect();
    settle(
        pushed,
        pushed_ids,
        &mut deduplicated,
        &mut errors,
        &mut whole,
    );
    errors.sort_by_key(|error| error.index);
    let failed = errors.len() as u64;
    let status = match failed {
        0 => BatchStatus::Completed,
        failed if failed < total => BatchStatus::Partial,
        _ => BatchStatus::Failed,
    };
    let problem = match (status, whole) {
        (BatchStatus::Completed | BatchStatus::Partial, _) => Problem::default(),
        (BatchStatus::Failed, Some(failure)) => Problem::from(failure),
        (BatchStatus::Failed, None) => Problem::from(
            Failure::new(ErrorKind::Invalid, "every memory of the batch was refused")
                .with_hint("`errors` names each; correct those and send them again"),
        ),
    };
    BatchAnswer {
        status,
        total,
        stored: total - failed,
        failed,
        deduplicated,
        redactions,
        errors,
        stored_at: (failed < total || total == 0)
            .then(|| time::format(store.sources().clock.now())),
        problem,
    }
}

/// Counts what one transaction did, or refuses all of it.
fn settle(
    result: Result<u64, StoreError>,
    entries: Vec<(usize, Option<akosha_core::MemoryId>)>,
    deduplicated: &mut u64,
    errors: &mut Vec<EntryError>,
    whole: &mut Option<Failure>,
) {
    match result {
        Ok(skipped) => *deduplicated += skipped,
        Err(error) => {
            errors.extend(entries.into_iter().map(|(index, memory_id)| {
                EntryError::new(index, memory_id.map(String::from), error.to_string())
            }));
            *whole = Some(error.into());
        }
    }
}
