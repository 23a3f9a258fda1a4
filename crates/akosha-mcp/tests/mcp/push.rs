//! Memories that come over HTTP: plain ones, and pushes of another Akosha.

use crate::support::{Node, config, id};
use akosha_core::{IngestionMethod, NewMemory};
use akosha_mcp::Origin;
use akosha_store::{Change, Store};
use akosha_sync::envelope;
use serde_json::{Value, json};

const OPEN: Origin = Origin::Http { bound: None };

/// Makes three revisions of one memory on a laptop and returns them as its change log has them.
fn revisions(laptop: &Store) -> Vec<Change> {
    for text in ["first", "second", "third"] {
        let memory = NewMemory::check(
            serde_json::from_value(json!({
                "memory_id": "a", "text": text, "metadata": {"source": "claude", "project": "p"}
            }))
            .unwrap(),
            &akosha_core::redact::Redactor::built_in(),
        )
        .unwrap();
        laptop
            .put(&id("laptop"), &memory, IngestionMethod::Local)
            .unwrap();
    }
    laptop
        .changes(&id("laptop"), 0, i64::MAX, 10, false)
        .unwrap()
}

fn laptop(folder: &std::path::Path) -> Store {
    let home = akosha_store::Home::new(folder.join("laptop"));
    Store::open(&home, akosha_store::StoreOptions::new(id("laptop"))).unwrap()
}

#[tokio::test]
async fn a_plain_memory_belongs_to_its_source() {
    let node = Node::with(OPEN, config()).await;
    let stored = node
        .good(
            "store_memory",
            json!({"text": "x", "metadata": {"source": "my.laptop"}}),
        )
        .await;
    assert_eq!(stored["system_id"], "my-laptop");
    let memory = node
        .good("get_memory", json!({"memory_id": stored["memory_id"]}))
        .await;
    assert_eq!(memory["ingestion_method"], "http_push");
    assert_eq!(memory["metadata"]["source"], "my.laptop");
    let stored = node.good("store_memory", json!({"text": "y"})).await;
    assert_eq!(stored["system_id"], "node");
}

#[tokio::test]
async fn a_bound_client_cannot_write_as_another() {
    let bound = Origin::Http {
        bound: Some(id("laptop")),
    };
    let node = Node::with(bound, config()).await;
    let refused = node
        .bad(
            "store_memory",
            json!({"text": "x", "metadata": {"source": "other"}}),
        )
        .await;
    assert_eq!(refused["kind"], "auth");
    let answer = node
        .good(
            "batch_store_memories",
            json!({"memories": [
                {"text": "x", "metadata": {"source": "other"}},
                {"text": "y", "metadata": {"source": "laptop"}},
                {"text": "z"},
            ]}),
        )
        .await;
    assert_eq!(answer["stored"], 2);
    assert_eq!(answer["errors"][0]["index"], 0);
    let laptop = node
        .good("list_memories", json!({"filters": {"system_id": "laptop"}}))
        .await;
    assert_eq!(laptop["memories"].as_array().unwrap().len(), 2);
}

#[tokio::test]
async fn a_pushed_revision_arrives_as_it_was() {
    let node = Node::with(OPEN, config()).await;
    let laptop = laptop(node.home.path());
    let changes = revisions(&laptop);
    let stored = node.good("store_memory", envelope::wrap(&changes[2])).await;
    assert_eq!(stored["revision"], 3);
    assert_eq!(stored["system_id"], "laptop");
    assert_eq!(stored["deduplicated"], false);
    let here = node
        .store()
        .get(&changes[2].memory_id, None)
        .unwrap()
        .unwrap();
    let there = laptop.get(&changes[2].memory_id, None).unwrap().unwrap();
    assert_eq!(here.ingestion_method, IngestionMethod::HttpPush);
    assert_eq!(
        akosha_core::Memory {
            ingestion_method: IngestionMethod::Local,
            ..here
        },
        there
    );
}

#[tokio::test]
async fn repeated_and_reordered_pushes_end_the_same() {
    let node = Node::with(OPEN, config()).await;
    let changes = revisions(&laptop(node.home.path()));
    for order in [[2, 0, 1], [0, 1, 2], [2, 2, 0]] {
        let memories: Vec<Value> = order
            .iter()
            .map(|at| envelope::wrap(&changes[*at]))
            .collect();
        let answer = node
            .good("batch_store_memories", json!({"memories": memories}))
            .await;
        assert_eq!(answer["status"], "completed");
        assert_eq!(answer["stored"], 3);
    }
    let memory = node.good("get_memory", json!({"memory_id": "a"})).await;
    assert_eq!(memory["text"], "third");
    assert_eq!(memory["revision"], 3);
    assert_eq!(
        memory["metadata"],
        json!({"source": "claude", "project": "p"})
    );
    let again = node.good("store_memory", envelope::wrap(&changes[2])).await;
    assert_eq!(again["deduplicated"], true);
    let history = node
        .store()
        .history(&changes[0].memory_id, Some(&id("laptop")))
        .unwrap();
    assert_eq!(history.len(), 3);
    assert_eq!(node.store().conflicts().unwrap(), []);
}

#[tokio::test]
async fn pushed_and_plain_memories_go_in_one_batch() {
    let node = Node::with(OPEN, config()).await;
    let changes = revisions(&laptop(node.home.path()));
    let mut broken = envelope::wrap(&changes[0]);
    broken["metadata"][envelope::KEY]["revision"] = json!(0);
    let answer = node
        .good(
            "batch_store_memories",
            json!({"memories": [
                {"text": "plain"}, envelope::wrap(&changes[2]), broken, {"text": "plain too"}
            ]}),
        )
        .await;
    assert_eq!(answer["status"], "partial");
    assert_eq!(answer["stored"], 3);
    assert_eq!(answer["errors"][0]["index"], 2);
    assert_eq!(answer["errors"][0]["memory_id"], "a");
    let error = answer["errors"][0]["error"].as_str().unwrap();
    assert!(error.contains("metadata.akosha_sync.revision"), "{error}");
}

#[tokio::test]
async fn over_stdio_an_envelope_is_metadata_like_any_other() {
    let node = Node::start().await;
    let metadata = json!({"akosha_sync": {"revision": 9}});
    let stored = node
        .good(
            "store_memory",
            json!({"memory_id": "a", "text": "x", "metadata": metadata}),
        )
        .await;
    assert_eq!(stored["revision"], 1);
    let memory = node.good("get_memory", json!({"memory_id": "a"})).await;
    assert_eq!(memory["metadata"], metadata);
}

#[tokio::test]
async fn a_bound_client_cannot_push_another_systems_revisions() {
    let bound = Origin::Http {
        bound: Some(id("other")),
    };
    let node = Node::with(bound, config()).await;
    let changes = revisions(&laptop(node.home.path()));
    let refused = node.bad("store_memory", envelope::wrap(&changes[0])).await;
    assert_eq!(refused["kind"], "auth");
}
