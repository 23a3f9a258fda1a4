//! Counts of what readers see, by system and by hour, kept with every row that comes or goes.
//!
//! Triggers would do the same for memories and cost more than all else: a statement that fires one
//! is a savepoint, at which the full-text index writes out what it has gathered. Uploads are few, so
//! theirs are kept by triggers (`schema/005_server.sql`).

use rusqlite::{Transaction, params};

use crate::StoreError;

/// Microseconds of an hour.
const HOUR: i64 = 3_600_000_000;

/// Counts a memory of `system_id` that readers see now, stored at a time in microseconds.
pub(crate) fn came(
    db: &Transaction<'_>,
    system_id: &str,
    stored_at: i64,
) -> Result<(), StoreError> {
    db.prepare_cached(
        "INSERT INTO systems (system_id, memories) VALUES (?1, 1) \
         ON CONFLICT DO UPDATE SET memories = memories + 1",
    )?
    .execute([system_id])?;
    db.prepare_cached(
        "INSERT INTO activity (hour, memories) VALUES (?1, 1) \
         ON CONFLICT DO UPDATE SET memories = memories + 1",
    )?
    .execute([stored_at / HOUR])?;
    Ok(())
}

/// Counts a memory of `system_id` that readers see no more, stored at a time in microseconds.
pub(crate) fn gone(
    db: &Transaction<'_>,
    system_id: &str,
    stored_at: i64,
) -> Result<(), StoreError> {
    db.prepare_cached("UPDATE systems SET memories = memories - 1 WHERE system_id = ?1")?
        .execute([system_id])?;
    db.prepare_cached("UPDATE activity SET memories = memories - 1 WHERE hour = ?1")?
        .execute(params![stored_at / HOUR])?;
    Ok(())
}

/// Counts an upload that was merged at a time in microseconds, as the trigger does.
pub(crate) fn merged(
    db: &Transaction<'_>,
    system_id: &str,
    upload_id: &str,
    merged_at: i64,
) -> Result<(), StoreError> {
    db.prepare_cached(
        "INSERT INTO systems (system_id, uploads, last_upload_id, last_merged_at) \
         VALUES (?1, 1, ?2, ?3) ON CONFLICT DO UPDATE SET uploads = uploads + 1, \
         last_upload_id = max(coalesce(last_upload_id, ''), excluded.last_upload_id), \
         last_merged_at = max(coalesce(last_merged_at, 0), excluded.last_merged_at)",
    )?
    .execute(params![system_id, upload_id, merged_at])?;
    db.prepare_cached(
        "INSERT INTO activity (hour, uploads) VALUES (?1, 1) \
         ON CONFLICT DO UPDATE SET uploads = uploads + 1",
    )?
    .execute([merged_at / HOUR])?;
    Ok(())
}
