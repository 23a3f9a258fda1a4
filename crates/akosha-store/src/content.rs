//! Which content readers see more than once: in one system under several ids, or in several
//! systems.
//!
//! `contents` has a short key of the text of every head. It is [derived](crate::derived): a row that
//! an older version wrote may lack here for a while, or be no head any more, so whoever finds a key
//! looks at the row.

use akosha_core::{MemoryId, SystemId, content_key};
use rusqlite::{Connection, Transaction, params};

use crate::StoreError;

/// Most systems that are named as having one content.
pub(crate) const MOST_SYSTEMS: usize = 100;

/// Adds a head that has content.
pub(crate) fn add(
    db: &Transaction<'_>,
    seq: i64,
    system_id: &str,
    text: &str,
) -> Result<(), StoreError> {
    db.prepare_cached("INSERT OR IGNORE INTO contents (key, system_id, seq) VALUES (?1, ?2, ?3)")?
        .execute(params![content_key(text), system_id, seq])?;
    Ok(())
}

/// Takes out a head that is one no more.
pub(crate) fn remove(
    db: &Transaction<'_>,
    seq: i64,
    system_id: &str,
    text: &str,
) -> Result<(), StoreError> {
    db.prepare_cached("DELETE FROM contents WHERE key = ?1 AND system_id = ?2 AND seq = ?3")?
        .execute(params![content_key(text), system_id, seq])?;
    Ok(())
}

/// Returns whether readers see `text` in a system under another id than `memory_id`.
pub(crate) fn is_duplicate(
    db: &Connection,
    system_id: &SystemId,
    memory_id: &MemoryId,
    text: &str,
) -> Result<bool, StoreError> {
    let (key, system_id) = (content_key(text), system_id.as_str());
    // Mostly there is none. SQLite prepares the statement below anew for each text, which costs
    // more than all else here.
    let mut same_key =
        db.prepare_cached("SELECT 1 FROM contents WHERE key = ?1 AND system_id = ?2")?;
    if !same_key.exists(params![key, system_id])? {
        return Ok(false);
    }
    let mut same_text = db.prepare_cached(
        "SELECT 1 FROM contents AS k JOIN changes AS c ON c.seq = k.seq \
         WHERE k.key = ?1 AND k.system_id = ?2 AND c.memory_id <> ?3 AND c.is_head = 1 \
         AND c.text = ?4 LIMIT 1",
    )?;
    Ok(same_text.exists(params![key, system_id, memory_id.as_str(), text])?)
}

/// Returns the systems but `but` in which readers see `text`, in their order; at most a hundred.
pub(crate) fn systems_with(
    db: &Connection,
    text: &str,
    but: &str,
) -> Result<Vec<String>, StoreError> {
    let mut statement = db.prepare_cached(
        "SELECT DISTINCT k.system_id FROM contents AS k JOIN changes AS c ON c.seq = k.seq \
         WHERE k.key = ?1 AND k.system_id <> ?2 AND c.is_head = 1 AND c.text = ?3 \
         ORDER BY k.system_id LIMIT ?4",
    )?;
    let found = statement.query_map(
        params![content_key(text), but, text, MOST_SYSTEMS as i64],
        |row| row.get(0),
    )?;
    Ok(found.collect::<Result<_, _>>()?)
}
