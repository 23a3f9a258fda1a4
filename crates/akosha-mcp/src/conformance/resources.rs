//! Resources of fixed content, and a template.

use rmcp::ErrorData;
use rmcp::model::{ReadResourceResult, Resource, ResourceTemplate};
use serde_json::{Value, json};

use super::{content, done, wire};

const TEXT: &str = "test://static-text";
const BINARY: &str = "test://static-binary";
const WATCHED: &str = "test://watched-resource";

/// Returns the resources.
pub(super) fn list() -> Result<Vec<Resource>, ErrorData> {
    wire(json!([
        {"uri": TEXT, "name": "static-text", "description": "Text", "mimeType": "text/plain"},
        {"uri": BINARY, "name": "static-binary", "description": "A picture", "mimeType": "image/png"},
        {"uri": WATCHED, "name": "watched-resource", "description": "One to subscribe to",
         "mimeType": "text/plain"},
    ]))
}

/// Returns the templates.
pub(super) fn templates() -> Result<Vec<ResourceTemplate>, ErrorData> {
    wire(json!([{
        "uriTemplate": "test://template/{id}/data", "name": "template",
        "description": "Data of an id", "mimeType": "application/json",
    }]))
}

/// Reads a resource; none where it is no fixture.
pub(super) fn read(uri: &str) -> Result<Option<ReadResourceResult>, ErrorData> {
    let id = uri
        .strip_prefix("test://template/")
        .and_then(|rest| rest.strip_suffix("/data"));
    let (mime_type, text) = match (uri, id) {
        (TEXT, _) => ("text/plain", "Static text.".to_owned()),
        (WATCHED, _) => ("text/plain", "Never changes.".to_owned()),
        (_, Some(id)) => ("application/json", json!({"id": id}).to_string()),
        (BINARY, _) => {
            return contents(&json!({"uri": uri, "mimeType": "image/png", "blob": content::PNG}));
        }
        _ => return Ok(None),
    };
    contents(&json!({"uri": uri, "mimeType": mime_type, "text": text}))
}

fn contents(content: &Value) -> Result<Option<ReadResourceResult>, ErrorData> {
    done(json!({"contents": [content]})).map(Some)
}
