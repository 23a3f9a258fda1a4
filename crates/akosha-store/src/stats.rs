//! How much is stored.

use crate::{Store, StoreError};

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

impl Store {
    /// Returns how much is stored.
    pub fn stats(&self) -> Result<Stats, StoreError> {
        let (memories, systems) = self.db().read(|db| {
            let mut statement = db.prepare_cached(
                "SELECT coalesce(sum(memories), 0), count(*) FILTER (WHERE memories > 0) \
                 FROM systems",
            )?;
            let counts = statement.query_row([], |row| {
                let count = |column| row.get(column).map(i64::unsigned_abs);
                Ok((count(0)?, count(1)?))
            });
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
