//! How values are written for people.

use akosha_core::time;
use chrono::{DateTime, SecondsFormat, Utc};

/// Returns a time to the second.
pub(crate) fn moment(at: DateTime<Utc>) -> String {
    at.to_rfc3339_opts(SecondsFormat::Secs, true)
}

/// Returns a time whole, as JSON has it.
pub(crate) fn exact(at: DateTime<Utc>) -> String {
    time::format(at)
}

/// Returns the start of a text on one line of at most `width` characters.
pub(crate) fn one_line(text: &str, width: usize) -> String {
    let mut line = String::new();
    let mut count = 0;
    for word in text.split_whitespace() {
        if !line.is_empty() {
            line.push(' ');
            count += 1;
        }
        for c in word.chars().filter(|c| !c.is_control()) {
            if count + 1 >= width {
                line.push('…');
                return line;
            }
            line.push(c);
            count += 1;
        }
    }
    line
}

/// Returns a text for the terminal: line breaks and tabs stay, other control characters, which
/// could steer the terminal, are shown escaped.
pub(crate) fn harmless(text: &str) -> String {
    let mut shown = String::with_capacity(text.len());
    for c in text.chars() {
        if c.is_control() && c != '\n' && c != '\t' {
            shown.extend(c.escape_default());
        } else {
            shown.push(c);
        }
    }
    shown
}

/// Returns `1 memory`, `2 memories`.
pub(crate) fn counted(count: u64, one: &str, many: &str) -> String {
    format!("{count} {}", if count == 1 { one } else { many })
}

/// Returns a size in bytes in binary units.
pub(crate) fn size(bytes: u64) -> String {
    indicatif::BinaryBytes(bytes).to_string()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn long_texts_are_cut_to_one_line() {
        assert_eq!(one_line("a\n\n b\tc", 10), "a b c");
        assert_eq!(one_line("abcdefghij klm", 6), "abcde…");
        assert_eq!(one_line("ünïcödé words", 100), "ünïcödé words");
    }

    #[test]
    fn control_characters_do_not_reach_the_terminal() {
        assert_eq!(harmless("a\u{1b}[31m\nb\t"), "a\\u{1b}[31m\nb\t");
        assert_eq!(one_line("a\u{1b}[31m", 100), "a[31m");
    }
}
