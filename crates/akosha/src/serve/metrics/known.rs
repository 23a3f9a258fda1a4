//! The series that are there before anything happened.

use akosha_core::metric::{self, ALL, Metric, MetricKind};
use metrics::Label;

const METHODS: &[&str] = &["cloud", "http"];

/// The values of labels that are known beforehand: one row for each label, in the order of the
/// metric's labels.
type Values = &'static [&'static [&'static str]];

/// The metrics with labels of which every series is known. What depends on what clients ask for,
/// such as the routes, appears when it happens.
const KNOWN: &[(Metric, Values)] = &[
    (metric::AUTH_FAILURES, &[REFUSED]),
    (metric::MEMORIES, &[&["hot"]]),
    (
        metric::SEARCH_SECONDS,
        &[&["hybrid", "semantic", "keyword"]],
    ),
    (metric::SEARCH_PARTIAL, &[&["embedding"]]),
    (
        metric::PUSHES,
        &[METHODS, &["success", "partial", "failure"]],
    ),
    (metric::PUSH_BYTES, &[METHODS]),
    (metric::PUSH_MEMORIES, &[METHODS]),
    (metric::PUSH_SECONDS, &[METHODS]),
    (metric::QUEUE_JOBS, &[&["pending", "running", "parked"]]),
    (
        metric::INGEST_POLLS,
        &[&["inbox", "sweep"], &["success", "failure"]],
    ),
    (
        metric::INGEST_UPLOADS,
        &[&["merged", "quarantined", "retried", "taken"]],
    ),
    (metric::INGEST_MEMORIES, &[&["added", "updated", "skipped"]]),
    (metric::BREAKER_STATE, &[BREAKERS]),
    (metric::BREAKER_TRIPS, &[BREAKERS]),
];

/// Why a request is refused: what its token is, or the scope that it lacks.
const REFUSED: &[&str] = &[
    "missing",
    "unknown",
    "revoked",
    "expired",
    "unavailable",
    "scope",
    "host",
    "origin",
];

const BREAKERS: &[&str] = &["bucket", "database", "orchestrator", "http_peer"];

/// Creates every series that is known, at zero.
pub(super) fn seed() {
    for metric in ALL.iter().filter(|metric| metric.labels.is_empty()) {
        zero(metric, Vec::new());
    }
    for (metric, values) in KNOWN {
        for labels in combinations(metric, values) {
            zero(metric, labels);
        }
    }
}

/// Returns every combination of the values of a metric's labels.
fn combinations(metric: &Metric, values: Values) -> Vec<Vec<Label>> {
    let mut all = vec![Vec::new()];
    for (name, values) in metric.labels.iter().zip(values) {
        all = all
            .into_iter()
            .flat_map(|labels: Vec<Label>| {
                values.iter().map(move |value| {
                    let mut labels = labels.clone();
                    labels.push(Label::from_static_parts(name, value));
                    labels
                })
            })
            .collect();
    }
    all
}

fn zero(metric: &Metric, labels: Vec<Label>) {
    match metric.kind {
        MetricKind::Counter => metrics::counter!(metric.name, labels).increment(0),
        MetricKind::Gauge => metrics::gauge!(metric.name, labels).set(0.0),
        // A histogram is there once it is named.
        MetricKind::Histogram => drop(metrics::histogram!(metric.name, labels)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_label_has_its_values() {
        for (metric, values) in KNOWN {
            assert_eq!(metric.labels.len(), values.len(), "{}", metric.name);
            let count: usize = values.iter().map(|values| values.len()).product();
            assert_eq!(combinations(metric, values).len(), count, "{}", metric.name);
        }
    }
}
