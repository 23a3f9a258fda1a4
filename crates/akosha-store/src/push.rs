//! How far each push has come, and which uploads this store began.

use akosha_core::{SystemId, UploadId};
use chrono::{DateTime, Utc};
use rusqlite::{Connection, Transaction, params};

use crate::{Store, StoreError, row};

/// Where a push goes, such as `cloud s3://bucket/prefix` or `http http://host:8682/mcp`. Each has
/// a cursor of its own.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Target(String);

impl Target {
    /// Names a target by the method and the address; no credentials belong in it.
    pub fn new(method: &str, address: &str) -> Self {
        Self(format!("{method} {address}"))
    }

    /// Returns the name.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

/// An upload that was begun and not acknowledged: written before its first object, so that a
/// later push finishes it instead of making another.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PushIntent {
    /// The upload.
    pub upload_id: UploadId,
    /// The last change that it holds.
    pub to_seq: i64,
    /// When it was begun: `uploaded_at` of its manifest.
    pub at: DateTime<Utc>,
}

/// How far the pushes of one system to one target have come.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct PushState {
    /// Every local change up to here is acknowledged.
    pub acked_seq: i64,
    /// The epoch under which this store writes.
    pub epoch: i64,
    /// The newest acknowledged upload.
    pub last_upload_id: Option<UploadId>,
    /// When it was read back and found right.
    pub verified_at: Option<DateTime<Utc>>,
    /// The upload that is begun.
    pub intent: Option<PushIntent>,
}

/// An upload that this store began once, whether or not it was acknowledged.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Begun {
    /// The epoch under which this store wrote.
    pub epoch: i64,
    /// The upload and the last change that it, or one before it, holds.
    pub intent: PushIntent,
    /// Whether another store made it, and this one took the system over after it.
    pub is_adopted: bool,
}

impl Store {
    /// Returns how far pushes of `system_id` to `target` have come.
    pub fn push_state(
        &self,
        target: &Target,
        system_id: &SystemId,
    ) -> Result<PushState, StoreError> {
        self.db().read(|db| state(db, target, system_id))
    }

    /// Records that an upload is begun, before anything of it is sent.
    pub fn begin_push(
        &self,
        target: &Target,
        system_id: &SystemId,
        intent: &PushIntent,
    ) -> Result<(), StoreError> {
        self.write_claimed(|db| {
            db.execute(
                "INSERT INTO pushes (target, system_id, intent_upload_id, intent_to_seq, intent_at) \
                 VALUES (?1, ?2, ?3, ?4, ?5) ON CONFLICT DO UPDATE SET \
                 intent_upload_id = excluded.intent_upload_id, \
                 intent_to_seq = excluded.intent_to_seq, intent_at = excluded.intent_at",
                params![
                    target.as_str(),
                    system_id.as_str(),
                    intent.upload_id.as_str(),
                    intent.to_seq,
                    intent.at.timestamp_micros()
                ],
            )?;
            let epoch = state(db, target, system_id)?.epoch;
            remember(db, target, system_id, intent, epoch)
        })
    }

    /// Gives up a begun upload that never became visible; its changes stay unacknowledged.
    pub fn abandon_push(&self, target: &Target, system_id: &SystemId) -> Result<(), StoreError> {
        self.write_claimed(|db| {
            db.execute(
                "UPDATE pushes SET intent_upload_id = NULL, intent_to_seq = NULL, \
                 intent_at = NULL WHERE target = ?1 AND system_id = ?2",
                [target.as_str(), system_id.as_str()],
            )?;
            Ok(())
        })
    }

    /// Records that `target` has every local change up to `to_seq`; call it only after what was
    /// sent has been read back and found right. `upload_id` is the upload that brought them,
    /// `None` for targets without uploads.
    pub fn ack_push(
        &self,
        target: &Target,
        system_id: &SystemId,
        upload_id: Option<&UploadId>,
        to_seq: i64,
    ) -> Result<(), StoreError> {
        let now = self.now().timestamp_micros();
        self.write_claimed(|db| {
            db.execute(
                "INSERT INTO pushes \
                 (target, system_id, acked_seq, sent_seq, last_upload_id, verified_at) \
                 VALUES (?1, ?2, ?3, ?3, ?4, ?5) ON CONFLICT DO UPDATE SET \
                 acked_seq = max(acked_seq, excluded.acked_seq), \
                 sent_seq = max(sent_seq, excluded.sent_seq), \
                 last_upload_id = coalesce(excluded.last_upload_id, last_upload_id), \
                 uploads_since_care = uploads_since_care + (excluded.last_upload_id IS NOT NULL), \
                 verified_at = excluded.verified_at, intent_upload_id = NULL, \
                 intent_to_seq = NULL, intent_at = NULL",
                params![
                    target.as_str(),
                    system_id.as_str(),
                    to_seq,
                    upload_id.map(UploadId::as_str),
                    now
                ],
            )?;
            Ok(())
        })
    }

    /// Returns whether content of `system_id` was ever erased here.
    pub fn has_erased(&self, system_id: &SystemId) -> Result<bool, StoreError> {
        self.db().read(|db| {
            let mut statement =
                db.prepare_cached("SELECT 1 FROM changes WHERE system_id = ?1 AND op = 'erase'")?;
            Ok(statement.exists([system_id.as_str()])?)
        })
    }

    /// Returns whether a system has made at least `due` uploads to `target` since this was true
    /// last.
    pub fn take_care(&self, target: &Target, due: u64) -> Result<bool, StoreError> {
        self.write_claimed(|db| {
            let reset = db.execute(
                "UPDATE pushes SET uploads_since_care = 0 WHERE target = ?1 AND EXISTS \
                 (SELECT 1 FROM pushes WHERE target = ?1 AND uploads_since_care >= ?2)",
                params![target.as_str(), due as i64],
            )?;
            Ok(reset > 0)
        })
    }

    /// Records that `target` was found to hold `upload`, which this store began once, as its newest
    /// upload: pushes go on from there, under `epoch`. Unless `is_whole`, everything counts as not
    /// acknowledged.
    pub fn resume_push(
        &self,
        target: &Target,
        system_id: &SystemId,
        upload: &PushIntent,
        epoch: i64,
        is_whole: bool,
    ) -> Result<(), StoreError> {
        let now = self.now().timestamp_micros();
        let acked_seq = if is_whole { upload.to_seq } else { 0 };
        self.write_claimed(|db| {
            db.execute(
                "INSERT INTO pushes \
                 (target, system_id, acked_seq, sent_seq, epoch, last_upload_id, verified_at) \
                 VALUES (?1, ?2, ?3, ?3, ?4, ?5, ?6) ON CONFLICT DO UPDATE SET \
                 acked_seq = excluded.acked_seq, \
                 sent_seq = max(sent_seq, excluded.sent_seq), epoch = excluded.epoch, \
                 last_upload_id = excluded.last_upload_id, verified_at = excluded.verified_at, \
                 intent_upload_id = NULL, intent_to_seq = NULL, intent_at = NULL",
                params![
                    target.as_str(),
                    system_id.as_str(),
                    acked_seq,
                    epoch,
                    upload.upload_id.as_str(),
                    is_whole.then_some(now)
                ],
            )?;
            forget_files(db, target, system_id)?;
            // The vault may lie at another address now. What came after it is not there.
            db.execute(
                "UPDATE begun SET target = ?1 WHERE system_id = ?2 AND begun_at <= ?3 \
                 AND target <> '' AND target = \
                 (SELECT target FROM begun WHERE system_id = ?2 AND upload_id = ?4)",
                params![
                    target.as_str(),
                    system_id.as_str(),
                    upload.at.timestamp_micros(),
                    upload.upload_id.as_str()
                ],
            )?;
            let kept = is_whole.then_some(upload.at);
            forget_uploads(db, target, system_id, kept)
        })
    }

    /// Returns what this store knows of an upload that it began, or took over.
    pub fn begun(
        &self,
        system_id: &SystemId,
        upload_id: &UploadId,
    ) -> Result<Option<Begun>, StoreError> {
        self.db().read(|db| {
            let mut statement = db.prepare_cached(
                "SELECT epoch, to_seq, begun_at, adopted FROM begun \
                 WHERE system_id = ?1 AND upload_id = ?2",
            )?;
            let mut rows = statement.query([system_id.as_str(), upload_id.as_str()])?;
            let Some(row) = rows.next()? else {
                return Ok(None);
            };
            Ok(Some(Begun {
                epoch: row.get(0)?,
                intent: PushIntent {
                    upload_id: upload_id.clone(),
                    to_seq: row.get(1)?,
                    at: row::time(row, 2)?,
                },
                is_adopted: row.get(3)?,
            }))
        })
    }

    /// Records that this store took `system_id` over in `target`: it writes under `epoch` from
    /// now on, after `upload_id`, which is the newest upload there. What it had begun is given up.
    /// Unless `keeps_cursor`, everything counts as not acknowledged.
    pub fn adopt(
        &self,
        target: &Target,
        system_id: &SystemId,
        upload_id: &UploadId,
        epoch: i64,
        keeps_cursor: bool,
    ) -> Result<(), StoreError> {
        let at = self.now();
        self.write_claimed(|db| {
            db.execute(
                "INSERT INTO pushes (target, system_id, epoch, last_upload_id) \
                 VALUES (?1, ?2, ?3, ?4) ON CONFLICT DO UPDATE SET epoch = excluded.epoch, \
                 last_upload_id = excluded.last_upload_id, \
                 acked_seq = CASE WHEN ?5 THEN acked_seq ELSE 0 END, \
                 intent_upload_id = NULL, intent_to_seq = NULL, intent_at = NULL",
                params![
                    target.as_str(),
                    system_id.as_str(),
                    epoch,
                    upload_id.as_str(),
                    keeps_cursor
                ],
            )?;
            if !keeps_cursor {
                forget_files(db, target, system_id)?;
                forget_uploads(db, target, system_id, None)?;
            }
            let newest = PushIntent {
                upload_id: upload_id.clone(),
                to_seq: state(db, target, system_id)?.acked_seq,
                at,
            };
            let key = [system_id.as_str(), upload_id.as_str()];
            let is_own = db
                .prepare_cached(
                    "SELECT 1 FROM begun WHERE system_id = ?1 AND upload_id = ?2 AND adopted = 0",
                )?
                .exists(key)?;
            remember(db, target, system_id, &newest, epoch)?;
            if !is_own {
                db.execute(
                    "UPDATE begun SET adopted = 1 WHERE system_id = ?1 AND upload_id = ?2",
                    key,
                )?;
            }
            Ok(())
        })
    }

    /// Records that `target` has lost what was pushed of `system_id`: nothing is acknowledged.
    pub fn reset_push(&self, target: &Target, system_id: &SystemId) -> Result<(), StoreError> {
        self.write_claimed(|db| {
            db.execute(
                "UPDATE pushes SET acked_seq = 0, epoch = 0, last_upload_id = NULL, \
                 verified_at = NULL, intent_upload_id = NULL, intent_to_seq = NULL, \
                 intent_at = NULL WHERE target = ?1 AND system_id = ?2",
                [target.as_str(), system_id.as_str()],
            )?;
            forget_files(db, target, system_id)?;
            forget_uploads(db, target, system_id, None)
        })
    }

    /// Returns the uploads of `system_id` that `target` has acknowledged and has to have, or one
    /// that stands for them: those that this store remembers.
    pub fn pushed_uploads(
        &self,
        target: &Target,
        system_id: &SystemId,
    ) -> Result<Vec<UploadId>, StoreError> {
        self.db().read(|db| {
            let mut statement = db.prepare_cached(
                "SELECT upload_id FROM begun WHERE system_id = ?2 AND target = ?1 \
                 AND adopted = 0 AND EXISTS \
                 (SELECT 1 FROM uploads WHERE uploads.system_id = begun.system_id \
                 AND uploads.upload_id = begun.upload_id) ORDER BY upload_id",
            )?;
            let rows = statement.query_and_then([target.as_str(), system_id.as_str()], |row| {
                UploadId::try_from(row.get::<_, String>(0)?).map_err(row::damaged)
            })?;
            rows.collect()
        })
    }
}

/// Records that a target may have lost the files, too.
fn forget_files(
    db: &Transaction<'_>,
    target: &Target,
    system_id: &SystemId,
) -> Result<(), StoreError> {
    db.execute(
        "DELETE FROM pushed_files WHERE target = ?1 AND system_id = ?2",
        [target.as_str(), system_id.as_str()],
    )?;
    Ok(())
}

/// Records that a target need not have the uploads that were begun after `kept`, or any.
fn forget_uploads(
    db: &Transaction<'_>,
    target: &Target,
    system_id: &SystemId,
    kept: Option<DateTime<Utc>>,
) -> Result<(), StoreError> {
    let kept = kept.map_or(i64::MIN, |at| at.timestamp_micros());
    db.execute(
        "UPDATE begun SET target = '' WHERE target = ?1 AND system_id = ?2 AND begun_at > ?3",
        params![target.as_str(), system_id.as_str(), kept],
    )?;
    Ok(())
}

/// Notes an upload as begun here, for good: whoever repairs a vault has to know its own.
fn remember(
    db: &Transaction<'_>,
    target: &Target,
    system_id: &SystemId,
    upload: &PushIntent,
    epoch: i64,
) -> Result<(), StoreError> {
    db.prepare_cached(
        "INSERT OR REPLACE INTO begun (system_id, upload_id, epoch, to_seq, begun_at, target) \
         VALUES (?1, ?2, ?3, ?4, ?5, ?6)",
    )?
    .execute(params![
        system_id.as_str(),
        upload.upload_id.as_str(),
        epoch,
        upload.to_seq,
        upload.at.timestamp_micros(),
        target.as_str()
    ])?;
    Ok(())
}

/// Returns the last change of `system_id` that any target has acknowledged, ever, or that an
/// upload holds which may be visible.
pub(crate) fn sent_up_to(db: &Connection, system_id: &SystemId) -> Result<i64, StoreError> {
    let mut statement = db.prepare_cached(
        "SELECT coalesce(max(max(sent_seq, coalesce(intent_to_seq, 0))), 0) FROM pushes \
         WHERE system_id = ?1",
    )?;
    Ok(statement.query_row([system_id.as_str()], |row| row.get(0))?)
}

/// Returns how far pushes of `system_id` to `target` have come.
pub(crate) fn state(
    db: &Connection,
    target: &Target,
    system_id: &SystemId,
) -> Result<PushState, StoreError> {
    let mut statement = db.prepare_cached(
        "SELECT acked_seq, epoch, last_upload_id, verified_at, intent_upload_id, intent_to_seq, \
         intent_at FROM pushes WHERE target = ?1 AND system_id = ?2",
    )?;
    let mut rows = statement.query([target.as_str(), system_id.as_str()])?;
    let Some(row) = rows.next()? else {
        return Ok(PushState::default());
    };
    let upload = |column| -> Result<Option<UploadId>, StoreError> {
        let id: Option<String> = row.get(column)?;
        id.map(UploadId::try_from).transpose().map_err(row::damaged)
    };
    let time = |column| -> Result<Option<DateTime<Utc>>, StoreError> {
        let micros: Option<i64> = row.get(column)?;
        micros.map(row::from_micros).transpose()
    };
    let intent = match (upload(4)?, row.get(5)?, time(6)?) {
        (Some(upload_id), Some(to_seq), Some(at)) => Some(PushIntent {
            upload_id,
            to_seq,
            at,
        }),
        _ => None,
    };
    Ok(PushState {
        acked_seq: row.get(0)?,
        epoch: row.get(1)?,
        last_upload_id: upload(2)?,
        verified_at: time(3)?,
        intent,
    })
}
