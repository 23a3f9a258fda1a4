//! The tasks of the server: each has a name and an end, and one that fails is counted and started
//! again. No request depends on any of them.

use std::any::Any;
use std::collections::BTreeMap;
use std::future::Future;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use akosha_core::metric;
use schemars::JsonSchema;
use serde::Serialize;
use tokio::task::JoinError;
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

/// How long a task that failed is left before it is started again.
#[derive(Debug, Clone, Copy)]
struct Pauses {
    /// After the first failure; twice as long after each further one.
    first: Duration,
    longest: Duration,
    /// A task that worked for so long is healthy: its next failure counts as the first.
    settled: Duration,
}

impl Default for Pauses {
    fn default() -> Self {
        Self {
            first: Duration::from_secs(1),
            longest: Duration::from_mins(1),
            settled: Duration::from_mins(2),
        }
    }
}

/// How long tasks that were cut short have to end.
const LAST: Duration = Duration::from_secs(2);

/// Watches over tasks. Clones share them.
#[derive(Debug, Clone, Default)]
pub(super) struct Supervisor {
    inner: Arc<Inner>,
}

#[derive(Debug, Default)]
struct Inner {
    tracker: TaskTracker,
    /// Cuts every task short.
    abort: CancellationToken,
    pauses: Pauses,
    tasks: Mutex<BTreeMap<&'static str, TaskStatus>>,
}

/// How a task stands.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, JsonSchema)]
pub(super) struct TaskStatus {
    /// Its name.
    pub(super) name: &'static str,
    /// `running`, `restarting` after a failure, or `stopped`.
    pub(super) state: &'static str,
    /// How often it was started again.
    pub(super) restarts: u64,
    /// What its last failure said.
    pub(super) last_error: Option<String>,
}

impl Supervisor {
    /// Starts a task that works until `until` is cancelled. Where it fails, panics or ends before
    /// that, it is made and started again after a pause. Must be called within a runtime.
    pub(super) fn start<F, Work>(&self, name: &'static str, until: CancellationToken, make: F)
    where
        F: Fn(CancellationToken) -> Work + Send + 'static,
        Work: Future<Output = Result<(), String>> + Send + 'static,
    {
        // There from the start, so that the first restart is seen.
        metrics::counter!(metric::TASK_RESTARTS.name, "task" => name).increment(0);
        self.lock().insert(
            name,
            TaskStatus {
                name,
                state: "running",
                restarts: 0,
                last_error: None,
            },
        );
        let supervisor = self.clone();
        self.inner
            .tracker
            .spawn(async move { supervisor.watch(name, until, make).await });
    }

    /// Returns how all tasks stand.
    pub(super) fn status(&self) -> Vec<TaskStatus> {
        self.lock().values().cloned().collect()
    }

    /// Waits until all tasks ended, at most until `deadline`; then `cut_short` is called and those
    /// that are left end soon or are dropped.
    pub(super) async fn finish(&self, deadline: Instant, cut_short: impl FnOnce()) {
        let tracker = &self.inner.tracker;
        tracker.close();
        if tokio::time::timeout_at(deadline, tracker.wait())
            .await
            .is_ok()
        {
            return;
        }
        for task in self.status().iter().filter(|task| task.state != "stopped") {
            tracing::warn!(task = task.name, "still at work at the end of the grace");
        }
        cut_short();
        if tokio::time::timeout(LAST, tracker.wait()).await.is_err() {
            self.inner.abort.cancel();
            let _ = tokio::time::timeout(LAST, tracker.wait()).await;
        }
    }

    async fn watch<F, Work>(&self, name: &'static str, until: CancellationToken, make: F)
    where
        F: Fn(CancellationToken) -> Work + Send + 'static,
        Work: Future<Output = Result<(), String>> + Send + 'static,
    {
        let pauses = self.inner.pauses;
        let mut pause = pauses.first;
        loop {
            let began = Instant::now();
            let mut work = tokio::spawn(make(until.clone()));
            let ended = tokio::select! {
                ended = &mut work => ended,
                () = self.inner.abort.cancelled() => {
                    work.abort();
                    break;
                }
            };
            let error = match ended {
                Ok(Ok(())) if until.is_cancelled() => break,
                Ok(Ok(())) => "it ended although nobody asked it to".to_owned(),
                Ok(Err(error)) => error,
                Err(error) => panicked(error),
            };
            tracing::error!(task = name, error, "a task of the server failed");
            if until.is_cancelled() {
                self.note(name, "stopped", Some(error));
                return;
            }
            if began.elapsed() >= pauses.settled {
                pause = pauses.first;
            }
            self.note(name, "restarting", Some(error));
            tokio::select! {
                () = tokio::time::sleep(pause) => {}
                () = until.cancelled() => break,
            }
            pause = (pause * 2).min(pauses.longest);
            metrics::counter!(metric::TASK_RESTARTS.name, "task" => name).increment(1);
            self.restarted(name);
        }
        self.note(name, "stopped", None);
    }

    fn note(&self, name: &'static str, state: &'static str, error: Option<String>) {
        if let Some(task) = self.lock().get_mut(name) {
            task.state = state;
            task.last_error = error.or(task.last_error.take());
        }
    }

    fn restarted(&self, name: &'static str) {
        if let Some(task) = self.lock().get_mut(name) {
            task.state = "running";
            task.restarts += 1;
        }
    }

    fn lock(&self) -> MutexGuard<'_, BTreeMap<&'static str, TaskStatus>> {
        let tasks = self.inner.tasks.lock();
        tasks.unwrap_or_else(PoisonError::into_inner)
    }
}

/// Says what a task that did not end by itself said at last.
pub(super) fn panicked(error: JoinError) -> String {
    let Ok(said) = error.try_into_panic() else {
        return "it was cut short".into();
    };
    let text = |said: &(dyn Any + Send)| {
        let text = said.downcast_ref::<String>().map(String::as_str);
        text.or_else(|| said.downcast_ref::<&str>().copied())
            .map(|text| text.chars().take(300).collect::<String>())
    };
    match text(&*said) {
        Some(text) => format!("it panicked: {text}"),
        None => "it panicked".into(),
    }
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicU32, Ordering};

    use super::*;

    fn hasty() -> Supervisor {
        Supervisor {
            inner: Arc::new(Inner {
                pauses: Pauses {
                    first: Duration::from_millis(1),
                    longest: Duration::from_millis(4),
                    ..Pauses::default()
                },
                ..Inner::default()
            }),
        }
    }

    async fn eventually(supervisor: &Supervisor, is_so: impl Fn(&TaskStatus) -> bool) {
        for _ in 0..1000 {
            if is_so(&supervisor.status()[0]) {
                return;
            }
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
        panic!("{:?}", supervisor.status());
    }

    async fn finish(supervisor: &Supervisor, within: Duration) -> bool {
        let mut was_cut_short = false;
        let cut_short = || was_cut_short = true;
        supervisor.finish(Instant::now() + within, cut_short).await;
        assert_eq!(supervisor.status()[0].state, "stopped");
        was_cut_short
    }

    #[tokio::test]
    async fn what_panics_fails_or_ends_is_started_again_and_counted() {
        let supervisor = hasty();
        let until = CancellationToken::new();
        let runs = Arc::new(AtomicU32::new(0));
        supervisor.start("shaky", until.clone(), {
            let runs = Arc::clone(&runs);
            move |until| {
                let run = runs.fetch_add(1, Ordering::SeqCst);
                async move {
                    match run {
                        0 => panic!("number {run}"),
                        1 => Err("no disk".into()),
                        2 => Ok(()),
                        _ => {
                            until.cancelled().await;
                            Ok(())
                        }
                    }
                }
            }
        });
        eventually(&supervisor, |task| task.restarts == 3).await;
        let status = supervisor.status().remove(0);
        assert_eq!(status.state, "running");
        assert_eq!(
            status.last_error.unwrap(),
            "it ended although nobody asked it to"
        );
        until.cancel();
        assert!(!finish(&supervisor, Duration::from_secs(10)).await);
        assert_eq!(runs.load(Ordering::SeqCst), 4);
    }

    #[tokio::test]
    async fn what_a_panic_said_is_known_while_it_pauses() {
        let supervisor = Supervisor::default();
        let until = CancellationToken::new();
        supervisor.start("broken", until.clone(), |_| async { panic!("for ever") });
        eventually(&supervisor, |task| task.state == "restarting").await;
        let said = supervisor.status().remove(0).last_error;
        assert_eq!(said.unwrap(), "it panicked: for ever");
        until.cancel();
        assert!(!finish(&supervisor, Duration::from_secs(10)).await);
    }

    #[tokio::test]
    async fn what_does_not_end_is_cut_short() {
        let supervisor = Supervisor::default();
        let until = CancellationToken::new();
        supervisor.start("stubborn", until.clone(), |_| std::future::pending());
        until.cancel();
        assert!(finish(&supervisor, Duration::from_millis(50)).await);
    }
}
