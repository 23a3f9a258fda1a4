//! What the tools do, for those who speak another protocol: the same arguments, the same work, the
//! same answers.

use akosha_core::{MemoryId, SystemId};
use akosha_sync::Progress;
use rmcp::model::JsonObject;
use schemars::JsonSchema;
use tokio_util::sync::CancellationToken;

use crate::tools::arguments::parse;
use crate::{AkoshaServer, Failure, schema, tools};

pub use crate::tools::memory::{GetAnswer, HistoryAnswer, ListAnswer};
pub use crate::tools::search::{SearchAnswer, SearchArguments};
pub use crate::tools::sync::{SyncAnswer, SyncArguments};

/// Searches as `search_memories` does.
///
/// # Errors
/// Names the argument that is wrong, or says why the store cannot be read.
pub async fn search(server: &AkoshaServer, arguments: JsonObject) -> Result<SearchAnswer, Failure> {
    tools::search(server, parse(arguments)?).await
}

/// Lists as `list_memories` does.
///
/// # Errors
/// As [`search`].
pub async fn list(server: &AkoshaServer, arguments: JsonObject) -> Result<ListAnswer, Failure> {
    tools::memory::list(server, parse(arguments)?).await
}

/// Returns one memory as `get_memory` does.
///
/// # Errors
/// Fails where there is none.
pub async fn get(
    server: &AkoshaServer,
    system_id: SystemId,
    memory_id: MemoryId,
) -> Result<GetAnswer, Failure> {
    tools::memory::get(server, memory_id, Some(system_id))
        .await
        .map(GetAnswer::from)
}

/// Returns every revision of a memory that still has content, oldest first.
///
/// # Errors
/// Fails where the memory was never stored.
pub async fn history(
    server: &AkoshaServer,
    system_id: SystemId,
    memory_id: MemoryId,
) -> Result<HistoryAnswer, Failure> {
    tools::memory::history(server, system_id, memory_id).await
}

/// Pushes as `sync_to_akosha` does.
///
/// # Errors
/// Names the argument that is wrong, or says that the caller may not do it. Why a push failed is in
/// the answer.
pub async fn sync(
    server: &AkoshaServer,
    arguments: JsonObject,
    progress: &dyn Progress,
    cancel: &CancellationToken,
) -> Result<SyncAnswer, Failure> {
    tools::sync::sync(server, parse(arguments)?, progress, cancel).await
}

/// Returns the schema of arguments, in the plain form of the tools.
pub fn input_schema<T: JsonSchema>() -> JsonObject {
    JsonObject::clone(&schema::input::<T>())
}

/// Returns the schema of an answer, in the plain form of the tools.
pub fn output_schema<T: JsonSchema>() -> JsonObject {
    JsonObject::clone(&schema::output::<T>())
}
