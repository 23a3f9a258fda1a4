//! Which content readers see more than once: in one system under several ids, or in several
//! systems.
//!
//! `contents` has a short key of the text of every head. It is derived: rows that an older version
//! wrote are added bit by bit by the merges that follow, and whoever finds a key compares the
//! texts.

use akosha_core::{MemoryId, SystemId, content_key};
use rusqlite::{Connection, OptionalExtension, Transaction, params};

use crate::{StoreError, row};

/// The mark of how far the rows of an older version are not added yet, counted down.
const MISSING: &str = "contents missing up to";

/// Rows of an older version that one merge looks at.
const ADDED_AT_ONCE: i64 = 2000;

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
         WHERE k.key = ?1 AND k.system_id = ?2 AND c.memory_id <> ?3 AND c.text = ?4 LIMIT 1",
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
         WHERE k.key = ?1 AND k.system_id <> ?2 AND c.text = ?3 ORDER BY k.system_id LIMIT ?4",
    )?;
    let found = statement.query_map(
        params![content_key(text), but, text, MOST_SYSTEMS as i64],
        |row| row.get(0),
    )?;
    Ok(found.collect::<Result<_, _>>()?)
}

/// Adds some of the rows that an older version wrote, the newest first, until none is left.
pub(crate) fn catch_up(db: &Transaction<'_>) -> Result<(), StoreError> {
    let missing: Option<i64> = db
        .prepare_cached("SELECT CAST(value AS INTEGER) FROM meta WHERE key = ?1")?
        .query_row([MISSING], |row| row.get(0))
        .optional()?;
    let Some(up_to) = missing else {
        return Ok(());
    };
    let after = up_to - ADDED_AT_ONCE;
    let mut statement = db.prepare_cached(
        "SELECT seq, system_id, text FROM changes \
         WHERE seq > ?1 AND seq <= ?2 AND is_head = 1 AND op = 'put'",
    )?;
    let mut rows = statement.query([after, up_to])?;
    while let Some(row) = rows.next()? {
        let system_id = row.get_ref(1)?.as_str().map_err(row::damaged)?;
        let text = row.get_ref(2)?.as_str().map_err(row::damaged)?;
        add(db, row.get(0)?, system_id, text)?;
    }
    if after > 0 {
        db.execute(
            "UPDATE meta SET value = ?2 WHERE key = ?1",
            params![MISSING, after],
        )?;
    } else {
        db.execute("DELETE FROM meta WHERE key = ?1", [MISSING])?;
    }
    Ok(())
}
