//! `akosha key rotate`: makes a new key for new uploads.

use std::io;

use akosha_sync::crypt::{KeyError, KeyId, KeyRing, PublicKey};
use serde::Serialize;

use crate::context::Context;
use crate::failure::{Exit, Failure};
use crate::output::{Answer, Page};

/// Runs the command.
pub(super) fn run(context: &Context) -> Result<Exit, Failure> {
    let home = context.home()?;
    let made = KeyRing::rotate(home, super::now())?;
    let previous = KeyRing::load(home)?
        .keys()
        .get(1)
        .map(akosha_sync::crypt::HeldKey::key_id)
        .ok_or(KeyError::None)?;
    context.output().answer(&RotateAnswer {
        key_id: made.key_id(),
        public_key: made.public_key(),
        previous,
    })?;
    Ok(Exit::Done)
}

#[derive(Debug, Serialize)]
struct RotateAnswer {
    key_id: KeyId,
    public_key: PublicKey,
    /// The key that new uploads were made with until now.
    previous: KeyId,
}

impl Answer for RotateAnswer {
    fn write_text(&self, page: &mut Page<'_>) -> io::Result<()> {
        page.line(format!(
            "made the key {} for new uploads; {} still reads the older ones",
            self.key_id, self.previous
        ))?;
        page.field("public key", self.public_key.to_string())?;
        page.line(
            "write down its recovery phrase: `akosha key show --phrase`; other machines need it \
             too: `akosha key import --current`",
        )
    }
}
