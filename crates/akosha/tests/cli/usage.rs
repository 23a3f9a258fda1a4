//! What holds for every command: help, usage errors, configuration errors, the global options.

use crate::support::Sandbox;

#[test]
fn alone_it_says_how_to_begin() {
    let run = Sandbox::new().run::<&str>(&[]).ends(0);
    assert!(run.stdout.contains("akosha store \"what to remember\""));
    assert!(run.stdout.lines().count() <= 12, "{}", run.stdout);
    let answer = Sandbox::new().json(&[], 0);
    assert_eq!(answer["version"], env!("CARGO_PKG_VERSION"));
}

#[test]
fn help_and_version_are_answers() {
    let sandbox = Sandbox::new();
    let help = sandbox.run(&["--help"]).ends(0).stdout;
    for command in [
        "mcp",
        "serve",
        "hook",
        "store",
        "get",
        "list",
        "search",
        "forget",
        "history",
        "sync",
        "pull",
        "status",
        "config",
        "import",
        "export",
        "completions",
        "demo",
        "key",
        "machines",
    ] {
        assert!(
            help.contains(&format!("\n  {command} ")),
            "{command}: {help}"
        );
        sandbox.run(&[command, "--help"]).ends(0);
    }
    assert!(!help.contains("drain"));
    let version = sandbox.run(&["--version"]).ends(0).stdout;
    assert_eq!(
        version.trim(),
        concat!("akosha ", env!("CARGO_PKG_VERSION"))
    );
}

#[test]
fn bad_usage_is_an_error_of_its_own() {
    let sandbox = Sandbox::new();
    for (arguments, said) in [
        (&["nonsense"][..], "unrecognized subcommand 'nonsense'"),
        (
            &["list", "--limt", "3"],
            "unexpected argument '--limt' found",
        ),
        (
            &["get"],
            "the following required arguments were not provided: <ID>",
        ),
        (
            &["sync", "--method", "ftp"],
            "invalid value 'ftp' for '--method <METHOD>'",
        ),
        (
            &["list", "--since", "soon"],
            "invalid value 'soon' for '--since <TIME>'",
        ),
        (
            &["list", "--system", "a b"],
            "invalid value 'a b' for '--system <ID>'",
        ),
        (&["get", "a\nb"], "invalid value 'a"),
    ] {
        let (kind, message) = sandbox.error(arguments, 2);
        assert_eq!(kind, "invalid");
        assert!(message.starts_with(said), "{message}");
        let run = sandbox.run(arguments).ends(2);
        assert!(
            run.stdout.is_empty() && run.stderr.contains("error: "),
            "{run:?}"
        );
    }
    assert!(!sandbox.path("home").exists());
}

#[test]
fn all_configuration_errors_are_told_at_once() {
    let sandbox = Sandbox::new()
        .with("AKOSHA_CHUNK_SIZE_MB", "0")
        .with("AKOSHA_MAX_RETRIES", "many")
        .with("AKOSHA_CLOUD_BUCKET", "-bad-");
    let commands: [&[&str]; 5] = [
        &["sync"],
        &["sync", "--background"],
        &["pull"],
        &["machines", "adopt"],
        &["serve", "--listen", "127.0.0.1:0"],
    ];
    for command in commands {
        let answer = sandbox.json(command, 2);
        assert_eq!(answer["error"]["kind"], "config", "{command:?}");
        let mut found: Vec<&str> = answer["error"]["errors"]
            .as_array()
            .unwrap()
            .iter()
            .map(|error| {
                for part in ["value", "source", "message", "hint"] {
                    assert!(!error[part].as_str().unwrap().is_empty(), "{error}");
                }
                error["key"].as_str().unwrap()
            })
            .collect();
        found.sort_unstable();
        assert_eq!(found, ["chunk_size_mb", "cloud_bucket", "max_retries"]);
    }
    let run = sandbox.run(&["sync"]).ends(2);
    insta::assert_snapshot!(run.stderr, @r"
    error: the configuration has 3 errors
      `cloud_bucket` must be a bucket name that starts and ends with a letter or digit: `-bad-` from env AKOSHA_CLOUD_BUCKET
        hint: give a bucket such as `my-bucket`, or a URL: `s3://bucket/prefix`, `gs://bucket`, `az://container`, `file:///folder`
      `max_retries` must be a whole number from 0 to 10: `many` from env AKOSHA_MAX_RETRIES
        hint: set for example `AKOSHA_MAX_RETRIES=3`, or unset it
      `chunk_size_mb` must be a whole number from 1 to 100: `0` from env AKOSHA_CHUNK_SIZE_MB
        hint: set for example `AKOSHA_CHUNK_SIZE_MB=5`, or unset it
    hint: correct them, then see `akosha config check`
    ");
}

#[test]
fn a_wrong_setting_keeps_nobody_from_their_memories() {
    let sandbox = Sandbox::new().with("AKOSHA_MAX_RETRIES", "99");
    sandbox.file("docs/a.md", "# One\n\ntext\n");
    let config = sandbox.file("my.toml", "colour = 1\n");
    let commands: [&[&str]; 8] = [
        &["store", "the text", "--id", "a"],
        &["get", "a"],
        &["list"],
        &["search", "text"],
        &["history", "a"],
        &["forget", "a"],
        &["export"],
        &["import", "markdown", "docs"],
    ];
    for command in commands {
        let command = [command, &["--config", &config]].concat();
        let run = sandbox.run(&command).ends(0);
        assert!(!run.stdout.is_empty() || command[0] == "export", "{run:?}");
        assert_eq!(run.stderr.matches("warning: ").count(), 1, "{run:?}");
        for said in [
            "2 errors",
            "`akosha config check`",
            "`max_retries`",
            "`colour`",
        ] {
            assert!(run.stderr.contains(said), "{said}: {run:?}");
        }
        let quiet = sandbox.run(&[&command[..], &["-q"]].concat()).ends(0);
        assert_eq!(quiet.stderr, "");
    }
    let run = sandbox.run(&["list"]).ends(0);
    insta::assert_snapshot!(run.stderr, @r"
    warning: the configuration has 1 error, nothing syncs until that is corrected: `akosha config check`
      `max_retries` must be a whole number from 0 to 10: `99` from env AKOSHA_MAX_RETRIES
    ");
}

#[test]
fn nothing_is_stored_while_it_is_open_whose_it_would_be() {
    let sandbox = Sandbox::new();
    sandbox.store("a", "text");
    let broken = sandbox.file("broken.toml", "= what");
    let rules = sandbox.file("rules.toml", "[[rule]]\nname = 'pin'\npattern = '('\n");
    for (variable, value) in [
        ("AKOSHA_SYSTEM_ID", "a b"),
        ("AKOSHA_CONFIG", broken.as_str()),
        ("AKOSHA_REDACTION_RULES", rules.as_str()),
    ] {
        let set = |command: &[&str]| {
            let mut command = sandbox.command(command);
            command.env(variable, value).output().unwrap()
        };
        for command in [
            &["store", "x"][..],
            &["forget", "a"],
            &["import", "markdown", "."],
        ] {
            let output = set(&[command, &["--json"]].concat());
            assert_eq!(output.status.code(), Some(2), "{variable}: {output:?}");
            let answer: serde_json::Value = serde_json::from_slice(&output.stdout).unwrap();
            let error = &answer["error"];
            assert_eq!(error["kind"], "config");
            assert!(!error["errors"].as_array().unwrap().is_empty(), "{answer}");
            let said = String::from_utf8(set(command).stderr).unwrap();
            assert!(said.starts_with("error: nothing is stored while"), "{said}");
            assert!(said.contains("`akosha config check`"), "{said}");
            assert!(!said.contains("warning: "), "{said}");
        }
        let found = set(&["get", "a", "--system", "test-system"]);
        assert_eq!(found.status.code(), Some(0), "{variable}: {found:?}");
        let said = String::from_utf8(found.stderr).unwrap();
        assert!(said.starts_with("warning: "), "{said}");
    }
    assert_eq!(
        sandbox.json(&["list"], 0)["memories"]
            .as_array()
            .unwrap()
            .len(),
        1
    );
}

#[test]
fn a_home_that_cannot_be_is_named() {
    let sandbox = Sandbox::new();
    let file = sandbox.file("file", "");
    let (kind, message) = sandbox.error(&["list", "--home", &format!("{file}/home")], 1);
    assert_eq!(kind, "storage");
    assert!(message.contains(&file), "{message}");
}

#[test]
fn a_file_that_is_no_store_is_named() {
    let sandbox = Sandbox::new();
    sandbox.file("home/akosha.db", "this is no database".repeat(100));
    let (kind, message) = sandbox.error(&["list"], 1);
    assert_eq!(kind, "data");
    assert!(message.contains("akosha.db"), "{message}");
}

#[test]
fn empty_variables_are_unset() {
    let sandbox = Sandbox::new().with("AKOSHA_CONFIG", "");
    sandbox.run(&["list"]).ends(0);
    let home = sandbox.path("other");
    let sandbox = sandbox.with("AKOSHA_HOME", "");
    let run = sandbox.run(&["store", "x", "--home", home.to_str().unwrap()]);
    run.ends(0);
    assert!(home.join("akosha.db").exists());
}
