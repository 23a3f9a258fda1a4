//! An S3 server with signatures, digests and atomic conditional writes, for the suites in
//! `tests/real`: prints its address and the folder of its bucket, and ends with its input.

#![allow(
    clippy::print_stdout,
    clippy::unwrap_used,
    missing_docs,
    reason = "a part of the tests"
)]

#[path = "../tests/support/s3.rs"]
mod s3;

use std::io::Read;

#[tokio::main]
async fn main() {
    let server = s3::S3Server::start().await;
    println!("{} {}", server.endpoint, server.bucket_folder().display());
    // Requests are answered on the other threads.
    std::io::stdin().read_to_end(&mut Vec::new()).unwrap();
}
