//! Holds the head of a system while objects are removed.
//!
//! A push may rely on an object that it found and did not send, and name it in a manifest that is
//! not there yet. So whoever removes objects writes the head anew before it looks what is named: a
//! push that began before it cannot move the head any more, takes its manifest back and begins
//! anew. Another one cannot begin, since this home has its drain lease; where a copy of the home or
//! a machine that takes the id over does, the head moves, and the removal stops.

use akosha_store::Store;
use chrono::TimeDelta;

use crate::SyncError;
use crate::cloud::Publication;
use crate::disk::on_disk;
use crate::vault::{CurrentHead, Head, HeadVersion, Swap};

/// A head that was written anew.
pub(super) struct Held<'a> {
    publication: Publication<'a>,
    head: Head,
    version: HeadVersion,
}

impl<'a> Held<'a> {
    pub(super) async fn take(
        publication: Publication<'a>,
        current: CurrentHead,
    ) -> Result<Self, SyncError> {
        let CurrentHead { head, version } = write(publication, current).await?;
        Ok(Self {
            publication,
            head,
            version,
        })
    }

    /// Fails where the head was moved, or this process has lost its claim.
    pub(super) async fn check(&self) -> Result<(), SyncError> {
        on_disk(self.publication.store, Store::check_claim).await?;
        let current = self.publication.vault.read_head(&self.head.system_id);
        match current.await? {
            Some(current) if current.version == self.version => Ok(()),
            current => Err(moved(self.publication, current).await),
        }
    }

    /// Lets go: whoever began to push meanwhile has to look anew what is there.
    pub(super) async fn release(self) -> Result<(), SyncError> {
        let current = CurrentHead {
            head: self.head,
            version: self.version,
        };
        write(self.publication, current).await.map(drop)
    }
}

/// Writes a head with another time and nothing else.
async fn write(
    publication: Publication<'_>,
    current: CurrentHead,
) -> Result<CurrentHead, SyncError> {
    let Publication { store, vault, .. } = publication;
    let later = current.head.updated_at + TimeDelta::microseconds(1);
    let head = Head {
        updated_at: store.sources().clock.now().max(later),
        ..current.head
    };
    on_disk(store, Store::check_claim).await?;
    if let Swap::Lost { current } = vault.swap_head(Some(&current.version), &head).await? {
        return Err(moved(publication, current).await);
    }
    match vault.read_head(&head.system_id).await? {
        Some(written) if written.head == head => Ok(written),
        current => Err(moved(publication, current).await),
    }
}

async fn moved(publication: Publication<'_>, current: Option<CurrentHead>) -> SyncError {
    let Some(CurrentHead { head, .. }) = current else {
        return SyncError::damaged(format!("the head of `{}` went away", publication.system_id));
    };
    match publication.state().await {
        Ok(state) => publication.conflict(&head, &state),
        Err(error) => error,
    }
}
