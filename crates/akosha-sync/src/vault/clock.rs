//! The clock of the storage: readers refuse what comes from a machine whose own is far ahead.

use std::path::Path;
use std::time::Duration;

use chrono::{DateTime, Utc};

use super::blocking::on_blocking_thread;
use super::bucket::Endpoint;
use super::{Backend, Vault};
use crate::tls;

/// Longest time that the storage has to tell the time.
const LIMIT: Duration = Duration::from_secs(5);

impl Vault {
    /// Returns the time by the storage's clock: of a service, as it dates its answers, whatever it
    /// answers; of a folder, as its file system dates a new file, which is removed again. `None`
    /// where the storage does not tell, or there is no folder yet.
    pub async fn time(&self) -> Option<DateTime<Utc>> {
        match &self.inner.backend {
            Backend::Bucket(bucket) => {
                let Endpoint {
                    scheme, host, port, ..
                } = &bucket.endpoint;
                of_service(&format!("{scheme}://{host}:{port}/")).await
            }
            Backend::Folder(folder) => {
                let root = folder.root().to_owned();
                on_blocking_thread(move || Ok(of_folder(&root)))
                    .await
                    .ok()?
            }
        }
    }
}

async fn of_service(url: &str) -> Option<DateTime<Utc>> {
    tls::install_provider();
    let client = reqwest::Client::builder()
        .redirect(reqwest::redirect::Policy::none())
        .timeout(LIMIT)
        .build()
        .ok()?;
    let answer = client.head(url).send().await.ok()?;
    let date = answer.headers().get(reqwest::header::DATE)?.to_str().ok()?;
    DateTime::parse_from_rfc2822(date).ok().map(Into::into)
}

fn of_folder(root: &Path) -> Option<DateTime<Utc>> {
    let mut builder = tempfile::Builder::new();
    let file = builder.prefix(".clock-").tempfile_in(root).ok()?;
    Some(file.as_file().metadata().ok()?.modified().ok()?.into())
}
