//! Cuts a Markdown text into its sections.

use std::ops::Range;

use pulldown_cmark::{Event, Options, Parser, Tag, TagEnd};

/// Longest heading that is kept, in characters; a setext heading can be a whole paragraph.
const HEADING_CHARS: usize = 300;

/// A heading with the text up to the next one, or the text before the first heading.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Section {
    /// The headings that lead here, the outermost first, this one last.
    pub(super) headings: Vec<String>,
    /// Which of the sections with these headings in this file it is, from 0.
    pub(super) ordinal: usize,
    /// Where its text lies, its own heading included.
    pub(super) range: Range<usize>,
}

/// Returns the sections of `text` that say anything beyond their heading, in their order.
pub(super) fn sections(text: &str) -> Vec<Section> {
    let marks = marks(text);
    let first = marks.first().map_or(text.len(), |mark| mark.range.start);
    let mut found = Vec::new();
    if !text[..first].trim().is_empty() {
        found.push(Section {
            headings: Vec::new(),
            ordinal: 0,
            range: 0..first,
        });
    }
    let mut trail: Vec<(u8, String)> = Vec::new();
    let mut seen = std::collections::HashMap::<Vec<String>, usize>::new();
    let ends = marks
        .iter()
        .skip(1)
        .map(|mark| mark.range.start)
        .chain([text.len()]);
    for (mark, end) in marks.iter().zip(ends) {
        while trail.last().is_some_and(|(level, _)| *level >= mark.level) {
            trail.pop();
        }
        trail.push((mark.level, mark.title.clone()));
        let headings: Vec<String> = trail.iter().map(|(_, title)| title.clone()).collect();
        // Counted even where the section is empty: filling one must not rename the next.
        let count = seen.entry(headings.clone()).or_insert(0);
        let ordinal = *count;
        *count += 1;
        if !text[mark.range.end..end].trim().is_empty() {
            found.push(Section {
                headings,
                ordinal,
                range: mark.range.start..end,
            });
        }
    }
    found
}

/// A heading in the text.
struct Mark {
    level: u8,
    title: String,
    range: Range<usize>,
}

/// Finds the headings that stand by themselves; one inside a quotation or a list is text.
fn marks(text: &str) -> Vec<Mark> {
    let options = Options::ENABLE_TABLES | Options::ENABLE_FOOTNOTES;
    let mut marks: Vec<Mark> = Vec::new();
    let mut depth = 0_usize;
    let mut in_heading = false;
    for (event, range) in Parser::new_ext(text, options).into_offset_iter() {
        match event {
            Event::Start(tag) => {
                if let Tag::Heading { level, .. } = tag
                    && depth == 0
                {
                    in_heading = true;
                    marks.push(Mark {
                        level: level as u8,
                        title: String::new(),
                        range,
                    });
                }
                depth += 1;
            }
            Event::End(tag) => {
                depth = depth.saturating_sub(1);
                if depth == 0 && matches!(tag, TagEnd::Heading(_)) {
                    in_heading = false;
                }
            }
            Event::Text(part) | Event::Code(part) if in_heading => {
                if let Some(mark) = marks.last_mut() {
                    mark.title.push_str(&part);
                }
            }
            Event::SoftBreak | Event::HardBreak if in_heading => {
                if let Some(mark) = marks.last_mut() {
                    mark.title.push(' ');
                }
            }
            _ => {}
        }
    }
    for mark in &mut marks {
        let words: Vec<&str> = mark.title.split_whitespace().collect();
        mark.title = words.join(" ").chars().take(HEADING_CHARS).collect();
    }
    marks
}

/// Cuts `text` into parts of at most `limit` bytes, best between paragraphs, else between lines,
/// else between characters.
pub(super) fn split(text: &str, limit: usize) -> Vec<&str> {
    let mut parts = Vec::new();
    let mut rest = text;
    while rest.len() > limit {
        let window = &rest[..rest.floor_char_boundary(limit)];
        let later_half = |at: &usize| *at > limit / 2;
        let at = window
            .rfind("\n\n")
            .filter(later_half)
            .or_else(|| window.rfind('\n').filter(later_half))
            .or_else(|| window.rfind(' ').filter(later_half))
            .map_or(window.len(), |at| at + 1);
        let (part, remaining) = rest.split_at(at);
        parts.push(part);
        rest = remaining;
    }
    parts.push(rest);
    parts.retain(|part| !part.trim().is_empty());
    parts
}

#[cfg(test)]
mod tests {
    use super::*;

    fn cut(text: &str) -> Vec<(String, usize, &str)> {
        sections(text)
            .into_iter()
            .map(|section| {
                let trail = section.headings.join(" > ");
                (trail, section.ordinal, text[section.range].trim())
            })
            .collect()
    }

    #[test]
    fn both_kinds_of_headings_make_sections_with_their_trail() {
        let text = "before\n\n# One\na\n\nTwo\n---\nb\n\n### `Deep` *er*\nc\n\n# Three\nd\n";
        assert_eq!(
            cut(text),
            [
                (String::new(), 0, "before"),
                ("One".into(), 0, "# One\na"),
                ("One > Two".into(), 0, "Two\n---\nb"),
                ("One > Two > Deep er".into(), 0, "### `Deep` *er*\nc"),
                ("Three".into(), 0, "# Three\nd"),
            ]
        );
    }

    #[test]
    fn what_only_looks_like_a_heading_is_text() {
        let text = "# Real\n```sh\n# a comment\n```\n\n    # indented\n\n> # quoted\n\n- # listed\n\n\
                    #hashtag\n\n<!--\n# hidden\n-->\n";
        assert_eq!(cut(text).len(), 1);
    }

    #[test]
    fn empty_sections_are_left_out_and_equal_trails_are_counted() {
        let text = "# Log\n## Added\n## Added\none\n## Added\ntwo\n# Empty\n";
        assert_eq!(
            cut(text),
            [
                ("Log > Added".into(), 1, "## Added\none"),
                ("Log > Added".into(), 2, "## Added\ntwo"),
            ]
        );
        assert_eq!(cut(""), []);
        assert_eq!(cut(" \n\n"), []);
    }

    #[test]
    fn long_texts_are_split_without_loss() {
        for text in [
            "aaa bbb\n\nccc ddd\neee".repeat(50),
            "é".repeat(500),
            "🦀 x".repeat(99),
        ] {
            let parts = split(&text, 64);
            assert!(parts.iter().all(|part| part.len() <= 64), "{parts:?}");
            assert_eq!(parts.concat(), text);
        }
        assert_eq!(split("short", 64), ["short"]);
    }
}
