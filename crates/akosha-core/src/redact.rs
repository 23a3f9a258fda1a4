//! Takes secrets out of what is about to be stored.

mod custom;
mod rule;
#[cfg(test)]
mod tests;

use std::fmt;
use std::ops::Range;
use std::sync::{Arc, LazyLock, OnceLock};

use aho_corasick::AhoCorasick;
use regex::Regex;
use serde_json::{Map, Value};

use custom::CustomRule;
use rule::{Find, RULES, Rule};

pub use custom::BadRule;

/// Most rounds over one text. Taking one secret out can lay another one open, so rounds go on
/// until one finds nothing; texts need two.
const MAX_ROUNDS: usize = 8;

/// What every marker starts with.
const MARKER: &str = "[redacted:";

static BUILT_IN: LazyLock<RuleSet> = LazyLock::new(|| RuleSet::new(RULES));

/// Replaces `<private>…</private>` spans and well-known key patterns by markers such as
/// `[redacted:private]` and `[redacted:github-token]`, and what the user's own rules find.
///
/// A `<private>` that is not closed reaches to the end of the text. A text without secrets costs
/// one scan. What was redacted once stays as it is when it is redacted again.
#[derive(Clone)]
pub struct Redactor {
    rules: &'static LazyLock<RuleSet>,
    custom: Arc<[CustomRule]>,
}

impl Redactor {
    /// Creates the redactor with the built-in rules. Costs nothing: rules are compiled when a text
    /// first needs them, once per process.
    pub fn built_in() -> Self {
        Self::with(Vec::new())
    }

    /// Creates the redactor with the built-in rules and those of a TOML file:
    ///
    /// ```
    /// # use akosha_core::redact::Redactor;
    /// let redactor = Redactor::with_rules("[[rule]]\nname = 'badge'\npattern = 'B-[0-9]{4}'")?;
    /// let mut count = 0;
    /// assert_eq!(redactor.redact("ask B-1234".into(), &mut count), "ask [redacted:badge]");
    /// # Ok::<_, Vec<akosha_core::redact::BadRule>>(())
    /// ```
    ///
    /// At most 100 rules. A name has 1 to 40 lower-case letters, digits and hyphens, a pattern at
    /// most 2000 bytes, compiled at most 4 MiB. Where a pattern has a group `secret`, only that is
    /// taken out. Patterns are those of the crate `regex`, which reads a text in linear time.
    ///
    /// # Errors
    /// Names everything that is wrong, at least one thing.
    pub fn with_rules(toml: &str) -> Result<Self, Vec<BadRule>> {
        custom::parse(toml).map(Self::with)
    }

    fn with(custom: Vec<CustomRule>) -> Self {
        Self {
            rules: &BUILT_IN,
            custom: custom.into(),
        }
    }

    /// Returns `text` without secrets and adds how many were taken out to `count`.
    pub fn redact(&self, text: String, count: &mut usize) -> String {
        let mut text = text;
        for _ in 0..MAX_ROUNDS {
            let built_in = self.rules.round(&text, count);
            match self.custom_round(built_in.as_deref().unwrap_or(&text), count) {
                Some(redacted) => text = redacted,
                None => match built_in {
                    Some(redacted) => text = redacted,
                    None => break,
                },
            }
        }
        text
    }

    /// Returns the text with what each of the user's rules finds replaced, or `None` where none
    /// finds anything.
    fn custom_round(&self, text: &str, count: &mut usize) -> Option<String> {
        let mut redacted: Option<String> = None;
        for rule in self.custom.iter() {
            let text = redacted.as_deref().unwrap_or(text);
            let secrets = rule.secrets(text);
            if !secrets.is_empty() {
                *count += secrets.len();
                redacted = Some(replace(text, &secrets, &rule.name));
            }
        }
        redacted
    }

    /// Returns `map` without secrets in any of its texts, at any depth, keys included, and adds
    /// how many were taken out to `count`.
    ///
    /// A text is also read as the value of its key: `{"Authorization": "Bearer …"}`.
    pub fn redact_map(&self, map: Map<String, Value>, count: &mut usize) -> Map<String, Value> {
        let mut redacted = Map::new();
        for (key, value) in map {
            let value = match value {
                Value::String(text) => Value::String(self.redact_value_of(&key, text, count)),
                other => self.redact_json(other, count),
            };
            let key = self.redact(key, count);
            redacted.insert(unused(&redacted, key), value);
        }
        redacted
    }

    fn redact_json(&self, value: Value, count: &mut usize) -> Value {
        match value {
            Value::String(text) => Value::String(self.redact(text, count)),
            Value::Array(items) => items
                .into_iter()
                .map(|item| self.redact_json(item, count))
                .collect(),
            Value::Object(map) => Value::Object(self.redact_map(map, count)),
            other => other,
        }
    }

    /// Redacts a text as it stands behind `key=`, where the key could be part of a secret's
    /// pattern.
    fn redact_value_of(&self, key: &str, text: String, count: &mut usize) -> String {
        if self.rules.suspects(key) != 0 {
            let assigned = format!("{key}={text}");
            let mut found = 0;
            let redacted = self.redact(assigned, &mut found);
            if let Some(value) = redacted.strip_prefix(&format!("{key}=")) {
                *count += found;
                return value.to_owned();
            }
        }
        self.redact(text, count)
    }
}

impl fmt::Debug for Redactor {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Redactor")
    }
}

/// Returns `key`, with a number where the map already has it: two keys may become one marker.
fn unused(map: &Map<String, Value>, key: String) -> String {
    if !map.contains_key(&key) {
        return key;
    }
    (2..=map.len() + 2)
        .map(|number| format!("{key} {number}"))
        .find(|numbered| !map.contains_key(numbered))
        .unwrap_or(key)
}

/// Rules with the scan that tells which of them a text could concern.
struct RuleSet {
    rules: &'static [Rule],
    /// The beginnings of secrets of all rules; `None` would make every text a suspect.
    anchors: Option<AhoCorasick>,
    /// For every anchor the bit of its rule.
    bits: Vec<u64>,
    /// The rules' patterns, compiled when a text first needs them.
    patterns: Vec<OnceLock<Option<Regex>>>,
}

impl RuleSet {
    fn new(rules: &'static [Rule]) -> Self {
        let anchors = rules.iter().enumerate().flat_map(|(index, rule)| {
            let bit = 1_u64 << index;
            rule.anchors.iter().map(move |anchor| (*anchor, bit))
        });
        let (anchors, bits): (Vec<&str>, Vec<u64>) = anchors.unzip();
        Self {
            rules,
            anchors: AhoCorasick::builder()
                .ascii_case_insensitive(true)
                .build(anchors)
                .ok(),
            bits,
            patterns: rules.iter().map(|_| OnceLock::new()).collect(),
        }
    }

    /// Returns the bits of the rules of which `text` holds an anchor.
    fn suspects(&self, text: &str) -> u64 {
        let Some(anchors) = &self.anchors else {
            return u64::MAX;
        };
        let mut suspects = 0;
        for found in anchors.find_overlapping_iter(text) {
            suspects |= self.bits.get(found.pattern().as_usize()).unwrap_or(&0);
        }
        suspects
    }

    /// Returns the text with what each rule finds replaced, or `None` where none finds anything.
    fn round(&self, text: &str, count: &mut usize) -> Option<String> {
        let suspects = self.suspects(text);
        if suspects == 0 {
            return None;
        }
        let mut redacted: Option<String> = None;
        for (index, rule) in self.rules.iter().enumerate() {
            if suspects & (1 << index) == 0 {
                continue;
            }
            let pattern = self
                .patterns
                .get(index)
                .and_then(|cell| cell.get_or_init(|| rule.compile()).as_ref());
            let text = redacted.as_deref().unwrap_or(text);
            let secrets = pattern.map_or_else(Vec::new, |pattern| rule.secrets(pattern, text));
            if !secrets.is_empty() {
                *count += secrets.len();
                redacted = Some(replace(text, &secrets, rule.name));
            }
        }
        redacted
    }
}

impl Rule {
    /// Returns where the secrets of this rule lie in `text`, in order.
    fn secrets(&self, pattern: &Regex, text: &str) -> Vec<Range<usize>> {
        match self.find {
            Find::Token(_) | Find::Group(_) => pattern
                .captures_iter(text)
                .filter_map(|found| found.get(1))
                .map(|secret| secret.range())
                .filter(|range| !is_marker(&text[range.clone()]))
                .collect(),
            Find::Span { nested, .. } => spans(pattern, text, nested),
        }
    }
}

/// Returns whether a text is one marker and nothing else.
fn is_marker(text: &str) -> bool {
    text.strip_prefix(MARKER)
        .and_then(|rest| rest.strip_suffix(']'))
        .is_some_and(|name| {
            name.bytes()
                .all(|b| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'-')
        })
}

/// Returns whether a text holds markers and white space and nothing else.
pub(crate) fn is_nothing_else(text: &str) -> bool {
    let mut rest = text.trim_start();
    while let Some(after) = rest.find(']').map(|end| end + 1) {
        let (marker, others) = rest.split_at(after);
        if !is_marker(marker) {
            return false;
        }
        rest = others.trim_start();
    }
    rest.is_empty()
}

/// Returns the spans between an opening tag and its closing one.
///
/// With `nested` an opening tag within a span needs a closing one of its own, and a span that is
/// never closed reaches to the end. Without, it ends where the group `body` does, and there is
/// none where that is empty.
fn spans(tags: &Regex, text: &str, nested: bool) -> Vec<Range<usize>> {
    let mut spans = Vec::new();
    let mut open: Option<Range<usize>> = None;
    let mut depth = 0_usize;
    for tag in tags.captures_iter(text) {
        let Some(whole) = tag.get(0) else { continue };
        if tag.name("close").is_none() {
            if open.is_some() && nested {
                depth += 1;
                continue;
            }
            spans.extend(open.take().filter(|span| !span.is_empty()));
            let end = match tag.name("body") {
                Some(body) if body.is_empty() => whole.start(),
                Some(body) => body.end(),
                None => text.len(),
            };
            open = Some(whole.start()..end);
        } else if depth > 0 {
            depth -= 1;
        } else if let Some(span) = open.take() {
            spans.push(span.start..whole.end());
        }
    }
    spans.extend(open.filter(|span| !span.is_empty()));
    spans
}

fn replace(text: &str, secrets: &[Range<usize>], name: &str) -> String {
    let mut redacted = String::with_capacity(text.len());
    let mut done = 0;
    for secret in secrets {
        redacted.push_str(&text[done..secret.start]);
        redacted.push_str(MARKER);
        redacted.push_str(name);
        redacted.push(']');
        done = secret.end;
    }
    redacted.push_str(&text[done..]);
    redacted
}
