//! Arguments as a client sends them, turned into a tool's own.

use akosha_core::ErrorKind;
use rmcp::model::JsonObject;
use serde::Deserialize;
use serde::de::DeserializeOwned;
use serde_json::Value;

use crate::Failure;

/// Reads a tool's arguments.
///
/// # Errors
/// Names the argument that is unknown, missing or of the wrong type.
pub(crate) fn parse<T: DeserializeOwned>(arguments: JsonObject) -> Result<T, Failure> {
    read(Value::Object(arguments))
}

/// Reads any value, naming the place of what does not fit.
///
/// # Errors
/// As [`parse`].
pub(crate) fn read<T: DeserializeOwned>(value: Value) -> Result<T, Failure> {
    // Keeping track of the place costs as much again: done only where something does not fit.
    if let Ok(read) = T::deserialize(&value) {
        return Ok(read);
    }
    serde_path_to_error::deserialize(value).map_err(|error| {
        let path = error.path().to_string();
        let reason = error.into_inner().to_string();
        Failure::new(ErrorKind::Invalid, describe(&path, &reason))
            .with_hint("correct the argument and call again; the tool's schema lists them")
    })
}

/// Says what is wrong in words of arguments: serde speaks of fields.
fn describe(path: &str, reason: &str) -> String {
    let reason = reason
        .replace("unknown field", "unknown argument")
        .replace("missing field", "missing argument");
    // serde counts the unknown name as part of the path.
    let place = if reason.starts_with("unknown argument") {
        path.rsplit_once('.').map_or("", |(above, _)| above)
    } else {
        path
    };
    match place {
        "." | "?" | "" => reason,
        place => format!("`{place}`: {reason}"),
    }
}

/// Serde for an argument with a default that a client may also send as null.
pub(crate) fn or_default<'de, D, T>(input: D) -> Result<T, D::Error>
where
    D: serde::Deserializer<'de>,
    T: Deserialize<'de> + Default,
{
    Ok(Option::<T>::deserialize(input)?.unwrap_or_default())
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[derive(Debug, Deserialize)]
    #[serde(deny_unknown_fields)]
    #[expect(dead_code, reason = "only the errors matter")]
    struct Outer {
        name: String,
        #[serde(default)]
        mode: Option<Mode>,
        #[serde(default)]
        inner: Option<Inner>,
    }

    #[derive(Debug, Deserialize)]
    #[serde(rename_all = "snake_case")]
    enum Mode {
        One,
    }

    #[derive(Debug, Deserialize)]
    #[serde(deny_unknown_fields)]
    #[expect(dead_code, reason = "only the errors matter")]
    struct Inner {
        count: u32,
    }

    #[test]
    fn the_argument_is_named() {
        for (value, expected) in [
            (
                json!({"name": "x", "nome": 1}),
                "unknown argument `nome`, expected one of `name`, `mode`, `inner`",
            ),
            (json!({}), "missing argument `name`"),
            (
                json!({"name": 1}),
                "`name`: invalid type: integer `1`, expected a string",
            ),
            (
                json!({"name": "x", "mode": "two"}),
                "`mode`: unknown variant `two`, expected `one`",
            ),
            (
                json!({"name": "x", "inner": {"count": -1}}),
                "`inner.count`: invalid value: integer `-1`, expected u32",
            ),
            (
                json!({"name": "x", "inner": {"count": 1, "more": 2}}),
                "`inner`: unknown argument `more`, expected `count`",
            ),
        ] {
            assert_eq!(read::<Outer>(value).unwrap_err().message, expected);
        }
    }
}
