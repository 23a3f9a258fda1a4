//! `akosha ingest`: takes the uploads of every system in, as a server's worker does.

use std::io;
use std::time::Duration;

use akosha_core::ErrorKind;
use akosha_ingest::IngestWorker;
use akosha_sync::breaker::Breakers;
use akosha_sync::{Progress, ProgressState, Syncer};
use tokio_util::sync::CancellationToken;

use super::pull::exit;
use crate::context::Context;
use crate::failure::{Exit, Failure};
use crate::progress::Bar;
use crate::runtime;

/// Pause between two looks at how far the worker is, for who watches.
const SHOWN_EVERY: Duration = Duration::from_millis(200);

/// Options of `akosha ingest`.
#[derive(Debug, Clone, Copy, clap::Args)]
pub(crate) struct Args {
    /// Take in what is there now, then end
    #[arg(long)]
    once: bool,
}

/// Runs the command.
pub(crate) fn run(context: &Context, args: Args) -> Result<Exit, Failure> {
    let syncer = context.syncer()?;
    let worker = IngestWorker::new(syncer.clone(), Breakers::default());
    let bar = Bar::new(context.output(), "ingesting");
    let runtime = runtime::start_on_all()?;
    let cancel = CancellationToken::new();
    if !args.once {
        let grace = context.config().shutdown_grace;
        let ended = runtime.block_on(until_told(&syncer, &worker, &bar, cancel, grace));
        bar.clear();
        runtime.shutdown_background();
        return ended.map(|()| Exit::Done);
    }
    let taken_in = runtime.block_on(async {
        if let Err(error) = runtime::cancel_on_signal(cancel.clone()) {
            tracing::warn!(%error, "this process cannot be asked to end");
        }
        worker.run_once(&bar, &cancel).await
    });
    bar.clear();
    let report = taken_in?;
    context.output().answer(&report)?;
    Ok(exit(&report))
}

/// Works until a signal says stop, then for at most `grace` on what is under way.
async fn until_told(
    syncer: &Syncer,
    worker: &IngestWorker,
    bar: &Bar,
    cancel: CancellationToken,
    grace: Duration,
) -> Result<(), Failure> {
    // Says at once what is wrong with the settings or the keys of the vault.
    syncer.intake().await?;
    runtime::cancel_on_signal(cancel.clone()).map_err(|error| unstoppable(&error))?;
    let out_of_time = async {
        cancel.cancelled().await;
        tokio::time::sleep(grace).await;
    };
    tokio::select! {
        ended = worker.run(cancel.clone()) => Ok(ended?),
        () = out_of_time => {
            tracing::warn!("not everything under way was finished; it is found again");
            Ok(())
        }
        () = show(worker, bar) => Ok(()),
    }
}

/// Shows how far the worker is, for ever.
async fn show(worker: &IngestWorker, bar: &Bar) {
    loop {
        let status = worker.status();
        bar.update(ProgressState {
            bytes: status.bytes,
            memories: status.memories_added + status.memories_updated + status.memories_skipped,
            ..ProgressState::default()
        });
        tokio::time::sleep(SHOWN_EVERY).await;
    }
}

fn unstoppable(error: &io::Error) -> Failure {
    Failure::new(
        ErrorKind::Storage,
        format!("cannot listen for the signals that stop it: {error}"),
        "take in what is there and end: `akosha ingest --once`",
    )
}
