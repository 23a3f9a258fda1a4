//! Tables that say again what others hold: `contents`, `systems` and `activity`. They are kept with
//! every row that comes or goes, so that a reader needs no scan.
//!
//! The one row of `derived` tells how far they hold what they should:
//!
//! - Rows that were there before these tables are added bit by bit: those of `changes` from the newest
//!   to the oldest, those of `uploads` in their order. What is not added yet is not taken out either,
//!   so at any time the tables are right about what they have.
//! - A process of an older version that still runs writes `changes` and knows nothing of these
//!   tables. Whatever it does there takes a new `seq`, and those are given out once: where the
//!   newest is not the one at the last commit of a program that keeps them, the tables drifted.
//!   No commit that finds them so calls it right again, so it is not missed: they are emptied and
//!   filled anew. Uploads are counted by triggers, which fire in such a process too.
//!
//! Until they are complete, [`Store::stats`], [`Store::systems`] and [`Store::activity`] count what is
//! there. [`Store::derive_some`] fills the tables; whoever works in the background calls it.

use rusqlite::{Connection, OptionalExtension, Transaction, params};

use crate::{Store, StoreError, content, row, tally};

/// Rows that are looked at in one transaction: others that write wait for it.
const AT_ONCE: i64 = 2000;

/// The newest number that a change ever had.
const NEWEST: &str = "coalesce((SELECT seq FROM sqlite_sequence WHERE name = 'changes'), 0)";

/// A head that has content came: its row, its system, its text and when it was stored.
pub(crate) fn came(
    db: &Transaction<'_>,
    seq: i64,
    system_id: &str,
    text: &str,
    stored_at: i64,
) -> Result<(), StoreError> {
    if has(db, seq)? {
        add(db, seq, system_id, text, stored_at)?;
    }
    Ok(())
}

/// A head that has content is one no more.
pub(crate) fn gone(
    db: &Transaction<'_>,
    seq: i64,
    system_id: &str,
    text: &str,
    stored_at: i64,
) -> Result<(), StoreError> {
    if has(db, seq)? {
        content::remove(db, seq, system_id, text)?;
        tally::gone(db, system_id, stored_at)?;
    }
    Ok(())
}

fn add(
    db: &Transaction<'_>,
    seq: i64,
    system_id: &str,
    text: &str,
    stored_at: i64,
) -> Result<(), StoreError> {
    content::add(db, seq, system_id, text)?;
    tally::came(db, system_id, stored_at)
}

/// Returns whether a row of `changes` is among those that the tables have.
fn has(db: &Connection, seq: i64) -> Result<bool, StoreError> {
    let mut statement = db.prepare_cached("SELECT missing_up_to < ?1 FROM derived")?;
    Ok(statement.query_row([seq], |row| row.get(0))?)
}

/// Returns whether nobody wrote `changes` without keeping the tables.
pub(crate) fn follows(db: &Connection) -> Result<bool, StoreError> {
    let mut statement = db.prepare_cached(&format!("SELECT newest_seq = {NEWEST} FROM derived"))?;
    Ok(statement.query_row([], |row| row.get(0))?)
}

/// Notes that the tables followed all that this transaction wrote; only where they
/// [did so](follows) before it.
pub(crate) fn keep_up(db: &Transaction<'_>) -> Result<(), StoreError> {
    db.prepare_cached(&format!(
        "UPDATE derived SET newest_seq = {NEWEST} WHERE newest_seq <> {NEWEST}"
    ))?
    .execute([])?;
    Ok(())
}

/// Returns whether the tables hold all that they should.
pub(crate) fn is_complete(db: &Connection) -> Result<bool, StoreError> {
    let mut statement = db.prepare_cached(&format!(
        "SELECT newest_seq = {NEWEST} AND missing_up_to = 0 AND missing_system IS NULL FROM derived"
    ))?;
    Ok(statement.query_row([], |row| row.get(0))?)
}

impl Store {
    /// Adds some rows that the tables lack which other tables imply, in a short transaction, and
    /// returns whether they lack more. Writes nothing where they lack none.
    pub fn derive_some(&self) -> Result<bool, StoreError> {
        if self.db().read(is_complete)? {
            return Ok(false);
        }
        self.db().write(|db| {
            if follows(db)? {
                go_on(db)?;
            } else {
                start_anew(db)?;
            }
            Ok(!is_complete(db)?)
        })
    }
}

/// Empties what was made of `changes`. SQLite drops all rows of `contents` together, without a look
/// at each.
fn start_anew(db: &Transaction<'_>) -> Result<(), StoreError> {
    db.execute_batch(&format!(
        "DELETE FROM contents; \
         UPDATE systems SET memories = 0; \
         UPDATE activity SET memories = 0; \
         UPDATE derived SET newest_seq = {NEWEST}, missing_up_to = {NEWEST};"
    ))?;
    Ok(())
}

/// Adds some of the rows that are missing, where any are; in vain where the tables drifted.
pub(crate) fn go_on(db: &Transaction<'_>) -> Result<(), StoreError> {
    let up_to: i64 = db
        .prepare_cached("SELECT missing_up_to FROM derived")?
        .query_row([], |row| row.get(0))?;
    if up_to > 0 {
        add_changes(db, up_to)?;
    }
    let after: Option<(String, String)> = db
        .prepare_cached(
            "SELECT missing_system, missing_upload FROM derived WHERE missing_system IS NOT NULL",
        )?
        .query_row([], |row| Ok((row.get(0)?, row.get(1)?)))
        .optional()?;
    if let Some((system_id, upload_id)) = after {
        add_uploads(db, &system_id, &upload_id)?;
    }
    Ok(())
}

fn add_changes(db: &Transaction<'_>, up_to: i64) -> Result<(), StoreError> {
    let after = (up_to - AT_ONCE).max(0);
    let mut statement = db.prepare_cached(
        "SELECT seq, system_id, text, stored_at FROM changes \
         WHERE seq > ?1 AND seq <= ?2 AND is_head = 1 AND op = 'put'",
    )?;
    let mut rows = statement.query([after, up_to])?;
    while let Some(row) = rows.next()? {
        let system_id = row.get_ref(1)?.as_str().map_err(row::damaged)?;
        let text = row.get_ref(2)?.as_str().map_err(row::damaged)?;
        add(db, row.get(0)?, system_id, text, row.get(3)?)?;
    }
    db.prepare_cached("UPDATE derived SET missing_up_to = ?1")?
        .execute([after])?;
    Ok(())
}

fn add_uploads(db: &Transaction<'_>, system_id: &str, upload_id: &str) -> Result<(), StoreError> {
    let mut statement = db.prepare_cached(
        "SELECT system_id, upload_id, merged_at FROM uploads \
         WHERE (system_id, upload_id) > (?1, ?2) ORDER BY system_id, upload_id LIMIT ?3",
    )?;
    let rows = statement.query_map(params![system_id, upload_id, AT_ONCE], |row| {
        Ok((row.get(0)?, row.get(1)?, row.get(2)?))
    })?;
    let mut last = None;
    for upload in rows {
        let (system_id, upload_id, merged_at): (String, String, i64) = upload?;
        tally::merged(db, &system_id, &upload_id, merged_at)?;
        last = Some((system_id, upload_id));
    }
    if last.is_none() {
        db.execute(
            "INSERT OR IGNORE INTO systems (system_id) SELECT DISTINCT system_id FROM quarantine",
            [],
        )?;
    }
    let (system_id, upload_id) = last.unzip();
    db.prepare_cached("UPDATE derived SET missing_system = ?1, missing_upload = ?2")?
        .execute(params![system_id, upload_id])?;
    Ok(())
}
