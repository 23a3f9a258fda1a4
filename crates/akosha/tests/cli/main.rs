//! Every command through the real binary: the shape of its answers, its exit codes and its errors.
//! What the commands do in depth is tested where it is done, and end to end in `tests/e2e`.

#![allow(
    clippy::unwrap_used,
    clippy::panic,
    reason = "a helper of the tests that fails is a test that fails"
)]

mod completions;
mod config;
mod demo;
mod deploy;
mod doctor;
mod documents;
mod drain;
mod export;
mod forget;
mod get;
mod history;
mod hook;
mod import;
mod import_session_buddy;
mod key;
mod list;
mod live;
mod logs;
mod machines;
mod mcp;
mod metrics;
mod pull;
mod quarantine;
mod redaction;
mod search;
mod serve;
mod status;
mod store;
mod support;
mod sync;
mod token;
#[cfg(feature = "otel")]
mod traces;
mod usage;
