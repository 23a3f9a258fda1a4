//! How often each token may ask.

use std::num::NonZeroU32;
use std::sync::Arc;
use std::time::Duration;

use governor::clock::{Clock, DefaultClock};
use governor::{DefaultKeyedRateLimiter, Quota, RateLimiter};

/// How many of a minute's requests may come at once: one in so many.
const AT_ONCE: u32 = 6;

/// Counts requests by token. Clones share it.
#[derive(Debug, Clone)]
pub(super) struct Rate {
    limiter: Option<Arc<DefaultKeyedRateLimiter<String>>>,
}

impl Rate {
    /// Creates the limit of `per_minute` requests; none where it is 0.
    pub(super) fn new(per_minute: u32) -> Self {
        let quota = NonZeroU32::new(per_minute).map(|count| {
            let at_once = NonZeroU32::new(per_minute / AT_ONCE).unwrap_or(NonZeroU32::MIN);
            Quota::per_minute(count).allow_burst(at_once)
        });
        Self {
            limiter: quota.map(|quota| Arc::new(RateLimiter::keyed(quota))),
        }
    }

    /// Counts a request of a token, or returns how long it has to wait.
    pub(super) fn count(&self, token: &str) -> Result<(), Duration> {
        let Some(limiter) = &self.limiter else {
            return Ok(());
        };
        limiter
            .check_key(&token.to_owned())
            .map_err(|early| early.wait_time_from(DefaultClock::default().now()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_token_has_a_limit_of_its_own() {
        let rate = Rate::new(12);
        assert_eq!(rate.count("a"), Ok(()));
        assert_eq!(rate.count("a"), Ok(()));
        let wait = rate.count("a").unwrap_err();
        assert!(wait <= Duration::from_secs(5), "{wait:?}");
        assert_eq!(rate.count("b"), Ok(()));
    }

    #[test]
    fn there_may_be_none() {
        let rate = Rate::new(0);
        assert!((0..10_000).all(|_| rate.count("a").is_ok()));
        assert!(Rate::new(1).count("a").is_ok(), "the least is one");
    }
}
