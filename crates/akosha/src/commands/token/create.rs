//! `akosha token create`: makes a token and shows it once.

use std::io;

use akosha_core::{ErrorKind, Invalid, Scope, SystemId, time};
use akosha_store::NewToken;
use chrono::{DateTime, TimeDelta, Utc};
use serde::Serialize;
use zeroize::Zeroizing;

use super::Shown;
use crate::context::Context;
use crate::failure::{Exit, Failure};
use crate::output::{Answer, Page};
use crate::token;

/// Options of `akosha token create`.
#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    /// What people call it
    #[arg(long)]
    name: String,
    /// What it allows: `read`, `write`, `admin`, each with what stands before it; may be repeated
    #[arg(long = "scope", value_name = "SCOPE", default_value = "read")]
    scopes: Vec<Scope>,
    /// System whose memories alone it may write
    #[arg(long, value_name = "ID")]
    system: Option<SystemId>,
    /// When it ends by itself: a time, or a span from now such as `90d`, `12h`, `4w`
    #[arg(long, value_name = "WHEN")]
    expires: Option<String>,
}

/// Runs the command.
pub(super) fn run(context: &Context, args: Args) -> Result<Exit, Failure> {
    let scope = args.scopes.into_iter().max().unwrap_or_default();
    if scope == Scope::Admin && args.system.is_some() {
        return Err(Failure::new(
            ErrorKind::Invalid,
            "`--scope admin` is for the whole server and `--system` for one system",
            "leave one of the two out",
        ));
    }
    let store = context.store()?;
    let now = store.sources().clock.now();
    let expires_at = args.expires.map(|text| end(&text, now)).transpose()?;
    let secret = token::make()?;
    let made = store.create_token(NewToken {
        name: args.name,
        hash: token::hash(&secret),
        scope,
        system_id: args.system,
        expires_at,
    })?;
    context.output().answer(&CreateAnswer {
        token: secret,
        shown: Shown::new(made, now),
    })?;
    Ok(Exit::Done)
}

/// Reads when a token ends.
fn end(text: &str, now: DateTime<Utc>) -> Result<DateTime<Utc>, Invalid> {
    let wrong = || {
        let shown = akosha_core::excerpt(text);
        let rule = "expected a time that is to come, or a span such as `90d`, `12h`, `4w`";
        Invalid::new("--expires", format!("is `{shown}`, {rule}"))
    };
    let end = match span(text) {
        Some(span) => now.checked_add_signed(span).ok_or_else(wrong)?,
        None => time::parse(text).map_err(|_| wrong())?,
    };
    if end > now { Ok(end) } else { Err(wrong()) }
}

fn span(text: &str) -> Option<TimeDelta> {
    let unit = text.chars().last()?;
    let count: i64 = text.strip_suffix(unit)?.parse().ok()?;
    match unit {
        'h' => TimeDelta::try_hours(count),
        'd' => TimeDelta::try_days(count),
        'w' => TimeDelta::try_weeks(count),
        _ => None,
    }
}

#[derive(Serialize)]
struct CreateAnswer {
    #[serde(serialize_with = "exposed")]
    token: Zeroizing<String>,
    #[serde(flatten)]
    shown: Shown,
}

fn exposed<S: serde::Serializer>(secret: &Zeroizing<String>, to: S) -> Result<S::Ok, S::Error> {
    to.serialize_str(secret)
}

impl Answer for CreateAnswer {
    fn write_text(&self, page: &mut Page<'_>) -> io::Result<()> {
        page.line(&*self.token)?;
        let until = match &self.shown.expires_at {
            Some(end) => format!(", until {end}"),
            None => String::new(),
        };
        page.aside(format!(
            "`{}`: {}{until}; it is not shown again",
            self.shown.name,
            self.shown.rights()
        ))?;
        page.aside("a client sends it as `Authorization: Bearer …`; another akosha has it as `akosha_token`")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_end_is_a_time_or_a_span_from_now() {
        let now = time::parse("2026-05-01T12:00:00Z").unwrap();
        let ends = |text| end(text, now).map(time::format).ok();
        assert_eq!(ends("90d").unwrap(), "2026-07-30T12:00:00Z");
        assert_eq!(ends("12h").unwrap(), "2026-05-02T00:00:00Z");
        assert_eq!(ends("1w").unwrap(), "2026-05-08T12:00:00Z");
        assert_eq!(ends("2027-01-01").unwrap(), "2027-01-01T00:00:00Z");
        for wrong in [
            "",
            "d",
            "0d",
            "-1d",
            "90",
            "90m",
            "2026-01-01",
            "9999999999999d",
            "€",
        ] {
            assert_eq!(ends(wrong), None, "{wrong}");
        }
    }
}
