//! `akosha key import`: brings in the key of another machine.

use std::fs::File;
use std::io::{self, IsTerminal, Read};
use std::path::{Path, PathBuf};

use akosha_core::ErrorKind;
use akosha_sync::crypt::{Brought, KeyId, KeyRing};
use serde::Serialize;
use zeroize::Zeroizing;

use crate::context::Context;
use crate::failure::{Exit, Failure};
use crate::output::{Answer, Page};

/// Largest input in bytes: 64 KiB, what a key file may have.
const MAX_INPUT: u64 = 64 << 10;

/// Options of `akosha key import`.
#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    /// File with the 24 words, or the other machine's `keys.json` [default: standard input]
    // Never the words themselves: command lines are seen by others and kept in histories.
    path: Option<PathBuf>,
    /// Make new uploads with the key, although this home has one
    #[arg(long)]
    current: bool,
}

/// Runs the command.
pub(super) fn run(context: &Context, args: &Args) -> Result<Exit, Failure> {
    let home = context.home()?;
    let text = match args.path.as_deref() {
        Some(path) if path != Path::new("-") => {
            let file = File::open(path).map_err(|error| unread(path, &error))?;
            read(file, path)?
        }
        _ => {
            if io::stdin().is_terminal() && !context.output().is_json() {
                context
                    .output()
                    .warning("type the 24 words, then end the input with Ctrl-D", &[]);
            }
            read(io::stdin().lock(), Path::new("standard input"))?
        }
    };
    let Brought {
        new,
        known,
        current,
    } = KeyRing::import(home, &text, args.current, super::now())?;
    context.output().answer(&ImportAnswer {
        imported: new,
        known,
        current,
    })?;
    Ok(Exit::Done)
}

fn read(input: impl Read, path: &Path) -> Result<Zeroizing<String>, Failure> {
    // Reserved at once: a text that grows leaves copies behind.
    let mut text = Zeroizing::new(String::with_capacity(MAX_INPUT as usize + 1));
    let size = input
        .take(MAX_INPUT + 1)
        .read_to_string(&mut text)
        .map_err(|error| unread(path, &error))?;
    if size as u64 > MAX_INPUT {
        return Err(Failure::new(
            ErrorKind::Invalid,
            format!("`{}` is neither a phrase nor a key file", path.display()),
            "give the 24 words, or the file `keys.json` of the other machine's home",
        ));
    }
    Ok(text)
}

/// Words on the command line are taken for a path, which the error must not repeat.
fn unread(path: &Path, error: &io::Error) -> Failure {
    let words = path.as_os_str().to_string_lossy();
    if words.split_whitespace().count() >= 12 {
        return Failure::new(
            ErrorKind::Invalid,
            "the words of a phrase are not taken from the command line, which others can see",
            "pipe them: `akosha key import < FILE`; since they were shown, make another key \
             afterwards: `akosha key rotate`",
        );
    }
    Failure::of_file("read", path, error)
}

#[derive(Debug, Serialize)]
struct ImportAnswer {
    /// Keys that were not here before.
    imported: Vec<KeyId>,
    /// Keys that were.
    known: Vec<KeyId>,
    /// The key that new uploads are made with.
    current: KeyId,
}

impl Answer for ImportAnswer {
    fn write_text(&self, page: &mut Page<'_>) -> io::Result<()> {
        for key_id in &self.imported {
            page.line(format!("brought in the key {key_id}"))?;
        }
        for key_id in &self.known {
            page.line(format!("the key {key_id} was here already"))?;
        }
        page.line(format!("new uploads are made with {}", self.current))?;
        if self.imported.is_empty() {
            return Ok(());
        }
        if !self.imported.contains(&self.current) {
            page.line("to make them with the other one: `akosha key import --current`")?;
        }
        page.line("read what was set aside for want of it: `akosha pull`")
    }
}
