//! The tables, and the steps that bring an older file forward.

use akosha_core::{Sources, WriterId};
use rusqlite::{Connection, OptionalExtension, Transaction, TransactionBehavior, params};

use crate::StoreError;

/// Step `n` takes a file from schema `n` to `n + 1`. Steps that shipped never change.
const STEPS: &[&str] = &[
    include_str!("schema/001_first.sql"),
    include_str!("schema/002_sync.sql"),
    include_str!("schema/003_files.sql"),
    include_str!("schema/004_care.sql"),
    include_str!("schema/005_server.sql"),
    include_str!("schema/006_retries.sql"),
    include_str!("schema/007_tokens.sql"),
];

/// Brings the file to the newest schema.
pub(crate) fn migrate(connection: &mut Connection) -> Result<(), StoreError> {
    let known = STEPS.len() as i64;
    if version(connection)? == known {
        return Ok(());
    }
    // Another process may be migrating: look again under the write lock.
    let transaction = connection.transaction_with_behavior(TransactionBehavior::Immediate)?;
    let found = version(&transaction)?;
    let done = usize::try_from(found).unwrap_or(usize::MAX);
    if done > STEPS.len() {
        return Err(StoreError::NewerSchema { found, known });
    }
    for step in STEPS.iter().skip(done) {
        transaction.execute_batch(step)?;
    }
    transaction.pragma_update(None, "user_version", known)?;
    transaction.commit()?;
    Ok(())
}

fn version(connection: &Connection) -> Result<i64, StoreError> {
    Ok(connection.pragma_query_value(None, "user_version", |row| row.get(0))?)
}

/// Returns the id of this store as a writer, where it was made already.
pub(crate) fn writer_id(connection: &Connection) -> Result<Option<WriterId>, StoreError> {
    let known: Option<String> = connection
        .query_row(
            "SELECT value FROM meta WHERE key = 'writer_id'",
            [],
            |row| row.get(0),
        )
        .optional()?;
    Ok(known.map(WriterId::try_from).transpose()?)
}

/// Makes the id of this store as a writer, unless another process was faster, and returns it.
pub(crate) fn make_writer_id(
    transaction: &Transaction<'_>,
    sources: &Sources,
) -> Result<WriterId, StoreError> {
    if let Some(id) = writer_id(transaction)? {
        return Ok(id);
    }
    let id = WriterId::generate(sources);
    transaction.execute(
        "INSERT INTO meta (key, value) VALUES ('writer_id', ?1)",
        params![id.as_str()],
    )?;
    Ok(id)
}
