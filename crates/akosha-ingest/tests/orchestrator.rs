//! The bootstrap orchestrator against real servers, over plain HTTP and over MCP, that fail, die and
//! come back.

#![allow(
    clippy::unwrap_used,
    clippy::panic,
    reason = "helpers of tests may fail as tests do"
)]

use std::net::SocketAddr;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use akosha_core::config::{Config, LoadedConfig};
use akosha_core::redact::Redactor;
use akosha_core::{IngestionMethod, MemoryInput, NewMemory};
use akosha_ingest::{
    IngestWorker, News, Orchestrator, OrchestratorHealth, OrchestratorMode, Scheduler, Turn,
};
use akosha_store::{Home, Store, StoreOptions, Trigger};
use akosha_sync::breaker::{Breaker, Breakers, FAILURES};
use akosha_sync::{NoProgress, SyncRequest, Syncer};
use axum::extract::State;
use axum::http::StatusCode;
use axum::routing::post;
use axum::{Json, Router};
use rmcp::model::{
    CallToolRequestParams, CallToolResponse, CallToolResult, ContentBlock, ServerCapabilities,
    ServerConfig,
};
use rmcp::service::RequestContext;
use rmcp::transport::streamable_http_server::session::never::NeverSessionManager;
use rmcp::transport::{StreamableHttpServerConfig, StreamableHttpService};
use rmcp::{ErrorData, RoleServer, ServerHandler};
use serde_json::{Value, json};
use tempfile::TempDir;
use tokio::net::TcpListener;
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;

/// How an orchestrator is spoken to.
#[derive(Debug, Clone, Copy)]
enum Kind {
    Http,
    Mcp,
}

/// How it behaves.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
enum Mood {
    #[default]
    Well,
    /// Its answer says that the call failed.
    Refuses,
    /// It fails itself.
    Breaks,
    /// It takes the call and does not answer.
    Hangs,
}

#[derive(Debug, Clone, Default)]
struct Desk {
    mood: Arc<Mutex<Mood>>,
    calls: Arc<Mutex<Vec<Value>>>,
}

impl Desk {
    async fn take(&self, call: Value) -> Result<Value, ()> {
        self.calls.lock().unwrap().push(call);
        let mood = *self.mood.lock().unwrap();
        match mood {
            Mood::Well => Ok(json!({"success": true, "workflow_id": "w1"})),
            Mood::Refuses => Ok(json!({"success": false, "error": "no such workflow"})),
            Mood::Breaks => Err(()),
            Mood::Hangs => std::future::pending().await,
        }
    }

    fn be(&self, mood: Mood) {
        *self.mood.lock().unwrap() = mood;
    }

    fn calls(&self) -> Vec<Value> {
        std::mem::take(&mut *self.calls.lock().unwrap())
    }
}

impl ServerHandler for Desk {
    fn get_info(&self) -> ServerConfig {
        ServerConfig::new(ServerCapabilities::builder().enable_tools().build())
    }

    async fn call_tool(
        &self,
        request: CallToolRequestParams,
        _context: RequestContext<RoleServer>,
    ) -> Result<CallToolResponse, ErrorData> {
        assert_eq!(request.name, "trigger_workflow");
        let call = Value::Object(request.arguments.unwrap_or_default());
        let broken = || CallToolResult::error(vec![ContentBlock::text("out of order")]);
        let answer = self.take(call).await;
        Ok(answer
            .map_or_else(|()| broken(), CallToolResult::structured)
            .into())
    }
}

async fn trigger(State(desk): State<Desk>, Json(call): Json<Value>) -> (StatusCode, Json<Value>) {
    match desk.take(call).await {
        Ok(answer) => (StatusCode::OK, Json(answer)),
        Err(()) => (StatusCode::SERVICE_UNAVAILABLE, Json(Value::Null)),
    }
}

/// An orchestrator that can die and come back at its address.
struct Server {
    kind: Kind,
    desk: Desk,
    address: SocketAddr,
    serving: Option<JoinHandle<()>>,
}

impl Server {
    async fn start(kind: Kind) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let mut server = Self {
            kind,
            desk: Desk::default(),
            address,
            serving: None,
        };
        server.serve(listener);
        server
    }

    fn serve(&mut self, listener: TcpListener) {
        let desk = self.desk.clone();
        let router = match self.kind {
            Kind::Http => Router::new()
                .route("/hooks/trigger_workflow", post(trigger))
                .with_state(desk),
            Kind::Mcp => {
                let config = StreamableHttpServerConfig::default()
                    .with_legacy_session_mode(false)
                    .with_json_response(true);
                let service = StreamableHttpService::new(
                    move || Ok(desk.clone()),
                    NeverSessionManager::default().into(),
                    config,
                );
                Router::new().nest_service("/mcp", service)
            }
        };
        self.serving = Some(tokio::spawn(async move {
            axum::serve(listener, router).await.unwrap();
        }));
    }

    fn url(&self) -> String {
        let path = match self.kind {
            Kind::Http => "hooks",
            Kind::Mcp => "mcp",
        };
        format!("http://{}/{path}", self.address)
    }

    async fn die(&mut self) {
        let serving = self.serving.take().unwrap();
        serving.abort();
        let _ = serving.await;
    }

    async fn come_back(&mut self) {
        let listener = TcpListener::bind(self.address).await.unwrap();
        self.serve(listener);
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        if let Some(serving) = &self.serving {
            serving.abort();
        }
    }
}

struct Node {
    orchestrator: Orchestrator,
    breaker: Breaker,
    _home: TempDir,
}

fn syncer(url: &str) -> (Syncer, TempDir) {
    node("aggregator", |config| {
        url.clone_into(&mut config.orchestrator_url);
    })
}

fn node(system_id: &str, set: impl FnOnce(&mut Config)) -> (Syncer, TempDir) {
    let home = tempfile::tempdir().unwrap();
    let mut config = Config::default_with(system_id.parse().unwrap());
    set(&mut config);
    let options = StoreOptions::new(config.system_id.clone());
    let store = Store::open(&Home::new(home.path()), options).unwrap();
    (
        Syncer::new(store, Arc::new(LoadedConfig::new(config))),
        home,
    )
}

impl Node {
    /// A node whose breaker lets a trial through as soon as it is open.
    fn of(server: &Server) -> Self {
        Self::with(server, Duration::ZERO)
    }

    fn with(server: &Server, cool_down: Duration) -> Self {
        let (syncer, home) = syncer(&server.url());
        let breaker = Breaker::with_cool_down("orchestrator", cool_down);
        let orchestrator = Orchestrator::configured(&syncer, breaker.clone());
        Self {
            orchestrator: orchestrator.unwrap(),
            breaker,
            _home: home,
        }
    }

    async fn tell(&self) -> Turn {
        self.orchestrator.tell(&news()).await
    }

    fn health(&self) -> OrchestratorHealth {
        self.orchestrator.health()
    }

    fn assert_fallback(&self, reason: &str) {
        let health = self.health();
        assert_eq!(health.mode, OrchestratorMode::Fallback);
        let error = health.last_error.unwrap();
        assert!(error.contains(reason), "{error}");
    }

    fn assert_normal(&self) {
        let health = self.health();
        assert_eq!(health.mode, OrchestratorMode::Normal);
        assert_eq!(health.last_error, None);
    }
}

fn news() -> News {
    News {
        uploads: 3,
        systems: vec!["laptop".parse().unwrap(), "desktop".parse().unwrap()],
        oldest: Some(akosha_core::time::parse("2026-05-01T12:00:00Z").unwrap()),
    }
}

const KINDS: [Kind; 2] = [Kind::Http, Kind::Mcp];

#[tokio::test]
async fn it_is_told_what_waits_and_says_when() {
    for kind in KINDS {
        let server = Server::start(kind).await;
        let node = Node::of(&server);
        // Not contacted before there is news.
        assert_eq!(server.desk.calls(), [Value::Null; 0]);
        assert_eq!(node.health().last_contact_at, None);
        node.assert_normal();
        assert_eq!(node.tell().await, Turn::Scheduler, "{kind:?}");
        assert_eq!(
            server.desk.calls(),
            [json!({
                "workflow": "akosha_ingest",
                "parameters": {
                    "node": "aggregator",
                    "uploads": 3,
                    "systems": ["laptop", "desktop"],
                    "oldest_upload_at": "2026-05-01T12:00:00Z",
                    "trigger": "POST /api/v1/ingest",
                }
            })]
        );
        node.orchestrator.triggered();
        node.assert_normal();
        let health = node.health();
        assert!(health.last_contact_at.is_some());
        assert_eq!(health.url, Some(server.url()));
        assert_eq!(node.breaker.status().failures, 0);
    }
}

#[tokio::test]
async fn one_that_dies_is_stood_in_for_until_it_is_back() {
    for kind in KINDS {
        let mut server = Server::start(kind).await;
        let node = Node::of(&server);
        assert_eq!(node.tell().await, Turn::Scheduler);
        node.orchestrator.triggered();
        server.die().await;
        assert_eq!(node.tell().await, Turn::Local, "{kind:?}");
        node.assert_fallback("it does not answer");
        node.assert_fallback("onnection refused");
        let since = node.health().since;
        assert_eq!(node.tell().await, Turn::Local);
        assert_eq!(node.health().since, since);
        server.come_back().await;
        assert_eq!(node.tell().await, Turn::Scheduler, "{kind:?}");
        node.assert_normal();
    }
}

#[tokio::test]
async fn what_it_refuses_is_done_here() {
    for kind in KINDS {
        let server = Server::start(kind).await;
        let node = Node::of(&server);
        server.desk.be(Mood::Refuses);
        assert_eq!(node.tell().await, Turn::Local, "{kind:?}");
        node.assert_fallback("no such workflow");
        server.desk.be(Mood::Breaks);
        assert_eq!(node.tell().await, Turn::Local, "{kind:?}");
        node.assert_fallback(match kind {
            Kind::Http => "it answered 503",
            Kind::Mcp => "out of order",
        });
        server.desk.be(Mood::Well);
        assert_eq!(node.tell().await, Turn::Scheduler, "{kind:?}");
        node.assert_normal();
    }
}

#[tokio::test]
async fn one_that_hangs_holds_nobody_up_for_long() {
    let server = Server::start(Kind::Http).await;
    let node = Node::of(&server);
    server.desk.be(Mood::Hangs);
    assert_eq!(node.tell().await, Turn::Local);
    node.assert_fallback("did not answer within 5 s");
}

#[tokio::test]
async fn one_that_says_nothing_is_told_but_not_waited_for_until_it_says_when() {
    for kind in KINDS {
        let server = Server::start(kind).await;
        let node = Node::of(&server);
        assert_eq!(node.tell().await, Turn::Scheduler);
        node.orchestrator.missed();
        node.assert_fallback("did not trigger ingestion within one poll interval");
        assert_eq!(node.breaker.status().failures, 1);
        // It answers, but its answers are not what was missed.
        assert_eq!(node.tell().await, Turn::Local, "{kind:?}");
        assert_eq!(node.tell().await, Turn::Local, "{kind:?}");
        node.assert_fallback("did not trigger ingestion");
        assert_eq!(node.breaker.status().failures, 2);
        assert_eq!(server.desk.calls().len(), 3);
        node.orchestrator.triggered();
        node.assert_normal();
        assert_eq!(node.breaker.status().failures, 0);
        assert_eq!(node.tell().await, Turn::Scheduler, "{kind:?}");
    }
}

#[tokio::test]
async fn whoever_asks_for_ingestion_unasked_is_not_the_orchestrator() {
    let mut server = Server::start(Kind::Http).await;
    let node = Node::of(&server);
    server.die().await;
    assert_eq!(node.tell().await, Turn::Local);
    node.orchestrator.triggered();
    node.assert_fallback("it does not answer");
}

#[tokio::test]
async fn its_breaker_decides_when_it_is_asked_again() {
    let server = Server::start(Kind::Http).await;
    let node = Node::with(&server, Duration::from_hours(1));
    server.desk.be(Mood::Breaks);
    for _ in 0..FAILURES {
        assert_eq!(node.tell().await, Turn::Local);
    }
    assert_eq!(server.desk.calls().len(), FAILURES as usize);
    server.desk.be(Mood::Well);
    assert_eq!(node.tell().await, Turn::Local);
    assert_eq!(server.desk.calls(), [Value::Null; 0]);
    node.assert_fallback("the orchestrator failed 5 times in a row");
    assert_eq!(node.breaker.status().state, "open");
}

#[tokio::test]
async fn none_is_configured_by_default() {
    let (syncer, _home) = syncer("");
    let none = Orchestrator::configured(&syncer, Breaker::new("orchestrator"));
    assert!(none.is_none());
    let worker = IngestWorker::new(syncer, Breakers::default());
    assert_eq!(worker.orchestrator().mode, OrchestratorMode::Off);
}

/// A vault with one memory in it, and the worker of a server that takes it in.
struct Aggregator {
    worker: IngestWorker,
    syncer: Syncer,
    stop: CancellationToken,
    running: JoinHandle<()>,
    _folders: [TempDir; 3],
}

impl Aggregator {
    async fn start(server: &Server, poll_interval: Duration) -> Self {
        let vault = tempfile::tempdir().unwrap();
        let bucket = format!("file://{}", vault.path().display());
        let (laptop, laptop_home) =
            node("laptop", |config| config.cloud_bucket.clone_from(&bucket));
        let input = MemoryInput {
            text: "walrus".into(),
            ..MemoryInput::default()
        };
        let memory = NewMemory::check(input, &Redactor::built_in()).unwrap();
        let store = laptop.store();
        store
            .put(store.system_id(), &memory, IngestionMethod::Local)
            .unwrap();
        let (request, cancel) = (SyncRequest::default(), CancellationToken::new());
        let pushed = laptop.sync(&request, Trigger::Manual, &NoProgress, &cancel);
        assert_eq!(pushed.await.error, None);
        let (syncer, home) = node("aggregator", |config| {
            config.cloud_bucket = bucket;
            config.orchestrator_url = server.url();
            config.poll_interval = poll_interval;
        });
        let worker = IngestWorker::new(syncer.clone(), Breakers::default());
        let stop = CancellationToken::new();
        let running = tokio::spawn({
            let (worker, stop) = (worker.clone(), stop.clone());
            async move { worker.run(stop).await.unwrap() }
        });
        Self {
            worker,
            syncer,
            stop,
            running,
            _folders: [vault, laptop_home, home],
        }
    }

    fn memories(&self) -> u64 {
        self.syncer.store().stats().unwrap().memories
    }

    async fn stop(self) {
        self.stop.cancel();
        self.running.await.unwrap();
    }
}

/// Waits until something is so.
async fn becomes(what: impl Fn() -> bool) {
    for _ in 0..1500 {
        if what() {
            return;
        }
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    panic!("it did not become so within 30 s");
}

#[tokio::test]
async fn a_worker_waits_for_its_word() {
    for kind in KINDS {
        let server = Server::start(kind).await;
        let node = Aggregator::start(&server, Duration::from_hours(1)).await;
        becomes(|| node.worker.orchestrator().last_contact_at.is_some()).await;
        assert_eq!(node.memories(), 0);
        assert_eq!(
            server.desk.calls()[0]["parameters"]["systems"],
            json!(["laptop"])
        );
        node.worker.wake();
        becomes(|| node.memories() == 1).await;
        assert_eq!(node.worker.orchestrator().mode, OrchestratorMode::Normal);
        node.stop().await;
    }
}

#[tokio::test]
async fn a_worker_goes_ahead_where_it_is_away() {
    let mut server = Server::start(Kind::Http).await;
    server.die().await;
    let node = Aggregator::start(&server, Duration::from_hours(1)).await;
    becomes(|| node.memories() == 1).await;
    assert_eq!(node.worker.orchestrator().mode, OrchestratorMode::Fallback);
    node.stop().await;
}

#[tokio::test]
async fn a_worker_goes_ahead_where_it_says_nothing() {
    let server = Server::start(Kind::Mcp).await;
    let node = Aggregator::start(&server, Duration::from_secs(1)).await;
    becomes(|| node.memories() == 1).await;
    let health = node.worker.orchestrator();
    assert_eq!(health.mode, OrchestratorMode::Fallback);
    assert!(health.last_contact_at.is_some());
    node.stop().await;
}
