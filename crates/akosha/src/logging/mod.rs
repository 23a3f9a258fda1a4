//! Where logs go: standard error, and a file where nobody reads that.
//!
//! Assistants throw away what their servers write to standard error, so `akosha mcp` also logs to
//! `logs/mcp.log` in its home. Logs never hold what a memory says, nor credentials.

mod rolling;
#[cfg(feature = "otel")]
mod traces;

use std::fs::File;
use std::io;
use std::path::PathBuf;
use std::sync::Mutex;

use tracing::Subscriber;
use tracing_subscriber::layer::SubscriberExt as _;
use tracing_subscriber::registry::LookupSpan;
use tracing_subscriber::util::SubscriberInitExt as _;
use tracing_subscriber::{EnvFilter, Layer, fmt};

use crate::cli::Global;
use rolling::RollingFile;

/// The variable that chooses what is logged, such as `debug` or `akosha_sync=trace`.
const VARIABLE: &str = "AKOSHA_LOG";

/// The variable that chooses how: `text`, or `json` for one object a line.
const FORMAT: &str = "AKOSHA_LOG_FORMAT";

/// What is left out unless rmcp is named: below `warn` it logs messages whole, before anything is
/// taken out of them, and a failed connection with the body of the answer, which may hold anything.
const LEFT_OUT: &str = "rmcp=warn,rmcp::transport::worker=off";

/// What the file of `akosha mcp` takes. Not what [`VARIABLE`] says: below `warn` rmcp logs messages
/// whole, and a file keeps what a terminal forgets.
const IN_FILE: &str = "info,rmcp=warn,rmcp::transport::worker=off";

/// What it takes with `-v`: more of our own crates.
const MORE_IN_FILE: &str = "info,akosha=debug,akosha_core=debug,akosha_mcp=debug,\
    akosha_store=debug,akosha_sync=debug,rmcp=warn,rmcp::transport::worker=off";

/// Logs to standard error.
pub(crate) fn to_stderr(global: &Global) {
    // Fails only where a subscriber is set already.
    let _ = tracing_subscriber::registry()
        .with(stderr(global))
        .try_init();
    tell_format();
}

/// Logs to standard error, and sends traces to the collector that the environment names, where the
/// program is built to.
pub(crate) fn to_stderr_and_collector(global: &Global) {
    #[cfg(feature = "otel")]
    {
        let (traces, failed) = match traces::layer() {
            Ok(traces) => (traces, None),
            Err(error) => (None, Some(error)),
        };
        let _ = tracing_subscriber::registry()
            .with(traces)
            .with(stderr(global))
            .try_init();
        tell_format();
        if let Some(error) = failed {
            tracing::error!(%error, "no traces are sent");
        }
    }
    #[cfg(not(feature = "otel"))]
    {
        to_stderr(global);
        if std::env::var_os("OTEL_EXPORTER_OTLP_ENDPOINT").is_some_and(|it| !it.is_empty()) {
            tracing::warn!(
                "`OTEL_EXPORTER_OTLP_ENDPOINT` is set and this program is built without the \
                 feature `otel`; no traces are sent"
            );
        }
    }
}

/// Sends what is left of the traces, for at most some seconds. Called at the end of the process.
pub(crate) fn finish() {
    #[cfg(feature = "otel")]
    traces::finish();
}

/// Logs to standard error and to `logs/mcp.log` below `home`, which is made with the first line.
pub(crate) fn to_stderr_and_file(global: &Global, home: Option<PathBuf>) {
    let file = home.map(|home| {
        let filter = if global.verbose > 0 {
            MORE_IN_FILE
        } else {
            IN_FILE
        };
        let file = RollingFile::new(home.join("logs").join("mcp.log"));
        format(move || file.clone(), false).with_filter(EnvFilter::new(filter))
    });
    let _ = tracing_subscriber::registry()
        .with(stderr(global))
        .with(file)
        .try_init();
    tell_format();
}

/// Logs to a file.
pub(crate) fn to_file(file: File) {
    let subscriber = fmt()
        .with_writer(Mutex::new(file))
        .with_ansi(false)
        .with_env_filter(filter("info"));
    let _ = subscriber.try_init();
}

fn stderr<S>(global: &Global) -> impl Layer<S> + use<S>
where
    S: Subscriber + for<'a> LookupSpan<'a> + Send + Sync,
{
    let level = match (global.quiet, global.verbose) {
        (true, _) => "error",
        (_, 0) => "warn",
        (_, 1) => "info",
        _ => "debug",
    };
    let is_plain = std::env::var_os("NO_COLOR").is_some_and(|value| !value.is_empty());
    let has_colours = !is_plain && io::IsTerminal::is_terminal(&io::stderr());
    format(io::stderr, has_colours).with_filter(filter(level))
}

/// Writes events as [`FORMAT`] says.
fn format<S, W>(writer: W, has_colours: bool) -> Box<dyn Layer<S> + Send + Sync>
where
    S: Subscriber + for<'a> LookupSpan<'a> + Send + Sync,
    W: for<'w> fmt::MakeWriter<'w> + Send + Sync + 'static,
{
    let layer = fmt::layer().with_writer(writer).with_ansi(has_colours);
    if std::env::var_os(FORMAT).is_some_and(|format| format == "json") {
        layer.json().flatten_event(true).boxed()
    } else {
        layer.boxed()
    }
}

/// Says that [`FORMAT`] names no format.
fn tell_format() {
    let Some(format) = std::env::var_os(FORMAT) else {
        return;
    };
    if !["", "json", "text"].iter().any(|known| format == *known) {
        let format: String = format.to_string_lossy().chars().take(40).collect();
        tracing::warn!("`{FORMAT}` is `{format}`, expected `json` or `text`; logging text");
    }
}

/// Returns what [`VARIABLE`] asks for, else `level`.
fn filter(level: &str) -> EnvFilter {
    let asked = std::env::var(VARIABLE).ok().filter(|text| !text.is_empty());
    asked
        .and_then(|text| EnvFilter::try_new(directives(&text)).ok())
        .unwrap_or_else(|| EnvFilter::new(directives(level)))
}

/// Returns what is asked for, without what is left out.
fn directives(asked: &str) -> String {
    if asked.contains("rmcp") {
        asked.to_owned()
    } else {
        format!("{asked},{LEFT_OUT}")
    }
}

#[cfg(test)]
mod tests {
    use std::io::Write;
    use std::sync::Arc;

    use super::*;

    #[derive(Clone, Default)]
    struct Kept(Arc<Mutex<Vec<u8>>>);

    impl Write for Kept {
        fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
            self.0.lock().unwrap().extend(bytes);
            Ok(bytes.len())
        }

        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }

    fn logged(asked: &str) -> String {
        let kept = Kept::default();
        let writer = kept.clone();
        let subscriber = fmt()
            .with_writer(move || writer.clone())
            .with_env_filter(EnvFilter::new(directives(asked)))
            .finish();
        tracing::subscriber::with_default(subscriber, || {
            tracing::debug!(target: "rmcp::service", "a message whole");
            tracing::debug!("ours");
        });
        String::from_utf8(kept.0.lock().unwrap().clone()).unwrap()
    }

    #[test]
    fn messages_are_logged_whole_only_where_rmcp_is_named() {
        for asked in ["debug", "trace", "info,akosha=debug"] {
            let logged = logged(asked);
            assert!(
                !logged.contains("whole") && logged.contains("ours"),
                "{asked}"
            );
        }
        assert!(logged("warn,rmcp=debug").contains("whole"));
    }
}
