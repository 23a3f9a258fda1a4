//! The store of a server, opened beside the protocol and not before it.

use std::fmt;
use std::sync::Arc;

use akosha_core::ErrorKind;
use akosha_store::Store;
use akosha_sync::Syncer;
use tokio::sync::OnceCell;

use crate::Failure;

type Opener = dyn Fn() -> Result<Syncer, Failure> + Send + Sync;

/// A store that is opened on a blocking thread while the server answers already. Clones share it.
///
/// Where opening fails, the next call tries again: a full disk that was cleared, or a home that
/// was given back its permissions, needs no restart.
#[derive(Clone)]
pub struct StoreHandle {
    inner: Arc<Inner>,
}

struct Inner {
    cell: OnceCell<Syncer>,
    opener: Box<Opener>,
}

impl fmt::Debug for StoreHandle {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("StoreHandle")
            .field("open", &self.is_open())
            .finish_non_exhaustive()
    }
}

impl StoreHandle {
    /// Creates a handle that opens by `opener`, which may read files, block and be called again
    /// after it failed. Nothing happens before [`StoreHandle::warm_up`] or the first call.
    pub fn new(opener: impl Fn() -> Result<Syncer, Failure> + Send + Sync + 'static) -> Self {
        Self {
            inner: Arc::new(Inner {
                cell: OnceCell::new(),
                opener: Box::new(opener),
            }),
        }
    }

    /// Creates a handle of a store that is open already.
    pub fn opened(syncer: Syncer) -> Self {
        let handle = Self::new(|| {
            Err(Failure::new(
                ErrorKind::Internal,
                "an open store was opened again",
            ))
        });
        // The cell is new, so it takes the value.
        let _ = handle.inner.cell.set(syncer);
        handle
    }

    /// Returns whether the store is open.
    pub fn is_open(&self) -> bool {
        self.inner.cell.initialized()
    }

    /// Returns the store and its syncer where they are open, without waiting.
    pub fn opened_now(&self) -> Option<(Store, Syncer)> {
        let syncer = self.inner.cell.get()?;
        Some((syncer.store().clone(), syncer.clone()))
    }

    /// Starts opening in the background. Must be called within a runtime.
    pub fn warm_up(&self) {
        let handle = self.clone();
        tokio::spawn(async move {
            if let Err(failure) = handle.get().await {
                tracing::warn!(error = %failure, "the store cannot be opened");
            }
        });
    }

    /// Returns the store and its syncer, waiting until they are open.
    ///
    /// # Errors
    /// Fails with what the opener said.
    pub async fn get(&self) -> Result<(Store, Syncer), Failure> {
        let syncer = self
            .inner
            .cell
            .get_or_try_init(|| {
                let inner = Arc::clone(&self.inner);
                async move { blocking(move || (inner.opener)()).await }
            })
            .await?;
        Ok((syncer.store().clone(), syncer.clone()))
    }
}

/// Runs `work` on a blocking thread.
///
/// # Errors
/// Fails as `work` does, and where it panicked.
pub async fn blocking<T, E>(
    work: impl FnOnce() -> Result<T, E> + Send + 'static,
) -> Result<T, Failure>
where
    T: Send + 'static,
    E: Into<Failure> + Send + 'static,
{
    match tokio::task::spawn_blocking(work).await {
        Ok(result) => result.map_err(Into::into),
        Err(error) => Err(Failure::new(
            ErrorKind::Internal,
            format!("the call was not finished: {error}"),
        )
        .with_hint("repeat the call; if it fails again, report it with the log")),
    }
}
