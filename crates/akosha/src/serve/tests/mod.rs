//! The server as its clients see it, on a free port of loopback.

mod auth;
mod lifecycle;
mod limits;
mod protocol;
mod rest;
mod support;
mod tls;

use std::sync::Arc;
use std::time::Duration;

use akosha_core::config::LoadedConfig;
use akosha_mcp::StoreHandle;
use akosha_store::{Home, Store, StoreOptions};
use akosha_sync::Syncer;
use rmcp::ClientLifecycleMode;
use rmcp::model::ProtocolVersion;
use serde_json::{Value, json};
use tokio::net::TcpStream;

use self::support::{Server, call, config, get, post_mcp, send, spawn};
use super::listen::Addresses;
use super::{ServeError, mcp};

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn probes_answer_and_what_is_not_there_is_a_problem() {
    let server = Server::start().await;
    let health = get(server.address, "/health").await;
    assert_eq!(health.status, 200);
    assert_eq!(health.json()["status"], "ok");
    assert_eq!(get(server.address, "/ready").await.status, 200);
    let missing = get(server.address, "/nothing").await;
    assert_eq!(missing.status, 404);
    assert!(
        missing.problem()["detail"]
            .as_str()
            .unwrap()
            .contains("/nothing")
    );
    let request = format!(
        "POST /health HTTP/1.1\r\nHost: {0}\r\nConnection: close\r\nContent-Length: 0\r\n\r\n",
        server.address
    );
    let refused = send(server.address, &request).await;
    assert_eq!(refused.status, 405);
    refused.problem();
    assert!(
        refused.head.to_ascii_lowercase().contains("allow:"),
        "{}",
        refused.head
    );
    let refused = get(server.address, "/mcp").await;
    assert_eq!(refused.status, 405);
    refused.problem();
    server.stopped().await.unwrap();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn pages_of_other_origins_and_other_host_names_are_refused() {
    let server = Server::start().await;
    let address = server.address;
    let host = address.to_string();
    assert_eq!(post_mcp(address, &host, "").await.status, 200);
    let own = format!("Origin: http://{address}\r\n");
    assert_eq!(post_mcp(address, &host, &own).await.status, 200);
    for origin in ["https://evil.example", "http://localhost:1", "null"] {
        let refused = post_mcp(address, &host, &format!("Origin: {origin}\r\n")).await;
        assert_eq!(refused.status, 403, "{origin}");
        refused.problem();
    }
    let refused = post_mcp(address, "evil.example", "").await;
    assert_eq!(refused.status, 403);
    let metrics = get(address, "/metrics").await.body;
    for reason in ["host", "origin"] {
        let series = format!("akosha_auth_failures_total{{reason=\"{reason}\"}} ");
        let count = metrics.lines().find_map(|line| line.strip_prefix(&series));
        assert!(
            count.is_some_and(|count| count != "0"),
            "{reason}: {count:?}"
        );
    }
    let log = server.home.path().join("home/logs/audit.jsonl");
    let mut noted = String::new();
    for _ in 0..100 {
        noted = std::fs::read_to_string(&log).unwrap_or_default();
        if noted.contains("\"origin\"") {
            break;
        }
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    assert!(noted.contains("\"reason\":\"origin\""), "{noted}");
    server.stopped().await.unwrap();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_body_over_the_limit_is_refused() {
    let server = Server::start().await;
    let size = mcp::MAX_BODY + 1;
    let head = format!(
        "POST /mcp HTTP/1.1\r\nHost: {}\r\nConnection: close\r\nContent-Type: application/json\r\n\
         Accept: application/json, text/event-stream\r\nContent-Length: {size}\r\n\r\n",
        server.address
    );
    // Its length alone tells: nothing of it is waited for.
    let refused = send(server.address, &head).await;
    assert_eq!(refused.status, 413);
    refused.problem();
    server.stopped().await.unwrap();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn eight_megabytes_of_memories_pass_in_every_era() {
    let server = Server::start().await;
    let eras = [
        ClientLifecycleMode::Initialize,
        ClientLifecycleMode::Discover {
            preferred_versions: vec![ProtocolVersion::V_2026_07_28],
        },
    ];
    for (n, era) in eras.into_iter().enumerate() {
        let client = server.client(era).await;
        let source = format!("laptop.{n}");
        let memories: Vec<Value> = (0..1000)
            .map(|n| {
                let embedding: Vec<f32> = (0..384).map(|i| 0.123_456_7 + (n * i) as f32).collect();
                json!({
                    "memory_id": format!("m{n}"), "text": format!("number {n} {}", "x".repeat(3500)),
                    "embedding": embedding, "metadata": {"source": source}
                })
            })
            .collect();
        let arguments = json!({"memories": memories});
        assert!(arguments.to_string().len() > 8_000_000);
        let answer = call(&client, "batch_store_memories", arguments).await;
        assert_eq!(answer["status"], "completed", "{answer}");
        assert_eq!(answer["stored"], 1000);
        let memory = call(
            &client,
            "get_memory",
            json!({"memory_id": "m7", "system_id": format!("laptop-{n}")}),
        )
        .await;
        assert_eq!(memory["ingestion_method"], "http_push");
        client.cancel().await.unwrap();
    }
    assert_eq!(server.store.stats().unwrap().systems, 2);
    server.stopped().await.unwrap();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_queued_sync_runs_in_the_server() {
    let server = Server::start().await;
    let client = server.client(ClientLifecycleMode::Initialize).await;
    let end = call(&client, "session_end", json!({"summary": "Done"})).await;
    assert_eq!(end["sync"]["queued"], true);
    for _ in 0..200 {
        if server.store.queue().unwrap().last_success_at.is_some() {
            break;
        }
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    let queue = server.store.queue().unwrap();
    assert!(queue.last_success_at.is_some(), "{queue:?}");
    assert!(
        server
            .home
            .path()
            .join("vault/systems/server/head.json")
            .exists()
    );
    server.stopped().await.unwrap();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn stopping_drains_what_is_queued() {
    let server = Server::start().await;
    let client = server.client(ClientLifecycleMode::Initialize).await;
    call(&client, "store_memory", json!({"text": "x"})).await;
    // Queued by another process of the home: nobody woke the server.
    server
        .store
        .enqueue(
            akosha_store::Trigger::SessionEnd,
            &serde_json::to_string(&akosha_sync::SyncRequest::default()).unwrap(),
        )
        .unwrap();
    let (store, address) = (server.store.clone(), server.address);
    server.stopped().await.unwrap();
    assert_eq!(store.queue().unwrap().pending, 0);
    assert!(store.queue().unwrap().last_success_at.is_some());
    assert!(
        TcpStream::connect(address).await.is_err(),
        "the port is free"
    );
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_server_is_ready_once_its_store_is_open() {
    let (allow, allowed) = std::sync::mpsc::channel::<Syncer>();
    let allowed = std::sync::Mutex::new(allowed);
    let handle = StoreHandle::new(move || Ok(allowed.lock().unwrap().recv().unwrap()));
    let (address, stop, task) = spawn(handle).await;
    assert_eq!(get(address, "/health").await.status, 200);
    let unready = get(address, "/ready").await;
    assert_eq!(unready.status, 503);
    unready.problem();
    let home = tempfile::tempdir().unwrap();
    let config = config(&home);
    let options = StoreOptions::new(config.system_id.clone());
    let store = Store::open(&Home::new(home.path().join("home")), options).unwrap();
    allow
        .send(Syncer::new(store, Arc::new(LoadedConfig::new(config))))
        .unwrap();
    for _ in 0..100 {
        if get(address, "/ready").await.status == 200 {
            break;
        }
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    assert_eq!(get(address, "/ready").await.status, 200);
    stop.forced.cancel();
    let ended = task.await.unwrap();
    assert!(matches!(ended, Err(ServeError::Forced)), "{ended:?}");
}

#[tokio::test]
async fn what_is_no_address_is_refused() {
    for listen in [
        "",
        "8682",
        "127.0.0.1",
        "127.0.0.1:",
        "127.0.0.1:99999",
        ":80",
    ] {
        let error = Addresses::find(listen).await.unwrap_err();
        assert!(matches!(error, ServeError::Address(_)), "{listen}: {error}");
        assert_eq!(error.kind().exit_code(), 2);
    }
    for (listen, public) in [
        ("127.0.0.1:0", false),
        ("[::1]:0", false),
        ("0.0.0.0:0", true),
        ("[::]:0", true),
        ("192.0.2.1:80", true),
    ] {
        let addresses = Addresses::find(listen).await.unwrap();
        assert_eq!(addresses.public().is_some(), public, "{listen}");
    }
    let bound = Addresses::find("localhost:0").await.unwrap().bind().await;
    let taken = bound.as_ref().unwrap().local_addr().unwrap().to_string();
    let error = Addresses::find(&taken).await.unwrap().bind().await;
    let error = error.unwrap_err();
    assert!(matches!(error, ServeError::Bind { .. }), "{error}");
}
