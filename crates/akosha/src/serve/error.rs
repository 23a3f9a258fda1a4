//! What keeps the server from serving.

use akosha_core::ErrorKind;

use super::tls::TlsError;

/// Why the server did not start, or did not stop as asked.
#[derive(Debug, thiserror::Error)]
pub(crate) enum ServeError {
    /// `--listen` is no address.
    #[error("`--listen` is `{0}`, expected HOST:PORT such as `127.0.0.1:8682`")]
    Address(String),
    /// The host of `--listen` is no name or address of this machine.
    #[error("`--listen` names host `{host}`, which cannot be found: {source}")]
    Host {
        /// The host.
        host: String,
        /// What the system said.
        source: std::io::Error,
    },
    /// The address can be reached from other machines.
    #[error("`--listen` is {0}, which other machines can reach, and there is no token to ask for")]
    NotLoopback(String),
    /// The server has a name for others, so something in front of it takes their requests.
    #[error(
        "`allowed_hosts` names `{0}`, by which others can reach it, and there is no token to ask for"
    )]
    Named(String),
    /// The address is taken, or may not be used.
    #[error("cannot listen on `{address}`: {source}")]
    Bind {
        /// The address.
        address: String,
        /// What the system said.
        source: std::io::Error,
    },
    /// The tokens, without which the server may not start, cannot be read.
    #[error("the tokens cannot be read: {0}")]
    Tokens(akosha_mcp::Failure),
    /// The certificate cannot be used.
    #[error(transparent)]
    Tls(#[from] TlsError),
    /// The listening socket failed.
    #[error("the server's socket failed: {0}")]
    Io(std::io::Error),
    /// What takes connections in failed.
    #[error("the server takes no connections any more: {0}")]
    Deaf(String),
    /// A second signal came while the server stopped.
    #[error("stopped at once by a second signal")]
    Forced,
}

impl ServeError {
    /// Returns what the caller has to do about it.
    pub(crate) fn kind(&self) -> ErrorKind {
        match self {
            Self::Address(_)
            | Self::Host { .. }
            | Self::NotLoopback(_)
            | Self::Named(_)
            | Self::Tls(_) => ErrorKind::Config,
            Self::Tokens(failure) => failure.kind,
            Self::Bind { .. } => ErrorKind::Unavailable,
            Self::Io(_) => ErrorKind::Storage,
            Self::Deaf(_) => ErrorKind::Internal,
            Self::Forced => ErrorKind::Cancelled,
        }
    }

    /// Returns what to do now, where there is something to do.
    pub(crate) fn hint(&self) -> Option<String> {
        Some(match self {
            Self::Address(_) | Self::Host { .. } => {
                "use `--listen 127.0.0.1:8682`, or port 0 for a free one".into()
            }
            Self::NotLoopback(_) => {
                "make one: `akosha token create --name NAME --scope write`; or use `--listen \
                 127.0.0.1:8682`"
                    .into()
            }
            Self::Named(_) => "make one: `akosha token create --name NAME --scope write`; or take \
                 `allowed_hosts` out where nobody else is to reach the server"
                .into(),
            Self::Bind { .. } => {
                "another server may use the port: choose one with `--listen 127.0.0.1:0`".into()
            }
            Self::Tls(_) => {
                "give the whole paths of two PEM files that belong together: the certificate chain \
                 in `tls_cert`, its private key in `tls_key`"
                    .into()
            }
            Self::Tokens(failure) => return failure.hint.clone(),
            Self::Io(_) => return None,
            Self::Deaf(_) => "start it again; if it happens again, report it with the log".into(),
            Self::Forced => {
                "what was acknowledged is stored; queued syncs run at the next start".into()
            }
        })
    }
}
