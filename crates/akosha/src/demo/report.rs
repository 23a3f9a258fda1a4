//! What the demo tells.

use serde::Serialize;

/// A step that did what it must.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub(crate) struct Step {
    /// Its name.
    pub(crate) name: &'static str,
    /// Milliseconds that it took.
    pub(crate) took_ms: f64,
    /// What came of it.
    pub(crate) detail: String,
    /// The single things that were found, such as the files of the vault.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub(crate) items: Vec<String>,
}

/// The demo as a whole, as `akosha demo --json` answers it.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub(crate) struct DemoReport {
    /// The steps in their order.
    pub(crate) steps: Vec<Step>,
    /// Whether every step did what it must; a demo that fails answers an error instead.
    pub(crate) success: bool,
    /// What to type next.
    pub(crate) next: Vec<Next>,
}

/// A command to type.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub(crate) struct Next {
    /// The command.
    pub(crate) command: &'static str,
    /// What it is for.
    pub(crate) purpose: &'static str,
}

impl DemoReport {
    pub(super) fn new(steps: Vec<Step>, next: &[(&'static str, &'static str)]) -> Self {
        let next = next
            .iter()
            .map(|&(command, purpose)| Next { command, purpose });
        Self {
            steps,
            success: true,
            next: next.collect(),
        }
    }
}
