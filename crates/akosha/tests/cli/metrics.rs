//! `/metrics` of a real server, and `docs/metrics.md` beside the metrics that there are.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::Path;

use akosha_core::metric::{ALL, MetricKind};

use crate::live::Live;
use crate::support::{Sandbox, eventually};

/// Returns every sample by its series.
fn samples(text: &str) -> BTreeMap<&str, f64> {
    let lines = text.lines().filter(|line| !line.starts_with('#'));
    lines
        .filter_map(|line| line.rsplit_once(' '))
        .map(|(series, value)| (series, value.parse().unwrap()))
        .collect()
}

#[test]
fn every_metric_is_told_from_the_start() {
    let sandbox = Sandbox::new();
    let live = Live::start(&sandbox);
    let got = live.get("/metrics");
    assert_eq!(got.status, 200);
    assert!(
        got.head.contains("content-type: text/plain; version=0.0.4"),
        "{}",
        got.head
    );
    for metric in ALL.iter().filter(|metric| metric.labels.is_empty()) {
        let name = match metric.kind {
            MetricKind::Histogram => format!("{}_count", metric.name),
            _ => metric.name.to_owned(),
        };
        assert!(samples(&got.body).contains_key(name.as_str()), "{name}");
        let help = format!("# HELP {} {}", metric.name, metric.help);
        assert!(got.body.contains(&help), "{help}");
    }
    let samples = samples(&got.body);
    for series in [
        "akosha_breaker_trips_total{breaker=\"bucket\"}",
        "akosha_pushes_total{method=\"cloud\",outcome=\"failure\"}",
        "akosha_ingest_uploads_total{outcome=\"quarantined\"}",
        "akosha_ingest_polls_total{kind=\"inbox\",outcome=\"failure\"}",
        "akosha_search_duration_seconds_count{mode=\"hybrid\"}",
    ] {
        assert_eq!(samples.get(series), Some(&0.0), "{series}");
    }
    let known: BTreeSet<&str> = ALL.iter().map(|metric| metric.name).collect();
    for name in got
        .body
        .lines()
        .filter_map(|line| line.strip_prefix("# TYPE "))
    {
        let name = name.split(' ').next().unwrap();
        assert!(known.contains(name), "{name}");
    }
}

#[test]
fn what_clients_do_is_counted_by_route() {
    let sandbox = Sandbox::new();
    let live = Live::start(&sandbox);
    let stored = live.call("store_memory", r#"{"text": "staging resets on Monday"}"#);
    assert_eq!(stored.status, 200, "{}", stored.body);
    live.call("search_memories", r#"{"query": "staging"}"#);
    live.call(
        "search_memories",
        r#"{"query": "staging", "mode": "semantic"}"#,
    );
    assert_eq!(live.get("/a-path-that-a-client-made-up").status, 404);
    // What was counted from the store may be some seconds old.
    let text = eventually("the memory is counted", || {
        let text = live.get("/metrics").body;
        text.contains("akosha_memories{tier=\"hot\"} 1")
            .then_some(text)
    });
    let samples = samples(&text);
    let at_least = |series: &str, least: f64| {
        let value = samples.get(series).copied().unwrap_or_default();
        assert!(value >= least, "{series} is {value}\n{text}");
    };
    at_least(
        "akosha_http_requests_total{route=\"/mcp\",method=\"POST\",status=\"200\"}",
        3.0,
    );
    at_least(
        "akosha_http_requests_total{route=\"none\",method=\"GET\",status=\"404\"}",
        1.0,
    );
    at_least(
        "akosha_http_requests_total{route=\"/metrics\",method=\"GET\",status=\"200\"}",
        0.0,
    );
    at_least(
        "akosha_http_request_duration_seconds_count{route=\"/ready\"}",
        1.0,
    );
    at_least("akosha_search_duration_seconds_count{mode=\"hybrid\"}", 1.0);
    at_least(
        "akosha_search_duration_seconds_count{mode=\"semantic\"}",
        1.0,
    );
    at_least("akosha_search_partial_total{part=\"embedding\"}", 1.0);
    at_least("akosha_systems", 1.0);
    at_least("akosha_store_bytes", 4096.0);
    at_least("akosha_unsynced_memories", 1.0);
    at_least("akosha_ready", 1.0);
    assert!(!text.contains("made-up"), "a client's path is no label");
}

#[test]
fn the_document_lists_every_metric() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("../..");
    let document = fs::read_to_string(root.join("docs/metrics.md")).unwrap();
    let rows = document
        .lines()
        .filter(|line| line.starts_with("| `akosha_"));
    let listed: Vec<&str> = rows.collect();
    let expected: Vec<String> = ALL
        .iter()
        .map(|metric| {
            let kind = match metric.kind {
                MetricKind::Counter => "counter",
                MetricKind::Gauge => "gauge",
                MetricKind::Histogram => "histogram",
            };
            let labels: Vec<String> = metric
                .labels
                .iter()
                .map(|label| format!("`{label}`"))
                .collect();
            let labels = labels.join(", ");
            format!(
                "| `{}` | {kind} | {labels} | {} |",
                metric.name, metric.help
            )
        })
        .collect();
    assert_eq!(listed, expected);
}

/// Adds the text of every source below a folder, but for the list of the metrics itself and for
/// the series that are there from the start.
fn add_sources(folder: &Path, text: &mut String) {
    for entry in fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        let is_list = path.ends_with("metric.rs") || path.ends_with("metrics/known.rs");
        if path.is_dir() {
            add_sources(&path, text);
        } else if path.extension().is_some_and(|kind| kind == "rs") && !is_list {
            text.push_str(&fs::read_to_string(path).unwrap());
        }
    }
}

#[test]
fn every_metric_is_recorded() {
    let crates = Path::new(env!("CARGO_MANIFEST_DIR")).join("..");
    let mut sources = String::new();
    for entry in fs::read_dir(&crates).unwrap() {
        add_sources(&entry.unwrap().path().join("src"), &mut sources);
    }
    let list = fs::read_to_string(crates.join("akosha-core/src/metric.rs")).unwrap();
    let constants: Vec<&str> = list
        .lines()
        .filter_map(|line| line.trim().split_once(" = "))
        .filter(|(_, rest)| {
            ["Counter ", "Gauge ", "Histogram "]
                .iter()
                .any(|kind| rest.starts_with(kind))
        })
        .map(|(constant, _)| constant)
        .collect();
    assert_eq!(constants.len(), ALL.len());
    let is_recorded = |name: &&str| {
        sources.contains(&format!("{name}.name")) || sources.contains(&format!("metric::{name}"))
    };
    let unrecorded: Vec<_> = constants.iter().filter(|name| !is_recorded(name)).collect();
    assert!(unrecorded.is_empty(), "{unrecorded:?}");
}
