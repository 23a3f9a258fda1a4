//! Whether the database is sound.

use crate::{Store, StoreError};

/// Faults that are looked for: one is enough to know.
const MOST_FAULTS: u32 = 3;

impl Store {
    /// Returns what SQLite finds wrong with the database, as it says it; empty where nothing is.
    /// Reads every page of the tables, but does not compare the indexes with them.
    ///
    /// # Errors
    /// Fails where the database cannot be read at all.
    pub fn quick_check(&self) -> Result<Vec<String>, StoreError> {
        self.db().read(|db| {
            let mut statement = db.prepare(&format!("PRAGMA quick_check({MOST_FAULTS})"))?;
            let rows = statement.query_map([], |row| row.get(0))?;
            let mut faults: Vec<String> = rows.collect::<Result<_, _>>()?;
            faults.retain(|fault| fault != "ok");
            Ok(faults)
        })
    }
}
