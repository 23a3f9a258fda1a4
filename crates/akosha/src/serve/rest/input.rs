//! The parameters of a request: from the path and the query, read by their schema, or from the body.

use akosha_core::{ErrorKind, excerpt};
use akosha_mcp::Failure;
use percent_encoding::percent_decode_str;
use serde_json::{Number, Value};

use super::route::Object;

/// Reads the parameters of a query into `input`.
///
/// # Errors
/// Names the parameter that is unknown, is there twice, or does not fit its schema.
pub(super) fn query(text: &str, schema: &Object, input: &mut Object) -> Result<(), Failure> {
    for pair in text.split('&').filter(|pair| !pair.is_empty()) {
        let (name, value) = pair.split_once('=').unwrap_or((pair, ""));
        let name = decode(name, "the query")?;
        let value = decode(value, &name)?;
        let Some(wanted) = property(schema, &name) else {
            return Err(unknown(&name, schema));
        };
        let read = read(&name, &value, wanted)?;
        match (input.get_mut(&name), read) {
            // A list may be given in one piece or in many.
            (Some(Value::Array(known)), Value::Array(more)) => known.extend(more),
            (Some(_), _) => return Err(invalid(format!("`{name}` is given twice"))),
            (None, read) => {
                input.insert(name, read);
            }
        }
    }
    Ok(())
}

/// Takes the parameters of a body.
///
/// # Errors
/// Fails where it is no JSON object, or names the parameter that is unknown.
pub(super) fn body(bytes: &[u8], schema: &Object, input: &mut Object) -> Result<(), Failure> {
    if bytes.iter().all(u8::is_ascii_whitespace) {
        return Ok(());
    }
    let value: Value = serde_json::from_slice(bytes)
        .map_err(|error| invalid(format!("the body is no JSON: {error}")))?;
    let Value::Object(given) = value else {
        return Err(invalid("the body must be a JSON object".into()));
    };
    for (name, value) in given {
        if property(schema, &name).is_none() {
            return Err(unknown(&name, schema));
        }
        if input.insert(name.clone(), value).is_some() {
            return Err(invalid(format!("`{name}` is given twice")));
        }
    }
    Ok(())
}

fn property<'a>(schema: &'a Object, name: &str) -> Option<&'a Value> {
    schema.get("properties")?.get(name)
}

/// Reads a text as its schema says.
fn read(name: &str, text: &str, schema: &Value) -> Result<Value, Failure> {
    let wrong = |wanted: &str| {
        let shown = excerpt(text);
        invalid(format!("`{name}` is `{shown}`, expected {wanted}"))
    };
    Ok(match schema.get("type").and_then(Value::as_str) {
        Some("integer") => {
            let number: Option<i64> = text.parse().ok();
            Value::from(number.ok_or_else(|| wrong("a whole number"))?)
        }
        Some("number") => {
            let number: Option<f64> = text.parse().ok();
            let number = number.and_then(Number::from_f64);
            Value::Number(number.ok_or_else(|| wrong("a number"))?)
        }
        Some("boolean") => match text {
            "true" => Value::Bool(true),
            "false" => Value::Bool(false),
            _ => return Err(wrong("`true` or `false`")),
        },
        Some("array") => {
            let items = text.split(',').filter(|item| !item.is_empty());
            items.map(Value::from).collect()
        }
        _ => Value::from(text),
    })
}

fn decode(text: &str, place: &str) -> Result<String, Failure> {
    let spaced = text.replace('+', " ");
    let decoded = percent_decode_str(&spaced).decode_utf8();
    let decoded = decoded.map_err(|_| invalid(format!("`{}` is no UTF-8", excerpt(place))))?;
    Ok(decoded.into_owned())
}

fn unknown(name: &str, schema: &Object) -> Failure {
    let shown = excerpt(name);
    let known = schema.get("properties").and_then(Value::as_object);
    let known: Vec<String> = known
        .into_iter()
        .flat_map(Object::keys)
        .map(|name| format!("`{name}`"))
        .collect();
    invalid(if known.is_empty() {
        format!("unknown parameter `{shown}`, there are none here")
    } else {
        let known = known.join(", ");
        format!("unknown parameter `{shown}`, expected one of {known}")
    })
}

fn invalid(message: String) -> Failure {
    Failure::new(ErrorKind::Invalid, message)
        .with_hint("correct the request; `/openapi.json` describes it")
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn schema() -> Object {
        let schema = json!({"properties": {
            "limit": {"type": "integer"}, "min": {"type": "number"}, "all": {"type": "boolean"},
            "tags": {"type": "array"}, "text": {"type": "string"}
        }});
        schema.as_object().cloned().unwrap()
    }

    fn asked(text: &str) -> Result<Value, String> {
        let mut input = Object::new();
        query(text, &schema(), &mut input).map_err(|error| error.message)?;
        Ok(Value::Object(input))
    }

    #[test]
    fn a_query_is_read_by_its_schema() {
        let read = asked("limit=5&min=0.5&all=true&text=a+b%26c&tags=x,y&tags=z").unwrap();
        let expected = json!({
            "limit": 5, "min": 0.5, "all": true, "text": "a b&c", "tags": ["x", "y", "z"]
        });
        assert_eq!(read, expected);
        assert_eq!(asked("").unwrap(), json!({}));
    }

    #[test]
    fn what_is_wrong_is_named() {
        for (text, expected) in [
            (
                "limt=5",
                "unknown parameter `limt`, expected one of `all`, `limit`",
            ),
            ("limit=five", "`limit` is `five`, expected a whole number"),
            ("limit=", "`limit` is ``, expected a whole number"),
            ("min=NaN", "`min` is `NaN`, expected a number"),
            ("all=1", "`all` is `1`, expected `true` or `false`"),
            ("text=a&text=b", "`text` is given twice"),
            ("text=%ff", "`text` is no UTF-8"),
        ] {
            let message = asked(text).unwrap_err();
            assert!(message.starts_with(expected), "{text}: {message}");
        }
    }

    #[test]
    fn a_body_is_an_object_of_known_parameters() {
        let read = |text: &str| {
            let mut input = Object::new();
            body(text.as_bytes(), &schema(), &mut input).map_err(|error| error.message)?;
            Ok::<_, String>(Value::Object(input))
        };
        assert_eq!(read(" \n").unwrap(), json!({}));
        assert_eq!(read("{\"limit\": 1}").unwrap(), json!({"limit": 1}));
        assert!(read("[1]").unwrap_err().contains("object"));
        assert!(read("{").unwrap_err().contains("no JSON"));
        assert!(read("{\"x\": 1}").unwrap_err().contains("`x`"));
    }
}
