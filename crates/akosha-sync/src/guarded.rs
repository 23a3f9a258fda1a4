//! A sync method with a circuit breaker around it; and the one place where pushes are counted.

use std::time::Instant;

use akosha_core::{ErrorKind, metric};
use akosha_store::Trigger;
use async_trait::async_trait;
use tokio_util::sync::CancellationToken;

use crate::breaker::{Breaker, CircuitOpen, Permit};
use crate::hybrid::unavailable;
use crate::{Availability, MethodReport, Progress, SyncError, SyncMethod, SyncRequest};

/// A method whose target is left alone for a while after it failed again and again.
///
/// Only what tells that the target is away counts as its failure: a wrong key, a conflict or a full
/// disk here says nothing about it, and a target that answers is well.
pub(crate) struct Guarded {
    method: Box<dyn SyncMethod>,
    /// A process that ends with its sync has none.
    breaker: Option<Breaker>,
}

impl Guarded {
    /// Wraps a method.
    pub(crate) fn new(method: Box<dyn SyncMethod>, breaker: Option<Breaker>) -> Self {
        Self { method, breaker }
    }

    fn admit(&self) -> Result<Option<Permit>, CircuitOpen> {
        self.breaker.as_ref().map(Breaker::admit).transpose()
    }

    fn count(&self, outcome: &'static str) {
        let method = self.name();
        metrics::counter!(metric::PUSHES.name, "method" => method, "outcome" => outcome)
            .increment(1);
    }
}

#[async_trait]
impl SyncMethod for Guarded {
    fn name(&self) -> &'static str {
        self.method.name()
    }

    async fn has_pending(&self, request: &SyncRequest) -> Result<bool, SyncError> {
        self.method.has_pending(request).await
    }

    async fn has_lost(&self) -> bool {
        match self.admit() {
            // What does not answer has lost nothing, and is not asked.
            Err(_) => false,
            Ok(_permit) => self.method.has_lost().await,
        }
    }

    async fn pending_files(&self, request: &SyncRequest) -> Vec<String> {
        self.method.pending_files(request).await
    }

    async fn is_available(&self) -> Availability {
        let permit = match self.admit() {
            Ok(permit) => permit,
            Err(open) => {
                self.count("failure");
                return Availability::Unavailable(open.to_string());
            }
        };
        let availability = self.method.is_available().await;
        if let Availability::Unavailable(reason) = &availability {
            self.count("failure");
            if let Some(permit) = permit {
                permit.failed(reason);
            }
        }
        // What is available still has to prove it, and what is slow is tried.
        availability
    }

    async fn sync(
        &self,
        request: &SyncRequest,
        trigger: Trigger,
        progress: &dyn Progress,
        cancel: &CancellationToken,
    ) -> MethodReport {
        let permit = match self.admit() {
            Ok(permit) => permit,
            Err(open) => {
                self.count("failure");
                let hint = "it is tried again by itself; see since when: `akosha status`";
                return MethodReport {
                    error: Some(unavailable(self.name(), open.to_string(), hint)),
                    ..MethodReport::default()
                };
            }
        };
        let started = Instant::now();
        let report = self.method.sync(request, trigger, progress, cancel).await;
        record(self.name(), &report, started.elapsed().as_secs_f64());
        if let Some(permit) = permit {
            settle(permit, &report);
        }
        report
    }
}

/// Tells the breaker what a sync says about its target.
fn settle(permit: Permit, report: &MethodReport) {
    match &report.error {
        None => permit.succeeded(),
        Some(error) if error.kind() == ErrorKind::Unavailable => {
            permit.failed(&error.message());
        }
        Some(_) => drop(permit),
    }
}

/// Counts a push that was made.
fn record(method: &'static str, report: &MethodReport, seconds: f64) {
    let is_whole = report.refused.is_empty() && report.files_failed.is_empty();
    let has_sent = report.memories_uploaded > 0 || !report.files_uploaded.is_empty();
    let outcome = match &report.error {
        None if is_whole => "success",
        None => "partial",
        Some(_) if has_sent => "partial",
        // Whoever cancelled it wanted no push.
        Some(SyncError::Cancelled) => return,
        Some(_) => "failure",
    };
    metrics::counter!(metric::PUSHES.name, "method" => method, "outcome" => outcome).increment(1);
    metrics::counter!(metric::PUSH_BYTES.name, "method" => method)
        .increment(report.bytes_transferred);
    metrics::counter!(metric::PUSH_MEMORIES.name, "method" => method)
        .increment(report.memories_uploaded);
    metrics::histogram!(metric::PUSH_SECONDS.name, "method" => method).record(seconds);
}

#[cfg(test)]
mod tests;
