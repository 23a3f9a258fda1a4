//! `akosha status`: shows the queue, the lag, the last success and error, what is set aside.

use std::io;
use std::path::{Path, PathBuf};

use akosha_core::config::Config;
use akosha_store::{Conflict, Quarantined, Stats, Store, StoreError};
use akosha_sync::SyncStatus;
use serde::Serialize;

use crate::context::Context;
use crate::failure::{Exit, Failure};
use crate::output::{Answer, Page};
use crate::{runtime, show};

/// Most conflicts of contents that a person is shown.
const SHOWN_CONFLICTS: usize = 20;

/// Runs the command.
pub(crate) fn run(context: &Context) -> Result<Exit, Failure> {
    let syncer = context.syncer()?;
    let sync = runtime::start()?.block_on(syncer.status())?;
    let named = context.named_config().map(Path::to_owned);
    let config_file = named.or_else(Config::default_file);
    let config_file = config_file.filter(|path| path.exists());
    let answer = StatusAnswer::new(sync, syncer.store(), config_file)?;
    context.output().answer(&answer)?;
    Ok(Exit::Done)
}

/// What `status` answers: what `akosha_sync_status` says, and what the store holds.
#[derive(Debug, Serialize)]
pub(crate) struct StatusAnswer {
    #[serde(flatten)]
    sync: SyncStatus,
    home: String,
    /// The configuration file, where there is one.
    config_file: Option<String>,
    store: StoreState,
    quarantine: Vec<SetAside>,
    conflicts: u64,
    content_conflicts: Vec<ContentConflict>,
}

/// A memory of which two contents have the same revision.
#[derive(Debug, Serialize)]
struct ContentConflict {
    system_id: String,
    memory_id: String,
    revision: i64,
    since: String,
}

impl From<Conflict> for ContentConflict {
    fn from(conflict: Conflict) -> Self {
        Self {
            system_id: conflict.system_id.into(),
            memory_id: conflict.memory_id.into(),
            revision: conflict.revision,
            since: show::exact(conflict.found_at),
        }
    }
}

#[derive(Debug, Serialize)]
struct StoreState {
    memories: u64,
    systems: u64,
    size_bytes: u64,
}

impl From<Stats> for StoreState {
    fn from(stats: Stats) -> Self {
        Self {
            memories: stats.memories,
            systems: stats.systems,
            size_bytes: stats.size_bytes,
        }
    }
}

#[derive(Debug, Serialize)]
struct SetAside {
    upload_id: String,
    system_id: String,
    memory_id: Option<String>,
    reason: String,
    since: String,
}

impl From<Quarantined> for SetAside {
    fn from(item: Quarantined) -> Self {
        Self {
            upload_id: item.upload_id,
            system_id: item.system_id,
            memory_id: item.item,
            reason: item.reason,
            since: show::exact(item.since),
        }
    }
}

impl StatusAnswer {
    /// Reads what the store holds beside `sync`.
    pub(crate) fn new(
        sync: SyncStatus,
        store: &Store,
        config_file: Option<PathBuf>,
    ) -> Result<Self, StoreError> {
        let conflicts = store.conflicts()?;
        Ok(Self {
            sync,
            home: store.home().root().display().to_string(),
            config_file: config_file.map(|path| path.display().to_string()),
            store: store.stats()?.into(),
            quarantine: store
                .quarantined()?
                .into_iter()
                .map(SetAside::from)
                .collect(),
            conflicts: conflicts.len() as u64,
            content_conflicts: conflicts.into_iter().map(ContentConflict::from).collect(),
        })
    }
}

impl Answer for StatusAnswer {
    fn write_text(&self, page: &mut Page<'_>) -> io::Result<()> {
        page.field("system", &self.sync.system_id)?;
        page.field("home", &self.home)?;
        page.field(
            "store",
            format!(
                "{} of {}, {}",
                show::counted(self.store.memories, "memory", "memories"),
                show::counted(self.store.systems, "system", "systems"),
                show::size(self.store.size_bytes)
            ),
        )?;
        self.write_vault(page)?;
        self.write_queue(page)?;
        self.write_conflicts(page)?;
        for item in &self.quarantine {
            let what = match &item.memory_id {
                Some(memory) => format!("memory {memory} of {}", item.upload_id),
                None => item.upload_id.clone(),
            };
            page.field(
                "set aside",
                format!(
                    "{what} ({}): {}, since {}",
                    item.system_id, item.reason, item.since
                ),
            )?;
        }
        self.write_content_conflicts(page)?;
        for error in &self.sync.configuration_errors {
            page.field("configuration", error)?;
        }
        if !self.sync.configuration_errors.is_empty() {
            page.line("see what to correct: `akosha config check`")?;
        }
        Ok(())
    }
}

impl StatusAnswer {
    fn write_vault(&self, page: &mut Page<'_>) -> io::Result<()> {
        let vault = &self.sync.vault;
        match &vault.url {
            Some(url) => page.field("vault", url)?,
            None => page.field("vault", self.how_to_set_a_vault())?,
        }
        for warning in &vault.warnings {
            page.field("warning", warning)?;
        }
        if let Some(upload) = &vault.last_upload_id {
            let verified = vault.verified_at.as_deref().unwrap_or("never");
            page.field("last upload", format!("{upload}, verified {verified}"))?;
        }
        for method in &self.sync.methods {
            let state = match (&method.reason, method.available) {
                (_, true) => "available",
                (Some(reason), false) => reason,
                (None, false) => "not available",
            };
            page.field(method.method, state)?;
        }
        let lag = &self.sync.lag;
        match (&lag.oldest_unsynced_at, lag.unsynced_memories) {
            (_, 0) => page.field("not synced", "nothing"),
            (Some(since), count) => page.field(
                "not synced",
                format!(
                    "{}, since {since}",
                    show::counted(count, "change", "changes")
                ),
            ),
            (None, count) => page.field("not synced", show::counted(count, "change", "changes")),
        }
    }

    fn write_queue(&self, page: &mut Page<'_>) -> io::Result<()> {
        let queue = &self.sync.queue;
        page.field(
            "queue",
            format!(
                "{} pending, {} running, {} parked",
                queue.pending, queue.running, queue.parked
            ),
        )?;
        if let Some(at) = &queue.last_success_at {
            page.field("last success", at)?;
        }
        let parked = queue.parked_job.as_ref();
        if let Some(job) = parked {
            page.field("parked", format!("{}, since {}", job.error, job.since))?;
            if let Some(hint) = &job.hint {
                page.field("", format!("hint: {hint}"))?;
            }
        }
        match &queue.last_error {
            Some(error) if parked.is_none_or(|job| job.error != *error) => {
                page.field("last error", error)
            }
            _ => Ok(()),
        }
    }

    fn write_conflicts(&self, page: &mut Page<'_>) -> io::Result<()> {
        for conflict in &self.sync.sync_conflicts {
            page.field(
                "conflict",
                format!(
                    "[{}] {}, known since {}",
                    conflict.method, conflict.error, conflict.since
                ),
            )?;
            page.field("", format!("hint: {}", conflict.hint))?;
        }
        Ok(())
    }

    fn write_content_conflicts(&self, page: &mut Page<'_>) -> io::Result<()> {
        if self.conflicts == 0 {
            return Ok(());
        }
        let conflicts = show::counted(self.conflicts, "memory has", "memories have");
        page.field(
            "conflicts",
            format!("{conflicts} two contents of one revision; `akosha history ID` shows both"),
        )?;
        for conflict in self.content_conflicts.iter().take(SHOWN_CONFLICTS) {
            page.field(
                "",
                format!(
                    "{} of {}, revision {}, since {}",
                    conflict.memory_id, conflict.system_id, conflict.revision, conflict.since
                ),
            )?;
        }
        let more = self.content_conflicts.len().saturating_sub(SHOWN_CONFLICTS);
        if more > 0 {
            page.field("", format!("and {more} more; `--json` names all"))?;
        }
        Ok(())
    }

    fn how_to_set_a_vault(&self) -> String {
        match &self.config_file {
            Some(path) => format!("none; set `cloud_bucket` in `{path}`"),
            None => "none; set `cloud_bucket`: `akosha config init`".into(),
        }
    }
}
