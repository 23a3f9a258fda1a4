//! Turns what `object_store` reports into what the caller has to do.
//!
//! The status of a failed request is not reachable by type, only in the text of the error chain,
//! and that text also holds the body of the answer, in which some services repeat the access key.
//! So the status and the error code are taken out of it here and the rest is dropped.

use std::error::Error;
use std::io;
use std::path::PathBuf;

use object_store::client::{HttpError, HttpErrorKind};

use super::VaultError;

/// What was tried, on what.
#[derive(Debug, Clone, Copy)]
pub(super) struct Attempt<'a> {
    /// Continues "could not …".
    pub(super) operation: &'static str,
    /// The object, or the prefix that was listed.
    pub(super) key: &'a str,
    /// The bucket, or `None` in a folder.
    pub(super) bucket: Option<&'a str>,
}

/// Where a machine in a provider's cloud asks for its credentials: Amazon and Azure, Amazon's
/// containers by task and by pod, Google.
pub(super) const METADATA_HOSTS: [&str; 4] = [
    "169.254.169.254",
    "169.254.170.2",
    "169.254.170.23",
    "metadata.google.internal",
];

/// What an error chain says.
#[derive(Debug, Default, PartialEq, Eq)]
struct Facts {
    status: Option<u16>,
    code: Option<String>,
    transport: Option<HttpErrorKind>,
    io: Option<io::ErrorKind>,
    is_redirect: bool,
    /// The service that gives a machine its credentials failed.
    is_of_machine: bool,
    /// The service that gives tokens for the account's credentials failed.
    is_of_token: bool,
    innermost: String,
}

impl Facts {
    fn of(error: &(dyn Error + 'static)) -> Self {
        let mut facts = Self::default();
        let mut next = Some(error);
        while let Some(error) = next {
            if let Some(http) = error.downcast_ref::<HttpError>() {
                facts.transport = Some(http.kind());
            }
            if let Some(io) = error.downcast_ref::<io::Error>() {
                facts.io = Some(io.kind());
            }
            let text = error.to_string();
            facts.is_of_machine |= METADATA_HOSTS.iter().any(|host| text.contains(host));
            facts.is_of_token |= text.starts_with("Error performing token request");
            facts.is_redirect |= text.starts_with("Received redirect without LOCATION");
            if let Some(answer) = text.strip_prefix("Server returned non-2xx status code: ") {
                facts.status = answer.get(..3).and_then(|digits| digits.parse().ok());
                facts.code = error_code(answer);
            } else if let Some(body) = text.strip_prefix("Server returned error response: ") {
                facts.status = Some(500);
                facts.code = error_code(body);
            } else {
                facts.innermost = text;
            }
            next = error.source();
        }
        facts
    }

    /// Returns whether nobody gives this machine credentials: the service that would is not there,
    /// or has none. One that is slow or busy may have some later.
    fn lacks_credentials(&self) -> bool {
        let is_missing = match self.status {
            Some(status) => status == 404,
            None => matches!(self.transport, None | Some(HttpErrorKind::Connect)),
        };
        self.is_of_machine && is_missing
    }

    fn answer(&self) -> String {
        let status = self
            .status
            .map_or_else(String::new, |status| status.to_string());
        match &self.code {
            Some(code) => format!("the service answered {status} ({code})"),
            None => format!("the service answered {status}"),
        }
    }
}

/// Returns what stands in `<Code>` of an answer in XML, where it looks like a code.
fn error_code(body: &str) -> Option<String> {
    let (code, _) = body.split_once("<Code>")?.1.split_once("</Code>")?;
    let is_code = (1..=64).contains(&code.len()) && code.bytes().all(|b| b.is_ascii_alphanumeric());
    is_code.then(|| code.to_owned())
}

/// Returns whether the store said that it cannot do a conditional write.
pub(super) fn is_unsupported(error: &object_store::Error) -> bool {
    matches!(
        error,
        object_store::Error::NotImplemented { .. } | object_store::Error::NotSupported { .. }
    ) || {
        let facts = Facts::of(error);
        facts.status == Some(501)
            || facts.code.as_deref() == Some("NotImplemented")
            || facts.io == Some(io::ErrorKind::Unsupported)
    }
}

/// Returns what the error means for the caller.
pub(super) fn classify(error: &object_store::Error, attempt: Attempt<'_>) -> VaultError {
    let facts = Facts::of(error);
    let is_not_found = matches!(error, object_store::Error::NotFound { .. });
    match attempt.bucket {
        Some(bucket) => of_service(&facts, is_not_found, attempt, bucket),
        None => of_folder(&facts, is_not_found, attempt),
    }
}

fn of_service(facts: &Facts, is_not_found: bool, attempt: Attempt<'_>, bucket: &str) -> VaultError {
    let (operation, key) = (attempt.operation, attempt.key.to_owned());
    let unavailable = |reason| VaultError::Unavailable {
        operation,
        key: attempt.key.to_owned(),
        reason,
    };
    if facts.lacks_credentials() {
        return VaultError::Auth {
            operation,
            key,
            reason: "no credentials were given".into(),
        };
    }
    if facts.is_redirect || matches!(facts.status, Some(301 | 302 | 307 | 308)) {
        return VaultError::Config {
            setting: "cloud_region",
            message: format!("is not the region of the bucket `{bucket}`"),
            hint: "set `cloud_region` to the bucket's region, and `cloud_endpoint`, where it is \
                   set, to that region's address"
                .into(),
        };
    }
    if (facts.is_of_token || facts.is_of_machine) && matches!(facts.status, Some(400..=403)) {
        return VaultError::Auth {
            operation,
            key,
            reason: "the credentials were refused where they are exchanged for a token".into(),
        };
    }
    match (facts.code.as_deref(), facts.status) {
        (Some("NoSuchBucket" | "ContainerNotFound" | "ContainerBeingDeleted"), _) => {
            VaultError::NoBucket {
                bucket: bucket.to_owned(),
            }
        }
        (
            Some(
                "RequestTimeout"
                | "SlowDown"
                | "InternalError"
                | "ServiceUnavailable"
                | "OperationAborted"
                | "ConditionalRequestConflict"
                | "ServerBusy"
                | "OperationTimedOut",
            ),
            _,
        ) => unavailable(facts.answer()),
        (
            Some(
                "AccessDenied"
                | "ExpiredToken"
                | "InvalidAccessKeyId"
                | "InvalidToken"
                | "RequestTimeTooSkewed"
                | "SignatureDoesNotMatch"
                | "Unauthorized"
                | "AuthenticationFailed"
                | "AuthorizationFailure"
                | "InvalidAuthenticationInfo",
            ),
            _,
        )
        | (_, Some(401 | 403)) => VaultError::Auth {
            operation,
            key,
            reason: facts.answer(),
        },
        (_, Some(404)) => VaultError::NotFound { key },
        (_, Some(501)) => VaultError::Refused {
            operation,
            key,
            reason: facts.answer(),
        },
        (_, Some(408 | 409 | 412 | 429 | 500..=599)) => unavailable(facts.answer()),
        (_, Some(_)) => VaultError::Refused {
            operation,
            key,
            reason: facts.answer(),
        },
        (_, None) if is_not_found => VaultError::NotFound { key },
        (_, None) => of_transport(facts, unavailable),
    }
}

fn of_transport(facts: &Facts, unavailable: impl Fn(String) -> VaultError) -> VaultError {
    let detail = &facts.innermost;
    if detail.contains("certificate") {
        return VaultError::Config {
            setting: "cloud_endpoint",
            message: format!("is not trusted: {detail}"),
            hint: "use an address whose TLS certificate this machine trusts".into(),
        };
    }
    unavailable(match facts.transport {
        Some(HttpErrorKind::Connect) => format!("cannot connect: {detail}"),
        Some(HttpErrorKind::Timeout) => "no answer in time".into(),
        Some(_) => format!("the connection broke: {detail}"),
        None => detail.clone(),
    })
}

fn of_folder(facts: &Facts, is_not_found: bool, attempt: Attempt<'_>) -> VaultError {
    if is_not_found {
        return VaultError::NotFound {
            key: attempt.key.to_owned(),
        };
    }
    match facts.io {
        Some(
            io::ErrorKind::TimedOut
            | io::ErrorKind::HostUnreachable
            | io::ErrorKind::NetworkUnreachable
            | io::ErrorKind::NetworkDown
            | io::ErrorKind::StaleNetworkFileHandle
            | io::ErrorKind::ResourceBusy,
        ) => VaultError::Unavailable {
            operation: attempt.operation,
            key: attempt.key.to_owned(),
            reason: facts.innermost.clone(),
        },
        _ => VaultError::Storage {
            operation: attempt.operation,
            path: PathBuf::from(attempt.key),
            reason: facts.innermost.clone(),
        },
    }
}

#[cfg(test)]
mod tests {
    use akosha_core::ErrorKind;

    use super::*;

    #[derive(Debug, thiserror::Error)]
    #[error("{0}")]
    struct Text(String);

    fn answered(text: &str) -> VaultError {
        let error = object_store::Error::Generic {
            store: "S3",
            source: Box::new(Text(text.to_owned())),
        };
        let attempt = Attempt {
            operation: "write",
            key: "inbox/x",
            bucket: Some("memories"),
        };
        classify(&error, attempt)
    }

    #[test]
    fn answers_are_classed_by_what_to_do() {
        let status = |status: &str, code: &str| {
            answered(&format!(
                "Server returned non-2xx status code: {status}: <Error><Code>{code}</Code>\
                 <AWSAccessKeyId>AKIDSECRET</AWSAccessKeyId></Error>"
            ))
        };
        for (status, code, kind) in [
            ("403 Forbidden", "SignatureDoesNotMatch", ErrorKind::Auth),
            ("400 Bad Request", "ExpiredToken", ErrorKind::Auth),
            ("401 Unauthorized", "X", ErrorKind::Auth),
            ("404 Not Found", "NoSuchBucket", ErrorKind::NotFound),
            ("404 Not Found", "NoSuchKey", ErrorKind::NotFound),
            ("429 Too Many Requests", "SlowDown", ErrorKind::Unavailable),
            ("503 Service Unavailable", "", ErrorKind::Unavailable),
            ("409 Conflict", "OperationAborted", ErrorKind::Unavailable),
            ("404 Not Found", "ContainerNotFound", ErrorKind::NotFound),
            ("404 Not Found", "BlobNotFound", ErrorKind::NotFound),
            ("403 Forbidden", "AuthenticationFailed", ErrorKind::Auth),
            (
                "400 Bad Request",
                "InvalidAuthenticationInfo",
                ErrorKind::Auth,
            ),
            ("503 Server Busy", "ServerBusy", ErrorKind::Unavailable),
            (
                "500 Internal Server Error",
                "OperationTimedOut",
                ErrorKind::Unavailable,
            ),
            ("501 Not Implemented", "NotImplemented", ErrorKind::Config),
            (
                "400 Bad Request",
                "AuthorizationHeaderMalformed",
                ErrorKind::Config,
            ),
        ]
        .map(|(status_line, code, kind)| (status(status_line, code), code, kind))
        {
            assert_eq!(status.kind(), kind, "{code}");
            assert!(!status.to_string().contains("AKID"), "{status}");
        }
        assert!(matches!(
            status("404 Not Found", "NoSuchBucket"),
            VaultError::NoBucket { bucket } if bucket == "memories"
        ));
        assert!(status("404 Not Found", "NoSuchKey").is_not_found());
        for redirect in [
            "Received redirect without LOCATION, this normally …",
            "Server returned non-2xx status code: 301 Moved Permanently: ",
            "Server returned non-2xx status code: 302 Found: ",
            "Server returned non-2xx status code: 307 Temporary Redirect: ",
            "Server returned non-2xx status code: 308 Permanent Redirect: ",
        ] {
            assert!(matches!(
                answered(redirect),
                VaultError::Config {
                    setting: "cloud_region",
                    ..
                }
            ));
        }
    }

    /// An error whose cause is another one.
    #[derive(Debug, thiserror::Error)]
    #[error("{text}")]
    struct Caused<E: Error + 'static> {
        text: String,
        source: E,
    }

    fn caused(text: &str, answer: &str) -> VaultError {
        caused_by(text, Text(answer.to_owned()))
    }

    fn of_transport_kind(text: &str, kind: HttpErrorKind) -> VaultError {
        caused_by(text, HttpError::new(kind, Text("x".to_owned())))
    }

    fn caused_by(text: &str, source: impl Error + Send + Sync + 'static) -> VaultError {
        let error = object_store::Error::Generic {
            store: "GCS",
            source: Box::new(Caused {
                text: text.to_owned(),
                source,
            }),
        };
        let attempt = Attempt {
            operation: "read",
            key: "head.json",
            bucket: Some("memories"),
        };
        classify(&error, attempt)
    }

    #[test]
    fn credentials_are_told_from_the_service() {
        let token = "Error performing token request: Error performing POST";
        let refused = "Server returned non-2xx status code: 400 Bad Request: invalid_grant S3CRET";
        let error = caused(token, refused);
        assert_eq!(error.kind(), ErrorKind::Auth);
        assert!(!error.to_string().contains("S3CRET"), "{error}");
        let busy = "Server returned non-2xx status code: 503 Service Unavailable: ";
        assert_eq!(caused(token, busy).kind(), ErrorKind::Unavailable);

        for host in METADATA_HOSTS {
            let asked = format!("Error performing GET http://{host}/token");
            let missing = "Server returned non-2xx status code: 404 Not Found: ";
            for answer in ["no route", missing] {
                let error = caused(&asked, answer);
                assert!(error.to_string().contains("no credentials"), "{error}");
            }
            let many = "Server returned non-2xx status code: 429 Too Many Requests: ";
            for answer in [busy, many] {
                assert_eq!(caused(&asked, answer).kind(), ErrorKind::Unavailable);
            }
            let error = of_transport_kind(&asked, HttpErrorKind::Timeout);
            assert_eq!(error.kind(), ErrorKind::Unavailable, "{error}");
            let error = of_transport_kind(&asked, HttpErrorKind::Connect);
            assert!(error.to_string().contains("no credentials"), "{error}");
        }
    }
}
