//! Texts for people and for clients that show no structured results.

/// Longest text of one memory among several, in characters.
pub(super) const MEMORY_TEXT: usize = 2_000;

/// Longest text of a whole result, in characters: clients cut results at some 25,000 tokens.
pub(super) const RESULT_TEXT: usize = 60_000;

/// Returns at most `limit` characters of `text`; what is cut ends in an ellipsis.
pub(crate) fn cut(text: &str, limit: usize) -> String {
    let place = |n: usize| text.char_indices().nth(n).map(|(at, _)| at);
    if place(limit).is_none() {
        return text.to_owned();
    }
    let end = place(limit.saturating_sub(1)).unwrap_or_default();
    format!("{}…", text.get(..end).unwrap_or_default().trim_end())
}

/// Joins `items` until the result would be longer than [`RESULT_TEXT`], then says how many are
/// left out.
pub(super) fn join(items: impl ExactSizeIterator<Item = String>) -> String {
    let total = items.len();
    let mut text = String::new();
    let mut length = 0;
    for (shown, item) in items.enumerate() {
        length += item.chars().count() + 1;
        if length > RESULT_TEXT && shown > 0 {
            let left = (total - shown).to_string();
            text.extend([
                "(",
                &left,
                " more are in the structured result; `get_memory` shows one)",
            ]);
            break;
        }
        text.push_str(&item);
        text.push('\n');
    }
    text.truncate(text.trim_end().len());
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_cut_text_has_the_limit_in_characters() {
        assert_eq!(cut("größe", 5), "größe");
        assert_eq!(cut("größer", 5), "größ…");
        assert_eq!(cut("a   b", 4), "a…");
        assert_eq!(cut("", 0), "");
    }

    #[test]
    fn what_does_not_fit_is_counted() {
        let long = "x".repeat(RESULT_TEXT / 2);
        let text = join(vec![long.clone(), long.clone(), long].into_iter());
        assert!(text.ends_with("(2 more are in the structured result; `get_memory` shows one)"));
        assert_eq!(join(Vec::new().into_iter()), "");
    }
}
