//! Whether a push may write as the system that it names.

use akosha_core::{ErrorKind, SystemId};
use akosha_store::{Claim, Store, StoreError};
use akosha_sync::envelope::Writer;

use crate::Failure;

/// A system that another writer has, or this node itself.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Taken {
    /// What is to be told.
    pub(crate) message: String,
    /// The epoch that has to be exceeded; `None` where this node writes as the system.
    pub(crate) epoch: Option<i64>,
}

impl From<Taken> for Failure {
    fn from(taken: Taken) -> Self {
        Self::new(ErrorKind::Conflict, taken.message)
            .with_hint("set another `system_id` on the machine that pushes")
    }
}

/// Claims a system for the writer of a push. Blocks.
///
/// # Errors
/// Fails where the store does; within that says who has the system.
pub(crate) fn claim(
    store: &Store,
    system_id: &SystemId,
    writer: Option<&Writer>,
) -> Result<Result<(), Taken>, StoreError> {
    let mark = writer.and_then(|writer| writer.mark.as_ref());
    let writer = writer.map(|writer| (&writer.id, writer.epoch));
    Ok(match store.claim_system(system_id, writer, mark)? {
        Claim::Granted => Ok(()),
        Claim::Taken { epoch } => Err(Taken {
            message: format!("another machine pushes as `{system_id}` there, epoch {epoch}"),
            epoch: Some(epoch),
        }),
        Claim::Copied { epoch } => Err(Taken {
            message: format!(
                "a copy of this home, or this home before it was put back from a backup, pushes as \
                 `{system_id}` there, epoch {epoch}"
            ),
            epoch: Some(epoch),
        }),
        Claim::Own => Err(Taken {
            message: format!("the node there writes as `{system_id}` itself"),
            epoch: None,
        }),
    })
}
