//! What `/mcp` answers to requests as they are on the wire, beyond what a client library sends.

use std::net::SocketAddr;

use serde_json::{Value, json};

use super::support::{Answered, Server, send};

/// Largest body in bytes that the server takes.
const MAX_BODY: usize = 64 << 20;

const BOTH: &str = "Accept: application/json, text/event-stream\r\n";

/// Posts a body with further headers.
async fn post(address: SocketAddr, headers: &str, body: &str) -> Answered {
    let request = format!(
        "POST /mcp HTTP/1.1\r\nHost: {address}\r\nConnection: close\r\n{headers}\
         Content-Type: application/json\r\nContent-Length: {}\r\n\r\n{body}",
        body.len()
    );
    send(address, &request).await
}

/// Sends a request without a body.
async fn bare(address: SocketAddr, method: &str, headers: &str) -> Answered {
    let request = format!(
        "{method} /mcp HTTP/1.1\r\nHost: {address}\r\nConnection: close\r\n{headers}\
         Content-Length: 0\r\n\r\n"
    );
    send(address, &request).await
}

fn list() -> String {
    json!({"jsonrpc": "2.0", "id": 1, "method": "tools/list"}).to_string()
}

/// Returns a request of 2026-07-28, which says all about itself.
fn modern(method: &str, version: &str) -> (String, String) {
    let meta = json!({
        "io.modelcontextprotocol/protocolVersion": version,
        "io.modelcontextprotocol/clientInfo": {"name": "test", "version": "1"},
        "io.modelcontextprotocol/clientCapabilities": {},
    });
    let body = json!({"jsonrpc": "2.0", "id": 1, "method": method, "params": {"_meta": meta}});
    let headers = format!("{BOTH}MCP-Protocol-Version: {version}\r\nMcp-Method: {method}\r\n");
    (headers, body.to_string())
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_body_of_the_limit_passes_and_a_byte_more_does_not() {
    let server = Server::start().await;
    let list = list();
    let padded = |size: usize| list.clone() + &" ".repeat(size - list.len());
    let answer = post(server.address, BOTH, &padded(MAX_BODY)).await;
    assert_eq!(answer.status, 200, "{}", answer.head);
    assert!(answer.json()["result"]["tools"].is_array());
    let head = format!(
        "POST /mcp HTTP/1.1\r\nHost: {}\r\n{BOTH}Content-Type: application/json\r\n\
         Content-Length: {}\r\n\r\n",
        server.address,
        MAX_BODY + 1
    );
    let answer = send(server.address, &head).await;
    assert_eq!(answer.status, 413);
    answer.problem();
    server.stopped().await.unwrap();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_client_must_take_both_kinds_of_answers() {
    let server = Server::start().await;
    for headers in [
        "",
        "Accept: */*\r\n",
        "Accept: application/json\r\n",
        "Accept: text/event-stream\r\n",
    ] {
        let answer = post(server.address, headers, &list()).await;
        assert_eq!(answer.status, 406, "{headers}: {}", answer.head);
        answer.problem();
    }
    for headers in [
        BOTH,
        "Accept: text/event-stream\r\nAccept: application/json\r\n",
    ] {
        let answer = post(server.address, headers, &list()).await;
        assert_eq!(answer.status, 200, "{headers}: {}", answer.head);
    }
    server.stopped().await.unwrap();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn there_is_nothing_to_get_or_delete_without_sessions() {
    let server = Server::start().await;
    for method in ["GET", "DELETE", "PUT", "PATCH"] {
        for headers in [BOTH, "Accept: text/event-stream\r\nMcp-Session-Id: x\r\n"] {
            let answer = bare(server.address, method, headers).await;
            assert_eq!(answer.status, 405, "{method}: {}", answer.head);
            answer.problem();
        }
    }
    let answer = post(server.address, BOTH, &list()).await;
    let head = answer.head.to_ascii_lowercase();
    assert!(!head.contains("mcp-session-id"), "{head}");
    server.stopped().await.unwrap();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_is_no_single_message_is_a_bad_request() {
    let server = Server::start().await;
    // Batches were in one version of the protocol, and are no more.
    let batch = format!("[{},{}]", list(), list());
    for body in [
        batch.as_str(),
        "[]",
        "",
        "{",
        "null",
        "{\"jsonrpc\":\"1.0\"}",
    ] {
        let answer = post(server.address, BOTH, body).await;
        assert_eq!(answer.status, 400, "{body}: {}", answer.head);
        answer.problem();
    }
    server.stopped().await.unwrap();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_notification_is_taken_and_an_answer_to_nothing_is_not() {
    let server = Server::start().await;
    let told = json!({"jsonrpc": "2.0", "method": "notifications/initialized"}).to_string();
    let answer = post(server.address, BOTH, &told).await;
    assert_eq!((answer.status, answer.body.as_str()), (202, ""));
    let answered = json!({"jsonrpc": "2.0", "id": 1, "result": {}}).to_string();
    let answer = post(server.address, BOTH, &answered).await;
    assert_eq!(answer.status, 400, "{}", answer.head);
    server.stopped().await.unwrap();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn every_version_of_the_older_era_is_spoken() {
    let server = Server::start().await;
    for version in ["2024-11-05", "2025-03-26", "2025-06-18", "2025-11-25"] {
        let hello = json!({
            "jsonrpc": "2.0", "id": 1, "method": "initialize",
            "params": {
                "protocolVersion": version, "capabilities": {},
                "clientInfo": {"name": "test", "version": "1"},
            },
        });
        let answer = post(server.address, BOTH, &hello.to_string()).await;
        assert_eq!(answer.json()["result"]["protocolVersion"], version);
        assert_eq!(answer.json()["result"]["serverInfo"]["name"], "akosha");
        let headers = format!("{BOTH}MCP-Protocol-Version: {version}\r\n");
        let answer = post(server.address, &headers, &list()).await;
        assert_eq!(answer.status, 200, "{version}: {}", answer.body);
    }
    let headers = format!("{BOTH}MCP-Protocol-Version: 1999-01-01\r\n");
    let answer = post(server.address, &headers, &list()).await;
    assert_eq!(answer.status, 400, "{}", answer.body);
    server.stopped().await.unwrap();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_newer_era_needs_no_handshake() {
    let server = Server::start().await;
    let (headers, body) = modern("server/discover", "2026-07-28");
    let discovered = post(server.address, &headers, &body).await;
    assert_eq!(discovered.status, 200, "{}", discovered.body);
    let result = &discovered.json()["result"];
    let versions: Vec<&str> = result["supportedVersions"]
        .as_array()
        .unwrap()
        .iter()
        .filter_map(Value::as_str)
        .collect();
    assert!(versions.contains(&"2026-07-28") && versions.contains(&"2025-11-25"));
    for capability in ["tools", "resources", "prompts"] {
        assert!(result["capabilities"][capability].is_object(), "{result}");
    }
    let (headers, body) = modern("tools/list", "2026-07-28");
    let listed = post(server.address, &headers, &body).await;
    assert!(listed.json()["result"]["ttlMs"].is_u64(), "{}", listed.body);
    // What a request says of itself in its headers must be what it says in its body.
    let other = headers.replace("tools/list", "prompts/list");
    let refused = post(server.address, &other, &body).await;
    assert_eq!(refused.status, 400);
    assert_eq!(refused.json()["error"]["code"], -32020, "{}", refused.body);
    let (headers, body) = modern("tools/list", "2999-01-01");
    let refused = post(server.address, &headers, &body).await;
    assert_eq!(refused.status, 400);
    assert_eq!(refused.json()["error"]["data"]["requested"], "2999-01-01");
    let (headers, body) = modern("no/such/method", "2026-07-28");
    let refused = post(server.address, &headers, &body).await;
    assert_eq!(refused.status, 404);
    assert_eq!(refused.json()["error"]["code"], -32601, "{}", refused.body);
    server.stopped().await.unwrap();
}
