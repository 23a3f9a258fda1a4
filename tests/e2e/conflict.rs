//! Nothing is overwritten unseen: two machines under one system id.

use std::thread;

use serde_json::{Value, json};

use crate::support::{Home, S3, Server, Vault, assert_same};

/// A push that has to be refused: exit code 4, nothing in the vault touched, nothing
/// acknowledged.
fn refused(home: &Home, vault: &Vault) -> String {
    let (files, lag) = (vault.files(), home.lag());
    assert!(lag > 0, "there is nothing to refuse");
    let report = home.json(&["sync"], 4);
    assert_eq!(report["success"], false, "{report}");
    assert_eq!(report["memories_uploaded"], 0, "{report}");
    assert_eq!(report["errors"][0]["method"], "cloud", "{report}");
    let text = home.run(&["sync"]).ended(4);
    assert!(
        text.stderr.contains("akosha machines adopt"),
        "no way out is named: {text:#?}"
    );
    assert!(vault.files() == files, "the vault was changed");
    assert_eq!(home.lag(), lag);
    report["error"].as_str().unwrap().to_owned()
}

fn texts(home: &Home) -> Vec<String> {
    let mut texts: Vec<String> = home.rows().into_iter().map(|row| row.text).collect();
    texts.sort();
    texts
}

#[test]
fn the_second_machine_is_refused_in_a_folder() {
    let vault = Vault::new();
    two_machines(&vault, |system| Home::new(system).with_folder(vault.root()));
}

#[test]
fn the_second_machine_is_refused_in_a_bucket() {
    let s3 = S3::start();
    two_machines(&Vault::at(&s3.objects()), |system| {
        Home::new(system).with_s3(&s3)
    });
}

fn two_machines(vault: &Vault, machine: impl Fn(&str) -> Home) {
    let (first, second) = (machine("shared"), machine("shared"));
    first.store("m", "The first machine says this");
    first.ok(&["sync"]);
    let head = vault.head("shared");
    assert_eq!(head["system_id"], "shared", "{head}");
    assert!(
        head["writer_id"].is_string() && head["epoch"].is_i64(),
        "{head}"
    );

    // The first machine sleeps: nothing of it runs.
    second.store("m", "The second machine says that");
    let error = refused(&second, vault);
    assert!(error.contains("shared"), "{error}");
    assert_eq!(second.ok(&["status"])["queue"]["running"], 0);

    // A person settles it.
    let adopted = second.ok(&["machines", "adopt", "shared"]);
    let epoch = head["epoch"].as_i64().unwrap() + 1;
    assert_eq!(adopted["epoch"], epoch, "{adopted}");
    let raised = vault.head("shared");
    assert_eq!(raised["epoch"], epoch, "{raised}");
    assert_eq!(raised["upload_id"], head["upload_id"], "{raised}");
    assert_ne!(raised["writer_id"], head["writer_id"], "{raised}");
    second.ok(&["sync"]);
    assert_eq!(second.lag(), 0);
    vault.check("shared");

    first.store("n", "The first machine wakes up");
    refused(&first, vault);
    // The first has its own memories still, a third machine has what both have pushed.
    assert_eq!(
        texts(&first),
        ["The first machine says this", "The first machine wakes up"]
    );
    let third = machine("third");
    third.ok(&["pull"]);
    assert_eq!(
        texts(&third),
        [
            "The first machine says this",
            "The second machine says that"
        ]
    );
    let status = third.ok(&["status"]);
    assert_eq!(status["conflicts"], 1);
    let named = &status["content_conflicts"][0];
    assert_eq!(
        (&named["system_id"], &named["memory_id"], &named["revision"]),
        (&json!("shared"), &json!("m"), &json!(1)),
        "{status}"
    );
    let shown = third.run(&["status"]).ended(0).stdout;
    assert!(shown.contains("m of shared, revision 1"), "{shown}");

    // The first takes the id back: now the second is told, and nothing is missing.
    first.ok(&["machines", "adopt", "shared"]);
    first.ok(&["sync"]);
    second.store("o", "The second machine goes on");
    refused(&second, vault);
    third.ok(&["pull"]);
    assert_eq!(texts(&third).len(), 3);
    vault.check("shared");
}

#[test]
fn a_copied_home_is_found_out() {
    let vault = Vault::new();
    let original = Home::new("laptop").with_folder(vault.root());
    original.store("before", "Both have this");
    original.ok(&["sync"]);
    let copy = original.copy();
    copy.store("shared", "The copy says this");
    original.store("shared", "The original says that");
    copy.ok(&["sync"]);
    let error = refused(&original, &vault);
    assert!(error.contains("laptop"), "{error}");

    original.ok(&["machines", "adopt"]);
    original.ok(&["sync"]);
    copy.store("later", "The copy goes on");
    refused(&copy, &vault);
    vault.check("laptop");
    let fresh = Home::new("fresh").with_folder(vault.root());
    fresh.ok(&["pull"]);
    let expected = [
        "Both have this",
        "The copy says this",
        "The original says that",
    ];
    assert_eq!(texts(&fresh), expected);
    assert_eq!(fresh.ok(&["status"])["conflicts"], 1);
}

#[test]
fn a_new_system_id_settles_it_too() {
    let vault = Vault::new();
    let first = Home::new("shared").with_folder(vault.root());
    let mut second = Home::new("shared").with_folder(vault.root());
    first.store("m", "First");
    first.ok(&["sync"]);
    second.store("m", "Second");
    second.store("m", "Second, revised");
    second.store("given up", "Soon forgotten");
    second.ok(&["forget", "given up"]);
    refused(&second, &vault);
    let status = second.ok(&["status"]);
    let conflict = &status["sync_conflicts"][0];
    assert_eq!(conflict["system_id"], "shared", "{status}");
    assert_eq!(conflict["method"], "cloud", "{status}");
    let hint = conflict["hint"].as_str().unwrap();
    assert!(hint.contains("`system_id`"), "{status}");
    let shown = second.run(&["status"]).ended(0).stdout;
    assert!(
        shown.contains("conflict") && shown.contains(hint),
        "{shown}"
    );

    // What the hint says first is all that is to be done.
    second.set("system_id", "second");
    second.store("n", "Under its own name");
    let report = second.ok(&["sync"]);
    assert_eq!(report["method"], "cloud", "{report}");
    assert_eq!(report["memories_uploaded"], 5, "{report}");
    assert_eq!(second.lag(), 0);
    assert_eq!(second.ok(&["status"])["sync_conflicts"], json!([]));
    first.store("o", "The first goes on");
    first.ok(&["sync"]);
    second.store("p", "And so does the second");
    second.ok(&["sync"]);
    for home in [&first, &second] {
        assert_eq!(home.ok(&["sync"])["memories_uploaded"], 0);
    }
    vault.check("shared");
    vault.check("second");

    // A reader has everything of both, once.
    let third = Home::new("third").with_folder(vault.root());
    third.ok(&["pull"]);
    let mut all = [first.rows(), second.rows()].concat();
    all.sort();
    assert_same("everything, once", &all, &third.rows());
    assert_eq!(third.ok(&["pull"])["uploads_seen"], 0);
    for home in [&first, &second] {
        home.ok(&["pull"]);
        assert_same("everywhere", &third.rows(), &home.rows());
        assert_eq!(home.ok(&["status"])["conflicts"], 0);
    }
}

#[test]
fn what_was_acknowledged_under_the_old_id_keeps_it() {
    let vault = Vault::new();
    let mut first = Home::new("shared").with_folder(vault.root());
    first.store("m", "Acknowledged");
    first.store("n", "Acknowledged, too");
    first.ok(&["sync"]);
    let second = Home::new("shared").with_folder(vault.root());
    second.store("x", "Of the machine that takes over");
    second.ok(&["machines", "adopt"]);
    second.ok(&["sync"]);

    first.store("m", "Revised after the other took over");
    first.ok(&["forget", "n"]);
    refused(&first, &vault);
    first.set("system_id", "first");
    // The deletion cannot reach those who have the memory, and nobody is left to believe it did.
    let report = first.json(&["sync"], 3);
    assert_eq!(report["memories_uploaded"], 1, "{report}");
    let hint = report["hint"].as_str().unwrap();
    assert!(hint.contains("1 of its changes (deletions: 1)"), "{report}");
    let status = first.ok(&["status"]);
    assert_eq!(status["sync_conflicts"][0]["hint"], hint, "{status}");
    // It was said by the exit code; the rest is synced, so from now on a warning says it.
    for _ in 0..2 {
        let again = first.ok(&["sync"]);
        assert_eq!(again["memories_uploaded"], 0, "{again}");
        let warning = again["warnings"][0].as_str().unwrap();
        assert!(warning.contains(hint), "{again}");
    }
    let text = first.run(&["sync"]).ended(0);
    assert!(
        text.stdout.contains("nothing else to push") && text.stderr.contains(hint),
        "{text:#?}"
    );
    assert_eq!(first.ok(&["status"])["sync_conflicts"][0]["hint"], hint);
    assert_eq!(first.ok(&["doctor"])["healthy"], true);
    let shared = first.ok(&["get", "m", "--system", "shared"]);
    assert_eq!(shared["text"], "Acknowledged");
    // What changes is said by the exit code once more.
    first.ok(&["forget", "m", "--system", "shared"]);
    let more = first.json(&["sync"], 4);
    let hint = more["hint"].as_str().unwrap();
    assert!(hint.contains("2 of its changes (deletions: 2)"), "{more}");
    assert_eq!(first.ok(&["sync"])["success"], true);
    let moved = vault.uploads("first");
    assert_eq!(moved.len(), 1, "{moved:#?}");
    assert_eq!(vault.rows("first"), 1);
    assert_eq!(vault.rows("shared"), 3);
    assert_eq!(first.lag(), 2);
    // What it forgot stays forgotten here.
    first.json(&["get", "n"], 1);
    assert_eq!(first.ok(&["get", "m"])["system_id"], "first");
    second.store("y", "Goes on");
    second.ok(&["sync"]);
    vault.check("shared");

    // The id is taken over for once: now the deletions arrive.
    first.ok(&["machines", "adopt", "shared"]);
    assert_eq!(first.ok(&["sync"])["memories_uploaded"], 2);
    assert_eq!(first.lag(), 0);
    vault.check("shared");
    let third = Home::new("third").with_folder(vault.root());
    third.ok(&["pull"]);
    third.json(&["get", "n", "--system", "shared"], 1);
    third.json(&["get", "m", "--system", "shared"], 1);
    third.ok(&["get", "x", "--system", "shared"]);
}

#[test]
fn what_another_target_has_under_the_old_id_is_told_and_the_rest_arrives() {
    let (vault, server) = (Vault::new(), Server::start("server"));
    let first = Home::new("shared").with_folder(vault.root());
    first.store("m", "First");
    first.ok(&["sync"]);
    let second = Home::new("shared").with("akosha_url", server.url());
    second.store("n", "On the server under the old id");
    assert_eq!(second.ok(&["sync"])["method"], "http");
    let mut second = second.with_folder(vault.root());
    refused(&second, &vault);
    second.set("system_id", "second");
    second.store("o", "Under the new id");
    // Something was changed, so it is no mere conflict.
    let report = second.json(&["sync"], 3);
    assert_eq!(report["memories_uploaded"], 1, "{report}");
    assert_eq!(report["method"], "cloud", "{report}");
    assert!(
        report["hint"].as_str().unwrap().contains("adopt shared"),
        "{report}"
    );
    assert_eq!(vault.rows("second"), 1);
    second.store("p", "Another one");
    let text = second.run(&["sync"]).ended(0);
    assert!(
        text.stdout.contains("pushed 1 change by cloud") && text.stderr.contains("adopt shared"),
        "{text:#?}"
    );
    // The way out that is left.
    second.ok(&["machines", "adopt", "shared"]);
    assert_eq!(second.ok(&["sync"])["memories_uploaded"], 1);
    assert_eq!(second.lag(), 0);
    vault.check("shared");
}

#[test]
fn only_an_id_of_this_machine_that_another_one_has_can_be_taken_over() {
    let vault = Vault::new();
    let home = Home::new("laptop").with_folder(vault.root());
    let other = Home::new("other").with_folder(vault.root());
    other.store("m", "Of another machine");
    other.ok(&["sync"]);
    let nothing = |home: &Home| {
        let before = vault.files();
        let answer = home.ok(&["machines", "adopt"]);
        assert_eq!(answer["adopted"], false, "{answer}");
        assert!(vault.files() == before, "the vault was changed");
        answer["epoch"].clone()
    };
    assert_eq!(nothing(&home), 0);
    home.store("m", "Mine");
    home.ok(&["sync"]);
    assert_eq!(nothing(&home), 0);
    let text = home.run(&["machines", "adopt", "laptop"]).ended(0);
    assert!(text.stdout.contains("nothing to do"), "{text:#?}");
    for unknown in ["typo", "other"] {
        let error = home
            .run(&["machines", "adopt", unknown, "--json"])
            .ended(2)
            .error();
        assert_eq!(error["kind"], "config", "{error}");
        assert!(
            error["message"].as_str().unwrap().contains("`laptop`"),
            "{error}"
        );
    }
    other.store("n", "Not disturbed");
    other.ok(&["sync"]);
}

#[test]
fn of_two_first_pushes_at_once_one_wins() {
    for _ in 0..5 {
        let vault = Vault::new();
        let machines = [(); 2].map(|()| Home::new("shared").with_folder(vault.root()));
        for (i, home) in machines.iter().enumerate() {
            home.store("m", &format!("Machine {i} was first"));
        }
        let codes: Vec<Option<i32>> = thread::scope(|scope| {
            let runs = [0, 1].map(|i| {
                let home = &machines[i];
                scope.spawn(move || home.run(&["sync", "--json"]).code)
            });
            runs.map(|run| run.join().unwrap()).into()
        });
        let mut sorted = codes.clone();
        sorted.sort_unstable();
        assert_eq!(sorted, [Some(0), Some(4)], "{codes:?}");
        vault.check("shared");
        let (winner, loser) = if codes[0] == Some(0) { (0, 1) } else { (1, 0) };
        assert_eq!(machines[winner].lag(), 0);
        assert_eq!(machines[loser].lag(), 1);
        refused(&machines[loser], &vault);
        let fresh = Home::new("fresh").with_folder(vault.root());
        fresh.ok(&["pull"]);
        assert_eq!(texts(&fresh), [format!("Machine {winner} was first")]);
    }
}

#[test]
fn an_epoch_that_cannot_be_exceeded_is_said() {
    let vault = Vault::new();
    let other = Home::new("laptop").with_folder(vault.root());
    other.store("m", "Of the other machine");
    other.ok(&["sync"]);
    let mut head = vault.head("laptop");
    head["epoch"] = json!((1_i64 << 53) - 1);
    let path = vault.system("laptop").join("head.json");
    std::fs::write(&path, head.to_string()).unwrap();

    let home = Home::new("laptop").with_folder(vault.root());
    home.store("n", "Of this one");
    let report = home.json(&["sync"], 4);
    let hint = report["hint"].as_str().unwrap();
    assert!(
        hint.contains("`system_id`") && !hint.contains("adopt"),
        "{report}"
    );
    let answer = home.json(&["machines", "adopt"], 4);
    let message = answer["error"]["message"].as_str().unwrap();
    assert!(message.contains("cannot be taken over"), "{answer}");
    assert_eq!(vault.head("laptop"), head, "the head was changed");
}

#[test]
fn a_queued_sync_in_conflict_is_parked_and_shown() {
    let vault = Vault::new();
    let first = Home::new("shared").with_folder(vault.root());
    first.store("m", "First");
    first.ok(&["sync"]);
    let second = Home::new("shared").with_folder(vault.root());
    let mut mcp = second.mcp();
    mcp.store("m", "Second");
    assert_eq!(
        mcp.call("session_end", json!({})).ok()["sync"]["queued"],
        true
    );
    drop(mcp.finish());
    second.wait_until_quiet(std::time::Duration::from_secs(20));
    let status = second.ok(&["status"]);
    assert_eq!(status["queue"]["parked"], 1, "{status}");
    let parked = &status["queue"]["parked_job"];
    assert_eq!(parked["error"], status["queue"]["last_error"], "{status}");
    let hint = parked["hint"].as_str().unwrap();
    assert!(hint.contains("akosha machines adopt"), "{status}");
    let shown = second.run(&["status"]).ended(0).stdout;
    assert!(shown.contains("parked") && shown.contains(hint), "{shown}");
    assert!(
        status["queue"]["last_error"]
            .as_str()
            .unwrap()
            .contains("shared"),
        "{status}"
    );
    second.ok(&["machines", "adopt"]);
    second.ok(&["sync"]);
    let status = second.ok(&["status"]);
    assert_eq!(status["queue"]["parked"], 0, "{status}");
    assert_eq!(status["queue"]["last_error"], Value::Null, "{status}");
    assert_eq!(status["queue"]["parked_job"], Value::Null, "{status}");
}
