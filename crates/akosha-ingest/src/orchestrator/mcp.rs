//! The orchestrator over MCP: one call of its tool.

use std::error::Error;

use rmcp::model::{CallToolRequestParams, ClientConfig, Implementation, ProtocolVersion};
use rmcp::service::{ClientInitializeError, ServiceError};
use rmcp::transport::StreamableHttpClientTransport;
use rmcp::transport::streamable_http_client::{
    StreamableHttpClientTransportConfig, StreamableHttpError,
};
use rmcp::{ClientLifecycleMode, ClientServiceExt};
use serde_json::Value;
use url::Url;

use super::{CALL, Call, Unanswered, client, innermost, judge};

/// Tells it, and reads whether it took the call. A connection is made for each: it is told seldom,
/// and one that restarted has forgotten every session.
pub(super) async fn call(url: &Url, call: &Call<'_>) -> Result<(), Unanswered> {
    let config = StreamableHttpClientTransportConfig::with_uri(url.as_str());
    let transport = StreamableHttpClientTransport::with_client(client()?, config);
    let mut me = ClientConfig::default();
    me.client_info = Implementation::new("akosha", env!("CARGO_PKG_VERSION"));
    let lifecycle = ClientLifecycleMode::Auto {
        preferred_versions: vec![ProtocolVersion::V_2026_07_28],
        legacy_version: None,
    };
    let connected = me.serve_with_lifecycle(transport, lifecycle).await;
    let client = connected.map_err(|error| {
        Unanswered(format!(
            "it does not answer as an MCP server: {}",
            cause(&error)
        ))
    })?;
    let arguments = match serde_json::to_value(call) {
        Ok(Value::Object(arguments)) => arguments,
        _ => serde_json::Map::new(),
    };
    let request = CallToolRequestParams::new(CALL).with_arguments(arguments);
    let answered = client.call_tool(request).await;
    // What came of the call is known; how the connection ends changes nothing.
    let _ = client.cancel().await;
    let result = answered
        .map_err(|error| Unanswered(format!("it did not answer `{CALL}`: {}", cause(&error))))?;
    let text: Vec<&str> = result
        .content
        .iter()
        .filter_map(|part| part.as_text().map(|text| text.text.as_str()))
        .collect();
    let text = text.join("\n");
    if result.is_error == Some(true) {
        let told = akosha_core::excerpt(&text);
        return Err(Unanswered(format!("it refused `{CALL}`: {told}")));
    }
    let answer = result.structured_content;
    judge(&answer.unwrap_or_else(|| serde_json::from_str(&text).unwrap_or_default()))
}

/// Returns what an error of the client comes from; it keeps some of that in fields alone.
fn cause(error: &(dyn Error + 'static)) -> String {
    if let Some(error) = error.downcast_ref() {
        match error {
            ClientInitializeError::TransportError { error, .. } => return cause(&*error.error),
            ClientInitializeError::LegacyFallbackFailed { fallback, .. } => {
                return cause(&**fallback);
            }
            _ => {}
        }
    }
    if let Some(ServiceError::TransportSend(error)) = error.downcast_ref() {
        return cause(&*error.error);
    }
    match error.downcast_ref() {
        Some(StreamableHttpError::<reqwest::Error>::Client(error)) => innermost(error),
        _ => innermost(error),
    }
}
