//! Sync: what every node does with a vault. **push** sends the changes since the last
//! acknowledged one, **pull** verifies and merges what others sent; the queue makes both happen
//! whatever dies.

mod engine;
pub mod envelope;
mod error;
mod method;

pub use engine::{PullReport, QuarantinedUpload, SyncStatus, Syncer};
pub use error::SyncError;
pub use method::{
    Availability, MethodChoice, MethodError, MethodReport, NoProgress, Progress, ProgressState,
    SyncMethod, SyncReport, SyncRequest,
};
