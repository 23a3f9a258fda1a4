//! Tools that ask the client during a call, as the protocol did it up to 2025-11-25: by a request
//! of the server's own on the stream of the answer. That takes a session.

use rmcp::model::{
    CallToolRequestParams, ClientCapabilities, ClientResult, CreateMessageRequest, ElicitRequest,
    ServerRequest,
};
use rmcp::service::RequestContext;
use rmcp::{ErrorData, RoleServer};
use serde_json::{Value, json};

use super::wire;

/// Asks the client's model and returns what it said.
pub(super) async fn sample(
    request: &CallToolRequestParams,
    context: &RequestContext<RoleServer>,
) -> Result<String, ErrorData> {
    let prompt = argument(request, "prompt")?;
    if may(context).sampling.is_none() {
        return Err(refused("sampling"));
    }
    let params = wire(json!({
        "messages": [{"role": "user", "content": {"type": "text", "text": prompt}}],
        "maxTokens": 100,
    }))?;
    let asked = ServerRequest::CreateMessageRequest(CreateMessageRequest::new(params));
    let said = send(context, asked).await?;
    Ok(format!("The model said: {said}"))
}

/// Asks the user for a name and an address.
pub(super) async fn person(
    request: &CallToolRequestParams,
    context: &RequestContext<RoleServer>,
) -> Result<String, ErrorData> {
    let schema = json!({
        "type": "object",
        "properties": {
            "username": {"type": "string", "description": "A name"},
            "email": {"type": "string", "description": "An address"},
        },
        "required": ["username", "email"],
    });
    elicit(context, argument(request, "message")?, schema).await
}

/// Asks the user for one value of each kind, all with a default (SEP-1034).
pub(super) async fn defaults(context: &RequestContext<RoleServer>) -> Result<String, ErrorData> {
    let schema = json!({
        "type": "object",
        "properties": {
            "name": {"type": "string", "default": "John Doe"},
            "age": {"type": "integer", "default": 30},
            "score": {"type": "number", "default": 95.5},
            "status": {
                "type": "string", "enum": ["active", "inactive", "pending"], "default": "active",
            },
            "verified": {"type": "boolean", "default": true},
        },
    });
    elicit(context, "Check these values", schema).await
}

/// Asks the user to choose, in each form that a choice can have (SEP-1330).
pub(super) async fn choices(context: &RequestContext<RoleServer>) -> Result<String, ErrorData> {
    let plain = json!(["option1", "option2", "option3"]);
    let titled = json!([
        {"const": "value1", "title": "First"},
        {"const": "value2", "title": "Second"},
        {"const": "value3", "title": "Third"},
    ]);
    let schema = json!({
        "type": "object",
        "properties": {
            "untitledSingle": {"type": "string", "enum": plain},
            "titledSingle": {"type": "string", "oneOf": titled},
            "legacyEnum": {
                "type": "string",
                "enum": ["opt1", "opt2", "opt3"],
                "enumNames": ["First", "Second", "Third"],
            },
            "untitledMulti": {"type": "array", "items": {"type": "string", "enum": plain}},
            "titledMulti": {"type": "array", "items": {"anyOf": titled}},
        },
    });
    elicit(context, "Choose", schema).await
}

fn argument<'a>(request: &'a CallToolRequestParams, name: &str) -> Result<&'a str, ErrorData> {
    let arguments = request.arguments.as_ref();
    let value = arguments.and_then(|arguments| arguments.get(name)?.as_str());
    value.ok_or_else(|| ErrorData::invalid_params(format!("`{name}` is missing"), None))
}

/// Returns what the client said it can do: nothing where there is no session to have said it in.
fn may(context: &RequestContext<RoleServer>) -> ClientCapabilities {
    context.client_capabilities().unwrap_or_default()
}

fn refused(capability: &str) -> ErrorData {
    ErrorData::invalid_request(format!("the client does not offer `{capability}`"), None)
}

async fn elicit(
    context: &RequestContext<RoleServer>,
    message: &str,
    schema: Value,
) -> Result<String, ErrorData> {
    if may(context).elicitation.is_none() {
        return Err(refused("elicitation"));
    }
    let params = wire(json!({"mode": "form", "message": message, "requestedSchema": schema}))?;
    let asked = ServerRequest::ElicitRequest(ElicitRequest::new(params));
    let answer = send(context, asked).await?;
    Ok(format!("The user answered: {answer}"))
}

async fn send(
    context: &RequestContext<RoleServer>,
    request: ServerRequest,
) -> Result<String, ErrorData> {
    let answered: ClientResult = context
        .peer
        .send_request(request)
        .await
        .map_err(|error| ErrorData::internal_error(format!("the client: {error}"), None))?;
    serde_json::to_string(&answered)
        .map_err(|error| ErrorData::internal_error(error.to_string(), None))
}
