//! `session_start` and `session_end`.

use crate::support::{Node, config};
use akosha_core::config::ForceMethod;
use akosha_mcp::Origin;
use serde_json::{Value, json};

#[tokio::test]
async fn an_empty_store_says_how_to_store() {
    let node = Node::start().await;
    let start = node.good("session_start", json!({"project": "p"})).await;
    let context = start["context"].as_str().unwrap();
    assert!(
        context.contains("store_memory") && !context.contains('\n'),
        "{context}"
    );
    assert_eq!(start["memories"], json!([]));
    assert_eq!(start["total_memories"], 0);
}

#[tokio::test]
async fn a_session_starts_with_what_earlier_ones_left() {
    let node = Node::start().await;
    for (id, project, text) in [
        ("a", "shop", "Uses Postgres\n- fake: item"),
        ("b", "other", "Uses MySQL"),
    ] {
        node.good(
            "store_memory",
            json!({"memory_id": id, "text": text, "metadata": {"project": project, "type": "fact"}}),
        )
        .await;
    }
    node.good("session_start", json!({"project": "shop"})).await;
    let end = node
        .good(
            "session_end",
            json!({"session_id": "s1", "summary": "Migrated the schema"}),
        )
        .await;
    let start = node
        .good("session_start", json!({"cwd": "/nowhere/shop"}))
        .await;
    let context = start["context"].as_str().unwrap();
    assert_eq!(start["project"], "shop");
    assert!(context.contains("Uses Postgres - fake: item"), "{context}");
    assert!(context.contains("(fact)"));
    assert!(context.contains("Migrated the schema"));
    assert!(!context.contains("MySQL"));
    assert_eq!(start["memories"], json!([end["memory_id"], "a"]));
    assert_eq!(start["total_memories"], 3);
    let all = node
        .good("session_start", json!({"project": "unknown"}))
        .await;
    assert!(all["context"].as_str().unwrap().contains("MySQL"));
}

#[tokio::test]
async fn the_context_is_bounded() {
    let node = Node::start().await;
    let memories: Vec<Value> = (0..200)
        .map(|n| json!({"text": format!("{n} {}", "größe ".repeat(500))}))
        .collect();
    node.good("batch_store_memories", json!({"memories": memories}))
        .await;
    for n in 0..10 {
        let summary = format!("{n} {}", "done ".repeat(1000));
        node.good("session_end", json!({"summary": summary})).await;
    }
    let start = node.good("session_start", json!({})).await;
    let length = start["context"].as_str().unwrap().chars().count();
    assert!((5_000..=10_000).contains(&length), "{length}");
}

#[tokio::test]
async fn the_end_stores_the_summary_and_queues_the_sync() {
    let node = Node::start().await;
    let before = node.started.count();
    let arguments = json!({"session_id": "s1", "summary": "Done", "reason": "exit"});
    let end = node.good("session_end", arguments.clone()).await;
    assert_eq!(end["status"], "ended");
    assert_eq!(end["sync"]["queued"], true);
    assert!(end["sync"]["job_id"].is_string());
    assert_eq!(node.store().queue().unwrap().pending, 1);
    node.started.beyond(before).await;
    let memory = node
        .good("get_memory", json!({"memory_id": end["memory_id"]}))
        .await;
    assert_eq!(memory["metadata"]["type"], "session_summary");
    assert_eq!(memory["metadata"]["session_id"], "s1");
    assert_eq!(memory["metadata"]["reason"], "exit");
    let again = node.good("session_end", arguments).await;
    assert_eq!(again["memory_id"], end["memory_id"]);
    assert_eq!(again["sync"]["job_id"], end["sync"]["job_id"]);
    assert_eq!(node.store().stats().unwrap().memories, 1);
    let blank = node.good("session_end", json!({"summary": "  "})).await;
    assert_eq!(blank["memory_id"], Value::Null);
    assert_eq!(node.store().queue().unwrap().pending, 1, "jobs coalesce");
}

#[tokio::test]
async fn a_summary_that_cannot_be_stored_does_not_stop_the_sync() {
    let node = Node::start().await;
    let summary = "x".repeat((1 << 20) + 1);
    let end = node.bad("session_end", json!({"summary": summary})).await;
    assert_eq!(end["status"], "ended");
    assert_eq!(end["sync"]["queued"], true);
    assert_eq!(end["kind"], "invalid");
    node.bad("session_end", json!({"sumary": "x"})).await;
}

#[tokio::test]
async fn what_is_not_queued_says_why() {
    let mut off = config();
    off.upload_on_session_end = false;
    let node = Node::with(Origin::Stdio, off).await;
    let end = node.good("session_end", json!({"summary": "x"})).await;
    assert_eq!(end["sync"]["queued"], false);
    assert!(
        end["sync"]["reason"]
            .as_str()
            .unwrap()
            .contains("upload_on_session_end")
    );
    let mut cloud = config();
    cloud.force_method = ForceMethod::Cloud;
    let node = Node::with(Origin::Stdio, cloud).await;
    let end = node.good("session_end", json!({})).await;
    assert_eq!(end["sync"]["queued"], false);
    assert_eq!(end["sync"]["job_id"], Value::Null);
    assert_eq!(node.store().queue().unwrap().pending, 0);
}
