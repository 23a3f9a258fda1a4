//! Which names the server answers to, and which pages may call it.
//!
//! A page of another origin must not reach the server through a person's browser: neither by the
//! server's own name, which `Origin` tells, nor by a name of its own that it lets point here, which
//! `Host` tells.

use std::net::{IpAddr, SocketAddr};

use axum::http::{HeaderMap, HeaderName, HeaderValue, Uri, header, uri::Authority};

/// The names.
#[derive(Debug, Clone)]
pub(in crate::serve) struct Hosts {
    /// The port that is listened on.
    port: u16,
    /// Whether other machines can reach the address.
    is_public: bool,
    /// Whether the settings name hosts: then something in front takes requests from elsewhere.
    is_named: bool,
    /// Names beside those of this machine, in lower case, each with the port that is meant.
    named: Vec<(String, Option<u16>)>,
}

/// What is wrong with where a request wants to go or comes from.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in crate::serve) enum Misled {
    /// It does not say where it wants to go or comes from, or says it twice.
    Unclear,
    /// It wants to go elsewhere.
    Host,
    /// A page of somebody else sends it.
    Origin,
}

impl Misled {
    /// Returns the name as the metric has it.
    pub(super) fn as_str(self) -> &'static str {
        match self {
            Self::Unclear | Self::Host => "host",
            Self::Origin => "origin",
        }
    }
}

impl Hosts {
    /// Creates the names of a server that listens on `address`; `listen` is how it was told to,
    /// `allowed` what the settings name.
    pub(in crate::serve) fn new(address: SocketAddr, listen: &str, allowed: &[String]) -> Self {
        let own = listen.rsplit_once(':').map(|(host, _)| host.to_owned());
        let named = own.iter().chain(allowed);
        Self {
            port: address.port(),
            is_public: !address.ip().is_loopback(),
            is_named: !allowed.is_empty(),
            named: named.filter_map(|name| split(name)).collect(),
        }
    }

    /// Returns whether nobody but this machine is meant to reach the server.
    pub(in crate::serve) fn are_local(&self) -> bool {
        !self.is_public && !self.is_named
    }

    /// Checks where a request wants to go and where it comes from.
    pub(in crate::serve) fn check(&self, uri: &Uri, headers: &HeaderMap) -> Result<(), Misled> {
        let host = only(headers, header::HOST)?;
        let host = host.map(|host| host.to_str().ok().and_then(split));
        let target = uri.authority().map(|known| split(known.as_str()));
        // Whoever reads the one where we read the other would be led astray.
        if let (Some(host), Some(target)) = (&host, &target)
            && host != target
        {
            return Err(Misled::Unclear);
        }
        let (host, port) = host.or(target).flatten().ok_or(Misled::Unclear)?;
        if !self.answers_to(&host, port) {
            return Err(Misled::Host);
        }
        match only(headers, header::ORIGIN)? {
            None => Ok(()),
            Some(origin) => {
                let is_own = origin.to_str().is_ok_and(|origin| self.is_own(origin));
                if is_own { Ok(()) } else { Err(Misled::Origin) }
            }
        }
    }

    fn answers_to(&self, host: &str, port: Option<u16>) -> bool {
        if is_loopback(host) {
            return true;
        }
        // Whoever points a name here cannot make a browser send an address instead of it.
        if self.is_public && address(host).is_some() {
            return true;
        }
        let fits = |(name, wanted): &(String, Option<u16>)| {
            name == host && wanted.is_none_or(|wanted| port.unwrap_or(self.port) == wanted)
        };
        self.named.iter().any(fits)
    }

    fn is_own(&self, origin: &str) -> bool {
        let (scheme, rest) = origin.split_once("://").unwrap_or_default();
        let usual = match scheme {
            "http" => 80,
            "https" => 443,
            _ => return false,
        };
        let Some((host, port)) = split(rest) else {
            return false;
        };
        let port = port.unwrap_or(usual);
        // What listens on another port of this machine is somebody else.
        if is_loopback(&host) || (self.is_public && address(&host).is_some()) {
            return port == self.port;
        }
        let fits = |(name, wanted): &(String, Option<u16>)| {
            let port_fits = match wanted {
                Some(wanted) => port == *wanted,
                // A proxy in front has the usual port.
                None => port == self.port || port == usual,
            };
            *name == host && port_fits
        };
        self.named.iter().any(fits)
    }
}

/// Returns the value of a header that may be there once.
fn only(headers: &HeaderMap, name: HeaderName) -> Result<Option<&HeaderValue>, Misled> {
    let mut values = headers.get_all(name).iter();
    let first = values.next();
    match values.next() {
        None => Ok(first),
        Some(_) => Err(Misled::Unclear),
    }
}

/// Returns host and port, the host in lower case.
fn split(text: &str) -> Option<(String, Option<u16>)> {
    let authority: Authority = text.parse().ok()?;
    // `user@host` is nothing that a `Host` may be.
    if text.contains('@') {
        return None;
    }
    Some((authority.host().to_ascii_lowercase(), authority.port_u16()))
}

fn address(host: &str) -> Option<IpAddr> {
    host.trim_start_matches('[')
        .trim_end_matches(']')
        .parse()
        .ok()
}

fn is_loopback(host: &str) -> bool {
    host == "localhost" || address(host).is_some_and(|address| address.is_loopback())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn hosts(address: &str, allowed: &[&str]) -> Hosts {
        let allowed: Vec<String> = allowed.iter().map(|&name| name.to_owned()).collect();
        Hosts::new(address.parse().unwrap(), address, &allowed)
    }

    fn checked(hosts: &Hosts, host: &str, origin: Option<&str>) -> Result<(), Misled> {
        let mut headers = HeaderMap::new();
        headers.insert(header::HOST, HeaderValue::from_str(host).unwrap());
        if let Some(origin) = origin {
            headers.insert(header::ORIGIN, HeaderValue::from_str(origin).unwrap());
        }
        hosts.check(&Uri::from_static("/"), &headers)
    }

    #[test]
    fn what_is_said_twice_is_not_clear() {
        let hosts = hosts("127.0.0.1:8682", &["akosha.example"]);
        for name in [header::HOST, header::ORIGIN] {
            let mut headers = HeaderMap::new();
            headers.append(header::HOST, HeaderValue::from_static("localhost:8682"));
            for value in ["http://localhost:8682", "http://akosha.example"] {
                headers.append(&name, HeaderValue::from_static(value));
            }
            let checked = hosts.check(&Uri::from_static("/"), &headers);
            assert_eq!(checked, Err(Misled::Unclear), "{name}");
        }
        let mut headers = HeaderMap::new();
        headers.insert(header::HOST, HeaderValue::from_static("localhost:8682"));
        let check = |uri| hosts.check(&Uri::from_static(uri), &headers);
        assert_eq!(check("http://localhost:8682/status"), Ok(()));
        assert_eq!(check("http://akosha.example/status"), Err(Misled::Unclear));
    }

    #[test]
    fn a_server_of_this_machine_answers_to_its_names_alone() {
        let hosts = hosts("127.0.0.1:8682", &["akosha.example"]);
        let names = [
            "localhost:8682",
            "127.0.0.1",
            "[::1]:8682",
            "LOCALHOST",
            "akosha.example",
        ];
        for host in names {
            assert_eq!(checked(&hosts, host, None), Ok(()), "{host}");
        }
        for host in [
            "evil.example",
            "192.0.2.1:8682",
            "localhost.evil.example",
            "127.0.0.1.nip.io",
        ] {
            assert_eq!(checked(&hosts, host, None), Err(Misled::Host), "{host}");
        }
        for host in ["", "a@localhost", "a b"] {
            assert_eq!(
                checked(&hosts, host, None),
                Err(Misled::Unclear),
                "{host:?}"
            );
        }
        let nothing = HeaderMap::new();
        let path = Uri::from_static("/");
        assert_eq!(hosts.check(&path, &nothing), Err(Misled::Unclear));
    }

    #[test]
    fn pages_of_others_are_refused() {
        let hosts = hosts("127.0.0.1:8682", &["akosha.example", "other.example:444"]);
        let own = [
            "http://127.0.0.1:8682",
            "https://localhost:8682",
            "https://akosha.example",
            "http://akosha.example:8682",
            "https://other.example:444",
        ];
        for origin in own {
            assert_eq!(
                checked(&hosts, "localhost", Some(origin)),
                Ok(()),
                "{origin}"
            );
        }
        let others = [
            "null",
            "http://localhost",
            "http://localhost:1",
            "https://evil.example",
            "https://akosha.example:1",
            "https://other.example",
            "ftp://localhost:8682",
            "http://192.0.2.1:8682",
            "",
        ];
        for origin in others {
            let refused = checked(&hosts, "localhost", Some(origin));
            assert_eq!(refused, Err(Misled::Origin), "{origin}");
        }
    }

    #[test]
    fn a_public_server_answers_to_addresses_too() {
        let hosts = hosts("0.0.0.0:8682", &[]);
        for host in ["10.1.2.3:8682", "localhost", "[2001:db8::1]:8682"] {
            assert_eq!(checked(&hosts, host, None), Ok(()), "{host}");
        }
        assert_eq!(checked(&hosts, "evil.example", None), Err(Misled::Host));
        let own = Some("http://10.1.2.3:8682");
        assert_eq!(checked(&hosts, "10.1.2.3:8682", own), Ok(()));
        let named = super::tests::hosts("127.0.0.1:8682", &[]);
        assert_eq!(checked(&named, "10.1.2.3:8682", None), Err(Misled::Host));
    }
}
