//! The file `keys.json` of a home: written whole or not at all, readable by its owner alone.

use std::fs::{File, OpenOptions};
use std::io::{self, Read, Write};
use std::path::{Path, PathBuf};

use akosha_store::Home;
use chrono::{DateTime, Utc};
use serde::{Deserialize, Deserializer, Serialize, Serializer};
use zeroize::Zeroizing;

use super::key::KEY_BYTES;
use super::{HeldKey, KeyError, KeyId, KeyRing, MasterKey, Sealer};

/// The file in the home.
const NAME: &str = "keys.json";

/// What is locked while the file is being changed.
const LOCK_NAME: &str = "keys.lock";

/// The form that is written.
const VERSION: u32 = 1;

/// Largest file in bytes: 64 KiB, room for hundreds of keys.
const MAX_BYTES: u64 = 64 << 10;

/// The file as it is written.
#[derive(Serialize, Deserialize)]
struct Content {
    version: u32,
    /// The current key first.
    keys: Vec<Entry>,
}

#[derive(Serialize, Deserialize)]
struct Entry {
    key_id: KeyId,
    key: Hex,
    #[serde(with = "akosha_core::time::serde_utc")]
    created_at: DateTime<Utc>,
}

/// A key in hex.
struct Hex(MasterKey);

impl Serialize for Hex {
    fn serialize<S: Serializer>(&self, to: S) -> Result<S::Ok, S::Error> {
        to.serialize_str(&Zeroizing::new(hex::encode(self.0.expose())))
    }
}

impl<'de> Deserialize<'de> for Hex {
    fn deserialize<D: Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
        // Borrowed: no copy is left behind.
        let text = <&str>::deserialize(from)?;
        let mut bytes = Zeroizing::new([0; KEY_BYTES]);
        hex::decode_to_slice(text, bytes.as_mut_slice())
            .map_err(|_| serde::de::Error::custom("a key is not 64 hex digits"))?;
        Ok(Self(MasterKey::from_bytes(bytes)))
    }
}

/// Returns the path of a home's key file.
pub(super) fn path(home: &Home) -> PathBuf {
    home.root().join(NAME)
}

/// Reads the file of a home; without one there are no keys.
pub(super) fn read(home: &Home) -> Result<KeyRing, KeyError> {
    let path = path(home);
    let file = match File::open(&path) {
        Ok(file) => file,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(KeyRing::default()),
        Err(error) => return Err(failed("read", &path)(error)),
    };
    check_mode(&file, &path)?;
    let mut text = Zeroizing::new(Vec::with_capacity(MAX_BYTES as usize + 1));
    file.take(MAX_BYTES + 1)
        .read_to_end(&mut text)
        .map_err(failed("read", &path))?;
    parse(&text, &format!("`{}`", path.display()))
}

/// Reads the text of a key file; `what` names it in errors.
pub(super) fn parse(text: &[u8], what: &str) -> Result<KeyRing, KeyError> {
    let damaged = |reason: String| KeyError::Damaged {
        what: what.to_owned(),
        reason,
    };
    if text.len() as u64 > MAX_BYTES {
        return Err(damaged(format!("it has over {MAX_BYTES} bytes")));
    }
    let content: Content = serde_json::from_slice(text).map_err(|error| {
        // The message of serde_json may quote what it found, which may be a key.
        damaged(format!("line {} is not as expected", error.line()))
    })?;
    if content.version != VERSION {
        return Err(damaged(format!(
            "it has version {}, this program reads {VERSION}",
            content.version
        )));
    }
    if content.keys.is_empty() {
        return Err(damaged("it holds no key".into()));
    }
    let mut ring = KeyRing::default();
    for entry in content.keys {
        let sealer = Sealer::new(&entry.key.0)?;
        if sealer.key_id() != entry.key_id {
            let said = entry.key_id;
            return Err(damaged(format!(
                "its key `{said}` is not the key of that id"
            )));
        }
        if ring.find(entry.key_id).is_none() {
            ring.push(HeldKey::new(entry.key.0, sealer, entry.created_at));
        }
    }
    Ok(ring)
}

/// Changes the keys of a home while no other process does. The home is created where it is
/// missing.
pub(super) fn change<T>(
    home: &Home,
    change: impl FnOnce(&mut KeyRing) -> Result<T, KeyError>,
) -> Result<T, KeyError> {
    home.create().map_err(|error| KeyError::Io {
        operation: "create",
        path: home.root().to_owned(),
        source: io::Error::other(error.to_string()),
    })?;
    let lock_path = home.root().join(LOCK_NAME);
    let lock = private(OpenOptions::new().create(true).truncate(false).write(true))
        .open(&lock_path)
        .map_err(failed("open", &lock_path))?;
    match lock.lock() {
        Err(error) if error.kind() != io::ErrorKind::Unsupported => {
            return Err(failed("lock", &lock_path)(error));
        }
        // A file system without locks: two commands at once may lose the work of one.
        _ => {}
    }
    let mut ring = read(home)?;
    let result = change(&mut ring)?;
    write(home, &ring)?;
    Ok(result)
}

/// Writes the file beside its place, durably, and moves it there.
fn write(home: &Home, ring: &KeyRing) -> Result<(), KeyError> {
    let path = path(home);
    let content = Content {
        version: VERSION,
        keys: ring
            .keys()
            .iter()
            .map(|held| Entry {
                key_id: held.key_id(),
                key: Hex(held.master().clone()),
                created_at: held.created_at(),
            })
            .collect(),
    };
    // It never grows, so that no copy of a key is left behind.
    let mut text = Zeroizing::new(vec![0; MAX_BYTES as usize]);
    let mut room = text.as_mut_slice();
    let fits = serde_json::to_writer_pretty(&mut room, &content)
        .map_err(io::Error::from)
        .and_then(|()| room.write_all(b"\n"));
    match fits {
        // What is larger could not be read any more.
        Err(error) if error.kind() == io::ErrorKind::WriteZero => {
            return Err(KeyError::TooMany {
                count: ring.keys().len(),
                limit: MAX_BYTES,
            });
        }
        fits => fits.map_err(failed("write", &path))?,
    }
    let left = room.len();
    text.truncate(MAX_BYTES as usize - left);
    let write = || {
        // For its owner alone from the start: that is how temporary files are made.
        let mut file = tempfile::Builder::new()
            .prefix(".keys-")
            .tempfile_in(home.root())?;
        file.write_all(&text)?;
        file.as_file().sync_all()?;
        file.persist(&path).map_err(|error| error.error)?;
        #[cfg(unix)]
        File::open(home.root())?.sync_all()?;
        Ok(())
    };
    write().map_err(failed("write", &path))
}

/// Refuses a file that others than its owner may read or write.
#[cfg(unix)]
fn check_mode(file: &File, path: &Path) -> Result<(), KeyError> {
    use std::os::unix::fs::PermissionsExt;
    let metadata = file.metadata().map_err(failed("look at", path))?;
    let mode = metadata.permissions().mode() & 0o7777;
    if mode & 0o077 != 0 {
        return Err(KeyError::Exposed {
            path: path.to_owned(),
            mode,
        });
    }
    Ok(())
}

#[cfg(not(unix))]
#[expect(clippy::unnecessary_wraps, reason = "as on Unix")]
fn check_mode(_: &File, _: &Path) -> Result<(), KeyError> {
    Ok(())
}

/// Creates for the owner alone what is created.
fn private(options: &mut OpenOptions) -> &mut OpenOptions {
    #[cfg(unix)]
    std::os::unix::fs::OpenOptionsExt::mode(options, 0o600);
    options
}

fn failed(operation: &'static str, path: &Path) -> impl FnOnce(io::Error) -> KeyError + use<> {
    let path = path.to_owned();
    move |source| KeyError::Io {
        operation,
        path,
        source,
    }
}
