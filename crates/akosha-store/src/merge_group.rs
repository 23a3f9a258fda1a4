//! Merging several uploads in one transaction, together with their rows of the ledger.
//!
//! What a commit costs does not depend on how much it holds, so uploads that are ready together
//! are committed together. Each is merged between savepoints: one that the store refuses is undone
//! alone, and the others are merged.

use akosha_core::{IngestionMethod, SystemId, UploadId};
use rusqlite::Transaction;

use crate::{Change, Merged, Store, StoreError, UploadRecord, derived, ledger, triage};

/// Page cache of the connection that merges, in KiB: what a transaction changes stays in it until
/// the commit, and so do the upper levels of the indexes from one to the next.
const CACHE_KIB: i64 = 32 << 10;

/// Pages of the write-ahead log after which it is copied into the database: a page that several
/// transactions change is then copied once.
const CHECKPOINT_PAGES: i64 = 8_000;

/// An upload that is verified whole and about to be merged to its end.
#[derive(Debug, Clone, Copy)]
pub struct IncomingUpload<'a> {
    /// The system under which it lies.
    pub system_id: &'a SystemId,
    /// Its id.
    pub upload_id: &'a UploadId,
    /// Its changes, or the last of them where the others were merged before.
    pub changes: &'a [Change],
    /// What merging the others did.
    pub before: Merged,
    /// Rows that it has in all.
    pub rows: u64,
    /// Bytes that were received for it.
    pub bytes: u64,
    /// Memories that cannot be merged, with the reason: they are set aside.
    pub refused: &'a [(String, String)],
}

/// What became of an upload.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Settled {
    /// It is merged now.
    Merged(Merged),
    /// Somebody merged it meanwhile: nothing was done.
    Known,
}

impl Store {
    /// Merges uploads to their end in one transaction and notes them in the ledger; what came of
    /// each is told in the same order. Counts by what was here at the change `since`, or where it
    /// is `None` by what was here before each upload.
    ///
    /// # Errors
    /// Fails as a whole where the disk or the database refuses; then none is merged. An upload
    /// whose rows, or those that they meet here, are at fault fails alone.
    pub fn merge_uploads(
        &self,
        uploads: &[IncomingUpload<'_>],
        method: IngestionMethod,
        since: Option<i64>,
    ) -> Result<Vec<Result<Settled, StoreError>>, StoreError> {
        self.db().on_writer(|db| {
            db.pragma_update(None, "cache_size", -CACHE_KIB)?;
            db.pragma_update(None, "wal_autocheckpoint", CHECKPOINT_PAGES)?;
            Ok(())
        })?;
        self.db().write(|db| {
            derived::go_on(db)?;
            let mut outcomes = Vec::with_capacity(uploads.len());
            for upload in uploads {
                db.execute_batch("SAVEPOINT upload")?;
                let outcome = self.merge_upload(db, upload, method, since);
                if let Err(error) = &outcome {
                    if !is_of_one(error) {
                        return outcome.map(|_| outcomes);
                    }
                    db.execute_batch("ROLLBACK TO upload")?;
                }
                db.execute_batch("RELEASE upload")?;
                outcomes.push(outcome);
            }
            Ok(outcomes)
        })
    }

    fn merge_upload(
        &self,
        db: &Transaction<'_>,
        upload: &IncomingUpload<'_>,
        method: IngestionMethod,
        since: Option<i64>,
    ) -> Result<Settled, StoreError> {
        let IncomingUpload {
            system_id,
            upload_id,
            ..
        } = *upload;
        if triage::is_merged(db, system_id, upload_id)? {
            return Ok(Settled::Known);
        }
        let mut merged = upload.before;
        merged += self.merge_changes(db, upload.changes, method, since)?;
        let now = self.now();
        for (item, reason) in upload.refused {
            let (system_id, upload_id) = (system_id.as_str(), upload_id.as_str());
            ledger::set_aside(db, system_id, upload_id, item, reason, None, now)?;
        }
        let record = UploadRecord {
            rows: upload.rows,
            merged,
            bytes: upload.bytes,
        };
        ledger::record(db, upload_id, system_id, &record, now)?;
        Ok(Settled::Merged(merged))
    }
}

/// Returns whether an error is that of one upload, as against one that every other meets too.
fn is_of_one(error: &StoreError) -> bool {
    match error {
        StoreError::Row(_) | StoreError::Invalid(_) => true,
        StoreError::Sqlite(error) => matches!(
            error.sqlite_error_code(),
            Some(rusqlite::ErrorCode::ConstraintViolation | rusqlite::ErrorCode::TooBig)
        ),
        _ => false,
    }
}
