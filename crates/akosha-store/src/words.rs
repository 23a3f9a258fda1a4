//! Words as the full-text index sees them.
//!
//! The index parts words at spaces and punctuation. Scripts that are written without spaces are
//! therefore indexed character by character, and looked up by pairs of neighbours.

use std::borrow::Cow;

/// Most words of one compound that are looked up as a phrase.
const MAX_PHRASE: usize = 8;

/// Returns `text` with a space around every character of a script without spaces.
pub(crate) fn spaced(text: &str) -> Cow<'_, str> {
    if text.is_ascii() || !text.chars().any(is_dense) {
        return Cow::Borrowed(text);
    }
    let mut spaced = String::with_capacity(text.len() * 2);
    for c in text.chars() {
        if is_dense(c) {
            spaced.extend([' ', c, ' ']);
        } else {
            spaced.push(c);
        }
    }
    Cow::Owned(spaced)
}

/// Returns what to look up for a piece of a query that has no white space: its words in lower
/// case, and where it is a compound such as `auth.rs` also the whole as a phrase. A term of
/// several words is parted by single spaces.
pub(crate) fn terms(piece: &str) -> Vec<String> {
    let runs = runs(piece);
    let mut terms = Vec::new();
    if runs.len() > 1 {
        let phrase = runs.iter().flat_map(Run::words).take(MAX_PHRASE + 1);
        let phrase: Vec<String> = phrase.collect();
        if phrase.len() <= MAX_PHRASE {
            terms.push(phrase.join(" "));
        }
    }
    for run in &runs {
        match run {
            Run::Word(word) => terms.push(word.clone()),
            Run::Dense(chars) if chars.len() == 1 => terms.extend(run.words()),
            Run::Dense(chars) => {
                terms.extend(
                    chars
                        .windows(2)
                        .map(|pair| format!("{} {}", pair[0], pair[1])),
                );
            }
        }
    }
    terms
}

/// Characters of one kind that follow each other.
enum Run {
    /// Letters and digits, in lower case.
    Word(String),
    /// Characters of a script without spaces.
    Dense(Vec<char>),
}

impl Run {
    fn words(&self) -> Vec<String> {
        match self {
            Self::Word(word) => vec![word.clone()],
            Self::Dense(chars) => chars.iter().map(char::to_string).collect(),
        }
    }
}

fn runs(piece: &str) -> Vec<Run> {
    let mut runs: Vec<Run> = Vec::new();
    let mut joined = false;
    for c in piece.chars() {
        let dense = is_dense(c);
        if !(dense || c.is_alphanumeric()) {
            joined = false;
            continue;
        }
        match runs.last_mut().filter(|_| joined) {
            Some(Run::Word(word)) if !dense => word.extend(c.to_lowercase()),
            Some(Run::Dense(chars)) if dense => chars.push(c),
            _ if dense => runs.push(Run::Dense(vec![c])),
            _ => runs.push(Run::Word(c.to_lowercase().collect())),
        }
        joined = true;
    }
    runs
}

/// Returns whether `c` belongs to a script that puts no spaces between words, or whose words
/// carry their particles: Thai, Lao, Myanmar, Khmer, kana, Han, Hangul.
fn is_dense(c: char) -> bool {
    matches!(u32::from(c),
        0x0e00..=0x0eff | 0x1000..=0x109f | 0x1780..=0x17ff
        | 0x3041..=0x30ff | 0x31f0..=0x31ff | 0x3400..=0x4dbf | 0x4e00..=0x9fff
        | 0xac00..=0xd7a3 | 0xf900..=0xfaff | 0xff66..=0xff9d | 0x20000..=0x3ffff)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn compounds_are_words_and_a_phrase() {
        assert_eq!(terms("Auth.rs"), ["auth rs", "auth", "rs"]);
        assert_eq!(terms("--x--"), ["x"]);
        assert_eq!(terms("a.b.c.d.e.f.g.h.i").len(), 9);
        assert!(terms("\"*'").is_empty());
    }

    #[test]
    fn scripts_without_spaces_are_looked_up_by_pairs() {
        assert_eq!(terms("日本語"), ["日 本", "本 語"]);
        assert_eq!(terms("鍵"), ["鍵"]);
        assert_eq!(terms("Rust言語"), ["rust 言 語", "rust", "言 語"]);
        assert_eq!(spaced("a日b"), "a 日 b");
        assert!(matches!(spaced("für élan"), Cow::Borrowed(_)));
    }
}
