//! Rules that a user adds to the built-in ones, from a TOML file.

use std::fmt;
use std::ops::Range;
use std::sync::LazyLock;

use regex::{Regex, RegexBuilder};

use super::rule::RULES;

/// Most rules in one file: each is tried on every text.
const MAX_RULES: usize = 100;

/// Longest name in bytes.
const MAX_NAME: usize = 40;

/// Longest pattern in bytes.
const MAX_PATTERN: usize = 2000;

/// Most bytes that a compiled pattern may take: enough for `\w{8,64}`, which knows all of Unicode.
const MAX_COMPILED: usize = 4 << 20;

/// The group that, where a pattern has it, is taken out in place of the whole match.
const GROUP: &str = "secret";

/// A marker that stands for a secret, whichever rule left it.
static MARKER: LazyLock<Option<Regex>> =
    LazyLock::new(|| Regex::new(r"\[redacted:[a-z0-9-]+\]").ok());

/// A rule of the user's own.
#[derive(Clone)]
pub(super) struct CustomRule {
    pub(super) name: String,
    pattern: Regex,
}

/// What is wrong with a file of rules, or with one of them.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct BadRule {
    /// Which rule: its name, else its place; `None` where the file as a whole is wrong.
    pub rule: Option<String>,
    /// Why, as a phrase that continues a sentence starting with what is wrong.
    pub cause: String,
}

impl fmt::Display for BadRule {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.rule {
            Some(rule) => write!(f, "rule {rule} {}", self.cause),
            None => f.write_str(&self.cause),
        }
    }
}

impl std::error::Error for BadRule {}

/// Reads the rules of a file.
///
/// # Errors
/// Names everything that is wrong, at least one thing.
pub(super) fn parse(text: &str) -> Result<Vec<CustomRule>, Vec<BadRule>> {
    let whole = |cause: String| BadRule { rule: None, cause };
    let table: toml::Table = text.parse().map_err(|error: toml::de::Error| {
        let line = error.span().map(|span| {
            let before = text.get(..span.start).unwrap_or(text);
            format!(" in line {}", before.matches('\n').count() + 1)
        });
        let line = line.unwrap_or_default();
        vec![whole(format!("is not TOML{line}: {}", error.message()))]
    })?;
    let mut bad = Vec::new();
    let mut rules: Vec<CustomRule> = Vec::new();
    for (key, value) in &table {
        match value.as_array().filter(|_| key == "rule") {
            Some(entries) if entries.len() > MAX_RULES => bad.push(whole(format!(
                "holds {} rules, the limit is {MAX_RULES}",
                entries.len()
            ))),
            Some(entries) => {
                for (index, entry) in entries.iter().enumerate() {
                    match rule(index, entry, &rules) {
                        Ok(rule) => rules.push(rule),
                        Err(error) => bad.push(error),
                    }
                }
            }
            None => bad.push(whole(format!(
                "holds {}, but may hold nothing but `[[rule]]` tables",
                crate::error::quote(key)
            ))),
        }
    }
    if bad.is_empty() { Ok(rules) } else { Err(bad) }
}

/// Reads one rule; `before` are those that stand above it.
fn rule(index: usize, entry: &toml::Value, before: &[CustomRule]) -> Result<CustomRule, BadRule> {
    let text = |key: &str| entry.get(key).and_then(toml::Value::as_str);
    let which = match text("name") {
        Some(name) => crate::error::quote(name),
        None => format!("number {}", index + 1),
    };
    let refused = |cause: String| BadRule {
        rule: Some(which.clone()),
        cause,
    };
    let known = |key: &&String| !matches!(key.as_str(), "name" | "pattern");
    if let Some(key) = entry.as_table().and_then(|table| table.keys().find(known)) {
        return Err(refused(format!(
            "holds {}, but may hold nothing but `name` and `pattern`",
            crate::error::quote(key)
        )));
    }
    let (Some(name), Some(pattern)) = (text("name"), text("pattern")) else {
        return Err(refused(
            "needs a `name` and a `pattern`, both text in quotes".into(),
        ));
    };
    check_name(name, before).map_err(refused)?;
    let pattern = compile(pattern).map_err(refused)?;
    Ok(CustomRule {
        name: name.to_owned(),
        pattern,
    })
}

fn check_name(name: &str, before: &[CustomRule]) -> Result<(), String> {
    let fits = (1..=MAX_NAME).contains(&name.len())
        && name
            .bytes()
            .all(|b| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'-');
    if !fits {
        return Err(format!(
            "has a name that is not 1 to {MAX_NAME} lower-case letters, digits and hyphens"
        ));
    }
    if RULES.iter().any(|rule| rule.name == name) {
        return Err("has the name of a built-in rule".into());
    }
    if before.iter().any(|rule| rule.name == name) {
        return Err("has the name of a rule above it".into());
    }
    Ok(())
}

fn compile(pattern: &str) -> Result<Regex, String> {
    if pattern.len() > MAX_PATTERN {
        return Err(format!(
            "has a pattern of {} bytes, the limit is {MAX_PATTERN}",
            pattern.len()
        ));
    }
    let regex = RegexBuilder::new(pattern)
        .size_limit(MAX_COMPILED)
        .build()
        .map_err(|error| match error {
            regex::Error::CompiledTooBig(limit) => {
                format!("has a pattern that compiles to more than {limit} bytes")
            }
            other => {
                // A syntax error draws where it is over several lines; the last one says what.
                let drawn = other.to_string();
                let what = drawn.lines().last().unwrap_or_default();
                let what = what.trim_start_matches("error: ");
                format!("has a pattern that is no regular expression: {what}")
            }
        })?;
    if regex.is_match("") {
        return Err("has a pattern that an empty text matches".into());
    }
    Ok(regex)
}

impl CustomRule {
    /// Returns where the secrets of this rule lie in `text`, in order. Markers are left as they
    /// are, whatever the pattern says of them.
    pub(super) fn secrets(&self, text: &str) -> Vec<Range<usize>> {
        let takes_group = self
            .pattern
            .capture_names()
            .flatten()
            .any(|name| name == GROUP);
        let found: Vec<Range<usize>> = if takes_group {
            let groups = self
                .pattern
                .captures_iter(text)
                .filter_map(|found| Some(found.name(GROUP)?.range()));
            groups.collect()
        } else {
            self.pattern
                .find_iter(text)
                .map(|all| all.range())
                .collect()
        };
        if found.is_empty() {
            return found;
        }
        let markers: Vec<Range<usize>> = MARKER
            .iter()
            .flat_map(|marker| marker.find_iter(text).map(|all| all.range()))
            .collect();
        let mut secrets = Vec::with_capacity(found.len());
        let mut passed = 0;
        for range in found {
            while markers
                .get(passed)
                .is_some_and(|marker| marker.end <= range.start)
            {
                passed += 1;
            }
            secrets.extend(without(range, markers.get(passed..).unwrap_or_default()));
        }
        secrets
    }
}

/// Returns what is left of `range` without `markers`, which end behind its start.
fn without(range: Range<usize>, markers: &[Range<usize>]) -> Vec<Range<usize>> {
    let mut left = Vec::new();
    let mut start = range.start;
    for marker in markers.iter().take_while(|marker| marker.start < range.end) {
        if start < marker.start {
            left.push(start..marker.start);
        }
        start = marker.end;
    }
    if start < range.end {
        left.push(start..range.end);
    }
    left
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use serde_json::json;

    use super::super::Redactor;

    fn redactor(rules: &[(&str, &str)]) -> Redactor {
        let rules: Vec<String> = rules
            .iter()
            .map(|(name, pattern)| format!("[[rule]]\nname = '{name}'\npattern = '''{pattern}'''"))
            .collect();
        Redactor::with_rules(&rules.join("\n")).unwrap()
    }

    fn redact(redactor: &Redactor, text: &str) -> (String, usize) {
        let mut count = 0;
        let redacted = redactor.redact(text.to_owned(), &mut count);
        (redacted, count)
    }

    /// Returns what is wrong with a file, in words.
    fn wrong(toml: &str) -> Vec<String> {
        let bad = Redactor::with_rules(toml).unwrap_err();
        bad.iter().map(ToString::to_string).collect()
    }

    #[test]
    fn own_rules_work_beside_the_built_in_ones() {
        let own = redactor(&[("badge", r"B-\d{4}"), ("host2", r"\w{1,64}\.corp\.example")]);
        assert_eq!(
            redact(
                &own,
                "B-1234 on db1.corp.example, <private>x</private> B-12345"
            ),
            (
                "[redacted:badge] on [redacted:host2], [redacted:private] [redacted:badge]5".into(),
                4
            )
        );
        assert_eq!(redact(&own, "nothing"), ("nothing".into(), 0));
        let serde_json::Value::Object(map) = json!({"B-1111": ["B-2222", {"a": "B-3333"}]}) else {
            panic!("no object");
        };
        let mut count = 0;
        let redacted = own.redact_map(map, &mut count);
        let marker = "[redacted:badge]";
        assert_eq!(
            serde_json::Value::Object(redacted),
            json!({marker: [marker, {"a": marker}]})
        );
        assert_eq!(count, 3);
    }

    #[test]
    fn a_group_called_secret_goes_alone() {
        let own = redactor(&[("pin", r"(?i)pin:\s*(?P<secret>\d+)")]);
        assert_eq!(
            redact(&own, "PIN: 0815 and pin:1"),
            ("PIN: [redacted:pin] and pin:[redacted:pin]".into(), 2)
        );
    }

    #[test]
    fn markers_stay_whatever_a_pattern_says_of_them() {
        let own = redactor(&[("word", "[a-z]+"), ("line", r".+")]);
        let (once, count) = redact(&own, "abc\n<private>x</private> 1");
        assert_eq!(once, "[redacted:word]\n[redacted:private][redacted:line]");
        assert_eq!(count, 3);
        assert_eq!(redact(&own, &once), (once.clone(), 0));
    }

    #[test]
    fn every_bad_rule_is_named_with_its_cause() {
        let long = "x".repeat(2001);
        let toml = format!(
            "[[rule]]\nname = 'a'\npattern = '(x'\n\
             [[rule]]\nname = 'b'\npattern = 'x*'\n\
             [[rule]]\nname = 'c'\npattern = '\\w{{5000}}'\n\
             [[rule]]\nname = 'd'\npattern = '{long}'\n\
             [[rule]]\nname = 'Two Words'\npattern = 'x'\n\
             [[rule]]\nname = 'jwt'\npattern = 'x'\n\
             [[rule]]\nname = 'e'\npattern = 'x'\n\
             [[rule]]\nname = 'e'\npattern = 'y'\n\
             [[rule]]\nname = 'f'\npatern = 'x'\n\
             [[rule]]\npattern = 'x'\n"
        );
        assert_eq!(
            wrong(&toml),
            [
                "rule `a` has a pattern that is no regular expression: unclosed group",
                "rule `b` has a pattern that an empty text matches",
                "rule `c` has a pattern that compiles to more than 4194304 bytes",
                "rule `d` has a pattern of 2001 bytes, the limit is 2000",
                "rule `Two Words` has a name that is not 1 to 40 lower-case letters, digits and \
                 hyphens",
                "rule `jwt` has the name of a built-in rule",
                "rule `e` has the name of a rule above it",
                "rule `f` holds `patern`, but may hold nothing but `name` and `pattern`",
                "rule number 10 needs a `name` and a `pattern`, both text in quotes",
            ]
        );
    }

    #[test]
    fn files_of_another_form_are_refused() {
        for (toml, cause) in [
            ("rule = 1", "holds `rule`, but may hold nothing but"),
            (
                "[rule]\nname = 'a'",
                "holds `rule`, but may hold nothing but",
            ),
            ("rules = []", "holds `rules`, but may hold nothing but"),
            ("\n[[rule]\n", "is not TOML in line 2"),
            (
                &"[[rule]]\n".repeat(101),
                "holds 101 rules, the limit is 100",
            ),
            ("rule = [1]", "rule number 1 needs a `name`"),
        ] {
            let bad = wrong(toml);
            assert!(bad[0].starts_with(cause), "{bad:?}");
        }
        assert!(Redactor::with_rules("").is_ok());
    }

    #[test]
    fn hostile_patterns_take_no_long() {
        let own = redactor(&[
            ("slow", r"(?:(?:a+)+)+b|(?:a|aa)*c"),
            ("wide", r"[a-c]{1,200}d"),
        ]);
        let text = "a".repeat(1 << 20);
        let start = std::time::Instant::now();
        assert_eq!(redact(&own, &text).1, 0);
        assert!(start.elapsed().as_secs() < 60, "{:?}", start.elapsed());
    }

    proptest! {
        #[test]
        fn redacting_twice_changes_nothing(
            text in "(?s)[a-c0-9 .\\[\\]:-]{0,40}(\\[redacted:[a-z0-9-]{1,5}\\])?.{0,20}",
            pattern in prop_oneof![
                Just("[a-z]+"), Just("."), Just(r"\d+"), Just(r"\w+ \w+"), Just("redacted"),
                Just(r"[^\]]+"), Just(r"a(?P<secret>b+)"), Just("(?s).+"),
            ],
        ) {
            let own = redactor(&[("x-1", pattern)]);
            let (once, _) = redact(&own, &text);
            prop_assert_eq!(redact(&own, &once), (once.clone(), 0));
        }
    }
}
