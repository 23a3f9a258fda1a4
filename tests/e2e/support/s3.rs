//! An S3 server in this process that checks signatures, that can go down and come back, and that can
//! kill who asks.

use std::net::{SocketAddr, TcpListener};
use std::path::{Path, PathBuf};
use std::sync::{Arc, Condvar, Mutex};
use std::thread::{self, JoinHandle};
use std::time::Duration;

use hyper::service::{Service, service_fn};
use hyper_util::rt::{TokioExecutor, TokioIo};
use hyper_util::server::conn::auto::Builder;
use s3s::auth::SimpleAuth;
use s3s::service::{S3Service, S3ServiceBuilder};
use s3s_fs::FileSystem;
use tempfile::TempDir;
use tokio::sync::oneshot;

use super::home::copy_folder;
use super::{eventually, process};

/// An S3 server with one bucket.
pub(crate) struct S3 {
    folder: TempDir,
    address: SocketAddr,
    trap: Arc<Trap>,
    running: Option<Running>,
}

/// Kills a process at one of its requests.
#[derive(Default)]
struct Trap {
    state: Mutex<TrapState>,
    aimed: Condvar,
}

#[derive(Default)]
struct TrapState {
    /// Requests that are let through before, `None` where nobody is to be killed.
    left: Option<u64>,
    moment: Moment,
    victim: Option<u32>,
    has_fired: bool,
}

/// When a process is killed.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) enum Moment {
    /// Before the server has done what was asked.
    #[default]
    Before,
    /// After it has, before it answers.
    After,
}

impl Trap {
    /// Returns when the process that sent the present request is to be killed.
    fn count(&self) -> Option<Moment> {
        let mut state = self.state.lock().unwrap();
        match &mut state.left {
            Some(0) => {
                state.left = None;
                Some(state.moment)
            }
            Some(left) => {
                *left -= 1;
                None
            }
            None => None,
        }
    }

    fn fire(&self) {
        let mut state = self.state.lock().unwrap();
        while state.victim.is_none() {
            state = self.aimed.wait(state).unwrap();
        }
        state.has_fired = true;
        process::kill(state.victim.unwrap());
    }
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
            trap: Arc::default(),
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

    /// Makes the bucket what it was when `template` was saved.
    pub(crate) fn load(&self, template: &Path) {
        std::fs::remove_dir_all(self.folder.path()).unwrap();
        copy_folder(template, self.folder.path());
    }

    /// Saves the bucket, so that it can be loaded again.
    pub(crate) fn save(&self, template: &Path) {
        copy_folder(self.folder.path(), template);
    }

    /// Kills the process that [`S3::aim`] names at its request after the next `left`.
    pub(crate) fn arm(&self, left: u64, moment: Moment) {
        *self.trap.state.lock().unwrap() = TrapState {
            left: Some(left),
            moment,
            ..TrapState::default()
        };
    }

    /// Says whom to kill.
    pub(crate) fn aim(&self, process_id: u32) {
        self.trap.state.lock().unwrap().victim = Some(process_id);
        self.trap.aimed.notify_all();
    }

    /// Kills nobody any more; returns whether it has.
    pub(crate) fn disarm(&self) -> bool {
        std::mem::take(&mut *self.trap.state.lock().unwrap()).has_fired
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
        let trap = Arc::clone(&self.trap);
        let thread = thread::spawn(move || run(listener, &service, &trap, stopped));
        self.running = Some(Running { stop, thread });
    }
}

/// Serves until told to stop; every connection ends with the runtime.
fn run(
    listener: TcpListener,
    service: &S3Service,
    trap: &Arc<Trap>,
    mut stopped: oneshot::Receiver<()>,
) {
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
            let (service, trap) = (service.clone(), Arc::clone(trap));
            let trapped = service_fn(move |request: hyper::Request<hyper::body::Incoming>| {
                let (service, trap) = (service.clone(), Arc::clone(&trap));
                async move {
                    let moment = trap.count();
                    if moment == Some(Moment::Before) {
                        trap.fire();
                    }
                    let response = Service::call(&service, request).await;
                    if moment == Some(Moment::After) {
                        trap.fire();
                    }
                    response
                }
            });
            tokio::spawn(async move {
                let builder = Builder::new(TokioExecutor::new());
                // A client that is killed cuts its connection.
                let _ = builder
                    .serve_connection(TokioIo::new(socket), trapped)
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
