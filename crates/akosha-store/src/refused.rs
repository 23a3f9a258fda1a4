//! Memories that a target refused while it took others.

use akosha_core::{MemoryId, SystemId};
use rusqlite::params;

use crate::push::Target;
use crate::{Store, StoreError, row};

/// A memory that a target refused while it took others.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Rejected {
    /// The memory.
    pub memory_id: MemoryId,
    /// The change that was refused.
    pub seq: i64,
    /// How often it was tried.
    pub attempts: u32,
    /// What the target said.
    pub error: String,
}

impl Store {
    /// Returns the memories that `target` refused, oldest first.
    pub fn rejected(
        &self,
        target: &Target,
        system_id: &SystemId,
    ) -> Result<Vec<Rejected>, StoreError> {
        self.db().read(|db| {
            let mut statement = db.prepare_cached(
                "SELECT memory_id, seq, attempts, error FROM rejected \
                 WHERE target = ?1 AND system_id = ?2 ORDER BY seq",
            )?;
            let rows = statement.query_and_then([target.as_str(), system_id.as_str()], |row| {
                Ok(Rejected {
                    memory_id: MemoryId::try_from(row.get::<_, String>(0)?)
                        .map_err(row::damaged)?,
                    seq: row.get(1)?,
                    attempts: row.get(2)?,
                    error: row.get(3)?,
                })
            })?;
            rows.collect()
        })
    }

    /// Records that `target` refused a memory.
    pub fn reject(
        &self,
        target: &Target,
        system_id: &SystemId,
        memory_id: &MemoryId,
        seq: i64,
        error: &str,
    ) -> Result<(), StoreError> {
        self.db().write(|db| {
            db.execute(
                "INSERT INTO rejected (target, system_id, memory_id, seq, attempts, error) \
                 VALUES (?1, ?2, ?3, ?4, 1, ?5) ON CONFLICT DO UPDATE SET seq = excluded.seq, \
                 attempts = attempts + 1, error = excluded.error",
                params![
                    target.as_str(),
                    system_id.as_str(),
                    memory_id.as_str(),
                    seq,
                    error
                ],
            )?;
            Ok(())
        })
    }

    /// Records that `target` took a memory that it had refused.
    pub fn accept(
        &self,
        target: &Target,
        system_id: &SystemId,
        memory_id: &MemoryId,
    ) -> Result<(), StoreError> {
        self.db().write(|db| {
            db.execute(
                "DELETE FROM rejected WHERE target = ?1 AND system_id = ?2 AND memory_id = ?3",
                [target.as_str(), system_id.as_str(), memory_id.as_str()],
            )?;
            Ok(())
        })
    }
}
