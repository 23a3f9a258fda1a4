//! The server over https.

use std::sync::Arc;
use std::time::Duration;

use rcgen::{CertifiedKey, generate_simple_self_signed};
use rustls::pki_types::{CertificateDer, ServerName};
use rustls::{ClientConfig, RootCertStore};
use tempfile::TempDir;
use tokio::net::TcpStream;
use tokio_rustls::TlsConnector;
use tokio_rustls::client::TlsStream;

use super::support::{Server, Start, get, send_on};
use crate::serve::Tls;

/// Writes a new certificate for `localhost` and its key; returns the certificate.
fn issue(folder: &TempDir) -> CertificateDer<'static> {
    let names = vec!["localhost".into()];
    let CertifiedKey { cert, signing_key } = generate_simple_self_signed(names).unwrap();
    std::fs::write(folder.path().join("key.pem"), signing_key.serialize_pem()).unwrap();
    std::fs::write(folder.path().join("cert.pem"), cert.pem()).unwrap();
    cert.der().clone()
}

/// Shakes hands with the server, trusting one certificate alone.
async fn connect(
    server: &Server,
    trusted: &CertificateDer<'static>,
) -> std::io::Result<TlsStream<TcpStream>> {
    let mut roots = RootCertStore::empty();
    roots.add(trusted.clone()).unwrap();
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let mut config = ClientConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_root_certificates(roots)
        .with_no_client_auth();
    config.alpn_protocols = vec![b"h2".to_vec(), b"http/1.1".to_vec()];
    let stream = TcpStream::connect(server.address).await.unwrap();
    let name = ServerName::try_from("localhost").unwrap();
    TlsConnector::from(Arc::new(config))
        .connect(name, stream)
        .await
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn it_speaks_https_and_takes_a_new_certificate_without_a_restart() {
    let folder = tempfile::tempdir().unwrap();
    let first = issue(&folder);
    let path = |name: &str| folder.path().join(name).display().to_string();
    let tls = Tls::load(&path("cert.pem"), &path("key.pem")).unwrap();
    let server = Server::start_as(Start {
        tls,
        ..Start::default()
    })
    .await;
    let stream = connect(&server, &first).await.unwrap();
    assert_eq!(stream.get_ref().1.alpn_protocol(), Some(&b"http/1.1"[..]));
    let request = "GET /health HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n";
    assert_eq!(send_on(stream, request).await.status, 200);

    // Plain http to the port ends at once, and nobody else notices.
    let plain = tokio::spawn(get(server.address, "/health"));
    assert!(plain.await.is_err(), "there is no answer to read");

    let second = issue(&folder);
    let mut renewed = false;
    for _ in 0..100 {
        renewed = connect(&server, &second).await.is_ok();
        if renewed {
            break;
        }
        tokio::time::sleep(Duration::from_millis(200)).await;
    }
    assert!(renewed, "the files are looked at every few seconds");
    assert!(connect(&server, &first).await.is_err());
    server.stopped().await.unwrap();
}
