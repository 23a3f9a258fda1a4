//! `store_memory` and `batch_store_memories`.

use crate::support::{Era, Node, vector};
use akosha_core::config::{Environment, LoadedConfig};
use akosha_core::{ErrorKind, MAX_TEXT_BYTES};
use akosha_mcp::{Failure, Origin, StoreHandle};
use rmcp::model::ProtocolVersion;
use serde_json::{Value, json};

#[tokio::test]
async fn a_memory_is_stored_and_found_at_once() {
    let node = Node::start().await;
    let stored = node
        .good(
            "store_memory",
            json!({
                "text": "The user likes tabs", "embedding": vector(3),
                "metadata": {"project": "akosha", "tags": ["style"], "nested": {"kept": [1, null]}}
            }),
        )
        .await;
    assert_eq!(stored["status"], "stored");
    assert_eq!(stored["embedding_dim"], 384);
    assert_eq!(stored["revision"], 1);
    assert_eq!(stored["deduplicated"], false);
    assert_eq!(stored["redactions"], 0);
    assert_eq!(stored["error"], Value::Null);
    assert!(stored["stored_at"].as_str().unwrap().ends_with('Z'));
    let id = stored["memory_id"].as_str().unwrap();
    assert_eq!(id.len(), 26, "a ULID");
    let memory = node.good("get_memory", json!({"memory_id": id})).await;
    assert_eq!(memory["system_id"], "node");
    assert_eq!(memory["ingestion_method"], "local");
    assert_eq!(memory["metadata"]["nested"]["kept"], json!([1, null]));
    let found = node.good("search_memories", json!({"query": "tabs"})).await;
    assert_eq!(found["results"][0]["memory_id"], id);
}

#[tokio::test]
async fn storing_again_is_a_no_op_and_storing_other_text_a_revision() {
    let node = Node::start().await;
    let first = json!({"memory_id": "a", "text": "one"});
    assert_eq!(
        node.good("store_memory", first.clone()).await["revision"],
        1
    );
    let again = node.good("store_memory", first).await;
    assert_eq!(again["deduplicated"], true);
    assert_eq!(again["revision"], 1);
    assert_eq!(again["embedding_dim"], Value::Null);
    let other = node
        .good(
            "store_memory",
            json!({"memory_id": "a", "text": "two", "metadata": null}),
        )
        .await;
    assert_eq!(other["revision"], 2);
    assert_eq!(other["deduplicated"], false);
}

#[tokio::test]
async fn over_stdio_a_memory_belongs_to_the_node_whatever_its_source() {
    let node = Node::start().await;
    let stored = node
        .good(
            "store_memory",
            json!({"text": "x", "metadata": {"source": "other"}}),
        )
        .await;
    assert_eq!(stored["system_id"], "node");
}

#[tokio::test]
async fn what_breaks_a_rule_is_named_and_nothing_is_stored() {
    let node = Node::start().await;
    for (arguments, names) in [
        (json!({}), "missing argument `text`"),
        (json!({"text": ""}), "`text` is empty"),
        (json!({"text": " \n"}), "`text` is empty"),
        (
            json!({"text": "<private>all of it</private>"}),
            "`text` is empty once what is private is taken out",
        ),
        (json!({"text": 7}), "`text`"),
        (
            json!({"text": "x".repeat(MAX_TEXT_BYTES + 1)}),
            "the limit is 1048576",
        ),
        (
            json!({"text": "x", "embedding": [1.0]}),
            "`embedding` has 1 numbers, expected 384",
        ),
        (json!({"text": "x", "embedding": "no"}), "`embedding`"),
        (json!({"text": "x", "embedding": [1e39]}), "`embedding"),
        (json!({"text": "x", "memory_id": ""}), "`memory_id`"),
        (json!({"text": "x", "memory_id": "a\u{0}"}), "`memory_id`"),
        (json!({"text": "x", "metadata": []}), "`metadata`"),
        (
            json!({"text": "x", "metadata": {"tags": "y"}}),
            "`metadata.tags`",
        ),
        (
            json!({"text": "x", "metadata": {"tags": ["y", ""]}}),
            "`metadata.tags` must not hold an empty tag",
        ),
        (
            json!({"text": "x", "metadata": {"created_at": "soon"}}),
            "`metadata.created_at`",
        ),
        (json!({"text": "x", "txet": "y"}), "unknown argument `txet`"),
    ] {
        let failed = node.bad("store_memory", arguments).await;
        assert_eq!(failed["status"], "failed");
        assert_eq!(failed["kind"], "invalid");
        assert!(failed["hint"].is_string());
        let error = failed["error"].as_str().unwrap();
        assert!(error.contains(names), "{error} should name {names}");
    }
    let failed = node
        .bad("store_memory", json!({"memory_id": "mine", "text": ""}))
        .await;
    assert_eq!(failed["memory_id"], "mine");
    assert_eq!(node.store().stats().unwrap().memories, 0);
}

#[tokio::test]
async fn a_text_of_the_limit_is_stored() {
    let node = Node::start().await;
    let text = "x".repeat(MAX_TEXT_BYTES);
    node.good("store_memory", json!({"memory_id": "big", "text": text}))
        .await;
    let memory = node.good("get_memory", json!({"memory_id": "big"})).await;
    assert_eq!(memory["text"].as_str().unwrap().len(), MAX_TEXT_BYTES);
}

#[tokio::test]
async fn a_node_that_does_not_know_its_id_reads_but_does_not_write() {
    let environment = Environment {
        variables: [("AKOSHA_SYSTEM_ID".to_owned(), "not valid!".to_owned())].into(),
        ..Environment::default()
    };
    let config = LoadedConfig::load(&environment);
    let era = Era::Handshake(ProtocolVersion::V_2024_11_05);
    let node = Node::of(Origin::Stdio, config, era).await;
    for (tool, arguments) in [
        ("store_memory", json!({"text": "x"})),
        ("batch_store_memories", json!({"memories": [{"text": "x"}]})),
        ("forget_memory", json!({"memory_id": "x"})),
    ] {
        let failed = node.bad(tool, arguments).await;
        assert_eq!(failed["kind"], "config", "{tool}");
        assert!(
            failed["error"].as_str().unwrap().contains("SYSTEM_ID"),
            "{failed}"
        );
    }
    node.good("search_memories", json!({"query": "x"})).await;
    node.good("list_memories", json!({})).await;
}

#[tokio::test]
async fn a_store_that_cannot_be_opened_fails_every_tool_and_no_handshake() {
    let handle = StoreHandle::new(|| {
        Err(Failure::new(ErrorKind::Storage, "the disk is gone").with_hint("bring it back"))
    });
    let home = tempfile::tempdir().unwrap();
    let era = Era::Handshake(ProtocolVersion::V_2025_11_25);
    let node = Node::connect(Origin::Stdio, handle, None, home, era).await;
    for (tool, arguments) in [
        ("store_memory", json!({"text": "x"})),
        ("batch_store_memories", json!({"memories": [{"text": "x"}]})),
        ("search_memories", json!({"query": "x"})),
        ("get_memory", json!({"memory_id": "x"})),
        ("list_memories", json!({})),
        ("forget_memory", json!({"memory_id": "x"})),
        ("sync_to_akosha", json!({})),
        ("akosha_sync_status", json!({})),
        ("session_start", json!({})),
        ("session_end", json!({"summary": "x"})),
    ] {
        let failed = node.bad(tool, arguments).await;
        assert_eq!(failed["error"], "the disk is gone", "{tool}");
        assert_eq!(failed["hint"], "bring it back", "{tool}");
        assert_eq!(failed["kind"], "storage", "{tool}");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_thousand_memories_with_vectors_are_stored_in_one_call() {
    let node = Node::start().await;
    let memories: Vec<Value> = (0..1000_usize)
        .map(|n| json!({"memory_id": format!("m{n}"), "text": format!("number {n}"), "embedding": vector(n)}))
        .collect();
    let stored = node
        .good("batch_store_memories", json!({"memories": memories}))
        .await;
    assert_eq!(stored["status"], "completed");
    assert_eq!(stored["total"], 1000);
    assert_eq!(stored["stored"], 1000);
    assert_eq!(stored["failed"], 0);
    assert_eq!(stored["errors"], json!([]));
    let again = node
        .good("batch_store_memories", json!({"memories": memories}))
        .await;
    assert_eq!(again["deduplicated"], 1000);
    assert_eq!(node.store().stats().unwrap().memories, 1000);
}

#[tokio::test]
async fn a_bad_entry_fails_alone() {
    let node = Node::start().await;
    let answer = node
        .good(
            "batch_store_memories",
            json!({"memories": [
                {"memory_id": "good", "text": "one"},
                {"memory_id": "empty", "text": ""},
                "no object",
                {"memory_id": "typed", "text": 5},
                {"memory_id": "more", "text": "x", "extra": 1},
                {"text": "two"},
            ]}),
        )
        .await;
    assert_eq!(answer["status"], "partial");
    assert_eq!(answer["total"], 6);
    assert_eq!(answer["stored"], 2);
    assert_eq!(answer["failed"], 4);
    let errors = answer["errors"].as_array().unwrap();
    let places: Vec<_> = errors.iter().map(|error| &error["index"]).collect();
    assert_eq!(places, [1, 2, 3, 4]);
    assert_eq!(errors[0]["memory_id"], "empty");
    assert_eq!(errors[0]["error"], "`text` is empty");
    assert_eq!(errors[1]["memory_id"], Value::Null);
    assert!(errors[2]["error"].as_str().unwrap().contains("`text`"));
    assert!(
        errors[3]["error"]
            .as_str()
            .unwrap()
            .contains("unknown argument `extra`")
    );
    assert_eq!(node.store().stats().unwrap().memories, 2);
}

#[tokio::test]
async fn a_batch_without_a_good_entry_fails() {
    let node = Node::start().await;
    let failed = node
        .bad("batch_store_memories", json!({"memories": [{"text": ""}]}))
        .await;
    assert_eq!(failed["status"], "failed");
    assert_eq!(failed["stored_at"], Value::Null);
    assert_eq!(failed["errors"][0]["index"], 0);
}

#[tokio::test]
async fn the_size_of_a_batch_is_bounded_and_may_be_zero() {
    let node = Node::start().await;
    let memories = vec![json!({"text": "x"}); 1001];
    let failed = node
        .bad("batch_store_memories", json!({"memories": memories}))
        .await;
    assert_eq!(
        failed["error"],
        "Batch size exceeds maximum of 1000 memories"
    );
    assert_eq!(failed["total"], 1001);
    assert_eq!(failed["failed"], 1001);
    assert_eq!(node.store().stats().unwrap().memories, 0);
    let empty = node
        .good("batch_store_memories", json!({"memories": []}))
        .await;
    assert_eq!(empty["status"], "completed");
    assert_eq!(empty["total"], 0);
    assert_eq!(empty["stored"], 0);
    for arguments in [
        json!({}),
        json!({"memories": {}}),
        json!({"memories": [], "x": 1}),
    ] {
        node.bad("batch_store_memories", arguments).await;
    }
}
