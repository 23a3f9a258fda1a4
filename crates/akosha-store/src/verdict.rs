//! What a person decides about what is set aside: to try it again, or to dismiss it.

use akosha_core::{SystemId, UploadId};
use rusqlite::params;

use crate::{Store, StoreError};

impl Store {
    /// Forgets what is known against an upload, released or not, so that the next look tries it as
    /// if for the first time. One that was merged but for some memories is read whole again. Returns
    /// whether anything of it was set aside.
    ///
    /// The upload itself stays set aside until it is merged: a look that never comes must not make
    /// it seem well.
    pub fn retry_quarantined(
        &self,
        system_id: &SystemId,
        upload_id: &UploadId,
    ) -> Result<bool, StoreError> {
        let key = [system_id.as_str(), upload_id.as_str()];
        self.db().write(|db| {
            let whole = db.execute(
                "UPDATE quarantine SET seen = NULL, attempts = 0, not_before = 0, released_at = NULL \
                 WHERE system_id = ?1 AND upload_id = ?2 AND item = ''",
                key,
            )?;
            let items = db.execute(
                "DELETE FROM quarantine WHERE system_id = ?1 AND upload_id = ?2 AND item <> ''",
                key,
            )?;
            if items > 0 {
                db.execute(
                    "DELETE FROM uploads WHERE system_id = ?1 AND upload_id = ?2",
                    key,
                )?;
            }
            Ok(whole + items > 0)
        })
    }

    /// Dismisses what is set aside of an upload: it is neither tried nor listed any more, until
    /// [`Store::retry_quarantined`]. Returns whether anything of it was open.
    pub fn release_quarantined(
        &self,
        system_id: &str,
        upload_id: &str,
    ) -> Result<bool, StoreError> {
        let now = self.now().timestamp_micros();
        self.db().write(|db| {
            let released = db.execute(
                "UPDATE quarantine SET released_at = ?3 \
                 WHERE system_id = ?1 AND upload_id = ?2 AND released_at IS NULL",
                params![system_id, upload_id, now],
            )?;
            Ok(released > 0)
        })
    }
}
