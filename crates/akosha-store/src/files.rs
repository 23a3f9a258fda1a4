//! Which files a target has, and in which state they were when they were pushed.

use akosha_core::{SystemId, UploadId};
use rusqlite::params;

use crate::{Store, StoreError, Target, row};

/// A file, with the logs that belong to it, as a target has it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PushedFile {
    /// Its name.
    pub name: String,
    /// The state in which it was pushed, as the pusher tells states apart.
    pub signature: String,
    /// What the manifest says of it and of its logs, as JSON.
    pub entries: String,
    /// The newest upload that lists it.
    pub upload_id: UploadId,
}

impl Store {
    /// Returns the files of `system_id` that `target` has, by name.
    pub fn pushed_files(
        &self,
        target: &Target,
        system_id: &SystemId,
    ) -> Result<Vec<PushedFile>, StoreError> {
        self.db().read(|db| {
            let mut statement = db.prepare_cached(
                "SELECT name, signature, entries, upload_id FROM pushed_files \
                 WHERE target = ?1 AND system_id = ?2 ORDER BY name",
            )?;
            let rows = statement.query_and_then([target.as_str(), system_id.as_str()], |row| {
                Ok(PushedFile {
                    name: row.get(0)?,
                    signature: row.get(1)?,
                    entries: row.get(2)?,
                    upload_id: UploadId::try_from(row.get::<_, String>(3)?)
                        .map_err(row::damaged)?,
                })
            })?;
            rows.collect()
        })
    }

    /// Records all files of `system_id` that `target` has; what was recorded before is dropped.
    pub fn record_files(
        &self,
        target: &Target,
        system_id: &SystemId,
        files: &[PushedFile],
    ) -> Result<(), StoreError> {
        self.write_claimed(|db| {
            db.execute(
                "DELETE FROM pushed_files WHERE target = ?1 AND system_id = ?2",
                [target.as_str(), system_id.as_str()],
            )?;
            let mut statement = db.prepare_cached(
                "INSERT INTO pushed_files (target, system_id, name, signature, entries, upload_id) \
                 VALUES (?1, ?2, ?3, ?4, ?5, ?6)",
            )?;
            for file in files {
                statement.execute(params![
                    target.as_str(),
                    system_id.as_str(),
                    file.name,
                    file.signature,
                    file.entries,
                    file.upload_id.as_str()
                ])?;
            }
            Ok(())
        })
    }
}
