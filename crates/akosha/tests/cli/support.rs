//! A home of its own for each test, and the binary run in it.

use std::ffi::OsStr;
use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use serde_json::Value;
use tempfile::TempDir;

/// A folder with a home, a vault and an empty configuration directory.
pub(crate) struct Sandbox {
    folder: TempDir,
    variables: Vec<(String, String)>,
}

impl Sandbox {
    /// Creates a sandbox without a vault; HTTP sync goes to a port on which nothing listens.
    pub(crate) fn new() -> Self {
        Self {
            folder: tempfile::tempdir().unwrap(),
            variables: Vec::new(),
        }
        .with("AKOSHA_SYSTEM_ID", "test-system")
        .with("AKOSHA_URL", "http://127.0.0.1:9/mcp")
        .with("AKOSHA_MAX_RETRIES", "0")
    }

    /// Creates a sandbox with a folder as the vault.
    pub(crate) fn with_vault() -> Self {
        let sandbox = Self::new();
        let url = sandbox.vault_url();
        sandbox.with("AKOSHA_CLOUD_BUCKET", &url)
    }

    /// Creates a machine that has pushed `text` as the memory `a`, and another one that reads its
    /// vault and has pulled nothing yet.
    pub(crate) fn sender_and_receiver(text: &str) -> (Self, Self) {
        let sender = Self::with_vault();
        sender.store("a", text);
        sender.run(&["sync"]).ends(0);
        let receiver = Self::new()
            .with("AKOSHA_CLOUD_BUCKET", &sender.vault_url())
            .with("AKOSHA_SYSTEM_ID", "other-system");
        (sender, receiver)
    }

    /// Sets a variable for every run.
    pub(crate) fn with(mut self, name: &str, value: &str) -> Self {
        self.variables.retain(|(known, _)| known != name);
        self.variables.push((name.to_owned(), value.to_owned()));
        self
    }

    /// Returns a path in the sandbox.
    pub(crate) fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    /// Writes a file into the sandbox and returns its path as text.
    pub(crate) fn file(&self, name: &str, content: impl AsRef<[u8]>) -> String {
        let path = self.path(name);
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        std::fs::write(&path, content).unwrap();
        text(&path)
    }

    /// Returns the address of the vault.
    pub(crate) fn vault_url(&self) -> String {
        format!("file://{}", text(&self.path("vault")))
    }

    /// Returns the binary, ready to be run in the sandbox alone.
    pub(crate) fn command<S: AsRef<OsStr>>(&self, arguments: &[S]) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_akosha"));
        for (name, _) in std::env::vars_os() {
            let name = name.to_string_lossy().into_owned();
            let is_read = ["AKOSHA_", "CLOUD_SYNC_", "AWS_"];
            if is_read.iter().any(|prefix| name.starts_with(prefix)) {
                command.env_remove(name);
            }
        }
        command
            .args(arguments)
            .env("AKOSHA_HOME", self.path("home"))
            .env("XDG_CONFIG_HOME", self.path("config"))
            .env("HOME", self.folder.path())
            .envs(self.variables.iter().cloned())
            .current_dir(self.folder.path())
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped());
        command
    }

    /// Runs the binary to its end.
    pub(crate) fn run<S: AsRef<OsStr>>(&self, arguments: &[S]) -> Run {
        Run::of(self.command(arguments), b"")
    }

    /// Runs the binary with something on standard input.
    pub(crate) fn run_with(&self, arguments: &[&str], input: impl AsRef<[u8]>) -> Run {
        Run::of(self.command(arguments), input.as_ref())
    }

    /// Runs a command with `--json`, checks its exit code and returns its answer.
    pub(crate) fn json(&self, arguments: &[&str], code: i32) -> Value {
        let run = self.run(&[arguments, &["--json"]].concat());
        run.ends(code).json()
    }

    /// Runs a command with `--json` that fails and returns kind and message of the error.
    pub(crate) fn error(&self, arguments: &[&str], code: i32) -> (String, String) {
        let answer = self.json(arguments, code);
        let part = |key: &str| answer["error"][key].as_str().unwrap().to_owned();
        assert!(!part("hint").is_empty(), "{answer}");
        (part("kind"), part("message"))
    }

    /// Stores a text under an id.
    pub(crate) fn store(&self, id: &str, memory: &str) {
        self.run(&["store", "--id", id, memory]).ends(0);
    }

    /// Waits until nothing is queued.
    pub(crate) fn wait_for_queue(&self) {
        eventually("the queue is empty", || {
            let queue = self.json(&["status"], 0)["queue"].clone();
            (queue["pending"] == 0 && queue["running"] == 0).then_some(())
        });
    }
}

/// How a run ended.
#[derive(Debug)]
pub(crate) struct Run {
    /// The exit code; `None` after a signal.
    pub(crate) code: Option<i32>,
    /// Standard output.
    pub(crate) stdout: String,
    /// Standard error.
    pub(crate) stderr: String,
}

impl Run {
    fn of(mut command: Command, input: &[u8]) -> Self {
        let mut child = command.stdin(Stdio::piped()).spawn().unwrap();
        // A command that does not read its input may have closed it.
        let _ = child.stdin.take().unwrap().write_all(input);
        let output = child.wait_with_output().unwrap();
        Self {
            code: output.status.code(),
            stdout: String::from_utf8(output.stdout).unwrap(),
            stderr: String::from_utf8(output.stderr).unwrap(),
        }
    }

    /// Checks the exit code.
    #[track_caller]
    pub(crate) fn ends(self, code: i32) -> Self {
        assert_eq!(self.code, Some(code), "{self:?}");
        self
    }

    /// Returns the one JSON object on standard output.
    #[track_caller]
    pub(crate) fn json(&self) -> Value {
        match serde_json::from_str(&self.stdout) {
            Ok(answer @ Value::Object(_)) => answer,
            other => panic!("no JSON object: {other:?} in {self:?}"),
        }
    }
}

/// Returns the keys of an object, sorted.
pub(crate) fn keys(object: &Value) -> Vec<&str> {
    object
        .as_object()
        .unwrap()
        .keys()
        .map(String::as_str)
        .collect()
}

/// Returns a path as text.
pub(crate) fn text(path: &Path) -> String {
    path.to_str().unwrap().to_owned()
}

/// Looks again and again until `look` returns something, for at most 20 s.
pub(crate) fn eventually<T>(what: &str, mut look: impl FnMut() -> Option<T>) -> T {
    let deadline = Instant::now() + Duration::from_secs(20);
    loop {
        if let Some(found) = look() {
            return found;
        }
        assert!(Instant::now() < deadline, "it never came that {what}");
        std::thread::sleep(Duration::from_millis(20));
    }
}

/// Replaces every time by `TIME`.
pub(crate) fn without_times(text: &str) -> String {
    let words = text.split_inclusive([' ', '\n']).map(|word| {
        let bare = word.trim_end();
        let is_time = bare.len() >= 20 && bare.ends_with('Z') && bare.contains('T');
        if is_time && bare.starts_with("20") {
            word.replace(bare, "TIME")
        } else {
            word.to_owned()
        }
    });
    words.collect()
}
