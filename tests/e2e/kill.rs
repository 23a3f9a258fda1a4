//! Accepted is durable: `kill -9` directly after any answer loses nothing that was acknowledged.

use std::collections::{BTreeMap, BTreeSet};
use std::thread;
use std::time::Duration;

use serde_json::{Value, json};

use crate::support::{Home, Mcp, Seed, Vault, assert_same};

/// How often the server is killed.
const KILLS: usize = 100;

/// What has to be in the store: for each memory its text, `None` where it is forgotten.
#[derive(Default)]
struct Acknowledged {
    texts: BTreeMap<String, Option<String>>,
    revisions: BTreeSet<(String, i64)>,
    unanswered: BTreeSet<String>,
}

#[test]
fn a_hundred_kills_lose_nothing() {
    let mut seed = Seed::new();
    let vault = Vault::new();
    let home = Home::new("laptop").with_folder(vault.root());
    let mut known = Acknowledged::default();
    for round in 0..KILLS {
        let mut mcp = home.mcp();
        for step in 0..=seed.below(3) {
            known.work(&mut seed, &mut mcp, &format!("{round}-{step}"));
        }
        if seed.one_in(3) {
            known.start_without_answer(&mut seed, &mut mcp, round);
        }
        thread::sleep(Duration::from_micros(seed.below(20_000)));
        mcp.kill();
        if round % 25 == 0 {
            known.check(&home);
        }
    }
    home.wait_until_quiet(Duration::from_secs(30));
    known.check(&home);
    // What the killed servers began to sync arrives whole, too.
    home.expire_leases();
    home.ok(&["sync"]);
    let fresh = Home::new("other").with_folder(vault.root());
    fresh.ok(&["pull"]);
    assert_same("what arrived", &home.export(), &fresh.export());
    assert_same("every revision", &home.rows(), &fresh.rows());
    vault.check("laptop");
}

impl Acknowledged {
    /// Makes a call of a random kind and waits for its answer.
    fn work(&mut self, seed: &mut Seed, mcp: &mut Mcp, name: &str) {
        match seed.below(10) {
            0..4 => self.store(seed, mcp, &format!("m{name}")),
            4..6 => {
                if let Some(id) = self.any(seed) {
                    self.store(seed, mcp, &id);
                }
            }
            6..8 => {
                let ids: Vec<String> = (0..=seed.below(30))
                    .map(|i| format!("b{name}-{i}"))
                    .collect();
                let memories = ids
                    .iter()
                    .map(|id| json!({"memory_id": id, "text": text(id)}));
                mcp.store_all(memories.collect());
                for id in ids {
                    self.revisions.insert((id.clone(), 1));
                    self.texts.insert(id.clone(), Some(text(&id)));
                }
            }
            8 => {
                if let Some(id) = self.any(seed) {
                    mcp.call("forget_memory", json!({"memory_id": id})).ok();
                    self.texts.insert(id, None);
                }
            }
            _ => {
                let summary = format!("Session {name} taught us {}", seed.below(1000));
                let ended = mcp.call("session_end", json!({"summary": summary})).ok();
                let id = ended["memory_id"].as_str().unwrap().to_owned();
                self.revisions.insert((id.clone(), 1));
                self.texts.insert(id, Some(summary));
            }
        }
    }

    fn store(&mut self, seed: &mut Seed, mcp: &mut Mcp, id: &str) {
        let len = usize::try_from(seed.below(3000)).unwrap();
        let text = format!("{id} says {}", seed.noise(len));
        let stored = mcp.store(id, &text);
        self.revisions
            .insert((id.to_owned(), stored["revision"].as_i64().unwrap()));
        self.texts.insert(id.to_owned(), Some(text));
    }

    /// Sends a call whose answer nobody reads: afterwards it happened whole or not at all.
    fn start_without_answer(&mut self, seed: &mut Seed, mcp: &mut Mcp, round: usize) {
        let ids: Vec<String> = (0..=seed.below(20))
            .map(|i| format!("u{round}-{i}"))
            .collect();
        let memories: Vec<Value> = ids
            .iter()
            .map(|id| json!({"memory_id": id, "text": text(id)}))
            .collect();
        mcp.send_call("batch_store_memories", json!({ "memories": memories }));
        self.unanswered.extend(ids);
    }

    /// Returns a memory that is known and not forgotten.
    fn any(&self, seed: &mut Seed) -> Option<String> {
        let living: Vec<&String> = self
            .texts
            .iter()
            .filter(|(_, text)| text.is_some())
            .map(|(id, _)| id)
            .collect();
        let at = seed.below(living.len().max(1) as u64);
        living
            .get(usize::try_from(at).unwrap())
            .map(|id| (*id).clone())
    }

    fn check(&self, home: &Home) {
        assert_eq!(home.integrity(), "ok");
        let text_of = |memory: &Value, key: &str| memory[key].as_str().unwrap().to_owned();
        let mut stored: BTreeMap<String, String> = home
            .export()
            .iter()
            .map(|memory| (text_of(memory, "memory_id"), text_of(memory, "text")))
            .collect();
        for (id, text) in &self.texts {
            assert_eq!(stored.remove(id).as_ref(), text.as_ref(), "{id}");
        }
        let mut batches: BTreeMap<&str, usize> = BTreeMap::new();
        for (id, stored) in &stored {
            assert!(self.unanswered.contains(id), "nobody stored {id}");
            assert_eq!(*stored, text(id), "half of {id} is stored");
            *batches.entry(id.split_once('-').unwrap().0).or_default() += 1;
        }
        for (batch, count) in batches {
            let prefix = format!("{batch}-");
            let sent = self
                .unanswered
                .iter()
                .filter(|id| id.starts_with(&prefix))
                .count();
            assert_eq!(count, sent, "a part of batch {batch} is stored");
        }
        let rows = home.rows();
        let history: BTreeSet<(String, i64)> = rows
            .iter()
            .map(|row| (row.memory_id.clone(), row.revision))
            .collect();
        assert_eq!(history.len(), rows.len(), "a revision is there twice");
        let lost: Vec<_> = self.revisions.difference(&history).collect();
        assert!(lost.is_empty(), "history lost {lost:?}");
    }
}

fn text(id: &str) -> String {
    format!("The text of {id} that has to be whole")
}

#[test]
fn eight_writers_at_once_lose_nothing() {
    let home = Home::new("laptop");
    let mut expected = BTreeSet::new();
    for writer in 0..8 {
        let count = if writer % 2 == 0 { 12 } else { 60 };
        expected.extend((0..count).map(|i| format!("w{writer}-{i}")));
    }
    thread::scope(|scope| {
        for writer in 0..8 {
            let home = &home;
            scope.spawn(move || {
                if writer % 2 == 0 {
                    for i in 0..12 {
                        home.store(
                            &format!("w{writer}-{i}"),
                            &format!("Command {writer} says {i}"),
                        );
                    }
                    return;
                }
                let mut mcp = home.mcp();
                for i in 0..50 {
                    mcp.store(
                        &format!("w{writer}-{i}"),
                        &format!("Server {writer} says {i}"),
                    );
                }
                let id = |i: usize| format!("w{writer}-{i}");
                let rest = (50..60).map(|i| json!({"memory_id": id(i), "text": text(&id(i))}));
                mcp.store_all(rest.collect());
                // All write one memory, too: each change is a revision of its own.
                mcp.store("shared", &format!("Server {writer} was here"));
                assert!(mcp.finish().0.success());
            });
        }
    });
    assert_eq!(home.integrity(), "ok");
    let rows = home.rows();
    let stored: BTreeSet<String> = rows
        .iter()
        .filter(|row| row.memory_id != "shared")
        .map(|row| row.memory_id.clone())
        .collect();
    assert_eq!(stored, expected);
    let shared: Vec<_> = rows
        .iter()
        .filter(|row| row.memory_id == "shared")
        .collect();
    let revisions: Vec<i64> = shared.iter().map(|row| row.revision).collect();
    assert_eq!(revisions, [1, 2, 3, 4], "{shared:#?}");
    assert_eq!(home.export().len(), expected.len() + 1);
}

#[test]
fn a_write_that_is_killed_is_whole_or_absent() {
    let mut seed = Seed::new();
    let home = Home::new("laptop");
    home.store("first", "The store exists");
    for round in 0..20 {
        let mut mcp = home.mcp();
        let memories: Vec<Value> = (0..200)
            .map(|i| json!({"memory_id": format!("k{round}-{i}"), "text": seed.noise(500)}))
            .collect();
        mcp.send_call("batch_store_memories", json!({ "memories": memories }));
        thread::sleep(Duration::from_micros(seed.below(60_000)));
        mcp.kill();
    }
    assert_eq!(home.integrity(), "ok");
    let mut rounds: BTreeMap<String, usize> = BTreeMap::new();
    for row in home.rows() {
        if let Some((round, _)) = row.memory_id.split_once('-') {
            *rounds.entry(round.to_owned()).or_default() += 1;
        }
    }
    assert!(rounds.values().all(|count| *count == 200), "{rounds:?}");
}
