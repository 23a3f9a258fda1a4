//! The node that a server serves: its store, its worker, and what is told of it.

use std::sync::Arc;

use akosha_core::SystemId;
use akosha_ingest::IngestWorker;
use akosha_mcp::{AkoshaServer, BackgroundDrain, Failure, Origin, StoreHandle, Watch};
use akosha_sync::breaker::Breakers;
use chrono::{DateTime, Utc};
use tokio::sync::OnceCell;
use tokio::time::Instant;

use super::audit::{Audit, By};
use super::guard::Caller;
use super::supervisor::Supervisor;

/// The node. Clones share it.
#[derive(Clone)]
pub(super) struct Node {
    inner: Arc<Inner>,
}

/// What a node is made of.
pub(super) struct Inner {
    /// The store, opened in the background.
    pub(super) store: StoreHandle,
    /// What works through the queue.
    pub(super) background: Arc<dyn BackgroundDrain>,
    /// What is left alone for a while when it fails.
    pub(super) breakers: Breakers,
    /// The tasks.
    pub(super) tasks: Supervisor,
    /// Who did what.
    pub(super) audit: Audit,
    /// What a person should know of how the server was started.
    pub(super) warnings: Vec<String>,
    /// When it was started.
    pub(super) started: (DateTime<Utc>, Instant),
    /// The worker, once the store is open.
    pub(super) worker: OnceCell<IngestWorker>,
}

impl std::ops::Deref for Node {
    type Target = Inner;

    fn deref(&self) -> &Inner {
        &self.inner
    }
}

impl Node {
    /// Creates the node.
    pub(super) fn new(inner: Inner) -> Self {
        Self {
            inner: Arc::new(inner),
        }
    }

    /// Returns the worker that takes uploads in, waiting until the store is open.
    ///
    /// # Errors
    /// Fails where the store cannot be opened.
    pub(super) async fn worker(&self) -> Result<&IngestWorker, Failure> {
        self.worker
            .get_or_try_init(|| async {
                let (_, syncer) = self.store.get().await?;
                Ok(IngestWorker::new(syncer, self.breakers.clone()))
            })
            .await
    }

    /// Returns the tools as a caller may use them.
    pub(super) fn server(&self, caller: &Caller, watch: Arc<dyn Watch>) -> AkoshaServer {
        AkoshaServer::for_client(
            self.store.clone(),
            Arc::clone(&self.background),
            origin(caller),
            caller.scope,
            watch,
        )
    }

    /// Returns the tools without any guard.
    #[cfg(feature = "conformance")]
    pub(super) fn open_server(&self) -> AkoshaServer {
        let open = Origin::Http { bound: None };
        AkoshaServer::new(self.store.clone(), Arc::clone(&self.background), open)
    }

    /// Returns what notes the calls of somebody.
    pub(super) fn watch(&self, by: By) -> Noting {
        Noting {
            audit: self.audit.clone(),
            by,
        }
    }
}

/// Checks that a caller may do what concerns the node `node` as a whole.
///
/// # Errors
/// Fails where the caller's token is bound to another system.
pub(super) fn check_node(caller: &Caller, node: &SystemId) -> Result<(), Failure> {
    origin(caller).check_node(node)
}

fn origin(caller: &Caller) -> Origin {
    Origin::Http {
        bound: caller.bound.clone(),
    }
}

/// Notes the calls of somebody in the audit log.
pub(super) struct Noting {
    audit: Audit,
    by: By,
}

impl Watch for Noting {
    fn done(&self, done: akosha_mcp::Done) {
        self.audit.done(&self.by, &done);
    }

    fn beyond_scope(&self, tool: &str, wanted: akosha_core::Scope) {
        self.audit.beyond_scope(&self.by, tool, wanted);
    }
}
