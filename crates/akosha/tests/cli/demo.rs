//! `akosha demo`.

use crate::support::Sandbox;

#[test]
fn shows_the_loop_and_leaves_nothing() {
    let sandbox = Sandbox::new().with("AKOSHA_CHUNK_SIZE_MB", "0");
    let temporary = sandbox.path("tmp");
    std::fs::create_dir(&temporary).unwrap();
    let sandbox = sandbox.with("TMPDIR", temporary.to_str().unwrap());
    let answer = sandbox.json(&["demo"], 0);
    assert_eq!(answer["success"], true);
    let shown = sandbox.run(&["demo"]).ends(0).stdout;
    for step in answer["steps"].as_array().unwrap() {
        let name = step["name"].as_str().unwrap();
        assert!(shown.contains(&format!("{name} ")), "{name}: {shown}");
    }
    assert_eq!(std::fs::read_dir(&temporary).unwrap().count(), 0);
    assert!(!sandbox.path("home").exists());
}
