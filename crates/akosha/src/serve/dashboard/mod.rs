//! `/`: one page that shows the server to a person, in the browser.
//!
//! The page holds no data: it asks the REST API, with a token where one is needed. What it shows
//! was written by others, so it may run nothing but its own script: style and script are part of
//! the page and named in its policy by their hashes, which also makes it one request.

use std::sync::LazyLock;

use axum::http::{HeaderName, HeaderValue, header};
use axum::response::{IntoResponse, Response};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use sha2::{Digest, Sha256};

const PAGE: &str = include_str!("index.html");
const STYLE: &str = include_str!("style.css");
const SCRIPT: &str = include_str!("app.js");

static HTML: LazyLock<String> = LazyLock::new(|| {
    PAGE.replacen("{{style}}", STYLE, 1)
        .replacen("{{script}}", SCRIPT, 1)
});

static POLICY: LazyLock<String> = LazyLock::new(|| {
    format!(
        "default-src 'none'; script-src '{}'; style-src '{}'; connect-src 'self'; \
         img-src data:; base-uri 'none'; form-action 'none'; frame-ancestors 'none'",
        hash(SCRIPT),
        hash(STYLE)
    )
});

/// Answers the page.
pub(super) async fn answer() -> Response {
    let value = |text: &str| HeaderValue::from_str(text).ok();
    let headers = [
        (header::CONTENT_TYPE, value("text/html; charset=utf-8")),
        (header::CONTENT_SECURITY_POLICY, value(&POLICY)),
        (header::CACHE_CONTROL, value("no-cache")),
        (header::X_CONTENT_TYPE_OPTIONS, value("nosniff")),
        (header::X_FRAME_OPTIONS, value("DENY")),
        (header::REFERRER_POLICY, value("no-referrer")),
        (
            HeaderName::from_static("cross-origin-opener-policy"),
            value("same-origin"),
        ),
    ];
    let mut response = HTML.as_str().into_response();
    for (name, value) in headers {
        if let Some(value) = value {
            response.headers_mut().insert(name, value);
        }
    }
    response
}

/// Returns the source that a policy names inline content by.
fn hash(content: &str) -> String {
    format!("sha256-{}", STANDARD.encode(Sha256::digest(content)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_page_is_small_and_whole() {
        assert!(HTML.len() < 80_000, "{}", HTML.len());
        assert!(!HTML.contains("{{"), "a placeholder is left");
        assert_eq!(HTML.matches("<script>").count(), 1);
        assert_eq!(HTML.matches("</script>").count(), 1);
        assert!(HTML.contains(SCRIPT) && HTML.contains(STYLE));
    }

    #[test]
    fn it_asks_nobody_else_and_makes_no_markup_of_text() {
        for other in ["http:", "https:", "//cdn", "import(", "@import", "url("] {
            let own = HTML.replace("http://www.w3.org/2000/svg", "");
            assert!(!own.contains(other), "{other}");
        }
        for sink in [
            ".innerHTML =",
            "outerHTML",
            "insertAdjacentHTML",
            "document.write",
            "eval(",
            "localStorage",
        ] {
            assert!(!SCRIPT.contains(sink), "{sink}");
        }
        assert!(POLICY.starts_with("default-src 'none'; script-src 'sha256-"));
        assert!(!POLICY.contains("unsafe"));
    }

    #[test]
    fn every_element_that_the_script_names_is_there() {
        let ids = SCRIPT.split("$(\"").skip(1);
        let ids: Vec<&str> = ids.filter_map(|rest| rest.split('"').next()).collect();
        assert!(ids.len() > 30, "{}", ids.len());
        for id in ids {
            assert!(PAGE.contains(&format!("id=\"{id}\"")), "{id}");
        }
    }
}
