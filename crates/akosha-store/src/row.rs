//! Rows of `changes` as values.

use akosha_core::{Embedding, IngestionMethod, Memory, MemoryId, Metadata, SystemId, Tier};
use chrono::{DateTime, Utc};
use rusqlite::{Row, Transaction, params};
use serde_json::Value;

use crate::{Change, Op, StoreError, derived, words};

/// What [`change`] reads, from `changes AS c LEFT JOIN vectors AS v USING (seq)`.
pub(crate) const COLUMNS: &str = "c.seq, c.op, c.system_id, c.memory_id, c.revision, c.text, \
     c.metadata, c.created_at, c.updated_at, c.stored_at, c.ingestion_method, v.vector, v.model";

/// Where [`COLUMNS`] come from.
pub(crate) const TABLES: &str = "changes AS c LEFT JOIN vectors AS v ON v.seq = c.seq";

/// Reads a row of [`COLUMNS`].
pub(crate) fn change(row: &Row<'_>) -> Result<Change, StoreError> {
    let embedding = match row.get_ref(11)?.as_blob_or_null().map_err(damaged)? {
        Some(bytes) => Some(Embedding::from_le_bytes(bytes).map_err(damaged)?),
        None => None,
    };
    Ok(Change {
        seq: row.get(0)?,
        op: name(row, 1, Op::from_name)?,
        system_id: SystemId::try_from(row.get::<_, String>(2)?).map_err(damaged)?,
        memory_id: MemoryId::try_from(row.get::<_, String>(3)?).map_err(damaged)?,
        revision: row.get(4)?,
        text: row.get(5)?,
        metadata: Metadata::from_json(row.get_ref(6)?.as_str().map_err(damaged)?)
            .map_err(damaged)?,
        created_at: time(row, 7)?,
        updated_at: time(row, 8)?,
        stored_at: time(row, 9)?,
        ingestion_method: name(row, 10, IngestionMethod::from_name)?,
        embedding,
        embedding_model: row.get(12)?,
    })
}

/// Reads a row of [`COLUMNS`] as a memory.
pub(crate) fn memory(row: &Row<'_>) -> Result<Memory, StoreError> {
    let change = change(row)?;
    Ok(Memory {
        system_id: change.system_id,
        memory_id: change.memory_id,
        text: change.text,
        metadata: change.metadata,
        embedding: change.embedding,
        created_at: change.created_at,
        updated_at: change.updated_at,
        stored_at: change.stored_at,
        revision: change.revision,
        ingestion_method: change.ingestion_method,
        tier: Tier::Hot,
    })
}

/// Writes `change` as the newest row; its own `seq` is not used. Returns the row's `seq`.
pub(crate) fn insert(
    db: &Transaction<'_>,
    change: &Change,
    is_head: bool,
    is_local: bool,
) -> Result<i64, StoreError> {
    let metadata = &change.metadata;
    db.prepare_cached(
        "INSERT INTO changes (system_id, memory_id, revision, op, is_head, is_local, created_at, \
         updated_at, stored_at, ingestion_method, kind, project, session_id, metadata, text) \
         VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11, ?12, ?13, ?14, ?15)",
    )?
    .execute(params![
        change.system_id.as_str(),
        change.memory_id.as_str(),
        change.revision,
        change.op.as_str(),
        is_head,
        is_local,
        change.created_at.timestamp_micros(),
        change.updated_at.timestamp_micros(),
        change.stored_at.timestamp_micros(),
        change.ingestion_method.as_str(),
        metadata.kind(),
        metadata.project(),
        metadata.session_id(),
        metadata.to_json(),
        change.text,
    ])?;
    let seq = db.last_insert_rowid();
    if let Some(embedding) = &change.embedding {
        let norm = embedding
            .as_slice()
            .iter()
            .map(|number| f64::from(*number).powi(2))
            .sum::<f64>()
            .sqrt();
        db.prepare_cached(
            "INSERT INTO vectors (seq, is_head, norm, model, vector) VALUES (?1, ?2, ?3, ?4, ?5)",
        )?
        .execute(params![
            seq,
            is_head,
            norm,
            change.embedding_model,
            embedding.to_le_bytes()
        ])?;
    }
    if is_head {
        index(db, seq, change)?;
    }
    Ok(seq)
}

/// Makes the words and the content of a change findable, where it has any, and counts it.
fn index(db: &Transaction<'_>, seq: i64, change: &Change) -> Result<(), StoreError> {
    if change.op == Op::Put {
        db.prepare_cached("INSERT INTO words (rowid, text, labels) VALUES (?1, ?2, ?3)")?
            .execute(params![
                seq,
                words::spaced(&change.text),
                words::spaced(&labels(&change.metadata))
            ])?;
        let stored_at = change.stored_at.timestamp_micros();
        derived::came(db, seq, change.system_id.as_str(), &change.text, stored_at)?;
    }
    Ok(())
}

/// Makes a row that is in history what readers see; its key has no other such row.
pub(crate) fn promote(db: &Transaction<'_>, change: &Change) -> Result<(), StoreError> {
    for statement in [
        "UPDATE changes SET is_head = 1 WHERE seq = ?1",
        "UPDATE vectors SET is_head = 1 WHERE seq = ?1",
    ] {
        db.prepare_cached(statement)?.execute([change.seq])?;
    }
    index(db, change.seq, change)
}

/// Deletes the row at `seq`, from history too.
pub(crate) fn remove(db: &Transaction<'_>, seq: i64) -> Result<(), StoreError> {
    hide(db, seq)?;
    for statement in [
        "DELETE FROM words WHERE rowid = ?1",
        "DELETE FROM vectors WHERE seq = ?1",
        "DELETE FROM changes WHERE seq = ?1",
    ] {
        db.prepare_cached(statement)?.execute([seq])?;
    }
    Ok(())
}

/// Takes the row at `seq` out of what is known of what readers see, where they see it. The row itself
/// is there still.
pub(crate) fn hide(db: &Transaction<'_>, seq: i64) -> Result<(), StoreError> {
    let mut statement = db.prepare_cached(
        "SELECT system_id, text, stored_at FROM changes \
         WHERE seq = ?1 AND is_head = 1 AND op = 'put'",
    )?;
    let mut rows = statement.query([seq])?;
    if let Some(row) = rows.next()? {
        let system_id = row.get_ref(0)?.as_str().map_err(damaged)?;
        let text = row.get_ref(1)?.as_str().map_err(damaged)?;
        derived::gone(db, seq, system_id, text, row.get(2)?)?;
    }
    Ok(())
}

/// Takes the row at `seq` out of what readers see; it stays in history.
pub(crate) fn retire(db: &Transaction<'_>, seq: i64) -> Result<(), StoreError> {
    hide(db, seq)?;
    for statement in [
        "UPDATE changes SET is_head = 0 WHERE seq = ?1",
        "UPDATE vectors SET is_head = 0 WHERE seq = ?1",
        "DELETE FROM words WHERE rowid = ?1",
    ] {
        db.prepare_cached(statement)?.execute([seq])?;
    }
    Ok(())
}

/// Words beside the text by which a memory is found: project, tags, and where it stood in a
/// document. The type is not among them: its words would match nearly every memory.
fn labels(metadata: &Metadata) -> String {
    let map = metadata.as_map();
    let headings = map.get("headings").and_then(Value::as_array);
    let mut labels: Vec<&str> = metadata.project().into_iter().collect();
    labels.extend(metadata.tags());
    labels.extend(map.get("path").and_then(Value::as_str));
    labels.extend(headings.into_iter().flatten().filter_map(Value::as_str));
    labels.join(" ")
}

/// Reads a column of microseconds as a time.
pub(crate) fn time(row: &Row<'_>, column: usize) -> Result<DateTime<Utc>, StoreError> {
    let micros: i64 = row.get(column)?;
    from_micros(micros)
}

/// Turns stored microseconds into a time.
pub(crate) fn from_micros(micros: i64) -> Result<DateTime<Utc>, StoreError> {
    DateTime::from_timestamp_micros(micros)
        .ok_or_else(|| StoreError::Row(format!("`{micros}` is no time in microseconds")))
}

fn name<T>(
    row: &Row<'_>,
    column: usize,
    read: impl FnOnce(&str) -> Option<T>,
) -> Result<T, StoreError> {
    let text = row.get_ref(column)?.as_str().map_err(damaged)?;
    read(text).ok_or_else(|| StoreError::Row(format!("unknown name `{text}`")))
}

/// Turns a value that breaks its rule into an error of the row.
pub(crate) fn damaged(error: impl std::fmt::Display) -> StoreError {
    StoreError::Row(error.to_string())
}

/// Reads a column that counts.
pub(crate) fn count(row: &Row<'_>, column: usize) -> rusqlite::Result<u64> {
    Ok(row.get::<_, i64>(column)?.max(0).unsigned_abs())
}
