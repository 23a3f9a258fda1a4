//! When something that failed is tried again.

use std::time::Duration;

use akosha_core::config::Config;
use backon::{BackoffBuilder, ExponentialBuilder};

/// How often and after which pauses: the first is `retry_backoff_seconds`, each is twice the one
/// before, with jitter.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Policy {
    first: Duration,
    retries: u32,
}

impl Policy {
    /// Creates a policy of so many retries, the first after the pause `first`.
    pub(crate) fn new(retries: u32, first: Duration) -> Self {
        Self { first, retries }
    }

    /// Returns the configured policy.
    pub(crate) fn of(config: &Config) -> Self {
        Self::new(config.max_retries, config.retry_backoff)
    }

    /// Returns the pauses in their order.
    pub(crate) fn backoff(self) -> ExponentialBuilder {
        ExponentialBuilder::default()
            .with_min_delay(self.first)
            .with_max_delay(Duration::from_mins(10))
            .with_factor(2.0)
            .with_max_times(self.retries as usize)
            .with_jitter()
    }

    /// Returns the pause after the failed `attempt`, from 0; `None` where it was the last.
    pub(crate) fn delay(self, attempt: u32) -> Option<Duration> {
        self.backoff().build().nth(attempt as usize)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pauses_double_and_end() {
        let policy = Policy {
            first: Duration::from_secs(2),
            retries: 3,
        };
        for (attempt, least) in [(0, 2), (1, 4), (2, 8)] {
            let pause = policy.delay(attempt).unwrap().as_secs_f64();
            assert!(
                (f64::from(least)..=f64::from(least) * 2.0).contains(&pause),
                "{pause}"
            );
        }
        assert_eq!(policy.delay(3), None);
    }
}
