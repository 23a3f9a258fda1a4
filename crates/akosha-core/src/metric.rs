//! The metrics that an Akosha server exposes: names, labels and meanings.
//!
//! Every name that a crate records, an alert watches or a dashboard plots is a constant of this
//! module; `docs/metrics.md` lists them for people. Names follow the conventions of Prometheus: base
//! units, `_total` for counters.

/// What a metric's value means over time.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum MetricKind {
    /// Only grows while the process lives.
    Counter,
    /// Goes up and down.
    Gauge,
    /// A distribution of seconds.
    Histogram,
}

/// A metric.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Metric {
    /// The name, as Prometheus reads it.
    pub name: &'static str,
    /// What its value means over time.
    pub kind: MetricKind,
    /// The names of its labels.
    pub labels: &'static [&'static str],
    /// What it tells, in one sentence.
    pub help: &'static str,
}

/// Declares the metrics and the list of all.
macro_rules! metrics {
    ($($constant:ident = $kind:ident $name:literal [$($label:literal),*] $help:literal;)*) => {
        $(
            #[doc = $help]
            pub const $constant: Metric = Metric {
                name: $name,
                kind: MetricKind::$kind,
                labels: &[$($label),*],
                help: $help,
            };
        )*

        /// Every metric, in the order in which it is documented.
        pub const ALL: &[Metric] = &[$($constant),*];
    };
}

metrics! {
    BUILD_INFO = Gauge "akosha_build_info" ["version"]
        "Always 1; the label tells the version of the program.";
    READY = Gauge "akosha_ready" []
        "Whether the server can serve: 1 or 0.";
    TASK_RESTARTS = Counter "akosha_task_restarts_total" ["task"]
        "Restarts of a task of the server after a panic or an error.";

    HTTP_REQUESTS = Counter "akosha_http_requests_total" ["route", "method", "status"]
        "Requests that were answered.";
    HTTP_SECONDS = Histogram "akosha_http_request_duration_seconds" ["route"]
        "Time from the head of a request to the head of its answer.";
    HTTP_CONNECTIONS = Gauge "akosha_http_connections" []
        "Connections that are open.";
    HTTP_CONNECTIONS_REFUSED = Counter "akosha_http_connections_refused_total" []
        "Connections that were closed because there are too many.";
    HTTP_RATE_LIMITED = Counter "akosha_http_rate_limited_total" []
        "Requests that were refused because their token asked too often.";
    AUTH_FAILURES = Counter "akosha_auth_failures_total" ["reason"]
        "Requests without a token, with an unknown one, beyond the scope of theirs, or with a `Host` or `Origin` of others.";

    AUDIT_FAILURES = Counter "akosha_audit_failures_total" []
        "Lines of the audit log that could not be written.";

    MEMORIES = Gauge "akosha_memories" ["tier"]
        "Memories in the store.";
    SYSTEMS = Gauge "akosha_systems" []
        "Systems that have memories in the store.";
    STORE_BYTES = Gauge "akosha_store_bytes" []
        "Size of the store on disk.";
    CONFLICTS = Gauge "akosha_conflicts" []
        "Memories of which two contents have the same revision.";

    SEARCH_SECONDS = Histogram "akosha_search_duration_seconds" ["mode"]
        "Time that a search took.";
    SEARCH_PARTIAL = Counter "akosha_search_partial_total" ["part"]
        "Searches that missed a part of the store.";

    PUSHES = Counter "akosha_pushes_total" ["method", "outcome"]
        "Pushes of this node, by outcome: `success`, `partial`, `failure`.";
    PUSH_BYTES = Counter "akosha_push_bytes_total" ["method"]
        "Bytes that pushes of this node sent.";
    PUSH_MEMORIES = Counter "akosha_push_memories_total" ["method"]
        "Memories that pushes of this node sent.";
    PUSH_SECONDS = Histogram "akosha_push_duration_seconds" ["method"]
        "Time that a push of this node took.";
    QUEUE_JOBS = Gauge "akosha_queue_jobs" ["state"]
        "Queued syncs of this node: `pending`, `running`, `parked`.";
    UNSYNCED_MEMORIES = Gauge "akosha_unsynced_memories" []
        "Changes of this node that no target has yet.";

    INGEST_POLLS = Counter "akosha_ingest_polls_total" ["kind", "outcome"]
        "Looks into the vault: `inbox` or `sweep`, `success` or `failure`.";
    INGEST_LAST_POLL = Gauge "akosha_ingest_last_poll_timestamp_seconds" []
        "When the vault was looked into with success last, in seconds since 1970.";
    INGEST_QUEUE = Gauge "akosha_ingest_queue_uploads" []
        "Uploads that wait to be merged.";
    INGEST_IN_FLIGHT = Gauge "akosha_ingest_in_flight_uploads" []
        "Uploads that are being read or merged.";
    INGEST_LAG = Gauge "akosha_ingest_lag_seconds" []
        "Age of the oldest upload that waits to be merged; 0 where none waits.";
    INGEST_UPLOADS = Counter "akosha_ingest_uploads_total" ["outcome"]
        "Uploads that were worked on: `merged`, `quarantined`, `retried`, `taken` by another replica.";
    INGEST_MEMORIES = Counter "akosha_ingest_memories_total" ["change"]
        "Changes that were merged: `added`, `updated`, `skipped`.";
    INGEST_DUPLICATES = Counter "akosha_ingest_duplicates_total" []
        "Merged memories whose content their system has already under another id.";
    INGEST_BYTES = Counter "akosha_ingest_bytes_total" []
        "Bytes that were read from the vault for uploads.";
    INGEST_SECONDS = Histogram "akosha_ingest_upload_duration_seconds" []
        "Time from taking up an upload to having it merged.";
    QUARANTINED = Gauge "akosha_quarantined_uploads" []
        "Uploads that are set aside, whole or in part.";

    BREAKER_STATE = Gauge "akosha_breaker_state" ["breaker"]
        "State of a circuit breaker: 0 closed, 1 half-open, 2 open.";
    BREAKER_TRIPS = Counter "akosha_breaker_trips_total" ["breaker"]
        "How often a circuit breaker opened.";
    ORCHESTRATOR_FALLBACK = Gauge "akosha_orchestrator_fallback" []
        "1 where an orchestrator is configured and local scheduling stands in for it, else 0.";
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_follow_the_conventions() {
        for metric in ALL {
            let name = metric.name;
            assert!(name.starts_with("akosha_"), "{name}");
            let is_total = name.ends_with("_total");
            assert_eq!(is_total, metric.kind == MetricKind::Counter, "{name}");
            let is_histogram = metric.kind == MetricKind::Histogram;
            assert_eq!(is_histogram, name.ends_with("_duration_seconds"), "{name}");
            assert!(metric.help.ends_with('.'), "{name}");
        }
    }

    #[test]
    fn names_are_unique() {
        let mut names: Vec<_> = ALL.iter().map(|metric| metric.name).collect();
        names.sort_unstable();
        names.dedup();
        assert_eq!(names.len(), ALL.len());
    }
}
