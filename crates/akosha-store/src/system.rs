//! Systems and their uploads as a person looks at them: pages of summaries, and activity over time.
//!
//! The counts are [kept](crate::derived) in one row for each system and one for each hour: what is
//! asked here costs as much as it answers, however many memories there are. While they are not
//! complete, it is counted anew.

use akosha_core::{Invalid, Tier};
use chrono::{DateTime, NaiveDateTime, TimeDelta, Utc};
use rusqlite::params;

use crate::{Store, StoreError, derived, row};

/// Most points of a series.
const MOST_POINTS: i64 = 2000;

const HOUR: i64 = 3600;

/// A system that is known here.
#[derive(Debug, Clone, PartialEq)]
pub struct SystemSummary {
    /// The id, as the vault has it.
    pub system_id: String,
    /// Memories that are not forgotten.
    pub memories: u64,
    /// Uploads that are merged, or were made here.
    pub uploads: u64,
    /// The newest of them.
    pub last_upload_id: Option<String>,
    /// When that one was begun, where its id says it.
    pub last_upload_at: Option<DateTime<Utc>>,
    /// When one was merged last.
    pub last_merged_at: Option<DateTime<Utc>>,
    /// How long the newest upload took from its begin until it was merged here.
    pub lag: Option<TimeDelta>,
    /// What is set aside of it and open: uploads, and memories of uploads.
    pub quarantined: u64,
}

/// A page of systems, by their ids.
#[derive(Debug, Clone, PartialEq)]
pub struct SystemPage {
    /// The systems.
    pub systems: Vec<SystemSummary>,
    /// Where the next page starts; `None` at the end.
    pub next_cursor: Option<String>,
    /// Systems on all pages.
    pub total: u64,
}

/// Over what a series counts.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Bucket {
    /// An hour.
    Hour,
    /// A day of UTC.
    Day,
}

impl Bucket {
    fn hours(self) -> i64 {
        match self {
            Self::Hour => 1,
            Self::Day => 24,
        }
    }
}

/// What happened in an hour or a day.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ActivityPoint {
    /// Its begin.
    pub at: DateTime<Utc>,
    /// Uploads that were merged then, or made here.
    pub uploads: u64,
    /// Memories that were stored then, wherever, and are not forgotten or changed since.
    pub memories: u64,
}

impl Store {
    /// Lists systems that have memories, uploads or something that is set aside, by their ids;
    /// `cursor` is where the page before ended.
    ///
    /// # Errors
    /// Fails where the limit is not 1 to 1000.
    pub fn systems(&self, limit: usize, cursor: Option<&str>) -> Result<SystemPage, StoreError> {
        if !(1..=1000).contains(&limit) {
            let message = format!("is `{limit}`, expected 1 to 1000");
            return Err(Invalid::new("limit", message).into());
        }
        self.db().read(|db| {
            let table = if derived::is_complete(db)? {
                "systems"
            } else {
                SYSTEMS
            };
            let total = db
                .prepare_cached(&format!("SELECT count(*) FROM {table} AS s WHERE {KNOWN}"))?
                .query_row([], |row| row::count(row, 0))?;
            let mut statement = db.prepare_cached(&format!(
                "SELECT s.system_id, s.memories, s.uploads, s.last_upload_id, s.last_merged_at, \
                 (SELECT u.merged_at FROM uploads AS u \
                  WHERE u.system_id = s.system_id AND u.upload_id = s.last_upload_id), \
                 (SELECT count(*) FROM quarantine AS q \
                  WHERE q.system_id = s.system_id AND q.released_at IS NULL) \
                 FROM {table} AS s WHERE s.system_id > ?1 AND {KNOWN} \
                 ORDER BY s.system_id LIMIT ?2"
            ))?;
            let after = cursor.unwrap_or_default();
            let rows = statement.query_and_then(params![after, limit as i64 + 1], summary)?;
            let mut systems: Vec<SystemSummary> = rows.collect::<Result<_, _>>()?;
            let more = systems.len() > limit;
            systems.truncate(limit);
            let last = systems.last().filter(|_| more);
            Ok(SystemPage {
                next_cursor: last.map(|system| system.system_id.clone()),
                systems,
                total,
            })
        })
    }

    /// Returns what happened from `since` until before `until`, hour by hour or day by day, without
    /// gaps; the first point begins at `since` or before it.
    ///
    /// # Errors
    /// Fails where that are over 2000 points, or `until` is not after `since`.
    pub fn activity(
        &self,
        bucket: Bucket,
        since: DateTime<Utc>,
        until: DateTime<Utc>,
    ) -> Result<Vec<ActivityPoint>, StoreError> {
        let hours = bucket.hours();
        let width = hours * HOUR;
        let first = since.timestamp().div_euclid(width);
        let end = (until.timestamp_micros() - 1).div_euclid(width * 1_000_000) + 1;
        if until <= since {
            return Err(Invalid::new("until", "must be after `since`").into());
        }
        if end - first > MOST_POINTS {
            let count = end - first;
            let message = format!("asks for {count} points, the limit is {MOST_POINTS}");
            return Err(Invalid::new("since", message).into());
        }
        let mut points = (first..end)
            .map(|at| {
                Ok(ActivityPoint {
                    at: row::from_micros(at * width * 1_000_000)?,
                    uploads: 0,
                    memories: 0,
                })
            })
            .collect::<Result<Vec<_>, StoreError>>()?;
        self.db().read(|db| {
            let table = if derived::is_complete(db)? {
                "activity"
            } else {
                ACTIVITY
            };
            let mut statement = db.prepare_cached(&format!(
                "SELECT hour, uploads, memories FROM {table} WHERE hour >= ?1 AND hour < ?2"
            ))?;
            let mut rows = statement.query([first * hours, end * hours])?;
            while let Some(row) = rows.next()? {
                let place = row.get::<_, i64>(0)?.div_euclid(hours) - first;
                let point = usize::try_from(place)
                    .ok()
                    .and_then(|at| points.get_mut(at));
                if let Some(point) = point {
                    point.uploads += row::count(row, 1)?;
                    point.memories += row::count(row, 2)?;
                }
            }
            Ok(())
        })?;
        Ok(points)
    }

    /// Returns how many memories lie in each tier that is in use.
    pub fn tiers(&self) -> Result<Vec<(Tier, u64)>, StoreError> {
        // Nothing is aged yet: all that the store holds is hot.
        Ok(vec![(Tier::Hot, self.stats()?.memories)])
    }
}

/// The rows of `systems`, counted anew.
const SYSTEMS: &str = "(SELECT system_id, sum(memory) AS memories, sum(upload) AS uploads, \
     max(upload_id) AS last_upload_id, max(merged_at) AS last_merged_at FROM ( \
     SELECT system_id, 1 AS memory, 0 AS upload, NULL AS upload_id, NULL AS merged_at \
     FROM changes WHERE is_head = 1 AND op = 'put' \
     UNION ALL SELECT system_id, 0, 1, upload_id, merged_at FROM uploads \
     UNION ALL SELECT system_id, 0, 0, NULL, NULL FROM quarantine) GROUP BY system_id)";

/// The rows of `activity`, counted anew.
const ACTIVITY: &str = "(SELECT hour, sum(upload) AS uploads, sum(memory) AS memories FROM ( \
     SELECT stored_at / 3600000000 AS hour, 0 AS upload, 1 AS memory \
     FROM changes WHERE is_head = 1 AND op = 'put' \
     UNION ALL SELECT merged_at / 3600000000, 1, 0 FROM uploads) GROUP BY hour)";

/// What is told of a system: not one of which nothing is left.
const KNOWN: &str = "(s.memories > 0 OR s.uploads > 0 OR EXISTS (SELECT 1 FROM quarantine AS q \
     WHERE q.system_id = s.system_id AND q.released_at IS NULL))";

fn summary(row: &rusqlite::Row<'_>) -> Result<SystemSummary, StoreError> {
    let time = |column| -> Result<_, StoreError> {
        let micros: Option<i64> = row.get(column)?;
        micros.map(row::from_micros).transpose()
    };
    let last_upload_id: Option<String> = row.get(3)?;
    let last_upload_at = last_upload_id.as_deref().and_then(begun_at);
    let merged_at = time(5)?;
    let lag = merged_at.zip(last_upload_at);
    Ok(SystemSummary {
        system_id: row.get(0)?,
        memories: row::count(row, 1)?,
        uploads: row::count(row, 2)?,
        last_upload_at,
        last_merged_at: time(4)?,
        // The clocks of two machines differ.
        lag: lag.map(|(merged, begun)| (merged - begun).max(TimeDelta::zero())),
        last_upload_id,
        quarantined: row::count(row, 6)?,
    })
}

/// Returns when an upload was begun, as its id says in the form that Akosha writes.
fn begun_at(upload_id: &str) -> Option<DateTime<Utc>> {
    let time = NaiveDateTime::parse_from_str(upload_id.get(..15)?, "%Y%m%d_%H%M%S").ok()?;
    Some(time.and_utc())
}
