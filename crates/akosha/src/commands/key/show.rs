//! `akosha key show`: shows the keys of a home.

use std::io;
use std::path::PathBuf;

use akosha_sync::crypt::{HeldKey, KeyError, KeyId, KeyRing, Phrase, PublicKey};
use chrono::{DateTime, Utc};
use serde::Serialize;

use crate::context::Context;
use crate::failure::{Exit, Failure};
use crate::output::{Answer, Page};
use crate::show;

/// Options of `akosha key show`.
#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    /// Id of one key [default: all; with `--phrase` the current one]
    key_id: Option<KeyId>,
    /// Print the 24 words that are the key: whoever reads them reads the vault
    #[arg(long)]
    phrase: bool,
}

/// Runs the command.
pub(super) fn run(context: &Context, args: &Args) -> Result<Exit, Failure> {
    let home = context.home()?;
    let ring = KeyRing::load(home)?;
    let current = ring.current().ok_or(KeyError::None)?;
    if args.phrase {
        let held = match args.key_id {
            Some(key_id) => ring.find(key_id).ok_or(KeyError::Unknown { key_id })?,
            None => current,
        };
        context.output().warning(
            "whoever reads these words reads the vault and signs in your name: write them on \
             paper, and clear the screen",
            &[],
        );
        context.output().answer(&PhraseAnswer {
            key_id: held.key_id(),
            phrase: held.phrase(),
        })?;
        return Ok(Exit::Done);
    }
    let shown: Vec<ShownKey> = ring
        .keys()
        .iter()
        .filter(|held| args.key_id.is_none_or(|wanted| held.key_id() == wanted))
        .map(|held| ShownKey::new(held, current.key_id()))
        .collect();
    if let (true, Some(key_id)) = (shown.is_empty(), args.key_id) {
        return Err(KeyError::Unknown { key_id }.into());
    }
    context.output().answer(&ShowAnswer {
        keys: shown,
        path: KeyRing::path(home),
    })?;
    Ok(Exit::Done)
}

#[derive(Debug, Serialize)]
struct ShowAnswer {
    keys: Vec<ShownKey>,
    path: PathBuf,
}

#[derive(Debug, Serialize)]
struct ShownKey {
    key_id: KeyId,
    public_key: PublicKey,
    #[serde(with = "akosha_core::time::serde_utc")]
    created_at: DateTime<Utc>,
    /// Whether new uploads are made with it.
    current: bool,
}

impl ShownKey {
    fn new(held: &HeldKey, current: KeyId) -> Self {
        Self {
            key_id: held.key_id(),
            public_key: held.public_key(),
            created_at: held.created_at(),
            current: held.key_id() == current,
        }
    }
}

impl Answer for ShowAnswer {
    fn write_text(&self, page: &mut Page<'_>) -> io::Result<()> {
        for key in &self.keys {
            let role = if key.current {
                "for new uploads"
            } else {
                "reads older uploads"
            };
            page.heading(format!("{}  {role}", key.key_id))?;
            page.field("public key", key.public_key.to_string())?;
            page.field("since", show::moment(key.created_at))?;
        }
        page.aside(format!("in {}", self.path.display()))
    }
}

#[derive(Debug)]
struct PhraseAnswer {
    key_id: KeyId,
    phrase: Phrase,
}

impl Serialize for PhraseAnswer {
    fn serialize<S: serde::Serializer>(&self, to: S) -> Result<S::Ok, S::Error> {
        #[derive(Serialize)]
        struct Exposed<'a> {
            key_id: KeyId,
            phrase: &'a str,
        }
        Exposed {
            key_id: self.key_id,
            phrase: self.phrase.expose(),
        }
        .serialize(to)
    }
}

impl Answer for PhraseAnswer {
    fn write_text(&self, page: &mut Page<'_>) -> io::Result<()> {
        page.line(self.phrase.expose())
    }
}
