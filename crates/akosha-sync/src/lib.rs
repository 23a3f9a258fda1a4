//! Sync: what every node does with a vault. **push** sends the changes since the last
//! acknowledged one, **pull** verifies and merges what others sent; the queue makes both happen
//! whatever dies.

mod availability;
pub mod breaker;
pub mod care;
mod cloud;
mod content_hash;
pub mod crypt;
mod derive;
mod disk;
mod dispute;
mod drain;
mod engine;
pub mod envelope;
mod epoch;
mod error;
pub mod files;
#[cfg(any(fuzzing, test))]
pub mod fuzz;
mod guarded;
mod http;
mod hybrid;
pub mod intake;
mod lease;
mod lower_hex;
pub mod manifest;
mod method;
mod pull;
mod received;
mod report;
mod retry;
pub mod segment;
mod status;
mod survey;
mod tls;
pub mod vault;
pub mod verify;

pub use cloud::CloudSync;
pub use content_hash::ContentHash;
pub use engine::{Adoption, Examination, Syncer, UploadPage, UploadSummary};
pub use error::SyncError;
pub use http::HttpSync;
pub use hybrid::{HybridOutcome, HybridSync};
pub use method::{
    Availability, FileFailure, MethodChoice, MethodReport, NoProgress, Progress, ProgressState,
    SyncMethod, SyncRequest,
};
pub use pull::{PullReport, QuarantinedUpload};
pub use report::{MethodError, SyncReport};
pub use status::{
    Lag, MethodStatus, ParkedJob, QueueStatus, SyncConflict, SyncStatus, VaultStatus,
};
pub use tls::install_provider as install_tls_provider;
