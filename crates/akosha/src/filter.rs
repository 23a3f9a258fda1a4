//! The options that choose memories, the same for every command that takes them.

use akosha_core::{Invalid, SystemId, check_tag, time};
use akosha_store::Filter;
use chrono::{DateTime, Utc};
use clap::Args;

/// Which memories are meant.
#[derive(Debug, Clone, Default, Args)]
pub(crate) struct FilterArgs {
    /// Only memories of this system
    #[arg(long, value_name = "ID")]
    system: Option<SystemId>,
    /// Only memories of this project
    #[arg(long)]
    project: Option<String>,
    /// Only memories with this tag; repeat it for memories that have all of them
    #[arg(long = "tag", value_name = "TAG", value_parser = parse_tag)]
    tags: Vec<String>,
    /// Only memories of this type
    #[arg(long = "type", value_name = "TYPE")]
    kind: Option<String>,
    /// Only memories made at this time or later, such as 2026-01-31 or 2026-01-31T09:30:00Z
    #[arg(long, value_name = "TIME", value_parser = parse_time)]
    since: Option<DateTime<Utc>>,
    /// Only memories made before this time
    #[arg(long, value_name = "TIME", value_parser = parse_time)]
    until: Option<DateTime<Utc>>,
}

impl FilterArgs {
    /// Returns the filter that the options name.
    pub(crate) fn filter(&self) -> Filter {
        Filter {
            system_id: self.system.clone(),
            project: self.project.clone(),
            kind: self.kind.clone(),
            tags: self.tags.clone(),
            since: self.since,
            until: self.until,
        }
    }
}

fn parse_tag(text: &str) -> Result<String, Invalid> {
    check_tag(text)?;
    Ok(text.to_owned())
}

fn parse_time(text: &str) -> Result<DateTime<Utc>, Invalid> {
    time::parse(text)
}
