//! An encrypted vault: who has the key reads everything, who has not finds nothing, and what
//! anybody changed or added is found.

use std::fs;
use std::io::Read;
use std::path::PathBuf;

use serde_json::{Value, json};
use sha2::{Digest, Sha256};

use crate::support::{Home, Seed, Server, Vault, assert_same};

/// Returns a machine that encrypts what it pushes, with a key of its own.
fn machine(system: &str, vault: &Vault) -> Home {
    let home = Home::new(system)
        .with_folder(vault.root())
        .with("encryption", "on");
    home.ok(&["key", "create"]);
    home
}

/// Returns a machine that has the keys of another one.
fn with_keys_of(other: &Home, system: &str, vault: &Vault) -> Home {
    let home = Home::new(system)
        .with_folder(vault.root())
        .with("encryption", "on");
    home.ok(&["key", "import", key_file(other).to_str().unwrap()]);
    home
}

fn key_file(home: &Home) -> PathBuf {
    home.root().join("keys.json")
}

fn key_id(home: &Home) -> String {
    let keys = home.ok(&["key", "show"]);
    keys["keys"][0]["key_id"].as_str().unwrap().to_owned()
}

/// Returns the reason for which the only upload was set aside.
fn reason(pulled: &Value) -> String {
    let quarantined = pulled["quarantined"].as_array().unwrap();
    assert_eq!(quarantined.len(), 1, "{pulled}");
    quarantined[0]["reason"].as_str().unwrap().to_owned()
}

/// Texts and bytes that must not be found, with a name for each.
struct Needles(Vec<(String, Vec<u8>)>);

impl Needles {
    fn text(&mut self, text: &str) {
        self.0.push((format!("the text {text:?}"), text.into()));
        let hash = Sha256::digest(text.as_bytes());
        self.bytes(&format!("the SHA-256 of {text:?}"), &hash);
        self.0
            .push((format!("the hex of {text:?}"), hex::encode(hash).into()));
    }

    fn bytes(&mut self, name: &str, bytes: &[u8]) {
        self.0.push((name.to_owned(), bytes.to_vec()));
    }

    /// Returns what is found in the names and bytes of all objects of a vault, as they lie there
    /// and after zstd.
    fn found_in(&self, vault: &Vault) -> Vec<&str> {
        let mut all = Vec::new();
        for (path, bytes) in vault.files() {
            all.push(path.to_string_lossy().into_owned().into_bytes());
            all.extend(unpacked(&bytes));
            all.push(bytes);
        }
        let is_in = |needle: &[u8]| {
            all.iter()
                .any(|bytes| bytes.windows(needle.len()).any(|part| part == needle))
        };
        let found = self.0.iter().filter(|(_, needle)| is_in(needle));
        found.map(|(name, _)| &**name).collect()
    }
}

/// Returns what unpacks from every place at which a frame of zstd may begin.
fn unpacked(bytes: &[u8]) -> Vec<Vec<u8>> {
    const MAGIC: [u8; 4] = [0x28, 0xb5, 0x2f, 0xfd];
    let starts = bytes.windows(4).enumerate();
    let starts = starts.filter(|(_, start)| *start == MAGIC);
    starts
        .map(|(at, _)| {
            let mut out = Vec::new();
            let decoder = zstd::stream::read::Decoder::new(&bytes[at..]).unwrap();
            // What comes before an error counts.
            let _ = decoder.single_frame().take(8 << 20).read_to_end(&mut out);
            out
        })
        .collect()
}

/// Stores memories of all kinds; returns what could give them away.
fn remember(home: &Home) -> Needles {
    let mut seed = Seed::new();
    let mut needles = Needles(Vec::new());
    let mut mcp = home.mcp();
    let embedding = seed.embedding();
    let numbers: Vec<u8> = embedding
        .iter()
        .take(4)
        .flat_map(|number| number.to_le_bytes())
        .collect();
    needles.bytes("a vector", &numbers);
    for (id, text) in [
        (
            "decision-about-staging",
            "Staging is reset every Monday at four",
        ),
        ("größe-Ω", "naïve café behind the old harbour"),
    ] {
        needles.text(text);
        needles.bytes(&format!("the id {id}"), id.as_bytes());
        mcp.store_all(vec![json!({
            "memory_id": id,
            "text": text,
            "embedding": embedding,
            "metadata": {"project": "lighthouse-keeper", "tags": ["barnacle"]},
        })]);
    }
    needles.bytes("a project", b"lighthouse-keeper");
    needles.bytes("a tag", b"barnacle");
    assert!(mcp.finish().0.success());
    needles
}

#[test]
fn nothing_that_is_remembered_is_found_in_an_encrypted_vault() {
    let vault = Vault::new();
    let home = machine("laptop", &vault);
    let needles = remember(&home);
    let pushed = home.ok(&["sync"]);
    assert_eq!(pushed["memories_uploaded"], 2, "{pushed}");
    home.store("decision-about-staging", "Staging is reset on Tuesdays");
    home.ok(&["forget", "größe-Ω"]);
    home.ok(&["sync"]);
    assert_eq!(needles.found_in(&vault), [""; 0]);
    vault.check("laptop");
    // The same search finds all of it where nothing is encrypted.
    let plain = Vault::new();
    let home = Home::new("laptop").with_folder(plain.root());
    let needles = remember(&home);
    home.ok(&["sync"]);
    let found = needles.found_in(&plain);
    let raw_hashes = |name: &&str| name.starts_with("the SHA-256 of");
    assert_eq!(
        found.len()
            + needles
                .0
                .iter()
                .filter(|(name, _)| raw_hashes(&&**name))
                .count(),
        needles.0.len(),
        "{found:?}"
    );
}

#[test]
fn who_has_the_key_reads_it_all() {
    let vault = Vault::new();
    let home = machine("laptop", &vault);
    remember(&home);
    home.ok(&["sync"]);
    let manifest = &vault.uploads("laptop")[0].manifest;
    assert_eq!(manifest["encryption"]["format"], "akosha-1");
    assert_eq!(manifest["encryption"]["cipher"], "xchacha20-poly1305");
    assert_eq!(manifest["encryption"]["key_id"], key_id(&home).as_str());
    let public_key = home.ok(&["key", "show"])["keys"][0]["public_key"].clone();
    let signature = format!("ed25519:{}:", public_key.as_str().unwrap());
    assert!(
        manifest["signature"]
            .as_str()
            .unwrap()
            .starts_with(&signature)
    );
    let reader = with_keys_of(&home, "reader", &vault);
    let pulled = reader.ok(&["pull"]);
    assert_eq!(pulled["memories_added"], 2, "{pulled}");
    assert_same("every revision", &home.rows(), &reader.rows());
    // The same rows again give the same objects: nothing is sent twice.
    let before = vault.files();
    assert_eq!(home.ok(&["sync"])["bytes_transferred"], 0);
    assert!(vault.files() == before);
}

#[test]
fn without_the_key_an_upload_waits_for_it() {
    let vault = Vault::new();
    let home = machine("laptop", &vault);
    home.store("m", "Encrypted");
    home.ok(&["sync"]);
    let plain = Home::new("other").with_folder(vault.root());
    plain.store("n", "In the clear");
    plain.ok(&["sync"]);
    let server = Home::new("server").with_folder(vault.root());
    let pulled = server.json(&["pull"], 3);
    assert_eq!(pulled["memories_added"], 1, "{pulled}");
    let why = reason(&pulled);
    assert!(
        why.contains(&key_id(&home)) && why.contains("akosha key import"),
        "{why}"
    );
    assert!(why.contains("this home has no key"), "{why}");
    // Another key is told apart from none.
    server.ok(&["key", "create"]);
    let why = reason(&server.json(&["pull"], 3));
    assert!(
        why.contains(&format!("only `{}`", key_id(&server))),
        "{why}"
    );
    assert_eq!(
        server.ok(&["status"])["quarantine"]
            .as_array()
            .unwrap()
            .len(),
        1
    );

    let phrase = home.ok(&["key", "show", "--phrase"])["phrase"].clone();
    let phrase = phrase.as_str().unwrap().as_bytes().to_vec();
    server.run_with(&["key", "import"], &phrase).ended(0);
    let pulled = server.ok(&["pull"]);
    assert_eq!(pulled["memories_added"], 1, "{pulled}");
    assert_eq!(server.ok(&["status"])["quarantine"], json!([]));
}

#[test]
fn a_turned_bit_anywhere_is_found_and_named() {
    let mut seed = Seed::new();
    let vault = Vault::new();
    let home = machine("laptop", &vault);
    home.store("m", &seed.noise(2000));
    home.ok(&["sync"]);
    let is_object = |path: &PathBuf| {
        let path = path.to_string_lossy();
        path.contains("/segments/") || path.ends_with("manifest.json")
    };
    for (path, bytes) in vault
        .files()
        .into_iter()
        .filter(|(path, _)| is_object(path))
    {
        for _ in 0..12 {
            let mut changed = bytes.clone();
            let at = seed.below(bytes.len() as u64) as usize;
            changed[at] ^= 1 << seed.below(8);
            fs::write(&path, &changed).unwrap();
            let reader = with_keys_of(&home, "reader", &vault);
            let pulled = reader.json(&["pull"], 3);
            assert_eq!(pulled["memories_added"], 0, "{pulled}");
            assert!(!reason(&pulled).is_empty());
        }
        fs::write(&path, &bytes).unwrap();
    }
    let reader = with_keys_of(&home, "reader", &vault);
    assert_eq!(reader.ok(&["pull"])["memories_added"], 1);
}

#[test]
fn what_is_exchanged_under_a_new_checksum_is_told_from_a_missing_key() {
    let vault = Vault::new();
    let home = machine("laptop", &vault).with("require_signatures", "false");
    home.store("m", "The text of a memory");
    home.ok(&["sync"]);
    // Somebody who can write the bucket turns a bit and makes all names and hashes fit.
    let mut upload = vault.uploads("laptop").remove(0);
    let segment = upload.manifest["segments"][0].clone();
    let path = vault.root().join(segment["path"].as_str().unwrap());
    let mut object = fs::read(&path).unwrap();
    let last = object.len() - 20;
    object[last] ^= 1;
    let sha256 = hex::encode(Sha256::digest(&object));
    let name = format!("systems/laptop/segments/{sha256}.parquet");
    fs::write(vault.root().join(&name), &object).unwrap();
    let entry = &mut upload.manifest["segments"][0];
    entry["sha256"] = sha256.clone().into();
    entry["path"] = name.into();
    upload.seal();
    let reader =
        |strict: &str| with_keys_of(&home, "reader", &vault).with("require_signatures", strict);
    for strict in ["true", "false"] {
        let why = reason(&reader(strict).json(&["pull"], 3));
        assert!(why.contains("changed after it was signed"), "{why}");
    }
    upload.manifest["signature"] = Value::Null;
    upload.seal();
    let why = reason(&reader("true").json(&["pull"], 3));
    assert!(why.contains("not signed"), "{why}");
    let why = reason(&reader("false").json(&["pull"], 3));
    assert!(why.contains(&sha256), "{why}");
    assert!(
        why.contains(&format!("with the key `{}`", key_id(&home))),
        "{why}"
    );
    assert!(why.contains("it was changed"), "{why}");
}

#[test]
fn what_is_not_signed_by_somebody_trusted_is_set_aside() {
    let vault = Vault::new();
    let friend = Home::new("friend").with_folder(vault.root());
    friend.store("m", "Unsigned");
    friend.ok(&["sync"]);
    let mut reader = machine("reader", &vault);
    let why = reason(&reader.json(&["pull"], 3));
    assert!(
        why.contains("not signed") && why.contains("require_signatures"),
        "{why}"
    );

    let made = friend.ok(&["key", "create"]);
    let public_key = made["public_key"].as_str().unwrap();
    friend.store("n", "Signed");
    friend.ok(&["sync"]);
    let pulled = reader.json(&["pull"], 3);
    let shown = pulled["quarantined"].to_string();
    assert!(
        shown.contains(public_key) && shown.contains("trusted_keys"),
        "{shown}"
    );
    assert_eq!(pulled["memories_added"], 0, "{pulled}");

    reader.set("trusted_keys", public_key);
    let pulled = reader.json(&["pull"], 3);
    assert_eq!(pulled["memories_added"], 1, "{pulled}");
    reader.set("require_signatures", "false");
    assert_eq!(reader.ok(&["pull"])["memories_added"], 1);
    // What was read once is not looked at again.
    reader.set("require_signatures", "true");
    assert_eq!(reader.ok(&["pull"])["uploads_seen"], 0);
    // Nobody pushes what they would set aside themselves.
    let keyless = Home::new("keyless")
        .with_folder(vault.root())
        .with("require_signatures", "true");
    keyless.store("o", "Cannot be signed");
    let run = keyless.run(&["sync"]).ended(2);
    assert!(run.stderr.contains("no key to sign with"), "{run:#?}");
    assert!(vault.uploads("keyless").is_empty());
}

#[test]
fn after_a_rotation_old_and_new_uploads_are_read() {
    let vault = Vault::new();
    let home = machine("laptop", &vault);
    let early = with_keys_of(&home, "early", &vault);
    home.store("m", "Under the first key");
    let first = home.ok(&["sync"])["upload_id"].clone();
    let rotated = home.ok(&["key", "rotate"]);
    home.store("n", "Under the second key");
    home.ok(&["sync"]);
    for upload in vault.uploads("laptop") {
        let is_first = upload.manifest["upload_id"] == first;
        let expected = if is_first { "previous" } else { "key_id" };
        assert_eq!(upload.manifest["encryption"]["key_id"], rotated[expected]);
    }

    let reader = with_keys_of(&home, "reader", &vault);
    assert_eq!(reader.ok(&["pull"])["memories_added"], 2);
    // Who has the first key alone waits for the second.
    let pulled = early.json(&["pull"], 3);
    assert_eq!(pulled["memories_added"], 1, "{pulled}");
    assert!(reason(&pulled).contains(rotated["key_id"].as_str().unwrap()));
    early.ok(&["key", "import", key_file(&home).to_str().unwrap()]);
    assert_eq!(early.ok(&["pull"])["memories_added"], 1);
    assert_same("every revision", &home.rows(), &early.rows());
}

#[test]
fn without_a_key_nothing_is_synced_by_any_method() {
    let vault = Vault::new();
    let server = Server::start("server");
    let home = Home::new("laptop")
        .with_folder(vault.root())
        .with("encryption", "on")
        .with("akosha_url", server.url());
    home.store("m", "Must not leave in the clear");
    for arguments in [&["sync"][..], &["sync", "--method", "http"], &["pull"]] {
        let run = home.run(arguments).ended(2);
        assert!(run.stderr.contains("has no key"), "{run:#?}");
        assert!(
            run.stderr.contains("hint: make one: `akosha key create`"),
            "{run:#?}"
        );
    }
    assert_eq!(home.lag(), 1);
    assert!(vault.files().is_empty());
    let checked = home.json(&["config", "check"], 2);
    assert_eq!(checked["errors"][0]["key"], "encryption", "{checked}");
    let status = home.ok(&["status"]).to_string();
    assert!(status.contains("`encryption` needs a key"), "{status}");

    home.ok(&["key", "create"]);
    assert_eq!(home.ok(&["config", "check"])["valid"], true);
    assert_eq!(home.ok(&["sync"])["memories_uploaded"], 1);
}

#[test]
fn files_are_sealed_and_come_back_with_the_key_alone() {
    let mut seed = Seed::new();
    let vault = Vault::new();
    let home = machine("laptop", &vault);
    let path = home.beside("private-notes.db");
    let mut bytes = "The text of a file\n".repeat(20_000).into_bytes();
    bytes.extend((0..3 << 20).map(|_| seed.below(256) as u8));
    fs::write(&path, &bytes).unwrap();
    let home = home.with("files", path.to_str().unwrap());
    let pushed = home.ok(&["sync"]);
    assert_eq!(pushed["files_uploaded"], json!(["private-notes.db"]));
    let mut needles = Needles(Vec::new());
    needles.bytes("the file's name", b"private-notes");
    needles.bytes("the file's text", b"The text of a file");
    needles.bytes("the file's end", bytes.last_chunk::<64>().unwrap());
    needles.text(&hex::encode(Sha256::digest(&bytes)));
    assert_eq!(needles.found_in(&vault), [""; 0]);

    let fetch = |home: &Home, code: i32| {
        let to = home.beside("back");
        let arguments = ["files", "fetch", "private-notes.db", "--system", "laptop"];
        let arguments = [&arguments[..], &["--to", to.to_str().unwrap()]].concat();
        home.json(&arguments, code);
        to.join("private-notes.db")
    };
    let reader = with_keys_of(&home, "reader", &vault);
    assert!(fs::read(fetch(&reader, 0)).unwrap() == bytes);
    let stranger = Home::new("stranger").with_folder(vault.root());
    assert!(!fetch(&stranger, 2).exists());

    // Under a new key nothing of the old upload is named.
    let before = vault.files().len();
    home.ok(&["key", "rotate"]);
    let pushed = home.ok(&["sync"]);
    assert_eq!(pushed["files_uploaded"], json!(["private-notes.db"]));
    assert!(vault.files().len() > before + 2, "pieces are sealed anew");
    assert!(fs::read(fetch(&home, 0)).unwrap() == bytes);
}
