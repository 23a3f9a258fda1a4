//! Circuit breakers: what fails again and again is left alone for a while, then tried with care.
//!
//! A breaker is *closed* while all is well. [`FAILURES`] failures in a row *open* it: calls are
//! refused at once, for [`COOL_DOWN`]. Then it is *half-open*: at most [`TRIALS`] calls at a time
//! are let through; the first success closes it and forgets all failures, a failure opens it
//! again. A long-lived process has one for each thing it depends on ([`Breakers`]); a short one
//! needs none.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use akosha_core::metric;
use serde::Serialize;

/// Failures in a row that open a breaker.
pub const FAILURES: u32 = 5;

/// How long an open breaker refuses.
pub const COOL_DOWN: Duration = Duration::from_secs(30);

/// Calls that a half-open breaker lets through at a time.
pub const TRIALS: u32 = 2;

/// Longest error that a breaker remembers, in characters.
const MAX_ERROR: usize = 300;

/// A circuit breaker. Clones share it.
#[derive(Debug, Clone)]
pub struct Breaker {
    inner: Arc<Inner>,
}

#[derive(Debug)]
struct Inner {
    name: &'static str,
    cool_down: Duration,
    state: Mutex<State>,
}

#[derive(Debug, Default)]
struct State {
    phase: Phase,
    /// Failures since the last success.
    failures: u32,
    last_error: Option<String>,
    /// Tells the calls of one half-open phase from those that began before it.
    round: u64,
}

#[derive(Debug, Clone, Copy, Default)]
enum Phase {
    #[default]
    Closed,
    Open {
        until: Instant,
    },
    HalfOpen {
        trials: u32,
    },
}

/// How a breaker stands, as `/status` answers it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct BreakerStatus {
    /// What it guards: `bucket`, `database`, `orchestrator`, `http_peer`.
    pub name: &'static str,
    /// `closed`, `half_open`, `open`.
    pub state: &'static str,
    /// Failures since the last success.
    pub failures: u32,
    /// Seconds until it lets a trial through; 0 where it is not open.
    pub retry_in_seconds: u64,
    /// The newest failure; `None` after a success.
    pub last_error: Option<String>,
}

/// A call was refused because the breaker is open, or its trials are under way.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("the {name} failed {failures} times in a row and is left alone for {} s{}", retry_in.as_secs(),
    last_error.as_ref().map(|error| format!(": {error}")).unwrap_or_default())]
pub struct CircuitOpen {
    /// What the breaker guards.
    pub name: &'static str,
    /// Failures since the last success.
    pub failures: u32,
    /// When to ask again.
    pub retry_in: Duration,
    /// The newest failure.
    pub last_error: Option<String>,
}

/// Leave to make one call. Say what came of it; one that is dropped counts as neither.
#[derive(Debug)]
#[must_use = "say what came of the call"]
pub struct Permit {
    breaker: Breaker,
    /// The half-open phase of which this is a trial.
    trial: Option<u64>,
}

impl Breaker {
    /// Creates a closed breaker for what `name` says.
    pub fn new(name: &'static str) -> Self {
        Self::with_cool_down(name, COOL_DOWN)
    }

    /// Creates a closed breaker that refuses for `cool_down` once it is open.
    pub fn with_cool_down(name: &'static str, cool_down: Duration) -> Self {
        let breaker = Self {
            inner: Arc::new(Inner {
                name,
                cool_down,
                state: Mutex::default(),
            }),
        };
        breaker.show(&breaker.lock());
        breaker
    }

    /// Asks to make a call.
    ///
    /// # Errors
    /// Refuses where the breaker is open, or half-open with its trials under way.
    pub fn admit(&self) -> Result<Permit, CircuitOpen> {
        self.admit_at(Instant::now())
    }

    fn admit_at(&self, now: Instant) -> Result<Permit, CircuitOpen> {
        let mut state = self.lock();
        if let Phase::Open { until } = state.phase
            && now >= until
        {
            state.phase = Phase::HalfOpen { trials: 0 };
            state.round += 1;
            self.show(&state);
        }
        let round = state.round;
        let retry_in = match &mut state.phase {
            Phase::Closed => return Ok(self.permit(None)),
            Phase::HalfOpen { trials } if *trials < TRIALS => {
                *trials += 1;
                return Ok(self.permit(Some(round)));
            }
            Phase::HalfOpen { .. } => Duration::from_secs(1),
            Phase::Open { until } => until.saturating_duration_since(now),
        };
        Err(CircuitOpen {
            name: self.inner.name,
            failures: state.failures,
            retry_in,
            last_error: state.last_error.clone(),
        })
    }

    /// Returns whether calls are let through without a trial.
    pub fn is_closed(&self) -> bool {
        matches!(self.lock().phase, Phase::Closed)
    }

    /// Returns how it stands.
    pub fn status(&self) -> BreakerStatus {
        self.status_at(Instant::now())
    }

    fn status_at(&self, now: Instant) -> BreakerStatus {
        let state = self.lock();
        let left = match state.phase {
            Phase::Open { until } => until.saturating_duration_since(now),
            _ => Duration::ZERO,
        };
        let name = match state.phase {
            Phase::Closed => "closed",
            Phase::Open { .. } if left.is_zero() => "half_open",
            Phase::HalfOpen { .. } => "half_open",
            Phase::Open { .. } => "open",
        };
        BreakerStatus {
            name: self.inner.name,
            state: name,
            failures: state.failures,
            retry_in_seconds: left.as_secs_f64().ceil() as u64,
            last_error: state.last_error.clone(),
        }
    }

    fn permit(&self, trial: Option<u64>) -> Permit {
        Permit {
            breaker: self.clone(),
            trial,
        }
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        let state = self.inner.state.lock();
        state.unwrap_or_else(PoisonError::into_inner)
    }

    /// Shows the state among the metrics.
    fn show(&self, state: &State) {
        let value = match state.phase {
            Phase::Closed => 0.0,
            Phase::HalfOpen { .. } => 1.0,
            Phase::Open { .. } => 2.0,
        };
        metrics::gauge!(metric::BREAKER_STATE.name, "breaker" => self.inner.name).set(value);
    }
}

impl Permit {
    /// Says that the call succeeded: the breaker closes and its failures are forgotten. A call that
    /// was let through before the breaker opened says nothing of what is now.
    pub fn succeeded(mut self) {
        let trial = self.trial.take();
        let mut state = self.breaker.lock();
        let counts = match state.phase {
            Phase::Closed => true,
            Phase::HalfOpen { .. } => trial == Some(state.round),
            Phase::Open { .. } => false,
        };
        if counts {
            state.phase = Phase::Closed;
            state.failures = 0;
            state.last_error = None;
            self.breaker.show(&state);
        }
    }

    /// Says that the call failed in a way for which what is guarded is to blame.
    pub fn failed(self, error: &str) {
        self.failed_at(error, Instant::now());
    }

    fn failed_at(mut self, error: &str, now: Instant) {
        let trial = self.trial.take();
        let Inner {
            name, cool_down, ..
        } = *self.breaker.inner;
        let mut state = self.breaker.lock();
        state.last_error = Some(error.chars().take(MAX_ERROR).collect());
        state.failures = state.failures.saturating_add(1);
        let opens = match state.phase {
            Phase::Closed => state.failures >= FAILURES,
            Phase::HalfOpen { .. } => trial == Some(state.round),
            Phase::Open { .. } => false,
        };
        if opens {
            let until = now + cool_down;
            state.phase = Phase::Open { until };
            tracing::warn!(breaker = name, error, "left alone after repeated failures");
            metrics::counter!(metric::BREAKER_TRIPS.name, "breaker" => name).increment(1);
            self.breaker.show(&state);
        }
    }
}

impl Drop for Permit {
    fn drop(&mut self) {
        let Some(round) = self.trial.take() else {
            return;
        };
        let mut state = self.breaker.lock();
        if state.round == round
            && let Phase::HalfOpen { trials } = &mut state.phase
        {
            *trials = trials.saturating_sub(1);
        }
    }
}

/// The breakers of a server. Clones share them.
#[derive(Debug, Clone)]
pub struct Breakers {
    /// The vault.
    pub bucket: Breaker,
    /// The store.
    pub database: Breaker,
    /// The external scheduler.
    pub orchestrator: Breaker,
    /// The node that this one pushes to over HTTP.
    pub http_peer: Breaker,
}

impl Default for Breakers {
    fn default() -> Self {
        Self {
            bucket: Breaker::new("bucket"),
            database: Breaker::new("database"),
            orchestrator: Breaker::new("orchestrator"),
            http_peer: Breaker::new("http_peer"),
        }
    }
}

impl Breakers {
    /// Returns how all of them stand.
    pub fn status(&self) -> Vec<BreakerStatus> {
        let all = [
            &self.bucket,
            &self.database,
            &self.orchestrator,
            &self.http_peer,
        ];
        all.map(Breaker::status).to_vec()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn fail(breaker: &Breaker, times: u32, now: Instant) {
        for _ in 0..times {
            breaker.admit_at(now).unwrap().failed_at("away", now);
        }
    }

    #[test]
    fn failures_in_a_row_open_it() {
        let (breaker, now) = (Breaker::new("bucket"), Instant::now());
        fail(&breaker, FAILURES - 1, now);
        breaker.admit_at(now).unwrap().succeeded();
        fail(&breaker, FAILURES - 1, now);
        assert_eq!(breaker.status_at(now).state, "closed");
        fail(&breaker, 1, now);
        let refused = breaker.admit_at(now).unwrap_err();
        assert_eq!(refused.retry_in, COOL_DOWN);
        assert_eq!(
            refused.to_string(),
            "the bucket failed 5 times in a row and is left alone for 30 s: away"
        );
        assert_eq!(breaker.status_at(now).state, "open");
    }

    #[test]
    fn a_trial_decides_what_follows() {
        let (breaker, now) = (Breaker::new("bucket"), Instant::now());
        fail(&breaker, FAILURES, now);
        let later = now + COOL_DOWN;
        let trials: Vec<Permit> = (0..TRIALS)
            .map(|_| breaker.admit_at(later).unwrap())
            .collect();
        assert!(breaker.admit_at(later).is_err(), "trials are bounded");
        assert_eq!(breaker.status_at(later).state, "half_open");
        drop(trials);
        let trial = breaker.admit_at(later).unwrap();
        trial.failed_at("still away", later);
        assert_eq!(breaker.status_at(later).state, "open");
        let last = later + COOL_DOWN;
        breaker.admit_at(last).unwrap().succeeded();
        let status = breaker.status_at(last);
        assert_eq!((status.state, status.failures), ("closed", 0));
        assert_eq!(status.last_error, None);
    }

    #[test]
    fn a_call_from_before_says_nothing_of_now() {
        let (breaker, now) = (Breaker::new("bucket"), Instant::now());
        let early = breaker.admit_at(now).unwrap();
        let late = breaker.admit_at(now).unwrap();
        fail(&breaker, FAILURES, now);
        early.succeeded();
        assert_eq!(breaker.status_at(now).state, "open");
        let later = now + COOL_DOWN;
        let trial = breaker.admit_at(later).unwrap();
        late.failed_at("old", later);
        assert_eq!(breaker.status_at(later).state, "half_open");
        trial.succeeded();
        assert_eq!(breaker.status_at(later).state, "closed");
    }
}
