//! Gives what nobody else has seen a new owner: the way out for a machine whose system id turned
//! out to be another's.

use akosha_core::SystemId;
use rusqlite::{Transaction, params};

use crate::merge::{is_same, rank};
use crate::{Change, Op, Store, StoreError, memories, push, row};

/// Which changes of the system `?1` nobody else can have: those after `?2`, the last one that any
/// target acknowledged, and those before that every target refused which was offered them.
const UNSENT: &str = "is_local = 1 AND (seq > ?2 OR seq IN ( \
    SELECT seq FROM rejected AS refused WHERE refused.system_id = ?1 AND NOT EXISTS ( \
        SELECT 1 FROM pushes WHERE pushes.system_id = ?1 \
        AND max(pushes.sent_seq, coalesce(pushes.intent_to_seq, 0)) >= refused.seq \
        AND NOT EXISTS (SELECT 1 FROM rejected AS same WHERE same.target = pushes.target \
            AND same.system_id = ?1 AND same.seq = refused.seq))))";

/// One memory that changes its owner.
struct Move<'a> {
    from: &'a SystemId,
    to: &'a SystemId,
    memory_id: &'a str,
    /// The last change of `from` that others may have.
    sent_up_to: i64,
}

impl Store {
    /// Moves the changes that were made here as `from`, and that no target ever acknowledged, to
    /// the system `to`, whose pushes bring them next; all in one transaction. Returns how many.
    ///
    /// What was acknowledged stays with `from`, and its newest revision becomes what readers see
    /// of it again. A deletion of it stays too, and stays to be pushed: only pushes of `from` carry
    /// it to those who have the memory. Where `to` has a memory of the same id, what is moved goes
    /// into its history and its own content stays the newest.
    pub fn move_unsent(&self, from: &SystemId, to: &SystemId) -> Result<u64, StoreError> {
        self.write_claimed(|db| {
            let sent_up_to = push::sent_up_to(db, from)?;
            let mut statement = db.prepare(&format!(
                "SELECT memory_id FROM changes WHERE system_id = ?1 AND {UNSENT} \
                 GROUP BY memory_id ORDER BY min(seq)"
            ))?;
            let ids: Vec<String> = statement
                .query_map(params![from.as_str(), sent_up_to], |row| row.get(0))?
                .collect::<Result<_, _>>()?;
            let mut moved = 0;
            for memory_id in &ids {
                let memory = Move {
                    from,
                    to,
                    memory_id,
                    sent_up_to,
                };
                moved += memory.run(db)?;
            }
            db.execute(
                "DELETE FROM rejected WHERE system_id = ?1 AND (seq > ?2 OR NOT EXISTS \
                 (SELECT 1 FROM changes WHERE changes.seq = rejected.seq))",
                params![from.as_str(), sent_up_to],
            )?;
            Ok(moved)
        })
    }
}

impl Move<'_> {
    fn run(&self, db: &Transaction<'_>) -> Result<u64, StoreError> {
        let unsent = self.unsent(db)?;
        let anything_stays = self.anything_stays(db)?;
        let mut present: Option<Change> = None;
        let mut moved = 0;
        for seq in unsent {
            let change = change_at(db, seq)?;
            if moved == 0 {
                present = memories::head(db, self.to, &change.memory_id)?;
            }
            // The mark of an erasure keeps the content from coming back, so it always stays.
            let stays = change.op == Op::Erase || (change.op == Op::Forget && anything_stays);
            if !stays {
                row::remove(db, seq)?;
            } else if !anything_stays && self.sent_up_to == 0 {
                // Nobody has what it deletes. Where the id was pushed, others may have had it: an
                // erasure leaves nothing by which to tell.
                let sql = "UPDATE changes SET is_local = 0 WHERE seq = ?1";
                db.prepare_cached(sql)?.execute([seq])?;
            }
            if change.op == Op::Put || (change.op == Op::Forget && (!stays || moved > 0)) {
                self.append(db, change)?;
                moved += 1;
            }
        }
        if let Some(present) = present.filter(|present| moved > 0 && present.op != Op::Erase) {
            self.append(db, present)?;
        }
        self.promote_what_stays(db)?;
        Ok(moved)
    }

    /// Returns the changes that nobody else has, in their order.
    fn unsent(&self, db: &Transaction<'_>) -> Result<Vec<i64>, StoreError> {
        let mut statement = db.prepare_cached(&format!(
            "SELECT seq FROM changes WHERE system_id = ?1 AND memory_id = ?3 AND {UNSENT} \
             ORDER BY seq"
        ))?;
        let key = params![self.from.as_str(), self.sent_up_to, self.memory_id];
        let found = statement.query_map(key, |row| row.get(0))?;
        Ok(found.collect::<Result<_, _>>()?)
    }

    /// Returns whether others have, or made, a part of the memory.
    fn anything_stays(&self, db: &Transaction<'_>) -> Result<bool, StoreError> {
        let mut statement = db.prepare_cached(&format!(
            "SELECT 1 FROM changes WHERE system_id = ?1 AND memory_id = ?3 AND NOT ({UNSENT})"
        ))?;
        let key = params![self.from.as_str(), self.sent_up_to, self.memory_id];
        Ok(statement.exists(key)?)
    }

    /// Writes a change as the newest one of the new owner, unless that is the same already.
    fn append(&self, db: &Transaction<'_>, change: Change) -> Result<(), StoreError> {
        let head = memories::head(db, self.to, &change.memory_id)?;
        let mut revision = change.revision;
        if let Some(head) = &head {
            if is_same(head, &change) {
                return Ok(());
            }
            revision = revision.max(memories::next_revision(head)?);
            row::retire(db, head.seq)?;
        }
        let change = Change {
            system_id: self.to.clone(),
            revision,
            ..change
        };
        row::insert(db, &change, true, true).map(drop)
    }

    /// Makes the newest of what is left with the old owner what readers see.
    fn promote_what_stays(&self, db: &Transaction<'_>) -> Result<(), StoreError> {
        db.execute(
            "DELETE FROM conflicts WHERE system_id = ?1 AND memory_id = ?2 AND \
             (SELECT count(*) FROM changes WHERE changes.system_id = conflicts.system_id \
              AND changes.memory_id = conflicts.memory_id \
              AND changes.revision = conflicts.revision) < 2",
            [self.from.as_str(), self.memory_id],
        )?;
        let mut statement = db.prepare_cached(&format!(
            "SELECT {} FROM {} WHERE c.system_id = ?1 AND c.memory_id = ?2 AND NOT EXISTS \
             (SELECT 1 FROM changes WHERE system_id = ?1 AND memory_id = ?2 AND is_head = 1) \
             AND c.revision = (SELECT max(revision) FROM changes \
             WHERE system_id = ?1 AND memory_id = ?2)",
            row::COLUMNS,
            row::TABLES
        ))?;
        let found = statement.query_and_then([self.from.as_str(), self.memory_id], row::change)?;
        let newest: Vec<Change> = found.collect::<Result<_, _>>()?;
        match newest
            .iter()
            .max_by(|one, other| rank(one).cmp(&rank(other)))
        {
            Some(newest) => row::promote(db, newest),
            None => Ok(()),
        }
    }
}

fn change_at(db: &Transaction<'_>, seq: i64) -> Result<Change, StoreError> {
    let mut statement = db.prepare_cached(&format!(
        "SELECT {} FROM {} WHERE c.seq = ?1",
        row::COLUMNS,
        row::TABLES
    ))?;
    let mut rows = statement.query([seq])?;
    row::change(rows.next()?.ok_or(rusqlite::Error::QueryReturnedNoRows)?)
}
