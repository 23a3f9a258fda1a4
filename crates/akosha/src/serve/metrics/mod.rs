//! `/metrics`: what the server counts and measures, as Prometheus reads it.
//!
//! Crates record through the `metrics` facade, which does nothing until [`install`] was called, so
//! commands other than the server pay nothing. Every metric without labels, and every series that
//! an alert adds up, is there from the start: a counter that first appears with its first failure
//! hides that failure from `increase()`.

mod known;
mod observe;
mod store;

use std::sync::OnceLock;
use std::time::Duration;

use akosha_core::metric::{ALL, BUILD_INFO, Metric, MetricKind, READY};
use axum::extract::State;
use axum::http::{HeaderValue, header};
use axum::response::{IntoResponse, Response};
use metrics_exporter_prometheus::{Matcher, PrometheusBuilder, PrometheusHandle};
use tokio_util::sync::CancellationToken;

pub(super) use observe::observe;
use store::Gauges;

use super::probe::Readiness;

/// The format of the answer.
const TEXT: &str = "text/plain; version=0.0.4; charset=utf-8";

/// How often samples are put into buckets where nobody scrapes; until then each takes memory.
const UPKEEP: Duration = Duration::from_secs(5);

/// Upper bounds in seconds of what answers a person: requests, searches.
const QUICK: &[f64] = &[
    0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0,
];

/// Upper bounds in seconds of what moves data: pushes, uploads that are merged.
const LONG: &[f64] = &[
    0.005, 0.025, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0, 60.0, 300.0, 900.0, 3600.0,
];

/// What `/metrics` answers from.
#[derive(Clone)]
pub(super) struct Metrics {
    /// `None` where another recorder was installed first.
    recorded: Option<PrometheusHandle>,
    readiness: Readiness,
    gauges: Gauges,
}

impl Metrics {
    /// Creates the answer for the server that `readiness` is about; installs the recorder.
    pub(super) fn new(readiness: Readiness) -> Self {
        Self {
            recorded: install(),
            gauges: Gauges::new(readiness.store.clone()),
            readiness,
        }
    }
}

/// Answers with every metric.
pub(super) async fn answer(State(metrics): State<Metrics>) -> Response {
    metrics.gauges.refresh().await;
    let is_ready = metrics.readiness.is_ready();
    metrics::gauge!(READY.name).set(f64::from(u8::from(is_ready)));
    let text = metrics
        .recorded
        .map(|handle| handle.render())
        .unwrap_or_default();
    let kind = HeaderValue::from_static(TEXT);
    ([(header::CONTENT_TYPE, kind)], text).into_response()
}

/// Keeps the memory that samples take bounded, until `cancel`.
pub(super) async fn upkeep(cancel: CancellationToken) {
    let Some(handle) = install() else {
        return;
    };
    let mut tick = tokio::time::interval(UPKEEP);
    loop {
        tokio::select! {
            () = cancel.cancelled() => return,
            _ = tick.tick() => handle.run_upkeep(),
        }
    }
}

/// Installs the recorder of this process on the first call. Whatever records has to come after.
pub(super) fn install() -> Option<PrometheusHandle> {
    static INSTALLED: OnceLock<Option<PrometheusHandle>> = OnceLock::new();
    INSTALLED.get_or_init(start).clone()
}

fn start() -> Option<PrometheusHandle> {
    let mut builder = PrometheusBuilder::new();
    for metric in ALL {
        if metric.kind == MetricKind::Histogram {
            let name = Matcher::Full(metric.name.to_owned());
            builder = match builder.set_buckets_for_metric(name, buckets(metric)) {
                Ok(builder) => builder,
                Err(error) => {
                    tracing::error!(%error, "metrics cannot be served");
                    return None;
                }
            };
        }
    }
    let recorder = builder.build_recorder();
    let handle = recorder.handle();
    if let Err(error) = metrics::set_global_recorder(recorder) {
        tracing::error!(%error, "metrics cannot be served");
        return None;
    }
    for metric in ALL {
        describe(metric);
    }
    known::seed();
    metrics::gauge!(BUILD_INFO.name, "version" => env!("CARGO_PKG_VERSION")).set(1.0);
    Some(handle)
}

fn buckets(metric: &Metric) -> &'static [f64] {
    let is_quick = metric.name.contains("_http_") || metric.name.contains("_search_");
    if is_quick { QUICK } else { LONG }
}

fn describe(metric: &Metric) {
    match metric.kind {
        MetricKind::Counter => metrics::describe_counter!(metric.name, metric.help),
        MetricKind::Gauge => metrics::describe_gauge!(metric.name, metric.help),
        MetricKind::Histogram => metrics::describe_histogram!(metric.name, metric.help),
    }
}
