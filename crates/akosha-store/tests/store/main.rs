//! How the store behaves, seen from outside.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::print_stdout,
    clippy::print_stderr
)]

mod content;
mod damage;
mod derived;
mod dispute;
mod forget;
mod lease;
mod ledger;
mod list;
mod merge;
mod outbox;
mod processes;
mod put;
mod queue;
mod search;
mod search_text;
mod support;
mod system;
mod target_note;
mod token;
mod unsent;
mod upgrade;
