//! Leaves no trace of what was erased.
//!
//! Deleting a row frees its space; copies stay in free pages, in the full-text index until its
//! parts are merged, and in the write-ahead log. Only writing the file anew removes them all.

use std::time::Duration;

use rusqlite::{Connection, OptionalExtension, Transaction};

use crate::{Store, StoreError};

/// How long the end of a scrub waits for those who read an older state of the store; writers wait
/// as long.
const READERS_TIMEOUT: Duration = Duration::from_secs(2);

impl Store {
    /// Writes the database anew where something was erased since this was last done, so that no
    /// byte of it is left in the file or its log. The time grows with the size of the store.
    ///
    /// [`Store::forget`] does it by itself; call it after a pull.
    ///
    /// # Errors
    /// Fails where another process writes or reads for too long, or the disk lacks the space of a
    /// second copy. It stays due then.
    pub fn scrub(&self) -> Result<(), StoreError> {
        let Some(due) = self.db().read(due)? else {
            return Ok(());
        };
        self.db().write(|db| {
            db.execute("INSERT INTO words (words) VALUES ('optimize')", [])?;
            Ok(())
        })?;
        self.db().on_writer(|db| {
            db.execute_batch("VACUUM")?;
            db.busy_timeout(READERS_TIMEOUT)?;
            let busy: bool = db.query_row("PRAGMA wal_checkpoint(TRUNCATE)", [], |row| {
                row.get::<_, i64>(0).map(|busy| busy != 0)
            })?;
            db.busy_timeout(self.busy_timeout())?;
            if busy { Err(StoreError::Busy) } else { Ok(()) }
        })?;
        // Unless something else was erased meanwhile.
        self.db().write(|db| {
            let mark = "DELETE FROM meta WHERE key = 'scrub_due' AND value = ?1";
            db.execute(mark, [&due])?;
            Ok(())
        })
    }
}

/// Notes that content was removed; `mark` tells this occasion from others.
pub(crate) fn set_due(db: &Transaction<'_>, mark: &str) -> Result<(), StoreError> {
    db.execute(
        "INSERT INTO meta (key, value) VALUES ('scrub_due', ?1) \
         ON CONFLICT DO UPDATE SET value = excluded.value",
        [mark],
    )?;
    Ok(())
}

fn due(db: &Connection) -> Result<Option<String>, StoreError> {
    let mark = db
        .prepare_cached("SELECT value FROM meta WHERE key = 'scrub_due'")?
        .query_row([], |row| row.get(0))
        .optional()?;
    Ok(mark)
}
