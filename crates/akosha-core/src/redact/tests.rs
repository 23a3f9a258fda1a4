//! Tests of every rule, of what must stay, and of redacting twice.

use proptest::prelude::*;
use serde_json::json;

use super::*;

fn redact(text: &str) -> (String, usize) {
    let mut count = 0;
    let redacted = Redactor::built_in().redact(text.to_owned(), &mut count);
    (redacted, count)
}

/// A secret for each token rule, put together here so that no scanner takes this file for a leak.
fn tokens() -> Vec<(&'static str, String)> {
    let mixed = |length: usize| "a1B2c3D4e5".repeat(13)[..length].to_owned();
    let hex = |length: usize| "0123456789abcdef".repeat(8)[..length].to_owned();
    vec![
        ("aws-access-key", format!("AKIA{}", "IOSFODNN7EXAMPLE")),
        ("aws-access-key", format!("ASIA{}", "Y34FZKBOKMUTVV7A")),
        ("github-token", format!("ghp_{}", mixed(36))),
        ("github-token", format!("gho_{}", mixed(36))),
        ("github-token", format!("ghs_{}", mixed(36))),
        ("github-token", format!("ghr_{}", mixed(76))),
        (
            "github-token",
            format!("github_pat_{}_{}", mixed(22), mixed(59)),
        ),
        ("gitlab-token", format!("glpat-{}", mixed(20))),
        ("gitlab-token", format!("glpat-{}.01.{}", mixed(27), hex(9))),
        (
            "slack-token",
            format!("xoxb-{}-{}", "123456789012", mixed(24)),
        ),
        (
            "slack-token",
            format!("xoxp-{}-{}", "123456789012", hex(32)),
        ),
        (
            "anthropic-key",
            format!("sk-ant-api03-{}-{}AA", mixed(60), mixed(31)),
        ),
        (
            "openai-key",
            format!("sk-{}T3BlbkFJ{}", mixed(20), mixed(20)),
        ),
        ("openai-key", format!("sk-proj-{}_{}", mixed(70), mixed(70))),
        (
            "google-key",
            format!("AIza{}", "SyA1-b2_C3d4E5f6G7h8I9j0K1l2M3n4O5p"),
        ),
        ("stripe-key", format!("sk_live_{}", mixed(24))),
        ("stripe-key", format!("rk_live_{}", mixed(99))),
        ("npm-token", format!("npm_{}", mixed(36))),
        ("pypi-token", format!("pypi-AgEI{}", mixed(100))),
        ("huggingface-token", format!("hf_{}", mixed(34))),
        ("digitalocean-token", format!("dop_v1_{}", hex(64))),
        (
            "jwt",
            format!("eyJ{}.eyJ{}.{}", mixed(33), mixed(60), mixed(43)),
        ),
    ]
}

#[test]
fn every_rule_compiles_and_has_a_plain_name() {
    assert!(RULES.len() <= 64);
    for rule in RULES {
        assert!(rule.compile().is_some(), "{}", rule.name);
        assert!(is_marker(&format!("[redacted:{}]", rule.name)));
        assert!(!rule.anchors.is_empty());
    }
    assert!(BUILT_IN.anchors.is_some());
}

#[test]
fn tokens_become_markers_wherever_they_stand() {
    for (name, token) in tokens() {
        for (before, after) in [
            ("", ""),
            ("the key is ", ". Keep it"),
            ("KEY=\"", "\""),
            ("{\\\"key\\\": \\\"", "\\\"}"),
            ("line\\n", "\\nline"),
            ("?key%3D", "&x=1"),
            ("令牌", "。"),
            ("(", ")"),
        ] {
            assert_eq!(
                redact(&format!("{before}{token}{after}")),
                (format!("{before}[redacted:{name}]{after}"), 1),
                "{token}"
            );
        }
        assert_eq!(redact(&format!("{token} {token}")).1, 2);
    }
}

#[test]
fn private_spans_go_whole() {
    for (text, expected, count) in [
        ("a <private>b</private> c", "a [redacted:private] c", 1),
        ("<private>all</private>", "[redacted:private]", 1),
        ("<PRIVATE>a\nb</Private>c", "[redacted:private]c", 1),
        ("a < private >b< / private >c", "a [redacted:private]c", 1),
        ("a <private>b\nc", "a [redacted:private]", 1),
        ("<private></private>", "[redacted:private]", 1),
        ("<private>a<\\/private>b", "[redacted:private]b", 1),
        (
            "<private>a<private>b</private>c</private>d",
            "[redacted:private]d",
            1,
        ),
        (
            "<private>a</private>b<private>c</private>",
            "[redacted:private]b[redacted:private]",
            2,
        ),
        ("a</private>b", "a</private>b", 0),
        (
            "a private matter, <privates>",
            "a private matter, <privates>",
            0,
        ),
    ] {
        assert_eq!(redact(text), (expected.to_owned(), count), "{text}");
    }
}

#[test]
fn private_keys_go_whole() {
    let line = "MIIEvQIBADANBgkqhkiG9w0BAQEFAASCBKcwggSjAgEAAoIBAQC7VJTUt9Us8cKj";
    for kind in ["", "RSA ", "EC ", "OPENSSH ", "ENCRYPTED "] {
        let begin = format!("-----BEGIN {kind}PRIVATE KEY-----");
        let end = format!("-----END {kind}PRIVATE KEY-----");
        for (text, expected) in [
            (
                format!("a\n{begin}\n{line}\n{line}=\n{end}\nb"),
                "a\n[redacted:private-key]\nb",
            ),
            (
                format!("a {begin}\\n{line}\\n{end}\\n b"),
                "a [redacted:private-key]\\n b",
            ),
            (
                format!("a\n{begin}\n{line}\n{line}\nb"),
                "a\n[redacted:private-key]\nb",
            ),
        ] {
            assert_eq!(redact(&text), (expected.to_owned(), 1), "{text}");
        }
    }
    let pgp = format!(
        "-----BEGIN PGP PRIVATE KEY BLOCK-----\n\n{line}\n-----END PGP PRIVATE KEY BLOCK-----"
    );
    assert_eq!(redact(&pgp), ("[redacted:private-key]".to_owned(), 1));
    for kept in [
        "A key starts with -----BEGIN PRIVATE KEY----- and then base64.".to_owned(),
        format!("-----BEGIN PUBLIC KEY-----\n{line}\n-----END PUBLIC KEY-----"),
        format!("-----BEGIN CERTIFICATE-----\n{line}\n-----END CERTIFICATE-----"),
    ] {
        assert_eq!(redact(&kept), (kept.clone(), 0));
    }
}

#[test]
fn secrets_known_by_what_stands_around_them_leave_it() {
    let secret = format!("wJalrXUtnFEMI/K7MDENG/{}", "bPxRfiCYEXAMPLEKEY");
    let account = format!("{}==", "Ab1+/".repeat(17) + "x");
    for (text, expected) in [
        (
            format!("aws_secret_access_key = {secret}\n"),
            "aws_secret_access_key = [redacted:aws-secret-key]\n",
        ),
        (
            format!("export AWS_SECRET_ACCESS_KEY='{secret}'"),
            "export AWS_SECRET_ACCESS_KEY='[redacted:aws-secret-key]'",
        ),
        (
            format!("{{\"SecretAccessKey\": \"{secret}\"}}"),
            "{\"SecretAccessKey\": \"[redacted:aws-secret-key]\"}",
        ),
        (
            format!("AccountName=a;AccountKey={account};EndpointSuffix=x"),
            "AccountName=a;AccountKey=[redacted:azure-account-key];EndpointSuffix=x",
        ),
        (
            "curl -H 'Authorization: Bearer abc.DEF~123_456-789=' x".to_owned(),
            "curl -H 'Authorization: Bearer [redacted:bearer-token]' x",
        ),
        (
            "{\"authorization\":\"bearer t0ken-5ecret\"}".to_owned(),
            "{\"authorization\":\"bearer [redacted:bearer-token]\"}",
        ),
        (
            "postgres://app:hunter2@db:5432/x".to_owned(),
            "postgres://app:[redacted:url-password]@db:5432/x",
        ),
        (
            "redis://:p%40ss:w[o]rd@host".to_owned(),
            "redis://:[redacted:url-password]@host",
        ),
    ] {
        assert_eq!(redact(&text), (expected.to_owned(), 1), "{text}");
    }
    let both = format!("https://{}:hunter2@host", tokens()[0].1);
    let redacted = "https://[redacted:aws-access-key]:[redacted:url-password]@host";
    assert_eq!(redact(&both), (redacted.to_owned(), 2));
}

#[test]
fn what_is_no_secret_stays() {
    for text in [
        "",
        "commit 3a79832f0c1d2e4b5a6978890a1b2c3d4e5f6071 fixed it",
        "id 123e4567-e89b-42d3-a456-426614174000",
        "task-0123456789abcdef0123456789abcdef is done",
        "the prefix sk- means secret key, and so does sk-ant- or sk-proj-",
        "disk-usage, risk-averse, sk-learn and sk-SK locale",
        "sha256 ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad",
        "data:image/png;base64,iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJAAAADUlEQVR42mNk",
        "AKIA is how ids start; ASIA PACIFIC REGION; AKIAIOSFODNN7EXAMPLEX is too long",
        "npm_config_registry and npm_lifecycle_event, hf_hub_download, ghp_ tokens",
        "eyJ alone, or eyJhbGciOiJIUzI1NiJ9.eyJ",
        "Authorization: Bearer <token>, Authorization: Bearer $TOKEN, a bearer of bad news",
        "Authorization: Bearer authentication is needed",
        "http://localhost:8080/@scope/pkg and https://host:443/a?b=c@d, mail a:b@c.d",
        "postgres://app:${PASSWORD}@db/x",
        "git@github.com:owner/repo.git, ssh://git@host:22/x",
        "secret_key = os.environ['SECRET_KEY']",
        "01ARZ3NDEKTSV4RRFFQ69G5FAV",
        "xoxb- is Slack's prefix, glpat- is GitLab's",
    ] {
        assert_eq!(redact(text), (text.to_owned(), 0));
    }
}

#[test]
fn maps_are_redacted_at_any_depth_with_their_keys() {
    let token = &tokens()[2].1;
    let secret = format!("wJalrXUtnFEMI/K7MDENG/{}", "bPxRfiCYEXAMPLEKEY");
    let Value::Object(map) = json!({
        "a": [1, null, true, {"b": format!("x {token}")}],
        "env": {"AWS_SECRET_ACCESS_KEY": secret},
        "headers": {"Authorization": "Bearer t0ken-5ecret"},
        "private": "not a tag",
        token: "x",
        format!("{token}0"): "y",
    }) else {
        panic!("not an object");
    };
    let mut count = 0;
    let redacted = Redactor::built_in().redact_map(map, &mut count);
    assert_eq!(
        Value::Object(redacted),
        json!({
            "a": [1, null, true, {"b": "x [redacted:github-token]"}],
            "env": {"AWS_SECRET_ACCESS_KEY": "[redacted:aws-secret-key]"},
            "headers": {"Authorization": "Bearer [redacted:bearer-token]"},
            "private": "not a tag",
            "[redacted:github-token]": "x",
            "[redacted:github-token] 2": "y",
        })
    );
    assert_eq!(count, 5);
}

#[test]
fn large_hostile_texts_take_no_long() {
    for piece in [
        "-----BEGIN PRIVATE KEY-----",
        "<private>",
        "</private>",
        "a://b:",
        "eyJabcdefghijk.",
        "sk-",
        "authorization: bearer ",
        "secret_key=",
    ] {
        let text = piece.repeat((1 << 20) / piece.len());
        let start = std::time::Instant::now();
        redact(&text);
        assert!(
            start.elapsed().as_secs() < 20,
            "{piece}: {:?}",
            start.elapsed()
        );
    }
}

/// Pieces that could work upon each other when they stand side by side.
fn piece() -> impl Strategy<Value = String> {
    let fixed: Vec<String> = tokens()
        .into_iter()
        .map(|(_, token)| token)
        .chain(
            [
                "<private>",
                "</private>",
                "<pri",
                "vate>",
                "-----BEGIN PRIVATE KEY-----",
                "-----END PRIVATE KEY-----",
                "MIIEvQIBADANBgkqhkiG9w0BAQEFAASCBKcwggSjAgEAAoIBAQC7VJTUt9Us8cKj",
                "https://",
                "user:",
                "@host",
                "Authorization: Bearer ",
                "aws_secret_access_key=",
                "AccountKey=",
                "[redacted:private]",
                "[redacted:",
                "]",
                "\\n",
                " ",
                "\n",
                "%20",
            ]
            .map(str::to_owned),
        )
        .collect();
    prop_oneof![3 => proptest::sample::select(fixed), 1 => ".{0,12}"]
}

proptest! {
    #[test]
    fn redacting_twice_changes_nothing(pieces in proptest::collection::vec(piece(), 0..12)) {
        let (once, _) = redact(&pieces.concat());
        prop_assert_eq!(redact(&once), (once.clone(), 0));
    }

    #[test]
    fn texts_without_secrets_stay(text in "[a-zA-Z ,.!?\n]{0,200}") {
        prop_assume!(!text.contains("://"));
        prop_assert_eq!(redact(&text), (text.clone(), 0));
    }

    #[test]
    fn no_token_is_left(before in "[^<\\\\]{0,20}", index in 0..22_usize, after in ".{0,20}") {
        let token = &tokens()[index].1;
        let (redacted, count) = redact(&format!("{before} {token} {after}"));
        prop_assert!(!redacted.contains(token.as_str()));
        prop_assert!(count >= 1);
    }
}
