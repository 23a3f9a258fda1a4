//! What is to be done about uploads that a look into a vault found, and when those that failed are
//! tried again.

use akosha_core::{SystemId, UploadId};
use chrono::{DateTime, Utc};
use rusqlite::{Connection, OptionalExtension, params};

use crate::{Store, StoreError, ledger, row};

/// An upload that a look into a vault found.
#[derive(Debug, Clone, Copy)]
pub struct Sighting<'a> {
    /// The system under which it lies.
    pub system_id: &'a SystemId,
    /// Its id.
    pub upload_id: &'a UploadId,
    /// Tells this state of its manifest, and the program that looked at it, from others; `None`
    /// where its marker alone was seen.
    pub seen: Option<&'a str>,
}

/// What is to be done about an upload.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Triage {
    /// It is to be read: it was never seen, or is another one than when it was set aside.
    New,
    /// Merged, or made here: nothing.
    Merged,
    /// Set aside and dismissed by a person: nothing.
    Released,
    /// It is set aside and tried again, not before this time.
    Later {
        /// When.
        not_before: DateTime<Utc>,
        /// Why it is set aside.
        reason: String,
    },
    /// It is set aside for good with this reason.
    Hopeless(String),
}

impl Store {
    /// Says of each upload what is to be done about it, all by one state of the store.
    pub fn triage(&self, found: &[Sighting<'_>]) -> Result<Vec<Triage>, StoreError> {
        self.db()
            .read(|db| found.iter().map(|it| triage(db, it)).collect())
    }

    /// Sets an upload aside that may pass later, until `not_before`. Returns how often that
    /// happened to it, now included.
    pub fn retry_upload(
        &self,
        system_id: &SystemId,
        upload_id: &UploadId,
        reason: &str,
        not_before: impl Fn(u32) -> DateTime<Utc>,
    ) -> Result<u32, StoreError> {
        let (system, upload) = (system_id.as_str(), upload_id.as_str());
        let now = self.now();
        self.db().write(|db| {
            ledger::set_aside(db, system, upload, "", reason, None, now)?;
            let attempts: u32 = db
                .prepare_cached(
                    "UPDATE quarantine SET attempts = attempts + 1 \
                     WHERE system_id = ?1 AND upload_id = ?2 AND item = '' RETURNING attempts",
                )?
                .query_row([system, upload], |row| row.get(0))?;
            let not_before = not_before(attempts).timestamp_micros();
            db.prepare_cached(
                "UPDATE quarantine SET not_before = ?3 \
                 WHERE system_id = ?1 AND upload_id = ?2 AND item = ''",
            )?
            .execute(params![system, upload, not_before])?;
            Ok(attempts)
        })
    }

    /// Lifts the quarantine of whole uploads, named by system and upload: they are gone.
    pub fn lift_quarantine(&self, gone: &[(String, String)]) -> Result<(), StoreError> {
        if gone.is_empty() {
            return Ok(());
        }
        self.db().write(|db| {
            let mut statement = db.prepare_cached(
                "DELETE FROM quarantine WHERE system_id = ?1 AND upload_id = ?2 AND item = ''",
            )?;
            for (system_id, upload_id) in gone {
                statement.execute([system_id, upload_id])?;
            }
            Ok(())
        })
    }

    /// Returns how many uploads are set aside, whole or in part, and open.
    pub fn quarantined_uploads(&self) -> Result<u64, StoreError> {
        self.db().read(|db| {
            let mut statement = db.prepare_cached(
                "SELECT count(*) FROM (SELECT DISTINCT system_id, upload_id FROM quarantine \
                 WHERE released_at IS NULL)",
            )?;
            let count: i64 = statement.query_row([], |row| row.get(0))?;
            Ok(count.unsigned_abs())
        })
    }
}

/// Returns whether an upload is merged.
pub(crate) fn is_merged(
    db: &Connection,
    system_id: &SystemId,
    upload_id: &UploadId,
) -> Result<bool, StoreError> {
    let mut statement =
        db.prepare_cached("SELECT 1 FROM uploads WHERE system_id = ?1 AND upload_id = ?2")?;
    Ok(statement.exists([system_id.as_str(), upload_id.as_str()])?)
}

fn triage(db: &Connection, found: &Sighting<'_>) -> Result<Triage, StoreError> {
    if is_merged(db, found.system_id, found.upload_id)? {
        return Ok(Triage::Merged);
    }
    let mut statement = db.prepare_cached(
        "SELECT reason, seen, not_before, released_at IS NOT NULL FROM quarantine \
         WHERE system_id = ?1 AND upload_id = ?2 AND item = ''",
    )?;
    let key = [found.system_id.as_str(), found.upload_id.as_str()];
    let set_aside = statement
        .query_row(key, |row| {
            Ok((
                row.get::<_, String>(0)?,
                row.get::<_, Option<String>>(1)?,
                row.get::<_, i64>(2)?,
                row.get::<_, bool>(3)?,
            ))
        })
        .optional()?;
    Ok(match set_aside {
        None => Triage::New,
        Some((.., true)) => Triage::Released,
        Some((reason, Some(then), ..)) => {
            // Who saw the marker alone cannot tell whether the manifest is another one now.
            if found.seen.is_none_or(|now| now == then) {
                Triage::Hopeless(reason)
            } else {
                Triage::New
            }
        }
        Some((reason, None, not_before, _)) => Triage::Later {
            not_before: row::from_micros(not_before)?,
            reason,
        },
    })
}
