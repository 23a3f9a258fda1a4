//! Shows content that several systems have once, and says who else has it.

use std::collections::HashMap;
use std::collections::hash_map::Entry;

use akosha_core::SystemId;
use rusqlite::Connection;

use super::Hit;
use super::fuse::Ranked;
use crate::{StoreError, content, row};

/// What is shown of the candidates.
pub(super) struct Folded {
    pub(super) hits: Vec<Hit>,
    /// Whether a candidate was folded into another one.
    pub(super) any: bool,
}

/// Takes the best `limit` of `ranked`, best first. A candidate whose text an earlier one of another
/// system has is folded into it; the memories of one system are its own, whatever they say.
pub(super) fn best(db: &Connection, ranked: &[Ranked], limit: usize) -> Result<Folded, StoreError> {
    let mut light = db.prepare_cached("SELECT system_id, text FROM changes WHERE seq = ?1")?;
    // The place and the system of the first one of each text, and who else was met.
    let mut met: HashMap<String, First> = HashMap::new();
    let mut hits: Vec<Hit> = Vec::with_capacity(limit);
    let mut any = false;
    for found in ranked {
        if hits.len() == limit {
            break;
        }
        let (system_id, text): (String, String) =
            light.query_row([found.seq], |row| Ok((row.get(0)?, row.get(1)?)))?;
        match met.entry(text) {
            Entry::Occupied(mut first) if first.get().system_id != system_id => {
                any = true;
                first.get_mut().others.push(system_id);
                continue;
            }
            Entry::Occupied(_) => {}
            Entry::Vacant(free) => {
                free.insert(First {
                    system_id,
                    others: Vec::new(),
                });
            }
        }
        hits.push(load(db, found)?);
    }
    for hit in &mut hits {
        let own = hit.memory.system_id.as_str();
        let mut others = content::systems_with(db, &hit.memory.text, own)?;
        // Rows that an older version wrote may not be known by their content yet.
        if let Some(first) = met.remove(&hit.memory.text) {
            others.extend(first.others);
            others.sort_unstable();
            others.dedup();
            others.truncate(content::MOST_SYSTEMS);
        }
        hit.also_in = others
            .into_iter()
            .map(SystemId::try_from)
            .collect::<Result<_, _>>()
            .map_err(row::damaged)?;
    }
    Ok(Folded { hits, any })
}

/// The best candidate of a text.
struct First {
    system_id: String,
    others: Vec<String>,
}

fn load(db: &Connection, found: &Ranked) -> Result<Hit, StoreError> {
    let mut statement = db.prepare_cached(&format!(
        "SELECT {} FROM {} WHERE c.seq = ?1",
        row::COLUMNS,
        row::TABLES
    ))?;
    let mut rows = statement.query([found.seq])?;
    let row = rows.next()?.ok_or(rusqlite::Error::QueryReturnedNoRows)?;
    Ok(Hit {
        memory: row::memory(row)?,
        score: found.score,
        by_keyword: found.by_keyword,
        by_semantic: found.by_semantic,
        also_in: Vec::new(),
    })
}
