//! Slow, silent, broken and too many clients: the server stays up and answers others.

use std::time::Duration;

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

use super::support::{Answered, Server, Start, get, post_mcp, send};
use crate::serve::Limits;

/// Limits that a test can wait for.
fn short() -> Start {
    Start {
        limits: Limits {
            connections: 64,
            head: Duration::from_secs(1),
            stall: Duration::from_secs(2),
            slow: Duration::from_secs(5),
            idle: Duration::from_secs(4),
        },
        ..Start::default()
    }
}

/// Reads until the server closes the connection, which it has to.
async fn rest(stream: &mut TcpStream) -> String {
    let mut bytes = Vec::new();
    let read = stream.read_to_end(&mut bytes);
    let ended = tokio::time::timeout(Duration::from_secs(10), read).await;
    // A connection that is closed while something lies in it unread is reset.
    let _ = ended.expect("the server closes the connection");
    String::from_utf8_lossy(&bytes).into_owned()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn connections_that_say_nothing_keep_nobody_out() {
    let server = Server::start_as(short()).await;
    let mut silent = Vec::new();
    for _ in 0..300 {
        silent.push(TcpStream::connect(server.address).await.unwrap());
    }
    for _ in 0..20 {
        assert_eq!(get(server.address, "/health").await.status, 200);
    }
    let closed = rest(silent.first_mut().unwrap()).await;
    assert_eq!(closed, "", "the oldest went first");
    server.stopped().await.unwrap();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_head_that_comes_too_slowly_ends() {
    let server = Server::start_as(short()).await;
    let mut slow = TcpStream::connect(server.address).await.unwrap();
    slow.write_all(b"GET /health HTTP/1.1\r\n").await.unwrap();
    let drip = async {
        // A byte now and then does not count.
        for _ in 0..100 {
            tokio::time::sleep(Duration::from_millis(100)).await;
            if slow.write_all(b"X-A: b\r\n").await.is_err() {
                return;
            }
        }
        panic!("a head of ten seconds was waited for");
    };
    drip.await;
    assert_eq!(get(server.address, "/health").await.status, 200);
    server.stopped().await.unwrap();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_body_that_stalls_ends_and_one_that_is_slow_lives() {
    let server = Server::start_as(short()).await;
    let body = r#"{"jsonrpc":"2.0","id":1,"method":"tools/list"}"#;
    let head = format!(
        "POST /mcp HTTP/1.1\r\nHost: {}\r\nConnection: close\r\nContent-Type: application/json\r\n\
         Accept: application/json, text/event-stream\r\nContent-Length: {}\r\n\r\n",
        server.address,
        body.len()
    );
    let mut stalled = TcpStream::connect(server.address).await.unwrap();
    stalled.write_all(head.as_bytes()).await.unwrap();
    stalled.write_all(&body.as_bytes()[..10]).await.unwrap();
    let answer = Answered::of(&rest(&mut stalled).await);
    assert_eq!(answer.status, 408, "{}", answer.head);
    assert!(
        answer.problem()["detail"]
            .as_str()
            .unwrap()
            .contains("body")
    );

    let mut slow = TcpStream::connect(server.address).await.unwrap();
    slow.write_all(head.as_bytes()).await.unwrap();
    for piece in body.as_bytes().chunks(6) {
        slow.write_all(piece).await.unwrap();
        tokio::time::sleep(Duration::from_millis(400)).await;
    }
    let answer = Answered::of(&rest(&mut slow).await);
    assert_eq!(answer.status, 200, "{}", answer.body);
    server.stopped().await.unwrap();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_body_that_trickles_ends() {
    let server = Server::start_as(short()).await;
    let head = format!(
        "POST /mcp HTTP/1.1\r\nHost: {}\r\nContent-Type: application/json\r\n\
         Content-Length: 10000\r\n\r\n",
        server.address
    );
    let stream = TcpStream::connect(server.address).await.unwrap();
    let (mut answers, mut trickles) = stream.into_split();
    trickles.write_all(head.as_bytes()).await.unwrap();
    let trickle = tokio::spawn(async move {
        while trickles.write_all(b" ").await.is_ok() {
            tokio::time::sleep(Duration::from_millis(300)).await;
        }
    });
    let mut bytes = Vec::new();
    let read = tokio::time::timeout(Duration::from_secs(15), answers.read_to_end(&mut bytes));
    let _ = read.await.expect("the server closes the connection");
    assert!(bytes.starts_with(b"HTTP/1.1 408"), "{bytes:?}");
    trickle.await.unwrap();
    server.stopped().await.unwrap();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn connections_that_begin_heads_keep_nobody_out() {
    let server = Server::start_as(short()).await;
    let request = format!("GET /health HTTP/1.1\r\nHost: {}\r\n\r\n", server.address);
    let mut begun = Vec::new();
    for _ in 0..64 {
        let mut stream = TcpStream::connect(server.address).await.unwrap();
        stream.write_all(request.as_bytes()).await.unwrap();
        let read = stream.read(&mut [0; 512]).await.unwrap();
        assert!(read > 0);
        stream.write_all(b"G").await.unwrap();
        begun.push(stream);
    }
    for _ in 0..20 {
        assert_eq!(get(server.address, "/health").await.status, 200);
    }
    server.stopped().await.unwrap();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_idle_connection_is_closed_and_a_second_request_is_not_hurried() {
    let server = Server::start_as(short()).await;
    let mut kept = TcpStream::connect(server.address).await.unwrap();
    let request = format!("GET /health HTTP/1.1\r\nHost: {}\r\n\r\n", server.address);
    for _ in 0..2 {
        kept.write_all(request.as_bytes()).await.unwrap();
        let mut answer = [0; 512];
        let read = kept.read(&mut answer).await.unwrap();
        assert!(answer[..read].starts_with(b"HTTP/1.1 200"));
        // Longer than a head may take.
        tokio::time::sleep(Duration::from_millis(1500)).await;
    }
    assert_eq!(rest(&mut kept).await, "");
    server.stopped().await.unwrap();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_answer_that_nobody_reads_is_given_up() {
    let server = Server::start_as(short()).await;
    let memory = "x".repeat(1 << 20);
    for n in 0..24 {
        let input = akosha_core::MemoryInput {
            memory_id: Some(format!("m{n}")),
            text: memory.clone(),
            embedding: None,
            metadata: None,
        };
        let redactor = akosha_core::redact::Redactor::built_in();
        let memory = akosha_core::NewMemory::check(input, &redactor).unwrap();
        let method = akosha_core::IngestionMethod::Local;
        server
            .store
            .put(&"server".parse().unwrap(), &memory, method)
            .unwrap();
    }
    let body = r#"{"jsonrpc":"2.0","id":1,"method":"tools/call","params":{"name":"list_memories","arguments":{"limit":100}}}"#;
    let request = format!(
        "POST /mcp HTTP/1.1\r\nHost: {}\r\nContent-Type: application/json\r\n\
         Accept: application/json, text/event-stream\r\nContent-Length: {}\r\n\r\n{body}",
        server.address,
        body.len()
    );
    let mut deaf = TcpStream::connect(server.address).await.unwrap();
    deaf.write_all(request.as_bytes()).await.unwrap();
    tokio::time::sleep(Duration::from_secs(5)).await;
    let mut bytes = Vec::new();
    let read = tokio::time::timeout(Duration::from_secs(10), deaf.read_to_end(&mut bytes)).await;
    let _ = read.expect("the connection is closed");
    assert!(bytes.len() < 24 << 20, "{} bytes", bytes.len());
    server.stopped().await.unwrap();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn heads_that_are_too_long_or_no_heads_are_refused() {
    let server = Server::start_as(short()).await;
    let address = server.address;
    let many = "X-More: y\r\n".repeat(2000);
    let long = format!("X-Long: {}\r\n", "y".repeat(1 << 20));
    for headers in [many, long] {
        let mut stream = TcpStream::connect(address).await.unwrap();
        let head = format!("GET /health HTTP/1.1\r\nHost: {address}\r\n{headers}\r\n");
        // The server may close before it has read all.
        let _ = stream.write_all(head.as_bytes()).await;
        let answer = rest(&mut stream).await;
        assert!(
            answer.is_empty() || answer.starts_with("HTTP/1.1 431"),
            "{answer}"
        );
    }
    for nonsense in ["\r\n\r\n\r\n", "GET\r\n\r\n", "\u{16}\u{3}\u{1}\r\n\r\n"] {
        let mut stream = TcpStream::connect(address).await.unwrap();
        stream.write_all(nonsense.as_bytes()).await.unwrap();
        let answer = rest(&mut stream).await;
        assert!(
            answer.is_empty() || answer.starts_with("HTTP/1.1 400"),
            "{answer}"
        );
    }
    let host = address.to_string();
    assert_eq!(post_mcp(address, &host, "").await.status, 200);
    server.stopped().await.unwrap();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn malformed_requests_are_answered_with_what_is_wrong() {
    let server = Server::start().await;
    let address = server.address;
    let post = |kind: &str, body: &str| {
        let request = format!(
            "POST /mcp HTTP/1.1\r\nHost: {address}\r\nConnection: close\r\nContent-Type: {kind}\r\n\
             Accept: application/json, text/event-stream\r\nContent-Length: {}\r\n\r\n{body}",
            body.len()
        );
        async move { send(address, &request).await }
    };
    let answer = post("text/plain", "{}").await;
    assert_eq!(answer.status, 415);
    answer.problem();
    for body in ["", "{", "[]", "null", "{\"jsonrpc\":\"1.0\"}", "\u{0}"] {
        let answer = post("application/json", body).await;
        assert!(
            (400..500).contains(&answer.status),
            "{body}: {}",
            answer.head
        );
    }
    server.stopped().await.unwrap();
}
