//! What the protocol's conformance suite calls: tools, resources and prompts made for it.
//!
//! Only the feature `conformance` compiles it, into a server that nobody is given. [`Conforming`]
//! wraps [`AkoshaServer`], whose own tools, resources and prompts stay listed beside and are
//! judged with them.
#![expect(
    deprecated,
    reason = "the suite still calls what 2026-07-28 deprecates"
)]

mod ask;
mod change;
mod content;
mod input;
mod prompts;
mod resources;
mod tools;

use std::sync::Arc;

use rmcp::model::{
    CallToolRequestParams, CallToolResponse, CompleteRequestParams, CompleteResult, ErrorCode,
    GetPromptRequestParams, GetPromptResponse, ListPromptsResult, ListResourceTemplatesResult,
    ListResourcesResult, ListToolsResult, PaginatedRequestParams, ProtocolVersion,
    ReadResourceRequestParams, ReadResourceResponse, ServerConfig, SetLevelRequestParams,
    SubscribeRequestParams, SubscriptionFilter, Tool, UnsubscribeRequestParams,
};
use rmcp::service::{RequestContext, SubscriptionContext};
use rmcp::{ErrorData, RoleServer, ServerHandler};
use serde::de::DeserializeOwned;
use serde_json::{Value, json};

use crate::AkoshaServer;
use change::Changes;
use input::Seal;

/// What the fixtures of a process share, whichever server they stand beside.
#[derive(Clone)]
pub struct Fixtures {
    changes: Changes,
    seal: Arc<Seal>,
}

impl Fixtures {
    /// Creates the fixtures of a process.
    ///
    /// # Errors
    /// Fails where the system has no random numbers.
    pub fn new() -> Result<Self, std::io::Error> {
        Ok(Self {
            changes: Changes::new(),
            seal: Arc::new(Seal::new()?),
        })
    }

    /// Returns `server` with the fixtures beside its own tools.
    pub fn beside(&self, server: AkoshaServer) -> Conforming {
        Conforming {
            server,
            fixtures: self.clone(),
        }
    }
}

/// Akosha's server with what the suite needs.
#[derive(Clone)]
pub struct Conforming {
    server: AkoshaServer,
    fixtures: Fixtures,
}

/// Reads a value of the protocol from the shape that it has on the wire.
fn wire<T: DeserializeOwned>(value: Value) -> Result<T, ErrorData> {
    serde_json::from_value(value)
        .map_err(|error| ErrorData::internal_error(format!("a fixture is wrong: {error}"), None))
}

/// Reads the result of a request that is done. Newer versions of the protocol want to be told so;
/// for older ones it is left out on the way.
fn done<T: DeserializeOwned>(mut result: Value) -> Result<T, ErrorData> {
    if let Some(result) = result.as_object_mut() {
        result.insert("resultType".into(), json!("complete"));
    }
    wire(result)
}

/// Returns whether a request is of 2026-07-28 or later: without sessions in the protocol itself.
fn is_modern(context: &RequestContext<RoleServer>) -> bool {
    context
        .protocol_version()
        .is_some_and(|version| version.as_str() >= ProtocolVersion::V_2026_07_28.as_str())
}

/// Refuses a method that newer versions of the protocol have not.
fn legacy_only(
    context: &RequestContext<RoleServer>,
    method: &'static str,
) -> Result<(), ErrorData> {
    if is_modern(context) {
        return Err(ErrorData::new(ErrorCode::METHOD_NOT_FOUND, method, None));
    }
    Ok(())
}

impl ServerHandler for Conforming {
    fn get_info(&self) -> ServerConfig {
        let mut info = self.server.get_info();
        let capabilities = json!({
            "completions": {},
            "logging": {},
            "prompts": {"listChanged": true},
            "resources": {"subscribe": true},
            "tools": {"listChanged": true},
        });
        if let Ok(capabilities) = wire(capabilities) {
            info.capabilities = capabilities;
        }
        info
    }

    async fn list_tools(
        &self,
        request: Option<PaginatedRequestParams>,
        context: RequestContext<RoleServer>,
    ) -> Result<ListToolsResult, ErrorData> {
        let mut listed = self.server.list_tools(request, context).await?;
        listed.tools.extend(tools::list().iter().cloned());
        Ok(listed)
    }

    fn get_tool(&self, name: &str) -> Option<Tool> {
        let own = tools::list().iter().find(|tool| tool.name == name).cloned();
        own.or_else(|| self.server.get_tool(name))
    }

    async fn call_tool(
        &self,
        request: CallToolRequestParams,
        context: RequestContext<RoleServer>,
    ) -> Result<CallToolResponse, ErrorData> {
        if tools::list().iter().any(|tool| tool.name == request.name) {
            tools::call(&self.fixtures, &request, &context).await
        } else {
            self.server.call_tool(request, context).await
        }
    }

    async fn list_resources(
        &self,
        request: Option<PaginatedRequestParams>,
        context: RequestContext<RoleServer>,
    ) -> Result<ListResourcesResult, ErrorData> {
        let mut listed = self.server.list_resources(request, context).await?;
        listed.resources.extend(resources::list()?);
        Ok(listed)
    }

    async fn list_resource_templates(
        &self,
        request: Option<PaginatedRequestParams>,
        context: RequestContext<RoleServer>,
    ) -> Result<ListResourceTemplatesResult, ErrorData> {
        let mut listed = self
            .server
            .list_resource_templates(request, context)
            .await?;
        listed.resource_templates.extend(resources::templates()?);
        Ok(listed)
    }

    async fn read_resource(
        &self,
        request: ReadResourceRequestParams,
        context: RequestContext<RoleServer>,
    ) -> Result<ReadResourceResponse, ErrorData> {
        match resources::read(&request.uri)? {
            Some(read) => Ok(read.into()),
            None => self.server.read_resource(request, context).await,
        }
    }

    async fn subscribe(
        &self,
        _request: SubscribeRequestParams,
        _context: RequestContext<RoleServer>,
    ) -> Result<(), ErrorData> {
        Ok(())
    }

    async fn unsubscribe(
        &self,
        _request: UnsubscribeRequestParams,
        _context: RequestContext<RoleServer>,
    ) -> Result<(), ErrorData> {
        Ok(())
    }

    async fn list_prompts(
        &self,
        request: Option<PaginatedRequestParams>,
        context: RequestContext<RoleServer>,
    ) -> Result<ListPromptsResult, ErrorData> {
        let mut listed = self.server.list_prompts(request, context).await?;
        listed.prompts.extend(prompts::list()?);
        Ok(listed)
    }

    async fn get_prompt(
        &self,
        request: GetPromptRequestParams,
        context: RequestContext<RoleServer>,
    ) -> Result<GetPromptResponse, ErrorData> {
        match prompts::get(&request)? {
            Some(prompt) => Ok(prompt),
            None => self.server.get_prompt(request, context).await,
        }
    }

    async fn complete(
        &self,
        request: CompleteRequestParams,
        _context: RequestContext<RoleServer>,
    ) -> Result<CompleteResult, ErrorData> {
        let known = ["test", "testing", "tests"];
        let values: Vec<&str> = known
            .into_iter()
            .filter(|value| value.starts_with(&request.argument.value))
            .collect();
        let total = values.len();
        done(json!({"completion": {"values": values, "total": total, "hasMore": false}}))
    }

    async fn set_level(
        &self,
        _request: SetLevelRequestParams,
        context: RequestContext<RoleServer>,
    ) -> Result<(), ErrorData> {
        legacy_only(&context, "logging/setLevel")
    }

    fn accepted_subscription_filter(
        &self,
        requested: &SubscriptionFilter,
    ) -> Option<SubscriptionFilter> {
        Some(requested.clone())
    }

    async fn listen(&self, context: SubscriptionContext) -> Result<(), ErrorData> {
        self.fixtures.changes.tell(&context).await;
        Ok(())
    }
}
