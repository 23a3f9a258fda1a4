//! The queue: jobs that happen although the process, the client and the machine die.

use akosha_core::JobId;
use chrono::{DateTime, Utc};
use rusqlite::{OptionalExtension, Row, params};

use crate::{Store, StoreError, row};

/// Which jobs are due at the time `?1`. One that is to wait for more than two hours was written
/// under a wrong clock: no pause is that long.
pub(crate) const IS_DUE: &str =
    "state = 'pending' AND (not_before <= ?1 OR not_before > ?1 + 7200000000)";

/// Finished jobs that are kept for the record.
const KEPT_DONE: i64 = 100;

/// What asked for a job.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Trigger {
    /// A session ended.
    SessionEnd,
    /// A person or an assistant asked.
    Manual,
}

impl Trigger {
    /// Returns the name used in manifests and answers.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::SessionEnd => "session_end",
            Self::Manual => "manual",
        }
    }

    fn from_name(name: &str) -> Option<Self> {
        [Self::SessionEnd, Self::Manual]
            .into_iter()
            .find(|trigger| trigger.as_str() == name)
    }
}

/// Where a job stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum JobState {
    /// Waits for its time.
    Pending,
    /// A drainer works on it.
    Running,
    /// Failed for good; a person has to correct something.
    Parked,
    /// Over.
    Done,
}

impl JobState {
    fn as_str(self) -> &'static str {
        match self {
            Self::Pending => "pending",
            Self::Running => "running",
            Self::Parked => "parked",
            Self::Done => "done",
        }
    }

    fn from_name(name: &str) -> Option<Self> {
        [Self::Pending, Self::Running, Self::Parked, Self::Done]
            .into_iter()
            .find(|state| state.as_str() == name)
    }
}

/// A job: one push of what is unsynced.
#[derive(Debug, Clone, PartialEq)]
pub struct Job {
    /// Its id.
    pub job_id: JobId,
    /// Where it stands.
    pub state: JobState,
    /// What asked for it.
    pub trigger: Trigger,
    /// How it is to be done, as JSON that only the drainer reads.
    pub request: String,
    /// How often it failed.
    pub attempts: u32,
    /// When it was queued.
    pub created_at: DateTime<Utc>,
    /// When it may run.
    pub not_before: DateTime<Utc>,
    /// The last error.
    pub error: Option<String>,
}

/// The state of the queue.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Queue {
    /// Jobs that wait.
    pub pending: u64,
    /// Jobs in work.
    pub running: u64,
    /// Jobs that failed for good.
    pub parked: u64,
    /// When a job last succeeded.
    pub last_success_at: Option<DateTime<Utc>>,
    /// What the last failure since then said.
    pub last_error: Option<String>,
    /// The job that failed for good last.
    pub parked_job: Option<Parked>,
}

/// A job that waits for a person.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Parked {
    /// Its id.
    pub job_id: JobId,
    /// Why it failed.
    pub error: String,
    /// What to do about it, where that is known.
    pub hint: Option<String>,
    /// Since when it waits.
    pub since: DateTime<Utc>,
}

impl Store {
    /// Queues a job; it is durable when this returns. One that waits already with the same
    /// request takes this one in and becomes due now.
    pub fn enqueue(&self, trigger: Trigger, request: &str) -> Result<JobId, StoreError> {
        let new = JobId::generate(self.sources());
        self.db().write(|db| {
            // Under the lock, as where a job ends: their times order what they see.
            let now = self.now().timestamp_micros();
            let waiting: Option<String> = db
                .query_row(
                    "SELECT job_id FROM jobs WHERE state = 'pending' AND request = ?1 LIMIT 1",
                    [request],
                    |row| row.get(0),
                )
                .optional()?;
            if let Some(id) = waiting {
                db.execute(
                    "UPDATE jobs SET not_before = min(not_before, ?2) WHERE job_id = ?1",
                    params![id, now],
                )?;
                return JobId::try_from(id).map_err(row::damaged);
            }
            insert_job(db, &new, JobState::Pending, trigger, request, now)?;
            Ok(new.clone())
        })
    }

    /// Records a job that its caller runs at once and does not queue.
    pub fn start_job(&self, trigger: Trigger, request: &str) -> Result<JobId, StoreError> {
        let job_id = JobId::generate(self.sources());
        let now = self.now().timestamp_micros();
        self.db()
            .write(|db| insert_job(db, &job_id, JobState::Running, trigger, request, now))?;
        Ok(job_id)
    }

    /// Takes the due job that waits longest and marks it running. Only the holder of the drain
    /// lease may call it: a job that is marked running already is one whose drainer died, and is
    /// taken too.
    pub fn take_job(&self) -> Result<Option<Job>, StoreError> {
        let now = self.now().timestamp_micros();
        self.write_claimed(|db| {
            let job = db.query_row_and_then(
                &format!(
                    "SELECT {JOB} FROM jobs WHERE state = 'running' \
                         OR ({IS_DUE}) ORDER BY created_at LIMIT 1"
                ),
                [now],
                read_job,
            );
            let job = match job {
                Err(StoreError::Sqlite(rusqlite::Error::QueryReturnedNoRows)) => return Ok(None),
                other => other?,
            };
            db.execute(
                "UPDATE jobs SET state = 'running' WHERE job_id = ?1",
                [job.job_id.as_str()],
            )?;
            Ok(Some(Job {
                state: JobState::Running,
                ..job
            }))
        })
    }

    /// Returns whether a job waits that is due, or was left running.
    pub fn has_due_job(&self) -> Result<bool, StoreError> {
        let now = self.now().timestamp_micros();
        self.db().read(|db| {
            Ok(db
                .prepare_cached(&format!(
                    "SELECT 1 FROM jobs WHERE state = 'running' OR ({IS_DUE})"
                ))?
                .exists([now])?)
        })
    }

    /// Returns when the next pending job is due.
    pub fn next_due(&self) -> Result<Option<DateTime<Utc>>, StoreError> {
        self.db().read(|db| {
            let due: Option<i64> = db.query_row(
                "SELECT min(not_before) FROM jobs WHERE state = 'pending'",
                [],
                |row| row.get(0),
            )?;
            due.map(row::from_micros).transpose()
        })
    }

    /// Ends a job that succeeded, and with it the parked ones and those of the same request that
    /// waited when it began: a push sends all that is unsynced. One that is due stays: a session
    /// that ended during the push may have made it due, with changes that the push has not seen.
    pub fn finish_job(&self, job_id: &JobId) -> Result<(), StoreError> {
        self.write_claimed(|db| {
            let now = self.now().timestamp_micros();
            db.execute(
                "UPDATE jobs SET state = 'done', finished_at = ?2, error = NULL \
                 WHERE job_id = ?1 OR EXISTS (SELECT 1 FROM jobs AS ended \
                 WHERE ended.job_id = ?1 AND ended.request = jobs.request \
                 AND (jobs.state = 'parked' OR (jobs.state = 'pending' \
                 AND jobs.not_before > ?2 AND ended.created_at > jobs.created_at)))",
                params![job_id.as_str(), now],
            )?;
            db.execute(
                "DELETE FROM jobs WHERE state = 'done' AND job_id NOT IN \
                 (SELECT job_id FROM jobs WHERE state = 'done' \
                  ORDER BY finished_at DESC LIMIT ?1)",
                [KEPT_DONE],
            )?;
            Ok(())
        })
    }

    /// Puts a job back that failed with an error that time may heal. Where the same request was
    /// queued anew meanwhile, that job stands for both and keeps its time.
    pub fn retry_job(
        &self,
        job_id: &JobId,
        not_before: DateTime<Utc>,
        error: &str,
    ) -> Result<(), StoreError> {
        self.write_claimed(|db| {
            let newer: Option<String> = db
                .query_row(
                    "SELECT newer.job_id FROM jobs AS failed JOIN jobs AS newer \
                     ON newer.request = failed.request AND newer.job_id != failed.job_id \
                     WHERE failed.job_id = ?1 AND newer.state = 'pending' LIMIT 1",
                    [job_id.as_str()],
                    |row| row.get(0),
                )
                .optional()?;
            if let Some(newer) = newer {
                db.execute(
                    "UPDATE jobs SET error = ?3, attempts = 1 + \
                     (SELECT attempts FROM jobs WHERE job_id = ?2) WHERE job_id = ?1",
                    params![newer, job_id.as_str(), error],
                )?;
                db.execute("DELETE FROM jobs WHERE job_id = ?1", [job_id.as_str()])?;
                return Ok(());
            }
            db.execute(
                "UPDATE jobs SET state = 'pending', attempts = attempts + 1, not_before = ?2, \
                 error = ?3 WHERE job_id = ?1",
                params![job_id.as_str(), not_before.timestamp_micros(), error],
            )?;
            Ok(())
        })
    }

    /// Parks a job that failed for good. It takes the place of the one that was parked before:
    /// both stand for all that is unsynced. `hint` is what a person can do about it.
    pub fn park_job(
        &self,
        job_id: &JobId,
        error: &str,
        hint: Option<&str>,
    ) -> Result<(), StoreError> {
        let now = self.now().timestamp_micros();
        self.write_claimed(|db| {
            db.execute("DELETE FROM jobs WHERE state = 'parked'", [])?;
            db.execute(
                "UPDATE jobs SET state = 'parked', attempts = attempts + 1, finished_at = ?2, \
                 error = ?3, hint = ?4 WHERE job_id = ?1",
                params![job_id.as_str(), now, error, hint],
            )?;
            Ok(())
        })
    }

    /// Ends a job that failed and that its caller, who was told, did not queue.
    pub fn fail_job(&self, job_id: &JobId, error: &str) -> Result<(), StoreError> {
        let now = self.now().timestamp_micros();
        self.db().write(|db| {
            db.execute(
                "UPDATE jobs SET state = 'done', attempts = attempts + 1, finished_at = ?2, \
                 error = ?3 WHERE job_id = ?1",
                params![job_id.as_str(), now, error],
            )?;
            Ok(())
        })
    }

    /// Returns the state of the queue.
    pub fn queue(&self) -> Result<Queue, StoreError> {
        self.db().read(|db| {
            let count = |state: &str| -> Result<u64, StoreError> {
                let count: i64 = db
                    .prepare_cached("SELECT count(*) FROM jobs WHERE state = ?1")?
                    .query_row([state], |row| row.get(0))?;
                Ok(count.unsigned_abs())
            };
            let last_success: Option<i64> = db.query_row(
                "SELECT max(finished_at) FROM jobs WHERE state = 'done' AND error IS NULL",
                [],
                |row| row.get(0),
            )?;
            let last_error: Option<String> = db
                .query_row(
                    "SELECT error FROM jobs WHERE error IS NOT NULL AND \
                     (state != 'done' OR finished_at > coalesce(?1, 0)) \
                     ORDER BY coalesce(finished_at, not_before) DESC LIMIT 1",
                    [last_success],
                    |row| row.get(0),
                )
                .optional()?;
            let parked_job = db
                .prepare_cached(
                    "SELECT job_id, error, hint, finished_at FROM jobs WHERE state = 'parked' \
                     ORDER BY finished_at DESC LIMIT 1",
                )?
                .query_and_then([], read_parked)?
                .next()
                .transpose()?;
            Ok(Queue {
                pending: count("pending")?,
                running: count("running")?,
                parked: count("parked")?,
                last_success_at: last_success.map(row::from_micros).transpose()?,
                last_error,
                parked_job,
            })
        })
    }

    /// Returns one job, where it is still on record.
    pub fn job(&self, job_id: &JobId) -> Result<Option<Job>, StoreError> {
        self.db().read(|db| {
            let mut statement =
                db.prepare_cached(&format!("SELECT {JOB} FROM jobs WHERE job_id = ?1"))?;
            let mut rows = statement.query([job_id.as_str()])?;
            rows.next()?.map(read_job).transpose()
        })
    }
}

const JOB: &str = "job_id, state, trigger, request, attempts, created_at, not_before, error";

fn insert_job(
    db: &rusqlite::Transaction<'_>,
    job_id: &JobId,
    state: JobState,
    trigger: Trigger,
    request: &str,
    now: i64,
) -> Result<(), StoreError> {
    db.execute(
        "INSERT INTO jobs (job_id, state, trigger, request, created_at, not_before) \
         VALUES (?1, ?2, ?3, ?4, ?5, ?5)",
        params![
            job_id.as_str(),
            state.as_str(),
            trigger.as_str(),
            request,
            now
        ],
    )?;
    Ok(())
}

fn read_parked(row: &Row<'_>) -> Result<Parked, StoreError> {
    Ok(Parked {
        job_id: JobId::try_from(row.get::<_, String>(0)?).map_err(row::damaged)?,
        error: row.get::<_, Option<String>>(1)?.unwrap_or_default(),
        hint: row.get(2)?,
        since: row::time(row, 3)?,
    })
}

fn read_job(row: &Row<'_>) -> Result<Job, StoreError> {
    let unknown = |what: &str| StoreError::Row(format!("unknown {what} of a job"));
    Ok(Job {
        job_id: JobId::try_from(row.get::<_, String>(0)?).map_err(row::damaged)?,
        state: JobState::from_name(&row.get::<_, String>(1)?).ok_or_else(|| unknown("state"))?,
        trigger: Trigger::from_name(&row.get::<_, String>(2)?).ok_or_else(|| unknown("trigger"))?,
        request: row.get(3)?,
        attempts: row.get(4)?,
        created_at: row::time(row, 5)?,
        not_before: row::time(row, 6)?,
        error: row.get(7)?,
    })
}
