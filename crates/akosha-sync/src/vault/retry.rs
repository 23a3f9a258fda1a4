//! Tries an operation again where time may heal its error.

use std::time::Duration;

use backon::{ExponentialBuilder, Retryable};

use super::VaultError;

/// How often and after which pauses.
#[derive(Debug, Clone, Copy)]
pub(super) struct Retry {
    retries: u32,
    first_pause: Duration,
}

impl Retry {
    pub(super) fn new(retries: u32, first_pause: Duration) -> Self {
        Self {
            retries,
            first_pause,
        }
    }

    /// Runs `operation` until it succeeds, fails for good, or was tried often enough: after
    /// pauses that double each time, with jitter.
    pub(super) async fn run<T, F, Fut>(self, operation: F) -> Result<T, VaultError>
    where
        F: FnMut() -> Fut,
        Fut: Future<Output = Result<T, VaultError>>,
    {
        operation
            .retry(self.pauses())
            .when(VaultError::is_retryable)
            .notify(|error, pause| {
                tracing::warn!(%error, pause_seconds = pause.as_secs_f64(), "tried again soon");
            })
            .await
    }

    /// Returns the pauses in their order.
    pub(super) fn pauses(self) -> ExponentialBuilder {
        ExponentialBuilder::default()
            .with_min_delay(self.first_pause)
            .with_max_delay(Duration::from_mins(10))
            .with_factor(2.0)
            .with_max_times(self.retries as usize)
            .with_jitter()
    }
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicU32, Ordering};

    use super::*;

    fn failing(error: &VaultError) -> (Result<(), VaultError>, u32) {
        let tried = AtomicU32::new(0);
        let retry = Retry::new(2, Duration::from_millis(1));
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_time()
            .build()
            .unwrap();
        let result = runtime.block_on(retry.run(async || {
            tried.fetch_add(1, Ordering::Relaxed);
            Err(error.clone())
        }));
        (result, tried.into_inner())
    }

    #[test]
    fn only_what_time_heals_is_tried_again() {
        let busy = VaultError::Unavailable {
            operation: "read",
            key: "x".into(),
            reason: "busy".into(),
        };
        let missing = VaultError::NotFound { key: "x".into() };
        assert_eq!(failing(&busy), (Err(busy), 3));
        assert_eq!(failing(&missing), (Err(missing), 1));
    }
}
