//! Leases: a claim of one process on a piece of work, which ends by itself when the process dies.

use std::sync::Arc;
use std::time::Duration;

use rusqlite::{Connection, Transaction, params};

use crate::job::IS_DUE;
use crate::{Store, StoreError};

/// The claim on draining the queue of a home.
pub const DRAIN_LEASE: &str = "drain";

/// The claim on draining next, for the one process that waits.
pub const DRAIN_NEXT_LEASE: &str = "drain-next";

/// What the names of holders of [`DRAIN_LEASE`] begin with that work through the queue.
const DRAINER: &str = "drainer ";

/// Longest lease that is believed: one that ends later was written under a wrong clock.
const LONGEST: Duration = Duration::from_mins(10);

/// A claim that this process holds until it expires.
#[derive(Debug)]
pub struct Lease {
    store: Store,
    name: &'static str,
    holder: String,
    ttl: Duration,
}

/// Proof of a claim, to be checked in the transaction that writes under it: who lost the claim,
/// for example because the machine slept, writes nothing any more.
#[derive(Debug, Clone)]
pub struct Fence {
    name: &'static str,
    holder: String,
}

impl Fence {
    /// Refuses where another holder has the claim, or nobody.
    pub(crate) fn check(&self, db: &Connection) -> Result<(), StoreError> {
        let held = db
            .prepare_cached("SELECT 1 FROM leases WHERE name = ?1 AND holder = ?2")?
            .exists([self.name, &self.holder])?;
        if held {
            Ok(())
        } else {
            Err(StoreError::LeaseLost)
        }
    }
}

impl Store {
    /// Returns a handle of this store for work under a claim: what it writes about pushes and
    /// queued jobs is refused once the claim is lost.
    #[must_use]
    pub fn under(&self, fence: &Fence) -> Self {
        Self {
            fence: Some(Arc::new(fence.clone())),
            ..self.clone()
        }
    }

    /// Fails where this handle works under a claim that is lost. Others may take the claim at any
    /// moment after, so this is for what cannot be undone, not in place of a transaction.
    pub fn check_claim(&self) -> Result<(), StoreError> {
        match &self.fence {
            Some(fence) => self.db().read(|db| fence.check(db)),
            None => Ok(()),
        }
    }

    /// Runs `work` as [`Connections::write`](crate::connection::Connections::write) does, where
    /// the claim of this handle still holds.
    pub(crate) fn write_claimed<T>(
        &self,
        mut work: impl FnMut(&Transaction<'_>) -> Result<T, StoreError>,
    ) -> Result<T, StoreError> {
        self.db().write(|db| {
            if let Some(fence) = &self.fence {
                fence.check(db)?;
            }
            work(db)
        })
    }

    /// Claims `name` for `ttl` (at most 10 minutes), or returns `None` where another holder's
    /// claim has not expired.
    pub fn try_lease(
        &self,
        name: &'static str,
        ttl: Duration,
    ) -> Result<Option<Lease>, StoreError> {
        self.claim(name, self.sources().ulid(), ttl)
    }

    /// Claims [`DRAIN_LEASE`] as [`Store::try_lease`] does, to work through the queue: whoever
    /// holds it so ends it by [`Lease::release_if_idle`].
    pub fn try_drain(&self, ttl: Duration) -> Result<Option<Lease>, StoreError> {
        let holder = format!("{DRAINER}{}", self.sources().ulid());
        self.claim(DRAIN_LEASE, holder, ttl)
    }

    fn claim(
        &self,
        name: &'static str,
        holder: String,
        ttl: Duration,
    ) -> Result<Option<Lease>, StoreError> {
        let lease = Lease {
            store: self.clone(),
            name,
            holder,
            ttl: ttl.min(LONGEST),
        };
        let (now, ends) = lease.span();
        let longest = i64::try_from(LONGEST.as_micros()).unwrap_or(i64::MAX);
        let taken = self.db().write(|db| {
            Ok(db.execute(
                "INSERT INTO leases (name, holder, expires_at) VALUES (?1, ?2, ?3) \
                 ON CONFLICT DO UPDATE SET holder = excluded.holder, \
                 expires_at = excluded.expires_at WHERE expires_at <= ?4 OR expires_at > ?5",
                params![lease.name, lease.holder, ends, now, now + longest],
            )?)
        })?;
        Ok((taken == 1).then_some(lease))
    }

    /// Returns whether somebody works through the queue, under a claim that has not expired. A push
    /// or an erasure may hold the same claim and leave the queue alone.
    pub fn is_draining(&self) -> Result<bool, StoreError> {
        let now = self.now().timestamp_micros();
        self.db().read(|db| {
            let mut statement = db.prepare_cached(
                "SELECT 1 FROM leases WHERE name = ?1 AND expires_at > ?2 \
                 AND substr(holder, 1, length(?3)) = ?3",
            )?;
            Ok(statement.exists(params![DRAIN_LEASE, now, DRAINER])?)
        })
    }
}

impl Lease {
    /// Extends the claim by its full length from now; returns false where it was lost. A claim
    /// that expired can be extended until another holder takes it, and not after, so that who
    /// holds a claim has held it all the time.
    pub fn renew(&self) -> Result<bool, StoreError> {
        let (_, ends) = self.span();
        self.store.db().write(|db| {
            let renewed = db.execute(
                "UPDATE leases SET expires_at = ?3 WHERE name = ?1 AND holder = ?2",
                params![self.name, self.holder, ends],
            )?;
            Ok(renewed == 1)
        })
    }

    /// Returns the present and when a claim that begins now ends, in microseconds.
    fn span(&self) -> (i64, i64) {
        let now = self.store.now().timestamp_micros();
        let ttl = i64::try_from(self.ttl.as_micros()).unwrap_or(i64::MAX);
        (now, now + ttl)
    }

    /// Returns the proof of this claim.
    pub fn fence(&self) -> Fence {
        Fence {
            name: self.name,
            holder: self.holder.clone(),
        }
    }

    /// Returns how long the claim lasts without renewal.
    pub fn ttl(&self) -> Duration {
        self.ttl
    }

    /// Ends the claim.
    pub fn release(self) -> Result<(), StoreError> {
        self.store.db().write(|db| {
            db.execute(
                "DELETE FROM leases WHERE name = ?1 AND holder = ?2",
                [self.name, &self.holder],
            )?;
            Ok(())
        })
    }

    /// Ends the claim unless a job is due, in one step: a job that is queued meanwhile is either
    /// seen here or finds the claim free. Returns whether it ended.
    pub fn release_if_idle(&self) -> Result<bool, StoreError> {
        let now = self.store.now().timestamp_micros();
        self.store.db().write(|db| {
            let busy = db
                .prepare_cached(&format!("SELECT 1 FROM jobs WHERE {IS_DUE}"))?
                .exists([now])?;
            if !busy {
                db.execute(
                    "DELETE FROM leases WHERE name = ?1 AND holder = ?2",
                    [self.name, &self.holder],
                )?;
            }
            Ok(!busy)
        })
    }
}
