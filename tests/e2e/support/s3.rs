//! An S3 server in this process that checks signatures, and that can go down and come back.

use std::net::{SocketAddr, TcpListener};
use std::path::PathBuf;
use std::thread::{self, JoinHandle};
use std::time::Duration;

use hyper_util::rt::{TokioExecutor, TokioIo};
use hyper_util::server::conn::auto::Builder;
use s3s::auth::SimpleAuth;
use s3s::service::{S3Service, S3ServiceBuilder};
use s3s_fs::FileSystem;
use tempfile::TempDir;
use tokio::sync::oneshot;

use super::eventually;

/// An S3 server with one bucket.
pub(crate) struct S3 {
    folder: TempDir,
    address: SocketAddr,
    running: Option<Running>,
}

struct Running {
    stop: oneshot::Sender<()>,
    thread: JoinHandle<()>,
}

impl S3 {
    /// The bucket that exists.
    pub(crate) const BUCKET: &str = "memories";
    /// The key id that is known.
    pub(crate) const ACCESS_KEY: &str = "AKIAE2E";
    /// Its secret.
    pub(crate) const SECRET_KEY: &str = "not-so-secret";

    /// Starts a server.
    pub(crate) fn start() -> Self {
        let folder = TempDir::new().unwrap();
        std::fs::create_dir(folder.path().join(Self::BUCKET)).unwrap();
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let mut server = Self {
            folder,
            address: listener.local_addr().unwrap(),
            running: None,
        };
        server.serve(listener);
        server
    }

    /// Returns its address.
    pub(crate) fn endpoint(&self) -> String {
        format!("http://{}", self.address)
    }

    /// Returns the folder in which the bucket's objects lie.
    pub(crate) fn objects(&self) -> PathBuf {
        self.folder.path().join(Self::BUCKET)
    }

    /// Takes the server down: connections are cut, new ones refused.
    pub(crate) fn stop(&mut self) {
        if let Some(running) = self.running.take() {
            // It may have failed before.
            let _ = running.stop.send(());
            running.thread.join().unwrap();
        }
    }

    /// Brings the server back on the same port.
    pub(crate) fn restart(&mut self) {
        let listener = eventually("binding the port again", Duration::from_secs(10), || {
            TcpListener::bind(self.address).ok()
        });
        self.serve(listener);
    }

    fn serve(&mut self, listener: TcpListener) {
        let files = FileSystem::new(self.folder.path()).unwrap();
        let mut builder = S3ServiceBuilder::new(files);
        builder.set_auth(SimpleAuth::from_single(Self::ACCESS_KEY, Self::SECRET_KEY));
        let service = builder.build();
        let (stop, stopped) = oneshot::channel();
        let thread = thread::spawn(move || run(listener, &service, stopped));
        self.running = Some(Running { stop, thread });
    }
}

/// Serves until told to stop; every connection ends with the runtime.
fn run(listener: TcpListener, service: &S3Service, mut stopped: oneshot::Receiver<()>) {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .unwrap();
    runtime.block_on(async {
        listener.set_nonblocking(true).unwrap();
        let listener = tokio::net::TcpListener::from_std(listener).unwrap();
        loop {
            let socket = tokio::select! {
                accepted = listener.accept() => accepted.unwrap().0,
                _ = &mut stopped => return,
            };
            // Answers in parts would otherwise wait for a delayed acknowledgement.
            let _ = socket.set_nodelay(true);
            let service = service.clone();
            tokio::spawn(async move {
                let builder = Builder::new(TokioExecutor::new());
                // A client that is killed cuts its connection.
                let _ = builder
                    .serve_connection(TokioIo::new(socket), service)
                    .await;
            });
        }
    });
    runtime.shutdown_timeout(Duration::from_secs(5));
}

impl Drop for S3 {
    fn drop(&mut self) {
        self.stop();
    }
}
