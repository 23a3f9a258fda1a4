//! Proof that a vault holds what its manifests say.
//!
//! | module | does |
//! |---|---|
//! | `survey` | lists a system and reads its manifests |
//! | `verify` | checks every object that a manifest names |

mod survey;
mod verify;

pub use verify::VerifyReport;

pub(crate) use verify::verify;

use serde::Serialize;

/// Something in a vault that is not as it has to be.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize)]
pub struct Problem {
    /// Whose upload.
    pub system_id: String,
    /// The upload that is affected; null for what belongs to none.
    pub upload_id: Option<String>,
    /// The object.
    pub key: String,
    /// What is wrong with it.
    pub problem: String,
}
