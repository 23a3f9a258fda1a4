//! An S3 server within the test process, on a free port of loopback, that checks signatures.
//! Other crates' tests include this file by `#[path]`.
//!
//! `s3s-fs` checks a condition and writes in two steps, so writes are let through one by one:
//! then its conditional writes are as atomic as those of S3. Faults can be switched on.

#![allow(
    dead_code,
    unreachable_pub,
    reason = "each test binary includes this file and uses a part"
)]

use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, Once};
use std::time::Duration;

use async_trait::async_trait;
use futures::StreamExt;
use hyper_util::rt::{TokioExecutor, TokioIo};
use hyper_util::server::conn::auto::Builder;
use s3s::auth::SimpleAuth;
use s3s::dto::{
    AbortMultipartUploadInput, AbortMultipartUploadOutput, CompleteMultipartUploadInput,
    CompleteMultipartUploadOutput, CreateMultipartUploadInput, CreateMultipartUploadOutput,
    DeleteObjectInput, DeleteObjectOutput, GetObjectInput, GetObjectOutput, HeadObjectInput,
    HeadObjectOutput, ListObjectsV2Input, ListObjectsV2Output, PutObjectInput, PutObjectOutput,
    StreamingBlob, UploadPartInput, UploadPartOutput,
};
use s3s::service::{S3Service, S3ServiceBuilder};
use s3s::{S3, S3Error, S3ErrorCode, S3Request, S3Response, S3Result, s3_error};
use s3s_fs::FileSystem;
use tempfile::TempDir;
use tokio::net::TcpListener;

pub const BUCKET: &str = "memories";
pub const ACCESS_KEY: &str = "AKIAIOSFODNN7EXAMPLE";
pub const SECRET_KEY: &str = "wJalrXUtnFEMI/K7MDENG/bPxRfiCYEXAMPLEKEY";

/// What the server does wrongly.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Fault {
    None,
    /// Writes whatever the condition.
    IgnoreConditions,
    /// Answers conditional writes with 501.
    RefuseConditions,
    /// Does so many writes and answers 500.
    LoseAnswers(u32),
    /// Answers so many requests with 503.
    Busy(u32),
    /// Fails one request in `one_in` at random, before or after it has done what was asked, does not
    /// answer in time, cuts bodies short and lists in any order. A seed gives the dice, which fall
    /// as requests arrive.
    Chaos {
        seed: u64,
        one_in: u64,
        /// Whether it also writes whatever the condition.
        ignores_conditions: bool,
    },
}

/// What a server in chaos does with one request.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Mishap {
    /// Refuses it with this status.
    Before(u16),
    /// Does it and answers 500.
    After,
    /// Does it and sends half of the body.
    Cut,
    /// Does it and answers when nobody waits any more.
    Late,
}

/// How late an answer is that comes too late: longer than the clients of the tests wait.
const TOO_LATE: Duration = Duration::from_secs(2);

/// A running server; it stops when dropped.
pub struct S3Server {
    pub endpoint: String,
    root: TempDir,
    fault: Arc<Mutex<Fault>>,
    lists: Arc<AtomicUsize>,
    broken: Arc<Mutex<Vec<String>>>,
    task: tokio::task::JoinHandle<()>,
}

impl Drop for S3Server {
    fn drop(&mut self) {
        self.task.abort();
    }
}

impl S3Server {
    /// Starts a server with the empty bucket [`BUCKET`].
    pub async fn start() -> Self {
        install_tls_provider();
        let root = tempfile::tempdir().unwrap();
        std::fs::create_dir(root.path().join(BUCKET)).unwrap();
        let fault = Arc::new(Mutex::new(Fault::None));
        let lists = Arc::new(AtomicUsize::new(0));
        let broken = Arc::new(Mutex::new(Vec::new()));
        let mut builder = S3ServiceBuilder::new(Faulty {
            files: FileSystem::new(root.path()).unwrap(),
            one_by_one: tokio::sync::Mutex::default(),
            fault: Arc::clone(&fault),
            lists: Arc::clone(&lists),
            broken: Arc::clone(&broken),
        });
        builder.set_auth(SimpleAuth::from_single(ACCESS_KEY, SECRET_KEY));
        let loopback = SocketAddr::from(([127, 0, 0, 1], 0));
        let listener = TcpListener::bind(loopback).await.unwrap();
        let endpoint = format!("http://{}", listener.local_addr().unwrap());
        Self {
            endpoint,
            root,
            fault,
            lists,
            broken,
            task: tokio::spawn(serve(listener, builder.build())),
        }
    }

    /// Switches a fault on.
    pub fn set_fault(&self, fault: Fault) {
        *self.fault.lock().unwrap() = fault;
    }

    /// Answers every request for an object under this prefix with 503 from now on.
    pub fn break_objects(&self, prefix: &str) {
        self.broken.lock().unwrap().push(prefix.to_owned());
    }

    /// Gives every object again.
    pub fn mend_objects(&self) {
        self.broken.lock().unwrap().clear();
    }

    /// Returns how many listings were asked for.
    pub fn lists(&self) -> usize {
        self.lists.load(Ordering::Relaxed)
    }

    /// Returns the fault as it is now.
    pub fn fault(&self) -> Fault {
        *self.fault.lock().unwrap()
    }

    /// Returns the folder in which the bucket's objects lie as files.
    pub fn bucket_folder(&self) -> PathBuf {
        self.root.path().join(BUCKET)
    }
}

/// Makes ring the process's provider, as every program does that opens a vault.
pub fn install_tls_provider() {
    static ONCE: Once = Once::new();
    ONCE.call_once(|| {
        let _ = rustls::crypto::ring::default_provider().install_default();
    });
}

async fn serve(listener: TcpListener, service: S3Service) {
    while let Ok((socket, _)) = listener.accept().await {
        let service = service.clone();
        tokio::spawn(async move {
            let _ = Builder::new(TokioExecutor::new())
                .serve_connection(TokioIo::new(socket), service)
                .await;
        });
    }
}

/// Files as a bucket, with faults before them.
struct Faulty {
    files: FileSystem,
    one_by_one: tokio::sync::Mutex<()>,
    fault: Arc<Mutex<Fault>>,
    lists: Arc<AtomicUsize>,
    broken: Arc<Mutex<Vec<String>>>,
}

/// Returns the next number of a seed, below `bound` (splitmix64).
pub fn next(seed: &mut u64, bound: u64) -> u64 {
    *seed = seed.wrapping_add(0x9e37_79b9_7f4a_7c15);
    let mut word = *seed;
    word = (word ^ (word >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    word = (word ^ (word >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    (word ^ (word >> 31)) % bound
}

impl Faulty {
    /// Decides what happens to a request.
    fn mishap(&self) -> Option<Mishap> {
        let mut fault = self.fault.lock().unwrap();
        let Fault::Chaos { seed, one_in, .. } = &mut *fault else {
            return None;
        };
        if next(seed, *one_in) > 0 {
            return None;
        }
        Some(match next(seed, 60) {
            0..10 => Mishap::Before(500),
            10..20 => Mishap::Before(503),
            20..30 => Mishap::Before(429),
            30..40 => Mishap::Cut,
            40 => Mishap::Late,
            _ => Mishap::After,
        })
    }

    /// Runs a request with what happens to it.
    async fn with_mishap<T>(
        &self,
        work: impl Future<Output = S3Result<S3Response<T>>>,
        cut: impl FnOnce(&mut T),
    ) -> S3Result<S3Response<T>> {
        self.be_busy()?;
        let mishap = self.mishap();
        match mishap {
            Some(Mishap::Before(429)) => {
                let mut error = S3Error::new(S3ErrorCode::Custom("TooManyRequests".into()));
                error.set_status_code(reqwest::StatusCode::TOO_MANY_REQUESTS);
                return Err(error);
            }
            Some(Mishap::Before(503)) => return Err(s3_error!(SlowDown)),
            Some(Mishap::Before(_)) => return Err(s3_error!(InternalError)),
            _ => {}
        }
        let mut response = work.await?;
        match mishap {
            Some(Mishap::After) => Err(s3_error!(InternalError)),
            Some(Mishap::Late) => {
                tokio::time::sleep(TOO_LATE).await;
                Ok(response)
            }
            Some(Mishap::Cut) => {
                cut(&mut response.output);
                Ok(response)
            }
            _ => Ok(response),
        }
    }

    /// Puts a listing into another order.
    fn shuffle(&self, output: &mut ListObjectsV2Output) {
        if let Fault::Chaos { seed, .. } = &mut *self.fault.lock().unwrap()
            && let Some(contents) = &mut output.contents
        {
            for at in (1..contents.len()).rev() {
                contents.swap(at, next(seed, at as u64 + 1) as usize);
            }
        }
    }

    /// Answers a write that is done with 500, as often as it is to.
    fn lose_answer(&self) -> S3Result<()> {
        let mut fault = self.fault.lock().unwrap();
        match *fault {
            Fault::LoseAnswers(left) if left > 0 => {
                *fault = Fault::LoseAnswers(left - 1);
                Err(s3_error!(InternalError))
            }
            _ => Ok(()),
        }
    }

    /// Answers as a busy server does, as often as it is to.
    fn be_busy(&self) -> S3Result<()> {
        let mut fault = self.fault.lock().unwrap();
        match *fault {
            Fault::Busy(left) if left > 0 => {
                *fault = Fault::Busy(left - 1);
                Err(s3_error!(SlowDown))
            }
            _ => Ok(()),
        }
    }
}

macro_rules! passed_on {
    ($($operation:ident: $input:ty => $output:ty),* $(,)?) => {
        #[async_trait]
        impl S3 for Faulty {
            $(async fn $operation(&self, request: S3Request<$input>) -> S3Result<S3Response<$output>> {
                self.with_mishap(self.files.$operation(request), |_| {}).await
            })*

            async fn get_object(
                &self,
                request: S3Request<GetObjectInput>,
            ) -> S3Result<S3Response<GetObjectOutput>> {
                let broken = self.broken.lock().unwrap().clone();
                if broken.iter().any(|prefix| request.input.key.starts_with(prefix)) {
                    return Err(s3_error!(SlowDown));
                }
                self.with_mishap(self.files.get_object(request), cut_short).await
            }

            async fn list_objects_v2(
                &self,
                request: S3Request<ListObjectsV2Input>,
            ) -> S3Result<S3Response<ListObjectsV2Output>> {
                self.lists.fetch_add(1, Ordering::Relaxed);
                let mut listed = self
                    .with_mishap(self.files.list_objects_v2(request), |_| {})
                    .await?;
                self.shuffle(&mut listed.output);
                Ok(listed)
            }

            async fn put_object(
                &self,
                mut request: S3Request<PutObjectInput>,
            ) -> S3Result<S3Response<PutObjectOutput>> {
                let guard = self.one_by_one.lock().await;
                let fault = *self.fault.lock().unwrap();
                let input = &mut request.input;
                match fault {
                    Fault::IgnoreConditions | Fault::Chaos { ignores_conditions: true, .. } => {
                        input.if_match = None;
                        input.if_none_match = None;
                    }
                    Fault::RefuseConditions
                        if input.if_match.is_some() || input.if_none_match.is_some() =>
                    {
                        return Err(s3_error!(NotImplemented));
                    }
                    _ => {}
                }
                let written = async {
                    let written = self.files.put_object(request).await;
                    drop(guard);
                    written
                };
                let response = self.with_mishap(written, |_| {}).await?;
                self.lose_answer()?;
                Ok(response)
            }

            async fn complete_multipart_upload(
                &self,
                request: S3Request<CompleteMultipartUploadInput>,
            ) -> S3Result<S3Response<CompleteMultipartUploadOutput>> {
                let completing = self.files.complete_multipart_upload(request);
                let response = self.with_mishap(completing, |_| {}).await?;
                self.lose_answer()?;
                Ok(response)
            }
        }
    };
}

passed_on! {
    head_object: HeadObjectInput => HeadObjectOutput,
    delete_object: DeleteObjectInput => DeleteObjectOutput,
    create_multipart_upload: CreateMultipartUploadInput => CreateMultipartUploadOutput,
    upload_part: UploadPartInput => UploadPartOutput,
    abort_multipart_upload: AbortMultipartUploadInput => AbortMultipartUploadOutput,
}

/// Announces a whole body and sends half of it.
fn cut_short(output: &mut GetObjectOutput) {
    let Some(body) = output.body.take() else {
        return;
    };
    let mut left = output.content_length.unwrap_or(0) / 2;
    let half = body.map(move |piece| {
        let mut piece = piece.map_err(|error| std::io::Error::other(error.to_string()))?;
        piece.truncate(usize::try_from(left).unwrap_or(0));
        left -= piece.len() as i64;
        Ok::<_, std::io::Error>(piece)
    });
    output.body = Some(StreamingBlob::wrap(half));
}
