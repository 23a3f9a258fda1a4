//! Progress of a sync or a pull: a bar with sizes and rates where a person watches.

use std::time::Duration;

use akosha_sync::{NoProgress, Progress, ProgressState};
use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};

use crate::output::Output;

/// Pause between two turns of the spinner.
const TICK: Duration = Duration::from_millis(120);

/// Draws to standard error, or nothing.
pub(crate) struct Bar {
    bar: Option<ProgressBar>,
}

impl Bar {
    /// Creates the progress of `doing`, such as `pushing`.
    pub(crate) fn new(output: Output, doing: &'static str) -> Self {
        let bar = output.shows_progress().then(|| {
            let bar = ProgressBar::with_draw_target(None, ProgressDrawTarget::stderr());
            bar.set_style(style(false));
            bar.set_message(doing);
            bar.enable_steady_tick(TICK);
            bar
        });
        Self { bar }
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
        if bar.length() != state.total_bytes {
            bar.set_style(style(state.total_bytes.is_some()));
            match state.total_bytes {
                Some(total) => bar.set_length(total),
                None => bar.unset_length(),
            }
        }
        bar.set_position(state.bytes);
        bar.set_prefix(match state.total_memories {
            Some(total) => format!("{} of {total} memories", state.memories),
            None => format!("{} memories", state.memories),
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

fn style(has_total: bool) -> ProgressStyle {
    let template = if has_total {
        "{spinner} {msg} {wide_bar} {binary_bytes}/{binary_total_bytes} \
         {binary_bytes_per_sec} {prefix}"
    } else {
        "{spinner} {msg} {binary_bytes} {binary_bytes_per_sec} {prefix}"
    };
    read(template)
}

/// Reads a template; ours are sound, which a test proves.
fn read(template: &str) -> ProgressStyle {
    ProgressStyle::with_template(template).unwrap_or_else(|_| ProgressStyle::default_spinner())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_bar_follows_its_state() {
        let bar = Bar {
            bar: Some(ProgressBar::hidden()),
        };
        bar.update(ProgressState {
            bytes: 5,
            total_bytes: Some(10),
            memories: 1,
            total_memories: Some(2),
        });
        let inner = bar.bar.as_ref().unwrap();
        assert_eq!((inner.position(), inner.length()), (5, Some(10)));
        assert_eq!(inner.prefix(), "1 of 2 memories");
    }
}
