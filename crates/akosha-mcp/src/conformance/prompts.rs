//! Prompts: plain, with arguments, with a resource, with a picture, and one that asks back.

use rmcp::ErrorData;
use rmcp::model::{GetPromptRequestParams, GetPromptResponse, GetPromptResult, Prompt};
use serde_json::{Value, json};

use super::{content, done, input, wire};

const CONTEXT: &str = "test_input_required_result_prompt";

/// Returns the prompts.
pub(super) fn list() -> Result<Vec<Prompt>, ErrorData> {
    let argument = |name: &str| json!({"name": name, "description": "Text", "required": true});
    wire(json!([
        {"name": "test_simple_prompt", "description": "One message"},
        {"name": "test_prompt_with_arguments", "description": "Shows its arguments",
         "arguments": [argument("arg1"), argument("arg2")]},
        {"name": "test_prompt_with_embedded_resource", "description": "Holds a resource",
         "arguments": [argument("resourceUri")]},
        {"name": "test_prompt_with_image", "description": "Holds a picture"},
        {"name": CONTEXT, "description": "Asks the client before it answers"},
    ]))
}

/// Returns a prompt, filled in; none where it is no fixture.
pub(super) fn get(
    request: &GetPromptRequestParams,
) -> Result<Option<GetPromptResponse>, ErrorData> {
    let argument = |name: &str| {
        let arguments = request.arguments.as_ref();
        let value = arguments.and_then(|arguments| arguments.get(name)?.as_str());
        value.ok_or_else(|| ErrorData::invalid_params(format!("`{name}` is missing"), None))
    };
    let blocks = match request.name.as_str() {
        "test_simple_prompt" => vec![content::text("A simple prompt.")],
        "test_prompt_with_arguments" => vec![content::text(&format!(
            "arg1 is '{}', arg2 is '{}'",
            argument("arg1")?,
            argument("arg2")?
        ))],
        "test_prompt_with_embedded_resource" => vec![
            content::resource(argument("resourceUri")?, "text/plain", "A resource."),
            content::text("Read the resource above."),
        ],
        "test_prompt_with_image" => vec![content::image(), content::text("Look at the picture.")],
        CONTEXT => {
            let responses = request.input_responses.as_ref();
            let Some(context) = input::answer(responses, "user_context", "context") else {
                let form = input::elicit("Which context?", "context", "string");
                return Ok(Some(
                    input::required(json!({"user_context": form}), None)?.into(),
                ));
            };
            vec![content::text(&format!("The context is: {context}"))]
        }
        _ => return Ok(None),
    };
    messages(blocks).map(Some)
}

fn messages(blocks: Vec<Value>) -> Result<GetPromptResponse, ErrorData> {
    let messages: Vec<Value> = blocks
        .into_iter()
        .map(|content| json!({"role": "user", "content": content}))
        .collect();
    let prompt: GetPromptResult = done(json!({"messages": messages}))?;
    Ok(prompt.into())
}
