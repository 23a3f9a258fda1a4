//! Merging changes that other stores made: idempotent, and the same in any order.

use akosha_core::IngestionMethod;
use rusqlite::{Connection, Transaction, params};

use crate::{Change, Op, Store, StoreError, content, derived, forget, memories, row};

/// What a merge did to the memories, by what was here at the point from which it is counted.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Merged {
    /// Memories that were not here and are now. Below 0 where this merge deletes some that an
    /// earlier one since that point has counted.
    pub added: i64,
    /// Memories that were here and have a newer revision now, or are deleted.
    pub updated: u64,
    /// Changes that made no difference in the end: they were here already, are history, or belong
    /// to memories that came and went.
    pub skipped: u64,
    /// Those of the skipped changes that were here already.
    pub unchanged: u64,
    /// Memories of which two contents have the same revision.
    pub conflicts: u64,
    /// New contents of memories that their system had already under another id.
    pub duplicates: u64,
}

impl std::ops::AddAssign for Merged {
    fn add_assign(&mut self, other: Self) {
        self.added += other.added;
        self.updated += other.updated;
        self.skipped += other.skipped;
        self.unchanged += other.unchanged;
        self.conflicts += other.conflicts;
        self.duplicates += other.duplicates;
    }
}

impl Store {
    /// Merges `changes` in one transaction, and counts by what was here before it.
    ///
    /// # Errors
    /// As [`Store::merge_since`].
    pub fn merge(&self, changes: &[Change], method: IngestionMethod) -> Result<Merged, StoreError> {
        let since = self.newest_seq()?;
        self.merge_since(changes, method, since)
    }

    /// Returns the number of the newest change of this store, 0 where there is none.
    pub fn newest_seq(&self) -> Result<i64, StoreError> {
        self.db().read(newest_seq)
    }

    /// Merges `changes` in one transaction, and counts by what was here at the change `since`: a
    /// pull of many uploads counts by what was here when it began.
    ///
    /// The highest revision of a key becomes its head, whatever the order of arrival. Where two
    /// contents have the same revision, both are kept, the conflict is recorded, and every store
    /// picks the same one to show. A memory that [was forgotten here](Store::forget) stays so: what
    /// comes of it goes into history, and nowhere after an erasure.
    ///
    /// # Errors
    /// Fails where the disk or the database refuses; then none is merged.
    pub fn merge_since(
        &self,
        changes: &[Change],
        method: IngestionMethod,
        since: i64,
    ) -> Result<Merged, StoreError> {
        self.db().write(|db| {
            derived::go_on(db)?;
            self.merge_changes(db, changes, method, Some(since))
        })
    }

    /// Merges `changes` in a transaction that goes on. Where `since` is `None` it counts by what
    /// is here now.
    pub(crate) fn merge_changes(
        &self,
        db: &Transaction<'_>,
        changes: &[Change],
        method: IngestionMethod,
        since: Option<i64>,
    ) -> Result<Merged, StoreError> {
        let since = match since {
            Some(since) => since,
            None => newest_seq(db)?,
        };
        let mut merged = Merged::default();
        for change in changes {
            merged += self.merge_one(db, change, method, since)?;
        }
        Ok(merged)
    }

    fn merge_one(
        &self,
        db: &Transaction<'_>,
        change: &Change,
        method: IngestionMethod,
        since: i64,
    ) -> Result<Merged, StoreError> {
        if !is_known(db, change)? {
            return insert_new(db, change, method);
        }
        let rivals = of_revision(db, change)?;
        let hidden = forget::is_hidden(db, &change.system_id, &change.memory_id)?;
        let is_erased_here = hidden == Some(Op::Erase) && change.op == Op::Put;
        let is_here = rivals.iter().any(|rival| is_same(rival, change));
        if is_here || is_erased_here || is_erased(db, change)? {
            return Ok(Merged {
                skipped: 1,
                unchanged: 1,
                ..Merged::default()
            });
        }
        let head = memories::head(db, &change.system_id, &change.memory_id)?;
        let wins = hidden.is_none() && head.as_ref().is_none_or(|head| rank(change) > rank(head));
        let mut merged = Merged {
            skipped: 1,
            ..Merged::default()
        };
        if wins {
            merged = counted(db, head.as_ref(), change, since)?;
            merged.duplicates = u64::from(change.op == Op::Put && is_duplicate(db, change)?);
        }
        if wins && let Some(head) = &head {
            row::retire(db, head.seq)?;
        }
        if change.op == Op::Erase {
            forget::remove_content(db, &change.system_id, &change.memory_id, change.revision)?;
        }
        insert(db, change, method, wins)?;
        if !rivals.is_empty() && change.op != Op::Erase {
            merged.conflicts = 1;
            db.execute(
                "INSERT OR IGNORE INTO conflicts (system_id, memory_id, revision, found_at) \
                 VALUES (?1, ?2, ?3, ?4)",
                params![
                    change.system_id.as_str(),
                    change.memory_id.as_str(),
                    change.revision,
                    self.now().timestamp_micros()
                ],
            )?;
        }
        Ok(merged)
    }
}

/// Returns whether this store has any row of the memory, be it history or a tombstone.
fn is_known(db: &Connection, change: &Change) -> Result<bool, StoreError> {
    let mut statement =
        db.prepare_cached("SELECT 1 FROM changes WHERE system_id = ?1 AND memory_id = ?2")?;
    Ok(statement.exists([change.system_id.as_str(), change.memory_id.as_str()])?)
}

/// Merges a change of a memory of which nothing is here: there is nothing to compare it with.
fn insert_new(
    db: &Transaction<'_>,
    change: &Change,
    method: IngestionMethod,
) -> Result<Merged, StoreError> {
    let is_alive = change.op == Op::Put;
    let is_duplicate = is_alive && is_duplicate(db, change)?;
    insert(db, change, method, true)?;
    Ok(Merged {
        added: i64::from(is_alive),
        skipped: u64::from(!is_alive),
        duplicates: u64::from(is_duplicate),
        ..Merged::default()
    })
}

fn is_duplicate(db: &Connection, change: &Change) -> Result<bool, StoreError> {
    content::is_duplicate(db, &change.system_id, &change.memory_id, &change.text)
}

fn insert(
    db: &Transaction<'_>,
    change: &Change,
    method: IngestionMethod,
    is_head: bool,
) -> Result<(), StoreError> {
    let change = Change {
        ingestion_method: method,
        ..change.clone()
    };
    row::insert(db, &change, is_head, false)?;
    Ok(())
}

fn newest_seq(db: &Connection) -> Result<i64, StoreError> {
    let mut statement = db.prepare_cached("SELECT coalesce(max(seq), 0) FROM changes")?;
    Ok(statement.query_row([], |row| row.get(0))?)
}

/// Counts a change that takes the place of `head`.
fn counted(
    db: &Transaction<'_>,
    head: Option<&Change>,
    change: &Change,
    since: i64,
) -> Result<Merged, StoreError> {
    let (mut added, mut updated, mut skipped) = (0, 0, 0);
    let is_alive = change.op == Op::Put;
    match head {
        Some(head) if head.seq <= since => updated = 1,
        Some(_) if was_here(db, change, since)? => skipped = 1,
        head => match (head.is_some_and(|head| head.op == Op::Put), is_alive) {
            (false, true) => added = 1,
            // What was counted as new is gone again, and both changes with it.
            (true, false) => (added, skipped) = (-1, 2),
            _ => skipped = 1,
        },
    }
    Ok(Merged {
        added,
        updated,
        skipped,
        ..Merged::default()
    })
}

/// Returns whether this store had a memory at the change `since`.
fn was_here(db: &Transaction<'_>, change: &Change, since: i64) -> Result<bool, StoreError> {
    let mut statement = db.prepare_cached(
        "SELECT 1 FROM changes WHERE system_id = ?1 AND memory_id = ?2 AND seq <= ?3",
    )?;
    Ok(statement.exists(params![
        change.system_id.as_str(),
        change.memory_id.as_str(),
        since
    ])?)
}

/// Orders the changes of one key: the greatest is what readers see. It depends on nothing but
/// what [`is_same`] compares, so that all stores agree whatever they met first.
pub(crate) fn rank(change: &Change) -> (i64, Op, &str, String) {
    (
        change.revision,
        change.op,
        &change.text,
        change.metadata.to_json(),
    )
}

pub(crate) fn is_same(one: &Change, other: &Change) -> bool {
    one.op == other.op && one.text == other.text && one.metadata == other.metadata
}

/// Returns the rows that have the key and the revision of `change`, but for the one that hides the
/// memory here: it is no revision that others know.
fn of_revision(db: &Transaction<'_>, change: &Change) -> Result<Vec<Change>, StoreError> {
    let mut statement = db.prepare_cached(&format!(
        "SELECT {} FROM {} WHERE c.system_id = ?1 AND c.memory_id = ?2 AND c.revision = ?3 \
         AND NOT ({})",
        row::COLUMNS,
        row::TABLES,
        forget::HIDES
    ))?;
    let rows = statement.query_and_then(
        params![
            change.system_id.as_str(),
            change.memory_id.as_str(),
            change.revision
        ],
        row::change,
    )?;
    rows.collect()
}

/// Returns whether an erasure of this or a later revision is known: what it removed must not
/// come back.
fn is_erased(db: &Transaction<'_>, change: &Change) -> Result<bool, StoreError> {
    let mut statement = db.prepare_cached(
        "SELECT 1 FROM changes WHERE system_id = ?1 AND memory_id = ?2 AND op = 'erase' \
         AND revision >= ?3",
    )?;
    Ok(statement.exists(params![
        change.system_id.as_str(),
        change.memory_id.as_str(),
        change.revision
    ])?)
}
