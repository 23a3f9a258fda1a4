//! The orchestrator over plain HTTP: one `POST` of JSON below its address.

use reqwest::header::CONTENT_TYPE;
use serde_json::Value;
use url::Url;

use super::{CALL, Call, Unanswered, client, innermost, judge};

/// Largest answer in bytes that is looked into.
const MOST_BYTES: usize = 64 << 10;

/// Tells it, and reads whether it took the call.
pub(super) async fn call(url: &Url, call: &Call<'_>) -> Result<(), Unanswered> {
    let away = |error: reqwest::Error| {
        Unanswered(format!(
            "it does not answer: {}",
            innermost(&error.without_url())
        ))
    };
    let told = serde_json::to_vec(call)
        .map_err(|error| Unanswered(format!("the call cannot be written: {error}")))?;
    let request = client()?
        .post(below(url))
        .header(CONTENT_TYPE, "application/json")
        .body(told);
    let mut response = request.send().await.map_err(away)?;
    let status = response.status();
    let mut body = Vec::new();
    while body.len() < MOST_BYTES
        && let Some(chunk) = response.chunk().await.map_err(away)?
    {
        body.extend_from_slice(&chunk);
    }
    let answer: Value = serde_json::from_slice(&body).unwrap_or_default();
    if !status.is_success() {
        let told = judge(&answer).err().map(|error| format!(", {error}"));
        let told = told.unwrap_or_default();
        return Err(Unanswered(format!("it answered {}{told}", status.as_u16())));
    }
    judge(&answer)
}

/// Returns the address of the call.
fn below(url: &Url) -> Url {
    let mut url = url.clone();
    let path = format!("{}/{CALL}", url.path().trim_end_matches('/'));
    url.set_path(&path);
    url
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_call_lies_below_the_address() {
        for (address, expected) in [
            ("http://h:1", "http://h:1/trigger_workflow"),
            ("http://h:1/", "http://h:1/trigger_workflow"),
            ("http://h:1/api/", "http://h:1/api/trigger_workflow"),
        ] {
            let url = Url::parse(address).unwrap();
            assert_eq!(below(&url).as_str(), expected);
        }
    }
}
