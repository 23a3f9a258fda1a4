//! Tools that need input of the client, as the protocol does it since 2026-07-28: the call ends
//! with what is needed, and is made again with it (SEP-2322).

use ring::hmac;
use ring::rand::SystemRandom;
use rmcp::model::{CallToolRequestParams, CallToolResponse, InputRequiredResult, InputResponses};
use rmcp::service::RequestContext;
use rmcp::{ErrorData, RoleServer};
use serde_json::{Value, json};

use super::{tools, wire};

/// Signs what goes to a client and comes back, so that it comes back as it went.
pub(super) struct Seal(hmac::Key);

impl Seal {
    /// Creates a seal of this process.
    pub(super) fn new() -> Result<Self, std::io::Error> {
        hmac::Key::generate(hmac::HMAC_SHA256, &SystemRandom::new())
            .map(Self)
            .map_err(|_| std::io::Error::other("the system gives no random numbers"))
    }

    /// Returns the state of one tool with its signature.
    fn close(&self, tool: &str, state: &str) -> String {
        let tag = hmac::sign(&self.0, format!("{tool}\n{state}").as_bytes());
        let tag: Vec<String> = tag
            .as_ref()
            .iter()
            .map(|byte| format!("{byte:02x}"))
            .collect();
        format!("{state}.{}", tag.concat())
    }

    /// Returns the state that was sealed for the tool.
    fn open<'a>(&self, tool: &str, sealed: &'a str) -> Result<&'a str, ErrorData> {
        sealed
            .rsplit_once('.')
            .map(|(state, _)| state)
            .filter(|state| self.close(tool, state) == sealed)
            .ok_or_else(|| ErrorData::invalid_params("`requestState` is not what was sent", None))
    }
}

/// Returns a form of one field as a request to the user.
pub(super) fn elicit(message: &str, field: &str, kind: &str) -> Value {
    let schema = json!({
        "type": "object", "properties": {field: {"type": kind}}, "required": [field],
    });
    let params = json!({"mode": "form", "message": message, "requestedSchema": schema});
    json!({"method": "elicitation/create", "params": params})
}

fn sample(prompt: &str) -> Value {
    let message = json!({"role": "user", "content": {"type": "text", "text": prompt}});
    json!({"method": "sampling/createMessage", "params": {"messages": [message], "maxTokens": 100}})
}

fn roots() -> Value {
    json!({"method": "roots/list", "params": {}})
}

/// Returns the result that asks for input.
pub(super) fn required(
    requests: Value,
    state: Option<String>,
) -> Result<InputRequiredResult, ErrorData> {
    Ok(InputRequiredResult::new(Some(wire(requests)?), state))
}

/// Returns the field of a form that the user filled in and accepted.
pub(super) fn answer<'a>(
    responses: Option<&'a InputResponses>,
    key: &str,
    field: &str,
) -> Option<&'a Value> {
    let response = responses?.get(key)?;
    let accepted = response.get("action")?.as_str()? == "accept";
    accepted.then_some(())?;
    response.get("content")?.get(field)
}

/// Calls a tool that needs input.
pub(super) fn call(
    seal: &Seal,
    request: &CallToolRequestParams,
    context: &RequestContext<RoleServer>,
) -> Result<CallToolResponse, ErrorData> {
    let tool = request.name.as_ref();
    let responses = request.input_responses.as_ref();
    let given = |key: &str| responses.and_then(|responses| responses.get(key));
    // A state that comes back must be the one that was sent, whatever it is used for.
    let state = match request.request_state.as_deref() {
        Some(sealed) => Some(seal.open(tool, sealed)?),
        None => None,
    };
    let ask = |requests: Value, state: Option<&str>| {
        let state = state.map(|state| seal.close(tool, state));
        required(requests, state).map(CallToolResponse::from)
    };
    let name = elicit("What is your name?", "name", "string");
    let confirm = elicit("Go on?", "ok", "boolean");
    match tool {
        "test_input_required_result_elicitation" => match answer(responses, "user_name", "name") {
            Some(Value::String(name)) => tools::text(&format!("Hello, {name}!")),
            _ => ask(json!({"user_name": name}), None),
        },
        "test_input_required_result_sampling" => match given("capital_question") {
            Some(said) => tools::text(&format!("The model said: {said}")),
            None => ask(
                json!({"capital_question": sample("What is the capital of France?")}),
                None,
            ),
        },
        "test_input_required_result_list_roots" => match given("client_roots") {
            Some(roots) => tools::text(&format!("The roots are: {roots}")),
            None => ask(json!({"client_roots": roots()}), None),
        },
        "test_input_required_result_request_state"
        | "test_input_required_result_tampered_state" => {
            match (state, answer(responses, "confirm", "ok")) {
                (Some(_), Some(_)) => tools::text("state-ok"),
                _ => ask(json!({"confirm": confirm}), Some("confirm")),
            }
        }
        "test_input_required_result_multiple_inputs" => {
            match (given("user_name"), given("greeting"), given("client_roots")) {
                (Some(_), Some(_), Some(_)) if state.is_some() => tools::text("All is there."),
                _ => ask(
                    json!({
                        "user_name": name,
                        "greeting": sample("Write a greeting."),
                        "client_roots": roots(),
                    }),
                    Some("all"),
                ),
            }
        }
        "test_input_required_result_multi_round" => {
            let color = answer(responses, "step2", "color");
            match (state, answer(responses, "step1", "name"), color) {
                (Some("2"), _, Some(color)) => tools::text(&format!("The color is {color}.")),
                (Some("1"), Some(_), _) => ask(
                    json!({"step2": elicit("Which color?", "color", "string")}),
                    Some("2"),
                ),
                _ => ask(json!({"step1": name}), Some("1")),
            }
        }
        "test_input_required_result_capabilities" => {
            let may = context.client_capabilities().unwrap_or_default();
            let mut requests = serde_json::Map::new();
            if may.sampling.is_some() {
                requests.insert("greeting".into(), sample("Write a greeting."));
            }
            if may.elicitation.is_some() {
                requests.insert("user_name".into(), name);
            }
            if requests.is_empty() {
                return tools::text("There is nothing that the client could be asked.");
            }
            ask(Value::Object(requests), None)
        }
        // A stream that would ask, and must not do so by a request of its own.
        _ => match answer(responses, "confirm", "ok") {
            Some(_) => tools::text("Confirmed."),
            None => ask(json!({"confirm": confirm}), None),
        },
    }
}
