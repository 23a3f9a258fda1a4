//! A server in this process, and plain clients of it.

use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use akosha_core::config::{Config, LoadedConfig};
use akosha_mcp::StoreHandle;
use akosha_store::{Home, Store, StoreOptions};
use akosha_sync::Syncer;
use akosha_sync::breaker::Breakers;
use rmcp::model::{CallToolRequestParams, ClientCapabilities, ClientConfig, Implementation};
use rmcp::service::RunningService;
use rmcp::transport::StreamableHttpClientTransport;
use rmcp::{ClientLifecycleMode, ClientServiceExt, RoleClient};
use serde_json::Value;
use tempfile::TempDir;
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::task::JoinHandle;

use crate::serve::listen::Addresses;
use crate::serve::stop::Stop;
use crate::serve::{Limits, ServeError, ServeOptions, Setup, Supervisor, Tls, serve};

pub(super) struct Server {
    pub(super) address: SocketAddr,
    pub(super) stop: Stop,
    pub(super) task: JoinHandle<Result<(), ServeError>>,
    pub(super) store: Store,
    pub(super) home: TempDir,
}

pub(super) fn config(home: &TempDir) -> Config {
    let mut config = Config::default_with("server".parse().unwrap());
    config.akosha_url = "http://127.0.0.1:9/mcp".into();
    config.max_retries = 0;
    config.cloud_bucket = format!("file://{}", home.path().join("vault").display());
    config.shutdown_grace = Duration::from_secs(10);
    config
}

impl Server {
    pub(super) async fn start() -> Self {
        Self::start_as(Start::default()).await
    }

    pub(super) async fn start_as(start: Start) -> Self {
        // The client is built with TLS even where it is not used.
        let _ = rustls::crypto::ring::default_provider().install_default();
        let home = tempfile::tempdir().unwrap();
        let config = config(&home);
        let options = StoreOptions::new(config.system_id.clone());
        let store = Store::open(&Home::new(home.path().join("home")), options).unwrap();
        let syncer = Syncer::new(store.clone(), Arc::new(LoadedConfig::new(config)));
        let folder = home.path().join("home");
        let (address, stop, task) = spawn_as(StoreHandle::opened(syncer), start, folder).await;
        Self {
            address,
            stop,
            task,
            store,
            home,
        }
    }

    pub(super) async fn client(
        &self,
        lifecycle: ClientLifecycleMode,
    ) -> RunningService<RoleClient, ClientConfig> {
        let url = format!("http://{}/mcp", self.address);
        let config = ClientConfig::new(
            ClientCapabilities::default(),
            Implementation::new("test", "1"),
        );
        config
            .serve_with_lifecycle(StreamableHttpClientTransport::from_uri(url), lifecycle)
            .await
            .unwrap()
    }

    pub(super) async fn stopped(self) -> Result<(), ServeError> {
        self.stop.asked.cancel();
        tokio::time::timeout(Duration::from_secs(20), self.task)
            .await
            .unwrap()
            .unwrap()
    }
}

/// How a server of a test differs from others.
#[derive(Default)]
pub(super) struct Start {
    pub(super) limits: Limits,
    pub(super) tls: Option<Tls>,
    pub(super) tasks: Supervisor,
    /// The settings that the server itself reads.
    pub(super) config: Option<Config>,
}

type Spawned = (SocketAddr, Stop, JoinHandle<Result<(), ServeError>>);

pub(super) async fn spawn(store: StoreHandle) -> Spawned {
    let home = std::env::temp_dir().join("akosha-no-home");
    spawn_as(store, Start::default(), home).await
}

async fn spawn_as(store: StoreHandle, start: Start, home: PathBuf) -> Spawned {
    let listen = "127.0.0.1:0".to_owned();
    let addresses = Addresses::find(&listen).await.unwrap();
    let listener = addresses.bind().await.unwrap();
    let address = listener.local_addr().unwrap();
    let stop = Stop::new();
    let task = tokio::spawn(serve(Setup {
        listener,
        store,
        stop: stop.clone(),
        options: ServeOptions {
            listen,
            home,
            config: start
                .config
                .unwrap_or_else(|| Config::default_with("server".parse().unwrap())),
            breakers: Breakers::default(),
        },
        limits: start.limits,
        tls: start.tls,
        tasks: start.tasks,
        warnings: Vec::new(),
    }));
    (address, stop, task)
}

pub(super) struct Answered {
    pub(super) status: u16,
    pub(super) head: String,
    pub(super) body: String,
}

impl Answered {
    /// Reads an answer as it came.
    pub(super) fn of(text: &str) -> Self {
        let (head, body) = text.split_once("\r\n\r\n").unwrap();
        Self {
            status: head.split(' ').nth(1).unwrap().parse().unwrap(),
            head: head.to_owned(),
            body: body.to_owned(),
        }
    }

    pub(super) fn json(&self) -> Value {
        serde_json::from_str(&self.body).unwrap()
    }

    /// Checks that the body is problem details of the status, and returns them.
    pub(super) fn problem(&self) -> Value {
        let head = self.head.to_ascii_lowercase();
        assert!(
            head.contains("content-type: application/problem+json"),
            "{head}"
        );
        let problem = self.json();
        assert_eq!(problem["status"], self.status);
        assert!(problem["title"].is_string() && problem["detail"].is_string());
        problem
    }
}

/// Sends one request as it stands and reads the answer to its end.
pub(super) async fn send(address: SocketAddr, request: &str) -> Answered {
    let stream = TcpStream::connect(address).await.unwrap();
    send_on(stream, request).await
}

/// Sends one request over a connection and reads the answer to its end.
pub(super) async fn send_on(
    mut stream: impl AsyncRead + AsyncWrite + Unpin,
    request: &str,
) -> Answered {
    stream.write_all(request.as_bytes()).await.unwrap();
    let mut bytes = Vec::new();
    let _ = stream.read_to_end(&mut bytes).await;
    Answered::of(&String::from_utf8_lossy(&bytes))
}
pub(super) async fn get(address: SocketAddr, path: &str) -> Answered {
    let request = format!("GET {path} HTTP/1.1\r\nHost: {address}\r\nConnection: close\r\n\r\n");
    send(address, &request).await
}

/// Posts a call of `akosha_sync_status`'s listing with further headers.
pub(super) async fn post_mcp(address: SocketAddr, host: &str, headers: &str) -> Answered {
    let body = r#"{"jsonrpc":"2.0","id":1,"method":"tools/list"}"#;
    let request = format!(
        "POST /mcp HTTP/1.1\r\nHost: {host}\r\nConnection: close\r\n{headers}\
         Content-Type: application/json\r\nAccept: application/json, text/event-stream\r\n\
         Content-Length: {}\r\n\r\n{body}",
        body.len()
    );
    send(address, &request).await
}

pub(super) async fn call(
    client: &RunningService<RoleClient, ClientConfig>,
    tool: &'static str,
    arguments: Value,
) -> Value {
    let params = CallToolRequestParams::new(tool)
        .with_arguments(arguments.as_object().cloned().unwrap_or_default());
    client
        .call_tool(params)
        .await
        .unwrap()
        .structured_content
        .unwrap()
}
