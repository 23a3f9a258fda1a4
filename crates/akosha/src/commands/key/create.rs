//! `akosha key create`: makes the first key of a home.

use std::io;
use std::path::PathBuf;

use akosha_core::config::Encryption;
use akosha_sync::crypt::{KeyId, KeyRing, PublicKey};
use serde::Serialize;

use crate::context::Context;
use crate::failure::{Exit, Failure};
use crate::output::{Answer, Page};

/// Runs the command.
pub(super) fn run(context: &Context) -> Result<Exit, Failure> {
    let home = context.home()?;
    let made = KeyRing::create(home, super::now())?;
    context.output().answer(&CreateAnswer {
        key_id: made.key_id(),
        public_key: made.public_key(),
        path: KeyRing::path(home),
        encrypts: context.config().encryption == Encryption::On,
    })?;
    Ok(Exit::Done)
}

#[derive(Debug, Serialize)]
struct CreateAnswer {
    key_id: KeyId,
    public_key: PublicKey,
    path: PathBuf,
    #[serde(skip)]
    encrypts: bool,
}

impl Answer for CreateAnswer {
    fn write_text(&self, page: &mut Page<'_>) -> io::Result<()> {
        page.line(format!("made the key {}", self.key_id))?;
        page.field("public key", self.public_key.to_string())?;
        page.field("file", self.path.display().to_string())?;
        page.line(
            "write down its recovery phrase, without which nobody reads the vault once this file \
             is lost: `akosha key show --phrase`",
        )?;
        if self.encrypts {
            page.line("uploads are encrypted with it from now on: `akosha sync`")
        } else {
            page.line("uploads are signed with it; to encrypt them set `encryption = \"on\"`")
        }
    }
}
