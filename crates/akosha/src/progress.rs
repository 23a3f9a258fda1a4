//! Progress of a sync or a pull: a bar with sizes and rates where a person watches.

use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use akosha_sync::{NoProgress, Progress, ProgressState};
use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};

use crate::output::Output;
use crate::show;

/// Pause between two turns of the spinner.
const TICK: Duration = Duration::from_millis(120);

/// Draws to standard error, or nothing.
pub(crate) struct Bar {
    bar: Option<ProgressBar>,
    counted: Mutex<Option<Counted>>,
}

/// What a bar counts: bytes, unless only the number of memories to do is known.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Counted {
    Bytes { has_total: bool },
    Memories,
}

impl Counted {
    fn of(state: &ProgressState) -> Self {
        match (state.total_bytes, state.total_memories) {
            (None, Some(_)) => Self::Memories,
            (total, _) => Self::Bytes {
                has_total: total.is_some(),
            },
        }
    }

    fn template(self) -> &'static str {
        match self {
            Self::Bytes { has_total: true } => {
                "{spinner} {msg} {wide_bar} {binary_bytes}/{binary_total_bytes} \
                 {binary_bytes_per_sec}, {eta} left {prefix}"
            }
            Self::Bytes { has_total: false } => {
                "{spinner} {msg} {binary_bytes} {binary_bytes_per_sec} {prefix}"
            }
            Self::Memories => {
                "{spinner} {msg} {wide_bar} {human_pos}/{human_len} memories, {eta} left, {prefix}"
            }
        }
    }
}

impl Bar {
    /// Creates the progress of `doing`, such as `pushing`.
    pub(crate) fn new(output: Output, doing: &'static str) -> Self {
        let bar = output.shows_progress().then(|| {
            let bar = ProgressBar::with_draw_target(None, ProgressDrawTarget::stderr());
            bar.set_style(read(Counted::Bytes { has_total: false }.template()));
            bar.set_message(doing);
            bar.enable_steady_tick(TICK);
            bar
        });
        Self {
            bar,
            counted: Mutex::default(),
        }
    }

    /// Takes the bar off the screen.
    pub(crate) fn clear(&self) {
        if let Some(bar) = &self.bar {
            bar.finish_and_clear();
        }
    }
}

impl Progress for Bar {
    fn update(&self, state: ProgressState) {
        let Some(bar) = &self.bar else {
            return NoProgress.update(state);
        };
        let counted = Counted::of(&state);
        let mut before = self.counted.lock().unwrap_or_else(PoisonError::into_inner);
        if *before != Some(counted) {
            *before = Some(counted);
            bar.set_style(read(counted.template()));
            // Rate and time left are those of what is counted now.
            bar.reset();
        }
        let (done, total) = match counted {
            Counted::Bytes { .. } => (state.bytes, state.total_bytes),
            Counted::Memories => (state.memories, state.total_memories),
        };
        match total {
            Some(total) => bar.set_length(total),
            None => bar.unset_length(),
        }
        bar.set_position(done);
        bar.set_prefix(match counted {
            Counted::Memories => show::size(state.bytes),
            Counted::Bytes { .. } if state.memories > 0 => {
                show::counted(state.memories, "memory", "memories")
            }
            Counted::Bytes { .. } => String::new(),
        });
    }
}

/// Counts on standard error, or nowhere.
pub(crate) struct Counter {
    bar: Option<ProgressBar>,
}

impl Counter {
    /// Creates the counter of what was `done`, such as `imported`.
    pub(crate) fn new(output: Output, done: &'static str) -> Self {
        let bar = output.shows_progress().then(|| {
            let bar = ProgressBar::with_draw_target(None, ProgressDrawTarget::stderr());
            bar.set_style(read("{spinner} {human_pos} {msg}, {per_sec}"));
            bar.set_message(done);
            bar
        });
        Self { bar }
    }

    /// Takes the present count.
    pub(crate) fn update(&self, count: u64) {
        if let Some(bar) = &self.bar {
            bar.set_position(count);
        }
    }

    /// Takes the counter off the screen.
    pub(crate) fn clear(&self) {
        if let Some(bar) = &self.bar {
            bar.finish_and_clear();
        }
    }
}

/// Reads a template; ours are sound, which a test proves.
fn read(template: &str) -> ProgressStyle {
    ProgressStyle::with_template(template).unwrap_or_else(|_| ProgressStyle::default_spinner())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn templates_are_sound() {
        for counted in [
            Counted::Bytes { has_total: true },
            Counted::Bytes { has_total: false },
            Counted::Memories,
        ] {
            assert!(ProgressStyle::with_template(counted.template()).is_ok());
        }
    }

    #[test]
    fn a_bar_counts_what_has_a_total() {
        let bar = Bar {
            bar: Some(ProgressBar::hidden()),
            counted: Mutex::default(),
        };
        let inner = bar.bar.as_ref().unwrap();
        bar.update(ProgressState {
            bytes: 2048,
            total_bytes: None,
            memories: 1,
            total_memories: Some(2),
        });
        assert_eq!((inner.position(), inner.length()), (1, Some(2)));
        assert_eq!(inner.prefix(), "2.00 KiB");
        bar.update(ProgressState {
            bytes: 5,
            total_bytes: Some(10),
            ..ProgressState::default()
        });
        assert_eq!((inner.position(), inner.length()), (5, Some(10)));
        assert_eq!(inner.prefix(), "");
        bar.update(ProgressState {
            bytes: 7,
            memories: 1,
            ..ProgressState::default()
        });
        assert_eq!((inner.position(), inner.length()), (7, None));
        assert_eq!(inner.prefix(), "1 memory");
    }
}
