//! Traces: spans of requests, searches, pushes and uploads, sent over OTLP/HTTP to the collector that
//! `OTEL_EXPORTER_OTLP_ENDPOINT` names, such as `http://localhost:4318`.
//!
//! The other variables of OpenTelemetry hold too: `OTEL_SERVICE_NAME`, `OTEL_RESOURCE_ATTRIBUTES`,
//! `OTEL_TRACES_SAMPLER`, `OTEL_EXPORTER_OTLP_HEADERS`. Spans hold ids, counts and routes; never
//! what a memory says.

use std::sync::OnceLock;
use std::time::Duration;

use opentelemetry::trace::TracerProvider as _;
use opentelemetry_otlp::{ExporterBuildError, SpanExporter};
use opentelemetry_sdk::Resource;
use opentelemetry_sdk::trace::SdkTracerProvider;
use tracing::Subscriber;
use tracing_subscriber::registry::LookupSpan;
use tracing_subscriber::{EnvFilter, Layer};

/// What is traced: our own crates. A span of the exporter's own client would make the next one.
const TRACED: &str = "off,akosha=info,akosha_ingest=info,akosha_mcp=info,akosha_sync=info";

/// How long the end of the process waits for a collector.
const LAST: Duration = Duration::from_secs(3);

static PROVIDER: OnceLock<SdkTracerProvider> = OnceLock::new();

/// Returns the layer that sends spans; `None` where no collector is named.
pub(super) fn layer<S>() -> Result<Option<impl Layer<S> + use<S>>, ExporterBuildError>
where
    S: Subscriber + for<'a> LookupSpan<'a> + Send + Sync,
{
    let named = std::env::var_os("OTEL_EXPORTER_OTLP_ENDPOINT");
    if named.is_none_or(|endpoint| endpoint.is_empty()) {
        return Ok(None);
    }
    // The exporter's client is built with TLS even for a collector without; fails only where a
    // provider is installed already.
    let _ = rustls::crypto::ring::default_provider().install_default();
    let exporter = SpanExporter::builder().with_http().build()?;
    let mut resource = Resource::builder();
    if std::env::var_os("OTEL_SERVICE_NAME").is_none() {
        resource = resource.with_service_name("akosha");
    }
    let provider = SdkTracerProvider::builder()
        .with_batch_exporter(exporter)
        .with_resource(resource.build())
        .build();
    let tracer = provider.tracer("akosha");
    // Set once: a process starts its logs once.
    let _ = PROVIDER.set(provider);
    let layer = tracing_opentelemetry::layer().with_tracer(tracer);
    Ok(Some(layer.with_filter(EnvFilter::new(TRACED))))
}

/// Sends what is left.
pub(super) fn finish() {
    if let Some(provider) = PROVIDER.get()
        && let Err(error) = provider.shutdown_with_timeout(LAST)
    {
        tracing::warn!(%error, "the last traces were not sent");
    }
}
