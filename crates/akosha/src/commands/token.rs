//! `akosha token`: who may use the server.

mod create;
mod list;
mod prune;
mod revoke;

use akosha_core::{Scope, time};
use akosha_store::Token;
use chrono::{DateTime, Utc};
use serde::Serialize;

use crate::context::Context;
use crate::failure::{Exit, Failure};
use crate::show;

/// Commands of `akosha token`.
#[derive(Debug, clap::Subcommand)]
pub(crate) enum Command {
    /// Make a token and show it, this once
    Create(create::Args),
    /// List the tokens, never the secrets
    List,
    /// Take a token back; a running server refuses it within seconds
    Revoke(revoke::Args),
    /// Remove revoked and expired tokens from the list
    ///
    /// A server on a loopback address asks for tokens as long as the list has any, whether they may
    /// be used or not.
    Prune,
}

/// Runs the command.
pub(crate) fn run(context: &Context, command: Command) -> Result<Exit, Failure> {
    match command {
        Command::Create(args) => create::run(context, args),
        Command::List => list::run(context),
        Command::Revoke(args) => revoke::run(context, &args),
        Command::Prune => prune::run(context),
    }
}

/// A token as answers show it.
#[derive(Debug, Serialize)]
struct Shown {
    id: String,
    name: String,
    /// Every scope that it has.
    scopes: Vec<&'static str>,
    /// Whose memories alone it may write.
    system_id: Option<String>,
    /// `good`, `expired` or `revoked`.
    standing: &'static str,
    created_at: String,
    expires_at: Option<String>,
    revoked_at: Option<String>,
    /// The day on which it was used last.
    last_used: Option<String>,
}

impl Shown {
    fn new(token: Token, now: DateTime<Utc>) -> Self {
        let scopes = Scope::ALL.into_iter();
        Self {
            standing: token.standing(now).as_str(),
            id: token.id,
            name: token.name,
            scopes: scopes
                .filter(|scope| token.scope.includes(*scope))
                .map(Scope::as_str)
                .collect(),
            system_id: token.system_id.map(String::from),
            created_at: time::format(token.created_at),
            expires_at: token.expires_at.map(time::format),
            revoked_at: token.revoked_at.map(time::format),
            last_used: token
                .last_used
                .map(|day| day.format("%Y-%m-%d").to_string()),
        }
    }

    /// Returns what it allows in a few words.
    fn rights(&self) -> String {
        let scope = self.scopes.last().copied().unwrap_or_default();
        match &self.system_id {
            Some(system) => format!("{scope} as {system}"),
            None => scope.to_owned(),
        }
    }

    /// Returns the token in one line.
    fn line(&self) -> String {
        let name = show::one_line(&self.name, 40);
        let until = match (&self.expires_at, self.standing) {
            (_, "revoked") => ", revoked".to_owned(),
            (Some(end), "expired") => format!(", expired {end}"),
            (Some(end), _) => format!(", until {end}"),
            (None, _) => String::new(),
        };
        let used = match &self.last_used {
            Some(day) => format!(", used {day}"),
            None => ", never used".to_owned(),
        };
        format!("{}  {name}  {}{until}{used}", self.id, self.rights())
    }
}
