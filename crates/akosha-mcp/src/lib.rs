//! The MCP tools, resources and prompts: parse, call the store or the syncer, shape the answer.
//!
//! [`AkoshaServer`] serves one client over any transport; [`serve_stdio`] runs it on standard
//! input and output. The store behind it is opened in the background ([`StoreHandle`]), so
//! `initialize` never waits for a disk. Every era of the protocol from 2024-11-05 to the
//! stateless 2026-07-28 is spoken.

pub mod api;
mod background;
#[cfg(feature = "conformance")]
pub mod conformance;
mod context;
mod end_of_input;
mod failure;
mod handle;
mod origin;
mod parse_error;
mod progress;
mod project;
mod prompts;
mod resources;
mod schema;
mod server;
mod session_end;
mod stdio;
mod tools;
mod watch;

pub use background::{BackgroundDrain, watch_queue};
pub use context::{SessionContext, session_context};
pub use failure::Failure;
pub use handle::{StoreHandle, blocking};
pub use origin::Origin;
pub use project::project_of;
pub use server::AkoshaServer;
pub use session_end::{Ending, QueuedSync, SessionEnd, end_session};
pub use stdio::{StdioError, serve_stdio, serve_stream};
pub use tools::{list as tools, not_reached, scope_of};
pub use watch::{Done, Outcome, Watch};
