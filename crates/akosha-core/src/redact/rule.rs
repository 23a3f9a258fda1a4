//! The table of what counts as a secret: one row for each pattern.

use regex::Regex;

/// What may stand before a token: nothing that is part of a word, or an escape of JSON or of a
/// URL, whose last character looks like a part of a word.
const LEFT: &str = r"(?:(?-u:\b)|\\[bfnrtv]|%[0-9A-Fa-f]{2})";

/// One pattern of secrets.
pub(super) struct Rule {
    /// The name in the marker: lower-case letters and hyphens.
    pub(super) name: &'static str,
    /// Texts of which every match holds one, whatever their case: the pattern is only tried where
    /// one of them stands.
    pub(super) anchors: &'static [&'static str],
    pub(super) find: Find,
}

/// How a rule finds its secrets.
#[derive(Clone, Copy)]
pub(super) enum Find {
    /// The whole match, where it does not start within a word.
    Token(&'static str),
    /// The first group of the match; what stands around it stays.
    Group(&'static str),
    /// Everything from an opening tag to the tag with the group `close`.
    Span { tags: &'static str, nested: bool },
}

impl Rule {
    /// Compiles the pattern; `None` where it is no regular expression, which a test rules out.
    pub(super) fn compile(&self) -> Option<Regex> {
        match self.find {
            Find::Token(pattern) => Regex::new(&format!("{LEFT}({pattern})")),
            Find::Group(pattern) => Regex::new(pattern),
            Find::Span { tags, .. } => Regex::new(tags),
        }
        .ok()
    }
}

const fn token(
    name: &'static str,
    anchors: &'static [&'static str],
    pattern: &'static str,
) -> Rule {
    Rule {
        name,
        anchors,
        find: Find::Token(pattern),
    }
}

const fn group(
    name: &'static str,
    anchors: &'static [&'static str],
    pattern: &'static str,
) -> Rule {
    Rule {
        name,
        anchors,
        find: Find::Group(pattern),
    }
}

/// The built-in rules, at most 64, in the order in which they are applied: spans first, then
/// tokens that are known by their look, then what is known by what stands around it.
pub(super) static RULES: &[Rule] = &[
    // JSON may write the slash of the closing tag with a backslash before it.
    Rule {
        name: "private",
        anchors: &["private"],
        find: Find::Span {
            tags: r"(?i)<\s*(?P<close>\\?/)?\s*private\s*>",
            nested: true,
        },
    },
    // RFC 7468, PGP and OpenSSH. A key cut off before its end is known by its lines of base64.
    Rule {
        name: "private-key",
        anchors: &["private key"],
        find: Find::Span {
            tags: concat!(
                r"(?P<close>-----END (?:[A-Z0-9]+ )*PRIVATE KEY(?: BLOCK)?-----)",
                r"|-----BEGIN (?:[A-Z0-9]+ )*PRIVATE KEY(?: BLOCK)?-----",
                r#"(?P<body>(?:(?:\\[nr]|[\s"'>|,])*[A-Za-z0-9+/]{40,}={0,2})*)"#,
            ),
            nested: false,
        },
    },
    token(
        "aws-access-key",
        &["akia", "asia", "abia", "acca"],
        r"A(?:KIA|SIA|BIA|CCA)[A-Z0-9]{16}(?-u:\b)",
    ),
    token(
        "github-token",
        &["ghp_", "gho_", "ghu_", "ghs_", "ghr_", "github_pat_"],
        r"(?:gh[pousr]_[A-Za-z0-9_]{36,}|github_pat_[A-Za-z0-9_]{22,})",
    ),
    token(
        "gitlab-token",
        &[
            "glpat-", "glptt-", "gldt-", "glrt-", "glcbt-", "gloas-", "glsoat-", "glft-",
            "glagent-",
        ],
        r"gl(?:pat|ptt|dt|rt|cbt|oas|soat|ft|agent)-[A-Za-z0-9_-]{20,}(?:\.[A-Za-z0-9_-]+)*",
    ),
    token(
        "slack-token",
        &[
            "xoxa-", "xoxb-", "xoxe-", "xoxe.", "xoxo-", "xoxp-", "xoxr-", "xoxs-", "xapp-",
        ],
        r"(?:xox[abeoprs]-|xoxe\.xox[bp]-|xapp-)[A-Za-z0-9-]{10,}",
    ),
    token("akosha-token", &["akosha_"], r"akosha_[0-9a-f]{64}(?-u:\b)"),
    token("anthropic-key", &["sk-ant-"], r"sk-ant-[A-Za-z0-9_-]{20,}"),
    // Also the keys of services that took over the form.
    token(
        "openai-key",
        &["sk-"],
        r"sk-(?:(?:proj|svcacct|admin|or-v1)-[A-Za-z0-9_-]{20,}|[A-Za-z0-9]{32,})",
    ),
    token("google-key", &["aiza"], r"AIza[A-Za-z0-9_-]{35}"),
    token(
        "stripe-key",
        &["sk_live_", "rk_live_", "sk_test_", "rk_test_"],
        r"[rs]k_(?:live|test)_[A-Za-z0-9]{16,}",
    ),
    token("npm-token", &["npm_"], r"npm_[A-Za-z0-9]{36,}"),
    token("pypi-token", &["pypi-ageI"], r"pypi-AgEI[A-Za-z0-9_-]{30,}"),
    token("huggingface-token", &["hf_"], r"hf_[A-Za-z0-9]{30,}"),
    token(
        "digitalocean-token",
        &["dop_v1_", "doo_v1_", "dor_v1_"],
        r"do[opr]_v1_[a-f0-9]{64}",
    ),
    // RFC 7519: a header, which is a JSON object and so starts with `{"`, claims and a signature.
    token(
        "jwt",
        &["eyj"],
        r"eyJ[A-Za-z0-9_-]{10,}\.[A-Za-z0-9_-]{10,}\.[A-Za-z0-9_-]{10,}",
    ),
    group(
        "aws-secret-key",
        &[
            "secret_key",
            "secretkey",
            "secret-key",
            "access_key",
            "accesskey",
            "access-key",
        ],
        concat!(
            r"(?i)secret[_-]?(?:access[_-]?)?key",
            r#"(?:\\?["'`])?\s*(?:=>|:=|=|:)\s*(?:\\?["'`])?([A-Za-z0-9/+]{40,128}={0,2})"#,
        ),
    ),
    group(
        "azure-account-key",
        &["accountkey"],
        r"(?i)AccountKey\s*=\s*([A-Za-z0-9+/]{40,}={0,2})",
    ),
    // RFC 6750. A short token is one only with a digit in it, so that prose stays.
    group(
        "bearer-token",
        &["bearer", "authorization"],
        concat!(
            r#"(?i)authorization(?:\\?["'`])?\s*(?:=>|=|:|,)\s*(?:\\?["'`])?bearer\s+"#,
            r"([A-Za-z0-9._~+/-]{16,}=*|[A-Za-z._~+/-]*[0-9][A-Za-z0-9._~+/-]{5,}=*)",
        ),
    ),
    // RFC 3986, section 3.2.1. Braces stay, which stand for a password: `${PASSWORD}`.
    group(
        "url-password",
        &["://"],
        concat!(
            r"(?i)[a-z][a-z0-9+.-]{1,30}://",
            r#"(?:\[redacted:[a-z0-9-]+\]|[^\s/?\#:@"'<>\[\]])*:([^\s/?\#@"'<>{}]+)@"#,
        ),
    ),
];
