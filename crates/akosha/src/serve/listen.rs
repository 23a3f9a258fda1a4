//! The address that the server listens on.

use std::net::SocketAddr;

use tokio::net::TcpListener;

use super::ServeError;

/// The addresses that `HOST:PORT` stands for.
#[derive(Debug)]
pub(super) struct Addresses {
    listen: String,
    found: Vec<SocketAddr>,
}

impl Addresses {
    /// Finds them.
    ///
    /// # Errors
    /// Fails where it is no address.
    pub(super) async fn find(listen: &str) -> Result<Self, ServeError> {
        Ok(Self {
            listen: listen.to_owned(),
            found: resolve(listen).await?,
        })
    }

    /// Returns how to show one that other machines can reach, where there is one.
    pub(super) fn public(&self) -> Option<String> {
        let public = |address: &&SocketAddr| !address.ip().is_loopback();
        let address = self.found.iter().find(public)?;
        let listen = &self.listen;
        Some(if address.to_string() == *listen {
            format!("`{listen}`")
        } else {
            format!("`{listen}` ({})", address.ip())
        })
    }

    /// Binds them.
    ///
    /// # Errors
    /// Fails where they are taken.
    pub(super) async fn bind(&self) -> Result<TcpListener, ServeError> {
        TcpListener::bind(self.found.as_slice())
            .await
            .map_err(|source| ServeError::Bind {
                address: self.listen.clone(),
                source,
            })
    }
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
