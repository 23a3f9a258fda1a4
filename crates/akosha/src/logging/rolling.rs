//! A log file that many processes append to, and that stays small.
//!
//! Every assistant window runs a server of its own on the same home. Lines are rare, so each opens
//! the file, is written whole by one append, and closes it: nobody holds a file that another
//! process has moved away, and a process that never logs never touches the disk.

use std::fs::{self, DirBuilder, File, OpenOptions};
use std::io::{self, Write};
use std::path::{Path, PathBuf};
use std::sync::Arc;

/// Size in bytes from which the file is moved aside.
const MAX_FILE: u64 = 1 << 20;

/// Files that were moved aside and are kept.
const KEPT: u32 = 3;

/// Longest line in bytes; the rest of a longer one is left out.
const MAX_LINE: usize = 16 << 10;

/// Appends lines to a file. Clones share it.
#[derive(Debug, Clone)]
pub(super) struct RollingFile {
    path: Arc<Path>,
    max_file: u64,
}

impl RollingFile {
    /// Names the file; neither it nor its folder is created yet.
    pub(super) fn new(path: PathBuf) -> Self {
        Self {
            path: path.into(),
            max_file: MAX_FILE,
        }
    }

    fn append(&self, line: &[u8]) -> io::Result<()> {
        let mut file = self.open()?;
        if file.metadata()?.len() >= self.max_file {
            self.roll()?;
            file = self.open()?;
        }
        file.write_all(line)
    }

    fn open(&self) -> io::Result<File> {
        let mut options = OpenOptions::new();
        options.append(true).create(true);
        #[cfg(unix)]
        std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
        let opened = options.open(&self.path);
        match (opened, self.path.parent()) {
            (Err(error), Some(folder)) if error.kind() == io::ErrorKind::NotFound => {
                create_private(folder)?;
                options.open(&self.path)
            }
            (opened, _) => opened,
        }
    }

    /// Moves the file aside, unless another process does so now or has just done it.
    fn roll(&self) -> io::Result<()> {
        let lock = self.lock()?;
        if lock.try_lock().is_err() {
            return Ok(());
        }
        // The lock goes with the handle.
        let is_full = fs::metadata(&self.path).is_ok_and(|file| file.len() >= self.max_file);
        if !is_full {
            return Ok(());
        }
        for n in (1..KEPT).rev() {
            let _ = fs::rename(self.aside(n), self.aside(n + 1));
        }
        fs::rename(&self.path, self.aside(1))
    }

    fn lock(&self) -> io::Result<File> {
        let mut options = OpenOptions::new();
        options.append(true).create(true);
        #[cfg(unix)]
        std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
        options.open(self.path.with_extension("lock"))
    }

    /// Returns the path of the `n`th newest file that was moved aside, such as `mcp.log.1`.
    fn aside(&self, n: u32) -> PathBuf {
        let mut path = self.path.as_os_str().to_owned();
        path.push(format!(".{n}"));
        path.into()
    }
}

impl Write for RollingFile {
    /// Takes one line, which the formatter hands over whole. A line that cannot be written is lost:
    /// there is nowhere left to say so.
    fn write(&mut self, line: &[u8]) -> io::Result<usize> {
        let cut = line.get(..MAX_LINE).unwrap_or(line);
        if cut.len() < line.len() {
            let mut cut = cut.to_vec();
            cut.extend_from_slice(b"...\n");
            let _ = self.append(&cut);
        } else {
            let _ = self.append(line);
        }
        Ok(line.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

fn create_private(folder: &Path) -> io::Result<()> {
    let mut builder = DirBuilder::new();
    builder.recursive(true);
    #[cfg(unix)]
    std::os::unix::fs::DirBuilderExt::mode(&mut builder, 0o700);
    builder.create(folder)
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;
    use std::thread;

    use super::*;

    fn small(folder: &Path, max_file: u64) -> RollingFile {
        RollingFile {
            path: folder.join("logs").join("a.log").into(),
            max_file,
        }
    }

    fn files(folder: &Path) -> Vec<PathBuf> {
        let entries = fs::read_dir(folder.join("logs")).unwrap();
        let paths = entries.map(|entry| entry.unwrap().path());
        paths
            .filter(|path| path.extension().is_none_or(|kind| kind != "lock"))
            .collect()
    }

    #[test]
    fn nothing_is_made_before_the_first_line() {
        let folder = tempfile::tempdir().unwrap();
        let mut log = small(folder.path(), 1000);
        assert!(!folder.path().join("logs").exists());
        log.write_all(b"one\n").unwrap();
        assert_eq!(fs::read_to_string(&log.path).unwrap(), "one\n");
    }

    #[cfg(unix)]
    #[test]
    fn only_the_owner_reads_it() {
        use std::os::unix::fs::PermissionsExt;
        let folder = tempfile::tempdir().unwrap();
        let mut log = small(folder.path(), 1);
        log.write_all(b"one\n").unwrap();
        log.write_all(b"two\n").unwrap();
        let mode = |path: &Path| fs::metadata(path).unwrap().permissions().mode() & 0o777;
        assert_eq!(mode(&folder.path().join("logs")), 0o700);
        for path in files(folder.path()) {
            assert_eq!(mode(&path), 0o600, "{}", path.display());
        }
    }

    #[test]
    fn it_stays_bounded_and_keeps_the_newest() {
        let folder = tempfile::tempdir().unwrap();
        let mut log = small(folder.path(), 1000);
        for n in 0..1000 {
            log.write_all(format!("line {n:0>95}\n").as_bytes())
                .unwrap();
        }
        let files = files(folder.path());
        assert_eq!(files.len(), KEPT as usize + 1);
        let mut lines = BTreeSet::new();
        for path in files {
            let text = fs::read_to_string(path).unwrap();
            assert!(text.len() <= 1101, "{}", text.len());
            lines.extend(text.lines().map(str::to_owned));
        }
        assert!(lines.contains(&format!("line {:0>95}", 999)));
        assert!(!lines.contains(&format!("line {:0>95}", 0)));
    }

    #[test]
    fn a_long_line_is_cut_and_stays_a_line() {
        let folder = tempfile::tempdir().unwrap();
        let mut log = small(folder.path(), 1 << 20);
        let line = format!("{}\n", "x".repeat(MAX_LINE * 2));
        log.write_all(line.as_bytes()).unwrap();
        log.write_all(b"next\n").unwrap();
        let text = fs::read_to_string(&log.path).unwrap();
        assert!(text.ends_with("x...\nnext\n") && text.len() < MAX_LINE + 20);
    }

    #[test]
    fn many_writers_lose_and_tear_nothing_while_it_is_moved() {
        const WRITERS: usize = 8;
        const LINES: usize = 200;
        let folder = tempfile::tempdir().unwrap();
        // Few enough bytes that no file that was moved aside is removed.
        let log = small(folder.path(), (WRITERS * LINES * 100 / 3) as u64);
        thread::scope(|scope| {
            for writer in 0..WRITERS {
                let mut log = log.clone();
                scope.spawn(move || {
                    for n in 0..LINES {
                        let line = format!("{writer:0>2}-{n:0>96}\n");
                        log.write_all(line.as_bytes()).unwrap();
                    }
                });
            }
        });
        let mut lines = BTreeSet::new();
        for path in files(folder.path()) {
            for line in fs::read_to_string(path).unwrap().lines() {
                assert_eq!(line.len(), 99, "{line}");
                assert!(lines.insert(line.to_owned()), "{line}");
            }
        }
        assert!(files(folder.path()).len() > 1);
        assert_eq!(lines.len(), WRITERS * LINES);
    }
}
