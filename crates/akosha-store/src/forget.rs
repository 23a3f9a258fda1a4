//! Forgetting and erasing memories, and what is left of them.

use std::time::Duration;

use akosha_core::{IngestionMethod, MemoryId, Metadata, SystemId};
use rusqlite::{Connection, OptionalExtension, Transaction, params};

use crate::memories::Wanted;
use crate::{Change, DRAIN_LEASE, Op, Store, StoreError, memories, push, row, scrub};

/// How long the removal of leftovers may take.
const REMOVAL: Duration = Duration::from_secs(15);

/// What became of a memory that was to be forgotten.
#[derive(Debug, Clone, PartialEq)]
pub struct Forgotten {
    /// Whose memory it was.
    pub system_id: SystemId,
    /// The revision of the tombstone.
    pub revision: i64,
    /// Whether it was forgotten already and nothing was written.
    pub already: bool,
    /// Whether the content was removed too.
    pub erased: bool,
    /// Whether an earlier push has acknowledged content of this memory, so that copies exist
    /// elsewhere.
    pub was_pushed: bool,
    /// Why bytes of erased content may still lie in the database file; `None` where none do.
    pub traces_remain: Option<String>,
}

impl Store {
    /// Forgets a memory: it is found no more, its history stays, and the deletion of a memory
    /// made here syncs. That of another system's stays here, and holds whatever that system makes
    /// of the memory later, until somebody stores it here anew. With `erase` its content and
    /// history are removed from this store too, and the database is written anew so that no trace
    /// of them stays.
    ///
    /// # Errors
    /// Fails where the id was never stored, or as [`Store::get`].
    pub fn forget(
        &self,
        memory_id: &MemoryId,
        system_id: Option<&SystemId>,
        erase: bool,
    ) -> Result<Forgotten, StoreError> {
        let mut forgotten = self.db().write(|db| {
            let missing = || StoreError::NoMemory(memory_id.clone());
            let owner = self.owner(db, memory_id, system_id, Wanted::Any)?;
            let system_id = owner.ok_or_else(missing)?;
            let head = memories::head(db, &system_id, memory_id)?.ok_or_else(missing)?;
            let was_pushed = was_pushed(db, &system_id, memory_id)?;
            let op = if erase { Op::Erase } else { Op::Forget };
            let forgotten = |revision, already| Forgotten {
                system_id: system_id.clone(),
                revision,
                already,
                erased: erase || head.op == Op::Erase,
                was_pushed,
                traces_remain: None,
            };
            if head.op == op || head.op == Op::Erase {
                return Ok(forgotten(head.revision, true));
            }
            let now = self.now();
            let change = Change {
                seq: 0,
                op,
                revision: match head.op {
                    Op::Put => memories::next_revision(&head)?,
                    _ => memories::revision_after_all(db, &head)?,
                },
                text: String::new(),
                metadata: Metadata::default(),
                embedding: None,
                embedding_model: None,
                updated_at: now,
                stored_at: now,
                ingestion_method: IngestionMethod::Local,
                ..head.clone()
            };
            let is_local = &system_id == self.system_id() || is_local(db, &system_id, memory_id)?;
            row::retire(db, head.seq)?;
            if erase {
                remove_content(db, &system_id, memory_id, change.revision)?;
            }
            row::insert(db, &change, true, is_local)?;
            Ok(forgotten(change.revision, false))
        })?;
        if forgotten.erased {
            let scrubbed = self.scrub().and_then(|()| self.remove_leftovers());
            forgotten.traces_remain = scrubbed.err().map(|error| error.to_string());
        }
        Ok(forgotten)
    }

    /// Removes files with content that pushes left which died. One that is at work removes its own.
    fn remove_leftovers(&self) -> Result<(), StoreError> {
        let Some(lease) = self.try_lease(DRAIN_LEASE, REMOVAL)? else {
            return Ok(());
        };
        self.home().remove_leftovers(self.now());
        lease.release()
    }

    /// Returns every deletion of a memory that this store knows, oldest first; an erasure removes
    /// those before it.
    ///
    /// # Errors
    /// As [`Store::history`].
    pub fn deletions(
        &self,
        memory_id: &MemoryId,
        system_id: Option<&SystemId>,
    ) -> Result<Vec<Change>, StoreError> {
        self.db().read(|db| {
            let system_id = self
                .owner(db, memory_id, system_id, Wanted::Any)?
                .ok_or_else(|| StoreError::NoMemory(memory_id.clone()))?;
            let mut statement = db.prepare_cached(&format!(
                "SELECT {} FROM {} WHERE c.system_id = ?1 AND c.memory_id = ?2 AND c.op <> 'put' \
                 ORDER BY c.revision, c.seq",
                row::COLUMNS,
                row::TABLES
            ))?;
            let key = [system_id.as_str(), memory_id.as_str()];
            let rows = statement.query_and_then(key, row::change)?;
            rows.collect()
        })
    }
}

/// What tells the tombstone of another system's memory that was forgotten here alone from all other
/// rows that readers see.
pub(crate) const HIDES: &str =
    "c.is_head = 1 AND c.op <> 'put' AND c.is_local = 0 AND c.ingestion_method = 'local'";

/// Returns by what a memory of another system is hidden here: somebody forgot it on this node.
pub(crate) fn is_hidden(
    db: &Connection,
    system_id: &SystemId,
    memory_id: &MemoryId,
) -> Result<Option<Op>, StoreError> {
    let mut statement = db.prepare_cached(&format!(
        "SELECT op = 'erase' FROM changes AS c WHERE memory_id = ?1 AND system_id = ?2 AND {HIDES}"
    ))?;
    let key = [memory_id.as_str(), system_id.as_str()];
    let erased: Option<bool> = statement.query_row(key, |row| row.get(0)).optional()?;
    Ok(erased.map(|erased| if erased { Op::Erase } else { Op::Forget }))
}

/// Deletes every row of a key up to `revision`, with its vectors: what `erase` leaves is the
/// tombstone that is written next, and the one by which the memory [is hidden](is_hidden).
pub(crate) fn remove_content(
    db: &Transaction<'_>,
    system_id: &SystemId,
    memory_id: &MemoryId,
    revision: i64,
) -> Result<(), StoreError> {
    let rows = format!(
        "SELECT seq FROM changes AS c WHERE system_id = ?1 AND memory_id = ?2 AND revision <= ?3 \
         AND NOT ({HIDES})"
    );
    let key = (system_id.as_str(), memory_id.as_str(), revision);
    let heads: Vec<i64> = db
        .prepare(&format!("{rows} AND is_head = 1"))?
        .query_map(key, |row| row.get(0))?
        .collect::<Result<_, _>>()?;
    for seq in heads {
        row::hide(db, seq)?;
    }
    // Freed pages would keep the text: overwrite them.
    db.pragma_update(None, "secure_delete", true)?;
    let mut removed = 0;
    for table in [
        "vectors WHERE seq",
        "words WHERE rowid",
        "changes WHERE seq",
    ] {
        removed = db.execute(&format!("DELETE FROM {table} IN ({rows})"), key)?;
    }
    db.pragma_update(None, "secure_delete", false)?;
    db.execute(
        "DELETE FROM conflicts WHERE system_id = ?1 AND memory_id = ?2 AND revision <= ?3",
        key,
    )?;
    if removed > 0 {
        scrub::set_due(db, &format!("{system_id}/{memory_id}/{revision}"))?;
    }
    Ok(())
}

/// Returns whether pushes from here carry the memory. The deletion of another system's memory
/// stays on this node: only its own node writes its part of a vault.
fn is_local(
    db: &Connection,
    system_id: &SystemId,
    memory_id: &MemoryId,
) -> Result<bool, StoreError> {
    let mut statement = db.prepare_cached(
        "SELECT 1 FROM changes WHERE system_id = ?1 AND memory_id = ?2 AND is_local = 1",
    )?;
    Ok(statement.exists([system_id.as_str(), memory_id.as_str()])?)
}

fn was_pushed(
    db: &Connection,
    system_id: &SystemId,
    memory_id: &MemoryId,
) -> Result<bool, StoreError> {
    let sent = push::sent_up_to(db, system_id)?;
    let mut statement = db.prepare_cached(
        "SELECT 1 FROM changes WHERE system_id = ?1 AND memory_id = ?2 AND op = 'put' \
         AND seq <= ?3",
    )?;
    Ok(statement.exists(params![system_id.as_str(), memory_id.as_str(), sent])?)
}
