//! `akosha serve`: serves MCP over streamable HTTP.

use akosha_core::ErrorKind;
use akosha_sync::breaker::Breakers;
use tokio::runtime::Builder;

use crate::context::Context;
use crate::failure::{Exit, Failure};
use crate::serve::{self, ServeError, ServeOptions};

/// Options of `akosha serve`.
#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    /// Address to listen on; port 0 takes a free one and says which. One that other machines can
    /// reach needs a token: `akosha token create`
    #[arg(long, default_value = "127.0.0.1:8682", value_name = "HOST:PORT")]
    listen: String,
}

/// Runs the command.
pub(crate) fn run(context: &Context, args: Args) -> Result<Exit, Failure> {
    let runtime = Builder::new_multi_thread()
        .enable_all()
        .build()
        .map_err(|error| {
            Failure::new(
                ErrorKind::Storage,
                format!("cannot start the runtime: {error}"),
                "the system is out of threads or memory: close programs, then repeat",
            )
        })?;
    let breakers = Breakers::default();
    let store = super::handle_with(context, Some(&breakers))?;
    let options = ServeOptions {
        listen: args.listen,
        home: context.home()?.root().to_owned(),
        config: context.config().clone(),
        breakers,
    };
    let served = runtime.block_on(serve::run(options, store));
    runtime.shutdown_background();
    served?;
    Ok(Exit::Done)
}

impl From<ServeError> for Failure {
    fn from(error: ServeError) -> Self {
        Self {
            message: error.to_string(),
            hint: error.hint(),
            kind: error.kind(),
            settings: Vec::new(),
        }
    }
}
