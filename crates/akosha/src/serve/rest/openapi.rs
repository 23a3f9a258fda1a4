//! `/openapi.json`: the API as OpenAPI 3.1, made of the table of routes.

use akosha_core::Scope;
use serde_json::{Value, json};

use super::ROUTES;
use super::route::{Call, Object, Route, Running, Verb, nothing};

pub(super) const OPENAPI: Route = Route {
    verb: Verb::Get,
    path: "/openapi.json",
    scope: Scope::Read,
    summary: "Returns this description.",
    parameters: nothing,
    answer: document_schema,
    run,
};

/// A route that is no part of the REST API.
pub(in crate::serve) struct Other {
    /// The method.
    pub(in crate::serve) method: &'static str,
    /// Where it is.
    pub(in crate::serve) path: &'static str,
    /// What the caller has to be allowed; `None` where everybody may.
    pub(in crate::serve) scope: Option<Scope>,
    /// What it does, in one sentence.
    pub(in crate::serve) summary: &'static str,
    /// The type of what it answers.
    pub(in crate::serve) kind: &'static str,
}

/// The routes that are no part of the REST API.
pub(in crate::serve) const OTHERS: &[Other] = &[
    Other {
        method: "POST",
        path: "/mcp",
        scope: Some(Scope::Read),
        summary: "MCP over streamable HTTP; tools that change something need scope `write`.",
        kind: "application/json",
    },
    Other {
        method: "GET",
        path: "/metrics",
        scope: Some(Scope::Read),
        summary: "Answers what the server counts and measures, for Prometheus.",
        kind: "text/plain",
    },
    Other {
        method: "GET",
        path: "/",
        scope: Some(Scope::Read),
        summary: "The dashboard; without a token it is sent with status 401 and asks for one.",
        kind: "text/html",
    },
    Other {
        method: "GET",
        path: "/health",
        scope: None,
        summary: "Answers that the process is alive.",
        kind: "application/json",
    },
    Other {
        method: "GET",
        path: "/ready",
        scope: None,
        summary: "Answers whether requests can be served; 503 before and while it stops.",
        kind: "application/json",
    },
];

fn document_schema() -> Object {
    let schema = json!({"type": "object", "required": ["openapi", "info", "paths"]});
    schema.as_object().cloned().unwrap_or_default()
}

fn run(_call: Call) -> Running {
    Box::pin(async { Ok(document()) })
}

/// Returns the document.
pub(super) fn document() -> Value {
    let mut paths = Object::new();
    let mut add = |path: &str, method: &str, operation: Value| {
        let at = paths.entry(path).or_insert_with(|| json!({}));
        at[method.to_ascii_lowercase()] = operation;
    };
    for route in ROUTES {
        add(route.path, route.verb.as_str(), operation(route));
    }
    for other in OTHERS {
        let mut operation = json!({
            "summary": other.summary,
            "operationId": id(other.method, other.path),
            "responses": {"200": {
                "description": "Done.", "content": {other.kind: {}}
            }, "default": refused()},
        });
        operation["security"] = security(other.scope);
        add(other.path, other.method, operation);
    }
    json!({
        "openapi": "3.1.0",
        "info": {
            "title": "Akosha",
            "version": env!("CARGO_PKG_VERSION"),
            "description": "Memory for AI coding assistants that outlives the session and the \
                            machine. A server on loopback without tokens needs none.",
        },
        "jsonSchemaDialect": "https://json-schema.org/draft/2020-12/schema",
        "paths": paths,
        "components": {
            "securitySchemes": {
                "token": {
                    "type": "http",
                    "scheme": "bearer",
                    "description": "What `akosha token create` shows. `admin` includes `write`, \
                                    which includes `read`."
                }
            },
            "schemas": {"Problem": problem_schema()},
        },
    })
}

fn operation(route: &Route) -> Value {
    let schema = (route.parameters)();
    let required: Vec<&str> = schema
        .get("required")
        .and_then(Value::as_array)
        .into_iter()
        .flatten()
        .filter_map(Value::as_str)
        .collect();
    let none = Object::new();
    let properties = schema.get("properties").and_then(Value::as_object);
    let properties = properties.unwrap_or(&none);
    let mut operation = json!({
        "summary": route.summary,
        "operationId": id(route.verb.as_str(), route.path),
        "security": security(Some(route.scope)),
        "responses": {
            "200": {
                "description": "Done.",
                "content": {"application/json": {"schema": (route.answer)()}},
            },
            "default": refused(),
        },
    });
    let in_path = |name: &str| route.path.contains(&format!("{{{name}}}"));
    let parameters: Vec<Value> = properties
        .iter()
        .filter(|(name, _)| route.verb == Verb::Get || in_path(name))
        .map(|(name, schema)| {
            let mut schema = schema.clone();
            let description = schema
                .as_object_mut()
                .and_then(|all| all.remove("description"));
            json!({
                "name": name,
                "in": if in_path(name) { "path" } else { "query" },
                "required": in_path(name) || required.contains(&name.as_str()),
                "description": description,
                "schema": schema,
            })
        })
        .collect();
    if !parameters.is_empty() {
        operation["parameters"] = Value::from(parameters);
    }
    if route.verb == Verb::Post && !properties.is_empty() {
        operation["requestBody"] = json!({
            "required": !required.is_empty(),
            "content": {"application/json": {"schema": schema}},
        });
    }
    operation
}

/// Returns what a client has to bring; each scope stands for itself and what includes it.
fn security(scope: Option<Scope>) -> Value {
    match scope {
        Some(scope) => json!([{"token": [scope]}]),
        None => json!([]),
    }
}

fn refused() -> Value {
    json!({
        "description": "What is wrong, RFC 9457.",
        "content": {"application/problem+json": {
            "schema": {"$ref": "#/components/schemas/Problem"}
        }},
    })
}

fn problem_schema() -> Value {
    json!({
        "type": "object",
        "required": ["type", "title", "status", "detail"],
        "properties": {
            "type": {"type": "string"},
            "title": {"type": "string", "description": "The status in words."},
            "status": {"type": "integer"},
            "detail": {"type": "string", "description": "What happened, to what."},
            "hint": {"type": "string", "description": "What to do now."},
            "kind": {"type": "string", "description": "The class of the error."},
        },
    })
}

/// Returns a name for an operation, such as `get_api_v1_search`.
fn id(method: &str, path: &str) -> String {
    let words = path.split(|c: char| !c.is_ascii_alphanumeric());
    let words = words.filter(|word| !word.is_empty());
    let mut id = method.to_ascii_lowercase();
    for word in words {
        id.push('_');
        id.push_str(word);
    }
    id
}
