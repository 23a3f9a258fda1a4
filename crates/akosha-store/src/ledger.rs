//! Which uploads were seen to the end, what was set aside, and which memories are in conflict.

use akosha_core::{MemoryId, SystemId, UploadId};
use chrono::{DateTime, Utc};
use rusqlite::{OptionalExtension, Row, Transaction, params};

use crate::{Merged, Store, StoreError, row};

/// What is known of an upload.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum UploadOutcome {
    /// Never seen.
    New,
    /// Merged, or made here.
    Merged,
    /// Set aside, for good or until the next pull.
    Quarantined,
}

/// What the merge of an upload did, as the ledger keeps it.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct UploadRecord {
    /// Changes that the upload holds.
    pub rows: u64,
    /// What became of them; all 0 for an upload that was made here.
    pub merged: Merged,
    /// Bytes that were read for it.
    pub bytes: u64,
}

/// Something that a pull set aside.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Quarantined {
    /// The upload.
    pub upload_id: String,
    /// The system under which it lies.
    pub system_id: String,
    /// The memory, where the rest of the upload was merged.
    pub item: Option<String>,
    /// Why.
    pub reason: String,
    /// Since when.
    pub since: DateTime<Utc>,
    /// When a person dismissed it; `None` where it is open.
    pub released_at: Option<DateTime<Utc>>,
}

/// A memory of which two contents have the same revision.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Conflict {
    /// Whose memory.
    pub system_id: SystemId,
    /// Which memory.
    pub memory_id: MemoryId,
    /// The revision that exists twice.
    pub revision: i64,
    /// When it was found.
    pub found_at: DateTime<Utc>,
}

impl Store {
    /// Returns what is known of the upload that lies under `system_id`.
    pub fn upload_outcome(
        &self,
        system_id: &SystemId,
        upload_id: &UploadId,
    ) -> Result<UploadOutcome, StoreError> {
        self.db().read(|db| {
            let key = [system_id.as_str(), upload_id.as_str()];
            let exists = |table: &str| -> Result<bool, StoreError> {
                let sql = format!("SELECT 1 FROM {table} WHERE system_id = ?1 AND upload_id = ?2");
                Ok(db.prepare_cached(&sql)?.exists(key)?)
            };
            if exists("uploads")? {
                Ok(UploadOutcome::Merged)
            } else if exists("quarantine")? {
                Ok(UploadOutcome::Quarantined)
            } else {
                Ok(UploadOutcome::New)
            }
        })
    }

    /// Records that an upload is merged to its end, or was made here, and lifts its quarantine. What
    /// is on record stays.
    pub fn record_upload(
        &self,
        upload_id: &UploadId,
        system_id: &SystemId,
        record: &UploadRecord,
    ) -> Result<(), StoreError> {
        let now = self.now();
        self.db()
            .write(|db| self::record(db, upload_id, system_id, record, now))
    }

    /// Returns what is on record of an upload that is merged, or was made here.
    pub fn upload_record(
        &self,
        upload_id: &UploadId,
        system_id: &SystemId,
    ) -> Result<Option<UploadRecord>, StoreError> {
        self.db().read(|db| {
            let mut statement = db.prepare_cached(
                "SELECT rows, added, updated, skipped, duplicates, bytes FROM uploads \
                 WHERE system_id = ?1 AND upload_id = ?2",
            )?;
            let key = [system_id.as_str(), upload_id.as_str()];
            let count = |row: &Row<'_>, column| row.get(column).map(i64::unsigned_abs);
            let record = statement.query_row(key, |row| {
                Ok(UploadRecord {
                    rows: count(row, 0)?,
                    merged: Merged {
                        added: row.get(1)?,
                        updated: count(row, 2)?,
                        skipped: count(row, 3)?,
                        duplicates: count(row, 4)?,
                        ..Merged::default()
                    },
                    bytes: count(row, 5)?,
                })
            });
            Ok(record.optional()?)
        })
    }

    /// Sets an upload aside, or with `item` one memory of it, with the reason.
    pub fn quarantine(
        &self,
        upload_id: &str,
        system_id: &str,
        item: Option<&str>,
        reason: &str,
    ) -> Result<(), StoreError> {
        self.set_aside(upload_id, system_id, item.unwrap_or(""), reason, None)
    }

    /// Sets an upload aside that will never pass as it is; `seen` tells this state of it, and the
    /// program that looked at it, from others.
    pub fn quarantine_for_good(
        &self,
        upload_id: &UploadId,
        system_id: &SystemId,
        reason: &str,
        seen: &str,
    ) -> Result<(), StoreError> {
        let (upload_id, system_id) = (upload_id.as_str(), system_id.as_str());
        self.set_aside(upload_id, system_id, "", reason, Some(seen))
    }

    fn set_aside(
        &self,
        upload_id: &str,
        system_id: &str,
        item: &str,
        reason: &str,
        seen: Option<&str>,
    ) -> Result<(), StoreError> {
        let now = self.now();
        self.db()
            .write(|db| set_aside(db, system_id, upload_id, item, reason, seen, now))
    }

    /// Returns why an upload was set aside for good, where it is still as it was `seen` then.
    pub fn fault_for_good(
        &self,
        upload_id: &UploadId,
        system_id: &SystemId,
        seen: &str,
    ) -> Result<Option<String>, StoreError> {
        self.db().read(|db| {
            let mut statement = db.prepare_cached(
                "SELECT reason FROM quarantine WHERE system_id = ?1 AND upload_id = ?2 \
                 AND item = '' AND seen = ?3",
            )?;
            let key = [system_id.as_str(), upload_id.as_str(), seen];
            Ok(statement.query_row(key, |row| row.get(0)).optional()?)
        })
    }

    /// Lifts the quarantine of whole uploads but those that `still` names by system and upload, and
    /// those that were dismissed.
    pub fn keep_quarantined(&self, still: &[(String, String)]) -> Result<(), StoreError> {
        self.db().write(|db| {
            let mut statement = db.prepare(
                "SELECT system_id, upload_id FROM quarantine WHERE item = '' \
                     AND released_at IS NULL",
            )?;
            let known: Vec<(String, String)> = statement
                .query_map([], |row| Ok((row.get(0)?, row.get(1)?)))?
                .collect::<Result<_, _>>()?;
            for (system_id, upload_id) in known.iter().filter(|known| !still.contains(known)) {
                db.execute(
                    "DELETE FROM quarantine WHERE system_id = ?1 AND upload_id = ?2 AND item = ''",
                    [system_id, upload_id],
                )?;
            }
            Ok(())
        })
    }

    /// Returns all that is set aside and open, oldest first.
    pub fn quarantined(&self) -> Result<Vec<Quarantined>, StoreError> {
        self.set_aside_where("released_at IS NULL")
    }

    /// Returns all that was set aside and dismissed, oldest first.
    pub fn released(&self) -> Result<Vec<Quarantined>, StoreError> {
        self.set_aside_where("released_at IS NOT NULL")
    }

    fn set_aside_where(&self, condition: &str) -> Result<Vec<Quarantined>, StoreError> {
        self.db().read(|db| {
            let mut statement = db.prepare_cached(&format!(
                "SELECT upload_id, system_id, item, reason, since, released_at FROM quarantine \
                 WHERE {condition} ORDER BY since, upload_id, item"
            ))?;
            let rows = statement.query_and_then([], |row| {
                let item: String = row.get(2)?;
                let released_at: Option<i64> = row.get(5)?;
                Ok(Quarantined {
                    upload_id: row.get(0)?,
                    system_id: row.get(1)?,
                    item: (!item.is_empty()).then_some(item),
                    reason: row.get(3)?,
                    since: row::time(row, 4)?,
                    released_at: released_at.map(row::from_micros).transpose()?,
                })
            })?;
            rows.collect()
        })
    }

    /// Returns the open conflicts, oldest first.
    pub fn conflicts(&self) -> Result<Vec<Conflict>, StoreError> {
        self.db().read(|db| {
            let mut statement = db.prepare_cached(
                "SELECT system_id, memory_id, revision, found_at FROM conflicts ORDER BY found_at",
            )?;
            let rows = statement.query_and_then([], |row| {
                Ok(Conflict {
                    system_id: SystemId::try_from(row.get::<_, String>(0)?)
                        .map_err(row::damaged)?,
                    memory_id: MemoryId::try_from(row.get::<_, String>(1)?)
                        .map_err(row::damaged)?,
                    revision: row.get(2)?,
                    found_at: row::time(row, 3)?,
                })
            })?;
            rows.collect()
        })
    }
}

/// Notes an upload that is merged to its end, and lifts its quarantine. What is on record stays.
pub(crate) fn record(
    db: &Transaction<'_>,
    upload_id: &UploadId,
    system_id: &SystemId,
    record: &UploadRecord,
    now: DateTime<Utc>,
) -> Result<(), StoreError> {
    let (upload_id, system_id) = (upload_id.as_str(), system_id.as_str());
    let UploadRecord {
        rows,
        merged,
        bytes,
    } = *record;
    db.prepare_cached(
        "INSERT OR IGNORE INTO uploads (upload_id, system_id, merged_at, rows, added, updated, \
         skipped, duplicates, bytes) VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9)",
    )?
    .execute(params![
        upload_id,
        system_id,
        now.timestamp_micros(),
        rows as i64,
        merged.added,
        merged.updated as i64,
        merged.skipped as i64,
        merged.duplicates as i64,
        bytes as i64
    ])?;
    db.prepare_cached(
        "DELETE FROM quarantine WHERE system_id = ?1 AND upload_id = ?2 AND item = ''",
    )?
    .execute([system_id, upload_id])?;
    Ok(())
}

/// Sets aside an upload, or one memory of it where `item` is not empty. The time since when stays
/// that of the first time.
pub(crate) fn set_aside(
    db: &Transaction<'_>,
    system_id: &str,
    upload_id: &str,
    item: &str,
    reason: &str,
    seen: Option<&str>,
    now: DateTime<Utc>,
) -> Result<(), StoreError> {
    db.prepare_cached(
        "INSERT INTO quarantine (upload_id, item, system_id, reason, since, seen) \
         VALUES (?1, ?2, ?3, ?4, ?5, ?6) \
         ON CONFLICT DO UPDATE SET reason = excluded.reason, seen = excluded.seen",
    )?
    .execute(params![
        upload_id,
        item,
        system_id,
        reason,
        now.timestamp_micros(),
        seen
    ])?;
    Ok(())
}
