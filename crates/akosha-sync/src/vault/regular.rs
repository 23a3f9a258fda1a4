//! Opens files of a folder vault, in which anybody may have put anything, and never waits: to open
//! a pipe that nobody writes to takes for ever, and a device may have no end.

use std::fs::{File, OpenOptions};
use std::io::{Error, ErrorKind, Result};
use std::path::Path;

/// Opens a regular file to read it.
///
/// # Errors
/// Fails as the system does, and with [`ErrorKind::InvalidData`] on anything but a regular file.
pub(super) fn open(path: &Path) -> Result<File> {
    let mut options = OpenOptions::new();
    options.read(true);
    open_with(path, &mut options)
}

/// Opens a regular file as `options` say.
///
/// # Errors
/// As [`open`].
pub(super) fn open_with(path: &Path, options: &mut OpenOptions) -> Result<File> {
    // A device may do something when it is opened, so what is one now is not even tried.
    if std::fs::metadata(path).is_ok_and(|found| !found.is_file() && !found.is_dir()) {
        return Err(no_regular_file());
    }
    #[cfg(unix)]
    {
        use std::os::unix::fs::OpenOptionsExt;
        options.custom_flags(rustix::fs::OFlags::NONBLOCK.bits().cast_signed());
    }
    let file = options.open(path)?;
    let found = file.metadata()?;
    if found.is_file() {
        Ok(file)
    } else if found.is_dir() {
        Err(ErrorKind::NotFound.into())
    } else {
        Err(no_regular_file())
    }
}

fn no_regular_file() -> Error {
    Error::new(ErrorKind::InvalidData, "it is no regular file")
}

#[cfg(all(test, unix))]
mod tests {
    use super::*;

    #[test]
    fn only_regular_files_are_opened() {
        let folder = tempfile::tempdir().unwrap();
        let path = |name: &str| folder.path().join(name);
        std::fs::write(path("file"), "x").unwrap();
        std::os::unix::fs::symlink(path("file"), path("link")).unwrap();
        std::os::unix::fs::symlink("/dev/zero", path("device")).unwrap();
        rustix::fs::mkfifoat(rustix::fs::CWD, path("pipe"), 0o600.into()).unwrap();
        let kind = |name: &str| open(&path(name)).map(drop).map_err(|error| error.kind());
        assert_eq!(kind("file"), Ok(()));
        assert_eq!(kind("link"), Ok(()));
        assert_eq!(kind("pipe"), Err(ErrorKind::InvalidData));
        assert_eq!(kind("device"), Err(ErrorKind::InvalidData));
        assert_eq!(kind("."), Err(ErrorKind::NotFound));
        assert_eq!(kind("missing"), Err(ErrorKind::NotFound));
    }
}
