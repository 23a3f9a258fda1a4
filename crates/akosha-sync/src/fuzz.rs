//! What the targets in `fuzz/` do: each gives bytes to a reader, as they may come from a vault, and
//! holds what is read against what the writer makes of it. Each returns whether the reader took
//! them.

pub use crate::files::fuzz::chunk;
pub use crate::manifest::fuzz::manifest;
pub use crate::segment::fuzz::segment;

/// Runs the seeds through the targets, so that what fuzzing found stays fixed.
#[cfg(test)]
pub(crate) mod seeds {
    use std::path::Path;

    /// Runs every seed of a target. Those whose names begin with `good` must be taken, all others
    /// refused. `made` is what the writers make now: it must be taken, too, and is written among
    /// the seeds where `AKOSHA_TEST_WRITE_SEEDS` is set.
    pub(crate) fn check(target: &str, made: &[(&str, Vec<u8>)], read: fn(&[u8]) -> bool) {
        let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../fuzz/seeds");
        let folder = root.join(target);
        if std::env::var_os("AKOSHA_TEST_WRITE_SEEDS").is_some() {
            std::fs::create_dir_all(&folder).unwrap();
            for (name, bytes) in made {
                std::fs::write(folder.join(name), bytes).unwrap();
            }
        }
        let mut names = Vec::new();
        for entry in std::fs::read_dir(&folder).unwrap() {
            let name = entry.unwrap().file_name().into_string().unwrap();
            let bytes = std::fs::read(folder.join(&name)).unwrap();
            assert!(bytes.len() < 8 << 10, "{name} has {} bytes", bytes.len());
            assert_eq!(read(&bytes), name.starts_with("good"), "{target}/{name}");
            names.push(name);
        }
        for (name, bytes) in made {
            assert!(names.iter().any(|there| there == name), "{name}");
            assert!(read(bytes), "{name}");
        }
    }
}
