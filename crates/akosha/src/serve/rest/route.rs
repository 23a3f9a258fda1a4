//! What a route of the REST API is: one row of the table of all.

use std::future::Future;
use std::pin::Pin;

use akosha_core::{ErrorKind, Scope};
use akosha_mcp::{AkoshaServer, Failure, api};
use axum::http::StatusCode;
use schemars::JsonSchema;
use serde::Serialize;
use serde::de::DeserializeOwned;
use serde_json::{Map, Value};
use tokio_util::sync::CancellationToken;

use crate::serve::guard::Caller;
use crate::serve::node::Node;

/// What to do about parameters that are wrong.
pub(super) const PARAMETERS: &str = "`GET /openapi.json` lists the parameters of every route";

/// A JSON object.
pub(in crate::serve) type Object = Map<String, Value>;

/// How a route is asked.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in crate::serve) enum Verb {
    /// It only reads; its parameters are in the query.
    Get,
    /// It changes something; its parameters are a JSON object in the body.
    Post,
}

impl Verb {
    /// Returns the method.
    pub(in crate::serve) fn as_str(self) -> &'static str {
        match self {
            Self::Get => "GET",
            Self::Post => "POST",
        }
    }
}

/// A route.
pub(in crate::serve) struct Route {
    /// How it is asked.
    pub(in crate::serve) verb: Verb,
    /// Where it is, with its parts that vary in braces.
    pub(in crate::serve) path: &'static str,
    /// What the caller has to be allowed.
    pub(in crate::serve) scope: Scope,
    /// What it does, in one sentence.
    pub(in crate::serve) summary: &'static str,
    /// Schema of its parameters, those in the path included.
    pub(in crate::serve) parameters: fn() -> Object,
    /// Schema of what it answers.
    pub(in crate::serve) answer: fn() -> Object,
    /// Does it.
    pub(in crate::serve) run: fn(Call) -> Running,
}

/// The work of a route.
pub(in crate::serve) type Running =
    Pin<Box<dyn Future<Output = Result<Value, Refusal>> + Send + 'static>>;

/// A request to a route.
pub(in crate::serve) struct Call {
    /// The node.
    pub(in crate::serve) node: Node,
    /// The tools as the caller may use them.
    pub(in crate::serve) server: AkoshaServer,
    /// Who asks.
    pub(in crate::serve) caller: Caller,
    /// The parameters, by the names of the schema.
    pub(in crate::serve) input: Object,
    /// Ends the work where the caller went away.
    pub(in crate::serve) cancel: CancellationToken,
}

impl Call {
    /// Reads the parameters.
    ///
    /// # Errors
    /// Names the parameter that is missing or breaks its rule.
    pub(in crate::serve) fn read<T: DeserializeOwned>(&mut self) -> Result<T, Refusal> {
        let input = Value::Object(std::mem::take(&mut self.input));
        T::deserialize(input).map_err(|error| {
            let message = error.to_string().replace("field", "parameter");
            Failure::new(ErrorKind::Invalid, message)
                .with_hint(PARAMETERS)
                .into()
        })
    }
}

/// Why a request was not done.
#[derive(Debug)]
pub(in crate::serve) struct Refusal {
    /// What happened, and what to do.
    pub(in crate::serve) failure: Failure,
    /// What else is told.
    pub(in crate::serve) more: Object,
}

impl Refusal {
    /// Returns the status of HTTP.
    pub(in crate::serve) fn status(&self) -> StatusCode {
        match self.failure.kind {
            ErrorKind::Invalid => StatusCode::BAD_REQUEST,
            ErrorKind::NotFound => StatusCode::NOT_FOUND,
            // What is not set up here stands against the request until somebody sets it up.
            ErrorKind::Conflict | ErrorKind::Config => StatusCode::CONFLICT,
            ErrorKind::Auth => StatusCode::FORBIDDEN,
            ErrorKind::Unavailable | ErrorKind::Cancelled => StatusCode::SERVICE_UNAVAILABLE,
            ErrorKind::Storage => StatusCode::INSUFFICIENT_STORAGE,
            ErrorKind::Data | ErrorKind::Internal => StatusCode::INTERNAL_SERVER_ERROR,
        }
    }

    /// Adds what else is told.
    pub(in crate::serve) fn with(mut self, name: &str, value: Value) -> Self {
        self.more.insert(name.to_owned(), value);
        self
    }
}

impl<E: Into<Failure>> From<E> for Refusal {
    fn from(error: E) -> Self {
        Self {
            failure: error.into(),
            more: Object::new(),
        }
    }
}

/// Turns an answer into JSON.
pub(in crate::serve) fn json(answer: &impl Serialize) -> Result<Value, Refusal> {
    serde_json::to_value(answer).map_err(|error| {
        let message = format!("the answer cannot be written: {error}");
        Failure::new(ErrorKind::Internal, message).into()
    })
}

/// Returns the schema of parameters.
pub(in crate::serve) fn parameters<T: JsonSchema>() -> Object {
    api::input_schema::<T>()
}

/// Returns the schema of an answer.
pub(in crate::serve) fn answer<T: JsonSchema>() -> Object {
    api::output_schema::<T>()
}

/// Returns the schema of no parameters.
pub(in crate::serve) fn nothing() -> Object {
    parameters::<Nothing>()
}

/// No parameters.
#[derive(Debug, serde::Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
struct Nothing {}

/// Runs work that blocks.
pub(in crate::serve) async fn blocking<T, E>(
    work: impl FnOnce() -> Result<T, E> + Send + 'static,
) -> Result<T, Refusal>
where
    T: Send + 'static,
    E: Into<Failure> + Send + 'static,
{
    Ok(akosha_mcp::blocking(work).await?)
}
