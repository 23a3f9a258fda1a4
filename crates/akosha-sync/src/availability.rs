//! Asks in at most a second whether somebody listens at an address.

use std::io::ErrorKind;
use std::time::Duration;

use tokio::net::TcpStream;
use tokio::time::timeout;

use crate::Availability;

/// Longest time that a check takes.
const LIMIT: Duration = Duration::from_secs(1);

/// Connects to `host:port` and hangs up.
pub(crate) async fn of_address(host: &str, port: u16) -> Availability {
    let host = host.trim_start_matches('[').trim_end_matches(']');
    match timeout(LIMIT, TcpStream::connect((host, port))).await {
        Ok(Ok(_)) => Availability::Available,
        Ok(Err(error)) if error.kind() == ErrorKind::ConnectionRefused => {
            Availability::Unavailable(format!("nothing listens at `{host}:{port}`"))
        }
        Ok(Err(error)) => Availability::Unavailable(format!("`{host}:{port}`: {error}")),
        Err(_) => Availability::Unknown(format!("`{host}:{port}` did not answer within 1 s")),
    }
}
