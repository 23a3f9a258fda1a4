//! What a push does where another writer has the system id that it writes under.

use akosha_core::SystemId;
use akosha_store::{Store, Target};

use crate::SyncError;
use crate::disk::on_disk;

/// Returns the systems whose changes a push sends: ids that this node had before come first, as
/// what cannot be sent under one of them is sent under the present one.
pub(crate) async fn systems(store: &Store) -> Result<Vec<SystemId>, SyncError> {
    let mut systems = on_disk(store, Store::local_systems).await?;
    let present = systems.len().min(1);
    systems.rotate_left(present);
    Ok(systems)
}

/// Moves what nobody else has from an id that this node had before, and that `conflict` says
/// another one has now, to its present id. Fails with `conflict` where something is left.
pub(crate) async fn move_away(
    store: &Store,
    target: &Target,
    former: &SystemId,
    conflict: SyncError,
) -> Result<(), SyncError> {
    let (moved, unsynced, refused) = on_disk(store, {
        let (target, former) = (target.clone(), former.clone());
        move |store| {
            let moved = store.move_unsent(&former, store.system_id())?;
            let refused = store.rejected(&target, &former)?.len() as u64;
            Ok((moved, store.unsynced(&target, &former)?, refused))
        }
    })
    .await?;
    let left = unsynced.changes + refused;
    if moved > 0 {
        let to = store.system_id();
        tracing::info!(%former, %to, moved, "what was not synced has another system id now");
    }
    if left == 0 {
        return Ok(());
    }
    let deletions = match unsynced.deletions {
        0 => String::new(),
        count => format!(" (deletions: {count})"),
    };
    Err(match conflict {
        SyncError::Conflict {
            method,
            epoch,
            message,
            ..
        } => SyncError::Conflict {
            hint: format!(
                "{left} of its changes{deletions} belong to what others have under that id, so they \
                 keep it; to send them here too, take the id over: `akosha machines adopt {former}`"
            ),
            method,
            epoch,
            message,
        },
        other => other,
    })
}

/// Makes durable what became of the push of an id, as [`record`] does, and returns it. What waits
/// under an id that this node had before is told by a failure when it is found and when it changes;
/// after that by `warnings` alone: nobody may be there to take the id over.
pub(crate) async fn settle(
    store: &Store,
    target: &Target,
    system_id: &SystemId,
    pushed: Result<(), SyncError>,
    warnings: &mut Vec<String>,
) -> Result<(), SyncError> {
    let known = on_disk(store, {
        let target = target.clone();
        move |store| store.disputes(&target)
    });
    let known = known.await?;
    record(store, target, system_id, &pushed).await?;
    match pushed {
        Err(SyncError::Conflict { message, hint, .. })
            if system_id != store.system_id()
                && known
                    .iter()
                    .any(|known| known.system_id == *system_id && known.hint == hint) =>
        {
            warnings.push(format!("{message}; {hint}"));
            Ok(())
        }
        pushed => pushed,
    }
}

/// Makes durable whether an id is disputed in a target, so that `status` can tell.
pub(crate) async fn record(
    store: &Store,
    target: &Target,
    system_id: &SystemId,
    pushed: &Result<(), SyncError>,
) -> Result<(), SyncError> {
    let (target, system_id) = (target.clone(), system_id.clone());
    match pushed {
        Ok(()) => on_disk(store, move |store| store.undispute(&target, &system_id)).await,
        Err(SyncError::Conflict {
            epoch,
            message,
            hint,
            ..
        }) => {
            let (epoch, message, hint) = (*epoch, message.clone(), hint.clone());
            on_disk(store, move |store| {
                store.dispute(&target, &system_id, epoch, &message, &hint)
            })
            .await
        }
        // Nothing was learnt.
        Err(_) => Ok(()),
    }
}
