//! Whole imports into a store.

use std::fs;
use std::path::{Path, PathBuf};

use akosha_core::Memory;
use akosha_store::{Filter, Home, StoreOptions};
use serde_json::json;
use tempfile::TempDir;

use super::*;

struct Fixture {
    folder: TempDir,
    store: Store,
}

impl Fixture {
    fn new(system: &str) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let home = Home::new(folder.path().join("home"));
        let store = Store::open(&home, StoreOptions::new(system.parse().unwrap())).unwrap();
        fs::create_dir_all(folder.path().join("project/notes")).unwrap();
        Self { folder, store }
    }

    fn notes(&self) -> PathBuf {
        self.folder.path().join("project/notes")
    }

    fn write(&self, path: &str, content: impl AsRef<[u8]>) -> PathBuf {
        let path = self.notes().join(path);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(&path, content).unwrap();
        path
    }

    fn import(&self, path: &Path) -> ImportReport {
        run(
            "markdown",
            Some(path),
            &self.store,
            &Redactor::built_in(),
            &mut |_| {},
        )
        .unwrap()
    }

    fn memories(&self) -> Vec<Memory> {
        let mut all = Vec::new();
        self.store
            .for_each::<StoreError>(&Filter::default(), |memory| {
                all.push(memory);
                Ok(())
            })
            .unwrap();
        all.sort_by(|a, b| a.text.cmp(&b.text));
        all
    }
}

fn counts(report: &ImportReport) -> (u64, u64, u64, u64) {
    (
        report.read,
        report.stored,
        report.updated,
        report.duplicates,
    )
}

#[test]
fn a_section_becomes_a_memory_that_says_where_it_stands() {
    let here = Fixture::new("here");
    here.write(
        "docs/Guide.MD",
        "---\ntitle: Guide\ntags: [how-to, \"é\"]\ndate: 2025-03-01\n---\n# Start\n\n## Run\nType it.\n",
    );
    assert_eq!(counts(&here.import(&here.notes())), (1, 1, 0, 0));
    let memories = here.memories();
    let [memory] = memories.as_slice() else {
        panic!("{memories:?}");
    };
    assert_eq!(memory.text, "## Run\nType it.");
    assert_eq!(
        serde_json::to_value(&memory.metadata).unwrap(),
        json!({
            "source": "markdown", "type": "document_section", "project": "notes",
            "root": "notes", "path": "docs/Guide.MD", "headings": ["Start", "Run"],
            "original_id": "notes/docs/Guide.MD#Start > Run", "tags": ["how-to", "é"],
            "created_at": "2025-03-01T00:00:00Z",
            "front_matter": {"title": "Guide", "tags": ["how-to", "é"], "date": "2025-03-01"},
        })
    );
    assert_eq!(
        memory.ingestion_method,
        akosha_core::IngestionMethod::Import
    );
}

#[test]
fn importing_again_stores_only_what_changed() {
    let here = Fixture::new("here");
    here.write("a.md", "# A\none\n# B\ntwo\n");
    let b = here.write("b.markdown", "three");
    assert_eq!(counts(&here.import(&here.notes())), (3, 3, 0, 0));
    assert_eq!(counts(&here.import(&here.notes())), (3, 0, 0, 3));

    // A file that was only touched says nothing new, nor does another kind of line end.
    let file = fs::File::options().append(true).open(&b).unwrap();
    file.set_modified(std::time::UNIX_EPOCH).unwrap();
    here.write("a.md", "\u{feff}# A\r\none\r\n# B\r\ntwo\r\n");
    assert_eq!(counts(&here.import(&here.notes())), (3, 0, 0, 3));

    here.write("a.md", "# A\none\n# B\ntwo, corrected\n");
    assert_eq!(counts(&here.import(&here.notes())), (3, 0, 1, 2));
    let corrected = here.memories().remove(1);
    assert_eq!(
        (corrected.text.as_str(), corrected.revision),
        ("# B\ntwo, corrected", 2)
    );
    let history = here.store.history(&corrected.memory_id, None).unwrap();
    assert_eq!(history.len(), 2);
    assert_eq!(history[0].created_at, corrected.created_at);
}

#[test]
fn ids_are_the_same_on_every_machine() {
    let content = "# A\none\n# A\ntwo\n";
    let ids: Vec<Vec<_>> = ["one", "two"]
        .map(|system| {
            let machine = Fixture::new(system);
            let file = machine.write("deep/er/a.md", content);
            machine.import(&machine.notes());
            let ids: Vec<String> = machine
                .memories()
                .into_iter()
                .map(|memory| memory.memory_id.into())
                .collect();
            // One file alone is told from its own directory.
            let alone = machine.import(&file);
            assert_eq!(counts(&alone), (2, 2, 0, 0));
            ids
        })
        .into();
    assert_eq!(ids[0], ids[1]);
    assert_ne!(ids[0][0], ids[0][1]);
    assert!(ids[0][0].starts_with("md:") && ids[0][0].len() == 35);
    // Pinned: another way of making ids would import everything a second time.
    assert_eq!(ids[0][0], "md:c5905dbf75f35eaec7f0ab48ad6439db");
}

#[test]
fn a_file_alone_has_the_ids_that_its_directory_gives_it() {
    let here = Fixture::new("here");
    let file = here.write("a.md", "text");
    assert_eq!(counts(&here.import(&file)), (1, 1, 0, 0));
    assert_eq!(counts(&here.import(&here.notes())), (1, 0, 0, 1));
}

#[test]
fn a_bad_file_stops_only_itself_and_is_named() {
    let here = Fixture::new("here");
    here.write("good.md", "good");
    here.write("latin1.md", b"caf\xe9");
    here.write("empty.md", "\n\n# \n");
    here.write("huge.md", vec![b'x'; (16 << 20) + 1]);
    here.write("sub/target/built.md", "built");
    here.write("node_modules/x/README.md", "theirs");
    here.write(".github/x.md", "hidden");
    here.write("code.rs", "# not markdown");
    #[cfg(unix)]
    {
        std::os::unix::fs::symlink(here.notes(), here.notes().join("loop")).unwrap();
        std::os::unix::fs::symlink(here.notes().join("good.md"), here.notes().join("link.md"))
            .unwrap();
        let elsewhere = here.notes().join("../elsewhere");
        std::fs::create_dir(&elsewhere).unwrap();
        std::fs::write(elsewhere.join("far.md"), "far").unwrap();
        for (target, link) in [("", "out"), ("far.md", "out.md"), ("gone.md", "gone.md")] {
            let link = here.notes().join(link);
            std::os::unix::fs::symlink(elsewhere.join(target), link).unwrap();
        }
        let pipe = here.notes().join("pipe.md");
        rustix::fs::mkfifoat(rustix::fs::CWD, pipe, 0o600.into()).unwrap();
    }
    let report = here.import(&here.notes());
    assert_eq!(counts(&report), (1, 1, 0, 0));
    let skipped: Vec<(&str, &str)> = report
        .skipped
        .iter()
        .map(|skipped| (skipped.path.as_str(), skipped.reason.as_str()))
        .collect();
    let expected = [
        ("huge.md", "is 16777217 bytes, the limit is 16777216"),
        (
            "latin1.md",
            "is not UTF-8 text: byte 3 is none of a character",
        ),
    ];
    let (bad, special): (Vec<_>, Vec<_>) = skipped
        .into_iter()
        .partition(|(path, _)| expected.iter().any(|(known, _)| known == path));
    assert_eq!(bad, expected);
    let special: Vec<(&str, &str)> = special
        .into_iter()
        .map(|(path, reason)| (path, reason.split([':', ',']).next().unwrap()))
        .collect();
    let expected: &[(&str, &str)] = if cfg!(unix) {
        &[
            ("gone.md", "cannot be read"),
            ("out", "is a link"),
            ("out.md", "is a link"),
            ("pipe.md", "is no regular file"),
        ]
    } else {
        &[]
    };
    assert_eq!(special, expected);
}

#[test]
fn a_section_over_the_limit_is_split() {
    let here = Fixture::new("here");
    let paragraph = format!("{}\n\n", "word ".repeat(200));
    here.write("long.md", format!("# Long\n{}", paragraph.repeat(2500)));
    assert_eq!(counts(&here.import(&here.notes())), (3, 3, 0, 0));
    let mut parts: Vec<i64> = here
        .memories()
        .iter()
        .map(|memory| memory.metadata.as_map()["part"].as_i64().unwrap())
        .collect();
    parts.sort_unstable();
    assert_eq!(parts, [1, 2, 3]);
    assert_eq!(counts(&here.import(&here.notes())), (3, 0, 0, 3));
}

#[test]
fn progress_counts_up_and_batches_are_bounded() {
    let here = Fixture::new("here");
    let many: Vec<String> = (0..1200)
        .map(|i| format!("# Heading {i}\ntext {i}\n"))
        .collect();
    here.write("many.md", many.concat());
    let mut told = Vec::new();
    run(
        "markdown",
        Some(&here.notes()),
        &here.store,
        &Redactor::built_in(),
        &mut |count| told.push(count),
    )
    .unwrap();
    assert_eq!(told, [500, 1000, 1200]);
}

#[test]
fn unknown_formats_and_paths_are_named() {
    let here = Fixture::new("here");
    let go = |format, path: Option<&str>| {
        run(
            format,
            path.map(Path::new),
            &here.store,
            &Redactor::built_in(),
            &mut |_| {},
        )
        .unwrap_err()
    };
    let error = go("word", Some("/"));
    assert_eq!(
        error.to_string(),
        "unknown format `word`, known are: markdown, session-buddy"
    );
    assert_eq!(error.kind(), ErrorKind::Invalid);
    let error = go("markdown", Some("/no/such/place"));
    assert!(
        error
            .to_string()
            .starts_with("cannot read `/no/such/place`: "),
        "{error}"
    );
    assert_eq!(error.kind(), ErrorKind::NotFound);
    let error = go("markdown", None);
    assert_eq!(error.to_string(), "`markdown` needs a path");
    assert_eq!(error.kind(), ErrorKind::Invalid);
}
