//! Killed at any step: a process is killed at each request that it sends, before or after the server
//! has done it, and whoever comes next makes it whole.
//!
//! Each run takes one step, so that `AKOSHA_KILL_STEP=17` replays it. `AKOSHA_KILL_STRIDE=1` takes all
//! steps; without it every third.

use std::fs;
use std::process::Stdio;
use std::time::Duration;

use serde_json::json;
use tempfile::TempDir;

use crate::support::{Home, Moment, S3, Vault, assert_same, wait};

/// How many steps are passed over where nothing else is asked for.
const STRIDE: u64 = 3;

/// A state from which each run starts.
struct Scene {
    s3: S3,
    bucket: TempDir,
    home: Home,
}

impl Scene {
    fn new(make: impl Fn(&S3, &Home)) -> Self {
        let s3 = S3::start();
        let home = Home::new("laptop").with_s3(&s3);
        let notes = home.beside("notes.db");
        fs::write(&notes, "a line of a file\n".repeat(1000)).unwrap();
        let home = home.with("files", notes.to_str().unwrap());
        make(&s3, &home);
        let bucket = TempDir::new().unwrap();
        s3.save(bucket.path());
        Self { s3, bucket, home }
    }

    /// Runs a command from the same state once for each step, killed at it, and lets `check` make it
    /// whole.
    fn each_step(&self, arguments: &[&str], of: impl Fn() -> Home, check: impl Fn(&Home, &str)) {
        let number = |name: &str| std::env::var(name).ok()?.parse::<u64>().ok();
        let only = number("AKOSHA_KILL_STEP");
        let stride = number("AKOSHA_KILL_STRIDE").unwrap_or(STRIDE).max(1);
        let mut killed = 0;
        let mut step = only.unwrap_or(0);
        loop {
            let moment = if step.is_multiple_of(2) {
                Moment::Before
            } else {
                Moment::After
            };
            self.s3.load(self.bucket.path());
            let home = of();
            self.s3.arm(step / 2, moment);
            let mut child = home
                .command(arguments)
                .stdin(Stdio::null())
                .stdout(Stdio::null())
                .stderr(Stdio::null())
                .spawn()
                .unwrap();
            self.s3.aim(child.id());
            let status = wait(&mut child, Duration::from_mins(1));
            let is_killed = self.s3.disarm();
            let what = format!("`akosha {}`, step {step}", arguments.join(" "));
            assert!(is_killed || status.success(), "{what}: {status}");
            home.expire_leases();
            check(&home, &what);
            killed += u64::from(is_killed);
            if !is_killed || only.is_some() {
                break;
            }
            step += stride;
        }
        // A command that is never killed shows nothing.
        assert!(killed >= 5 || only.is_some(), "only {killed} were killed");
    }

    fn machine(&self, system_id: &str) -> Home {
        Home::new(system_id).with_s3(&self.s3)
    }

    /// Checks that the vault has everything that a home has, and nothing twice.
    fn holds_all_of(&self, home: &Home, what: &str) {
        let verified = home.ok(&["vault", "verify", "--deep"]);
        assert_eq!(verified["problems"], json!([]), "{what}");
        let fresh = self.machine("fresh");
        let pulled = fresh.ok(&["pull"]);
        assert_eq!(pulled["quarantined"], json!([]), "{what}: {pulled}");
        assert_same(what, &home.rows(), &fresh.rows());
        let to = fresh.beside("back");
        let arguments = ["files", "fetch", "notes.db", "--system", "laptop", "--to"];
        fresh.ok(&[&arguments[..], &[to.to_str().unwrap()]].concat());
        let found = fs::read(to.join("notes.db")).unwrap();
        assert_eq!(
            found,
            fs::read(self.home.beside("notes.db")).unwrap(),
            "{what}"
        );
    }
}

fn write(home: &Home, round: usize) {
    home.store(&format!("m{round}"), "Stays");
    home.store("revised", &format!("In round {round}"));
    home.store("short", "Of a short life");
    home.ok(&["forget", "short"]);
}

#[test]
fn a_push() {
    let scene = Scene::new(|_, home| {
        write(home, 0);
        home.ok(&["sync"]);
        write(home, 1);
        fs::write(home.beside("notes.db"), "another line\n".repeat(1000)).unwrap();
    });
    let vault = Vault::at(&scene.s3.objects());
    scene.each_step(
        &["sync"],
        || scene.home.copy(),
        |home, what| {
            if home.lag() == 0 {
                let fresh = scene.machine("fresh");
                fresh.ok(&["pull"]);
                assert_same("what was acknowledged", &home.rows(), &fresh.rows());
            }
            home.ok(&["sync"]);
            assert_eq!(home.lag(), 0, "{what}");
            scene.holds_all_of(home, what);
            assert_eq!(
                vault.rows("laptop"),
                home.rows().len() as u64,
                "{what}: a row was sent twice"
            );
            let again = home.ok(&["sync"]);
            assert_eq!(again["bytes_transferred"], 0, "{what}: {again}");
        },
    );
}

#[test]
fn a_first_push() {
    let scene = Scene::new(|_, home| write(home, 0));
    scene.each_step(
        &["sync"],
        || scene.home.copy(),
        |home, what| {
            home.ok(&["sync"]);
            scene.holds_all_of(home, what);
        },
    );
}

#[test]
fn a_pull() {
    let scene = Scene::new(|_, home| {
        for round in 0..4 {
            write(home, round);
            home.ok(&["sync"]);
        }
    });
    scene.each_step(
        &["pull"],
        || scene.machine("reader"),
        |reader, what| {
            let pulled = reader.ok(&["pull"]);
            assert_eq!(pulled["quarantined"], json!([]), "{what}: {pulled}");
            assert_same(what, &scene.home.rows(), &reader.rows());
            assert_eq!(reader.integrity(), "ok", "{what}");
        },
    );
}

#[test]
fn a_collection_that_merges_and_removes() {
    let scene = Scene::new(|_, home| {
        for round in 0..3 {
            write(home, round);
            home.ok(&["sync"]);
        }
        // What another one stands for, and what no manifest names any more, wait to be removed.
        home.ok(&["vault", "gc", "--merge-from", "3"]);
        home.ok(&["vault", "gc", "--grace-hours", "0"]);
        for round in 3..5 {
            write(home, round);
            home.ok(&["sync"]);
        }
    });
    let collect = ["vault", "gc", "--grace-hours", "0", "--merge-from", "3"];
    scene.each_step(
        &collect,
        || scene.home.copy(),
        |home, what| {
            scene.holds_all_of(home, what);
            write(home, 5);
            home.ok(&["sync"]);
            home.ok(&collect);
            home.ok(&collect);
            home.ok(&collect);
            scene.holds_all_of(home, what);
            let unreferenced = &home.ok(&["vault", "verify"])["unreferenced"];
            assert_eq!(unreferenced, 0, "{what}");
        },
    );
}

#[test]
fn a_repair() {
    let scene = Scene::new(|s3, home| {
        for round in 0..3 {
            write(home, round);
            home.ok(&["sync"]);
        }
        let vault = Vault::at(&s3.objects());
        let uploads = vault.uploads("laptop");
        fs::remove_file(&uploads[0].path).unwrap();
        fs::write(&uploads[2].path, "damaged").unwrap();
        for path in vault.files().into_keys() {
            if path.to_str().unwrap().contains("/chunks/") {
                fs::remove_file(path).unwrap();
            }
        }
        fs::remove_file(vault.system("laptop").join("head.json")).unwrap();
    });
    let repair = ["vault", "repair"];
    scene.each_step(
        &repair,
        || scene.home.copy(),
        |home, what| {
            home.ok(&repair);
            scene.holds_all_of(home, what);
        },
    );
}
