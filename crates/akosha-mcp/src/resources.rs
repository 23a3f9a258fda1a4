//! Resources: the state of sync, and every memory by its address.

use akosha_core::{ErrorKind, MemoryId, SystemId};
use percent_encoding::percent_decode_str;
use rmcp::ErrorData;
use rmcp::model::{
    ListResourceTemplatesResult, ListResourcesResult, ReadResourceResult, Resource,
    ResourceContents, ResourceTemplate,
};
use serde_json::json;

use crate::{AkoshaServer, Failure, tools};

const STATUS: &str = "akosha://status";
const MEMORY: &str = "akosha://memory/";
const MEMORY_TEMPLATE: &str = "akosha://memory/{system_id}/{memory_id}";
const JSON: &str = "application/json";

/// Returns the resources that are always there.
pub(crate) fn list() -> ListResourcesResult {
    ListResourcesResult::with_all_items(vec![
        Resource::new(STATUS, "status")
            .with_title("Sync status")
            .with_description("What akosha_sync_status answers: methods, queue, lag, settings")
            .with_mime_type(JSON),
    ])
}

/// Returns the templates of resources.
pub(crate) fn templates() -> ListResourceTemplatesResult {
    ListResourceTemplatesResult::with_all_items(vec![
        ResourceTemplate::new(MEMORY_TEMPLATE, "memory")
            .with_title("Memory")
            .with_description("One memory, whole, by its system and its percent-encoded id")
            .with_mime_type(JSON),
    ])
}

/// Reads a resource.
///
/// # Errors
/// Fails where the address names nothing, or the store cannot be read.
pub(crate) async fn read(
    server: &AkoshaServer,
    uri: &str,
) -> Result<ReadResourceResult, ErrorData> {
    let text = if uri == STATUS {
        tools::status_json(server)
            .await
            .map_err(|failure| data(&failure, uri))?
    } else {
        let (system_id, memory_id) = memory_of(uri)?;
        let memory = tools::get(server, memory_id, Some(system_id))
            .await
            .map_err(|failure| data(&failure, uri))?;
        serde_json::to_string_pretty(&memory)
            .map_err(|error| ErrorData::internal_error(error.to_string(), None))?
    };
    Ok(ReadResourceResult::new(vec![
        ResourceContents::text(text, uri).with_mime_type(JSON),
    ]))
}

/// Reads the address of a memory.
fn memory_of(uri: &str) -> Result<(SystemId, MemoryId), ErrorData> {
    let unknown = || {
        let shown: String = uri.chars().take(300).collect();
        ErrorData::resource_not_found(
            format!("no resource `{shown}`, expected `{STATUS}` or `{MEMORY_TEMPLATE}`"),
            Some(json!({"uri": shown})),
        )
    };
    let (system, memory) = uri
        .strip_prefix(MEMORY)
        .and_then(|path| path.split_once('/'))
        .ok_or_else(unknown)?;
    let decode = |part: &str| {
        percent_decode_str(part)
            .decode_utf8()
            .ok()
            .map(std::borrow::Cow::into_owned)
    };
    let system = decode(system).and_then(|id| SystemId::try_from(id).ok());
    let memory = decode(memory).and_then(|id| MemoryId::try_from(id).ok());
    system.zip(memory).ok_or_else(unknown)
}

/// Turns a failure into the error of a request that has no place for a structured one.
fn data(failure: &Failure, uri: &str) -> ErrorData {
    let message = match &failure.hint {
        Some(hint) => format!("{}; {hint}", failure.message),
        None => failure.message.clone(),
    };
    match failure.kind {
        ErrorKind::NotFound => ErrorData::resource_not_found(message, Some(json!({"uri": uri}))),
        ErrorKind::Invalid => ErrorData::invalid_params(message, None),
        _ => ErrorData::internal_error(message, None),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses_are_percent_decoded() {
        let (system, memory) = memory_of("akosha://memory/laptop/a%2Fb%20%C3%A4").unwrap();
        assert_eq!(system.as_str(), "laptop");
        assert_eq!(memory.as_str(), "a/b ä");
        for uri in [
            "akosha://memory/laptop",
            "akosha://memory/a b/c",
            "akosha://memory/laptop/",
            "akosha://memory/laptop/%ff",
            "akosha://other",
            "",
        ] {
            assert!(memory_of(uri).is_err(), "{uri}");
        }
    }
}
