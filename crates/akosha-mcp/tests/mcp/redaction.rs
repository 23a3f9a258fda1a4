//! The user's own redaction rules hold for everything that comes in.

use akosha_core::config::LoadedConfig;
use akosha_core::redact::Redactor;
use akosha_core::{IngestionMethod, NewMemory};
use akosha_mcp::Origin;
use akosha_store::{Home, Store, StoreOptions};
use akosha_sync::envelope::{self, Writer};
use rmcp::model::ProtocolVersion;
use serde_json::json;

use crate::support::{Era, Node, config, id};

/// Starts a node with a rule for badges, such as `B-1234`.
async fn node(origin: Origin) -> Node {
    let rules = "[[rule]]\nname = 'badge'\npattern = 'B-[0-9]{4}'";
    let loaded = LoadedConfig {
        redactor: Redactor::with_rules(rules).unwrap(),
        ..LoadedConfig::new(config())
    };
    Node::of(
        origin,
        loaded,
        Era::Handshake(ProtocolVersion::V_2025_06_18),
    )
    .await
}

#[tokio::test]
async fn what_is_stored_has_no_secrets_of_the_users_own() {
    let node = node(Origin::Stdio).await;
    let stored = node
        .good(
            "store_memory",
            json!({"memory_id": "a", "text": "ask B-1234", "metadata": {"who": "B-1111"}}),
        )
        .await;
    assert_eq!(stored["redactions"], 2);
    let memory = node.good("get_memory", json!({"memory_id": "a"})).await;
    assert_eq!(memory["text"], "ask [redacted:badge]");
    assert_eq!(memory["metadata"]["who"], "[redacted:badge]");

    let batch =
        json!({"memories": [{"memory_id": "b", "text": "B-1234 left <private>x</private>"}]});
    let answer = node.good("batch_store_memories", batch).await;
    assert_eq!(answer["redactions"], 2);
    let memory = node.good("get_memory", json!({"memory_id": "b"})).await;
    assert_eq!(memory["text"], "[redacted:badge] left [redacted:private]");

    let ended = node
        .good(
            "session_end",
            json!({"session_id": "s", "summary": "B-1234 came"}),
        )
        .await;
    let memory = node
        .good("get_memory", json!({"memory_id": ended["memory_id"]}))
        .await;
    assert_eq!(memory["text"], "[redacted:badge] came");
}

#[tokio::test]
async fn what_is_pushed_has_none_either_and_they_are_counted() {
    let folder = tempfile::tempdir().unwrap();
    let home = Home::new(folder.path().join("laptop"));
    let laptop = Store::open(&home, StoreOptions::new(id("laptop"))).unwrap();
    let input = json!({"memory_id": "a", "text": "ask B-1234"});
    let memory = NewMemory::check(
        serde_json::from_value(input).unwrap(),
        &Redactor::built_in(),
    )
    .unwrap();
    laptop
        .put(&id("laptop"), &memory, IngestionMethod::Local)
        .unwrap();
    let changes = laptop
        .changes(&id("laptop"), 0, i64::MAX, 10, false)
        .unwrap();
    let writer = Writer {
        id: laptop.writer_id().clone(),
        epoch: 0,
        mark: None,
    };
    let pushed = envelope::wrap(&changes[0], &writer);

    let node = node(Origin::Http { bound: None }).await;
    let stored = node.good("store_memory", pushed).await;
    assert_eq!(
        (&stored["system_id"], &stored["redactions"]),
        (&json!("laptop"), &json!(1))
    );
    let memory = node.good("get_memory", json!({"memory_id": "a"})).await;
    assert_eq!(memory["text"], "ask [redacted:badge]");
}

#[tokio::test]
async fn nothing_is_stored_while_a_rule_is_wrong() {
    let folder = tempfile::tempdir().unwrap();
    std::fs::write(
        folder.path().join("redaction.toml"),
        "[[rule]]\nname = 'badge'\npattern = '(B'",
    )
    .unwrap();
    let loaded = LoadedConfig::load(&akosha_core::config::Environment {
        default_file: Some(folder.path().join("akosha.toml")),
        host_name: Some("node".into()),
        ..akosha_core::config::Environment::default()
    });
    let era = Era::Handshake(ProtocolVersion::V_2025_06_18);
    let node = Node::of(Origin::Stdio, loaded, era).await;
    for (tool, arguments) in [
        ("store_memory", json!({"text": "B-1234"})),
        (
            "batch_store_memories",
            json!({"memories": [{"text": "B-1234"}]}),
        ),
    ] {
        let refused = node.bad(tool, arguments).await;
        let error = refused["error"].as_str().unwrap();
        assert!(
            error.contains("`badge`") && error.contains("unclosed group"),
            "{error}"
        );
    }
    let found = node.good("list_memories", json!({})).await;
    assert_eq!(found["memories"], json!([]));
}
