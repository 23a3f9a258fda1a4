//! Tries an operation again where time may heal its error.

use backon::Retryable;

use super::VaultError;
use crate::retry::Policy;

impl Policy {
    /// Runs `operation` until it succeeds, fails for good, or was tried often enough.
    pub(super) async fn run<T, F, Fut>(self, operation: F) -> Result<T, VaultError>
    where
        F: FnMut() -> Fut,
        Fut: Future<Output = Result<T, VaultError>>,
    {
        operation
            .retry(self.backoff())
            .when(VaultError::is_retryable)
            .notify(|error, pause| {
                tracing::info!(%error, pause_seconds = pause.as_secs_f64(), "tried again soon");
            })
            .await
    }
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicU32, Ordering};
    use std::time::Duration;

    use super::*;

    fn failing(error: &VaultError) -> (Result<(), VaultError>, u32) {
        let tried = AtomicU32::new(0);
        let policy = Policy::new(2, Duration::from_millis(1));
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_time()
            .build()
            .unwrap();
        let result = runtime.block_on(policy.run(async || {
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
