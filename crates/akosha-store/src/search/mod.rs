//! Search: by words, by meaning, and by both.

mod fold;
mod fuse;
mod keyword;
mod vector;

use std::collections::HashMap;

use akosha_core::{Embedding, Invalid, Memory, SystemId};
use rusqlite::Connection;

use crate::{Filter, Store, StoreError};

/// How often a search looks wider where the same content fills its candidates.
const WIDENED: usize = 3;

/// How much wider each time.
const WIDER: usize = 8;

/// How memories are matched.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum SearchMode {
    /// By words and by meaning.
    #[default]
    Hybrid,
    /// By meaning alone.
    Semantic,
    /// By words alone.
    Keyword,
}

/// A search.
#[derive(Debug, Clone, Default)]
pub struct SearchQuery {
    /// Any text; none of it is an operator.
    pub text: String,
    /// Most results, 1 to 100.
    pub limit: usize,
    /// How memories are matched.
    pub mode: SearchMode,
    /// The embedding of the query, where there is one.
    pub embedding: Option<Embedding>,
    /// Which memories are searched; applied before the best are chosen.
    pub filter: Filter,
    /// Least score of a result, 0 to 1.
    pub min_score: Option<f64>,
}

/// A memory that was found.
#[derive(Debug, Clone, PartialEq)]
pub struct Hit {
    /// The memory.
    pub memory: Memory,
    /// 0 to 1, relative to the best match by words and absolute by meaning.
    pub score: f64,
    /// Whether its words matched.
    pub by_keyword: bool,
    /// Whether its meaning was compared and is near.
    pub by_semantic: bool,
    /// Other systems that have a memory of the same text, in their order; at most a hundred.
    pub also_in: Vec<SystemId>,
}

/// A part of the search that did not happen.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Missing {
    /// The part, such as `embedding`.
    pub backend: &'static str,
    /// Why.
    pub reason: String,
}

/// What a search found.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct SearchOutcome {
    /// The best matches, best first.
    pub hits: Vec<Hit>,
    /// What was not searched; empty when the answer is whole.
    pub missing: Vec<Missing>,
}

impl Store {
    /// Searches the heads of all memories; what was stored before the call is found.
    ///
    /// Memories of several systems with the same text are one result, the best of them, and count
    /// once. Where the filter names a system, its memories alone are results.
    ///
    /// # Errors
    /// Fails where the limit or the least score is out of range; never because of the query text.
    pub fn search(&self, query: &SearchQuery) -> Result<SearchOutcome, StoreError> {
        check(query)?;
        let mut missing = Vec::new();
        if query.mode == SearchMode::Semantic && query.embedding.is_none() {
            missing.push(Missing {
                backend: "embedding",
                reason: "the query has no embedding and no embedding model is installed".into(),
            });
        }
        let hits = self.db().read(|db| {
            let mut pool = fuse::pool(query.limit);
            for _ in 0..WIDENED {
                let (folded, has_more) = look(db, query, pool)?;
                // Only what was folded can make room for more.
                if folded.hits.len() == query.limit || !folded.any || !has_more {
                    return Ok(folded.hits);
                }
                pool *= WIDER;
            }
            Ok(look(db, query, pool)?.0.hits)
        })?;
        Ok(SearchOutcome { hits, missing })
    }
}

fn check(query: &SearchQuery) -> Result<(), Invalid> {
    if !(1..=100).contains(&query.limit) {
        return Err(Invalid::new(
            "limit",
            format!("is `{}`, expected 1 to 100", query.limit),
        ));
    }
    match query.min_score {
        Some(least) if !(0.0..=1.0).contains(&least) => Err(Invalid::new(
            "min_score",
            format!("is `{least}`, expected 0 to 1"),
        )),
        _ => Ok(()),
    }
}

/// Looks at `pool` candidates of each side. Also returns whether there may be more.
fn look(
    db: &Connection,
    query: &SearchQuery,
    pool: usize,
) -> Result<(fold::Folded, bool), StoreError> {
    let words = match query.mode {
        SearchMode::Semantic => Vec::new(),
        SearchMode::Hybrid | SearchMode::Keyword => {
            keyword::best(db, &query.text, &query.filter, pool)?
        }
    };
    let near = match (&query.embedding, query.mode) {
        (Some(embedding), SearchMode::Hybrid | SearchMode::Semantic) => {
            vector::nearest(db, embedding, &query.filter, pool, &words)?
        }
        _ => Vec::new(),
    };
    let mut ranked = fuse::rank(&words, &near, query.mode);
    let seen = ranked.len();
    ranked.retain(|found| query.min_score.is_none_or(|least| found.score >= least));
    // What lies deeper scores less than what is cut off already.
    let has_more = seen >= pool && ranked.len() == seen;
    let folded = fold::best(db, &ranked, query.limit)?;
    Ok((folded, has_more))
}

/// A row and how well it matched on one scale.
#[derive(Debug, Clone, Copy, PartialEq)]
struct Scored {
    seq: i64,
    score: f64,
}

/// Turns a list into a map from row to score.
fn by_seq(scored: &[Scored]) -> HashMap<i64, f64> {
    scored
        .iter()
        .map(|found| (found.seq, found.score))
        .collect()
}
