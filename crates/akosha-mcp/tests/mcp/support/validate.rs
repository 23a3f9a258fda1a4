//! As much of JSON Schema as our own schemas use, strictly: an unknown keyword is a defect.

use serde_json::Value;

/// Panics where `value` does not fit `schema`.
pub(crate) fn check(schema: &Value, value: &Value, at: &str) {
    if let Err(error) = fits(schema, value, at) {
        panic!("{error}");
    }
}

fn fits(schema: &Value, value: &Value, at: &str) -> Result<(), String> {
    let map = schema.as_object().ok_or(format!("{at}: no schema"))?;
    for (keyword, rule) in map {
        let holds = match keyword.as_str() {
            "type" => has_type(
                value,
                rule.as_str().ok_or(format!("{at}: a list of types"))?,
            ),
            "enum" => rule.as_array().is_some_and(|names| names.contains(value)),
            "anyOf" => rule
                .as_array()
                .is_some_and(|choices| choices.iter().any(|one| fits(one, value, at).is_ok())),
            "minimum" => value
                .as_f64()
                .is_none_or(|number| number >= rule.as_f64().unwrap()),
            "maximum" => value
                .as_f64()
                .is_none_or(|number| number <= rule.as_f64().unwrap()),
            "minItems" => value
                .as_array()
                .is_none_or(|all| all.len() as u64 >= rule.as_u64().unwrap()),
            "maxItems" => value
                .as_array()
                .is_none_or(|all| all.len() as u64 <= rule.as_u64().unwrap()),
            "required" => rule
                .as_array()
                .unwrap()
                .iter()
                .all(|name| value.get(name.as_str().unwrap()).is_some() || !value.is_object()),
            "properties" => {
                for (name, below) in rule.as_object().unwrap() {
                    if let Some(part) = value.get(name) {
                        fits(below, part, &format!("{at}.{name}"))?;
                    }
                }
                true
            }
            "items" => {
                for (index, item) in value.as_array().into_iter().flatten().enumerate() {
                    fits(rule, item, &format!("{at}[{index}]"))?;
                }
                true
            }
            "additionalProperties" => {
                *rule != Value::Bool(false)
                    || value.as_object().is_none_or(|object| {
                        object
                            .keys()
                            .all(|key| schema["properties"].get(key).is_some())
                    })
            }
            "description" | "default" => true,
            other => return Err(format!("{at}: unexpected keyword `{other}`")),
        };
        if !holds {
            return Err(format!("{at}: {value} breaks `{keyword}`: {rule}"));
        }
    }
    Ok(())
}

fn has_type(value: &Value, name: &str) -> bool {
    match name {
        "object" => value.is_object(),
        "array" => value.is_array(),
        "string" => value.is_string(),
        "boolean" => value.is_boolean(),
        "integer" => value.is_i64() || value.is_u64(),
        "number" => value.is_number(),
        "null" => value.is_null(),
        _ => false,
    }
}
