//! Who decides when news is worked on: this process, or an external scheduler that is told.

use akosha_core::SystemId;
use async_trait::async_trait;
use chrono::{DateTime, Utc};
use serde::Serialize;

/// What a look into the vault found.
#[derive(Debug, Clone, Default, PartialEq, Serialize)]
pub struct News {
    /// Uploads that were found.
    pub uploads: u64,
    /// Some of the systems that they come from.
    pub systems: Vec<SystemId>,
    /// When the oldest of them was written.
    pub oldest: Option<DateTime<Utc>>,
}

/// Who works on news.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Turn {
    /// This process, at once.
    Local,
    /// The scheduler was told and is to say when, by [`IngestWorker::wake`]; after one poll interval
    /// without a word this process goes ahead.
    ///
    /// [`IngestWorker::wake`]: crate::IngestWorker::wake
    Scheduler,
}

/// An external scheduler. Where it fails, local scheduling takes over at once.
#[async_trait]
pub trait Scheduler: Send + Sync + std::fmt::Debug {
    /// Tells it of news. Called off the path of start-up, never while anybody waits for an answer.
    async fn tell(&self, news: &News) -> Turn;

    /// Notes that it said when, as it was to.
    fn triggered(&self);

    /// Notes that it said nothing within one poll interval.
    fn missed(&self);

    /// Returns how it stands.
    fn health(&self) -> OrchestratorHealth;
}

/// Whether an external scheduler does its part.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum OrchestratorMode {
    /// It does.
    Normal,
    /// It does not: local scheduling stands in for it.
    Fallback,
    /// None is configured.
    #[default]
    Off,
}

/// How the external scheduler stands, as `/status` answers it.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
pub struct OrchestratorHealth {
    /// Whether it does its part.
    pub mode: OrchestratorMode,
    /// Where it is, without credentials.
    pub url: Option<String>,
    /// When it answered last.
    pub last_contact_at: Option<DateTime<Utc>>,
    /// What went wrong last.
    pub last_error: Option<String>,
    /// Since when the mode is what it is.
    pub since: Option<DateTime<Utc>>,
}
