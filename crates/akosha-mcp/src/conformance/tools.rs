//! The tools: their list, and the calls that need nothing of the client.

use std::sync::LazyLock;
use std::time::Duration;

use rmcp::model::{
    CallToolRequestParams, CallToolResponse, CallToolResult, ClientCapabilities, LoggingLevel,
    LoggingMessageNotification, LoggingMessageNotificationParam, ProgressNotificationParam,
    ServerNotification, Tool,
};
use rmcp::service::RequestContext;
use rmcp::{ErrorData, RoleServer};
use serde_json::{Value, json};

use super::change::Change;
use super::{Fixtures, ask, content, done, input, is_modern, wire};

/// Time between two steps of a tool that tells how far it is.
const STEP: Duration = Duration::from_millis(50);

static TOOLS: LazyLock<Vec<Tool>> = LazyLock::new(|| wire(described()).unwrap_or_default());

/// Returns the tools.
pub(super) fn list() -> &'static [Tool] {
    &TOOLS
}

/// Describes the tools as they are on the wire.
fn described() -> Value {
    let plain = [
        ("test_simple_text", "Answers with text"),
        ("test_image_content", "Answers with a picture"),
        ("test_audio_content", "Answers with a sound"),
        ("test_embedded_resource", "Answers with a resource"),
        (
            "test_multiple_content_types",
            "Answers with text, a picture and a resource",
        ),
        ("test_error_handling", "Fails"),
        ("test_tool_with_logging", "Logs three messages"),
        ("test_logging_tool", "Logs three messages"),
        ("test_tool_with_progress", "Tells its progress three times"),
        ("test_reconnection", "Answers after a moment"),
        ("test_missing_capability", "Needs sampling"),
        ("test_trigger_tool_change", "Says that the tools changed"),
        (
            "test_trigger_prompt_change",
            "Says that the prompts changed",
        ),
        ("test_elicitation_sep1034_defaults", "Asks with defaults"),
        ("test_elicitation_sep1330_enums", "Asks for choices"),
        ("test_streaming_elicitation", "Asks for a confirmation"),
        ("test_input_required_result_elicitation", "Asks for a name"),
        ("test_input_required_result_sampling", "Asks the model"),
        (
            "test_input_required_result_list_roots",
            "Asks for the roots",
        ),
        (
            "test_input_required_result_request_state",
            "Asks, with a state",
        ),
        (
            "test_input_required_result_tampered_state",
            "Asks, with a signed state",
        ),
        (
            "test_input_required_result_multiple_inputs",
            "Asks three things at once",
        ),
        ("test_input_required_result_multi_round", "Asks twice"),
        (
            "test_input_required_result_capabilities",
            "Asks what the client can answer",
        ),
    ];
    let tool = |name: &str, description: &str, properties: Value| {
        let required: Vec<&String> = properties
            .as_object()
            .into_iter()
            .flat_map(|p| p.keys())
            .collect();
        json!({
            "name": name,
            "description": description,
            "inputSchema": {"type": "object", "properties": properties, "required": required},
        })
    };
    let mut tools: Vec<Value> = plain
        .into_iter()
        .map(|(name, description)| tool(name, description, json!({})))
        .collect();
    let text = json!({"type": "string"});
    tools.push(tool(
        "test_sampling",
        "Asks the client's model",
        json!({"prompt": text}),
    ));
    tools.push(tool(
        "test_elicitation",
        "Asks the user",
        json!({"message": text}),
    ));
    tools.push(tool(
        "test_custom_header",
        "Has an argument that clients repeat as a header",
        json!({"region": {"type": "string", "x-mcp-header": "Region"}}),
    ));
    tools.push(json!({
        "name": "json_schema_2020_12_tool",
        "description": "Has a schema of many keywords",
        "inputSchema": many_keywords(),
    }));
    Value::Array(tools)
}

/// Returns a schema of which a library that knows fewer keywords would lose some (SEP-1613, SEP-2106).
fn many_keywords() -> Value {
    json!({
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "type": "object",
        "$defs": {
            "address": {
                "$anchor": "addressDef",
                "type": "object",
                "properties": {"street": {"type": "string"}, "city": {"type": "string"}},
            },
        },
        "properties": {
            "name": {"type": "string"},
            "address": {"$ref": "#/$defs/address"},
            "contactMethod": {"type": "string", "enum": ["phone", "email"]},
            "phone": {"type": "string"},
            "email": {"type": "string"},
        },
        "allOf": [{"anyOf": [{"required": ["phone"]}, {"required": ["email"]}]}],
        "if": {"properties": {"contactMethod": {"const": "phone"}}, "required": ["contactMethod"]},
        "then": {"required": ["phone"]},
        "else": {"required": ["email"]},
        "additionalProperties": false,
    })
}

/// Calls a tool of the list.
pub(super) async fn call(
    fixtures: &Fixtures,
    request: &CallToolRequestParams,
    context: &RequestContext<RoleServer>,
) -> Result<CallToolResponse, ErrorData> {
    let resource = content::resource("test://embedded-resource", "text/plain", "A resource.");
    match request.name.as_ref() {
        "test_image_content" => blocks(&[content::image()]),
        "test_audio_content" => blocks(&[content::audio()]),
        "test_embedded_resource" => blocks(&[resource]),
        "test_multiple_content_types" => {
            blocks(&[content::text("Three kinds:"), content::image(), resource])
        }
        "test_error_handling" => done::<CallToolResult>(
            json!({"content": [content::text("It fails.")], "isError": true}),
        )
        .map(Into::into),
        "test_tool_with_logging" | "test_logging_tool" => log(context).await,
        "test_tool_with_progress" => progress(context).await,
        "test_reconnection" => {
            tokio::time::sleep(STEP).await;
            text("Here it is.")
        }
        "test_missing_capability" => {
            let may = context.client_capabilities().unwrap_or_default();
            if may.sampling.is_none() {
                let needed: ClientCapabilities = wire(json!({"sampling": {}}))?;
                return Err(ErrorData::missing_required_client_capability(needed));
            }
            text("The client can sample.")
        }
        "test_trigger_tool_change" => {
            fixtures.changes.say(Change::Tools);
            text("Said.")
        }
        "test_trigger_prompt_change" => {
            fixtures.changes.say(Change::Prompts);
            text("Said.")
        }
        "test_sampling" => text(&ask::sample(request, context).await?),
        "test_elicitation" => text(&ask::person(request, context).await?),
        "test_elicitation_sep1034_defaults" => text(&ask::defaults(context).await?),
        "test_elicitation_sep1330_enums" => text(&ask::choices(context).await?),
        "test_simple_text" | "test_custom_header" | "json_schema_2020_12_tool" => text("Text."),
        _ => input::call(&fixtures.seal, request, context),
    }
}

/// Returns the result of a call that says something.
pub(super) fn text(text: &str) -> Result<CallToolResponse, ErrorData> {
    blocks(&[content::text(text)])
}

fn blocks(blocks: &[Value]) -> Result<CallToolResponse, ErrorData> {
    done::<CallToolResult>(json!({"content": blocks})).map(Into::into)
}

/// Logs three messages, where the client may be sent them.
async fn log(context: &RequestContext<RoleServer>) -> Result<CallToolResponse, ErrorData> {
    // Up to 2025-11-25 a client hears everything until it sets a level; later it must ask.
    let wanted = !is_modern(context) || context.meta.log_level().is_some();
    for message in ["begins", "goes on", "ends"] {
        if wanted {
            let param = LoggingMessageNotificationParam::new(LoggingLevel::Info, json!(message));
            let logged = LoggingMessageNotification::new(param);
            let logged = ServerNotification::LoggingMessageNotification(logged);
            send(context, logged).await?;
        }
        tokio::time::sleep(STEP).await;
    }
    text("Done.")
}

async fn progress(context: &RequestContext<RoleServer>) -> Result<CallToolResponse, ErrorData> {
    let token = context.meta.get_progress_token();
    for percent in [0.0, 50.0, 100.0] {
        if let Some(token) = token.clone() {
            let param = ProgressNotificationParam::new(token, percent).with_total(100.0);
            let told = rmcp::model::ProgressNotification::new(param);
            send(context, ServerNotification::ProgressNotification(told)).await?;
        }
        tokio::time::sleep(STEP).await;
    }
    text("Done.")
}

async fn send(
    context: &RequestContext<RoleServer>,
    notification: ServerNotification,
) -> Result<(), ErrorData> {
    context
        .peer
        .send_notification(notification)
        .await
        .map_err(|error| ErrorData::internal_error(format!("the client: {error}"), None))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_tools_are_listed() {
        assert_eq!(described().as_array().unwrap().len(), list().len());
        assert!(!list().is_empty());
    }
}
