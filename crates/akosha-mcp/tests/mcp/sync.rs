//! `sync_to_akosha` and `akosha_sync_status`.

use std::time::{Duration, Instant};

use crate::support::{Node, config, vector};
use akosha_core::config::ForceMethod;
use akosha_mcp::Origin;
use rmcp::model::{CallToolRequest, CallToolRequestParams, ClientRequest, ServerResult};
use rmcp::service::PeerRequestOptions;
use serde_json::{Value, json};
use tokio::net::TcpListener;

async fn with_vault() -> (Node, tempfile::TempDir) {
    let vault = tempfile::tempdir().unwrap();
    let mut config = config();
    config.cloud_bucket = format!("file://{}", vault.path().display());
    (Node::with(Origin::Stdio, config).await, vault)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_sync_reports_what_arrived() {
    let (node, _vault) = with_vault().await;
    node.good("store_memory", json!({"text": "one"})).await;
    node.good("store_memory", json!({"text": "two"})).await;
    let report = node.good("sync_to_akosha", json!({})).await;
    assert_eq!(report["method"], "cloud");
    assert_eq!(report["success"], true);
    assert_eq!(report["queued"], false);
    assert_eq!(report["memories_uploaded"], 2);
    assert_eq!(report["triggered_by"], "manual");
    assert!(report["bytes_transferred"].as_u64().unwrap() > 0);
    assert!(report["upload_id"].is_string());
    assert!(report["job_id"].is_string());
    let again = node
        .good("sync_to_akosha", json!({"method": "cloud"}))
        .await;
    assert_eq!(again["memories_uploaded"], 0);
    let erased = node.good("list_memories", json!({"limit": 1})).await;
    let id = &erased["memories"][0]["memory_id"];
    let erased = node
        .good("forget_memory", json!({"memory_id": id, "erase": true}))
        .await;
    let places = erased["not_reached"].to_string();
    assert!(
        places.contains("vault") && places.contains("machines"),
        "{places}"
    );
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_sync_that_fails_names_every_method() {
    let node = Node::start().await;
    node.good("store_memory", json!({"text": "one"})).await;
    let failed = node.bad("sync_to_akosha", json!({})).await;
    assert_eq!(failed["success"], false);
    assert_eq!(failed["method"], "none");
    assert_eq!(failed["errors"][0]["method"], "http");
    assert_eq!(failed["memories_uploaded"], 0);
    let forced = node.bad("sync_to_akosha", json!({"method": "cloud"})).await;
    assert!(forced["error"].is_string());
    for arguments in [
        json!({"method": "carrier pigeon"}),
        json!({"wait": "no"}),
        json!({"fallback": true}),
    ] {
        let failed = node.bad("sync_to_akosha", arguments).await;
        assert_eq!(failed["kind"], "invalid");
    }
}

#[tokio::test]
async fn without_waiting_a_sync_is_queued() {
    let node = Node::start().await;
    let before = node.started.count();
    let queued = node.good("sync_to_akosha", json!({"wait": false})).await;
    assert_eq!(queued["queued"], true);
    assert_eq!(queued["success"], false);
    assert_eq!(queued["method"], "none");
    assert!(queued["job_id"].is_string());
    assert_eq!(node.store().queue().unwrap().pending, 1);
    node.started.beyond(before).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn progress_is_told_to_a_client_that_asked() {
    let (node, _vault) = with_vault().await;
    let memories: Vec<Value> = (0..500_usize)
        .map(|n| json!({"text": format!("number {n}"), "embedding": vector(n)}))
        .collect();
    node.good("batch_store_memories", json!({"memories": memories}))
        .await;
    let request = ClientRequest::CallToolRequest(CallToolRequest::new(CallToolRequestParams::new(
        "sync_to_akosha",
    )));
    // The client gives every request a progress token.
    let handle = node
        .client
        .send_cancellable_request(request, PeerRequestOptions::no_options())
        .await
        .unwrap();
    let token = handle.progress_token.clone();
    let ServerResult::CallToolResult(result) = handle.await_response().await.unwrap() else {
        panic!("a tool's result");
    };
    let called = node.checked("sync_to_akosha", result);
    assert!(!called.is_error, "{called:?}");
    let told = node.client.service().progress.lock().unwrap().clone();
    assert!(!told.is_empty(), "no progress");
    assert!(told.iter().all(|one| one.progress_token == token));
    assert!(told.is_sorted_by(|a, b| a.progress < b.progress));
    let last = told.last().unwrap();
    assert_eq!((last.progress, last.total), (500.0, Some(500.0)));
    let message = last.message.as_deref().unwrap();
    assert!(message.starts_with("500 of 500 memories, "), "{message}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_cancelled_sync_ends_soon() {
    // Takes connections and never answers.
    let silent = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let mut config = config();
    config.akosha_url = format!("http://{}/mcp", silent.local_addr().unwrap());
    config.force_method = ForceMethod::Http;
    let node = Node::with(Origin::Stdio, config).await;
    node.good("store_memory", json!({"text": "one"})).await;
    let request = ClientRequest::CallToolRequest(CallToolRequest::new(CallToolRequestParams::new(
        "sync_to_akosha",
    )));
    let handle = node
        .client
        .send_cancellable_request(request, PeerRequestOptions::no_options())
        .await
        .unwrap();
    tokio::time::sleep(Duration::from_millis(300)).await;
    let started = Instant::now();
    handle.cancel(Some("enough".into())).await.unwrap();
    // The sync holds the drain lease until it has ended: the next one waits for it.
    while node.store().queue().unwrap().running > 0 {
        assert!(started.elapsed() < Duration::from_secs(5), "still running");
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    node.good("search_memories", json!({"query": "one"})).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_status_tells_settings_queue_and_lag() {
    let (node, _vault) = with_vault().await;
    node.good("store_memory", json!({"text": "one"})).await;
    let status = node.good("akosha_sync_status", json!({})).await;
    assert_eq!(status["cloud_configured"], true);
    assert_eq!(status["system_id"], "node");
    assert_eq!(status["should_use_cloud"], true);
    assert_eq!(status["should_use_http"], true);
    assert_eq!(status["force_method"], "auto");
    assert_eq!(status["configuration"].as_object().unwrap().len(), 13);
    assert_eq!(status["configuration_errors"], json!([]));
    assert_eq!(status["methods"][0]["method"], "cloud");
    assert_eq!(status["methods"][0]["available"], true);
    assert_eq!(status["methods"][1]["available"], false);
    assert_eq!(status["queue"]["pending"], 0);
    assert_eq!(status["lag"]["unsynced_memories"], 1);
    assert_eq!(status["vault"]["last_upload_id"], Value::Null);
    node.good("sync_to_akosha", json!({})).await;
    let status = node.good("akosha_sync_status", json!({})).await;
    assert_eq!(status["lag"]["unsynced_memories"], 0);
    assert!(status["vault"]["last_upload_id"].is_string());
    assert!(status["queue"]["last_success_at"].is_string());
    node.bad("akosha_sync_status", json!({"x": 1})).await;
}
