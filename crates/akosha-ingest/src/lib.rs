//! The server's worker: it finds the uploads of a vault, shares them out among replicas, reads many
//! at once and merges them into the store.
//!
//! [`IngestWorker`] is what a server runs; [`IngestWorker::run_once`] is one look, until nothing is
//! left.

mod scheduler;
mod status;
mod worker;

pub use scheduler::{News, OrchestratorHealth, OrchestratorMode, Scheduler, Turn};
pub use status::{IngestStatus, WorkerState};
pub use worker::IngestWorker;
