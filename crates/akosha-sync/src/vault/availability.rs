//! Whether the vault could be reached now.

use std::path::Path;
use std::time::Duration;

use tokio::time::timeout;

use super::bucket::Endpoint;
use super::{Backend, Vault};
use crate::{Availability, availability};

/// Longest time that a check takes.
const LIMIT: Duration = Duration::from_secs(1);

/// Variables that send requests through a proxy.
const PROXY_VARIABLES: [&str; 6] = [
    "HTTPS_PROXY",
    "https_proxy",
    "HTTP_PROXY",
    "http_proxy",
    "ALL_PROXY",
    "all_proxy",
];

impl Vault {
    /// Returns whether the vault could be reached now: a bucket's service is connected to, a
    /// folder or the place for it is looked at. Takes at most 1 s and never blocks the runtime.
    pub async fn availability(&self) -> Availability {
        match &self.inner.backend {
            Backend::Bucket(bucket) => of_service(&bucket.endpoint).await,
            Backend::Folder(folder) => {
                let root = folder.root().to_owned();
                let check = tokio::task::spawn_blocking(move || of_folder(&root));
                match timeout(LIMIT, check).await {
                    Ok(Ok(availability)) => availability,
                    Ok(Err(error)) => Availability::Unknown(error.to_string()),
                    Err(_) => Availability::Unknown(format!(
                        "`{}` did not answer within 1 s",
                        folder.root().display()
                    )),
                }
            }
        }
    }
}

async fn of_service(endpoint: &Endpoint) -> Availability {
    let Endpoint { host, port, .. } = endpoint;
    match availability::of_address(host, *port).await {
        Availability::Unavailable(_) if is_behind_proxy() => {
            Availability::Unknown(format!("`{host}:{port}` is reached through a proxy"))
        }
        found => found,
    }
}

fn is_behind_proxy() -> bool {
    PROXY_VARIABLES
        .iter()
        .any(|name| std::env::var_os(name).is_some_and(|value| !value.is_empty()))
}

fn of_folder(root: &Path) -> Availability {
    let unavailable = |path: &Path, reason: &str| {
        Availability::Unavailable(format!("`{}` {reason}", path.display()))
    };
    match std::fs::metadata(root) {
        Ok(found) if !found.is_dir() => unavailable(root, "is not a folder"),
        Ok(found) if found.permissions().readonly() => unavailable(root, "is not writable"),
        Ok(_) => Availability::Available,
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => match root.parent() {
            Some(parent) if parent.as_os_str().is_empty() || parent.is_dir() => {
                Availability::Available
            }
            Some(parent) => unavailable(parent, "does not exist"),
            None => unavailable(root, "does not exist"),
        },
        Err(error) => unavailable(root, &format!("cannot be looked at: {error}")),
    }
}
