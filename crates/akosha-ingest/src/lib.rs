//! The server's worker: it finds the uploads of a vault, shares them out among replicas, reads many
//! at once and merges them into the store.
//!
//! [`IngestWorker`] is what a server runs; [`IngestWorker::run_once`] is one look, until nothing is
//! left.
//!
//! An upload goes through these hands: a *look* finds it, the *queue* gives its system a turn, a
//! *task* claims it by a lease and reads it, one thread *merges* it together with others that are
//! ready. What fails stays behind alone: tried again later, or set aside with its reason.

mod engine;
mod lease;
mod limits;
mod look;
mod merger;
mod once;
mod orchestrator;
mod presence;
mod quarantine;
mod queue;
mod record;
mod scheduler;
mod scrub;
mod serve;
mod status;
mod suspects;
mod task;
#[cfg(test)]
mod tests;
mod worker;

pub use orchestrator::Orchestrator;
pub use quarantine::{RetryReport, Selection, SetAside, UploadName};
pub use scheduler::{News, OrchestratorHealth, OrchestratorMode, Scheduler, Turn};
pub use status::{IngestStatus, WorkerState};
pub use worker::IngestWorker;
