//! Where logs go: standard error, or the file of a process that has none.

use std::fs::File;
use std::io;
use std::sync::Mutex;

use tracing_subscriber::EnvFilter;

use crate::cli::Global;

/// The variable that chooses what is logged, such as `debug` or `akosha_sync=trace`.
const VARIABLE: &str = "AKOSHA_LOG";

/// What is left out unless it is asked for: rmcp logs a failed connection with the body of the
/// answer, which may hold anything, and the command tells the failure itself.
const LEFT_OUT: &str = "rmcp::transport::worker=off";

/// Logs to standard error.
pub(crate) fn to_stderr(global: &Global) {
    let level = match (global.quiet, global.verbose) {
        (true, _) => "error",
        (_, 0) => "warn",
        (_, 1) => "info",
        _ => "debug",
    };
    let is_plain = std::env::var_os("NO_COLOR").is_some_and(|value| !value.is_empty());
    let subscriber = tracing_subscriber::fmt()
        .with_writer(io::stderr)
        .with_ansi(!is_plain && io::IsTerminal::is_terminal(&io::stderr()))
        .with_env_filter(filter(level));
    // Fails only where a subscriber is set already.
    let _ = subscriber.try_init();
}

/// Logs to a file.
pub(crate) fn to_file(file: File) {
    let subscriber = tracing_subscriber::fmt()
        .with_writer(Mutex::new(file))
        .with_ansi(false)
        .with_env_filter(filter("info"));
    let _ = subscriber.try_init();
}

/// Returns what [`VARIABLE`] asks for, else `level`.
fn filter(level: &str) -> EnvFilter {
    let asked = std::env::var(VARIABLE).ok().filter(|text| !text.is_empty());
    asked
        .and_then(|text| EnvFilter::try_new(text).ok())
        .unwrap_or_else(|| EnvFilter::new(format!("{level},{LEFT_OUT}")))
}
