//! Progress of a sync as notifications to the client that asked for them.

use std::time::Duration;

use akosha_sync::{Progress, ProgressState};
use rmcp::RoleServer;
use rmcp::model::{ProgressNotificationParam, ProgressToken};
use rmcp::service::{Peer, RequestContext};
use tokio::sync::watch;
use tokio::task::JoinHandle;

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

/// Tells states until there are no more. The values only grow, as the protocol asks, and keep the
/// unit of the first.
async fn tell(
    peer: Peer<RoleServer>,
    token: ProgressToken,
    mut seen: watch::Receiver<ProgressState>,
) {
    let mut unit = None;
    let mut told = 0.0;
    loop {
        let more = seen.changed().await.is_ok();
        let state = *seen.borrow_and_update();
        let unit = *unit.get_or_insert(Unit::of(&state));
        let (progress, total) = unit.read(&state);
        if progress > told {
            told = progress;
            let mut param = ProgressNotificationParam::new(token.clone(), progress)
                .with_message(describe(&state));
            if let Some(total) = total {
                param = param.with_total(total);
            }
            if peer.notify_progress(param).await.is_err() {
                return;
            }
        }
        if !more {
            return;
        }
        tokio::time::sleep(PAUSE).await;
    }
}

/// What the numbers of one request's notifications count.
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

fn describe(state: &ProgressState) -> String {
    match state.total_memories {
        Some(total) => format!(
            "{} of {total} memories, {} bytes",
            state.memories, state.bytes
        ),
        None => format!("{} memories, {} bytes", state.memories, state.bytes),
    }
}
