//! Holds what `deploy/`, the image and the runbooks name against the binary: metrics and their labels,
//! routes, ports, variables, settings and commands.

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};

use akosha_core::metric::{ALL, Metric, MetricKind};

use crate::live::Live;
use crate::support::{Sandbox, keys};

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../..")
}

/// Returns every file that names something of ours, with its text.
fn files() -> Vec<(String, String)> {
    fn add(path: &Path, files: &mut Vec<(String, String)>) {
        if path.is_dir() {
            let mut entries: Vec<PathBuf> = fs::read_dir(path)
                .unwrap()
                .map(|entry| entry.unwrap().path())
                .collect();
            entries.sort();
            for path in entries {
                add(&path, files);
            }
        } else {
            let name = path.display().to_string();
            files.push((name, fs::read_to_string(path).unwrap()));
        }
    }
    let mut files = Vec::new();
    for name in [
        "Dockerfile",
        "docker-compose.yml",
        "deploy",
        "docs/runbooks",
    ] {
        add(&root().join(name), &mut files);
    }
    assert!(files.len() > 15, "{}", files.len());
    files
}

/// Returns every word that begins with `start` and goes on with `is_part`, and what follows it.
fn words<'a>(
    text: &'a str,
    start: &'a str,
    is_part: fn(char) -> bool,
) -> impl Iterator<Item = (&'a str, &'a str)> {
    text.match_indices(start).filter_map(move |(at, _)| {
        let before = text[..at].chars().next_back();
        if before.is_some_and(|before| is_part(before) || before == '-' || before == '/') {
            return None;
        }
        let rest = &text[at..];
        let end = rest.find(|c| !is_part(c)).unwrap_or(rest.len());
        Some((&rest[..end], &rest[end..]))
    })
}

fn is_name(c: char) -> bool {
    c.is_ascii_alphanumeric() || c == '_'
}

/// Returns the metric that a name in an expression is of.
fn metric(name: &str) -> Option<&'static Metric> {
    ALL.iter().find(|metric| {
        let parts = ["_bucket", "_sum", "_count"];
        let of_histogram = parts.iter().filter_map(|part| name.strip_suffix(part));
        metric.name == name
            || metric.kind == MetricKind::Histogram
                && of_histogram.into_iter().any(|base| base == metric.name)
    })
}

/// Returns the names of the labels in `{a="x", b=~"y"}` at the start of a text.
fn matchers(text: &str) -> Vec<&str> {
    // Within JSON a quotation mark is escaped.
    let Some(inner) = text
        .strip_prefix('{')
        .and_then(|rest| rest.split('}').next())
    else {
        return Vec::new();
    };
    let mut names = Vec::new();
    let mut rest = inner;
    while let Some(at) = rest.find('=') {
        names.push(rest[..at].trim_matches(|c: char| !is_name(c)));
        let value = &rest[at..];
        let Some(open) = value.find('"') else { break };
        let value = &value[open + 1..];
        let Some(close) = value.find('"') else { break };
        rest = &value[close + 1..];
    }
    names
}

#[test]
fn every_metric_and_label_exists() {
    let mut seen = BTreeSet::new();
    for (file, text) in files() {
        let is_of_prometheus =
            file.ends_with("yaml") || file.ends_with("json") || file.ends_with("md");
        if !is_of_prometheus {
            continue;
        }
        for (name, rest) in words(&text, "akosha_", is_name) {
            // Settings of the product begin alike.
            if name == "akosha_url" || name == "akosha_token" {
                continue;
            }
            let metric = metric(name).unwrap_or_else(|| panic!("{file}: `{name}`"));
            for label in matchers(rest) {
                let is_ours = metric.labels.contains(&label);
                let is_given = ["instance", "job"].contains(&label)
                    || label == "le" && name.ends_with("_bucket");
                assert!(is_ours || is_given, "{file}: `{label}` of `{name}`");
            }
            seen.insert(metric.name);
        }
    }
    let unseen: Vec<&str> = ALL
        .iter()
        .map(|metric| metric.name)
        .filter(|name| !seen.contains(name))
        .collect();
    assert!(unseen.is_empty(), "nobody looks at {unseen:?}");
}

#[test]
fn alerts_group_by_labels_that_are_there() {
    let text = fs::read_to_string(root().join("deploy/prometheus/alerts.yaml")).unwrap();
    let known: BTreeSet<&str> = ALL
        .iter()
        .flat_map(|metric| metric.labels)
        .copied()
        .collect();
    let mut count = 0;
    for list in text.split("by (").skip(1) {
        for label in list.split(')').next().unwrap().split(',').map(str::trim) {
            let is_known = known.contains(label) || ["instance", "le"].contains(&label);
            assert!(is_known, "{label}");
            count += 1;
        }
    }
    assert!(count > 10, "{count}");
}

#[test]
fn every_alert_has_a_runbook_which_has_its_expression() {
    let text = fs::read_to_string(root().join("deploy/prometheus/alerts.yaml")).unwrap();
    let mut count = 0;
    for alert in text.split("- alert: ").skip(1) {
        let name = alert.lines().next().unwrap();
        let (_, rest) = alert.split_once("runbook: ").unwrap();
        let runbook = rest.lines().next().unwrap();
        let runbook = fs::read_to_string(root().join(runbook)).unwrap();
        assert!(runbook.contains(&format!("`{name}`")), "{name}");
        count += 1;
    }
    assert!(count > 15, "{count}");
    for entry in fs::read_dir(root().join("docs/runbooks")).unwrap() {
        let path = entry.unwrap().path();
        let runbook = fs::read_to_string(&path).unwrap();
        for (alert, _) in words(&runbook, "Akosha", is_name) {
            let is_name = alert.chars().nth(6).is_some_and(|c| c.is_ascii_uppercase());
            let is_alert = text.contains(&format!("- alert: {alert}\n"));
            assert!(!is_name || is_alert, "{}: {alert}", path.display());
        }
        if path.ends_with("README.md") {
            continue;
        }
        for heading in ["Severity", "Detect", "Act now", "Recover", "Prevent"] {
            let is_there = runbook.contains(&format!("\n## {heading}\n"));
            assert!(is_there, "{}: {heading}", path.display());
        }
        // What an expression of a runbook looks at is what the alerts look at.
        for block in runbook.split("```promql\n").skip(1) {
            let block = block.split("\n```").next().unwrap();
            for line in block.lines() {
                let squeezed: String = text.split_whitespace().collect();
                let line: String = line.split_whitespace().collect();
                assert!(squeezed.contains(&line), "{}: {line}", path.display());
            }
        }
    }
}

#[test]
fn every_variable_and_setting_exists() {
    let sandbox = Sandbox::new();
    let shown = sandbox.json(&["config", "show"], 0);
    let mut known: BTreeSet<String> = keys(&shown)
        .iter()
        .map(|key| format!("AKOSHA_{}", key.to_uppercase()))
        .collect();
    known.extend(["AKOSHA_HOME", "AKOSHA_LOG", "AKOSHA_LOG_FORMAT"].map(str::to_owned));
    let mut count = 0;
    for (file, text) in files() {
        for (name, _) in words(&text, "AKOSHA_", is_name) {
            assert!(known.contains(name), "{file}: {name}");
            count += 1;
        }
    }
    assert!(count > 15, "{count}");
    let config = root().join("deploy/kubernetes/akosha.toml");
    let config = config.to_str().unwrap();
    let checked = sandbox.json(&["config", "check", "--config", config], 0);
    assert_eq!(checked["valid"], true, "{checked}");
}

#[test]
fn every_command_exists() {
    let sandbox = Sandbox::new();
    let mut seen = BTreeSet::new();
    for (file, text) in files() {
        // As it is typed, and as the arguments of a container.
        let typed = words(&text, "akosha ", |c| is_name(c) || " -".contains(c))
            .map(|(words, _)| words.to_owned());
        let listed = text
            .lines()
            .filter(|line| {
                ["args:", "command:", "CMD", "ENTRYPOINT"]
                    .iter()
                    .any(|key| line.trim_start().starts_with(key))
            })
            .filter(|line| line.contains("\"serve\"") || line.contains("\"token\""))
            .map(|line| {
                format!(
                    "akosha {}",
                    line.split_once('[').unwrap().1.replace(['"', ',', ']'], "")
                )
            });
        for line in typed.chain(listed) {
            let mut arguments: Vec<&str> = line
                .split_whitespace()
                .skip(1)
                .take_while(|word| !word.starts_with('-'))
                .take(2)
                .collect();
            if arguments.is_empty() {
                continue;
            }
            let is_command = |name: &&str| sandbox.run(&[*name, "--help"]).code == Some(0);
            if !arguments.first().is_some_and(is_command) {
                // Prose, or the name of a service, of which there must be no line of a shell.
                assert!(
                    !text.contains(&format!("\nakosha {}", arguments.join(" "))),
                    "{file}: {line}"
                );
                continue;
            }
            let known = sandbox.run(&[arguments[0], "--help"]).stdout;
            if !known.contains("\nCommands:\n") {
                arguments.truncate(1);
            }
            arguments.push("--help");
            let help = sandbox.run(&arguments).ends(0).stdout;
            for option in line
                .split_whitespace()
                .filter(|word| word.starts_with("--"))
            {
                assert!(help.contains(option), "{file}: {line}: {option}");
            }
            arguments.pop();
            seen.insert(arguments.join(" "));
        }
    }
    for command in ["serve", "status", "token create"] {
        assert!(seen.contains(command), "{command} of {seen:?}");
    }
}

#[test]
fn every_route_is_answered_and_the_port_is_the_default() {
    let sandbox = Sandbox::new();
    let live = Live::start(&sandbox);
    let mut seen = BTreeSet::new();
    for (file, text) in files() {
        let routes = text.split_whitespace().filter_map(|word| {
            let word = word.trim_matches(|c: char| "`\"',;.()}".contains(c));
            let path = word.strip_prefix("http://127.0.0.1:8682").unwrap_or(word);
            let is_route = [
                "/health", "/ready", "/metrics", "/status", "/mcp", "/sync/", "/api/v1/",
            ];
            is_route
                .iter()
                .any(|start| path.starts_with(start))
                .then_some(path)
        });
        for route in routes.filter(|route| !route.contains('|')) {
            let path = route.split('?').next().unwrap();
            assert_ne!(live.get(path).status, 404, "{file}: {route}");
            seen.insert(path.to_owned());
        }
        for port in ["containerPort: ", "EXPOSE "] {
            for rest in text.split(port).skip(1) {
                let digits = rest.trim_start_matches('"');
                assert!(digits.starts_with("8682"), "{file}: {port}{digits:.6}");
            }
        }
    }
    for route in ["/health", "/ready", "/metrics"] {
        assert!(seen.contains(route), "{route} of {seen:?}");
    }
    let help = Sandbox::new().run(&["serve", "--help"]).ends(0).stdout;
    assert!(help.contains("8682"), "{help}");
}
