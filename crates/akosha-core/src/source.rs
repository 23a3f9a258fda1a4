//! Sources of time and randomness, passed in so that a test can fix them.

use std::fmt;
use std::sync::{Arc, Mutex, PoisonError};

use chrono::{DateTime, TimeDelta, Utc};
use rand::rngs::StdRng;
use rand::{Rng, SeedableRng};

use crate::time::truncate_to_micros;

/// Tells the time.
pub trait Clock: Send + Sync + fmt::Debug {
    /// Returns the present time in UTC, in whole microseconds: what SQLite, Parquet and JSON all
    /// hold exactly.
    fn now(&self) -> DateTime<Utc>;
}

/// Makes random numbers for ids and jitter; nothing secret comes from here.
pub trait Random: Send + Sync + fmt::Debug {
    /// Returns 32 uniform random bits.
    fn next_u32(&self) -> u32;

    /// Returns 80 uniform random bits, the random part of a ULID, in the low bits.
    fn next_u80(&self) -> u128 {
        let part = |shift: u32| u128::from(self.next_u32()) << shift;
        (part(0) | part(32) | part(64)) & ((1 << 80) - 1)
    }
}

/// The machine's clock.
#[derive(Debug, Clone, Copy, Default)]
pub struct SystemClock;

impl Clock for SystemClock {
    #[expect(
        clippy::disallowed_methods,
        reason = "the one place that reads the clock"
    )]
    fn now(&self) -> DateTime<Utc> {
        truncate_to_micros(Utc::now())
    }
}

/// A clock that stands still until told otherwise.
#[derive(Debug)]
pub struct FixedClock(Mutex<DateTime<Utc>>);

impl FixedClock {
    /// Creates a clock that shows `now`.
    pub fn new(now: DateTime<Utc>) -> Self {
        Self(Mutex::new(truncate_to_micros(now)))
    }

    /// Moves the clock by `delta`, which may be negative.
    pub fn advance(&self, delta: TimeDelta) {
        *self.0.lock().unwrap_or_else(PoisonError::into_inner) += delta;
    }
}

impl Clock for FixedClock {
    fn now(&self) -> DateTime<Utc> {
        *self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// The operating system's randomness, through the thread's generator.
#[derive(Debug, Clone, Copy, Default)]
pub struct ThreadRandom;

impl Random for ThreadRandom {
    fn next_u32(&self) -> u32 {
        rand::rng().next_u32()
    }
}

/// Random numbers that repeat for the same seed.
#[derive(Debug)]
pub struct SeededRandom(Mutex<StdRng>);

impl SeededRandom {
    /// Creates the generator for `seed`.
    pub fn new(seed: u64) -> Self {
        Self(Mutex::new(StdRng::seed_from_u64(seed)))
    }
}

impl Random for SeededRandom {
    fn next_u32(&self) -> u32 {
        self.0
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .next_u32()
    }
}

/// The time and randomness that a node runs on.
#[derive(Debug, Clone)]
pub struct Sources {
    /// Tells the time.
    pub clock: Arc<dyn Clock>,
    /// Makes ids and jitter.
    pub random: Arc<dyn Random>,
}

impl Sources {
    /// Creates the real sources: the machine's clock and randomness.
    pub fn system() -> Self {
        Self {
            clock: Arc::new(SystemClock),
            random: Arc::new(ThreadRandom),
        }
    }

    /// Makes a ULID: 26 characters that sort by the time at which it was made.
    pub fn ulid(&self) -> String {
        let millis = u64::try_from(self.clock.now().timestamp_millis()).unwrap_or(0);
        ulid::Ulid::from_parts(millis, self.random.next_u80()).to_string()
    }
}

impl Default for Sources {
    fn default() -> Self {
        Self::system()
    }
}
