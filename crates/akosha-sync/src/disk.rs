//! Runs store calls off the runtime's threads.

use akosha_store::{Store, StoreError};

use crate::SyncError;

/// Runs a call that waits for the disk on a blocking thread.
pub(crate) async fn on_disk<T: Send + 'static>(
    store: &Store,
    call: impl FnOnce(&Store) -> Result<T, StoreError> + Send + 'static,
) -> Result<T, SyncError> {
    let store = store.clone();
    match tokio::task::spawn_blocking(move || call(&store)).await {
        Ok(result) => Ok(result?),
        // What the call did is durable or undone.
        Err(error) => Err(SyncError::of_join(&error)),
    }
}
