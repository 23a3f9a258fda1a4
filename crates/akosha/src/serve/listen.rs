//! The address that the server listens on.

use std::net::SocketAddr;

use tokio::net::TcpListener;

use super::ServeError;

/// Binds `HOST:PORT`, of which every address must be of loopback.
///
/// # Errors
/// Fails where it is no address, can be reached from other machines, or is taken.
pub(super) async fn bind(listen: &str) -> Result<TcpListener, ServeError> {
    let addresses = resolve(listen).await?;
    if let Some(open) = addresses.iter().find(|address| !address.ip().is_loopback()) {
        let shown = if open.to_string() == listen {
            listen.to_owned()
        } else {
            format!("{listen}` ({})`", open.ip())
        };
        return Err(ServeError::NotLoopback(
            shown.trim_end_matches('`').to_owned(),
        ));
    }
    TcpListener::bind(addresses.as_slice())
        .await
        .map_err(|source| ServeError::Bind {
            address: listen.to_owned(),
            source,
        })
}

async fn resolve(listen: &str) -> Result<Vec<SocketAddr>, ServeError> {
    let address = || ServeError::Address(listen.chars().take(100).collect());
    let (host, port) = listen.rsplit_once(':').ok_or_else(address)?;
    let port: u16 = port.parse().map_err(|_| address())?;
    let host = host.trim_start_matches('[').trim_end_matches(']');
    if host.is_empty() {
        return Err(address());
    }
    let found: Vec<SocketAddr> = tokio::net::lookup_host((host, port))
        .await
        .map_err(|source| ServeError::Host {
            host: host.to_owned(),
            source,
        })?
        .collect();
    if found.is_empty() {
        return Err(address());
    }
    Ok(found)
}
