//! A vault that holds broken and hostile uploads beside good ones.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};
use std::time::Duration;

use serde_json::{Value, json};
use sha2::{Digest, Sha256};

use crate::support::{Home, Upload, Vault, assert_same};

/// What is done to an upload. It gets the vault's folder and the upload.
type Attack = fn(&Path, &mut Upload);

/// An attack and a word that the reason has to have.
struct Case {
    name: &'static str,
    reason: &'static str,
    attack: Attack,
}

const fn case(name: &'static str, reason: &'static str, attack: Attack) -> Case {
    Case {
        name,
        reason,
        attack,
    }
}

/// Returns the file of an upload's first segment.
fn segment(root: &Path, upload: &Upload) -> PathBuf {
    root.join(upload.segments()[0]["path"].as_str().unwrap())
}

fn overwrite(upload: &Upload, bytes: impl AsRef<[u8]>) {
    fs::write(&upload.path, bytes).unwrap();
}

/// Changes a field at a JSON pointer and makes the checksum right again: what a forger does.
fn forge(upload: &mut Upload, pointer: &str, value: Value) {
    *upload.manifest.pointer_mut(pointer).unwrap() = value;
    upload.seal();
}

/// Puts another segment in place of an upload's own, with every figure right.
fn plant(root: &Path, upload: &mut Upload, bytes: &[u8], rows: u64) {
    let hash = hex::encode(Sha256::digest(bytes));
    let path = format!("systems/evil/segments/{hash}.parquet");
    fs::write(root.join(&path), bytes).unwrap();
    let segment = &mut upload.manifest["segments"][0];
    segment["path"] = json!(path);
    segment["sha256"] = json!(hash);
    segment["size_bytes"] = json!(bytes.len());
    segment["rows"] = json!(rows);
    upload.manifest["total_size_bytes"] = json!(bytes.len());
    upload.manifest["conversation_count"] = json!(rows);
    upload.seal();
}

const CASES: &[Case] = &[
    case("wrong checksum", "checksum", |_, upload| {
        let right = upload.manifest["checksum"].as_str().unwrap().to_owned();
        let other = if right.starts_with('0') { "1" } else { "0" };
        upload.manifest["checksum"] = json!(format!("{other}{}", &right[1..]));
        upload.write();
    }),
    case("checksum in capitals", "checksum", |_, upload| {
        let right = upload.manifest["checksum"].as_str().unwrap().to_uppercase();
        upload.manifest["checksum"] = json!(right);
        upload.write();
    }),
    case("changed without a new checksum", "checksum", |_, upload| {
        upload.manifest["conversation_count"] = json!(2);
        upload.write();
    }),
    case("truncated segment", "segment", |root, upload| {
        let bytes = fs::read(segment(root, upload)).unwrap();
        fs::write(segment(root, upload), &bytes[..bytes.len() - 7]).unwrap();
    }),
    case("flipped bit", "segment", |root, upload| {
        let mut bytes = fs::read(segment(root, upload)).unwrap();
        let middle = bytes.len() / 2;
        bytes[middle] ^= 4;
        fs::write(segment(root, upload), bytes).unwrap();
    }),
    case("missing segment", "segment", |root, upload| {
        fs::remove_file(segment(root, upload)).unwrap();
    }),
    case("empty segment", "segment", |root, upload| {
        fs::write(segment(root, upload), "").unwrap();
    }),
    case("wrong size of a segment", "bytes", |_, upload| {
        let size = upload.manifest["segments"][0]["size_bytes"]
            .as_u64()
            .unwrap();
        upload.manifest["total_size_bytes"] = json!(size + 1);
        forge(upload, "/segments/0/size_bytes", json!(size + 1));
    }),
    case("wrong total size", "total_size_bytes", |_, upload| {
        forge(upload, "/total_size_bytes", json!(1));
    }),
    case(
        "total size beyond the limit",
        "total_size_bytes",
        |_, upload| {
            forge(upload, "/total_size_bytes", json!(100_000_000_001_u64));
        },
    ),
    case("more rows than there are", "rows", |_, upload| {
        upload.manifest["conversation_count"] = json!(2);
        forge(upload, "/segments/0/rows", json!(2));
    }),
    case("negative count", "conversation_count", |_, upload| {
        forge(upload, "/conversation_count", json!(-1));
    }),
    case(
        "count beyond the limit",
        "conversation_count",
        |_, upload| {
            forge(upload, "/conversation_count", json!(1_000_001));
        },
    ),
    case("path that escapes", "path", |_, upload| {
        let hash = upload.manifest["segments"][0]["sha256"]
            .as_str()
            .unwrap()
            .to_owned();
        let path = format!("systems/evil/segments/../../good-0/segments/{hash}.parquet");
        forge(upload, "/segments/0/path", json!(path));
    }),
    case("absolute path", "path", |_, upload| {
        forge(upload, "/segments/0/path", json!("/etc/passwd"));
    }),
    case("path of another system", "path", |root, upload| {
        let theirs = Vault::at(root).uploads("good-0")[0].segments()[0].clone();
        upload.manifest["total_size_bytes"] = theirs["size_bytes"].clone();
        upload.manifest["conversation_count"] = theirs["rows"].clone();
        forge(upload, "/segments", json!([theirs]));
    }),
    case("rows of another system", "belongs", |root, upload| {
        let theirs = Vault::at(root).uploads("good-0")[0].segments()[0].clone();
        let bytes = fs::read(root.join(theirs["path"].as_str().unwrap())).unwrap();
        plant(root, upload, &bytes, theirs["rows"].as_u64().unwrap());
    }),
    case("segment that is no Parquet", "segment", |root, upload| {
        plant(root, upload, &[7; 4096], 1);
    }),
    case(
        "segment that only begins and ends as Parquet",
        "segment",
        |root, upload| {
            let bytes = [
                b"PAR1".as_slice(),
                &[0xff; 500],
                &400_u32.to_le_bytes(),
                b"PAR1",
            ]
            .concat();
            plant(root, upload, &bytes, 1);
        },
    ),
    case("made tomorrow", "uploaded_at", |_, upload| {
        forge(upload, "/uploaded_at", json!("2999-01-01T00:00:00Z"));
    }),
    case("no time", "uploaded_at", |_, upload| {
        forge(upload, "/uploaded_at", json!("yesterday"));
    }),
    case("version of the future", "version", |_, upload| {
        forge(upload, "/version", json!("2.0"));
    }),
    case("version with a line break", "version", |_, upload| {
        forge(upload, "/version", json!("1.0\n"));
    }),
    case("system of another", "system_id", |_, upload| {
        forge(upload, "/system_id", json!("good-0"));
    }),
    case("id of another upload", "upload_id", |_, upload| {
        forge(upload, "/upload_id", json!("20260101_000000_evil_abcdef"));
    }),
    case("unknown compression", "compression", |_, upload| {
        forge(upload, "/compression_format", json!("rar"));
    }),
    case(
        "compression that contradicts itself",
        "compress",
        |_, upload| {
            upload.manifest["compressed"] = json!(false);
            forge(upload, "/compression_format", json!("gzip"));
        },
    ),
    case("no JSON", "JSON", |_, upload| {
        overwrite(upload, "<html>login</html>");
    }),
    case("nothing", "JSON", |_, upload| overwrite(upload, "")),
    case("half of it", "JSON", |_, upload| {
        let text = upload.manifest.to_string();
        overwrite(upload, &text[..text.len() / 2]);
    }),
    case("a list", "manifest", |_, upload| overwrite(upload, "[]")),
    case("a field twice", "JSON", |_, upload| {
        let text = upload.manifest.to_string();
        overwrite(upload, text.replacen('{', r#"{"system_id":"good-0","#, 1));
    }),
    case("deep nesting", "JSON", |_, upload| {
        overwrite(upload, "[".repeat(1_000_000));
    }),
    case("a hundred megabytes of spaces", "manifest", |_, upload| {
        overwrite(upload, vec![b' '; 100 << 20]);
    }),
];

/// A vault with three good systems and one of which every second upload is bad.
struct Scene {
    vault: Vault,
    good: Vec<Home>,
    evil: Home,
    /// The bad uploads: id, case, and the bytes that were there before.
    bad: BTreeMap<String, (&'static Case, BTreeMap<PathBuf, Vec<u8>>)>,
}

fn scene() -> Scene {
    let vault = Vault::new();
    let good: Vec<Home> = (0..3)
        .map(|i| {
            let home = Home::new(&format!("good-{i}")).with_folder(vault.root());
            home.store("m", &format!("Good memory of system {i}"));
            home.store("n", "Another good memory");
            home.ok(&["sync"]);
            home.store("m", "Good memory, revised");
            home.ok(&["sync"]);
            home
        })
        .collect();
    let evil = Home::new("evil").with_folder(vault.root());
    let mut mcp = evil.mcp();
    let mut bad = BTreeMap::new();
    let mut attacks = Vec::new();
    for (i, case) in CASES.iter().enumerate() {
        mcp.store(
            &format!("fine-{i}"),
            &format!("A good upload before: {}", case.name),
        );
        mcp.call("sync_to_akosha", json!({})).ok();
        mcp.store(
            &format!("poison-{i}"),
            &format!("Must not come in: {}", case.name),
        );
        let pushed = mcp.call("sync_to_akosha", json!({})).ok();
        attacks.push((pushed["upload_id"].as_str().unwrap().to_owned(), case));
    }
    assert!(mcp.finish().0.success());
    let mut uploads = vault.uploads("evil");
    for (id, case) in attacks {
        let upload = uploads.iter_mut().find(|upload| upload.id() == id).unwrap();
        let mut before = BTreeMap::new();
        for path in [upload.path.clone(), segment(vault.root(), upload)] {
            before.insert(path.clone(), fs::read(&path).unwrap());
        }
        (case.attack)(vault.root(), upload);
        bad.insert(id, (case, before));
    }
    litter(&vault);
    Scene {
        vault,
        good,
        evil,
        bad,
    }
}

/// Leaves things in the vault that no push writes.
fn litter(vault: &Vault) {
    let root = vault.root();
    for folder in [
        "systems/empty/uploads",
        "systems/ünïcode/uploads/20260101_000000_x_abcdef",
        "systems/evil/uploads/empty",
        "systems/evil/uploads/日本語",
        "systems/evil/uploads/20260101_000000_evil_aaaaaa/manifest.json",
        "systems/ /uploads/ ",
        "inbox/folder",
        "leases",
    ] {
        fs::create_dir_all(root.join(folder)).unwrap();
    }
    for (path, bytes) in [
        (
            "systems/ünïcode/uploads/20260101_000000_x_abcdef/manifest.json",
            "{}",
        ),
        ("systems/evil/uploads/日本語/manifest.json", "{}"),
        ("systems/evil/head.json.bak", "old"),
        ("systems/file", "a file where a system should be"),
        ("README.txt", "hello"),
        (".DS_Store", "\u{1}"),
        ("inbox/.hidden", ""),
        ("inbox/no such upload", ""),
        ("inbox/20260101_000000_nobody_abcdef", "not empty"),
    ] {
        fs::write(root.join(path), bytes).unwrap();
    }
    #[cfg(unix)]
    {
        use std::os::unix::fs::symlink;
        symlink(root, root.join("systems/loop")).unwrap();
        symlink("/nowhere/at/all", root.join("systems/dangling")).unwrap();
        symlink(root.join("systems/good-0"), root.join("systems/alias")).unwrap();
        symlink("/etc", root.join("systems/evil/uploads/etc")).unwrap();
    }
}

#[cfg(unix)]
#[test]
fn names_that_no_push_writes_stop_nothing() {
    use std::ffi::OsStr;
    use std::os::unix::ffi::OsStrExt;
    use std::os::unix::fs::symlink;
    let vault = Vault::new();
    let home = Home::new("good").with_folder(vault.root());
    home.store("m", "Comes in whatever lies beside it");
    home.ok(&["sync"]);
    let systems = vault.root().join("systems");
    let uploads = systems.join("good/uploads");
    let litter: &[(&str, &dyn Fn())] = &[
        ("a system with a line break", &|| {
            fs::create_dir_all(systems.join("x\n/uploads")).unwrap();
        }),
        ("an upload with a line break", &|| {
            let folder = uploads.join("20260101_000000_good_000000\n");
            fs::create_dir(&folder).unwrap();
            fs::write(folder.join("manifest.json"), "{}").unwrap();
        }),
        ("a system that is not UTF-8", &|| {
            fs::create_dir(systems.join(OsStr::from_bytes(b"\xff\xfe"))).unwrap();
        }),
        ("an upload that is not UTF-8", &|| {
            let folder = uploads.join(OsStr::from_bytes(b"\xff\xfe"));
            fs::create_dir(&folder).unwrap();
            fs::write(folder.join("manifest.json"), "{}").unwrap();
        }),
        ("a circle of links", &|| {
            symlink(&systems, uploads.join("circle")).unwrap();
        }),
    ];
    for (name, leave) in litter {
        leave();
        let reader = Home::new("reader").with_folder(vault.root());
        let run = reader.run(&["pull", "--json"]);
        assert!(matches!(run.code, Some(0 | 3)), "{name}: {run:#?}");
        assert_same(name, &home.rows(), &reader.rows());
        // A push goes on beside it, too.
        home.store(name, "Another one");
        home.ok(&["sync"]);
    }
}

#[test]
fn good_uploads_come_in_and_bad_ones_are_set_aside() {
    let scene = scene();
    let reader = Home::new("reader").with_folder(scene.vault.root());
    let run = reader.run(&["pull", "--json"]).ended(3);
    assert!(run.took < Duration::from_secs(40), "{:?}", run.took);
    let report = run.json();
    let reasons = reasons(&report["quarantined"]);
    let mut unclear = Vec::new();
    for (id, (case, _)) in &scene.bad {
        let Some(reason) = reasons.get(id) else {
            panic!("`{}` was not set aside: {report:#}", case.name);
        };
        let names_it = reason.to_lowercase().contains(&case.reason.to_lowercase());
        if !names_it || reason.len() > 600 {
            unclear.push(format!("{}: no `{}` in: {reason}", case.name, case.reason));
        }
    }
    assert!(unclear.is_empty(), "{unclear:#?}");
    let status = reader.ok(&["status"]);
    let shown: Vec<&Value> = status["quarantine"].as_array().unwrap().iter().collect();
    for id in scene.bad.keys() {
        let item = shown.iter().find(|item| item["upload_id"] == *id);
        let item = item.unwrap_or_else(|| panic!("status does not show {id}: {status:#}"));
        assert_eq!(item["system_id"], "evil", "{item}");
        assert_eq!(item["reason"], reasons[id], "{item}");
        assert!(item["since"].is_string(), "{item}");
    }
    all_good_and_no_bad(&scene, &reader, &[]);

    // The next pull changes nothing and says the same.
    let rows = reader.rows();
    let again = reader.json(&["pull"], 3);
    assert_eq!(again["memories_added"], 0, "{again}");
    assert_eq!(again["uploads_merged"], 0, "{again}");
    assert_same("after the next pull", &rows, &reader.rows());
    assert_eq!(
        again["quarantined"].as_array().unwrap().len(),
        reasons.len(),
        "{again}"
    );
}

#[test]
fn a_repaired_upload_comes_in_and_leaves_quarantine() {
    let scene = scene();
    let reader = Home::new("reader").with_folder(scene.vault.root());
    reader.json(&["pull"], 3);
    let set_aside = |reader: &Home| -> Vec<String> {
        let status = reader.ok(&["status"]);
        let items = status["quarantine"].as_array().unwrap();
        items
            .iter()
            .map(|item| item["upload_id"].as_str().unwrap().to_owned())
            .collect()
    };
    assert_eq!(set_aside(&reader).len(), {
        let report = reader.json(&["pull"], 3);
        report["quarantined"].as_array().unwrap().len()
    });

    let (id, (case, before)) = scene.bad.iter().next().unwrap();
    restore(before);
    let pulled = reader.json(&["pull"], 3);
    assert_eq!(pulled["memories_added"], 1, "{pulled}");
    assert!(!set_aside(&reader).contains(id));
    all_good_and_no_bad(&scene, &reader, &[case.name]);

    for (_, before) in scene.bad.values() {
        restore(before);
    }
    reader.run(&["pull", "--json"]);
    assert!(
        set_aside(&reader)
            .iter()
            .all(|id| !scene.bad.contains_key(id))
    );
    let names: Vec<&str> = CASES.iter().map(|case| case.name).collect();
    all_good_and_no_bad(&scene, &reader, &names);
    let evil: Vec<Value> = scene.evil.export();
    let theirs: Vec<Value> = reader
        .export()
        .into_iter()
        .filter(|memory| memory["system_id"] == "evil")
        .collect();
    assert_same("everything repaired", &evil, &theirs);
}

fn restore(files: &BTreeMap<PathBuf, Vec<u8>>) {
    for (path, bytes) in files {
        fs::write(path, bytes).unwrap();
    }
}

fn reasons(quarantined: &Value) -> BTreeMap<String, String> {
    let items = quarantined.as_array().unwrap().iter();
    items
        .map(|item| {
            let text = |key: &str| item[key].as_str().unwrap().to_owned();
            (text("upload_id"), text("reason"))
        })
        .collect()
}

fn all_good_and_no_bad(scene: &Scene, reader: &Home, repaired: &[&str]) {
    let rows = reader.rows();
    for home in &scene.good {
        let theirs = home.rows();
        let system = &theirs[0].system_id;
        let here: Vec<_> = rows
            .iter()
            .filter(|row| row.system_id == *system)
            .cloned()
            .collect();
        assert_same("a good system", &theirs, &here);
    }
    let systems = ["evil", "good-0", "good-1", "good-2"];
    assert!(
        rows.iter()
            .all(|row| systems.contains(&row.system_id.as_str())),
        "{rows:#?}"
    );
    let evil: Vec<&str> = rows
        .iter()
        .filter(|row| row.system_id == "evil")
        .map(|row| row.memory_id.as_str())
        .collect();
    for (i, case) in CASES.iter().enumerate() {
        assert!(
            evil.contains(&format!("fine-{i}").as_str()),
            "before `{}`",
            case.name
        );
        let came_in = evil.contains(&format!("poison-{i}").as_str());
        assert_eq!(came_in, repaired.contains(&case.name), "`{}`", case.name);
    }
}

#[test]
fn a_hostile_head_stops_only_its_own_push() {
    let vault = Vault::new();
    let home = Home::new("laptop").with_folder(vault.root());
    home.store("m", "First");
    home.ok(&["sync"]);
    let path = vault.system("laptop").join("head.json");
    let right = fs::read(&path).unwrap();
    home.store("n", "Second");
    for bytes in ["", "{}", "[[[[", "\u{0}\u{0}", r#"{"version":"9.0"}"#] {
        fs::write(&path, bytes).unwrap();
        let run = home.run(&["sync", "--json"]);
        assert!(matches!(run.code, Some(1 | 4)), "{run:#?}");
        assert_eq!(run.json()["success"], false, "{run:#?}");
        assert_eq!(home.lag(), 1);
        assert_eq!(
            fs::read(&path).unwrap(),
            bytes.as_bytes(),
            "the head was overwritten"
        );
        let reader = Home::new("reader").with_folder(vault.root());
        assert_eq!(reader.ok(&["pull"])["memories_added"], 1);
    }
    fs::write(&path, right).unwrap();
    home.ok(&["sync"]);
    vault.check("laptop");
}

#[cfg(unix)]
#[test]
fn a_pipe_in_place_of_a_segment_is_set_aside() {
    use std::os::unix::fs::symlink;
    use std::process::Command;
    let vault = Vault::new();
    let pipe = |path: &Path| {
        fs::remove_file(path).unwrap();
        assert!(Command::new("mkfifo").arg(path).status().unwrap().success());
    };
    let mut attacked = Vec::new();
    for system in ["pipe", "device", "good"] {
        let home = Home::new(system).with_folder(vault.root());
        home.store("m", "Comes in, or is set aside");
        home.ok(&["sync"]);
        attacked.push((segment(vault.root(), &vault.uploads(system)[0]), home));
    }
    pipe(&attacked[0].0);
    fs::remove_file(&attacked[1].0).unwrap();
    symlink("/dev/zero", &attacked[1].0).unwrap();
    let reader = Home::new("reader").with_folder(vault.root());
    let report = reader.json(&["pull"], 3);
    assert_eq!(report["uploads_merged"], 1, "{report}");
    for set_aside in report["quarantined"].as_array().unwrap() {
        let reason = set_aside["reason"].as_str().unwrap();
        assert!(reason.contains("no regular file"), "{report}");
    }
    assert_eq!(
        report["quarantined"].as_array().unwrap().len(),
        2,
        "{report}"
    );

    // Nor does a push wait for one, whose head is a pipe, or the lock beside it.
    let good = &attacked[2].1;
    good.store("n", "Goes nowhere");
    let folder = vault.system("good");
    for name in ["head.json", ".head.lock"] {
        let whole = fs::read(folder.join(name)).unwrap();
        pipe(&folder.join(name));
        let run = good.run(&["sync", "--json"]).ended(1);
        assert!(run.stdout.contains("no regular file"), "{run:#?}");
        fs::remove_file(folder.join(name)).unwrap();
        fs::write(folder.join(name), whole).unwrap();
    }
    good.ok(&["sync"]);
}

#[test]
fn what_is_at_fault_for_good_is_not_fetched_again() {
    let vault = Vault::new();
    let home = Home::new("laptop").with_folder(vault.root());
    home.store("m", "Comes in once it is mended");
    home.ok(&["sync"]);
    let upload = vault.uploads("laptop").remove(0);
    let right = fs::read(&upload.path).unwrap();
    let checksum = upload.manifest["checksum"].as_str().unwrap();
    let wrong = String::from_utf8(right.clone()).unwrap();
    let wrong = wrong.replace(checksum, &"0".repeat(64));
    fs::write(&upload.path, &wrong).unwrap();
    let modified = fs::metadata(&upload.path).unwrap().modified().unwrap();
    let reader = Home::new("reader").with_folder(vault.root());
    let first = reader.json(&["pull"], 3);

    // As long as nothing tells that it was replaced, nobody looks into it.
    fs::write(&upload.path, &right).unwrap();
    let set_time = |time| {
        let file = fs::File::options().write(true).open(&upload.path);
        file.unwrap().set_modified(time).unwrap();
    };
    set_time(modified);
    let again = reader.json(&["pull"], 3);
    assert_eq!(again["quarantined"], first["quarantined"], "{again}");
    assert_eq!(again["uploads_seen"], 1, "{again}");
    let status = reader.ok(&["status"]);
    assert_eq!(
        status["quarantine"].as_array().unwrap().len(),
        1,
        "{status}"
    );
    set_time(modified + Duration::from_secs(1));
    assert_eq!(reader.ok(&["pull"])["memories_added"], 1);
    assert_eq!(reader.ok(&["status"])["quarantine"], json!([]));

    // What may arrive later, such as a segment, is looked for each time.
    let late = Home::new("late").with_folder(vault.root());
    let segment = segment(vault.root(), &upload);
    let bytes = fs::read(&segment).unwrap();
    fs::remove_file(&segment).unwrap();
    late.json(&["pull"], 3);
    fs::write(&segment, bytes).unwrap();
    assert_eq!(late.ok(&["pull"])["memories_added"], 1);
}
