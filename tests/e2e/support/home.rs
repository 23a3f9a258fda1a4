//! A machine: a home of its own, its settings, and the program run on it.

use std::collections::BTreeMap;
use std::fs;
use std::io::{Read, Write};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::mpsc;
use std::thread;
use std::time::{Duration, Instant};

use rusqlite::{Connection, OpenFlags};
use serde_json::Value;
use tempfile::TempDir;

use super::{DEAD_PORT, Mcp, S3, eventually, is_running, process, wait};

/// Longest time that any command may take here.
const LIMIT: Duration = Duration::from_mins(1);

/// A machine.
pub(crate) struct Home {
    folder: TempDir,
    settings: BTreeMap<String, String>,
}

/// A change as the store of a home holds it: every revision of every memory.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Row {
    pub(crate) system_id: String,
    pub(crate) memory_id: String,
    pub(crate) revision: i64,
    pub(crate) op: String,
    pub(crate) text: String,
    pub(crate) metadata: String,
}

impl Home {
    /// Makes a machine of this system id. It knows no vault; its HTTP address answers nobody.
    pub(crate) fn new(system_id: &str) -> Self {
        let home = Self {
            folder: TempDir::new().unwrap(),
            settings: BTreeMap::new(),
        };
        home.with("system_id", system_id)
            .with("akosha_url", format!("http://127.0.0.1:{DEAD_PORT}/mcp"))
            .with("max_retries", "0")
            .with("retry_backoff_seconds", "0.1")
    }

    /// Sets a setting, by its name in the configuration file.
    pub(crate) fn with(mut self, key: &str, value: impl Into<String>) -> Self {
        self.set(key, value);
        self
    }

    /// Sets a setting, by its name in the configuration file.
    pub(crate) fn set(&mut self, key: &str, value: impl Into<String>) {
        self.settings
            .insert(format!("AKOSHA_{}", key.to_uppercase()), value.into());
    }

    /// Uses a folder as the vault.
    pub(crate) fn with_folder(self, vault: &Path) -> Self {
        self.with("cloud_bucket", format!("file://{}", vault.display()))
    }

    /// Uses a bucket as the vault.
    pub(crate) fn with_s3(self, s3: &S3) -> Self {
        self.with("cloud_bucket", S3::BUCKET)
            .with("cloud_endpoint", s3.endpoint())
            .with("cloud_access_key", S3::ACCESS_KEY)
            .with("cloud_secret_key", S3::SECRET_KEY)
    }

    /// Copies everything, as a person does who clones a machine.
    pub(crate) fn copy(&self) -> Self {
        let copy = Self {
            folder: TempDir::new().unwrap(),
            settings: self.settings.clone(),
        };
        copy_folder(&self.root(), &copy.root());
        copy
    }

    /// Returns the home's folder.
    pub(crate) fn root(&self) -> PathBuf {
        self.folder.path().join("home")
    }

    /// Returns a path beside the home, for the test's own files.
    pub(crate) fn beside(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    /// Returns the path of the database.
    pub(crate) fn database(&self) -> PathBuf {
        self.root().join("akosha.db")
    }

    /// Returns the program as it is run on this machine, with nothing of the caller's environment.
    pub(crate) fn command(&self, arguments: &[&str]) -> Command {
        self.prepare(Command::new(env!("CARGO_BIN_EXE_akosha")), arguments)
    }

    /// Gives a command the environment of this machine.
    pub(crate) fn prepare(&self, mut command: Command, arguments: &[&str]) -> Command {
        let user = self.beside("user");
        fs::create_dir_all(&user).unwrap();
        command.args(arguments).current_dir(&user).env_clear();
        for name in ["PATH", "SystemRoot", "TMPDIR", "TEMP"] {
            if let Some(value) = std::env::var_os(name) {
                command.env(name, value);
            }
        }
        command
            .env("HOME", &user)
            .env("XDG_CONFIG_HOME", user.join("config"))
            .env("XDG_DATA_HOME", user.join("data"))
            .env("AKOSHA_HOME", self.root())
            .envs(&self.settings);
        command
    }

    /// Runs a command to its end.
    pub(crate) fn run(&self, arguments: &[&str]) -> Run {
        self.run_with(arguments, b"")
    }

    /// Runs a command to its end with `input` on its standard input.
    pub(crate) fn run_with(&self, arguments: &[&str], input: &[u8]) -> Run {
        Run::of(self.command(arguments), input)
    }

    /// Runs a command with `--json` that has to succeed, and returns its answer.
    pub(crate) fn ok(&self, arguments: &[&str]) -> Value {
        self.json(arguments, 0)
    }

    /// Runs a command with `--json` that has to end with `code`, and returns its answer.
    pub(crate) fn json(&self, arguments: &[&str], code: i32) -> Value {
        let arguments = [arguments, &["--json"]].concat();
        self.run(&arguments).ended(code).json()
    }

    /// Stores a memory.
    pub(crate) fn store(&self, memory_id: &str, text: &str) -> Value {
        self.ok(&["store", text, "--id", memory_id])
    }

    /// Starts an MCP server on standard input and output and initialises it.
    pub(crate) fn mcp(&self) -> Mcp {
        Mcp::start(self.command(&["mcp"]))
    }

    /// Returns all memories as they are exported, but for how they came in.
    pub(crate) fn export(&self) -> Vec<Value> {
        let run = self.run(&["export", "--format", "jsonl"]).ended(0);
        let mut memories: Vec<Value> = run
            .stdout
            .lines()
            .map(|line| serde_json::from_str(line).unwrap())
            .collect();
        for memory in &mut memories {
            let method = memory.as_object_mut().unwrap().remove("ingestion_method");
            assert!(method.is_some(), "no ingestion method: {memory}");
        }
        memories.sort_by_key(|memory| {
            (
                memory["system_id"].to_string(),
                memory["memory_id"].to_string(),
            )
        });
        memories
    }

    /// Returns how many changes are not acknowledged.
    pub(crate) fn lag(&self) -> u64 {
        self.ok(&["status"])["lag"]["unsynced_memories"]
            .as_u64()
            .unwrap()
    }

    /// Returns every revision in the store, sorted, read past the program.
    pub(crate) fn rows(&self) -> Vec<Row> {
        let db = self.open_database();
        let sql = "SELECT system_id, memory_id, revision, op, text, metadata FROM changes";
        let mut statement = db.prepare(sql).unwrap();
        let rows = statement.query_map([], |row| {
            Ok(Row {
                system_id: row.get(0)?,
                memory_id: row.get(1)?,
                revision: row.get(2)?,
                op: row.get(3)?,
                text: row.get(4)?,
                metadata: row.get(5)?,
            })
        });
        let mut rows: Vec<Row> = rows.unwrap().map(Result::unwrap).collect();
        rows.sort();
        rows
    }

    /// Returns what SQLite says of the database's integrity: `ok`, or what is wrong.
    pub(crate) fn integrity(&self) -> String {
        let db = self.open_database();
        db.query_row("PRAGMA integrity_check", [], |row| row.get(0))
            .unwrap()
    }

    /// Opens the database past the program.
    pub(crate) fn open_database(&self) -> Connection {
        let flags = OpenFlags::SQLITE_OPEN_READ_WRITE;
        let db = Connection::open_with_flags(self.database(), flags).unwrap();
        db.busy_timeout(Duration::from_secs(30)).unwrap();
        db
    }

    /// Ends every lease, as time would: a process that was killed cannot give its own back.
    pub(crate) fn expire_leases(&self) {
        self.open_database()
            .execute("DELETE FROM leases", [])
            .unwrap();
    }

    /// Waits until no process of this home runs, at most for `limit`.
    pub(crate) fn wait_until_quiet(&self, limit: Duration) {
        let deadline = Instant::now() + limit;
        while is_running(&self.root()) {
            assert!(
                Instant::now() < deadline,
                "still running after {limit:?}: {:#?}",
                process::of_home(&self.root())
            );
            thread::sleep(Duration::from_millis(20));
        }
    }
}

/// A command that ran to its end.
#[derive(Debug)]
pub(crate) struct Run {
    #[expect(dead_code, reason = "shown when a test fails")]
    command: String,
    pub(crate) code: Option<i32>,
    pub(crate) stdout: String,
    pub(crate) stderr: String,
    pub(crate) took: Duration,
}

impl Run {
    /// Runs a command to its end. A process that is left behind must not hold its output open.
    pub(crate) fn of(mut command: Command, input: &[u8]) -> Self {
        let started = Instant::now();
        let mut child = command
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap();
        let mut stdin = child.stdin.take().unwrap();
        let input = input.to_vec();
        // A command that does not read its input may close it.
        let writer = thread::spawn(move || drop(stdin.write_all(&input)));
        let stdout = read_to_end(child.stdout.take().unwrap());
        let stderr = read_to_end(child.stderr.take().unwrap());
        let status = wait(&mut child, LIMIT);
        let took = started.elapsed();
        let text = |bytes: mpsc::Receiver<Vec<u8>>| {
            let bytes = bytes.recv_timeout(Duration::from_secs(5));
            let bytes = bytes.expect("a process that was left behind holds the output open");
            String::from_utf8(bytes).expect("the output is UTF-8")
        };
        let (stdout, stderr) = (text(stdout), text(stderr));
        writer.join().unwrap();
        Self {
            command: format!("{:?}", command.get_args().collect::<Vec<_>>()),
            code: status.code(),
            stdout,
            stderr,
            took,
        }
    }

    /// Checks the exit code.
    pub(crate) fn ended(self, code: i32) -> Self {
        assert_eq!(self.code, Some(code), "{self:#?}");
        self
    }

    /// Returns the answer: exactly one JSON object.
    pub(crate) fn json(&self) -> Value {
        let value: Value = serde_json::from_str(&self.stdout)
            .unwrap_or_else(|error| panic!("no JSON on standard output: {error}: {self:#?}"));
        assert!(value.is_object(), "{self:#?}");
        value
    }

    /// Returns the error that was answered with `--json`, after checking that it has all parts.
    pub(crate) fn error(&self) -> Value {
        let error = self.json()["error"].clone();
        for part in ["kind", "message", "hint"] {
            let text = error[part].as_str().unwrap_or_default();
            assert!(!text.is_empty(), "the error has no {part}: {self:#?}");
        }
        error
    }
}

fn read_to_end(mut from: impl Read + Send + 'static) -> mpsc::Receiver<Vec<u8>> {
    let (sender, receiver) = mpsc::channel();
    thread::spawn(move || {
        let mut bytes = Vec::new();
        // The test may have given up waiting.
        let _ = from.read_to_end(&mut bytes);
        let _ = sender.send(bytes);
    });
    receiver
}

pub(super) fn copy_folder(from: &Path, to: &Path) {
    fs::create_dir_all(to).unwrap();
    for entry in fs::read_dir(from).unwrap().map(Result::unwrap) {
        let target = to.join(entry.file_name());
        if entry.file_type().unwrap().is_dir() {
            copy_folder(&entry.path(), &target);
        } else {
            fs::copy(entry.path(), target).unwrap();
        }
    }
}

impl Drop for Home {
    fn drop(&mut self) {
        // A detached child would otherwise write into a folder that is being removed.
        if !thread::panicking() && self.database().exists() {
            eventually("the end of all processes of a home", LIMIT, || {
                (!is_running(&self.root())).then_some(())
            });
        }
    }
}
