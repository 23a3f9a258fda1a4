//! A vault of each kind, empty.

#![allow(
    dead_code,
    unreachable_pub,
    reason = "each test binary includes this file and uses a part"
)]

use std::path::PathBuf;
use std::time::Duration;

use akosha_core::config::CloudLocation;
use akosha_sync::vault::{Vault, VaultOptions};
use tempfile::TempDir;

use crate::s3::{ACCESS_KEY, BUCKET, S3Server, SECRET_KEY};

/// An empty vault with a prefix, and what keeps it alive.
pub struct Fixture {
    pub vault: Vault,
    pub server: Option<S3Server>,
    options: VaultOptions,
    /// Where the vault's objects lie as files.
    files: PathBuf,
    root: Option<TempDir>,
}

impl Fixture {
    /// Makes a vault in a folder that does not exist yet.
    pub fn folder() -> Self {
        let root = tempfile::tempdir().unwrap();
        let folder = root.path().join("vault");
        let options = VaultOptions {
            prefix: "team/a".into(),
            max_retries: 0,
            ..VaultOptions::new(CloudLocation::Folder(folder.clone()))
        };
        Self {
            vault: Vault::with_options(&options).unwrap(),
            server: None,
            options,
            files: folder.join("team/a"),
            root: Some(root),
        }
    }

    /// Makes a vault in a bucket of a server of its own.
    pub async fn bucket() -> Self {
        let server = S3Server::start().await;
        let options = VaultOptions {
            prefix: "a".into(),
            ..options(&server.endpoint, BUCKET)
        };
        Self {
            vault: Vault::with_options(&options).unwrap(),
            options,
            files: server.bucket_folder().join("team/a"),
            server: Some(server),
            root: None,
        }
    }

    /// Returns another handle to the same vault, as another process has it.
    pub fn another(&self) -> Vault {
        Vault::with_options(&self.options).unwrap()
    }

    /// Writes a file where the vault's objects lie.
    pub fn plant(&self, key: &str) {
        let path = self.files.join(key);
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        std::fs::write(path, "x").unwrap();
    }

    /// Checks that a folder was not created.
    pub fn assert_untouched(&self) {
        if let Some(root) = &self.root {
            assert!(!root.path().join("vault").exists());
        }
    }

    /// Checks that a folder is its owner's alone.
    pub fn assert_private(&self) {
        #[cfg(unix)]
        if let Some(root) = &self.root {
            use std::os::unix::fs::PermissionsExt;
            let metadata = std::fs::metadata(root.path().join("vault")).unwrap();
            assert_eq!(metadata.permissions().mode() & 0o777, 0o700);
        }
    }
}

/// Returns options for a bucket of a server of the test process, without retries.
pub fn options(endpoint: &str, bucket: &str) -> VaultOptions {
    crate::s3::install_tls_provider();
    VaultOptions {
        endpoint: endpoint.into(),
        access_key: Some(ACCESS_KEY.into()),
        secret_key: Some(SECRET_KEY.into()),
        max_retries: 0,
        retry_backoff: Duration::from_millis(20),
        ..VaultOptions::new(CloudLocation::S3 {
            bucket: bucket.into(),
            prefix: "team".into(),
        })
    }
}
