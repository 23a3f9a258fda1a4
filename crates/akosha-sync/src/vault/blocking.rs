//! Runs what waits for a disk off the runtime's threads.

use super::VaultError;

/// Runs `call` on a blocking thread.
pub(super) async fn on_blocking_thread<T: Send + 'static>(
    call: impl FnOnce() -> Result<T, VaultError> + Send + 'static,
) -> Result<T, VaultError> {
    match tokio::task::spawn_blocking(call).await {
        Ok(result) => result,
        // The runtime is going down.
        Err(error) => Err(VaultError::Unavailable {
            operation: "use",
            key: "the vault".into(),
            reason: error.to_string(),
        }),
    }
}
