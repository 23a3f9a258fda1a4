//! `forget_memory`.

use akosha_core::{IngestionMethod, Invalid, MemoryId, Metadata, SystemId};
use akosha_store::{Change, Forgotten, Op, Store, StoreError};
use akosha_sync::envelope::Writer;
use akosha_sync::segment::MAX_REVISION;
use rmcp::RoleServer;
use rmcp::model::ToolAnnotations;
use rmcp::service::RequestContext;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::{Map, json};

use super::claim::{Taken, claim};
use super::incoming::writable;
use super::{Answer, Given, Problem, ToolSpec};
use crate::handle::blocking;
use crate::{AkoshaServer, Failure};

/// `forget_memory`.
pub(crate) struct ForgetMemory;

/// The arguments of `forget_memory`.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct ForgetArguments {
    /// The id, as a search or a list shows it.
    memory_id: String,
    /// Whose memory it is; needed only where several systems have the id.
    system_id: Option<String>,
    /// Also remove the content and its history, everywhere it can be reached.
    #[serde(default, deserialize_with = "super::arguments::or_default")]
    erase: bool,
    /// The revision of the deletion, set by another Akosha that pushes it; leave it out.
    revision: Option<i64>,
    /// Who pushes the deletion, set with `revision`; leave it out.
    writer_id: Option<String>,
    /// The epoch of who pushes the deletion, set with `revision`; leave it out.
    epoch: Option<i64>,
    /// Which push brings the deletion, set with `revision`; leave it out.
    push_id: Option<String>,
    /// The pushes before it, set with `revision`; leave it out.
    #[serde(default, deserialize_with = "super::arguments::or_default")]
    after: Vec<String>,
}

/// What became of the memory.
#[derive(Debug, Serialize, JsonSchema)]
pub(crate) struct ForgetAnswer {
    /// The id.
    memory_id: Option<String>,
    /// Whose memory it was.
    system_id: Option<String>,
    /// Whether it is found no more.
    forgotten: bool,
    /// Whether its content and history are gone from this store too.
    erased: bool,
    /// Whether that was so already and nothing was written.
    already: bool,
    /// The revision that marks the deletion; 0 if nothing was deleted.
    revision: i64,
    /// Where the memory remains although it is gone from this store.
    not_reached: Vec<String>,
    /// The epoch of the writer that has the system, where a push is refused for that reason.
    #[serde(skip_serializing_if = "Option::is_none")]
    epoch: Option<i64>,
    #[serde(flatten)]
    problem: Problem,
}

impl Answer for ForgetAnswer {
    fn failed(arguments: &Given, failure: Failure) -> Self {
        Self {
            memory_id: arguments.memory_id.clone(),
            system_id: arguments.system_id.clone(),
            forgotten: false,
            erased: false,
            already: false,
            revision: 0,
            not_reached: Vec::new(),
            epoch: None,
            problem: failure.into(),
        }
    }

    fn is_error(&self) -> bool {
        self.problem.error.is_some()
    }

    fn text(&self) -> String {
        if let Some(problem) = self.problem.text() {
            return problem;
        }
        let id = self.memory_id.as_deref().unwrap_or_default();
        let done = match (self.erased, self.already) {
            (true, false) => "Erased",
            (true, true) => "Was erased already:",
            (false, false) => "Forgot",
            (false, true) => "Was forgotten already:",
        };
        let mut text = format!("{done} {id}.");
        for place in &self.not_reached {
            text.push_str("\nNot reached: ");
            text.push_str(place);
        }
        text
    }
}

impl ToolSpec for ForgetMemory {
    const NAME: &'static str = "forget_memory";
    const TITLE: &'static str = "Forget a memory";
    const DESCRIPTION: &'static str = "\
Deletes a memory: it is found no more. The deletion of a memory that was made here also reaches \
other machines with the next sync; one that was pulled from another system stays there, and the \
answer says so in `not_reached`. Use it for what turned out wrong or when the user asks for it. The \
history stays and can be read by the user; with erase: true the content and its history are removed \
for good, and the answer says where copies remain. To correct a memory, store it again under the \
same memory_id instead.";
    type Arguments = ForgetArguments;
    type Answer = ForgetAnswer;

    fn annotations() -> ToolAnnotations {
        ToolAnnotations::new()
            .read_only(false)
            .destructive(true)
            .idempotent(true)
            .open_world(false)
    }

    async fn call(
        server: &AkoshaServer,
        arguments: ForgetArguments,
        _context: &RequestContext<RoleServer>,
    ) -> Result<ForgetAnswer, Failure> {
        let memory_id = MemoryId::try_from(arguments.memory_id)?;
        let named = arguments.system_id.map(SystemId::try_from).transpose()?;
        let system_id = server.origin().target(named)?;
        let store = writable(server).await?;
        let is_push = server.origin().is_http();
        let said = Map::from_iter([
            ("writer_id".into(), json!(arguments.writer_id)),
            ("epoch".into(), json!(arguments.epoch)),
            ("push_id".into(), json!(arguments.push_id)),
            ("after".into(), json!(arguments.after)),
        ]);
        let writer = Writer::read("", &said)?;
        blocking(move || match (arguments.revision, system_id) {
            (Some(revision), Some(system_id)) if is_push => {
                let pushed = Pushed {
                    memory_id,
                    system_id,
                    revision,
                    erase: arguments.erase,
                };
                match claim(&store, &pushed.system_id, writer.as_ref())? {
                    Ok(()) => pushed.merge(&store),
                    Err(taken) => Ok(pushed.refuse(taken)),
                }
            }
            (Some(_), _) => Err(Invalid::new(
                "revision",
                "is for pushes over HTTP, which name the system",
            )
            .into()),
            (None, system_id) => Ok(forget(
                &store,
                &memory_id,
                system_id.as_ref(),
                arguments.erase,
            )?),
        })
        .await
    }
}

/// A deletion that another Akosha made and pushes.
struct Pushed {
    memory_id: MemoryId,
    system_id: SystemId,
    revision: i64,
    erase: bool,
}

impl Pushed {
    /// Answers that another writer has the system.
    fn refuse(self, taken: Taken) -> ForgetAnswer {
        ForgetAnswer {
            memory_id: Some(self.memory_id.into()),
            system_id: Some(self.system_id.into()),
            forgotten: false,
            erased: false,
            already: false,
            revision: 0,
            not_reached: Vec::new(),
            epoch: taken.epoch,
            problem: Failure::from(taken).into(),
        }
    }

    /// Merges the deletion under its own revision, so that a push may come twice, late, or before
    /// the content that it deletes. Blocks.
    fn merge(self, store: &Store) -> Result<ForgetAnswer, Failure> {
        if !(1..=MAX_REVISION).contains(&self.revision) {
            let reason = format!("is `{}`, expected 1 to {MAX_REVISION}", self.revision);
            return Err(Invalid::new("revision", reason).into());
        }
        let now = store.sources().clock.now();
        let change = Change {
            seq: 0,
            op: if self.erase { Op::Erase } else { Op::Forget },
            system_id: self.system_id,
            memory_id: self.memory_id,
            revision: self.revision,
            text: String::new(),
            metadata: Metadata::default(),
            embedding: None,
            embedding_model: None,
            created_at: now,
            updated_at: now,
            stored_at: now,
            ingestion_method: IngestionMethod::HttpPush,
        };
        let merged = store.merge(std::slice::from_ref(&change), change.ingestion_method)?;
        if self.erase
            && let Err(error) = store.scrub()
        {
            tracing::warn!(%error, "what was erased is scrubbed by the next erasure");
        }
        Ok(ForgetAnswer {
            memory_id: Some(change.memory_id.into()),
            system_id: Some(change.system_id.into()),
            forgotten: true,
            erased: self.erase,
            already: merged.unchanged > 0,
            revision: self.revision,
            not_reached: Vec::new(),
            epoch: None,
            problem: Problem::default(),
        })
    }
}

fn forget(
    store: &Store,
    memory_id: &MemoryId,
    system_id: Option<&SystemId>,
    erase: bool,
) -> Result<ForgetAnswer, StoreError> {
    let forgotten = store.forget(memory_id, system_id, erase)?;
    let not_reached = not_reached(store, &forgotten)?;
    Ok(ForgetAnswer {
        memory_id: Some(memory_id.to_string()),
        system_id: Some(forgotten.system_id.into()),
        forgotten: true,
        erased: forgotten.erased,
        already: forgotten.already,
        revision: forgotten.revision,
        not_reached,
        epoch: None,
        problem: Problem::default(),
    })
}

/// Says where a memory remains although it was forgotten or erased here. Blocks.
///
/// # Errors
/// Fails where the store does.
pub fn not_reached(store: &Store, forgotten: &Forgotten) -> Result<Vec<String>, StoreError> {
    let mut places = Vec::new();
    if let Some(reason) = &forgotten.traces_remain {
        places.push(format!(
            "bytes of it may still lie in this home's database file: {reason}; erase it again"
        ));
    }
    if forgotten.erased && forgotten.was_pushed {
        places.push(
            "uploads already in the vault keep the content until they are deleted there".into(),
        );
        places.push("other machines remove it with their next pull after the next sync".into());
    }
    let owner = &forgotten.system_id;
    if owner != store.system_id() && !store.local_systems()?.contains(owner) {
        let verb = if forgotten.erased { "erase" } else { "forget" };
        places.push(format!(
            "system `{owner}`, which made the memory, its uploads and its other copies: {verb} it \
             there too"
        ));
    }
    Ok(places)
}

#[cfg(test)]
mod tests {
    use akosha_store::{Home, StoreOptions};

    use super::*;

    #[test]
    fn bytes_that_could_not_be_removed_are_told() {
        let folder = tempfile::tempdir().unwrap();
        let options = StoreOptions::new("node".parse().unwrap());
        let store = Store::open(&Home::new(folder.path()), options).unwrap();
        let mut forgotten = Forgotten {
            system_id: store.system_id().clone(),
            revision: 2,
            already: false,
            erased: true,
            was_pushed: false,
            traces_remain: None,
        };
        assert!(not_reached(&store, &forgotten).unwrap().is_empty());
        forgotten.traces_remain = Some("the disk is full".into());
        let places = not_reached(&store, &forgotten).unwrap();
        assert_eq!(places.len(), 1);
        assert!(places[0].contains("the disk is full"), "{places:?}");
    }
}
