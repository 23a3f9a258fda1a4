//! `akosha store`: stores a memory.

use std::fs::File;
use std::io::{self, IsTerminal, Read};
use std::path::{Path, PathBuf};

use akosha_core::{
    EMBEDDING_DIM, ErrorKind, IngestionMethod, Invalid, MAX_TEXT_BYTES, MemoryInput, NewMemory,
};
use akosha_store::Stored;
use serde::Serialize;
use serde_json::{Map, Value, json};

use crate::context::Context;
use crate::failure::{Exit, Failure};
use crate::output::{Answer, Page};
use crate::show;

/// Largest file with an embedding in bytes: 384 numbers need a tenth of it.
const MAX_EMBEDDING_FILE: u64 = 1 << 20;

/// Options of `akosha store`.
#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    /// What to remember, at most 1 MiB; `-` or nothing reads standard input
    text: Option<String>,
    /// Id of the memory; the same id again makes a new revision [default: a new ULID]
    #[arg(long)]
    id: Option<String>,
    /// Tag; repeat it for more
    #[arg(long = "tag", value_name = "TAG")]
    tags: Vec<String>,
    /// Project that it belongs to
    #[arg(long)]
    project: Option<String>,
    /// Type [default: session_memory]
    #[arg(long = "type", value_name = "TYPE")]
    kind: Option<String>,
    /// Session that it comes from
    #[arg(long, value_name = "ID")]
    session: Option<String>,
    /// More metadata: a JSON object
    #[arg(long, value_name = "JSON")]
    metadata: Option<String>,
    /// File with the embedding: a JSON list of 384 numbers
    #[arg(long, value_name = "FILE")]
    embedding: Option<PathBuf>,
}

/// Runs the command.
pub(crate) fn run(context: &Context, args: Args) -> Result<Exit, Failure> {
    let metadata = metadata(&args)?;
    let embedding = args.embedding.as_deref().map(embedding).transpose()?;
    let input = MemoryInput {
        memory_id: args.id,
        text: text(args.text)?,
        embedding,
        metadata: Some(metadata),
    };
    let memory = NewMemory::check(input, &context.loaded().redactor)?;
    let store = context.store()?;
    let stored = store.put(store.system_id(), &memory, IngestionMethod::Local)?;
    context.output().answer(&StoreAnswer::from(stored))?;
    Ok(Exit::Done)
}

/// Returns the text that was given, or reads it from standard input.
fn text(given: Option<String>) -> Result<String, Failure> {
    match given {
        Some(text) if text != "-" => return Ok(text),
        None if io::stdin().is_terminal() => {
            return Err(Failure::new(
                ErrorKind::Invalid,
                "no text is given",
                "give it: `akosha store \"what to remember\"`, or pipe it: `akosha store -`",
            ));
        }
        _ => {}
    }
    // One byte more than allowed tells a text that is too long, one more is the last line break.
    let limit = MAX_TEXT_BYTES as u64 + 2;
    let mut bytes = Vec::new();
    io::stdin()
        .lock()
        .take(limit)
        .read_to_end(&mut bytes)
        .map_err(|error| Failure::of_file("read", Path::new("standard input"), &error))?;
    let is_cut = bytes.len() as u64 == limit;
    let mut text = match String::from_utf8(bytes) {
        Ok(text) => text,
        // The limit may have cut a character in two.
        Err(_) if is_cut => return Err(too_long()),
        Err(error) => {
            let at = error.utf8_error().valid_up_to();
            return Err(Invalid::new("text", format!("is not UTF-8 at byte {at}")).into());
        }
    };
    if text.ends_with('\n') {
        text.pop();
        if text.ends_with('\r') {
            text.pop();
        }
    }
    if text.len() > MAX_TEXT_BYTES {
        return Err(too_long());
    }
    Ok(text)
}

fn too_long() -> Failure {
    Failure::new(
        ErrorKind::Invalid,
        format!("`text` is over the limit of {MAX_TEXT_BYTES} bytes"),
        "store it in parts; `akosha import markdown PATH` cuts files into sections",
    )
}

/// Joins the metadata that was given with what the options say.
fn metadata(args: &Args) -> Result<Map<String, Value>, Failure> {
    let mut map: Map<String, Value> = match &args.metadata {
        None => Map::new(),
        Some(text) => serde_json::from_str(text).map_err(|error| {
            Failure::new(
                ErrorKind::Invalid,
                format!("`metadata` is no JSON object: {error}"),
                "give an object, such as `--metadata '{\"ticket\": 42}'`",
            )
        })?,
    };
    let texts = [
        ("project", &args.project),
        ("type", &args.kind),
        ("session_id", &args.session),
    ];
    for (key, value) in texts {
        if let Some(value) = value {
            map.insert(key.into(), json!(value));
        }
    }
    if !args.tags.is_empty() {
        let given = map.get("tags").and_then(Value::as_array).cloned();
        let mut tags = given.unwrap_or_default();
        tags.extend(args.tags.iter().map(|tag| json!(tag)));
        map.insert("tags".into(), Value::Array(tags));
    }
    Ok(map)
}

/// Reads an embedding from a file.
fn embedding(path: &Path) -> Result<Vec<f32>, Failure> {
    let mut bytes = Vec::new();
    File::open(path)
        .and_then(|file| file.take(MAX_EMBEDDING_FILE).read_to_end(&mut bytes))
        .map_err(|error| Failure::of_file("read", path, &error))?;
    serde_json::from_slice(&bytes).map_err(|error| {
        Failure::new(
            ErrorKind::Invalid,
            format!("`embedding` is no list of numbers: {error}"),
            format!(
                "write {EMBEDDING_DIM} numbers as a JSON list into `{}`",
                path.display()
            ),
        )
    })
}

/// What `store` answers: the same as the tool `store_memory`.
#[derive(Debug, Serialize)]
struct StoreAnswer {
    status: &'static str,
    memory_id: String,
    stored_at: String,
    embedding_dim: Option<usize>,
    deduplicated: bool,
    revision: i64,
    redactions: usize,
    error: Option<String>,
}

impl From<Stored> for StoreAnswer {
    fn from(stored: Stored) -> Self {
        Self {
            status: "stored",
            memory_id: stored.memory_id.into(),
            stored_at: show::exact(stored.stored_at),
            embedding_dim: stored.has_embedding.then_some(EMBEDDING_DIM),
            deduplicated: stored.deduplicated,
            revision: stored.revision,
            redactions: stored.redactions,
            error: None,
        }
    }
}

impl Answer for StoreAnswer {
    fn write_text(&self, page: &mut Page<'_>) -> io::Result<()> {
        let id = &self.memory_id;
        if self.deduplicated {
            page.line(format!(
                "{id} was stored already, revision {}",
                self.revision
            ))?;
        } else if self.revision > 1 {
            page.line(format!("stored {id}, revision {}", self.revision))?;
        } else {
            page.line(format!("stored {id}"))?;
        }
        if self.redactions > 0 {
            let taken = show::counted(self.redactions as u64, "secret", "secrets");
            page.line(format!("{taken} taken out before"))?;
        }
        Ok(())
    }
}
