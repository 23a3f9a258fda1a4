//! Looks into the vault for uploads that are not merged.
//!
//! A *poll* lists the inbox: one listing, however many systems are idle. A *sweep* lists every
//! system, and so finds an upload whose marker was never written or was lost. Both give what they
//! find in pieces, so memory does not grow with what there is.

use std::collections::{HashMap, HashSet};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use akosha_core::UploadId;
use akosha_sync::SyncError;
use akosha_sync::intake::{Candidate, Intake, Marker, Sorted};
use akosha_sync::vault::VaultKey;
use chrono::{DateTime, TimeDelta, Utc};
use futures::{StreamExt, TryStreamExt, stream};
use tokio::sync::mpsc;
use tokio::time::Instant;

use crate::task::Shared;

/// Age by the storage's clock after which a marker is removed whose upload this store has settled:
/// other servers with stores of their own have seen it by then, or find the upload by a sweep.
const MARKER_STAYS: TimeDelta = TimeDelta::days(1);

/// Age by the storage's clock after which a lease is removed that nobody gave back.
const LEASE_STAYS: TimeDelta = TimeDelta::days(1);

/// Markers that are looked up in the store together.
const PIECE: usize = 1_000;

/// Most objects that one look removes; the next one goes on.
const MOST_REMOVED: usize = 5_000;

/// Requests of one look that are under way at once.
const IN_FLIGHT: usize = 8;

/// Most uploads without a manifest that are remembered.
const MOST_ABSENT: usize = 100_000;

/// Pause before an upload is looked for again whose marker is there and whose manifest is not.
const ABSENT_PAUSE: Duration = Duration::from_mins(1);

/// Longest such pause.
const LONGEST_PAUSE: Duration = Duration::from_hours(6);

/// How the vault is looked into.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Look {
    /// The inbox alone.
    Poll,
    /// Every system.
    Sweep,
}

impl Look {
    /// Returns the name that metrics show.
    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Poll => "inbox",
            Self::Sweep => "sweep",
        }
    }
}

/// A piece of what a look found.
#[derive(Debug, Default)]
pub(crate) struct Piece {
    /// To be worked on.
    pub(crate) uploads: Vec<Candidate>,
    /// As they were when they were set aside for good, with the reason.
    pub(crate) hopeless: Vec<(Candidate, String)>,
}

/// Uploads whose marker is there and whose manifest is not: a marker is written after the
/// manifest, so they are gone, or never were. Clones share them.
#[derive(Debug, Clone, Default)]
pub(crate) struct Absent(Arc<Mutex<HashMap<UploadId, (Instant, Duration)>>>);

impl Absent {
    /// Notes that an upload is not there.
    pub(crate) fn note(&self, upload_id: &UploadId) {
        let mut absent = self.lock();
        if absent.len() >= MOST_ABSENT && !absent.contains_key(upload_id) {
            return;
        }
        let pause = absent
            .get(upload_id)
            .map_or(ABSENT_PAUSE, |(_, pause)| *pause * 2);
        let pause = pause.min(LONGEST_PAUSE);
        absent.insert(upload_id.clone(), (Instant::now() + pause, pause));
    }

    /// Returns when an upload was found to be missing; `None` where it never was.
    fn get(&self, upload_id: &UploadId) -> Option<Missing> {
        let (until, _) = *self.lock().get(upload_id)?;
        Some(if Instant::now() < until {
            Missing::Lately
        } else {
            Missing::Before
        })
    }

    /// Forgets those that the inbox does not have any more.
    fn keep(&self, markers: &HashSet<UploadId>) {
        self.lock()
            .retain(|upload_id, _| markers.contains(upload_id));
    }

    fn lock(&self) -> MutexGuard<'_, HashMap<UploadId, (Instant, Duration)>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// When an upload was found to be missing.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Missing {
    /// A short time ago.
    Lately,
    /// Long enough ago to look for it again.
    Before,
}

/// A look at work.
#[derive(Debug)]
pub(crate) struct Looking {
    pub(crate) shared: Arc<Shared>,
    pub(crate) absent: Absent,
    /// Takes what is found.
    pub(crate) found: mpsc::Sender<Piece>,
    /// Whether uploads that are set aside are tried again before their time.
    pub(crate) is_eager: bool,
}

impl Looking {
    /// Looks, and ends early where nobody takes what is found any more.
    ///
    /// # Errors
    /// Fails where the vault does not answer or refuses; what was found before is given nevertheless.
    pub(crate) async fn run(self, look: Look) -> Result<(), SyncError> {
        match look {
            Look::Poll => self.poll().await,
            Look::Sweep => self.sweep().await,
        }
    }

    async fn poll(&self) -> Result<(), SyncError> {
        let intake = self.intake();
        let mut doomed = Vec::new();
        let mut absent = HashSet::new();
        let mut inbox = intake.inbox().try_chunks(PIECE);
        while let Some(markers) = inbox.next().await {
            let markers = markers.map_err(|error| error.1)?;
            let mut candidates = Vec::with_capacity(markers.len());
            for marker in markers {
                let missing = self.absent.get(&marker.upload_id);
                if missing.is_some() {
                    absent.insert(marker.upload_id.clone());
                }
                match marker.upload_id.system_id() {
                    // A marker is written after the manifest, so nothing is to come any more.
                    _ if missing == Some(Missing::Lately) => doomed.push(marker),
                    Some(system_id) => candidates.push(Candidate {
                        system_id,
                        upload_id: marker.upload_id,
                        at: marker.at,
                        seen: None,
                    }),
                    // No marker of Akosha; the upload, if there is one, is found by a sweep.
                    None => doomed.push(marker),
                }
            }
            let mut sorted = intake.sort(candidates).await?;
            let settled = std::mem::take(&mut sorted.merged).into_iter();
            let hopeless = std::mem::take(&mut sorted.hopeless).into_iter();
            doomed.extend(settled.chain(hopeless.map(|it| it.0)).map(|it| Marker {
                upload_id: it.upload_id,
                at: it.at,
            }));
            let now = self.now();
            doomed.retain(|marker| now - marker.at >= MARKER_STAYS);
            doomed.truncate(MOST_REMOVED);
            self.give(sorted).await;
        }
        self.absent.keep(&absent);
        self.remove_markers(doomed).await;
        Ok(())
    }

    async fn sweep(&self) -> Result<(), SyncError> {
        let intake = self.intake();
        let before = intake.on_store(akosha_store::Store::quarantined).await?;
        let mut quarantined: HashSet<(String, String)> = before
            .into_iter()
            .filter(|it| it.item.is_none())
            .map(|it| (it.system_id, it.upload_id))
            .collect();
        let listings = stream::iter(intake.systems().await?).map(async |system_id| {
            let uploads = intake.uploads(&system_id).await?;
            let ids: Vec<(String, String)> = uploads
                .iter()
                .map(|it| (it.system_id.to_string(), it.upload_id.to_string()))
                .collect();
            Ok((ids, intake.sort(uploads).await?))
        });
        let mut listings = listings.buffer_unordered(IN_FLIGHT);
        let mut failed = None;
        while let Some(listing) = listings.next().await {
            match listing {
                Ok((ids, sorted)) => {
                    for id in &ids {
                        quarantined.remove(id);
                    }
                    self.give(sorted).await;
                }
                Err(error @ SyncError::CloudUpload { .. }) => {
                    failed.get_or_insert(error);
                }
                Err(error) => return Err(error),
            }
        }
        if let Some(error) = failed {
            return Err(error);
        }
        // They were set aside and are no longer in the vault.
        let gone: Vec<_> = quarantined.into_iter().collect();
        intake
            .on_store(move |store| store.lift_quarantine(&gone))
            .await?;
        self.remove_old_leases().await;
        let cleaned = intake.on_store(|store| {
            store
                .home()
                .remove_stale_leftovers(store.sources().clock.now());
            Ok(())
        });
        cleaned.await
    }

    /// Gives what is to be worked on.
    async fn give(&self, sorted: Sorted) {
        let now = self.now();
        let due = |not_before: DateTime<Utc>| self.is_eager || not_before <= now;
        let mut uploads = sorted.new;
        uploads.extend(
            sorted
                .later
                .into_iter()
                .filter_map(|(candidate, not_before, _)| due(not_before).then_some(candidate)),
        );
        let hopeless = sorted.hopeless;
        if !uploads.is_empty() || !hopeless.is_empty() {
            // The worker stops where nobody takes it.
            let _ = self.found.send(Piece { uploads, hopeless }).await;
        }
    }

    /// Removes markers that have outlived their use. What fails is left for the next look.
    async fn remove_markers(&self, mut doomed: Vec<Marker>) {
        if doomed.is_empty() {
            return;
        }
        let now = self.shared.leases.storage_time().await;
        doomed.retain(|marker| now - marker.at >= MARKER_STAYS);
        let removed = stream::iter(doomed)
            .map(async |marker| self.intake().remove_marker(&marker.upload_id).await)
            .buffer_unordered(IN_FLIGHT)
            .try_fold(0_usize, async |count, ()| Ok(count + 1))
            .await;
        match removed {
            Ok(count) => tracing::debug!(count, "removed markers of uploads that are merged"),
            Err(error) => tracing::info!(%error, "markers of merged uploads stay in the inbox"),
        }
    }

    /// Removes leases of replicas that died long ago. What fails is left for the next look.
    async fn remove_old_leases(&self) {
        let vault = self.intake().vault();
        let now = self.shared.leases.storage_time().await;
        let old: Result<Vec<UploadId>, _> = vault
            .list_leases()
            .try_filter_map(async |(upload_id, at)| {
                Ok((now - at >= LEASE_STAYS).then_some(upload_id))
            })
            .take(MOST_REMOVED)
            .try_collect()
            .await;
        for upload_id in old.unwrap_or_default() {
            if let Err(error) = vault.delete(&VaultKey::lease(&upload_id)).await {
                tracing::info!(%error, "old leases stay in the vault");
                return;
            }
        }
    }

    fn intake(&self) -> &Intake {
        &self.shared.intake
    }

    fn now(&self) -> DateTime<Utc> {
        self.intake().store().sources().clock.now()
    }
}
