//! Sync: what every node does with a vault. **push** sends the changes since the last
//! acknowledged one, **pull** verifies and merges what others sent; the queue makes both happen
//! whatever dies.

mod availability;
mod cloud;
mod content_hash;
pub mod crypt;
mod disk;
mod dispute;
mod drain;
mod engine;
pub mod envelope;
mod epoch;
mod error;
pub mod files;
mod http;
mod hybrid;
mod lease;
pub mod manifest;
mod method;
pub mod proof;
mod pull;
mod retry;
pub mod segment;
mod status;
mod tls;
pub mod vault;

pub use cloud::CloudSync;
pub use content_hash::ContentHash;
pub use engine::{Adoption, Syncer};
pub use error::SyncError;
pub use http::HttpSync;
pub use hybrid::{HybridOutcome, HybridSync};
pub use method::{
    Availability, FileFailure, MethodChoice, MethodError, MethodReport, NoProgress, Progress,
    ProgressState, SyncMethod, SyncReport, SyncRequest,
};
pub use pull::{PullReport, QuarantinedUpload};
pub use status::{
    Lag, MethodStatus, ParkedJob, QueueStatus, SyncConflict, SyncStatus, VaultStatus,
};
