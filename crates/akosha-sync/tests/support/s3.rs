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
use std::sync::{Arc, Mutex, Once};

use async_trait::async_trait;
use hyper_util::rt::{TokioExecutor, TokioIo};
use hyper_util::server::conn::auto::Builder;
use s3s::auth::SimpleAuth;
use s3s::dto::{
    AbortMultipartUploadInput, AbortMultipartUploadOutput, CompleteMultipartUploadInput,
    CompleteMultipartUploadOutput, CreateMultipartUploadInput, CreateMultipartUploadOutput,
    DeleteObjectInput, DeleteObjectOutput, GetObjectInput, GetObjectOutput, HeadObjectInput,
    HeadObjectOutput, ListObjectsV2Input, ListObjectsV2Output, PutObjectInput, PutObjectOutput,
    UploadPartInput, UploadPartOutput,
};
use s3s::service::{S3Service, S3ServiceBuilder};
use s3s::{S3, S3Request, S3Response, S3Result, s3_error};
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
}

/// A running server; it stops when dropped.
pub struct S3Server {
    pub endpoint: String,
    root: TempDir,
    fault: Arc<Mutex<Fault>>,
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
        let mut builder = S3ServiceBuilder::new(Faulty {
            files: FileSystem::new(root.path()).unwrap(),
            one_by_one: tokio::sync::Mutex::default(),
            fault: Arc::clone(&fault),
        });
        builder.set_auth(SimpleAuth::from_single(ACCESS_KEY, SECRET_KEY));
        let loopback = SocketAddr::from(([127, 0, 0, 1], 0));
        let listener = TcpListener::bind(loopback).await.unwrap();
        let endpoint = format!("http://{}", listener.local_addr().unwrap());
        Self {
            endpoint,
            root,
            fault,
            task: tokio::spawn(serve(listener, builder.build())),
        }
    }

    /// Switches a fault on.
    pub fn set_fault(&self, fault: Fault) {
        *self.fault.lock().unwrap() = fault;
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
}

impl Faulty {
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
                self.be_busy()?;
                self.files.$operation(request).await
            })*

            async fn put_object(
                &self,
                mut request: S3Request<PutObjectInput>,
            ) -> S3Result<S3Response<PutObjectOutput>> {
                self.be_busy()?;
                let _guard = self.one_by_one.lock().await;
                let fault = *self.fault.lock().unwrap();
                let input = &mut request.input;
                match fault {
                    Fault::IgnoreConditions => {
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
                let response = self.files.put_object(request).await?;
                if let Fault::LoseAnswers(left) = fault && left > 0 {
                    *self.fault.lock().unwrap() = Fault::LoseAnswers(left - 1);
                    return Err(s3_error!(InternalError));
                }
                Ok(response)
            }
        }
    };
}

passed_on! {
    get_object: GetObjectInput => GetObjectOutput,
    head_object: HeadObjectInput => HeadObjectOutput,
    delete_object: DeleteObjectInput => DeleteObjectOutput,
    list_objects_v2: ListObjectsV2Input => ListObjectsV2Output,
    create_multipart_upload: CreateMultipartUploadInput => CreateMultipartUploadOutput,
    upload_part: UploadPartInput => UploadPartOutput,
    complete_multipart_upload: CompleteMultipartUploadInput => CompleteMultipartUploadOutput,
    abort_multipart_upload: AbortMultipartUploadInput => AbortMultipartUploadOutput,
}
