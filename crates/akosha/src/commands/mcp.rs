//! `akosha mcp`: serves MCP on standard input and output.
//!
//! The client kills a server that answers late, so nothing is opened or contacted before the
//! protocol runs: the store is opened beside it.

use std::sync::Arc;

use akosha_core::ErrorKind;
use akosha_mcp::{AkoshaServer, Origin, StdioError, serve_stdio};
use tokio_util::sync::CancellationToken;

use crate::background::DetachedDrain;
use crate::context::Context;
use crate::failure::{Exit, Failure};
use crate::runtime;

/// Runs the command.
pub(crate) fn run(context: &Context) -> Result<Exit, Failure> {
    for error in &context.loaded().errors {
        tracing::error!(hint = error.hint, "{error}; what needs it does not work");
    }
    let background = Arc::new(DetachedDrain::new(context)?);
    let server = AkoshaServer::new(super::handle(context)?, background, Origin::Stdio);
    let cancel = CancellationToken::new();
    let runtime = runtime::start()?;
    let outcome = runtime.block_on(async {
        if let Err(error) = runtime::cancel_on_signal(cancel.clone()) {
            tracing::warn!(%error, "this process cannot be asked to end");
        }
        server.store().warm_up();
        serve_stdio(server, cancel).await
    });
    // A read of standard input that nobody ends must not hold the process.
    runtime.shutdown_background();
    outcome?;
    Ok(Exit::Done)
}

impl From<StdioError> for Failure {
    fn from(error: StdioError) -> Self {
        Self::new(
            ErrorKind::Internal,
            error.to_string(),
            "register `akosha mcp` as a server of an MCP client; it is not typed to by hand",
        )
    }
}
