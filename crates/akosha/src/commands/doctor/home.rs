//! The home: its disk, its store, its keys.

use std::path::Path;

use akosha_store::Store;
use akosha_sync::crypt::VaultKeys;

use super::Checks;
use crate::context::Context;
use crate::failure::Failure;
use crate::show;

/// Free bytes below which a disk is too full for work that does not look first: a push writes
/// segments of up to 64 MiB and copies of files, an import copies what it reads.
const LEAST_FREE: u64 = 1 << 30;

/// How often the store has to fit into the free space of its disk: an erasure writes the database
/// anew, for which SQLite needs up to twice its size. <https://www.sqlite.org/lang_vacuum.html>
const STORES_FREE: u64 = 2;

/// Looks at the home. Fails where there is none that a store could lie in.
pub(super) fn check(context: &Context, checks: &mut Checks) -> Result<(), Failure> {
    let home = context.home()?;
    let store = context.store()?;
    let temporary = home.temporary();
    tempfile::Builder::new()
        .prefix("doctor-")
        .tempfile_in(&temporary)
        .map_err(|error| Failure::of_file("write", &temporary, &error))?;
    let stats = store.stats()?;
    checks.ok(
        "home",
        format!(
            "{}, {}, {}",
            home.root().display(),
            show::counted(stats.memories, "memory", "memories"),
            show::size(stats.size_bytes)
        ),
    );
    let needed = LEAST_FREE.max(stats.size_bytes.saturating_mul(STORES_FREE));
    disk(&temporary, "the home", needed, checks);
    disk(&std::env::temp_dir(), "temporary files", LEAST_FREE, checks);
    schema(store, checks)?;
    keys(context, checks)?;
    checks.note(
        "model",
        "none is built into this version: memories are found by their words",
        "vectors that an assistant computes itself are used: `embedding` of `search_memories`",
    );
    Ok(())
}

fn disk(folder: &Path, whose: &str, needed: u64, checks: &mut Checks) {
    const NAME: &str = "disk";
    let shown = folder.display();
    match fs4::available_space(folder) {
        Ok(free) if free < needed => checks.warn(
            NAME,
            format!(
                "{} free for {whose}, in `{shown}`; below {} a push or an erasure may not fit",
                show::size(free),
                show::size(needed)
            ),
            "free space on that disk",
        ),
        Ok(free) => checks.ok(NAME, format!("{} free for {whose}", show::size(free))),
        Err(error) => checks.warn(
            NAME,
            format!("the free space of `{shown}` is not known: {error}"),
            "correct the path or its permissions",
        ),
    }
}

fn schema(store: &Store, checks: &mut Checks) -> Result<(), Failure> {
    const NAME: &str = "schema";
    let database = store.home().database();
    match store.quick_check()?.first() {
        None => checks.ok(NAME, "the database is sound"),
        Some(fault) => checks.fail(
            NAME,
            format!("`{}` is damaged: {fault}", database.display()),
            Some(format!(
                "save what can be read: `akosha export memories.jsonl`, then move `{}` away; a new \
                 store is made, and `akosha pull` brings back what was synced",
                database.display()
            )),
        ),
    }
    Ok(())
}

fn keys(context: &Context, checks: &mut Checks) -> Result<(), Failure> {
    const NAME: &str = "keys";
    let home = context.home()?;
    if let Some(error) = VaultKeys::config_error(home, context.loaded()) {
        checks.fail(NAME, error.to_string(), Some(error.hint));
        return Ok(());
    }
    match VaultKeys::load(home, context.config()) {
        Ok(keys) if keys.ids().is_empty() => checks.ok(NAME, "none; the vault is not encrypted"),
        Ok(keys) => {
            let count = show::counted(keys.ids().len() as u64, "key", "keys");
            let is_on = keys.to_encrypt().is_some();
            let on = if is_on { "on" } else { "off" };
            checks.ok(NAME, format!("{count}; encryption is {on}"));
        }
        Err(error) => checks.fail(NAME, error.to_string(), Some(error.hint())),
    }
    Ok(())
}
