//! `akosha completions`.

use crate::support::Sandbox;

#[test]
fn every_shell_has_a_script() {
    let sandbox = Sandbox::new().with("AKOSHA_CHUNK_SIZE_MB", "0");
    for shell in ["bash", "zsh", "fish", "powershell", "elvish"] {
        let script = sandbox.run(&["completions", shell]).ends(0).stdout;
        assert!(script.contains("akosha"), "{shell}");
        assert_eq!(sandbox.json(&["completions", shell], 0)["script"], script);
    }
    sandbox.error(&["completions", "tcsh"], 2);
    assert!(!sandbox.path("home").exists());
}
