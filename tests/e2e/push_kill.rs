//! Acknowledged is verified: a sync that is killed at any moment is finished by a later one, and
//! the vault ends with every row once.

use std::fs;
use std::process::Stdio;
use std::thread;
use std::time::{Duration, Instant};

use serde_json::{Value, json};

use crate::support::{Home, Mcp, S3, Seed, Vault, assert_same, wait};

/// How often a sync is killed in each vault.
const KILLS: usize = 25;

#[test]
fn a_folder_converges() {
    let vault = Vault::new();
    converges(&vault, |system| Home::new(system).with_folder(vault.root()));
}

#[test]
fn a_bucket_converges() {
    let s3 = S3::start();
    converges(&Vault::at(&s3.objects()), |system| {
        Home::new(system).with_s3(&s3)
    });
}

fn converges(vault: &Vault, machine: impl Fn(&str) -> Home) {
    let mut seed = Seed::new();
    let home = machine("laptop");
    let follower = machine("follower");
    let mut mcp = home.mcp();
    write(&mut seed, &mut mcp, 0);
    let started = Instant::now();
    home.ok(&["sync"]);
    // What a sync takes; later ones have less to do, and a busy machine is slower.
    let mut normal = started.elapsed();
    let mut midway = 0;

    for round in 1..=4 * KILLS {
        if round > KILLS && midway >= KILLS / 5 {
            break;
        }
        write(&mut seed, &mut mcp, round);
        let delay = normal.mul_f64(seed.below(1300) as f64 / 1000.0);
        let outcome = killed_sync(&home, delay);
        normal = normal.mul_f64(if outcome.is_some() { 0.85 } else { 1.05 });
        // Whatever the killed sync has acknowledged is really there.
        let claims_all = home.lag() == 0;
        midway += usize::from(outcome.is_none() && !claims_all);
        assert!(
            claims_all || outcome != Some(0),
            "exit code 0 with changes left"
        );
        if claims_all {
            follower.ok(&["pull"]);
            assert_same("what was acknowledged", &home.rows(), &follower.rows());
        }
        // Often the next is killed, too, with more to do.
        if seed.one_in(3) {
            let pushed = home.ok(&["sync"]);
            assert_eq!(pushed["success"], true, "{pushed}");
            assert_eq!(home.lag(), 0);
            follower.ok(&["pull"]);
            assert_same(
                "after a sync that was not killed",
                &home.rows(),
                &follower.rows(),
            );
        }
    }
    // A test that never hits a sync at work shows nothing.
    assert!(
        midway >= KILLS / 5,
        "only {midway} syncs were killed midway"
    );
    home.ok(&["sync"]);
    assert_eq!(home.lag(), 0);
    vault.check("laptop");
    let fresh = machine("fresh");
    let pulled = fresh.ok(&["pull"]);
    assert_eq!(pulled["quarantined"], json!([]), "{pulled}");
    assert_same("memories", &home.export(), &fresh.export());
    assert_same("every revision, once", &home.rows(), &fresh.rows());
    assert_eq!(
        vault.rows("laptop"),
        home.rows().len() as u64,
        "a row was sent twice"
    );
    let pushed = home.ok(&["sync"]);
    assert_eq!(pushed["memories_uploaded"], 0, "{pushed}");
}

/// Stores, revises and forgets.
fn write(seed: &mut Seed, mcp: &mut Mcp, round: usize) {
    let count = if round == 0 { 300 } else { 1 + seed.below(60) };
    let memories = (0..count).map(|i| {
        let mut memory = json!({"memory_id": format!("m{round}-{i}"), "text": seed.noise(700)});
        if seed.one_in(4) {
            memory["embedding"] = json!(seed.embedding());
        }
        memory
    });
    mcp.store_all(memories.collect::<Vec<Value>>());
    mcp.store("revised", &format!("Round {round}"));
    if round > 0 {
        let forgotten = json!({"memory_id": format!("m{}-0", round - 1)});
        mcp.call("forget_memory", forgotten).ok();
    }
}

/// Kills a sync after `delay`; returns its exit code where it was done before.
fn killed_sync(home: &Home, delay: Duration) -> Option<i32> {
    let mut child = home
        .command(&["sync"])
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .spawn()
        .unwrap();
    thread::sleep(delay);
    // It may have ended already.
    let _ = child.kill();
    let status = wait(&mut child, Duration::from_secs(10));
    // The killed process cannot give its lease back; one test waits for its end.
    home.expire_leases();
    status.code()
}

#[test]
fn the_claim_of_a_killed_sync_ends_by_itself() {
    let vault = Vault::new();
    let home = Home::new("laptop").with_folder(vault.root());
    home.store("m", "Has to arrive");
    // A claim as a killed sync leaves it: nobody renews it.
    let db = home.open_database();
    let now = "CAST((julianday('now') - 2440587.5) * 86400000000 AS INTEGER)";
    let sql = format!("INSERT INTO leases VALUES ('drain', 'somebody dead', {now} + 3000000)");
    db.execute(&sql, []).unwrap();
    let started = Instant::now();
    let pushed = home.ok(&["sync"]);
    assert_eq!(pushed["memories_uploaded"], 1, "{pushed}");
    assert!(
        started.elapsed() > Duration::from_secs(2),
        "the claim was not respected"
    );
}

#[test]
fn what_a_killed_sync_left_on_disk_goes_with_the_next() {
    let mut seed = Seed::new();
    let vault = Vault::new();
    let home = Home::new("laptop").with_folder(vault.root());
    let tmp = home.root().join("tmp");
    let left = || fs::read_dir(&tmp).map_or(0, Iterator::count);
    let mut mcp = home.mcp();
    let big = (0..400).map(|i| json!({"memory_id": format!("m{i}"), "text": seed.noise(20_000)}));
    mcp.store_all(big.collect());
    let mut midway = false;
    for _ in 0..40 {
        let mut child = home
            .command(&["sync"])
            .stdout(Stdio::null())
            .spawn()
            .unwrap();
        // Killed as soon as there is a segment.
        while left() == 0 && child.try_wait().unwrap().is_none() {
            thread::sleep(Duration::from_millis(1));
        }
        let _ = child.kill();
        wait(&mut child, Duration::from_secs(10));
        home.expire_leases();
        if left() > 0 {
            midway = true;
            break;
        }
        mcp.store("more", &seed.noise(20_000));
    }
    assert!(midway, "no sync was killed with a segment on disk");
    home.ok(&["sync"]);
    assert_eq!(left(), 0);

    // Content that is erased is not left there either, unless a push is at work.
    drop(mcp.finish());
    home.wait_until_quiet(Duration::from_secs(20));
    fs::write(tmp.join("push-of-a-dead-process"), "content").unwrap();
    home.ok(&["forget", "m1", "--erase"]);
    assert_eq!(left(), 0);
}
