//! Starting, failing, stopping.

use std::time::Duration;

use serde_json::json;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio_util::sync::CancellationToken;

use super::support::{Answered, Server, Start, get};
use crate::serve::stop::Stop;
use crate::serve::{ServeError, Supervisor, until_stopped};

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_task_that_panics_is_told_of_and_disturbs_nobody() {
    let tasks = Supervisor::default();
    let until = CancellationToken::new();
    tasks.start("shaky", until.clone(), |_| async { panic!("on purpose") });
    let server = Server::start_as(Start {
        tasks,
        ..Start::default()
    })
    .await;
    let mut told = json!(null);
    for _ in 0..100 {
        let status = get(server.address, "/status").await.json();
        let tasks = status["tasks"].as_array().unwrap().clone();
        told = tasks
            .into_iter()
            .find(|task| task["name"] == "shaky")
            .unwrap();
        if told["restarts"] != 0 {
            break;
        }
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
    assert!(told["restarts"].as_u64().unwrap() > 0, "{told}");
    assert_eq!(told["last_error"], "it panicked: on purpose");
    let metrics = get(server.address, "/metrics").await.body;
    let counted = metrics
        .lines()
        .find(|line| line.starts_with("akosha_task_restarts_total{task=\"shaky\"}"));
    assert!(!counted.unwrap().ends_with(" 0"), "{counted:?}");
    assert_eq!(get(server.address, "/ready").await.status, 200);
    until.cancel();
    server.stopped().await.unwrap();
}

/// Sends the head of a request and a part of its body.
async fn half_a_request(server: &Server) -> (TcpStream, &'static str) {
    let body = r#"{"jsonrpc":"2.0","id":1,"method":"tools/list"}"#;
    let mut stream = TcpStream::connect(server.address).await.unwrap();
    let head = format!(
        "POST /mcp HTTP/1.1\r\nHost: {}\r\nConnection: close\r\nContent-Type: application/json\r\n\
         Accept: application/json, text/event-stream\r\nContent-Length: {}\r\n\r\n",
        server.address,
        body.len()
    );
    stream.write_all(head.as_bytes()).await.unwrap();
    stream.write_all(&body.as_bytes()[..10]).await.unwrap();
    // Until the server has read the head.
    tokio::time::sleep(Duration::from_millis(500)).await;
    (stream, &body[10..])
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn while_it_stops_it_says_so_and_finishes_what_is_at_work() {
    let server = Server::start().await;
    let (mut at_work, rest) = half_a_request(&server).await;
    server.stop.asked.cancel();
    tokio::time::sleep(Duration::from_millis(200)).await;
    assert_eq!(get(server.address, "/health").await.status, 200);
    assert_eq!(get(server.address, "/ready").await.status, 503);
    assert_eq!(get(server.address, "/metrics").await.status, 200);
    let refused = get(server.address, "/api/v1/memories").await;
    assert_eq!(refused.status, 503);
    assert!(refused.head.to_ascii_lowercase().contains("retry-after"));
    refused.problem();
    at_work.write_all(rest.as_bytes()).await.unwrap();
    let mut answer = String::new();
    at_work.read_to_string(&mut answer).await.unwrap();
    assert_eq!(Answered::of(&answer).status, 200);
    server.stopped().await.unwrap();
}

#[tokio::test]
async fn a_server_that_takes_no_connections_ends() {
    let mut accepting = tokio::spawn(async { panic!("on purpose") });
    let ended = until_stopped(std::future::pending(), &Stop::new(), &mut accepting).await;
    let error = ended.unwrap_err();
    assert!(matches!(error, ServeError::Deaf(_)), "{error}");
    assert!(error.to_string().contains("on purpose"), "{error}");
    assert_eq!(error.kind().exit_code(), 1);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_store_that_cannot_be_read_makes_the_server_unready() {
    let server = Server::start().await;
    assert_eq!(get(server.address, "/ready").await.status, 200);
    let database = server.home.path().join("home/akosha.db");
    let database = rusqlite::Connection::open(database).unwrap();
    for (change, status) in [
        ("ALTER TABLE tokens RENAME TO tokens_away", 503),
        ("ALTER TABLE tokens_away RENAME TO tokens", 200),
    ] {
        database.execute(change, []).unwrap();
        let mut last = get(server.address, "/ready").await;
        for _ in 0..150 {
            if last.status == status {
                break;
            }
            tokio::time::sleep(Duration::from_millis(100)).await;
            last = get(server.address, "/ready").await;
        }
        assert_eq!(last.status, status, "{}", last.body);
    }
    server.stopped().await.unwrap();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_request_that_does_not_end_leaves_time_for_the_queue() {
    let server = Server::start().await;
    let put = get(server.address, "/sync/status").await;
    assert_eq!(put.status, 200);
    let (_at_work, _) = half_a_request(&server).await;
    // Queued by another process of the home: nobody woke the server.
    server
        .store
        .enqueue(
            akosha_store::Trigger::SessionEnd,
            &serde_json::to_string(&akosha_sync::SyncRequest::default()).unwrap(),
        )
        .unwrap();
    let store = server.store.clone();
    server.stopped().await.unwrap();
    assert_eq!(store.queue().unwrap().pending, 0);
    assert!(store.queue().unwrap().last_success_at.is_some());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_second_signal_ends_it_at_once() {
    let server = Server::start().await;
    let (_at_work, _) = half_a_request(&server).await;
    server.stop.asked.cancel();
    server.stop.forced.cancel();
    let ended = server.stopped().await;
    assert!(matches!(ended, Err(ServeError::Forced)), "{ended:?}");
}
