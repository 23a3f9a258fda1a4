//! Storing and reading memories.

use akosha_core::{IngestionMethod, Memory, MemoryId, NewMemory, SystemId};
use chrono::{DateTime, Utc};
use rusqlite::{Connection, Transaction};

use crate::{Change, Op, Store, StoreError, row};

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
            revision: match &head {
                None => 1,
                Some(head) if head.op == Op::Put => next_revision(head)?,
                Some(tombstone) => revision_after_all(db, tombstone)?,
            },
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
    /// Without `system_id` this node's own memory is preferred, then the only one of that id; a
    /// tombstone hides none.
    ///
    /// # Errors
    /// Fails where several other systems have the id and none was named.
    pub fn get(
        &self,
        memory_id: &MemoryId,
        system_id: Option<&SystemId>,
    ) -> Result<Option<Memory>, StoreError> {
        self.db().read(|db| {
            let Some(system_id) = self.owner(db, memory_id, system_id, Wanted::Live)? else {
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
                .owner(db, memory_id, system_id, Wanted::Any)?
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

    /// Returns the system whose memory is meant, or `None` where none has the id.
    pub(crate) fn owner(
        &self,
        db: &Connection,
        memory_id: &MemoryId,
        named: Option<&SystemId>,
        wanted: Wanted,
    ) -> Result<Option<SystemId>, StoreError> {
        if let Some(named) = named {
            return Ok(Some(named.clone()));
        }
        let live = match wanted {
            Wanted::Live => " AND op = 'put'",
            Wanted::Any => "",
        };
        let mut own = db.prepare_cached(&format!(
            "SELECT 1 FROM changes WHERE memory_id = ?1 AND system_id = ?2 AND is_head = 1{live}"
        ))?;
        if own.exists([memory_id.as_str(), self.system_id().as_str()])? {
            return Ok(Some(self.system_id().clone()));
        }
        // A memory that is forgotten does not stand in the way of one that is still there.
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

/// Which memory of an id is meant where several systems have one.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Wanted {
    /// One that can be read.
    Live,
    /// The own one, also where it is forgotten: a deletion that is repeated must not go on to
    /// another system's memory.
    Any,
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

/// Returns the revision that follows all of a memory that is forgotten: where that holds on this
/// node alone, its system may have gone on.
pub(crate) fn revision_after_all(db: &Connection, tombstone: &Change) -> Result<i64, StoreError> {
    let mut statement = db.prepare_cached(
        "SELECT max(revision) FROM changes WHERE system_id = ?1 AND memory_id = ?2",
    )?;
    let key = [tombstone.system_id.as_str(), tombstone.memory_id.as_str()];
    let revision = statement.query_row(key, |row| row.get(0))?;
    next_revision(&Change {
        revision,
        ..tombstone.clone()
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
