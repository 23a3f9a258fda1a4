//! Puts words and meaning together.
//!
//! A weighted sum of normalised scores with the words in front finds more than either alone and
//! more than reciprocal-rank fusion, measured on long conversations.

use std::collections::HashMap;

use super::{Scored, SearchMode, by_seq};

/// Weight of the words; the rest is meaning.
const WORDS: f64 = 0.65;

/// Least cosine at which a hybrid search counts a memory as matched by meaning.
const NEAR: f64 = 0.2;

/// How many candidates each side brings for `limit` results.
pub(super) fn pool(limit: usize) -> usize {
    (limit * 4).max(50)
}

/// A row with its final score.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) struct Ranked {
    pub(super) seq: i64,
    pub(super) score: f64,
    pub(super) by_keyword: bool,
    pub(super) by_semantic: bool,
}

/// Ranks the union of both sides, best first. A side that brought nothing has no weight.
pub(super) fn rank(words: &[Scored], near: &[Scored], mode: SearchMode) -> Vec<Ranked> {
    let floor = if mode == SearchMode::Hybrid {
        NEAR
    } else {
        0.0
    };
    let best = words.first().map_or(1.0, |first| first.score);
    let similar = by_seq(near);
    let weight = match (words.is_empty(), near.is_empty()) {
        (false, true) => 1.0,
        (true, _) => 0.0,
        (false, false) => WORDS,
    };
    let mut ranked: HashMap<i64, Ranked> = words
        .iter()
        .map(|found| {
            // BM25 of a word that half of all texts have can be zero.
            let share = if best > 0.0 { found.score / best } else { 1.0 };
            let entry = Ranked {
                seq: found.seq,
                score: weight * share,
                by_keyword: true,
                by_semantic: false,
            };
            (found.seq, entry)
        })
        .collect();
    for (&seq, &cosine) in &similar {
        let entry = ranked.entry(seq).or_insert(Ranked {
            seq,
            score: 0.0,
            by_keyword: false,
            by_semantic: false,
        });
        entry.score += (1.0 - weight) * cosine.clamp(0.0, 1.0);
        entry.by_semantic = cosine > floor;
    }
    let mut ranked: Vec<Ranked> = ranked
        .into_values()
        .filter(|found| found.by_keyword || found.by_semantic)
        .collect();
    ranked.sort_by(|a, b| b.score.total_cmp(&a.score).then(b.seq.cmp(&a.seq)));
    ranked
}
