//! Meaning: exact cosine similarity over the stored embeddings.

use std::cmp::{Ordering, Reverse};
use std::collections::{BinaryHeap, HashSet};

use akosha_core::Embedding;
use rusqlite::{Connection, params_from_iter};

use super::Scored;
use crate::{Filter, StoreError, row};

/// Returns the `limit` nearest rows, and besides the similarity of every row in `also` that has
/// an embedding; scores are cosines, at most 1. Rows that point away (cosine at most 0) are left
/// out of the nearest.
pub(super) fn nearest(
    db: &Connection,
    query: &Embedding,
    filter: &Filter,
    limit: usize,
    also: &[Scored],
) -> Result<Vec<Scored>, StoreError> {
    let query = unit(query);
    let also: HashSet<i64> = also.iter().map(|found| found.seq).collect();
    let mut best: BinaryHeap<Reverse<Nearest>> = BinaryHeap::with_capacity(limit + 1);
    let mut asked = Vec::new();
    let (conditions, values) = filter.conditions();
    let sql = if filter.is_empty() {
        "SELECT seq, norm, vector FROM vectors WHERE is_head = 1".to_owned()
    } else {
        format!(
            "SELECT v.seq, v.norm, v.vector FROM vectors AS v JOIN changes AS c ON c.seq = v.seq \
             WHERE v.is_head = 1{conditions}"
        )
    };
    let mut statement = db.prepare_cached(&sql)?;
    let mut rows = statement.query(params_from_iter(values))?;
    while let Some(row) = rows.next()? {
        let norm: f64 = row.get(1)?;
        if norm == 0.0 {
            continue;
        }
        let bytes = row.get_ref(2)?.as_blob().map_err(row::damaged)?;
        let score = f64::from(dot(&query, bytes)) / norm;
        // Sums of numbers near the greatest float overflow.
        if !score.is_finite() {
            continue;
        }
        let found = Scored {
            seq: row.get(0)?,
            score,
        };
        if also.contains(&found.seq) {
            asked.push(found);
        } else if found.score > 0.0 {
            best.push(Reverse(Nearest(found)));
            if best.len() > limit {
                best.pop();
            }
        }
    }
    asked.extend(best.into_iter().map(|Reverse(Nearest(found))| found));
    Ok(asked)
}

/// Orders by similarity, then older first.
#[derive(Debug, PartialEq)]
struct Nearest(Scored);

impl Eq for Nearest {}

impl Ord for Nearest {
    fn cmp(&self, other: &Self) -> Ordering {
        self.0
            .score
            .total_cmp(&other.0.score)
            .then(other.0.seq.cmp(&self.0.seq))
    }
}

impl PartialOrd for Nearest {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

/// Scales the query to length 1; one of zeros stays as it is and is near nothing.
fn unit(query: &Embedding) -> Vec<f32> {
    let numbers = || query.as_slice().iter().map(|x| f64::from(*x));
    let norm = numbers().map(|x| x * x).sum::<f64>().sqrt();
    let scale = if norm > 0.0 { 1.0 / norm } else { 0.0 };
    numbers().map(|x| (x * scale) as f32).collect()
}

/// Multiplies the query with stored little-endian floats.
fn dot(query: &[f32], stored: &[u8]) -> f32 {
    // Sixteen sums of their own, so that the compiler may use wide registers.
    let mut sums = [0.0_f32; 16];
    let (numbers, _) = stored.as_chunks::<4>();
    for (q, s) in query.chunks_exact(16).zip(numbers.chunks_exact(16)) {
        for ((sum, q), s) in sums.iter_mut().zip(q).zip(s) {
            *sum += q * f32::from_le_bytes(*s);
        }
    }
    sums.iter().sum()
}
