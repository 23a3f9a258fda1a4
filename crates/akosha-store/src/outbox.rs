//! What is still to be pushed to a target.

use akosha_core::{MemoryId, SystemId};
use chrono::{DateTime, Utc};
use rusqlite::{OptionalExtension, params};

use crate::push::{self, Target};
use crate::{Change, Store, StoreError, row};

/// Bytes of text and metadata that are read at once: 4 MiB.
const PAGE_BYTES: usize = 4 << 20;

/// What a target has not acknowledged yet.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Unsynced {
    /// Changes.
    pub changes: u64,
    /// Those of them that delete.
    pub deletions: u64,
    /// When the oldest of them was stored.
    pub oldest_at: Option<DateTime<Utc>>,
    /// The newest of them; 0 where there is none.
    pub last_seq: i64,
}

impl Store {
    /// Returns the systems under whose ids memories were made here, this node's first.
    pub fn local_systems(&self) -> Result<Vec<SystemId>, StoreError> {
        let mut systems = vec![self.system_id().clone()];
        let found = self.db().read(|db| {
            let mut found: Vec<SystemId> = Vec::new();
            // Jumps from one system to the next along the index instead of reading every row.
            let mut statement = db.prepare_cached(
                "SELECT system_id FROM changes INDEXED BY changes_local \
                 WHERE is_local = 1 AND system_id > ?1 ORDER BY system_id LIMIT 1",
            )?;
            loop {
                let after = found.last().map_or("", SystemId::as_str);
                let next: Option<String> =
                    statement.query_row([after], |row| row.get(0)).optional()?;
                match next {
                    Some(system) => found.push(SystemId::try_from(system).map_err(row::damaged)?),
                    None => return Ok(found),
                }
            }
        })?;
        systems.extend(
            found
                .into_iter()
                .filter(|system| system != self.system_id()),
        );
        Ok(systems)
    }

    /// Returns what `target` has not acknowledged of `system_id`.
    pub fn unsynced(&self, target: &Target, system_id: &SystemId) -> Result<Unsynced, StoreError> {
        self.db().read(|db| {
            let acked = push::state(db, target, system_id)?.acked_seq;
            let mut statement = db.prepare_cached(
                "SELECT count(*), count(*) FILTER (WHERE op <> 'put'), min(stored_at), max(seq) \
                 FROM changes WHERE seq > ?1 AND system_id = ?2 AND is_local = 1",
            )?;
            let mut rows = statement.query(params![acked, system_id.as_str()])?;
            let row = rows.next()?.ok_or(rusqlite::Error::QueryReturnedNoRows)?;
            let oldest: Option<i64> = row.get(2)?;
            Ok(Unsynced {
                changes: row.get::<_, i64>(0)?.unsigned_abs(),
                deletions: row.get::<_, i64>(1)?.unsigned_abs(),
                oldest_at: oldest.map(row::from_micros).transpose()?,
                last_seq: row.get::<_, Option<i64>>(3)?.unwrap_or(0),
            })
        })
    }

    /// Returns local changes of `system_id` with `after < seq <= up_to`, oldest first: at most
    /// `limit`, and no more once they have 4 MiB of text and metadata, but at least one. With
    /// `heads_only` superseded revisions are left out.
    pub fn changes(
        &self,
        system_id: &SystemId,
        after: i64,
        up_to: i64,
        limit: usize,
        heads_only: bool,
    ) -> Result<Vec<Change>, StoreError> {
        let heads = if heads_only { " AND c.is_head = 1" } else { "" };
        self.db().read(|db| {
            let mut statement = db.prepare_cached(&format!(
                "SELECT {} FROM {} WHERE c.seq > ?1 AND c.seq <= ?2 AND c.system_id = ?3 \
                 AND c.is_local = 1{heads} ORDER BY c.seq LIMIT ?4",
                row::COLUMNS,
                row::TABLES
            ))?;
            let mut rows =
                statement.query(params![after, up_to, system_id.as_str(), limit as i64])?;
            let mut changes = Vec::new();
            let mut size = 0;
            while size < PAGE_BYTES
                && let Some(row) = rows.next()?
            {
                let change = row::change(row)?;
                size += change.text.len() + row.get_ref(6)?.as_str().map_or(0, str::len);
                changes.push(change);
            }
            Ok(changes)
        })
    }

    /// Returns the newest change of a memory made here, whether content or tombstone.
    pub fn newest_change(
        &self,
        system_id: &SystemId,
        memory_id: &MemoryId,
    ) -> Result<Option<Change>, StoreError> {
        self.db()
            .read(|db| crate::memories::head(db, system_id, memory_id))
    }
}
