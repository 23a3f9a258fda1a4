//! Words: BM25 over the full-text index.

use std::collections::HashSet;

use rusqlite::types::Value;
use rusqlite::{Connection, params_from_iter};

use super::Scored;
use crate::{Filter, StoreError, words};

/// Most different words of a query that are looked up; the first ones count.
const MAX_TERMS: usize = 64;

/// English words that are left out of a query unless it has no others: nearly every text has
/// them, so they cost time and say nothing.
const STOP_WORDS: [&str; 57] = [
    "a", "about", "an", "and", "any", "are", "as", "at", "be", "been", "but", "by", "can", "did",
    "do", "does", "for", "from", "had", "has", "have", "he", "her", "his", "how", "i", "if", "in",
    "is", "it", "its", "my", "not", "of", "on", "or", "our", "she", "so", "that", "the", "their",
    "there", "they", "this", "to", "was", "we", "were", "what", "when", "where", "which", "who",
    "with", "you", "your",
];

/// Returns the `limit` best rows by words, best first; scores are positive, greater is better.
pub(super) fn best(
    db: &Connection,
    text: &str,
    filter: &Filter,
    limit: usize,
) -> Result<Vec<Scored>, StoreError> {
    let Some(expression) = expression(text) else {
        return Ok(Vec::new());
    };
    let (conditions, mut values) = filter.conditions();
    // Only heads are in the index, so without a filter the table itself is not read.
    let sql = if filter.is_empty() {
        "SELECT rowid, rank FROM words WHERE words MATCH ? ORDER BY rank LIMIT ?".to_owned()
    } else {
        format!(
            "SELECT c.seq, w.rank FROM words AS w JOIN changes AS c ON c.seq = w.rowid \
             WHERE w.words MATCH ?{conditions} ORDER BY w.rank LIMIT ?"
        )
    };
    values.insert(0, Value::from(expression));
    values.push(Value::from(limit as i64));
    let mut statement = db.prepare_cached(&sql)?;
    let rows = statement.query_map(params_from_iter(values), |row| {
        Ok(Scored {
            seq: row.get(0)?,
            // FTS5 returns BM25 negated, so that the best comes first.
            score: -row.get::<_, f64>(1)?,
        })
    })?;
    Ok(rows.collect::<Result<_, _>>()?)
}

/// Returns the query as an expression of FTS5 in which every term is quoted, or `None` where the
/// text has no word.
fn expression(text: &str) -> Option<String> {
    let mut seen = HashSet::new();
    let mut terms = Vec::new();
    for piece in text.split_whitespace() {
        terms.extend(words::terms(piece));
        if terms.len() > MAX_TERMS * 4 {
            break;
        }
    }
    terms.retain(|term| seen.insert(term.clone()));
    let telling: Vec<&String> = terms
        .iter()
        .filter(|term| STOP_WORDS.binary_search(&term.as_str()).is_err())
        .collect();
    let chosen = if telling.is_empty() {
        terms.iter().collect()
    } else {
        telling
    };
    let quoted: Vec<String> = chosen
        .iter()
        .take(MAX_TERMS)
        .map(|term| format!("\"{term}\""))
        .collect();
    (!quoted.is_empty()).then(|| quoted.join(" OR "))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_text_is_an_operator() {
        assert_eq!(
            expression("\"a\" NEAR(b) -c*"),
            Some("\"near b\" OR \"near\" OR \"b\" OR \"c\"".into())
        );
        assert_eq!(
            expression("AND OR NOT"),
            Some("\"and\" OR \"or\" OR \"not\"".into())
        );
        assert_eq!(expression(" !?*\"' \0 "), None);
        assert_eq!(expression(""), None);
    }

    #[test]
    fn stop_words_are_sorted_and_count_only_alone() {
        assert!(STOP_WORDS.is_sorted());
        assert_eq!(expression("where is the token"), Some("\"token\"".into()));
        assert_eq!(expression("where is"), Some("\"where\" OR \"is\"".into()));
    }

    #[test]
    fn long_queries_are_cut() {
        let words: Vec<String> = (0..5000).map(|i| format!("word{i}")).collect();
        let text = words.join(" ");
        assert_eq!(
            expression(&text).unwrap().matches(" OR ").count(),
            MAX_TERMS - 1
        );
    }
}
