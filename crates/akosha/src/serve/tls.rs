//! The server's certificate: read at the start, and again where its files change.

use std::path::{Path, PathBuf};
use std::sync::{Arc, PoisonError, RwLock};
use std::time::Duration;

use rustls::ServerConfig;
use rustls::crypto::ring;
use rustls::pki_types::pem::{self, PemObject};
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use sha2::{Digest, Sha256};
use tokio_rustls::TlsAcceptor;
use tokio_util::sync::CancellationToken;

/// How often the files are looked at.
const LOOK: Duration = Duration::from_secs(5);

/// Why a certificate cannot be used.
#[derive(Debug, thiserror::Error)]
pub(crate) enum TlsError {
    /// One of the two files is not named.
    #[error("`{set}` is set and `{unset}` is not")]
    Half {
        /// The setting that is there.
        set: &'static str,
        /// The setting that is missing.
        unset: &'static str,
    },
    /// A file cannot be read.
    #[error("`{setting}` names `{}`, which cannot be read: {source}", path.display())]
    File {
        /// The setting.
        setting: &'static str,
        /// The file.
        path: PathBuf,
        /// What the system said.
        source: std::io::Error,
    },
    /// A file does not hold what it has to.
    #[error("`{setting}` names `{}`, which holds no {what}: {reason}", path.display())]
    Content {
        /// The setting.
        setting: &'static str,
        /// The file.
        path: PathBuf,
        /// What it has to hold.
        what: &'static str,
        /// What was found.
        reason: String,
    },
    /// The two do not belong together, or the certificate is none that can be used.
    #[error("the certificate of `tls_cert` and the key of `tls_key` cannot be used: {0}")]
    Pair(rustls::Error),
}

/// The certificate that is used now. Clones share it.
#[derive(Debug, Clone)]
pub(super) struct Tls {
    inner: Arc<Inner>,
}

#[derive(Debug)]
struct Inner {
    files: Files,
    current: RwLock<Current>,
}

#[derive(Debug)]
struct Files {
    cert: PathBuf,
    key: PathBuf,
}

#[derive(Debug)]
struct Current {
    config: Arc<ServerConfig>,
    /// What the files held when they were looked at last, whether it could be used or not.
    seen: [u8; 32],
}

impl Tls {
    /// Reads the files that two settings name; `None` where both are empty.
    ///
    /// # Errors
    /// Names the setting and the file that is missing or wrong.
    pub(super) fn load(cert: &str, key: &str) -> Result<Option<Self>, TlsError> {
        let half = |set, unset| Err(TlsError::Half { set, unset });
        match (cert.is_empty(), key.is_empty()) {
            (true, true) => return Ok(None),
            (false, true) => return half("tls_cert", "tls_key"),
            (true, false) => return half("tls_key", "tls_cert"),
            (false, false) => {}
        }
        let files = Files {
            cert: cert.into(),
            key: key.into(),
        };
        let content = files.read()?;
        let current = Current {
            config: Arc::new(files.config(&content)?),
            seen: content.hash(),
        };
        Ok(Some(Self {
            inner: Arc::new(Inner {
                files,
                current: RwLock::new(current),
            }),
        }))
    }

    /// Returns what makes a handshake with the present certificate.
    pub(super) fn acceptor(&self) -> TlsAcceptor {
        let current = self.inner.current.read();
        let current = current.unwrap_or_else(PoisonError::into_inner);
        TlsAcceptor::from(Arc::clone(&current.config))
    }

    /// Looks at the files again and again. A change that cannot be used is told once, and the
    /// certificate before stays.
    pub(super) async fn watch(self, until: CancellationToken) -> Result<(), String> {
        let mut told = None;
        loop {
            tokio::select! {
                () = until.cancelled() => return Ok(()),
                () = tokio::time::sleep(LOOK) => {}
            }
            let tls = self.clone();
            let looked = tokio::task::spawn_blocking(move || tls.look()).await;
            match looked.map_err(|error| error.to_string())? {
                Ok(false) => {}
                Ok(true) => {
                    tracing::info!("the certificate was read again");
                    told = None;
                }
                Err(error) => {
                    let said = Some(error.to_string());
                    if told != said {
                        tracing::warn!(%error, "the certificate before is kept");
                        told = said;
                    }
                }
            }
        }
    }

    /// Takes the certificate that the files hold now, where it is another one.
    fn look(&self) -> Result<bool, TlsError> {
        let Inner { files, current } = &*self.inner;
        let content = files.read()?;
        let seen = content.hash();
        let lock = || current.write().unwrap_or_else(PoisonError::into_inner);
        if std::mem::replace(&mut lock().seen, seen) == seen {
            return Ok(false);
        }
        let config = Arc::new(files.config(&content)?);
        lock().config = config;
        Ok(true)
    }
}

struct Content {
    cert: Vec<u8>,
    key: Vec<u8>,
}

impl Content {
    fn hash(&self) -> [u8; 32] {
        let hash = Sha256::new_with_prefix(Sha256::digest(&self.cert));
        hash.chain_update(&self.key).finalize().into()
    }
}

impl Files {
    fn read(&self) -> Result<Content, TlsError> {
        let read = |setting, path: &Path| {
            std::fs::read(path).map_err(|source| TlsError::File {
                setting,
                path: path.to_owned(),
                source,
            })
        };
        Ok(Content {
            cert: read("tls_cert", &self.cert)?,
            key: read("tls_key", &self.key)?,
        })
    }

    fn config(&self, content: &Content) -> Result<ServerConfig, TlsError> {
        let wrong = |setting, path: &Path, what, error: Option<pem::Error>| TlsError::Content {
            setting,
            path: path.to_owned(),
            what,
            reason: match error {
                // Anything else of the error may repeat what the file holds.
                Some(pem::Error::NoItemsFound) | None => "there is none in it".into(),
                Some(_) => "it is no PEM file".into(),
            },
        };
        let chain = "certificate";
        let certs: Vec<CertificateDer<'static>> = CertificateDer::pem_slice_iter(&content.cert)
            .collect::<Result<_, _>>()
            .map_err(|error| wrong("tls_cert", &self.cert, chain, Some(error)))?;
        if certs.is_empty() {
            return Err(wrong("tls_cert", &self.cert, chain, None));
        }
        let key = PrivateKeyDer::from_pem_slice(&content.key)
            .map_err(|error| wrong("tls_key", &self.key, "private key", Some(error)))?;
        let mut config = ServerConfig::builder_with_provider(Arc::new(ring::default_provider()))
            .with_safe_default_protocol_versions()
            .map_err(TlsError::Pair)?
            .with_no_client_auth()
            .with_single_cert(certs, key)
            .map_err(TlsError::Pair)?;
        config.alpn_protocols = vec![b"http/1.1".to_vec()];
        Ok(config)
    }
}

#[cfg(test)]
mod tests {
    use rcgen::{CertifiedKey, generate_simple_self_signed};

    use super::*;

    fn made() -> (String, String) {
        let CertifiedKey { cert, signing_key } =
            generate_simple_self_signed(vec!["localhost".into()]).unwrap();
        (cert.pem(), signing_key.serialize_pem())
    }

    #[test]
    fn what_is_wrong_with_the_files_is_said() {
        let folder = tempfile::tempdir().unwrap();
        let file = |name: &str, content: &str| {
            let path = folder.path().join(name);
            std::fs::write(&path, content).unwrap();
            path.display().to_string()
        };
        let ((cert, key), (_, other)) = (made(), made());
        let (cert, key) = (file("c", &cert), file("k", &key));
        assert!(Tls::load("", "").unwrap().is_none());
        assert!(Tls::load(&cert, &key).unwrap().is_some());
        let message = |cert: &str, key: &str| Tls::load(cert, key).unwrap_err().to_string();
        assert_eq!(message(&cert, ""), "`tls_cert` is set and `tls_key` is not");
        assert!(message(&cert, "/nowhere").contains("`tls_key` names `/nowhere`"));
        assert!(message(&key, &key).contains("holds no certificate"));
        assert!(message(&cert, &cert).contains("holds no private key"));
        let other = message(&cert, &file("o", &other));
        assert!(other.contains("cannot be used"), "{other}");
    }

    #[test]
    fn a_new_certificate_is_taken_and_a_bad_one_is_not() {
        let folder = tempfile::tempdir().unwrap();
        let paths = ["c", "k"].map(|name| folder.path().join(name));
        let write = |(cert, key): (String, String)| {
            std::fs::write(&paths[0], cert).unwrap();
            std::fs::write(&paths[1], key).unwrap();
        };
        write(made());
        let shown = paths.clone().map(|path| path.display().to_string());
        let tls = Tls::load(&shown[0], &shown[1]).unwrap().unwrap();
        let config = || Arc::clone(&tls.inner.current.read().unwrap().config);
        let first = config();
        assert!(!tls.look().unwrap());
        write(("nonsense".into(), made().1));
        assert!(tls.look().is_err());
        assert!(!tls.look().unwrap(), "told once");
        assert!(Arc::ptr_eq(&first, &config()));
        write(made());
        assert!(tls.look().unwrap());
        assert!(!Arc::ptr_eq(&first, &config()));
    }
}
