//! Host and port of a service, taken out of the URL that the user gave.

use url::{Host, Url};

use crate::vault::VaultError;

/// Host and port of a service.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(in crate::vault) struct Endpoint {
    pub(in crate::vault) scheme: String,
    pub(in crate::vault) host: String,
    pub(in crate::vault) port: u16,
    /// What follows the port, without a slash at its end; Azure's emulator wants the account here.
    pub(in crate::vault) path: String,
}

impl Endpoint {
    /// Returns the endpoint of a host that is spoken to by TLS on its usual port.
    pub(super) fn of_host(host: String) -> Self {
        Self {
            scheme: "https".into(),
            host,
            port: 443,
            path: String::new(),
        }
    }

    /// Reads a URL.
    ///
    /// # Errors
    /// Fails on anything but `http` and `https` with a host and without credentials.
    pub(super) fn parse(text: &str) -> Result<Self, VaultError> {
        let invalid = |message: String| VaultError::Config {
            setting: "cloud_endpoint",
            message,
            hint: "use a URL such as `https://s3.example.org`".into(),
        };
        let url = Url::parse(text).map_err(|error| invalid(format!("is no URL: {error}")))?;
        if !url.username().is_empty() || url.password().is_some() {
            return Err(invalid("holds credentials".into()));
        }
        if !matches!(url.scheme(), "http" | "https") {
            return Err(invalid(format!("has the scheme `{}`", url.scheme())));
        }
        match (url.host_str(), url.port_or_known_default()) {
            (Some(host), Some(port)) => Ok(Self {
                scheme: url.scheme().to_owned(),
                host: host.to_owned(),
                port,
                path: url.path().trim_end_matches('/').to_owned(),
            }),
            _ => Err(invalid("names no host".into())),
        }
    }

    /// Returns the URL, without the port where it is the usual one.
    pub(super) fn url(&self) -> String {
        let Self {
            scheme,
            host,
            port,
            path,
        } = self;
        match (scheme.as_str(), *port) {
            ("https", 443) | ("http", 80) => format!("{scheme}://{host}{path}"),
            _ => format!("{scheme}://{host}:{port}{path}"),
        }
    }

    /// Returns whether the host is this machine.
    pub(super) fn is_loopback(&self) -> bool {
        match Host::parse(&self.host) {
            Ok(Host::Domain(name)) => name == "localhost",
            Ok(Host::Ipv4(address)) => address.is_loopback(),
            Ok(Host::Ipv6(address)) => address.is_loopback(),
            Err(_) => false,
        }
    }

    /// Returns whether the host is an IP address.
    pub(super) fn is_address(&self) -> bool {
        !matches!(Host::parse(&self.host), Ok(Host::Domain(_)) | Err(_))
    }

    /// Fails where requests would cross a network as plain text and the user has not allowed it.
    ///
    /// # Errors
    /// Names the setting that allows it.
    pub(super) fn check_exposure(&self, is_allowed: bool) -> Result<(), VaultError> {
        if is_allowed || self.scheme == "https" || self.is_loopback() {
            return Ok(());
        }
        Err(VaultError::Config {
            setting: "cloud_endpoint",
            message: "is plain `http` to another machine".into(),
            hint: "use `https://`, or set `allow_insecure_http = true` for a network you trust"
                .into(),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn endpoints_are_http_without_credentials() {
        let parsed = Endpoint::parse("http://127.0.0.1:9000").unwrap();
        assert_eq!((parsed.host.as_str(), parsed.port), ("127.0.0.1", 9000));
        assert_eq!(parsed.url(), "http://127.0.0.1:9000");
        assert_eq!(Endpoint::parse("https://x.org/").unwrap().port, 443);
        for bad in ["", "x.org", "ftp://x.org", "https://key:secret@x.org"] {
            let error = Endpoint::parse(bad).unwrap_err();
            assert!(!error.to_string().contains("secret"), "{error}");
        }
    }

    #[test]
    fn plain_http_stays_on_this_machine() {
        for (url, is_fine) in [
            ("http://127.0.0.1:10000/account", true),
            ("http://[::1]:9000", true),
            ("http://localhost:9000", true),
            ("https://x.org", true),
            ("http://x.org", false),
            ("http://10.0.0.1:9000", false),
        ] {
            let endpoint = Endpoint::parse(url).unwrap();
            assert_eq!(endpoint.check_exposure(false).is_ok(), is_fine, "{url}");
            assert!(endpoint.check_exposure(true).is_ok());
        }
    }
}
