//! Memories that come over HTTP: plain ones, and pushes of another Akosha.

use crate::support::{Node, config, id};
use akosha_core::{IngestionMethod, NewMemory};
use akosha_mcp::Origin;
use akosha_store::{Change, Store};
use akosha_sync::envelope::{self, Writer};
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

/// The writer of every push here that is not about writers.
fn writer(last: char, epoch: i64) -> Writer {
    Writer {
        id: format!("01ARZ3NDEKTSV4RRFFQ69G5FA{last}").parse().unwrap(),
        epoch,
        mark: None,
    }
}

fn pushed(change: &Change) -> Value {
    envelope::wrap(change, &writer('1', 0))
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
    let stored = node.good("store_memory", pushed(&changes[2])).await;
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
        let memories: Vec<Value> = order.iter().map(|at| pushed(&changes[*at])).collect();
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
    let again = node.good("store_memory", pushed(&changes[2])).await;
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
    let mut broken = pushed(&changes[0]);
    broken["metadata"][envelope::KEY]["revision"] = json!(0);
    let answer = node
        .good(
            "batch_store_memories",
            json!({"memories": [
                {"text": "plain"}, pushed(&changes[2]), broken, {"text": "plain too"}
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
    let refused = node.bad("store_memory", pushed(&changes[0])).await;
    assert_eq!(refused["kind"], "auth");
}

#[tokio::test]
async fn a_second_writer_of_a_system_is_told() {
    let node = Node::with(OPEN, config()).await;
    let changes = revisions(&laptop(node.home.path()));
    node.good("store_memory", pushed(&changes[0])).await;
    let by = |at: usize, writer: &Writer| envelope::wrap(&changes[at], writer);
    let (second, higher) = (writer('2', 0), writer('2', 1));

    let refused = node.bad("store_memory", by(1, &second)).await;
    assert_eq!(refused["kind"], "conflict");
    let batch = json!({"memories": [by(1, &second), {"text": "plain"}]});
    let answer = node.good("batch_store_memories", batch).await;
    assert_eq!(
        (&answer["stored"], &answer["failed"]),
        (&json!(1), &json!(1))
    );
    let error = &answer["errors"][0];
    assert_eq!(
        (&error["index"], &error["kind"]),
        (&json!(0), &json!("conflict"))
    );
    assert_eq!(error["epoch"], 0);
    let deletion = |writer: &Writer| {
        json!({"memory_id": "a", "system_id": "laptop", "revision": 2,
            "writer_id": writer.id, "epoch": writer.epoch})
    };
    let refused = node.bad("forget_memory", deletion(&second)).await;
    assert_eq!(
        (&refused["kind"], &refused["epoch"]),
        (&json!("conflict"), &json!(0))
    );
    let memory = node.good("get_memory", json!({"memory_id": "a"})).await;
    assert_eq!(memory["revision"], 1);

    // A person has settled it: now the first one is told.
    node.good("store_memory", by(2, &higher)).await;
    let refused = node.bad("store_memory", pushed(&changes[1])).await;
    assert_eq!(refused["kind"], "conflict");
    let refused = node.bad("forget_memory", deletion(&writer('1', 0))).await;
    assert_eq!(refused["epoch"], 1);
}

#[tokio::test]
async fn a_push_under_the_id_of_the_node_itself_is_refused() {
    let node = Node::with(OPEN, config()).await;
    let mut changes = revisions(&laptop(node.home.path()));
    for change in &mut changes {
        change.system_id = id("node");
    }
    let refused = node.bad("store_memory", pushed(&changes[0])).await;
    assert_eq!(refused["kind"], "conflict");
    let answer = node
        .bad(
            "batch_store_memories",
            json!({"memories": [pushed(&changes[0])]}),
        )
        .await;
    assert_eq!(answer["errors"][0]["kind"], "conflict");
    assert_eq!(
        answer["errors"][0].get("epoch"),
        None,
        "it cannot be taken over"
    );
    node.bad("get_memory", json!({"memory_id": "a"})).await;
}
