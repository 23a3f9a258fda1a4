//! Who may do what: every route and every tool, under every kind of token.

use std::fmt::Write as _;
use std::time::Duration;

use akosha_core::Scope;
use akosha_store::NewToken;
use serde_json::{Value, json};

use super::support::{Answered, Server, Start, send};
use crate::serve::rest::{OTHERS, ROUTES};
use crate::token;

/// A token as a client has it.
struct Client {
    name: &'static str,
    secret: Option<String>,
    /// What it may do; `None` where it is not let in.
    scope: Option<Scope>,
    bound: Option<&'static str>,
}

/// Makes one client of every kind.
fn clients(server: &Server) -> Vec<Client> {
    let make = |name: &'static str, scope, bound: Option<&'static str>| {
        let secret = token::make().unwrap();
        server
            .store
            .create_token(NewToken {
                name: name.into(),
                hash: token::hash(&secret),
                scope,
                system_id: bound.map(|id| id.parse().unwrap()),
                expires_at: None,
            })
            .unwrap();
        Client {
            name,
            secret: Some(secret.to_string()),
            scope: Some(scope),
            bound,
        }
    };
    let mut clients = vec![
        make("reader", Scope::Read, None),
        make("writer", Scope::Write, None),
        make("admin", Scope::Admin, None),
        make("bound to this node", Scope::Write, Some("server")),
        make("bound to another", Scope::Write, Some("laptop")),
    ];
    let mut revoked = make("revoked", Scope::Admin, None);
    server.store.revoke_token("revoked").unwrap();
    revoked.scope = None;
    clients.push(revoked);
    let expired = token::make().unwrap();
    let now = server.store.sources().clock.now();
    server
        .store
        .create_token(NewToken {
            name: "expired".into(),
            hash: token::hash(&expired),
            scope: Scope::Admin,
            system_id: None,
            expires_at: Some(now),
        })
        .unwrap();
    for (name, secret) in [
        ("expired", Some(expired.to_string())),
        ("wrong", Some("akosha_wrong".to_owned())),
        ("nothing", None),
    ] {
        clients.push(Client {
            name,
            secret,
            scope: None,
            bound: None,
        });
    }
    clients
}

async fn ask(server: &Server, method: &str, path: &str, client: &Client, body: &str) -> Answered {
    let mut headers = String::new();
    if let Some(secret) = &client.secret {
        let _ = write!(headers, "Authorization: Bearer {secret}\r\n");
    }
    let request = format!(
        "{method} {path} HTTP/1.1\r\nHost: {}\r\nConnection: close\r\n{headers}\
         Content-Type: application/json\r\nAccept: application/json, text/event-stream\r\n\
         Content-Length: {}\r\n\r\n{body}",
        server.address,
        body.len()
    );
    send(server.address, &request).await
}

async fn tool(server: &Server, client: &Client, tool: &str, arguments: &Value) -> Answered {
    let body = json!({
        "jsonrpc": "2.0", "id": 7, "method": "tools/call",
        "params": {"name": tool, "arguments": arguments},
    });
    ask(server, "POST", "/mcp", client, &body.to_string()).await
}

/// Checks what a client that is not let in is told.
fn is_unauthorized(answer: &Answered, what: &str) {
    assert_eq!(answer.status, 401, "{what}");
    let head = answer.head.to_ascii_lowercase();
    assert!(head.contains("www-authenticate: bearer"), "{what}: {head}");
}

/// Checks what a client is told that asks for what is beyond its scope.
fn is_beyond_scope(answer: &Answered, wanted: Scope, what: &str) {
    assert_eq!(answer.status, 403, "{what}");
    let scope = format!("error=\"insufficient_scope\", scope=\"{wanted}\"");
    assert!(answer.head.contains(&scope), "{what}: {}", answer.head);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn every_route_asks_for_its_scope() {
    let server = Server::start().await;
    let clients = clients(&server);
    for client in &clients {
        for route in ROUTES {
            let path = route
                .path
                .replace("{system_id}", "server")
                .replace("{memory_id}", "m1");
            let (method, what) = (
                route.verb.as_str(),
                format!("{} {}: {}", route.verb.as_str(), route.path, client.name),
            );
            let answer = ask(&server, method, &path, client, "").await;
            match client.scope {
                None => is_unauthorized(&answer, &what),
                Some(scope) if !scope.includes(route.scope) => {
                    is_beyond_scope(&answer, route.scope, &what);
                    answer.problem();
                }
                // What it then lacks is a parameter, a memory, or a system of its own.
                Some(_) => {
                    assert!(![401, 413, 429, 500].contains(&answer.status), "{what}");
                    if answer.status == 403 {
                        assert_eq!(client.bound, Some("laptop"), "{what}");
                    }
                }
            }
        }
        for other in OTHERS {
            let what = format!("{} {}: {}", other.method, other.path, client.name);
            let body = r#"{"jsonrpc":"2.0","id":1,"method":"tools/list"}"#;
            let body = if other.path == "/mcp" { body } else { "" };
            let answer = ask(&server, other.method, other.path, client, body).await;
            match (other.scope, client.scope) {
                (Some(_), None) => is_unauthorized(&answer, &what),
                _ => assert_eq!(answer.status, 200, "{what}"),
            }
        }
    }
    let page = ask(&server, "GET", "/", clients.last().unwrap(), "").await;
    assert!(
        page.body.starts_with("<!"),
        "it is there to ask for a token"
    );
    let nowhere = ask(&server, "GET", "/nowhere", clients.last().unwrap(), "").await;
    is_unauthorized(&nowhere, "who has no token learns of no path");
    server.stopped().await.unwrap();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_body_is_bounded_by_what_its_sender_may_do() {
    let server = Server::start().await;
    let clients = clients(&server);
    let (reader, writer) = (&clients[0], &clients[1]);
    let listing = |padding: usize| {
        let padding = " ".repeat(padding);
        format!(r#"{{"jsonrpc":"2.0","id":1,"method":"tools/list"{padding}}}"#)
    };
    for (client, padding, status) in [
        (reader, 1 << 19, 200),
        (reader, 1 << 20, 413),
        (writer, 1 << 20, 200),
    ] {
        let answer = ask(&server, "POST", "/mcp", client, &listing(padding)).await;
        assert_eq!(answer.status, status, "{}, {padding}", client.name);
    }
    // Small enough as text, and hundreds of megabytes once parsed.
    let numbers = "0,".repeat(2_100_000);
    let bomb = format!(r#"{{"jsonrpc":"2.0","id":1,"method":"tools/list","params":[{numbers}0]}}"#);
    let refused = ask(&server, "POST", "/mcp", writer, &bomb).await;
    assert_eq!(refused.status, 413);
    let told = refused.problem();
    assert!(
        told["detail"].as_str().unwrap().contains("values"),
        "{told}"
    );
    let admin = &clients[2];
    let long = format!(r#"{{"confirm":{}true}}"#, " ".repeat(64 << 10));
    let refused = ask(&server, "POST", "/sync/download", admin, &long).await;
    assert_eq!(refused.status, 413);
    server.stopped().await.unwrap();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_server_with_a_name_for_others_is_never_open() {
    let mut config = akosha_core::config::Config::default_with("server".parse().unwrap());
    config.allowed_hosts = vec!["akosha.example".into()];
    let server = Server::start_as(Start {
        config: Some(config),
        ..Start::default()
    })
    .await;
    let nobody = Client {
        name: "nobody",
        secret: None,
        scope: None,
        bound: None,
    };
    let answer = ask(&server, "GET", "/status", &nobody, "").await;
    is_unauthorized(&answer, "a proxy may stand before it");
    server.stopped().await.unwrap();
}

/// Returns arguments with which a tool does something.
fn arguments(tool: &str) -> Value {
    match tool {
        "store_memory" => json!({"text": "a text"}),
        "batch_store_memories" => json!({"memories": [{"text": "a text"}]}),
        "search_memories" => json!({"query": "text"}),
        "get_memory" | "forget_memory" => json!({"memory_id": "none"}),
        _ => json!({}),
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn every_tool_asks_for_its_scope() {
    let server = Server::start().await;
    for client in clients(&server) {
        for listed in akosha_mcp::tools() {
            let name = listed.name.as_ref();
            let wanted = akosha_mcp::scope_of(name).unwrap();
            let answer = tool(&server, &client, name, &arguments(name)).await;
            let what = format!("{name}: {}", client.name);
            match client.scope {
                None => is_unauthorized(&answer, &what),
                Some(scope) if !scope.includes(wanted) => {
                    is_beyond_scope(&answer, wanted, &what);
                    let told = answer.json();
                    assert_eq!((&told["id"], &told["jsonrpc"]), (&json!(7), &json!("2.0")));
                    let message = told["error"]["message"].as_str().unwrap();
                    assert!(message.contains("akosha token create"), "{message}");
                }
                Some(_) => assert_eq!(answer.status, 200, "{what}: {}", answer.body),
            }
        }
    }
    server.stopped().await.unwrap();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_bound_token_writes_as_its_system_alone() {
    let server = Server::start().await;
    let clients = clients(&server);
    let find = |name| clients.iter().find(|client| client.name == name).unwrap();
    let (bound, open) = (find("bound to another"), find("writer"));
    let called = async |client, name, arguments: Value| {
        let answer = tool(&server, client, name, &arguments).await;
        answer.json()["result"]["structuredContent"].clone()
    };
    let theirs = json!({"memory_id": "m1", "text": "x", "metadata": {"source": "server"}});
    called(open, "store_memory", theirs.clone()).await;
    let refused = called(bound, "store_memory", theirs.clone()).await;
    assert_eq!(refused["kind"], "auth", "{refused}");
    let batch = json!({"memories": [theirs, {"text": "own", "memory_id": "m2"}]});
    let partly = called(bound, "batch_store_memories", batch).await;
    assert_eq!(
        (&partly["stored"], &partly["failed"]),
        (&json!(1), &json!(1))
    );
    let forgotten = json!({"memory_id": "m1", "system_id": "server"});
    let refused = called(bound, "forget_memory", forgotten).await;
    assert_eq!(refused["kind"], "auth");
    // Without the name of a system it is the own one, which has no such memory.
    let refused = called(bound, "forget_memory", json!({"memory_id": "m1"})).await;
    assert_eq!(refused["kind"], "not_found", "{refused}");
    let refused = called(bound, "sync_to_akosha", json!({})).await;
    assert_eq!(refused["kind"], "auth");
    let ended = called(
        bound,
        "session_end",
        json!({"summary": "done", "session_id": "s"}),
    )
    .await;
    assert_eq!(ended["sync"]["queued"], false, "{ended}");
    for path in ["/sync/upload", "/sync/download", "/api/v1/ingest"] {
        let body = if path == "/sync/download" {
            r#"{"confirm":true}"#
        } else {
            ""
        };
        let refused = ask(&server, "POST", path, bound, body).await;
        assert_eq!(refused.status, 403, "{path}: {}", refused.body);
        assert_eq!(refused.problem()["kind"], "auth");
    }
    let laptop = akosha_store::Filter {
        system_id: Some("laptop".parse().unwrap()),
        ..akosha_store::Filter::default()
    };
    let page = akosha_store::PageRequest {
        limit: 10,
        cursor: None,
        filter: laptop,
    };
    let own = server.store.list(&page).unwrap().memories;
    assert_eq!(own.len(), 2, "its memory and its summary");
    assert_eq!(server.store.stats().unwrap().memories, 3);
    server.stopped().await.unwrap();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn tokens_count_within_seconds_and_never_open_the_server_again() {
    let server = Server::start().await;
    let nobody = Client {
        name: "nobody",
        secret: None,
        scope: None,
        bound: None,
    };
    let list = async |client: &Client| {
        ask(&server, "GET", "/api/v1/memories", client, "")
            .await
            .status
    };
    assert_eq!(list(&nobody).await, 200, "no tokens: open on loopback");
    let secret = token::make().unwrap();
    let made = NewToken {
        name: "ci".into(),
        hash: token::hash(&secret),
        scope: Scope::Read,
        system_id: None,
        expires_at: None,
    };
    server.store.create_token(made).unwrap();
    let ci = Client {
        name: "ci",
        secret: Some(secret.to_string()),
        scope: Some(Scope::Read),
        bound: None,
    };
    let until = async |client: &Client, status| {
        for _ in 0..100 {
            if list(client).await == status {
                return;
            }
            tokio::time::sleep(Duration::from_millis(100)).await;
        }
        panic!("{}: never {status}", client.name);
    };
    until(&nobody, 401).await;
    assert_eq!(list(&ci).await, 200);
    for _ in 0..100 {
        if server.store.tokens().unwrap()[0].last_used.is_some() {
            break;
        }
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    assert!(server.store.tokens().unwrap()[0].last_used.is_some());
    server.store.revoke_token("ci").unwrap();
    until(&ci, 401).await;
    assert_eq!(
        list(&nobody).await,
        401,
        "the last token is gone, the guard stays"
    );
    server.stopped().await.unwrap();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn who_asks_too_often_waits() {
    let mut config = akosha_core::config::Config::default_with("server".parse().unwrap());
    config.rate_limit_per_minute = 12;
    let server = Server::start_as(Start {
        config: Some(config),
        ..Start::default()
    })
    .await;
    let clients = clients(&server);
    let mut statuses = Vec::new();
    for _ in 0..4 {
        let answer = ask(&server, "GET", "/api/v1/breakers", &clients[0], "").await;
        if answer.status == 429 {
            assert!(answer.head.to_ascii_lowercase().contains("retry-after: "));
            answer.problem();
        }
        statuses.push(answer.status);
    }
    assert_eq!(statuses[..2], [200, 200]);
    assert!(statuses.contains(&429), "{statuses:?}");
    let other = ask(&server, "GET", "/api/v1/breakers", &clients[1], "").await;
    assert_eq!(other.status, 200, "another token has its own");
    server.stopped().await.unwrap();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn writes_and_refusals_are_on_record_and_secrets_are_not() {
    let mut server = Server::start().await;
    let clients = clients(&server);
    let find = |name| clients.iter().find(|client| client.name == name).unwrap();
    let text = "a memory that is nobody's business";
    tool(
        &server,
        find("writer"),
        "store_memory",
        &json!({"text": text}),
    )
    .await;
    tool(
        &server,
        find("reader"),
        "store_memory",
        &json!({"text": text}),
    )
    .await;
    tool(
        &server,
        find("reader"),
        "search_memories",
        &json!({"query": "x"}),
    )
    .await;
    let admin = find("admin");
    ask(&server, "POST", "/sync/download", admin, "{}").await;
    ask(&server, "POST", "/sync/upload", admin, "{").await;
    let upload = "20260101_000000_laptop_000001";
    let one = format!(r#"{{"system_id":"laptop","upload_id":"{upload}"}}"#);
    for _ in 0..100 {
        let status = ask(&server, "GET", "/status", admin, "").await.json();
        if status["ingestion"]["last_sweep_at"].is_string() {
            break;
        }
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    server
        .store
        .quarantine(upload, "laptop", None, "checksum")
        .unwrap();
    let release = "/api/v1/quarantine/release";
    ask(&server, "POST", release, admin, &one).await;
    ask(&server, "GET", "/status", find("wrong"), "").await;
    ask(&server, "GET", "/status", find("wrong"), "").await;
    let home = std::mem::replace(&mut server.home, tempfile::tempdir().unwrap());
    let path = home.path().join("home/logs/audit.jsonl");
    server.stopped().await.unwrap();
    let log = std::fs::read_to_string(path).unwrap();
    for client in &clients {
        if let Some(secret) = &client.secret {
            assert!(!log.contains(secret.as_str()), "{log}");
        }
    }
    assert!(!log.contains(text), "{log}");
    let lines: Vec<Value> = log
        .lines()
        .map(|line| serde_json::from_str(line).unwrap())
        .collect();
    let released = lines
        .iter()
        .find(|line| line["action"] == format!("POST {release}"))
        .unwrap();
    assert_eq!(released["systems"], json!(["laptop"]));
    assert_eq!(released["uploads"], json!([upload]));
    assert_eq!(released["items"], 1);
    let mut told: Vec<_> = lines
        .iter()
        .map(|line| {
            let part = |key: &str| line[key].as_str().unwrap_or("-").to_owned();
            let who = line["token"]["name"].as_str().unwrap_or("-").to_owned();
            (part("event"), who, part("action"), part("outcome"))
        })
        .collect();
    told.sort();
    let expected = [
        ("call", "admin", "POST /api/v1/quarantine/release", "done"),
        ("call", "admin", "POST /sync/download", "failed"),
        ("call", "admin", "POST /sync/upload", "failed"),
        ("call", "reader", "store_memory", "refused"),
        ("call", "writer", "store_memory", "done"),
        ("refused", "-", "-", "-"),
    ];
    let expected = expected.map(|(event, who, action, outcome)| {
        let own = |text: &str| text.to_owned();
        (own(event), own(who), own(action), own(outcome))
    });
    assert_eq!(told, expected);
}
