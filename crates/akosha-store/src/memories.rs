//! Storing, reading and forgetting memories.

use std::time::Duration;

use akosha_core::{IngestionMethod, Memory, MemoryId, Metadata, NewMemory, SystemId};
use chrono::{DateTime, Utc};
use rusqlite::{Connection, Transaction, params};

use crate::{Change, DRAIN_LEASE, Op, Store, StoreError, push, row, scrub};

/// How long the removal of leftovers may take.
const REMOVAL: Duration = Duration::from_secs(15);

/// What became of a memory that was given to the store.
#[derive(Debug, Clone, PartialEq)]
pub struct Stored {
    /// Its id; made here where the caller gave none.
    pub memory_id: MemoryId,
    /// Whose memory it is.
    pub system_id: SystemId,
    /// When the content was first durable here.
    pub stored_at: DateTime<Utc>,
    /// The revision that holds the content.
    pub revision: i64,
    /// Whether the very same content was there already and nothing was written.
    pub deduplicated: bool,
    /// Whether it has an embedding.
    pub has_embedding: bool,
    /// How many secrets were taken out before.
    pub redactions: usize,
}

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
    /// Stores one memory of `system_id`.
    ///
    /// The same key with the same content is a no-op; with other content it becomes a new
    /// revision. A repetition without an embedding counts as the same content.
    ///
    /// # Errors
    /// Fails where the disk or the database refuses; nothing is stored then.
    pub fn put(
        &self,
        system_id: &SystemId,
        memory: &NewMemory,
        method: IngestionMethod,
    ) -> Result<Stored, StoreError> {
        let memory_id = self.id_of(memory);
        self.db()
            .write(|db| self.put_row(db, system_id, &memory_id, memory, method))
    }

    /// Stores many memories in one transaction: all of them are durable when it returns.
    ///
    /// # Errors
    /// Fails where the disk or the database refuses; then none is stored.
    pub fn put_batch(
        &self,
        memories: &[(SystemId, NewMemory)],
        method: IngestionMethod,
    ) -> Result<Vec<Stored>, StoreError> {
        let ids: Vec<MemoryId> = memories
            .iter()
            .map(|(_, memory)| self.id_of(memory))
            .collect();
        self.db().write(|db| {
            memories
                .iter()
                .zip(&ids)
                .map(|((system_id, memory), id)| self.put_row(db, system_id, id, memory, method))
                .collect()
        })
    }

    fn id_of(&self, memory: &NewMemory) -> MemoryId {
        memory
            .memory_id
            .clone()
            .unwrap_or_else(|| MemoryId::generate(self.sources()))
    }

    fn put_row(
        &self,
        db: &Transaction<'_>,
        system_id: &SystemId,
        memory_id: &MemoryId,
        memory: &NewMemory,
        method: IngestionMethod,
    ) -> Result<Stored, StoreError> {
        let now = self.now();
        let head = head(db, system_id, memory_id)?;
        let stored = |revision, deduplicated, stored_at, has_embedding| Stored {
            memory_id: memory_id.clone(),
            system_id: system_id.clone(),
            stored_at,
            revision,
            deduplicated,
            has_embedding,
            redactions: memory.redactions,
        };
        if let Some(head) = head.as_ref().filter(|head| is_same(head, memory)) {
            let has_embedding = head.embedding.is_some();
            return Ok(stored(head.revision, true, head.stored_at, has_embedding));
        }
        let earlier = head.as_ref().filter(|head| head.op == Op::Put);
        let change = Change {
            seq: 0,
            op: Op::Put,
            system_id: system_id.clone(),
            memory_id: memory_id.clone(),
            revision: head.as_ref().map_or(Ok(1), next_revision)?,
            text: memory.text.clone(),
            metadata: memory.metadata.clone(),
            embedding: memory.embedding.clone(),
            embedding_model: None,
            created_at: memory
                .metadata
                .created_at()
                .or(earlier.map(|head| head.created_at))
                .unwrap_or(now),
            updated_at: now,
            stored_at: now,
            ingestion_method: method,
        };
        if let Some(head) = &head {
            row::retire(db, head.seq)?;
        }
        let is_local = method != IngestionMethod::HttpPush || system_id == self.system_id();
        row::insert(db, &change, true, is_local)?;
        Ok(stored(
            change.revision,
            false,
            now,
            change.embedding.is_some(),
        ))
    }

    /// Returns a memory, or `None` where there is none or it is forgotten.
    ///
    /// Without `system_id` this node's own memory is preferred, then the only one of that id.
    ///
    /// # Errors
    /// Fails where several other systems have the id and none was named.
    pub fn get(
        &self,
        memory_id: &MemoryId,
        system_id: Option<&SystemId>,
    ) -> Result<Option<Memory>, StoreError> {
        self.db().read(|db| {
            let Some(system_id) = self.owner(db, memory_id, system_id)? else {
                return Ok(None);
            };
            one(
                db,
                "c.is_head = 1 AND c.op = 'put'",
                &system_id,
                memory_id,
                row::memory,
            )
        })
    }

    /// Returns every revision of a memory that still has content, oldest first; also of one that
    /// is forgotten.
    ///
    /// # Errors
    /// As [`Store::get`], and where the id was never stored.
    pub fn history(
        &self,
        memory_id: &MemoryId,
        system_id: Option<&SystemId>,
    ) -> Result<Vec<Memory>, StoreError> {
        self.db().read(|db| {
            let system_id = self
                .owner(db, memory_id, system_id)?
                .ok_or_else(|| StoreError::NoMemory(memory_id.clone()))?;
            let mut statement = db.prepare_cached(&format!(
                "SELECT {} FROM {} WHERE c.system_id = ?1 AND c.memory_id = ?2 AND c.op = 'put' \
                 ORDER BY c.revision, c.seq",
                row::COLUMNS,
                row::TABLES
            ))?;
            let rows =
                statement.query_and_then([system_id.as_str(), memory_id.as_str()], row::memory)?;
            let revisions: Vec<Memory> = rows.collect::<Result<_, _>>()?;
            if revisions.is_empty() && head(db, &system_id, memory_id)?.is_none() {
                return Err(StoreError::NoMemory(memory_id.clone()));
            }
            Ok(revisions)
        })
    }

    /// Forgets a memory: it is found no more, its history stays, and the deletion of a memory
    /// made here syncs. With `erase` its content and history are removed from this store too, and
    /// the database is written anew so that no trace of them stays.
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
            let system_id = self.owner(db, memory_id, system_id)?.ok_or_else(missing)?;
            let head = head(db, &system_id, memory_id)?.ok_or_else(missing)?;
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
                revision: next_revision(&head)?,
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

    /// Returns the system whose memory is meant, or `None` where none has the id.
    fn owner(
        &self,
        db: &Connection,
        memory_id: &MemoryId,
        named: Option<&SystemId>,
    ) -> Result<Option<SystemId>, StoreError> {
        if let Some(named) = named {
            return Ok(Some(named.clone()));
        }
        let mut own = db.prepare_cached(
            "SELECT 1 FROM changes WHERE memory_id = ?1 AND system_id = ?2 AND is_head = 1",
        )?;
        if own.exists([memory_id.as_str(), self.system_id().as_str()])? {
            return Ok(Some(self.system_id().clone()));
        }
        // A memory that others forgot does not stand in the way of one that is still there.
        let mut statement = db.prepare_cached(
            "SELECT system_id, op = 'put' FROM changes WHERE memory_id = ?1 AND is_head = 1 \
             ORDER BY system_id",
        )?;
        let all: Vec<(String, bool)> = statement
            .query_map([memory_id.as_str()], |row| Ok((row.get(0)?, row.get(1)?)))?
            .collect::<Result<_, _>>()?;
        let any_live = all.iter().any(|(_, live)| *live);
        let mut owners: Vec<String> = all
            .into_iter()
            .filter(|(_, live)| *live || !any_live)
            .map(|(owner, _)| owner)
            .collect();
        match owners.len() {
            0 => Ok(None),
            1 => Ok(Some(
                SystemId::try_from(owners.remove(0)).map_err(row::damaged)?,
            )),
            _ => Err(StoreError::Ambiguous {
                memory_id: memory_id.clone(),
                systems: owners,
            }),
        }
    }
}

/// Returns the revision that follows.
pub(crate) fn next_revision(head: &Change) -> Result<i64, StoreError> {
    head.revision.checked_add(1).ok_or_else(|| {
        StoreError::Row(format!(
            "nothing can follow revision {} of memory `{}`",
            head.revision, head.memory_id
        ))
    })
}

/// Returns the newest revision of a key, a tombstone included.
pub(crate) fn head(
    db: &Connection,
    system_id: &SystemId,
    memory_id: &MemoryId,
) -> Result<Option<Change>, StoreError> {
    one(db, "c.is_head = 1", system_id, memory_id, row::change)
}

/// Deletes every row of a key up to `revision`, with its vectors: what `erase` leaves is the
/// tombstone that is written next.
pub(crate) fn remove_content(
    db: &Transaction<'_>,
    system_id: &SystemId,
    memory_id: &MemoryId,
    revision: i64,
) -> Result<(), StoreError> {
    const ROWS: &str = "SELECT seq FROM changes WHERE system_id = ?1 AND memory_id = ?2 \
                        AND revision <= ?3";
    let key = (system_id.as_str(), memory_id.as_str(), revision);
    // Freed pages would keep the text: overwrite them.
    db.pragma_update(None, "secure_delete", true)?;
    let mut removed = 0;
    for table in [
        "vectors WHERE seq",
        "words WHERE rowid",
        "changes WHERE seq",
    ] {
        removed = db.execute(&format!("DELETE FROM {table} IN ({ROWS})"), key)?;
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

fn one<T>(
    db: &Connection,
    condition: &str,
    system_id: &SystemId,
    memory_id: &MemoryId,
    read: impl FnOnce(&rusqlite::Row<'_>) -> Result<T, StoreError>,
) -> Result<Option<T>, StoreError> {
    let mut statement = db.prepare_cached(&format!(
        "SELECT {} FROM {} WHERE c.memory_id = ?1 AND c.system_id = ?2 AND {condition}",
        row::COLUMNS,
        row::TABLES
    ))?;
    let mut rows = statement.query([memory_id.as_str(), system_id.as_str()])?;
    rows.next()?.map(read).transpose()
}

fn is_same(head: &Change, memory: &NewMemory) -> bool {
    head.op == Op::Put
        && head.text == memory.text
        && head.metadata == memory.metadata
        && (memory.embedding.is_none() || memory.embedding == head.embedding)
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
