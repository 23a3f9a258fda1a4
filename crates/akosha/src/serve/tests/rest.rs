//! The REST API as its clients see it.

use std::sync::Arc;

use akosha_core::config::LoadedConfig;
use akosha_core::redact::Redactor;
use akosha_core::{IngestionMethod, MemoryInput, NewMemory};
use akosha_mcp::StoreHandle;
use akosha_store::{Home, Store, StoreOptions};
use akosha_sync::Syncer;
use serde_json::{Value, json};

use super::support::{Answered, Server, config, get, send, spawn};
use crate::serve::rest::{OTHERS, ROUTES, Verb};

fn remember(server: &Server, system: &str, id: &str, text: &str) {
    let input = MemoryInput {
        memory_id: Some(id.to_owned()),
        text: text.to_owned(),
        embedding: None,
        metadata: json!({"tags": ["x", "y"], "project": "p"})
            .as_object()
            .cloned(),
    };
    let memory = NewMemory::check(input, &Redactor::built_in()).unwrap();
    let system = system.parse().unwrap();
    let method = IngestionMethod::HttpPush;
    server.store.put(&system, &memory, method).unwrap();
}

async fn post(server: &Server, path: &str, kind: &str, body: &str) -> Answered {
    let address = server.address;
    let request = format!(
        "POST {path} HTTP/1.1\r\nHost: {address}\r\nConnection: close\r\nContent-Type: {kind}\r\n\
         Content-Length: {}\r\n\r\n{body}",
        body.len()
    );
    send(address, &request).await
}

async fn ok(server: &Server, path: &str) -> Value {
    let answer = get(server.address, path).await;
    assert_eq!(answer.status, 200, "{path}: {}", answer.body);
    answer.json()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn memories_are_searched_listed_and_shown() {
    let server = Server::start().await;
    remember(&server, "laptop", "a/b c", "the quick brown fox");
    remember(&server, "laptop", "a/b c", "the quick red fox");
    remember(&server, "desktop", "d", "a lazy dog");
    let found = ok(&server, "/api/v1/search?query=red+fox&tags=x,y&limit=5").await;
    assert_eq!(found["results"][0]["memory_id"], "a/b c");
    assert_eq!(found["partial"], false);
    let none = ok(&server, "/api/v1/search?query=fox&tags=x&tags=z").await;
    assert_eq!(none["results"], json!([]));
    let listed = ok(&server, "/api/v1/memories?limit=1&project=p").await;
    assert_eq!(listed["memories"].as_array().unwrap().len(), 1);
    let cursor = listed["next_cursor"].as_str().unwrap();
    let rest = ok(
        &server,
        &format!("/api/v1/memories?limit=9&cursor={cursor}"),
    )
    .await;
    assert_eq!(rest["memories"].as_array().unwrap().len(), 1);
    let only = ok(&server, "/api/v1/memories?system_id=desktop").await;
    assert_eq!(only["memories"][0]["memory_id"], "d");
    let memory = ok(&server, "/api/v1/memories/laptop/a%2Fb%20c").await;
    assert_eq!(memory["text"], "the quick red fox");
    assert_eq!(memory["revision"], 2);
    let history = ok(&server, "/api/v1/memories/laptop/a%2Fb%20c/history").await;
    assert_eq!(history["revisions"].as_array().unwrap().len(), 2);
    assert_eq!(history["forgotten"], false);
    let systems = ok(&server, "/api/v1/systems?limit=1").await;
    assert_eq!(systems["total"], 2, "{systems}");
    assert_eq!(systems["systems"][0]["system_id"], "desktop");
    let activity = ok(&server, "/api/v1/activity?bucket=day").await;
    let points = activity["points"].as_array().unwrap();
    let count: u64 = points.iter().map(|p| p["memories"].as_u64().unwrap()).sum();
    assert_eq!(count, 2, "{activity}");
    server.stopped().await.unwrap();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_is_wrong_with_a_request_is_named() {
    let server = Server::start().await;
    for (path, status, part) in [
        ("/api/v1/search", 400, "query"),
        ("/api/v1/search?query=a&limit=x", 400, "`limit`"),
        ("/api/v1/search?query=a&limit=101", 400, "limit"),
        ("/api/v1/search?query=a&embedding=1", 400, "`embedding`"),
        (
            "/api/v1/search?query=a&lmit=1",
            400,
            "unknown parameter `lmit`",
        ),
        ("/api/v1/memories?since=yesterday", 400, "since"),
        ("/api/v1/memories?cursor=zzz", 400, "cursor"),
        ("/api/v1/memories/laptop/none", 404, "`none`"),
        ("/api/v1/memories/a%20b/none", 400, "system_id"),
        ("/api/v1/memories/node/%ff", 400, "UTF-8"),
        ("/api/v1/systems?limit=0", 400, "limit"),
        ("/api/v1/activity?bucket=year", 400, "year"),
        (
            "/api/v1/activity?since=2026-01-02&until=2026-01-01",
            400,
            "until",
        ),
        ("/sync/snapshots?limit=0", 400, "limit"),
        ("/status?x=1", 400, "`x`"),
        ("/nothing", 404, "/nothing"),
    ] {
        let refused = get(server.address, path).await;
        assert_eq!(refused.status, status, "{path}: {}", refused.body);
        let problem = refused.problem();
        let detail = problem["detail"].as_str().unwrap();
        assert!(detail.contains(part), "{path}: {detail}");
    }
    let wrong = post(&server, "/api/v1/search", "application/json", "{}").await;
    assert_eq!(wrong.status, 405);
    wrong.problem();
    let long = " ".repeat((64 << 10) + 1);
    for (kind, body, status) in [
        ("application/json", "{", 400),
        ("application/json", "[]", 400),
        ("application/json", "{\"confirm\": 1}", 400),
        ("application/json", "{\"confirm\": true, \"x\": 1}", 400),
        ("application/json", "{}", 400),
        ("application/json", long.as_str(), 413),
        ("text/plain", "{\"confirm\": true}", 415),
    ] {
        let refused = post(&server, "/sync/download", kind, body).await;
        let shown: String = body.chars().take(40).collect();
        assert_eq!(refused.status, status, "{shown}: {}", refused.body);
        refused.problem();
    }
    let unsure = post(&server, "/sync/download", "application/json", "{}").await;
    assert!(
        unsure.problem()["hint"]
            .as_str()
            .unwrap()
            .contains("confirm")
    );
    server.stopped().await.unwrap();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_node_syncs_by_rest() {
    let server = Server::start().await;
    remember(&server, "server", "m1", "to be pushed");
    let nothing_yet = ok(&server, "/sync/status").await;
    assert_eq!(nothing_yet["local"]["unsynced_memories"], 1);
    assert_eq!(nothing_yet["remote"]["last_upload_id"], Value::Null);
    let pushed = post(&server, "/sync/upload", "application/json", "").await;
    assert_eq!(pushed.status, 200, "{}", pushed.body);
    let pushed = pushed.json();
    assert_eq!(pushed["memories_uploaded"], 1);
    assert_eq!(pushed["name"], pushed["upload_id"]);
    let again = post(&server, "/sync/upload", "application/json", "{}")
        .await
        .json();
    assert_eq!(again["upload_id"], Value::Null, "nothing to send");
    assert_eq!(again["name"], pushed["name"]);
    remember(&server, "server", "m2", "to be pushed later");
    post(&server, "/sync/upload", "application/json", "").await;
    let first = ok(&server, "/sync/snapshots?limit=1").await;
    assert_eq!(first["total"], 2, "{first}");
    assert_eq!(first["snapshots"][0]["memories"], 1);
    let cursor = first["next_cursor"].as_str().unwrap();
    let second = ok(&server, &format!("/sync/snapshots?cursor={cursor}")).await;
    assert_eq!(second["snapshots"][0]["upload_id"], pushed["name"]);
    assert_eq!(second["next_cursor"], Value::Null);
    let confirmed = "{\"confirm\": true}";
    let pulled = post(&server, "/sync/download", "application/json", confirmed).await;
    assert_eq!(pulled.status, 200, "{}", pulled.body);
    assert_eq!(pulled.json()["success"], true);
    let ingested = post(&server, "/api/v1/ingest", "application/json", "").await;
    assert_eq!(ingested.status, 200, "{}", ingested.body);
    let status = ok(&server, "/status").await;
    assert_eq!(status["store"]["memories"], 2);
    assert_eq!(status["node"]["system_id"], "server");
    assert_eq!(status["tiers"][0], json!({"tier": "hot", "memories": 2}));
    let tasks = status["tasks"].as_array().unwrap();
    assert!(
        tasks.iter().any(|task| task["name"] == "ingest"),
        "{tasks:?}"
    );
    assert!(status["queue"]["pending"].is_u64(), "as `akosha status`");
    server.stopped().await.unwrap();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_server_without_a_vault_says_so() {
    let home = tempfile::tempdir().unwrap();
    let mut config = config(&home);
    config.cloud_bucket = String::new();
    let options = StoreOptions::new(config.system_id.clone());
    let store = Store::open(&Home::new(home.path().join("home")), options).unwrap();
    let syncer = Syncer::new(store, Arc::new(LoadedConfig::new(config)));
    let (address, stop, task) = spawn(StoreHandle::opened(syncer)).await;
    for (method, path, body) in [
        ("GET", "/sync/snapshots", ""),
        ("POST", "/sync/download", "{\"confirm\": true}"),
        ("POST", "/api/v1/ingest", ""),
    ] {
        let request = format!(
            "{method} {path} HTTP/1.1\r\nHost: {address}\r\nConnection: close\r\n\
             Content-Type: application/json\r\nContent-Length: {}\r\n\r\n{body}",
            body.len()
        );
        let refused = send(address, &request).await;
        assert_eq!(refused.status, 409, "{path}: {}", refused.body);
        let told = refused.problem();
        assert_eq!(told["kind"], "config", "{told}");
        assert!(told["hint"].is_string(), "{told}");
    }
    stop.asked.cancel();
    task.await.unwrap().unwrap();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_is_set_aside_is_tried_again_or_dismissed() {
    let server = Server::start().await;
    // A sweep forgets what is set aside of uploads that the vault has not.
    loop {
        let status = ok(&server, "/status").await;
        if status["ingestion"]["last_sweep_at"].is_string() {
            break;
        }
        tokio::time::sleep(std::time::Duration::from_millis(20)).await;
    }
    for id in [
        "20260101_000000_laptop_000001",
        "20260101_000000_laptop_000002",
    ] {
        let reason = "checksum";
        server.store.quarantine(id, "laptop", None, reason).unwrap();
    }
    let listed = ok(&server, "/api/v1/quarantine").await;
    assert_eq!(listed["quarantine"].as_array().unwrap().len(), 2);
    let one = r#"{"system_id": "laptop", "upload_id": "20260101_000000_laptop_000001"}"#;
    let released = post(
        &server,
        "/api/v1/quarantine/release",
        "application/json",
        one,
    )
    .await;
    assert_eq!(released.status, 200, "{}", released.body);
    assert_eq!(
        released.json()["released"][0]["system_id"],
        "laptop",
        "{}",
        released.body
    );
    let listed = ok(&server, "/api/v1/quarantine").await;
    assert_eq!(listed["quarantine"].as_array().unwrap().len(), 1);
    for wrong in [
        "",
        "{\"all\": true, \"upload_id\": \"x\"}",
        "{\"system_id\": \"laptop\"}",
    ] {
        let refused = post(
            &server,
            "/api/v1/quarantine/retry",
            "application/json",
            wrong,
        )
        .await;
        assert_eq!(refused.status, 400, "{wrong}");
    }
    let unknown = "{\"upload_id\": \"none\"}";
    let refused = post(
        &server,
        "/api/v1/quarantine/retry",
        "application/json",
        unknown,
    )
    .await;
    assert_eq!(refused.status, 404, "{}", refused.body);
    server.stopped().await.unwrap();
}

/// Checks the keys and types of an answer against a schema, as far as our schemas go.
fn fits(schema: &Value, value: &Value, at: &str) {
    if let Some(choices) = schema.get("anyOf").and_then(Value::as_array) {
        let null = json!({"type": "null"});
        if !value.is_null() {
            let one = choices.iter().find(|choice| **choice != null).unwrap();
            fits(one, value, at);
        }
        return;
    }
    match schema.get("type").and_then(Value::as_str) {
        Some("object") => assert!(value.is_object(), "{at}: {value}"),
        Some("array") => assert!(value.is_array(), "{at}: {value}"),
        Some("string") => assert!(value.is_string(), "{at}: {value}"),
        Some("integer") => assert!(value.is_i64() || value.is_u64(), "{at}: {value}"),
        Some("number") => assert!(value.is_number(), "{at}: {value}"),
        Some("boolean") => assert!(value.is_boolean(), "{at}: {value}"),
        _ => {}
    }
    for name in schema
        .get("required")
        .and_then(Value::as_array)
        .into_iter()
        .flatten()
    {
        let name = name.as_str().unwrap();
        assert!(value.get(name).is_some(), "{at}: no `{name}`");
    }
    let properties = schema.get("properties").and_then(Value::as_object);
    for (name, below) in properties.into_iter().flatten() {
        if let Some(part) = value.get(name) {
            fits(below, part, &format!("{at}.{name}"));
        }
    }
    if let Some(items) = schema.get("items") {
        for item in value.as_array().into_iter().flatten() {
            fits(items, item, &format!("{at}[]"));
        }
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_document_describes_what_is_answered() {
    let server = Server::start().await;
    remember(&server, "server", "m1", "text");
    let document = ok(&server, "/openapi.json").await;
    assert_eq!(document["openapi"], "3.1.0");
    let mut described = 0;
    for (path, operations) in document["paths"].as_object().unwrap() {
        for (method, operation) in operations.as_object().unwrap() {
            let known = ROUTES.iter().any(|route| {
                route.path == path && route.verb.as_str().eq_ignore_ascii_case(method)
            });
            let other = OTHERS
                .iter()
                .any(|other| other.path == path && other.method.eq_ignore_ascii_case(method));
            assert!(known || other, "{method} {path}");
            assert!(
                operation["summary"].as_str().unwrap().ends_with('.'),
                "{path}"
            );
            for parameter in operation["parameters"].as_array().into_iter().flatten() {
                assert!(parameter["description"].is_string(), "{path}: {parameter}");
                assert!(
                    parameter["schema"]["type"].is_string(),
                    "{path}: {parameter}"
                );
            }
            described += 1;
        }
    }
    assert_eq!(described, ROUTES.len() + OTHERS.len());
    post(&server, "/sync/upload", "application/json", "").await;
    for route in ROUTES {
        let path = route
            .path
            .replace("{system_id}", "server")
            .replace("{memory_id}", "m1");
        let answer = match route.verb {
            Verb::Get if path.ends_with("/search") => {
                get(server.address, "/api/v1/search?query=text").await
            }
            Verb::Get => get(server.address, &path).await,
            Verb::Post if path == "/sync/download" => {
                post(&server, &path, "application/json", "{\"confirm\": true}").await
            }
            Verb::Post if path.contains("/quarantine/") => {
                post(&server, &path, "application/json", "{\"all\": true}").await
            }
            Verb::Post => post(&server, &path, "application/json", "").await,
        };
        assert_eq!(answer.status, 200, "{path}: {}", answer.body);
        let method = route.verb.as_str().to_ascii_lowercase();
        let operation = &document["paths"][route.path][method];
        let schema = &operation["responses"]["200"]["content"]["application/json"]["schema"];
        fits(schema, &answer.json(), route.path);
    }
    server.stopped().await.unwrap();
}

/// Returns method, path and scope of every row of the table in `docs/api.md`.
fn documented() -> Vec<(String, String, String)> {
    let path = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("../../docs/api.md");
    let text = std::fs::read_to_string(path).unwrap();
    let rows = text.lines().filter_map(|line| line.strip_prefix("| `"));
    rows.filter_map(|row| {
        let (route, rest) = row.split_once('`')?;
        let (method, path) = route.split_once(' ')?;
        let scope = rest.split('|').nth(1)?.trim().trim_matches('`');
        Some((method.to_owned(), path.to_owned(), scope.to_owned()))
    })
    .collect()
}

#[test]
fn the_documentation_has_every_route_with_its_scope() {
    let own = ROUTES.iter().map(|route| {
        (
            route.verb.as_str().to_owned(),
            route.path.to_owned(),
            route.scope.to_string(),
        )
    });
    let others = OTHERS.iter().map(|other| {
        let scope = other
            .scope
            .map_or("none".to_owned(), |scope| scope.to_string());
        (other.method.to_owned(), other.path.to_owned(), scope)
    });
    let mut routes: Vec<_> = own.chain(others).collect();
    routes.sort();
    let mut documented = documented();
    documented.sort();
    assert_eq!(documented, routes);
}
