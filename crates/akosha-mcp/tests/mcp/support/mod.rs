//! A node with a real store in a temporary home, and a client that is connected to it.

pub(crate) mod validate;

use std::collections::HashMap;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use akosha_core::config::{Config, LoadedConfig};
use akosha_core::{IngestionMethod, SystemId};
use akosha_mcp::{AkoshaServer, BackgroundDrain, Origin, StoreHandle, serve_stream};
use akosha_store::{Change, Home, Op, Store, StoreOptions};
use akosha_sync::Syncer;
use rmcp::model::{
    CallToolRequestParams, CallToolResult, ClientCapabilities, ClientConfig, Implementation,
    ProgressNotificationParam, ProtocolVersion, Tool,
};
use rmcp::service::{NotificationContext, RunningService};
use rmcp::{ClientHandler, ClientLifecycleMode, ClientServiceExt, RoleClient};
use serde_json::Value;
use tempfile::TempDir;
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;

/// Counts how often the background was started.
#[derive(Default)]
pub(crate) struct Started(AtomicUsize);

impl Started {
    pub(crate) fn count(&self) -> usize {
        self.0.load(Ordering::SeqCst)
    }

    /// Waits for a start beyond the first `before`: it follows the answer.
    pub(crate) async fn beyond(&self, before: usize) {
        for _ in 0..200 {
            if self.count() > before {
                return;
            }
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
        panic!("the background was not started");
    }
}

impl BackgroundDrain for Started {
    fn start(&self) {
        self.0.fetch_add(1, Ordering::SeqCst);
    }
}

/// Which lifecycle the client uses.
#[derive(Debug, Clone)]
pub(crate) enum Era {
    /// `initialize` with this version.
    Handshake(ProtocolVersion),
    /// `server/discover` and metadata in every request.
    Stateless,
}

/// A client that keeps the progress it is told.
#[derive(Clone)]
pub(crate) struct Client {
    version: ProtocolVersion,
    pub(crate) progress: Arc<Mutex<Vec<ProgressNotificationParam>>>,
}

impl ClientHandler for Client {
    fn get_info(&self) -> ClientConfig {
        ClientConfig::new(
            ClientCapabilities::default(),
            Implementation::new("test", "1"),
        )
        .with_protocol_version(self.version.clone())
    }

    async fn on_progress(
        &self,
        params: ProgressNotificationParam,
        _context: NotificationContext<RoleClient>,
    ) {
        self.progress.lock().unwrap().push(params);
    }
}

/// What a call answered.
#[derive(Debug)]
pub(crate) struct Called {
    pub(crate) is_error: bool,
    pub(crate) value: Value,
    pub(crate) text: String,
}

/// A node and its client.
pub(crate) struct Node {
    pub(crate) client: RunningService<RoleClient, Client>,
    pub(crate) store: Option<Store>,
    pub(crate) started: Arc<Started>,
    pub(crate) home: TempDir,
    pub(crate) served: JoinHandle<Result<(), akosha_mcp::StdioError>>,
    tools: HashMap<String, Tool>,
}

pub(crate) fn id(text: &str) -> SystemId {
    text.parse().unwrap()
}

/// Returns a configuration of a node without a bucket, whose HTTP target refuses connections.
pub(crate) fn config() -> Config {
    let mut config = Config::default_with(id("node"));
    config.akosha_url = "http://127.0.0.1:9/mcp".into();
    config.max_retries = 0;
    config
}

impl Node {
    /// Starts a node as an assistant's client sees it.
    pub(crate) async fn start() -> Self {
        Self::with(Origin::Stdio, config()).await
    }

    pub(crate) async fn with(origin: Origin, config: Config) -> Self {
        Self::of(
            origin,
            LoadedConfig::new(config),
            Era::Handshake(ProtocolVersion::V_2025_06_18),
        )
        .await
    }

    pub(crate) async fn of(origin: Origin, config: LoadedConfig, era: Era) -> Self {
        let home = tempfile::tempdir().unwrap();
        let store = Store::open(
            &Home::new(home.path().join("home")),
            StoreOptions::new(config.config.system_id.clone()),
        )
        .unwrap();
        let syncer = Syncer::new(store.clone(), Arc::new(config));
        let handle = StoreHandle::opened(syncer);
        Self::connect(origin, handle, Some(store), home, era).await
    }

    pub(crate) async fn connect(
        origin: Origin,
        handle: StoreHandle,
        store: Option<Store>,
        home: TempDir,
        era: Era,
    ) -> Self {
        let started = Arc::new(Started::default());
        let server = AkoshaServer::new(handle, started.clone(), origin);
        let (near, far) = tokio::io::duplex(1 << 16);
        let (input, output) = tokio::io::split(far);
        let task = tokio::spawn(serve_stream(
            server,
            input,
            output,
            CancellationToken::new(),
        ));
        let (version, lifecycle) = match era {
            Era::Handshake(version) => (version, ClientLifecycleMode::Initialize),
            Era::Stateless => (
                ProtocolVersion::V_2026_07_28,
                ClientLifecycleMode::Discover {
                    preferred_versions: vec![ProtocolVersion::V_2026_07_28],
                },
            ),
        };
        let client = Client {
            version,
            progress: Arc::default(),
        };
        let client = client.serve_with_lifecycle(near, lifecycle).await.unwrap();
        let tools = client.peer().list_all_tools().await.unwrap();
        let tools = tools
            .into_iter()
            .map(|tool| (tool.name.to_string(), tool))
            .collect();
        Self {
            client,
            store,
            started,
            home,
            served: task,
            tools,
        }
    }

    pub(crate) fn store(&self) -> &Store {
        self.store.as_ref().unwrap()
    }

    /// Calls a tool; whatever it answers must fit its output schema.
    /// Merges a memory of another system, as a pull does.
    pub(crate) fn merge_from(&self, system: &str, memory_id: &str, text: &str) {
        let now = self.store().sources().clock.now();
        let change = Change {
            seq: 0,
            op: Op::Put,
            system_id: id(system),
            memory_id: memory_id.parse().unwrap(),
            revision: 1,
            text: text.to_owned(),
            metadata: akosha_core::Metadata::default(),
            embedding: None,
            embedding_model: None,
            created_at: now,
            updated_at: now,
            stored_at: now,
            ingestion_method: IngestionMethod::CloudPull,
        };
        self.store()
            .merge(&[change], IngestionMethod::CloudPull)
            .unwrap();
    }

    pub(crate) async fn call(&self, tool: &str, arguments: Value) -> Called {
        let Value::Object(arguments) = arguments else {
            panic!("arguments are an object");
        };
        let params = CallToolRequestParams::new(tool.to_owned()).with_arguments(arguments);
        let result = self.client.call_tool(params).await.unwrap();
        self.checked(tool, result)
    }

    /// Calls a tool that must not fail.
    pub(crate) async fn good(&self, tool: &str, arguments: Value) -> Value {
        let called = self.call(tool, arguments).await;
        assert!(!called.is_error, "{called:?}");
        assert!(!called.text.is_empty());
        called.value
    }

    /// Calls a tool that must fail; returns what it answered.
    pub(crate) async fn bad(&self, tool: &str, arguments: Value) -> Value {
        let called = self.call(tool, arguments).await;
        assert!(called.is_error, "{called:?}");
        let error = called.value["error"].as_str().unwrap();
        assert!(called.text.contains(error), "{called:?}");
        called.value
    }

    pub(crate) fn checked(&self, tool: &str, result: CallToolResult) -> Called {
        let value = result.structured_content.unwrap();
        let schema = self.tools[tool].output_schema.as_ref().unwrap();
        validate::check(&Value::Object(schema.as_ref().clone()), &value, tool);
        let text = result
            .content
            .first()
            .and_then(|block| block.as_text())
            .map(|text| text.text.clone())
            .unwrap();
        Called {
            is_error: result.is_error.unwrap_or(false),
            value,
            text,
        }
    }
}

/// Returns a vector that points mostly along one axis.
pub(crate) fn vector(axis: usize) -> Vec<f32> {
    let mut vector = vec![0.001; 384];
    vector[axis % 384] = 1.0;
    vector
}
