//! How much is stored.

use crate::{Store, StoreError, derived, row};

/// How much a store holds.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Stats {
    /// Memories that are not forgotten.
    pub memories: u64,
    /// Systems that have any.
    pub systems: u64,
    /// Bytes of the database with its write-ahead log.
    pub size_bytes: u64,
}

/// Reads the counts that are kept.
const KEPT: &str =
    "SELECT coalesce(sum(memories), 0), count(*) FILTER (WHERE memories > 0) FROM systems";

/// Counts what is there, from indexes alone: memories one by one, systems by one look at each.
const COUNTED: &str = "WITH RECURSIVE known(id) AS ( \
     SELECT min(system_id) FROM changes UNION ALL \
     SELECT (SELECT min(system_id) FROM changes WHERE system_id > id) FROM known \
     WHERE id IS NOT NULL) \
     SELECT (SELECT count(*) FROM changes WHERE is_head = 1 AND op = 'put'), \
     (SELECT count(*) FROM known WHERE EXISTS (SELECT 1 FROM changes AS c \
      WHERE c.system_id = known.id AND c.is_head = 1 AND c.op = 'put'))";

impl Store {
    /// Returns how much is stored.
    pub fn stats(&self) -> Result<Stats, StoreError> {
        let (memories, systems) = self.db().read(|db| {
            let sql = if derived::is_complete(db)? {
                KEPT
            } else {
                COUNTED
            };
            let mut statement = db.prepare_cached(sql)?;
            let counts =
                statement.query_row([], |row| Ok((row::count(row, 0)?, row::count(row, 1)?)));
            Ok(counts?)
        })?;
        let database = self.home().database();
        let log = database.with_extension("db-wal");
        let size_bytes = [database, log]
            .iter()
            .filter_map(|path| std::fs::metadata(path).ok())
            .map(|file| file.len())
            .sum();
        Ok(Stats {
            memories,
            systems,
            size_bytes,
        })
    }
}
