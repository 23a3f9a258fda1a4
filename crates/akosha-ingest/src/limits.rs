//! What uploads in work share: memory, disk, processors, and the turn of those whose manifest is
//! large.

use std::sync::Arc;

use tokio::sync::{OwnedSemaphorePermit, Semaphore};

/// Memory for rows that wait to be merged: 64 MiB for all uploads together.
const MEMORY_KIB: usize = 64 << 10;

/// Memory for the rows of one upload: 4 MiB; those of a larger one stay on the disk.
pub(crate) const MOST_KIB: usize = 4 << 10;

/// Disk for segments that wait to be merged: 4 GiB for all uploads together. A larger upload has
/// it alone.
const DISK_KIB: usize = 4 << 20;

/// Takes its shares; each is given back when what it returned is dropped.
#[derive(Debug, Clone)]
pub(crate) struct Limits {
    memory: Arc<Semaphore>,
    disk: Arc<Semaphore>,
    processors: Arc<Semaphore>,
    large: Arc<Semaphore>,
}

impl Limits {
    /// Creates the limits of this machine.
    pub(crate) fn new() -> Self {
        let processors = std::thread::available_parallelism().map_or(1, usize::from);
        Self {
            memory: Arc::new(Semaphore::new(MEMORY_KIB)),
            disk: Arc::new(Semaphore::new(DISK_KIB)),
            processors: Arc::new(Semaphore::new(processors)),
            large: Arc::new(Semaphore::new(1)),
        }
    }

    /// Waits for memory for so many bytes, at most what one upload may have. Also returns how many
    /// bytes it is.
    pub(crate) async fn memory(&self, bytes: usize) -> Option<(OwnedSemaphorePermit, usize)> {
        let kib = bytes.div_ceil(1 << 10).min(MOST_KIB);
        let permit = take(&self.memory, kib).await?;
        Some((permit, kib << 10))
    }

    /// Waits for disk for so many bytes.
    pub(crate) async fn disk(&self, bytes: u64) -> Option<OwnedSemaphorePermit> {
        let kib = usize::try_from(bytes.div_ceil(1 << 10)).unwrap_or(DISK_KIB);
        take(&self.disk, kib.min(DISK_KIB)).await
    }

    /// Waits until no other upload is in work whose manifest is large. Comes before all else, so that
    /// nobody waits for it who holds what another needs.
    pub(crate) async fn large(&self) -> Option<OwnedSemaphorePermit> {
        take(&self.large, 1).await
    }

    /// Waits for a processor.
    pub(crate) async fn processor(&self) -> Option<OwnedSemaphorePermit> {
        take(&self.processors, 1).await
    }
}

async fn take(semaphore: &Arc<Semaphore>, permits: usize) -> Option<OwnedSemaphorePermit> {
    let permits = u32::try_from(permits).unwrap_or(u32::MAX);
    // Nobody closes them.
    Arc::clone(semaphore).acquire_many_owned(permits).await.ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn what_is_given_out_is_bounded_and_comes_back() {
        let limits = Limits::new();
        let mut taken = Vec::new();
        while limits.memory.available_permits() > 0 {
            let (permit, room) = limits.memory(1 << 40).await.unwrap();
            assert_eq!(room, MOST_KIB << 10);
            taken.push(permit);
        }
        assert_eq!(taken.len() * MOST_KIB, MEMORY_KIB);
        drop(taken);
        assert_eq!(limits.memory.available_permits(), MEMORY_KIB);
        let all = limits.disk(u64::MAX).await.unwrap();
        assert_eq!(limits.disk.available_permits(), 0);
        drop(all);
    }
}
