//! Rules of settings that are text. Each returns the text as it is kept, or what is wrong as a
//! phrase that continues a sentence starting with the setting.

use std::net::IpAddr;
use std::path::Path;

use croner::parser::{CronParser, Seconds, Year};
use url::{Host, Url};

use super::{CloudLocation, bucket};
use crate::error::quote;

/// Longest text of a setting in bytes.
const MAX_TEXT: usize = 4096;

type Checked = Result<String, String>;

/// Checks a bucket name or URL; empty is allowed.
pub(super) fn location(text: &str) -> Checked {
    match CloudLocation::parse(text) {
        Ok(_) => Ok(text.to_owned()),
        Err(error) => Err(error.reason),
    }
}

/// Checks a key prefix and drops the slashes at its ends.
pub(super) fn prefix(text: &str) -> Checked {
    bucket::check_prefix(text)
}

/// Checks the name of a region.
pub(super) fn region(text: &str) -> Checked {
    let fits = (1..=64).contains(&text.len())
        && text
            .bytes()
            .all(|b| b.is_ascii_alphanumeric() || b == b'-' || b == b'_');
    if fits {
        Ok(text.to_owned())
    } else {
        Err("must be `auto` or the name of a region, such as `eu-central-1`".into())
    }
}

/// Checks the address of a service; empty is allowed. A slash at its end is dropped.
pub(super) fn endpoint(text: &str) -> Checked {
    if text.is_empty() {
        return Ok(String::new());
    }
    http_url(text)?;
    Ok(text.trim_end_matches('/').to_owned())
}

/// Checks the address of another Akosha, which is never empty.
pub(super) fn node(text: &str) -> Checked {
    http_url(text)?;
    Ok(text.to_owned())
}

/// Checks the address of a database that PostgreSQL clients understand; empty is allowed.
pub(super) fn postgres(text: &str) -> Checked {
    if text.is_empty() {
        return Ok(String::new());
    }
    let url = parse(text)?;
    if !matches!(url.scheme(), "postgres" | "postgresql") {
        return Err("must be a URL that starts with `postgres://`".into());
    }
    Ok(text.to_owned())
}

/// Checks the address of a Milvus server, with or without `user:password@`; empty is allowed.
pub(super) fn milvus(text: &str) -> Checked {
    if text.is_empty() {
        return Ok(String::new());
    }
    is_http(&parse(text)?)?;
    Ok(text.to_owned())
}

/// Checks a schedule of five cron fields or a nickname such as `@daily`; empty is allowed.
pub(super) fn schedule(text: &str) -> Checked {
    if text.is_empty() {
        return Ok(String::new());
    }
    let wrong = "must be five cron fields (minute, hour, day, month, weekday), such as `0 2 * * *`";
    // The parser repeats what it was given in places: a short text keeps that harmless.
    if text.len() > 128 || text.chars().any(|c| !c.is_ascii() || c.is_ascii_control()) {
        return Err(wrong.into());
    }
    let parser = CronParser::builder()
        .seconds(Seconds::Disallowed)
        .year(Year::Disallowed)
        .build();
    match parser.parse(text) {
        Ok(_) => Ok(text.trim().to_owned()),
        Err(_) => Err(wrong.into()),
    }
}

/// Checks the whole path of a file; empty is allowed.
pub(super) fn file_path(text: &str) -> Checked {
    let path = Path::new(text);
    let is_whole = path.is_absolute() && path.file_name().is_some();
    if !text.is_empty() && !is_whole || text.chars().any(char::is_control) {
        return Err("must be the whole path of a file".into());
    }
    Ok(text.to_owned())
}

/// Checks the name of a host, with or without a port, as a `Host` header has it.
pub(super) fn host(text: &str) -> Checked {
    let wrong = || {
        format!(
            "must hold names of hosts alone, such as `akosha.example.com` or \
             `akosha.example.com:8682`, {} is none",
            quote(text)
        )
    };
    let lower = text.to_ascii_lowercase();
    let url = Url::parse(&format!("http://{lower}/")).map_err(|_| wrong())?;
    let host = url.host_str().ok_or_else(wrong)?;
    // What the parser takes for anything but host and port, or writes in another way, is a mistake.
    let port = lower.strip_prefix(host).ok_or_else(wrong)?;
    let is_port = |port: &str| port.parse::<u16>().is_ok_and(|port| port > 0);
    if port.is_empty() || port.strip_prefix(':').is_some_and(is_port) {
        Ok(lower)
    } else {
        Err(wrong())
    }
}

/// Checks a secret: what can go into an HTTP header; empty is allowed.
pub(super) fn secret(text: &str) -> Checked {
    if text.len() > MAX_TEXT {
        return Err(format!("must be at most {MAX_TEXT} bytes"));
    }
    if text.trim() != text {
        return Err("must have no white space or line break at its ends".into());
    }
    if !text.bytes().all(|b| (b' '..=b'~').contains(&b)) {
        return Err("must be printable ASCII".into());
    }
    Ok(text.to_owned())
}

/// Returns whether a checked URL would carry what it is sent unprotected to another machine:
/// plain `http` to a host that is not this one.
pub(super) fn is_exposed(url: &str) -> bool {
    Url::parse(url).is_ok_and(|url| url.scheme() == "http" && !is_loopback(&url))
}

fn is_loopback(url: &Url) -> bool {
    match url.host() {
        Some(Host::Domain(name)) => name == "localhost" || name.ends_with(".localhost"),
        Some(Host::Ipv4(address)) => address.is_loopback(),
        Some(Host::Ipv6(address)) => IpAddr::V6(address).to_canonical().is_loopback(),
        None => false,
    }
}

fn parse(text: &str) -> Result<Url, String> {
    if text.len() > MAX_TEXT {
        return Err(format!("must be at most {MAX_TEXT} bytes"));
    }
    // The URL parser would drop these without a word.
    if text.chars().any(|c| c.is_control() || c.is_whitespace()) {
        return Err("must be a URL without white space".into());
    }
    Url::parse(text).map_err(|error| format!("must be a URL ({error})"))
}

fn is_http(url: &Url) -> Result<(), String> {
    if !matches!(url.scheme(), "http" | "https") || url.host().is_none() {
        return Err("must be a URL that starts with `https://` or `http://`".into());
    }
    Ok(())
}

fn http_url(text: &str) -> Result<(), String> {
    let url = parse(text)?;
    is_http(&url)?;
    if !url.username().is_empty() || url.password().is_some() {
        return Err("must not hold a user or password".into());
    }
    if url.query().is_some() || url.fragment().is_some() {
        return Err("must not hold `?` or `#`".into());
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn all(check: fn(&str) -> Checked, good: &[&str], bad: &[&str]) {
        for text in good {
            assert!(check(text).is_ok(), "{text:?}: {:?}", check(text));
        }
        for text in bad {
            assert!(check(text).is_err(), "{text:?}");
        }
    }

    #[test]
    fn regions() {
        all(
            region,
            &["auto", "eu-central-1", "us_east", &"a".repeat(64)],
            &["", "a b", "eu/1", "é", "a\n", &"a".repeat(65)],
        );
    }

    #[test]
    fn endpoints() {
        all(
            endpoint,
            &[
                "",
                "https://x.example",
                "http://127.0.0.1:9000",
                "https://h/path",
            ],
            &[
                "x.example",
                "ftp://x.example",
                "https://",
                "https://me:pw@x.example",
                "https://token@x.example",
                "https://x.example?a",
                "https://x.example#a",
                " https://x.example",
                "https://x.exa\nmple",
                "file:///x",
            ],
        );
        assert_eq!(
            endpoint("https://x.example//"),
            Ok("https://x.example".into())
        );
        all(
            node,
            &["http://localhost:8682/mcp"],
            &["", "localhost:8682"],
        );
    }

    #[test]
    fn only_plain_http_to_others_is_exposed() {
        for (url, exposed) in [
            ("http://localhost:1/mcp", false),
            ("http://LOCALHOST", false),
            ("http://minio.localhost", false),
            ("http://127.3.2.1", false),
            ("http://[::1]:9000", false),
            ("http://[::ffff:127.0.0.1]", false),
            ("https://x.example", false),
            ("http://x.example", true),
            ("http://localhost.example", true),
            ("http://10.0.0.1", true),
            ("http://0.0.0.0", true),
            ("http://[fe80::1]", true),
        ] {
            assert_eq!(is_exposed(url), exposed, "{url}");
        }
    }

    #[test]
    fn schedules() {
        all(
            schedule,
            &[
                "",
                "0 2 * * *",
                "*/15 9-17 * * MON-FRI",
                "@daily",
                "30 4 1,15 * *",
            ],
            &[
                "soon",
                "0 2 * *",
                "0 0 2 * * *",
                "60 2 * * *",
                "0 24 * * *",
                "0 2 * * * 2030",
                "0 2 32 * *",
                "é",
                &"0 ".repeat(500),
            ],
        );
    }

    #[test]
    fn databases() {
        all(
            postgres,
            &["", "postgres://u:p@h/db", "postgresql:///db?host=/run"],
            &["mysql://h/db", "h", "postgres"],
        );
        all(
            milvus,
            &["", "http://localhost:19530", "https://u:p@h"],
            &["h:19530", "grpc://h"],
        );
    }

    #[test]
    fn secrets() {
        all(
            secret,
            &["", "a b~!", &"x".repeat(4096)],
            &["a\n", " a", "a\tb", "é", &"x".repeat(4097)],
        );
    }

    #[test]
    fn prefixes() {
        assert_eq!(prefix("/team/a-1/"), Ok("team/a-1".into()));
        assert_eq!(prefix("//"), Ok(String::new()));
        all(
            prefix,
            &["a=b/c_d.e"],
            &["a/../b", "a//b", "a b", "a\\b", "é", "a./b", ".."],
        );
    }
}
