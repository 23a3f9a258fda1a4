//! Two machines under one system id that push to another Akosha over HTTP are told, as those are
//! that push to a vault.

use crate::support::{Home, Server, assert_same};

fn texts(home: &Home) -> Vec<String> {
    let mut texts: Vec<String> = home.rows().into_iter().map(|row| row.text).collect();
    texts.sort();
    texts
}

/// A push that has to be refused: exit code 4, nothing stored there, nothing acknowledged.
fn refused(home: &Home, server: &Server) -> String {
    let (lag, before) = (home.lag(), server.home().rows());
    let report = home.json(&["sync"], 4);
    assert_eq!(report["memories_uploaded"], 0, "{report}");
    assert_eq!(report["errors"][0]["method"], "http", "{report}");
    assert_same("nothing was stored", &before, &server.home().rows());
    assert_eq!(home.lag(), lag);
    let status = home.ok(&["status"]);
    assert_eq!(status["sync_conflicts"][0]["method"], "http", "{status}");
    report["hint"].as_str().unwrap().to_owned()
}

#[test]
fn the_second_machine_is_told_and_may_take_over() {
    let server = Server::start("server");
    let machine = || Home::new("shared").with("akosha_url", server.url());
    let (mut first, second) = (machine(), machine());
    first.store("m", "The first machine says this");
    first.ok(&["sync"]);
    second.store("m", "The second machine says that");
    assert!(refused(&second, &server).contains("akosha machines adopt shared"));

    let adopted = second.ok(&["machines", "adopt"]);
    assert_eq!(
        (&adopted["adopted"], adopted["epoch"].as_i64()),
        (&true.into(), Some(1))
    );
    second.ok(&["sync"]);
    assert_eq!(
        second.ok(&["status"])["sync_conflicts"]
            .as_array()
            .unwrap()
            .len(),
        0
    );
    first.store("n", "The first machine wakes up");
    first.ok(&["forget", "m"]);
    refused(&first, &server);

    // The first takes another id: what the server does not have arrives under it.
    // The deletion of what it has under the old one does not, and that is said.
    first.set("system_id", "first");
    let report = first.json(&["sync"], 3);
    assert_eq!(report["memories_uploaded"], 1, "{report}");
    assert_eq!(first.lag(), 1);
    let expected = [
        "The first machine says this",
        "The first machine wakes up",
        "The second machine says that",
    ];
    assert_eq!(texts(server.home()), expected);
    let there = server.home().ok(&["get", "n"]);
    assert_eq!(there["system_id"], "first", "{there}");
    second.store("o", "The second machine goes on");
    second.ok(&["sync"]);
    first.store("p", "The first machine goes on");
    let report = first.ok(&["sync"]);
    let waits = report["warnings"][0].as_str().unwrap();
    assert!(waits.contains("adopt shared"), "{report}");
    assert_eq!(texts(server.home()).len(), 5);
}

#[test]
fn a_machine_that_has_the_id_of_the_server_is_told() {
    let server = Server::start("shared");
    let mut home = Home::new("shared").with("akosha_url", server.url());
    home.store("m", "Would never be forwarded to the server's vault");
    let hint = refused(&home, &server);
    assert!(
        hint.contains("`system_id`") && !hint.contains("adopt"),
        "{hint}"
    );
    home.json(&["machines", "adopt"], 4);
    home.set("system_id", "laptop");
    assert_eq!(home.ok(&["sync"])["memories_uploaded"], 1);
    assert_same("under its own id", &home.rows(), &server.home().rows());
}

#[test]
fn a_copied_home_is_found_out() {
    let server = Server::start("server");
    let original = Home::new("laptop").with("akosha_url", server.url());
    original.store("before", "Both have this");
    original.ok(&["sync"]);
    let copy = original.copy();
    for (home, text) in [(&copy, "The copy says this"), (&copy, "The copy says more")] {
        home.store("shared", text);
        home.ok(&["sync"]);
    }
    original.store("shared", "The original says that");
    original.ok(&["forget", "before"]);
    assert!(refused(&original, &server).contains("akosha machines adopt laptop"));
    let error = original.json(&["sync"], 4)["error"].to_string();
    assert!(error.contains("a copy of this home"), "{error}");

    // A person settles it; then it is the copy that is told.
    original.ok(&["machines", "adopt"]);
    original.ok(&["sync"]);
    original.store("later", "The original goes on");
    original.ok(&["sync"]);
    assert_eq!(original.lag(), 0);
    copy.store("later", "The copy goes on");
    refused(&copy, &server);
    let expected = [
        "Both have this",
        "The copy says more",
        "The copy says this",
        "The original goes on",
        "The original says that",
    ];
    let mut found = texts(server.home());
    found.retain(|text| !text.is_empty());
    assert_eq!(found, expected);
}

#[test]
fn a_server_that_was_put_back_takes_the_pushes_of_its_machines() {
    let server = Server::start("server");
    let home = Home::new("laptop").with("akosha_url", server.url());
    for text in ["one", "two", "three"] {
        home.store(text, text);
        home.ok(&["sync"]);
    }
    // What a server knew two pushes ago.
    let marks = |sql: &str| {
        let db = server.home().open_database();
        db.query_row(sql, [], |row| row.get::<_, String>(0))
    };
    let newest = "SELECT value FROM meta WHERE key = 'newest push as laptop'";
    let known = marks(newest).unwrap();
    for text in ["four", "five"] {
        home.store(text, text);
        home.ok(&["sync"]);
    }
    assert_ne!(marks(newest).unwrap(), known);
    let db = server.home().open_database();
    let sql = "UPDATE meta SET value = ?1 WHERE key = 'newest push as laptop'";
    assert_eq!(db.execute(sql, [&known]).unwrap(), 1);
    home.store("six", "six");
    assert_eq!(home.ok(&["sync"])["memories_uploaded"], 1);
}
