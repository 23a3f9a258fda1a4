//! Orders the sync methods: cloud, then HTTP.

use std::path::PathBuf;

use akosha_core::ErrorKind;
use akosha_core::config::{Config, ForceMethod};
use akosha_store::{Store, Trigger};
use tokio_util::sync::CancellationToken;

use crate::breaker::Breakers;
use crate::guarded::Guarded;
use crate::{
    Availability, CloudSync, FileFailure, HttpSync, MethodChoice, MethodReport, Progress,
    SyncError, SyncMethod, SyncRequest,
};

/// Tries the allowed methods in their order until one brings everything.
pub struct HybridSync {
    methods: Vec<Guarded>,
    has_bucket: bool,
    /// Files that are configured although no method may carry them.
    stranded: Vec<PathBuf>,
}

/// What came of it: which method worked and which failed before.
#[derive(Debug, Default)]
pub struct HybridOutcome {
    /// The method that brought everything; `None` where every one failed.
    pub done: Option<&'static str>,
    /// The first method that brought anything.
    pub brought: Option<&'static str>,
    /// What all of them did together.
    pub report: MethodReport,
    /// What failed, in the order in which it was tried.
    pub errors: Vec<SyncError>,
}

impl HybridSync {
    /// Chooses the methods that `config` and `request` allow.
    ///
    /// A method named in the request is used alone; else `force_method` is. With neither, the
    /// cloud comes first where a bucket is set, and HTTP follows where fallback is on in both, or
    /// where there is no bucket.
    ///
    /// A long-lived process gives its `breakers`: a target that fails again and again is left alone
    /// for a while.
    ///
    /// # Errors
    /// Fails where the cloud is asked for and no bucket is set.
    pub fn new(
        store: &Store,
        config: &Config,
        request: &SyncRequest,
        breakers: Option<&Breakers>,
    ) -> Result<Self, SyncError> {
        let methods = allowed(config, request)?
            .into_iter()
            .map(|choice| {
                let (method, breaker): (Box<dyn SyncMethod>, _) = match choice {
                    Allowed::Cloud => (
                        Box::new(CloudSync::new(store.clone(), config)),
                        breakers.map(|all| &all.bucket),
                    ),
                    Allowed::Http => (
                        Box::new(HttpSync::new(store.clone(), config)),
                        breakers.map(|all| &all.http_peer),
                    ),
                };
                Guarded::new(method, breaker.cloned())
            })
            .collect();
        let has_bucket = !config.cloud_bucket.is_empty();
        let has_place = config.should_use_cloud() || request.method != MethodChoice::Auto;
        let stranded = config.files.clone().filter(|_| !has_place);
        Ok(Self {
            methods,
            has_bucket,
            stranded: stranded.unwrap_or_default(),
        })
    }

    /// Tries the methods in their order until one brings everything. One that surely cannot be
    /// reached is passed over; one that did not answer in time is tried after the others.
    pub async fn sync(
        &self,
        request: &SyncRequest,
        trigger: Trigger,
        progress: &dyn Progress,
        cancel: &CancellationToken,
    ) -> HybridOutcome {
        let mut outcome = self.try_all(request, trigger, progress, cancel).await;
        self.name_files_left(&mut outcome, request).await;
        outcome
    }

    async fn try_all(
        &self,
        request: &SyncRequest,
        trigger: Trigger,
        progress: &dyn Progress,
        cancel: &CancellationToken,
    ) -> HybridOutcome {
        let mut outcome = HybridOutcome::default();
        let mut slow = Vec::new();
        for method in &self.methods {
            match method.has_pending(request).await {
                Ok(true) => {}
                Ok(false) if method.has_lost().await => {}
                Ok(false) => {
                    outcome.done = Some(method.name());
                    return outcome;
                }
                Err(error) => {
                    outcome.errors.push(error);
                    continue;
                }
            }
            match method.is_available().await {
                Availability::Available => {}
                Availability::Unavailable(reason) => {
                    outcome
                        .errors
                        .push(self.unreachable(method.name(), &reason));
                    continue;
                }
                Availability::Unknown(reason) => {
                    slow.push(method);
                    outcome
                        .errors
                        .push(self.unreachable(method.name(), &reason));
                    continue;
                }
            }
            let report = method.sync(request, trigger, progress, cancel).await;
            if outcome.ends_with(method.name(), report) {
                return outcome;
            }
        }
        for method in slow {
            let report = method.sync(request, trigger, progress, cancel).await;
            // What it answers now takes the place of its silence.
            outcome
                .errors
                .retain(|error| error.method() != method.name());
            if outcome.ends_with(method.name(), report) {
                return outcome;
            }
        }
        outcome
    }

    fn unreachable(&self, method: &'static str, reason: &str) -> SyncError {
        let message = format!("not reachable: {reason}");
        let hint = match method {
            "http" if !self.has_bucket => {
                "name a bucket or a folder in `cloud_bucket`: `akosha config init` writes the file; or \
             set `akosha_url` to the akosha of another machine"
            }
            "http" => "start a server there: `akosha serve`, or set `akosha_url`",
            _ => "check `cloud_bucket` and `cloud_endpoint`: `akosha config show`",
        };
        unavailable(method, message, hint)
    }

    /// Names the files that another method than the one that is done has to send.
    async fn name_files_left(&self, outcome: &mut HybridOutcome, request: &SyncRequest) {
        let Some(done) = outcome.done else {
            return;
        };
        for path in &self.stranded {
            outcome.report.files_failed.push(FileFailure {
                message: format!(
                    "`{}` is not synced: files go to a vault alone, and none may be used",
                    path.display()
                ),
                kind: ErrorKind::Config,
            });
        }
        for method in self.methods.iter().filter(|method| method.name() != done) {
            for name in method.pending_files(request).await {
                outcome.report.files_failed.push(FileFailure {
                    message: format!("`{name}` waits for the vault: files go nowhere else"),
                    kind: ErrorKind::Unavailable,
                });
            }
        }
    }
}

impl HybridOutcome {
    /// Adds what a method did and returns whether no other one is to be tried.
    fn ends_with(&mut self, method: &'static str, mut report: MethodReport) -> bool {
        let error = report.error.take();
        if report.memories_uploaded > 0 {
            self.brought.get_or_insert(method);
        }
        self.report.add(report);
        let Some(error) = error else {
            self.done = Some(method);
            return true;
        };
        // A conflict is for a person to settle; what is cancelled, or lacks its own store, fails
        // everywhere.
        let is_over = matches!(
            error,
            SyncError::Conflict { .. }
                | SyncError::Cancelled
                | SyncError::Queue(_)
                | SyncError::Local { .. }
        );
        self.errors.push(error);
        is_over
    }
}

/// Creates the error of a method whose target does not answer.
pub(crate) fn unavailable(method: &'static str, message: String, hint: &str) -> SyncError {
    let hint = Some(hint.to_owned());
    let kind = ErrorKind::Unavailable;
    match method {
        "http" => SyncError::HttpSync {
            message,
            hint,
            kind,
            source: None,
        },
        _ => SyncError::CloudUpload {
            message,
            hint,
            kind,
            source: None,
        },
    }
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Allowed {
    Cloud,
    Http,
}

fn allowed(config: &Config, request: &SyncRequest) -> Result<Vec<Allowed>, SyncError> {
    let bucket = !config.cloud_bucket.is_empty();
    let no_bucket = |what: &str| SyncError::no_bucket(format!("{what}, and no bucket is set"));
    let forced = match (request.method, config.force_method) {
        (MethodChoice::Cloud, _) | (MethodChoice::Auto, ForceMethod::Cloud) => Some(Allowed::Cloud),
        (MethodChoice::Http, _) | (MethodChoice::Auto, ForceMethod::Http) => Some(Allowed::Http),
        (MethodChoice::Auto, ForceMethod::Auto) => None,
    };
    match forced {
        Some(Allowed::Cloud) if !bucket => Err(no_bucket("the method `cloud` is asked for")),
        Some(method) => Ok(vec![method]),
        None if !request.enable_fallback && !bucket => {
            Err(no_bucket("fallback to HTTP is turned off"))
        }
        None => {
            let mut methods = Vec::new();
            if config.should_use_cloud() {
                methods.push(Allowed::Cloud);
            }
            if config.should_use_http() && request.enable_fallback {
                methods.push(Allowed::Http);
            }
            Ok(methods)
        }
    }
}
