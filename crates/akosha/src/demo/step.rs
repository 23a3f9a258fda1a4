//! Times the steps and stops at the first that fails.

use std::mem;
use std::time::Instant;

use super::{DemoError, Step};

/// The steps so far. The time of a step is what passed since the one before.
pub(super) struct Steps<'a> {
    out: &'a mut dyn FnMut(&Step),
    done: Vec<Step>,
    started: Instant,
}

impl<'a> Steps<'a> {
    pub(super) fn new(out: &'a mut dyn FnMut(&Step)) -> Self {
        Self {
            out,
            done: Vec::new(),
            started: Instant::now(),
        }
    }

    /// Ends a step.
    pub(super) fn done(&mut self, name: &'static str, detail: String) {
        self.list(name, detail, Vec::new());
    }

    /// Ends a step that found several things.
    pub(super) fn list(&mut self, name: &'static str, detail: String, items: Vec<String>) {
        let now = Instant::now();
        let took = now.duration_since(mem::replace(&mut self.started, now));
        let step = Step {
            name,
            took_ms: took.as_secs_f64() * 1000.0,
            detail,
            items,
        };
        (self.out)(&step);
        self.done.push(step);
    }

    pub(super) fn into_inner(self) -> Vec<Step> {
        self.done
    }
}

/// Fails `step` where `holds` is false; `found` says what was found instead.
pub(super) fn check(
    holds: bool,
    step: &'static str,
    found: impl FnOnce() -> String,
) -> Result<(), DemoError> {
    if holds {
        return Ok(());
    }
    Err(DemoError::Check {
        step,
        message: found(),
    })
}
