//! Progress of a sync as notifications to the client that asked for them.

use std::time::Duration;

use akosha_sync::{Progress, ProgressState};
use rmcp::RoleServer;
use rmcp::model::{ProgressNotificationParam, ProgressToken};
use rmcp::service::{Peer, RequestContext};
use tokio::sync::watch;
use tokio::task::JoinHandle;
use tokio::time::Instant;

/// Shortest time between two notifications.
const PAUSE: Duration = Duration::from_millis(200);

/// Longest time that the last notification may hold up the answer.
const LAST: Duration = Duration::from_secs(1);

/// Takes the progress of a sync and tells the client some of it, at most five times a second.
pub(crate) struct Relay {
    states: watch::Sender<ProgressState>,
    telling: Option<JoinHandle<()>>,
}

impl Progress for Relay {
    fn update(&self, state: ProgressState) {
        self.states.send_replace(state);
    }
}

impl Relay {
    /// Creates the relay of one request; silent where the client gave no token.
    pub(crate) fn of(context: &RequestContext<RoleServer>) -> Self {
        let (states, seen) = watch::channel(ProgressState::default());
        let telling = context
            .meta
            .get_progress_token()
            .map(|token| tokio::spawn(tell(context.peer.clone(), token, seen)));
        Self { states, telling }
    }

    /// Tells the last state and ends; the answer follows.
    pub(crate) async fn finish(self) {
        let Self { states, telling } = self;
        drop(states);
        if let Some(mut telling) = telling
            && tokio::time::timeout(LAST, &mut telling).await.is_err()
        {
            telling.abort();
        }
    }
}

/// Tells states until there are no more. The values only grow, as the protocol asks: where
/// something else is counted from now on, it is added to what was told.
async fn tell(
    peer: Peer<RoleServer>,
    token: ProgressToken,
    mut seen: watch::Receiver<ProgressState>,
) {
    let mut stage: Option<Stage> = None;
    let mut told = 0.0;
    loop {
        let more = seen.changed().await.is_ok();
        let now = *seen.borrow_and_update();
        let unit = Unit::of(&now);
        let stage = match &stage {
            Some(stage) if stage.unit == unit => stage,
            _ => stage.insert(Stage {
                unit,
                before: told,
                since: Instant::now(),
            }),
        };
        let (done, total) = unit.read(&now);
        let progress = stage.before + done;
        if progress > told {
            told = progress;
            let mut param = ProgressNotificationParam::new(token.clone(), progress)
                .with_message(describe(&now, stage.since.elapsed()));
            if let Some(total) = total {
                param = param.with_total(stage.before + total);
            }
            if peer.notify_progress(param).await.is_err() {
                return;
            }
        }
        if !more {
            return;
        }
        // The end is told at once; a clone leaves what `seen` has seen as it is.
        let mut until_end = seen.clone();
        let _ = tokio::time::timeout(PAUSE, until_end.wait_for(|_| false)).await;
    }
}

/// A time in which one thing is counted.
struct Stage {
    unit: Unit,
    /// What was told before it.
    before: f64,
    since: Instant,
}

/// What the numbers of notifications count: bytes, unless only the number of memories to do is
/// known.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Unit {
    Bytes,
    Memories,
}

impl Unit {
    fn of(state: &ProgressState) -> Self {
        if state.total_bytes.is_none() && state.total_memories.is_some() {
            Self::Memories
        } else {
            Self::Bytes
        }
    }

    fn read(self, state: &ProgressState) -> (f64, Option<f64>) {
        let (done, total) = match self {
            Self::Bytes => (state.bytes, state.total_bytes),
            Self::Memories => (state.memories, state.total_memories),
        };
        (done as f64, total.map(|total| total as f64))
    }
}

/// Says what is done, of how much, how fast, and how long the rest takes at that rate.
fn describe(state: &ProgressState, took: Duration) -> String {
    let mut parts = Vec::new();
    match (state.memories, state.total_memories) {
        (done, Some(total)) => parts.push(format!("{done} of {total} memories")),
        (0, None) => {}
        (done, None) => parts.push(format!("{done} memories")),
    }
    parts.push(match state.total_bytes {
        Some(total) => format!("{} of {}", mib(state.bytes), mib(total)),
        None => mib(state.bytes),
    });
    let seconds = took.as_secs_f64();
    // Before that a rate says nothing.
    if seconds >= 0.5 {
        parts.push(format!("{}/s", mib((state.bytes as f64 / seconds) as u64)));
        let (done, total) = Unit::of(state).read(state);
        if let Some(total) = total.filter(|_| done > 0.0) {
            let left = (total - done).max(0.0) * seconds / done;
            parts.push(format!("{left:.0} s left"));
        }
    }
    parts.join(", ")
}

fn mib(bytes: u64) -> String {
    format!("{:.1} MiB", bytes as f64 / f64::from(1 << 20))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_message_tells_size_rate_and_time_left() {
        let files = ProgressState {
            bytes: 3 << 20,
            total_bytes: Some(12 << 20),
            ..ProgressState::default()
        };
        let message = describe(&files, Duration::from_secs(2));
        assert_eq!(message, "3.0 MiB of 12.0 MiB, 1.5 MiB/s, 6 s left");
        assert_eq!(describe(&files, Duration::ZERO), "3.0 MiB of 12.0 MiB");
        let memories = ProgressState {
            bytes: 1 << 20,
            total_bytes: None,
            memories: 50,
            total_memories: Some(200),
        };
        let message = describe(&memories, Duration::from_secs(1));
        assert_eq!(message, "50 of 200 memories, 1.0 MiB, 1.0 MiB/s, 3 s left");
    }
}
