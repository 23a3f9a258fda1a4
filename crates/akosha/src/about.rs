//! What `akosha` alone says: what it is and how to begin.

use std::io;

use serde::Serialize;

use crate::output::{Answer, Page};

const TEXT: &str = "\
akosha remembers for AI coding assistants, across sessions and machines.

  akosha demo                    see the whole loop on a temporary folder
  akosha store \"what to remember\"
  akosha search \"what to find\"
  akosha mcp                     serve an assistant: register this as an MCP server
  akosha config init             write a commented configuration, then set a vault in it
  akosha sync, akosha pull       push to the vault, pull what other machines pushed
  akosha status                  see what is stored, queued and wrong

All commands: akosha --help
";

/// The answer.
#[derive(Debug, Serialize)]
pub(crate) struct About {
    name: &'static str,
    version: &'static str,
    help: &'static str,
}

impl About {
    /// Creates the answer.
    pub(crate) fn new() -> Self {
        Self {
            name: "akosha",
            version: env!("CARGO_PKG_VERSION"),
            help: TEXT,
        }
    }
}

impl Answer for About {
    fn write_text(&self, page: &mut Page<'_>) -> io::Result<()> {
        page.raw(self.help)
    }
}
