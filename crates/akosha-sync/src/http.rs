//! HTTP sync: pushes to another Akosha through its MCP tools over streamable HTTP.

use std::time::Duration;

use akosha_core::config::Config;
use akosha_core::{ErrorKind, MAX_BATCH, SystemId};
use akosha_store::{Change, Op, Rejected, Store, Target, Trigger};
use async_trait::async_trait;
use secrecy::SecretString;
use serde_json::{Map, Value, json};
use tokio_util::sync::CancellationToken;
use url::Url;

use crate::disk::on_disk;
use crate::dispute;
use crate::envelope::Writer;
use crate::{
    Availability, MethodReport, Progress, ProgressState, SyncError, SyncMethod, SyncRequest,
    availability, envelope,
};

mod peer;

use peer::Peer;

/// Changes that are read and acknowledged together.
const PAGE: usize = 500;

/// Refused memories that are offered again together.
const REFUSED_PAGE: usize = 50;

/// Bytes of JSON at which a batch is sent: far below the body limit of a server, and little enough
/// for a slow line.
const BATCH_BYTES: usize = 4 << 20;

/// Pushes to another Akosha.
#[derive(Debug)]
pub struct HttpSync {
    store: Store,
    url: String,
    token: Option<SecretString>,
    timeout: Duration,
    retry: crate::retry::Policy,
}

impl HttpSync {
    /// Creates the method for `config.akosha_url`; nothing is contacted.
    pub fn new(store: Store, config: &Config) -> Self {
        Self {
            store,
            url: config.akosha_url.clone(),
            token: config.akosha_token.clone(),
            timeout: config.upload_timeout,
            retry: crate::retry::Policy::of(config),
        }
    }

    /// Returns the cursor's name for a server.
    pub(crate) fn target(url: &str) -> Target {
        Target::new("http", url)
    }
}

#[async_trait]
impl SyncMethod for HttpSync {
    fn name(&self) -> &'static str {
        "http"
    }

    async fn has_pending(&self, _request: &SyncRequest) -> Result<bool, SyncError> {
        let target = Self::target(&self.url);
        on_disk(&self.store, move |store| {
            for system_id in store.local_systems()? {
                let was_refused = !store.rejected(&target, &system_id)?.is_empty();
                if was_refused || store.unsynced(&target, &system_id)?.changes > 0 {
                    return Ok(true);
                }
            }
            Ok(false)
        })
        .await
    }

    async fn is_available(&self) -> Availability {
        let address = Url::parse(&self.url)
            .ok()
            .and_then(|url| Some((url.host_str()?.to_owned(), url.port_or_known_default()?)));
        match address {
            Some((host, port)) => availability::of_address(&host, port).await,
            None => Availability::Unavailable(format!("`{}` is no address", self.url)),
        }
    }

    async fn sync(
        &self,
        _request: &SyncRequest,
        _trigger: Trigger,
        progress: &dyn Progress,
        cancel: &CancellationToken,
    ) -> MethodReport {
        let mut push = Push {
            method: self,
            target: Self::target(&self.url),
            writer: Writer {
                id: self.store.writer_id().clone(),
                epoch: 0,
                mark: None,
            },
            peer: None,
            report: MethodReport::default(),
            progress,
        };
        let result = tokio::select! {
            result = push.all() => result,
            () = cancel.cancelled() => Err(SyncError::Cancelled),
        };
        push.report.error = result.err();
        push.report
    }
}

/// Memories that are sent together.
#[derive(Default)]
struct Batch {
    changes: Vec<Change>,
    entries: Vec<Value>,
    size: usize,
}

/// One push in progress.
struct Push<'a> {
    method: &'a HttpSync,
    target: Target,
    /// This store, with the epoch of the system that is pushed.
    writer: Writer,
    peer: Option<Peer>,
    report: MethodReport,
    progress: &'a dyn Progress,
}

impl Push<'_> {
    async fn all(&mut self) -> Result<(), SyncError> {
        let store = self.method.store.clone();
        let mut result = Ok(());
        for system_id in dispute::systems(&store).await? {
            let mut pushed = self.system(&system_id).await;
            if let Err(conflict @ SyncError::Conflict { .. }) = pushed {
                pushed = if &system_id == store.system_id() {
                    Err(conflict)
                } else {
                    dispute::move_away(&store, &self.target, &system_id, conflict).await
                };
            }
            let warnings = &mut self.report.warnings;
            let pushed = dispute::settle(&store, &self.target, &system_id, pushed, warnings).await;
            if !matches!(pushed, Ok(()) | Err(SyncError::Conflict { .. })) {
                return pushed;
            }
            // A conflict over one id does not keep the others from being synced.
            result = result.and(pushed);
        }
        result
    }

    /// Sends what the server lacks of one system.
    async fn system(&mut self, system_id: &SystemId) -> Result<(), SyncError> {
        let (state, unsynced, rejected) = on_disk(&self.method.store, {
            let (target, system_id) = (self.target.clone(), system_id.clone());
            move |store| {
                Ok((
                    store.push_state(&target, &system_id)?,
                    store.unsynced(&target, &system_id)?,
                    store.rejected(&target, &system_id)?,
                ))
            }
        })
        .await?;
        self.writer.epoch = state.epoch;
        if rejected.is_empty() && state.acked_seq >= unsynced.last_seq {
            return Ok(());
        }
        self.writer.mark = Some(
            on_disk(&self.method.store, {
                let (target, system_id) = (self.target.clone(), system_id.clone());
                move |store| store.mark_push(&target, &system_id)
            })
            .await?,
        );
        self.retry_rejected(system_id, rejected, state.acked_seq)
            .await?;
        let mut after = state.acked_seq;
        while after < unsynced.last_seq {
            let page = on_disk(&self.method.store, {
                let (system_id, up_to) = (system_id.clone(), unsynced.last_seq);
                move |store| store.changes(&system_id, after, up_to, PAGE, true)
            })
            .await?;
            // Where nothing is left, the rest was superseded by newer changes that come later.
            let reached = page.last().map_or(unsynced.last_seq, |change| change.seq);
            self.send(system_id, page).await?;
            on_disk(&self.method.store, {
                let (target, system_id) = (self.target.clone(), system_id.clone());
                move |store| store.ack_push(&target, &system_id, None, reached)
            })
            .await?;
            after = reached;
        }
        Ok(())
    }

    /// Offers once more what the server refused before.
    async fn retry_rejected(
        &mut self,
        system_id: &SystemId,
        rejected: Vec<Rejected>,
        acked_seq: i64,
    ) -> Result<(), SyncError> {
        for chunk in rejected.chunks(REFUSED_PAGE) {
            let ids: Vec<_> = chunk.iter().map(|item| item.memory_id.clone()).collect();
            let changes = on_disk(&self.method.store, {
                let (target, system_id) = (self.target.clone(), system_id.clone());
                move |store| {
                    let mut changes = Vec::new();
                    for id in ids {
                        match store.newest_change(&system_id, &id)? {
                            // What changed since comes with the page that holds it.
                            Some(change) if change.seq <= acked_seq => changes.push(change),
                            _ => store.accept(&target, &system_id, &id)?,
                        }
                    }
                    Ok(changes)
                }
            })
            .await?;
            self.send(system_id, changes).await?;
        }
        Ok(())
    }

    /// Sends changes and records which the server refused.
    async fn send(&mut self, system_id: &SystemId, changes: Vec<Change>) -> Result<(), SyncError> {
        let (puts, deletions): (Vec<Change>, Vec<Change>) =
            changes.into_iter().partition(|change| change.op == Op::Put);
        let mut batch = Batch::default();
        for change in puts {
            let entry = envelope::wrap(&change, &self.writer);
            let size = entry.to_string().len();
            if batch.size + size > BATCH_BYTES || batch.changes.len() == MAX_BATCH {
                self.send_batch(system_id, std::mem::take(&mut batch))
                    .await?;
            }
            batch.size += size;
            batch.changes.push(change);
            batch.entries.push(entry);
        }
        self.send_batch(system_id, batch).await?;
        for change in deletions {
            let mut arguments = Map::from_iter([
                ("memory_id".into(), json!(change.memory_id)),
                ("system_id".into(), json!(change.system_id)),
                ("erase".into(), json!(change.op == Op::Erase)),
                ("revision".into(), json!(change.revision)),
            ]);
            self.writer.tell(&mut arguments);
            let answer = self.call("forget_memory", arguments).await?;
            if answer.is_error && answer.kind() == Some(ErrorKind::Conflict.as_str()) {
                return Err(self.taken(system_id, &answer.value));
            }
            // A memory that the server never had is as gone as it can be.
            let gone = !answer.is_error || answer.kind() == Some("not_found");
            let refusal = (!gone).then(|| answer.error_text());
            self.settle(system_id, vec![(change, refusal)]).await?;
        }
        Ok(())
    }

    async fn send_batch(&mut self, system_id: &SystemId, batch: Batch) -> Result<(), SyncError> {
        if batch.changes.is_empty() {
            return Ok(());
        }
        let answer = self
            .call(
                "batch_store_memories",
                Map::from_iter([("memories".into(), batch.entries.into())]),
            )
            .await?;
        if let Some(entry) = answer.conflict() {
            return Err(self.taken(system_id, entry));
        }
        let refusals =
            read_batch(&answer, batch.changes.len()).map_err(|message| self.broken(&message))?;
        let outcome = batch.changes.into_iter().zip(refusals).collect();
        self.settle(system_id, outcome).await
    }

    /// Makes durable what the server said of each change, and counts it.
    async fn settle(
        &mut self,
        system_id: &SystemId,
        outcome: Vec<(Change, Option<String>)>,
    ) -> Result<(), SyncError> {
        for (change, refusal) in &outcome {
            match refusal {
                None => self.report.memories_uploaded += 1,
                Some(reason) => self
                    .report
                    .refused
                    .push((change.memory_id.to_string(), reason.clone())),
            }
        }
        self.progress.update(ProgressState {
            bytes: self.report.bytes_transferred,
            memories: self.report.memories_uploaded,
            ..ProgressState::default()
        });
        let (target, system_id) = (self.target.clone(), system_id.clone());
        on_disk(&self.method.store, move |store| {
            store.answered_push(&target, &system_id)?;
            let known = store.rejected(&target, &system_id)?;
            for (change, refusal) in outcome {
                let id = &change.memory_id;
                match refusal {
                    Some(reason) => store.reject(&target, &system_id, id, change.seq, &reason)?,
                    None if known.iter().any(|item| &item.memory_id == id) => {
                        store.accept(&target, &system_id, id)?;
                    }
                    None => {}
                }
            }
            Ok(())
        })
        .await
    }

    /// Calls a tool, connecting where needed; what time may heal is tried again.
    async fn call(
        &mut self,
        tool: &'static str,
        arguments: Map<String, Value>,
    ) -> Result<Answer, SyncError> {
        let size = serde_json::to_vec(&arguments).map_or(0, |bytes| bytes.len() as u64);
        let mut attempt = 0;
        let answer = loop {
            match self.try_call(tool, arguments.clone()).await {
                Ok(answer) => break answer,
                Err(error) if error.is_retryable() => {
                    self.peer = None;
                    let Some(pause) = self.method.retry.delay(attempt) else {
                        return Err(error);
                    };
                    tracing::info!(%error, attempt, "the push is tried again");
                    tokio::time::sleep(pause).await;
                    attempt += 1;
                }
                Err(error) => return Err(error),
            }
        };
        self.report.bytes_transferred += size;
        Ok(answer)
    }

    async fn try_call(
        &mut self,
        tool: &'static str,
        arguments: Map<String, Value>,
    ) -> Result<Answer, SyncError> {
        if self.peer.is_none() {
            let method = self.method;
            let connected = Peer::connect(&method.url, method.token.as_ref(), method.timeout);
            let peer = connected.await?;
            self.check_other(&peer).await?;
            self.peer = Some(peer);
        }
        let Some(peer) = &self.peer else {
            return Err(self.broken("was disconnected"));
        };
        peer.call(tool, arguments).await
    }

    /// Refuses to push to the server of this very store: nothing would leave the machine.
    async fn check_other(&self, peer: &Peer) -> Result<(), SyncError> {
        // A server that does not say who it is is another one.
        let Ok(status) = peer.call("akosha_sync_status", Map::new()).await else {
            return Ok(());
        };
        let writer_id = status.value.get("writer_id").and_then(Value::as_str);
        if writer_id != Some(self.method.store.writer_id().as_str()) {
            return Ok(());
        }
        Err(SyncError::HttpSync {
            message: format!("`{}` serves this very store", self.method.url),
            hint: Some("set `akosha_url` to the akosha of another machine, or a bucket".into()),
            kind: ErrorKind::Config,
            source: None,
        })
    }

    /// Says that the server takes pushes as a system from another writer.
    fn taken(&self, system_id: &SystemId, answer: &Value) -> SyncError {
        let error = answer.get("error").and_then(Value::as_str);
        let message = format!(
            "`{}` takes nothing as `{system_id}` from this machine: {}; nothing was overwritten",
            self.method.url,
            error.unwrap_or("another one has the id")
        );
        let epoch = answer.get("epoch").and_then(Value::as_i64);
        SyncError::taken("http", system_id, epoch, message)
    }

    fn broken(&self, message: &str) -> SyncError {
        SyncError::HttpSync {
            message: format!("`{}` {message}", self.method.url),
            hint: Some("check that an akosha of this version runs there: `akosha status`".into()),
            kind: ErrorKind::Data,
            source: None,
        }
    }
}

/// A tool's answer.
pub(crate) struct Answer {
    is_error: bool,
    value: Value,
    text: String,
}

impl Answer {
    fn kind(&self) -> Option<&str> {
        self.value.get("kind").and_then(Value::as_str)
    }

    /// Returns the first entry of a batch that was refused because another writer has its system.
    fn conflict(&self) -> Option<&Value> {
        let errors = self.value.get("errors")?.as_array()?;
        let conflict = Some(ErrorKind::Conflict.as_str());
        errors
            .iter()
            .find(|error| error.get("kind").and_then(Value::as_str) == conflict)
    }

    fn error_text(&self) -> String {
        match self.value.get("error").and_then(Value::as_str) {
            Some(error) => error.to_owned(),
            None => self.text.clone(),
        }
    }
}

/// Reads the answer to a batch of `sent` memories: for each, why it was refused, or `None` where
/// it is stored.
///
/// # Errors
/// Fails where the answer does not account for every memory: then none counts as stored.
fn read_batch(answer: &Answer, sent: usize) -> Result<Vec<Option<String>>, String> {
    let count = |name: &str| {
        answer
            .value
            .get(name)
            .and_then(Value::as_u64)
            .and_then(|count| usize::try_from(count).ok())
    };
    let (Some(total), Some(stored), Some(failed)) =
        (count("total"), count("stored"), count("failed"))
    else {
        return Err(format!("refused the batch: {}", answer.error_text()));
    };
    let mut refusals = vec![None; sent];
    let errors = answer.value.get("errors").and_then(Value::as_array);
    for error in errors.into_iter().flatten() {
        let index = error.get("index").and_then(Value::as_u64);
        let slot = index
            .and_then(|index| usize::try_from(index).ok())
            .and_then(|index| refusals.get_mut(index));
        let Some(slot) = slot else {
            return Err("names a memory that was not in the batch".into());
        };
        let reason = error.get("error").and_then(Value::as_str);
        *slot = Some(reason.unwrap_or("refused without a reason").to_owned());
    }
    let refused = refusals.iter().flatten().count();
    // A server may count a memory that it had already among those that it stored, or apart.
    let had = count("deduplicated").unwrap_or(0);
    let taken = sent - refused;
    if total != sent || failed != refused || (stored != taken && stored + had != taken) {
        return Err(format!(
            "accounts for {stored} stored and {failed} failed of {sent} memories"
        ));
    }
    Ok(refusals)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(value: Value, sent: usize) -> Result<Vec<Option<String>>, String> {
        let answer = Answer {
            is_error: false,
            value,
            text: String::new(),
        };
        read_batch(&answer, sent)
    }

    #[test]
    fn every_memory_is_accounted_for_or_none_is_acknowledged() {
        let whole = json!({"total": 2, "stored": 2, "failed": 0, "errors": []});
        assert_eq!(read(whole.clone(), 2), Ok(vec![None, None]));
        assert!(read(whole, 3).is_err());
        let partial = json!({"total": 2, "stored": 1, "failed": 1,
            "errors": [{"index": 1, "memory_id": "b", "error": "no"}]});
        assert_eq!(read(partial, 2), Ok(vec![None, Some("no".into())]));
        for lie in [
            json!({"total": 2, "stored": 0, "failed": 0, "errors": []}),
            json!({"total": 2, "stored": 1, "failed": 1, "errors": []}),
            json!({"total": 2, "stored": 1, "failed": 1, "errors": [{"index": 7}]}),
            json!({"status": "completed"}),
            Value::Null,
        ] {
            assert!(read(lie.clone(), 2).is_err(), "{lie}");
        }
    }
}
