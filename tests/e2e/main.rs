//! The real program from outside: one file per promise, one folder of helpers.
//!
//! Every test works in a home of its own under a temporary folder, with nothing of the caller's
//! environment. Random choices come from a seed that a failing test prints; `AKOSHA_TEST_SEED`
//! sets it.

#![allow(
    clippy::expect_used,
    clippy::panic,
    clippy::print_stderr,
    clippy::unwrap_used,
    reason = "these are tests: what is not as expected ends them"
)]
#![cfg_attr(
    not(unix),
    allow(dead_code, reason = "helpers of tests that need Unix signals")
)]

mod bad_input;
mod conflict;
mod encryption;
mod fallback;
mod files;
mod hostile;
mod http_writers;
#[cfg(unix)]
mod ingest;
#[cfg(unix)]
mod kill;
#[cfg(unix)]
mod kill_steps;
mod moved_vault;
mod older_version;
#[cfg(unix)]
mod push_kill;
#[cfg(unix)]
mod session_end;
mod stdio;
mod support;
mod the_loop;
mod vault_care;
mod vault_repair;
mod vault_verify;
