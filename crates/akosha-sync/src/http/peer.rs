//! A connection to another Akosha as an MCP client.

use std::error::Error;
use std::time::Duration;

use akosha_core::ErrorKind;
use rmcp::model::{CallToolRequestParams, ClientConfig, Implementation, ProtocolVersion};
use rmcp::service::{ClientInitializeError, RoleClient, RunningService, ServiceError};
use rmcp::transport::StreamableHttpClientTransport;
use rmcp::transport::streamable_http_client::{
    AuthRequiredError, HttpStatusError, StreamableHttpClientTransportConfig,
};
use rmcp::{ClientLifecycleMode, ClientServiceExt};
use secrecy::{ExposeSecret, SecretString};
use serde_json::{Map, Value};
use tokio::time::timeout;

use super::Answer;
use crate::{SyncError, tls};

/// Longest time for a connection to be made.
const CONNECT: Duration = Duration::from_secs(5);

/// A connected client.
pub(super) struct Peer {
    url: String,
    client: RunningService<RoleClient, ClientConfig>,
    limit: Duration,
}

impl Peer {
    /// Connects, by `server/discover` where the server knows it, else by `initialize`.
    pub(super) async fn connect(
        url: &str,
        token: Option<&SecretString>,
        limit: Duration,
    ) -> Result<Self, SyncError> {
        tls::install_provider();
        let http = reqwest::Client::builder()
            .connect_timeout(CONNECT)
            .redirect(reqwest::redirect::Policy::none())
            // An idle connection that is used again waits for a delayed acknowledgement.
            .pool_max_idle_per_host(0)
            .build()
            .map_err(|error| classify(url, &error, "cannot be contacted"))?;
        let mut config = StreamableHttpClientTransportConfig::with_uri(url);
        config.auth_header = token.map(|token| token.expose_secret().to_owned());
        let transport = StreamableHttpClientTransport::with_client(http, config);
        let mut me = ClientConfig::default();
        me.client_info = Implementation::new("akosha", env!("CARGO_PKG_VERSION"));
        let lifecycle = ClientLifecycleMode::Auto {
            preferred_versions: vec![ProtocolVersion::V_2026_07_28],
            legacy_version: None,
        };
        let connect = me.serve_with_lifecycle(transport, lifecycle);
        let client = match timeout(limit, connect).await {
            Ok(connected) => {
                connected.map_err(|error| classify(url, &error, "cannot be contacted"))?
            }
            Err(_) => return Err(timed_out(url, limit)),
        };
        Ok(Self {
            url: url.to_owned(),
            client,
            limit,
        })
    }

    /// Calls a tool and returns its structured answer, also where the tool reports a failure.
    pub(super) async fn call(
        &self,
        tool: &'static str,
        arguments: Map<String, Value>,
    ) -> Result<Answer, SyncError> {
        let request = CallToolRequestParams::new(tool).with_arguments(arguments);
        let result = match timeout(self.limit, self.client.call_tool(request)).await {
            Ok(result) => result.map_err(|error| {
                classify(&self.url, &error, &format!("did not answer `{tool}`"))
            })?,
            Err(_) => return Err(timed_out(&self.url, self.limit)),
        };
        let text: String = result
            .content
            .iter()
            .filter_map(|part| part.as_text().map(|text| text.text.as_str()))
            .collect::<Vec<_>>()
            .join("\n");
        let value = result
            .structured_content
            .or_else(|| serde_json::from_str(&text).ok())
            .unwrap_or_default();
        Ok(Answer {
            is_error: result.is_error.unwrap_or(false),
            value,
            text,
        })
    }
}

fn timed_out(url: &str, limit: Duration) -> SyncError {
    SyncError::HttpSync {
        message: format!("`{url}` did not answer within {} s", limit.as_secs()),
        hint: Some("raise `upload_timeout_seconds` where the line is slow".into()),
        kind: ErrorKind::Unavailable,
        source: None,
    }
}

/// Tells apart what a person has to correct from what time may heal.
fn classify(url: &str, error: &(dyn Error + 'static), what: &str) -> SyncError {
    let mut cause = error.to_string();
    let mut kind = ErrorKind::Unavailable;
    let mut next = Some(error);
    while let Some(current) = next {
        cause = current.to_string();
        if current.is::<AuthRequiredError>() {
            kind = ErrorKind::Auth;
        }
        if matches!(current.downcast_ref(), Some(ServiceError::McpError(_))) {
            kind = ErrorKind::Data;
        }
        if let Some(status) = status_of(current) {
            cause = format!("it answered {status}");
            kind = kind_of(status).unwrap_or(kind);
        }
        next = cause_of(current);
    }
    let hint = match kind {
        ErrorKind::Auth => "set `akosha_token` to a token of that server",
        ErrorKind::NotFound => "set `akosha_url` to the server's MCP address, which ends in `/mcp`",
        ErrorKind::Invalid => "raise the body limit of the proxy before the server to 64 MiB",
        ErrorKind::Data => "check that an akosha of this version runs there",
        _ => "start a server there: `akosha serve`, or set `akosha_url`",
    };
    SyncError::HttpSync {
        message: format!("`{url}` {what}: {cause}"),
        hint: Some(hint.into()),
        kind,
        source: None,
    }
}

/// Returns what caused an error; those of the client name some of it by fields alone.
fn cause_of<'a>(error: &'a (dyn Error + 'static)) -> Option<&'a (dyn Error + 'static)> {
    match error.downcast_ref() {
        Some(ClientInitializeError::TransportError { error, .. }) => return Some(&*error.error),
        Some(ClientInitializeError::LegacyFallbackFailed { fallback, .. }) => {
            return Some(&**fallback);
        }
        _ => {}
    }
    match error.downcast_ref() {
        Some(ServiceError::TransportSend(error)) => Some(&*error.error),
        _ => error.source(),
    }
}

/// Returns the status of the answer that an error is about. The client keeps most of them in its
/// text alone, before the answer's body.
fn status_of(error: &(dyn Error + 'static)) -> Option<u16> {
    if let Some(error) = error.downcast_ref::<HttpStatusError>() {
        return Some(error.status);
    }
    if let Some(error) = error.downcast_ref::<reqwest::Error>() {
        return error.status().map(|status| status.as_u16());
    }
    let text = error.to_string();
    let status = text.strip_prefix("unexpected server response: HTTP ")?;
    status.get(..3)?.parse().ok()
}

/// Returns what the status of a failed request means, where a person has to correct something.
fn kind_of(status: u16) -> Option<ErrorKind> {
    match status {
        401 | 403 => Some(ErrorKind::Auth),
        404 | 405 => Some(ErrorKind::NotFound),
        413 => Some(ErrorKind::Invalid),
        408 | 429 => None,
        300..=499 => Some(ErrorKind::Data),
        _ => None,
    }
}
