//! The server on standard input and output.

use std::sync::Arc;
use std::time::Duration;

use akosha_store::StoreError;
use rmcp::ServiceExt;
use rmcp::service::ServerInitializeError;
use rmcp::transport::async_rw::AsyncRwTransport;
use rmcp::transport::stdio_pipes;
use tokio::io::{AsyncRead, AsyncWrite, BufReader};
use tokio_util::sync::CancellationToken;

use crate::end_of_input::EndOfInput;
use crate::handle::blocking;
use crate::parse_error::{Answering, LineWatch};
use crate::{AkoshaServer, BackgroundDrain, StoreHandle, watch_queue};

/// Longest message in bytes: 64 MiB, as over HTTP.
const MAX_LINE: usize = 64 << 20;

/// How long the end of the input waits for a store that is still being opened.
const OPENING: Duration = Duration::from_secs(1);

/// Bytes that a pipe holds on Linux.
const PIPE: usize = 64 << 10;

/// Why the server on stdio ended other than by end of input.
#[derive(Debug, thiserror::Error)]
pub enum StdioError {
    /// The client did not speak MCP, or the pipe broke before it did.
    #[error("the MCP session could not start: {0}")]
    Start(String),
    /// A task of the server was lost.
    #[error("the MCP server stopped: {0}")]
    Lost(#[from] tokio::task::JoinError),
}

/// Serves standard input and output until the end of input or until cancelled.
///
/// Nothing but the protocol goes to standard output. What was acknowledged is durable, so the end
/// of input needs no flush. Calls at work are still answered; what is due in the queue is handed to
/// the background as soon as the input ends.
///
/// # Errors
/// Fails where the session could not start; an end of input before it started is no error.
pub async fn serve_stdio(
    server: AkoshaServer,
    cancel: CancellationToken,
) -> Result<(), StdioError> {
    let (input, output) = stdio_pipes();
    serve_stream(server, input, output, cancel).await
}

/// Serves any pair of streams as [`serve_stdio`] does standard input and output.
///
/// # Errors
/// As [`serve_stdio`].
pub async fn serve_stream<R, W>(
    server: AkoshaServer,
    input: R,
    output: W,
    cancel: CancellationToken,
) -> Result<(), StdioError>
where
    R: AsyncRead + Send + Unpin + 'static,
    W: AsyncWrite + Send + Unpin + 'static,
{
    let ended = CancellationToken::new();
    // A batch is read as the pipe holds it, not in the transport's steps of 8 KiB.
    let (input, bad_lines) = LineWatch::new(EndOfInput::new(input, ended.clone()));
    let input = BufReader::with_capacity(PIPE, input);
    let transport = AsyncRwTransport::new_server(input, output).with_max_line_length(MAX_LINE);
    let transport = Answering::new(transport, bad_lines);
    let store = server.store().clone();
    let background = server.background().clone();
    let watching = cancel.child_token();
    let watch = tokio::spawn(watch_queue(
        store.clone(),
        background.clone(),
        watching.clone(),
    ));
    let handing = tokio::spawn({
        let (ended, background) = (ended.clone(), background.clone());
        async move {
            ended.cancelled().await;
            hand_over(&store, background).await;
        }
    });
    let outcome = match server.serve_with_ct(transport, cancel).await {
        Ok(running) => running.waiting().await.map(drop).map_err(StdioError::from),
        Err(ServerInitializeError::ConnectionClosed(_) | ServerInitializeError::Cancelled) => {
            Ok(())
        }
        Err(error) => Err(StdioError::Start(brief(&error))),
    };
    watching.cancel();
    watch.await?;
    ended.cancel();
    handing.await?;
    outcome
}

/// Leaves what is due to the background: a sync whose call was cut off before it started one, or
/// one that still runs here and that the client may kill in two seconds.
async fn hand_over(store: &StoreHandle, background: Arc<dyn BackgroundDrain>) {
    // An input that ends at once may end before the store is open.
    let Ok(Ok((store, _))) = tokio::time::timeout(OPENING, store.get()).await else {
        return;
    };
    let handed = blocking(move || {
        if store.has_due_job()? {
            background.start();
        }
        Ok::<_, StoreError>(())
    })
    .await;
    if let Err(error) = handed {
        tracing::warn!(%error, "the queue cannot be read");
    }
}

/// Says what went wrong without quoting the client's message, which may hold anything.
fn brief(error: &ServerInitializeError) -> String {
    match error {
        ServerInitializeError::ExpectedInitializeRequest(_) => {
            "the first message was no `initialize` and no request with metadata".into()
        }
        ServerInitializeError::UnexpectedInitializeResponse(_) => {
            "`initialize` was answered by something else".into()
        }
        other => other.to_string(),
    }
}
