//! Bucket names and URLs.

use std::path::{Path, PathBuf};

use url::Url;

use crate::Invalid;

/// Prefixes that S3 keeps for itself.
const RESERVED_PREFIXES: [&str; 3] = ["xn--", "sthree-", "amzn-s3-demo-"];

/// Suffixes that S3 keeps for itself.
const RESERVED_SUFFIXES: [&str; 5] = ["-s3alias", "--ol-s3", ".mrap", "--x-s3", "--table-s3"];

/// Longest text of which a URL is made to suggest it, in bytes.
const MAX_SUGGESTED: usize = 200;

/// Longest prefix in bytes; a key has at most 1024 in every service.
const MAX_PREFIX: usize = 512;

/// Where a vault lies.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum CloudLocation {
    /// A bucket of S3 or a service that speaks its protocol.
    S3 {
        /// The bucket.
        bucket: String,
        /// The key prefix that the URL names, without slashes at its ends; may be empty.
        prefix: String,
    },
    /// A bucket of Google Cloud Storage.
    Gcs {
        /// The bucket.
        bucket: String,
        /// The key prefix that the URL names, without slashes at its ends; may be empty.
        prefix: String,
    },
    /// A container of Azure Blob Storage.
    Azure {
        /// The container.
        container: String,
        /// The key prefix that the URL names, without slashes at its ends; may be empty.
        prefix: String,
    },
    /// A folder.
    Folder(PathBuf),
}

impl CloudLocation {
    /// Reads a bucket name, `s3://bucket`, `gs://bucket`, `az://container` (each with an optional
    /// `/prefix`) or `file:///absolute/path`; `None` where the text is empty.
    ///
    /// # Errors
    /// Says which rule the name or URL breaks.
    pub fn parse(text: &str) -> Result<Option<Self>, Invalid> {
        if text.is_empty() {
            return Ok(None);
        }
        let Some((scheme, rest)) = text.split_once("://") else {
            check_bucket_name(text)?;
            return Ok(Some(Self::S3 {
                bucket: text.to_owned(),
                prefix: String::new(),
            }));
        };
        let (name, prefix) = rest.split_once('/').unwrap_or((rest, ""));
        let prefix = || check_prefix(prefix).map_err(invalid);
        let name = name.to_owned();
        Ok(Some(match scheme.to_ascii_lowercase().as_str() {
            "s3" => {
                check_bucket_name(&name)?;
                Self::S3 {
                    bucket: name,
                    prefix: prefix()?,
                }
            }
            "gs" => {
                check_gcs_name(&name)?;
                Self::Gcs {
                    bucket: name,
                    prefix: prefix()?,
                }
            }
            "az" => {
                check_azure_name(&name)?;
                Self::Azure {
                    container: name,
                    prefix: prefix()?,
                }
            }
            "file" => Self::Folder(folder(text)?),
            "http" | "https" => {
                return Err(invalid(
                    "must name a bucket; the address of a service belongs into `cloud_endpoint`",
                ));
            }
            _ => {
                return Err(invalid(
                    "must be a bucket name or a URL that starts with `s3://`, `gs://`, `az://` or \
                     `file:///`",
                ));
            }
        }))
    }
}

/// Returns how a path or a bucket with a prefix is written, where one was given without its
/// scheme.
pub(super) fn meant(text: &str) -> Option<String> {
    if text.len() > MAX_SUGGESTED || text.chars().any(char::is_control) {
        return None;
    }
    let path = text.strip_prefix("file://").unwrap_or(text);
    if ["~/", "./", "../"]
        .iter()
        .any(|start| path.starts_with(start))
    {
        return Some(
            "a folder is written as a URL with its whole path, such as `file:///srv/vault`".into(),
        );
    }
    let url = if path.len() < text.len() {
        Url::from_file_path(format!("/{path}")).ok()?.into()
    } else if text.contains("://") {
        return None;
    } else {
        Url::from_file_path(path).map_or_else(|()| format!("s3://{path}"), String::from)
    };
    match CloudLocation::parse(&url) {
        Ok(Some(CloudLocation::Folder(_))) => {
            Some(format!("a folder is written as a URL: `{url}`"))
        }
        Ok(Some(_)) => Some(format!("a prefix needs a URL: `{url}`")),
        _ => None,
    }
}

fn invalid(reason: impl Into<String>) -> Invalid {
    Invalid::new("cloud_bucket", reason)
}

/// Checks a bucket name against the rules of S3.
///
/// # Errors
/// Says which rule it breaks.
pub fn check_bucket_name(name: &str) -> Result<(), Invalid> {
    if !(3..=63).contains(&name.len()) {
        return Err(invalid("must be a bucket name of 3 to 63 characters"));
    }
    if !only(name, b"-.") {
        return Err(invalid(
            "must be a bucket name of lower-case letters, digits, dots and hyphens",
        ));
    }
    if !ends_alphanumeric(name) {
        return Err(invalid(
            "must be a bucket name that starts and ends with a letter or digit",
        ));
    }
    if name.contains("..") {
        return Err(invalid("must be a bucket name without `..`"));
    }
    let mut parts = name.split('.');
    if parts.clone().count() == 4
        && parts.all(|part| !part.is_empty() && part.bytes().all(|b| b.is_ascii_digit()))
    {
        return Err(invalid("must be a bucket name, not an IP address"));
    }
    if let Some(prefix) = RESERVED_PREFIXES.iter().find(|p| name.starts_with(**p)) {
        return Err(invalid(format!(
            "must not start with `{prefix}`, which S3 keeps for itself"
        )));
    }
    if let Some(suffix) = RESERVED_SUFFIXES.iter().find(|s| name.ends_with(**s)) {
        return Err(invalid(format!(
            "must not end with `{suffix}`, which S3 keeps for itself"
        )));
    }
    Ok(())
}

/// Checks a name against the rules of Google Cloud Storage: names with dots may be longer.
fn check_gcs_name(name: &str) -> Result<(), Invalid> {
    let parts_fit = name.split('.').all(|part| (1..=63).contains(&part.len()));
    if (3..=222).contains(&name.len()) && only(name, b"-_.") && ends_alphanumeric(name) && parts_fit
    {
        Ok(())
    } else {
        Err(invalid(
            "must be a bucket name of 3 to 63 lower-case letters, digits, `-`, `_` and dots that \
             starts and ends with a letter or digit",
        ))
    }
}

/// Checks a name against the rules of Azure containers.
fn check_azure_name(name: &str) -> Result<(), Invalid> {
    let fits = (3..=63).contains(&name.len());
    if fits && only(name, b"-") && ends_alphanumeric(name) && !name.contains("--") {
        Ok(())
    } else {
        Err(invalid(
            "must be a container name of 3 to 63 lower-case letters, digits and single hyphens \
             that starts and ends with a letter or digit",
        ))
    }
}

fn only(name: &str, others: &[u8]) -> bool {
    name.bytes()
        .all(|b| b.is_ascii_lowercase() || b.is_ascii_digit() || others.contains(&b))
}

fn ends_alphanumeric(name: &str) -> bool {
    let ends = [name.bytes().next(), name.bytes().next_back()];
    ends.iter()
        .all(|end| end.is_some_and(|b| b.is_ascii_alphanumeric()))
}

/// Checks a key prefix and returns it without slashes at its ends.
///
/// Only characters that every service and every file system takes in a name are allowed.
///
/// # Errors
/// Says which rule it breaks, as a phrase that starts with `must`.
pub(super) fn check_prefix(prefix: &str) -> Result<String, String> {
    let prefix = prefix.trim_matches('/');
    if prefix.is_empty() {
        return Ok(String::new());
    }
    if prefix.len() > MAX_PREFIX {
        return Err(format!("must have a prefix of at most {MAX_PREFIX} bytes"));
    }
    let named = |b: u8| b.is_ascii_alphanumeric() || matches!(b, b'-' | b'_' | b'.' | b'=');
    if !prefix.bytes().all(|b| named(b) || b == b'/') {
        return Err("must have a prefix of letters, digits, `-`, `_`, `.`, `=` and `/`".to_owned());
    }
    if prefix.contains("..") || prefix.split('/').any(|part| part.ends_with('.')) {
        return Err("must have a prefix without `..` and without a dot before a slash".to_owned());
    }
    if prefix.contains("//") {
        return Err("must have a prefix without `//`".to_owned());
    }
    Ok(prefix.to_owned())
}

/// Reads a `file` URL.
fn folder(text: &str) -> Result<PathBuf, Invalid> {
    let wrong = || {
        invalid("must be `file:///` and the whole path of a folder, such as `file:///srv/vault`")
    };
    // The URL parser would drop these without a word.
    if text.chars().any(char::is_control) || text.trim() != text {
        return Err(invalid(
            "must not hold control characters or white space at its end",
        ));
    }
    if text.contains(['?', '#']) {
        return Err(invalid("must have `?` written as `%3F` and `#` as `%23`"));
    }
    let url = Url::parse(text).map_err(|_| wrong())?;
    let path = url.to_file_path().map_err(|()| wrong())?;
    if !path.is_absolute() {
        return Err(wrong());
    }
    if path.parent() == Some(Path::new("")) || path.parent().is_none() {
        return Err(invalid("must name a folder, not the root of a disk"));
    }
    Ok(path)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn s3(bucket: &str, prefix: &str) -> CloudLocation {
        CloudLocation::S3 {
            bucket: bucket.into(),
            prefix: prefix.into(),
        }
    }

    fn parse(text: &str) -> CloudLocation {
        CloudLocation::parse(text).unwrap().unwrap()
    }

    #[test]
    fn good_bucket_names_are_accepted() {
        for name in [
            "abc",
            "my.bucket",
            "test-bucket",
            "0ab",
            "a.b",
            "1.2.3",
            "1.2.3.4.5",
            "s3alias",
            &"a".repeat(63),
        ] {
            assert_eq!(check_bucket_name(name), Ok(()), "{name}");
            assert_eq!(parse(name), s3(name, ""));
        }
    }

    #[test]
    fn bad_bucket_names_are_refused() {
        for name in [
            "ab",
            &"a".repeat(64),
            "-abc",
            "abc-",
            ".abc",
            "abc.",
            "Abc",
            "a_b",
            "a b",
            "a..b",
            "192.168.1.1",
            "999.999.999.999",
            "xn--abc",
            "sthree-abc",
            "amzn-s3-demo-abc",
            "abc-s3alias",
            "abc--ol-s3",
            "abc.mrap",
            "abc--x-s3",
            "abc--table-s3",
            "abc\n",
            "äbc",
            "abc/def",
            "/abc",
        ] {
            assert!(check_bucket_name(name).is_err(), "{name:?}");
            assert!(CloudLocation::parse(name).is_err(), "{name:?}");
            assert!(CloudLocation::parse(&format!("s3://{name}")).is_err() || name == "abc/def");
        }
    }

    #[test]
    fn urls_name_their_service_and_prefix() {
        assert_eq!(CloudLocation::parse(""), Ok(None));
        assert_eq!(parse("s3://abc"), s3("abc", ""));
        assert_eq!(parse("S3://abc/"), s3("abc", ""));
        assert_eq!(parse("s3://abc/team/a=1/"), s3("abc", "team/a=1"));
        assert_eq!(
            parse("gs://my_bucket/x"),
            CloudLocation::Gcs {
                bucket: "my_bucket".into(),
                prefix: "x".into()
            }
        );
        assert_eq!(
            parse("az://vault"),
            CloudLocation::Azure {
                container: "vault".into(),
                prefix: String::new()
            }
        );
    }

    #[cfg(unix)]
    #[test]
    fn file_urls_are_absolute_paths() {
        for (url, path) in [
            ("file:///srv/vault", "/srv/vault"),
            ("file:///srv/my%20vault/", "/srv/my vault/"),
            ("file://localhost/srv/vault", "/srv/vault"),
            ("FILE:///home/me@work", "/home/me@work"),
        ] {
            assert_eq!(parse(url), CloudLocation::Folder(path.into()), "{url}");
        }
    }

    #[cfg(windows)]
    #[test]
    fn file_urls_are_absolute_paths() {
        assert_eq!(
            parse("file:///C:/vault"),
            CloudLocation::Folder(r"C:\vault".into())
        );
    }

    #[cfg(unix)]
    #[test]
    fn a_folder_or_prefix_without_its_scheme_is_understood() {
        for (text, hint) in [
            ("/mnt/share", Some("`file:///mnt/share`")),
            ("/mnt/my share", Some("`file:///mnt/my%20share`")),
            ("file://mnt/share", Some("`file:///mnt/share`")),
            ("~/vault", Some("whole path")),
            ("./vault", Some("whole path")),
            ("../vault", Some("whole path")),
            ("file://~/vault", Some("whole path")),
            ("my-bucket/team", Some("`s3://my-bucket/team`")),
            ("/", None),
            ("/mnt/a\nb", None),
            ("Abc", None),
            ("ftp://abc", None),
            ("", None),
        ] {
            let meant = meant(text);
            let is_right = match (&meant, hint) {
                (Some(meant), Some(hint)) => meant.contains(hint),
                (None, None) => true,
                _ => false,
            };
            assert!(is_right, "{text}: {meant:?}");
        }
        assert_eq!(meant(&format!("/{}", "a".repeat(300))), None);
    }

    #[test]
    fn bad_urls_are_refused() {
        for url in [
            "s3://",
            "s3://ab",
            "s3:///abc",
            "s3://abc/../x",
            "s3://abc/a//b",
            "s3://abc/a b",
            "s3://abc/a?b",
            "s3://abc/a./b",
            "s3://key:secret@abc",
            "s3://abc:9000",
            "gs://ab",
            "gs://-abc",
            "az://a_b",
            "az://a--b",
            "ftp://abc",
            "https://abc.s3.amazonaws.com",
            "://abc",
            "file://",
            "file:///",
            "file://~/vault",
            "file://srv/vault",
            "file:///srv/vault?x",
            "file:///srv/va\nult",
            "file:///srv/vault ",
            "file://./vault",
        ] {
            let error = CloudLocation::parse(url).unwrap_err();
            assert_eq!(error.field, "cloud_bucket", "{url:?}");
            assert!(error.reason.starts_with("must "), "{url:?}: {error}");
        }
        let deep = format!("s3://abc/{}", "a/".repeat(300));
        assert!(CloudLocation::parse(&deep).is_err());
    }
}
