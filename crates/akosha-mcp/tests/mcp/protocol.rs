//! The protocol around the tools: eras, listings, schemas, resources, prompts, the end of input.

use std::time::Duration;

use crate::support::{Era, Node, config};
use akosha_core::config::LoadedConfig;
use akosha_mcp::Origin;
use rmcp::ServiceError;
use rmcp::model::{
    CallToolRequestParams, ErrorCode, GetPromptRequestParams, ProtocolVersion,
    ReadResourceRequestParams, ResourceContents,
};
use serde_json::{Map, Value, json};

const TOOLS: [&str; 10] = [
    "store_memory",
    "batch_store_memories",
    "search_memories",
    "get_memory",
    "list_memories",
    "forget_memory",
    "sync_to_akosha",
    "akosha_sync_status",
    "session_start",
    "session_end",
];

fn eras() -> Vec<Era> {
    vec![
        Era::Handshake(ProtocolVersion::V_2024_11_05),
        Era::Handshake(ProtocolVersion::V_2025_03_26),
        Era::Handshake(ProtocolVersion::V_2025_06_18),
        Era::Handshake(ProtocolVersion::V_2025_11_25),
        Era::Stateless,
    ]
}

#[tokio::test]
async fn every_era_lists_and_calls() {
    for era in eras() {
        let node = Node::of(Origin::Stdio, LoadedConfig::new(config()), era.clone()).await;
        let info = node.client.peer_info().unwrap();
        let identity = info.server_info.clone().unwrap();
        assert_eq!(identity.name, "akosha");
        assert_eq!(identity.version, env!("CARGO_PKG_VERSION"));
        assert!(
            info.instructions
                .as_ref()
                .is_some_and(|text| text.len() < 2048)
        );
        if let Era::Handshake(version) = &era {
            assert_eq!(info.protocol_version, *version);
        }
        let names: Vec<String> = node
            .client
            .list_all_tools()
            .await
            .unwrap()
            .iter()
            .map(|tool| tool.name.to_string())
            .collect();
        assert_eq!(names, TOOLS, "{era:?}");
        node.good("store_memory", json!({"text": "hello"})).await;
        let found = node
            .good("search_memories", json!({"query": "hello"}))
            .await;
        assert_eq!(found["results"].as_array().unwrap().len(), 1);
        node.bad("store_memory", json!({"text": ""})).await;
    }
}

#[tokio::test]
async fn an_unknown_tool_is_refused() {
    let node = Node::start().await;
    let error = node
        .client
        .call_tool(CallToolRequestParams::new("no_such_tool"))
        .await
        .unwrap_err();
    let ServiceError::McpError(error) = error else {
        panic!("{error:?}");
    };
    assert_eq!(error.code, ErrorCode::INVALID_PARAMS);
    assert!(error.message.contains("no_such_tool"));
}

#[tokio::test]
async fn tools_describe_themselves() {
    let node = Node::start().await;
    for tool in node.client.list_all_tools().await.unwrap() {
        let name = &tool.name;
        let description = tool.description.as_ref().unwrap();
        assert!((100..2048).contains(&description.len()), "{name}");
        assert!(tool.title.is_some(), "{name}");
        let hints = tool.annotations.as_ref().unwrap();
        assert!(hints.read_only_hint.is_some(), "{name}");
        assert!(hints.destructive_hint.is_some(), "{name}");
        assert!(hints.idempotent_hint.is_some(), "{name}");
        assert!(hints.open_world_hint.is_some(), "{name}");
        let input = Value::Object(tool.input_schema.as_ref().clone());
        let output = Value::Object(tool.output_schema.as_ref().unwrap().as_ref().clone());
        plain(&input, &format!("{name} input"));
        plain(&output, &format!("{name} output"));
        assert_eq!(input["type"], "object");
        assert_eq!(output["type"], "object");
        assert_eq!(input["additionalProperties"], json!(false), "{name}");
        for (argument, schema) in input["properties"].as_object().unwrap() {
            assert!(schema.get("description").is_some(), "{name}.{argument}");
            assert!(schema.get("anyOf").is_none(), "{name}.{argument}");
        }
    }
}

/// Checks that a schema holds nothing that clients stumble over.
fn plain(schema: &Value, at: &str) {
    match schema {
        Value::Object(map) => {
            for keyword in [
                "$ref", "$defs", "$schema", "format", "oneOf", "allOf", "nullable",
            ] {
                assert!(!map.contains_key(keyword), "{at}: {keyword}");
            }
            if let Some(kind) = map.get("type") {
                assert!(kind.is_string() || kind.is_object(), "{at}: {kind}");
            }
            assert_ne!(map.get("default"), Some(&Value::Null), "{at}");
            for (key, below) in map {
                plain(below, &format!("{at}.{key}"));
            }
        }
        Value::Array(all) => all.iter().for_each(|below| plain(below, at)),
        _ => {}
    }
}

#[tokio::test]
async fn defaults_and_needed_arguments_are_told() {
    let node = Node::start().await;
    let tools = node.client.list_all_tools().await.unwrap();
    let input = |name: &str| {
        let tool = tools.iter().find(|tool| tool.name == name).unwrap();
        Value::Object(tool.input_schema.as_ref().clone())
    };
    let search = input("search_memories");
    assert_eq!(search["required"], json!(["query"]));
    assert_eq!(search["properties"]["limit"]["default"], 10);
    assert_eq!(search["properties"]["limit"]["maximum"], 100);
    assert_eq!(search["properties"]["mode"]["default"], "hybrid");
    assert_eq!(
        search["properties"]["mode"]["enum"],
        json!(["hybrid", "semantic", "keyword"])
    );
    let sync = input("sync_to_akosha");
    assert_eq!(sync.get("required"), None);
    assert_eq!(sync["properties"]["method"]["default"], "auto");
    for flag in [
        "enable_fallback",
        "upload_reflections",
        "upload_knowledge_graph",
        "wait",
    ] {
        assert_eq!(sync["properties"][flag]["default"], true, "{flag}");
    }
    assert_eq!(input("list_memories")["properties"]["limit"]["default"], 50);
    assert_eq!(input("store_memory")["required"], json!(["text"]));
    assert_eq!(
        input("batch_store_memories")["required"],
        json!(["memories"])
    );
    let entry = &input("batch_store_memories")["properties"]["memories"]["items"];
    assert_eq!(entry["required"], json!(["text"]));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn resources_are_read_by_address() {
    let node = Node::start().await;
    node.good(
        "store_memory",
        json!({"memory_id": "a b/c", "text": "hello"}),
    )
    .await;
    let listed = node.client.list_all_resources().await.unwrap();
    assert_eq!(listed[0].uri, "akosha://status");
    let templates = node.client.list_all_resource_templates().await.unwrap();
    assert_eq!(
        templates[0].uri_template,
        "akosha://memory/{system_id}/{memory_id}"
    );
    let read = |uri: &str| {
        let params = ReadResourceRequestParams::new(uri);
        async { node.client.read_resource(params).await }
    };
    let text = |contents: Vec<ResourceContents>| match contents.into_iter().next() {
        Some(ResourceContents::TextResourceContents { text, .. }) => {
            serde_json::from_str::<Value>(&text).unwrap()
        }
        other => panic!("{other:?}"),
    };
    let memory = read("akosha://memory/node/a%20b%2Fc").await.unwrap();
    assert_eq!(text(memory.contents)["text"], "hello");
    let status = read("akosha://status").await.unwrap();
    assert_eq!(text(status.contents)["system_id"], "node");
    for uri in [
        "akosha://memory/node/none",
        "akosha://memory/node",
        "file:///etc/passwd",
    ] {
        let ServiceError::McpError(error) = read(uri).await.unwrap_err() else {
            panic!("{uri}");
        };
        assert_eq!(error.code, ErrorCode::RESOURCE_NOT_FOUND, "{uri}");
        assert_eq!(error.data, Some(json!({"uri": uri})));
    }
}

#[tokio::test]
async fn prompts_are_filled_in() {
    let node = Node::start().await;
    node.good("store_memory", json!({"text": "The cache lives in Redis"}))
        .await;
    let prompts = node.client.list_all_prompts().await.unwrap();
    let names: Vec<_> = prompts.iter().map(|prompt| prompt.name.as_str()).collect();
    assert_eq!(names, ["recall", "sync"]);
    let get = |name: &str, arguments: Value| {
        let mut params = GetPromptRequestParams::new(name);
        params.arguments = arguments.as_object().cloned();
        async { node.client.get_prompt(params).await }
    };
    let recall = get("recall", json!({"topic": "redis"})).await.unwrap();
    let shown = serde_json::to_string(&recall.messages).unwrap();
    assert!(shown.contains("The cache lives in Redis"), "{shown}");
    let sync = get("sync", json!({})).await.unwrap();
    assert!(
        serde_json::to_string(&sync.messages)
            .unwrap()
            .contains("sync_to_akosha")
    );
    assert!(get("recall", json!({})).await.is_err());
    assert!(get("recall", json!({"topic": " "})).await.is_err());
    assert!(get("other", json!(Map::new())).await.is_err());
}

#[tokio::test]
async fn a_job_that_waits_is_started_and_handed_over_at_the_end() {
    let node = Node::start().await;
    let store = node.store().clone();
    let started = node.started.clone();
    assert_eq!(started.count(), 0, "nothing is due");
    store
        .enqueue(akosha_store::Trigger::SessionEnd, "{}")
        .unwrap();
    node.client.cancel().await.unwrap();
    tokio::time::timeout(Duration::from_secs(10), node.served)
        .await
        .unwrap()
        .unwrap()
        .unwrap();
    // The watch may have seen it before the end; a second start does no harm.
    assert!(started.count() >= 1);
}

#[tokio::test]
async fn a_job_that_an_earlier_process_left_is_started() {
    let home = tempfile::tempdir().unwrap();
    let folder = akosha_store::Home::new(home.path().join("home"));
    let options = akosha_store::StoreOptions::new(crate::support::id("node"));
    let store = akosha_store::Store::open(&folder, options).unwrap();
    store
        .enqueue(akosha_store::Trigger::SessionEnd, "{}")
        .unwrap();
    let opened = store.clone();
    let handle = akosha_mcp::StoreHandle::new(move || {
        let config = std::sync::Arc::new(LoadedConfig::new(config()));
        Ok(akosha_sync::Syncer::new(opened.clone(), config))
    });
    let era = Era::Handshake(ProtocolVersion::V_2025_06_18);
    let node = Node::connect(Origin::Stdio, handle, Some(store), home, era).await;
    node.started.beyond(0).await;
}
