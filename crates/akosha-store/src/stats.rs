//! How much is stored.

use rusqlite::Connection;

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
    /// Counts what is stored; the time grows with the number of memories.
    pub fn stats(&self) -> Result<Stats, StoreError> {
        let (memories, systems) = self.db().read(|db| {
            Ok((
                count(db, "count(*)")?,
                count(db, "count(DISTINCT system_id)")?,
            ))
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

fn count(db: &Connection, what: &str) -> Result<u64, StoreError> {
    let count: i64 = db.query_row(
        &format!("SELECT {what} FROM changes WHERE is_head = 1 AND op = 'put'"),
        [],
        |row| row.get(0),
    )?;
    Ok(count.unsigned_abs())
}
