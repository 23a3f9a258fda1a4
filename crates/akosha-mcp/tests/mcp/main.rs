//! The server as a client sees it: a real store in a temporary home, `rmcp`'s own client over an
//! in-memory pipe. One file per group of tools; every answer is checked against its schema.
#![allow(
    clippy::unwrap_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "a test that cannot go on fails"
)]

mod memory;
mod protocol;
mod push;
mod redaction;
mod search;
mod session;
mod store;
mod support;
mod sync;
