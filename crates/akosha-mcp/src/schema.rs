//! JSON schemas in the plain form that every client understands.
//!
//! Assistants' clients stumble over `$ref`, over lists of types and over the formats of integers,
//! so schemas hold none of them. An argument that may be left out is simply not required. A
//! result that may be null says so by `anyOf` with `{"type": "null"}`, which strict validators
//! accept in every dialect.

use std::sync::Arc;

use rmcp::model::JsonObject;
use schemars::generate::SchemaSettings;
use schemars::{JsonSchema, SchemaGenerator};
use serde_json::{Map, Value, json};

/// Returns the schema of a tool's arguments.
pub(crate) fn input<T: JsonSchema>() -> Arc<JsonObject> {
    Arc::new(plain::<T>(settings().into_generator(), Nulls::Drop))
}

/// Returns the schema of a tool's structured result.
pub(crate) fn output<T: JsonSchema>() -> Arc<JsonObject> {
    Arc::new(plain::<T>(
        settings().for_serialize().into_generator(),
        Nulls::Keep,
    ))
}

fn settings() -> SchemaSettings {
    SchemaSettings::draft2020_12().with(|settings| {
        settings.inline_subschemas = true;
        settings.meta_schema = None;
    })
}

/// Whether null is told as a possible value.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Nulls {
    Keep,
    Drop,
}

fn plain<T: JsonSchema>(generator: SchemaGenerator, nulls: Nulls) -> JsonObject {
    let mut schema = generator.into_root_schema_for::<T>().to_value();
    flatten(&mut schema, nulls, nulls);
    match schema {
        Value::Object(mut map) => {
            map.remove("title");
            map.remove("description");
            map.entry("type").or_insert_with(|| json!("object"));
            map.entry("properties").or_insert_with(|| json!({}));
            map
        }
        _ => Map::new(),
    }
}

/// Rewrites one schema, with `here` for its own nulls and `below` for those of its parts.
fn flatten(schema: &mut Value, here: Nulls, below: Nulls) {
    // `true` accepts anything; an empty object says the same to clients that know no booleans.
    if *schema == Value::Bool(true) {
        *schema = json!({});
    }
    let Value::Object(map) = schema else {
        return;
    };
    map.remove("format");
    if map.get("default") == Some(&Value::Null) {
        map.remove("default");
    }
    names_of_enum(map);
    without_type_list(map, here);
    without_null_choice(map, here);
    flatten_properties(map, below);
    for key in ["items", "additionalProperties"] {
        // A boolean stays one here: it opens or closes an object.
        if let Some(part) = map.get_mut(key)
            && !part.is_boolean()
        {
            flatten(part, below, below);
        }
    }
    for key in ["anyOf", "oneOf", "allOf"] {
        if let Some(Value::Array(choices)) = map.get_mut(key) {
            for choice in choices {
                flatten(choice, here, below);
            }
        }
    }
}

fn flatten_properties(map: &mut Map<String, Value>, below: Nulls) {
    let required: Vec<String> = map
        .get("required")
        .and_then(Value::as_array)
        .map(|names| {
            names
                .iter()
                .filter_map(Value::as_str)
                .map(str::to_owned)
                .collect()
        })
        .unwrap_or_default();
    if let Some(Value::Object(properties)) = map.get_mut("properties") {
        for (name, property) in properties.iter_mut() {
            // A result that is left out when there is none is never null.
            let here = if required.contains(name) {
                below
            } else {
                Nulls::Drop
            };
            flatten(property, here, below);
        }
    }
}

/// Turns a choice of constants into an enumeration of names.
fn names_of_enum(map: &mut Map<String, Value>) {
    let names: Option<Vec<Value>> = map.get("oneOf").and_then(Value::as_array).and_then(|all| {
        all.iter()
            .map(|choice| choice.get("const").filter(|name| name.is_string()).cloned())
            .collect()
    });
    if let Some(names) = names {
        map.remove("oneOf");
        map.insert("type".into(), json!("string"));
        map.insert("enum".into(), Value::Array(names));
    }
}

/// Turns `"type": ["string", "null"]` into one type, with null as a choice where it is kept.
fn without_type_list(map: &mut Map<String, Value>, here: Nulls) {
    let Some(Value::Array(types)) = map.get("type") else {
        return;
    };
    let mut others = types.iter().filter(|name| *name != "null").cloned();
    let one = others.next().unwrap_or_else(|| json!("null"));
    map.insert("type".into(), one);
    if let Some(Value::Array(names)) = map.get_mut("enum") {
        names.retain(|name| !name.is_null());
    }
    if here == Nulls::Keep {
        let description = map.remove("description");
        let inner = std::mem::take(map);
        map.insert("anyOf".into(), json!([inner, {"type": "null"}]));
        if let Some(description) = description {
            map.insert("description".into(), description);
        }
    }
}

/// Turns `"anyOf": [X, {"type": "null"}]` into X, or keeps it where null is a result.
fn without_null_choice(map: &mut Map<String, Value>, here: Nulls) {
    let Some(Value::Array(choices)) = map.get("anyOf") else {
        return;
    };
    let null = json!({"type": "null"});
    let mut others: Vec<Value> = choices
        .iter()
        .filter(|one| **one != null)
        .cloned()
        .collect();
    if here == Nulls::Keep || others.len() != 1 {
        return;
    }
    if let Some(Value::Object(only)) = others.pop() {
        map.remove("anyOf");
        for (key, value) in only {
            map.entry(key).or_insert(value);
        }
        // The choice may be one of constants itself.
        names_of_enum(map);
    }
}

#[cfg(test)]
mod tests {
    use serde::{Deserialize, Serialize};

    use super::*;

    #[derive(Serialize, Deserialize, JsonSchema)]
    #[serde(rename_all = "snake_case")]
    enum Mode {
        /// With a text of its own.
        One,
        /// With another.
        Two,
    }

    #[derive(Serialize, Deserialize, JsonSchema)]
    struct Part {
        reason: Option<String>,
    }

    #[derive(Serialize, Deserialize, JsonSchema)]
    #[serde(deny_unknown_fields)]
    struct Sample {
        /// A name.
        name: Option<String>,
        mode: Option<Mode>,
        #[serde(default, skip_serializing_if = "Option::is_none")]
        left_out: Option<u32>,
        #[serde(default, skip_serializing_if = "Option::is_none")]
        part: Option<Part>,
        list: Vec<Option<i64>>,
    }

    #[test]
    fn arguments_that_may_be_left_out_are_not_required() {
        let schema = Value::Object(Arc::unwrap_or_clone(input::<Sample>()));
        assert_eq!(
            schema["properties"]["name"],
            json!({"type": "string", "description": "A name."})
        );
        assert_eq!(
            schema["properties"]["mode"],
            json!({"type": "string", "enum": ["one", "two"]})
        );
        assert_eq!(schema["required"], json!(["list"]));
        assert_eq!(schema["additionalProperties"], json!(false));
    }

    #[test]
    fn results_that_may_be_null_say_so_by_choice() {
        let schema = Value::Object(Arc::unwrap_or_clone(output::<Sample>()));
        assert_eq!(
            schema["properties"]["name"],
            json!({"description": "A name.", "anyOf": [{"type": "string"}, {"type": "null"}]})
        );
        assert_eq!(
            schema["properties"]["part"]["properties"]["reason"],
            json!({"anyOf": [{"type": "string"}, {"type": "null"}]})
        );
        assert_eq!(
            schema["properties"]["left_out"],
            json!({"type": "integer", "minimum": 0})
        );
        assert_eq!(
            schema["properties"]["mode"],
            json!({"anyOf": [{"type": "string", "enum": ["one", "two"]}, {"type": "null"}]})
        );
    }
}
