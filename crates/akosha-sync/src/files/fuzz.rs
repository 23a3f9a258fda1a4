//! What the fuzz target of pieces does.

use akosha_core::SystemId;

use super::coding::{Coding, unpack};
use crate::ContentHash;
use crate::crypt::Kind;
use crate::crypt::fuzz::sealer;
use crate::manifest::{ChunkEntry, CompressionFormat};

/// Bytes before the object: how it is compressed, then the size of the piece, big-endian.
const HEADER: usize = 4;

/// Unpacks the object of a piece, plain and sealed: neither may take what the other refuses, and
/// none more than the size that is said. What is unpacked is packed again and must come back.
///
/// # Panics
/// Where it does not.
pub fn chunk(bytes: &[u8]) -> bool {
    let Some(([format, size @ ..], object)) = bytes.split_first_chunk::<HEADER>() else {
        return false;
    };
    let compression = match format {
        b'z' => Some(CompressionFormat::Zstd),
        b'g' => Some(CompressionFormat::Gzip),
        b'l' => Some(CompressionFormat::Lz4),
        _ => None,
    };
    let (Ok(system_id), Some(key)) = ("laptop".parse::<SystemId>(), sealer()) else {
        return false;
    };
    let mut entry = ChunkEntry {
        sha256: ContentHash::of(b""),
        size_bytes: size.iter().fold(0, |sum, byte| sum << 8 | u64::from(*byte)),
        stored_bytes: object.len() as u64,
        compression,
    };
    let sealing = Coding::new(&system_id, Some(&key));
    assert!(sealing.decode(object, &entry).is_err(), "nobody sealed it");
    let Ok(piece) = unpack(object, &entry) else {
        return false;
    };
    assert_eq!(piece.len() as u64, entry.size_bytes);
    let sealed = key.seal(Kind::Chunk, &system_id, object);
    let plain = Coding::new(&system_id, None);
    for (coding, object) in [
        (&plain, Ok(object.to_vec())),
        (&sealing, sealed.map_err(std::io::Error::other)),
        (&plain, plain.encode(piece.clone(), compression)),
        (&sealing, sealing.encode(piece.clone(), compression)),
    ] {
        let object = object.unwrap_or_default();
        entry.stored_bytes = object.len() as u64;
        entry.sha256 = coding.name_of(ContentHash::of(&piece));
        assert_eq!(coding.decode(&object, &entry).as_ref(), Ok(&piece));
    }
    true
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn seeds_are_read_as_ever() {
        let piece = b"what to remember, what to remember, what to remember".to_vec();
        let size = [0, 0, piece.len() as u8];
        let system_id: SystemId = "laptop".parse().unwrap();
        let coding = Coding::new(&system_id, None);
        let made = [
            ("good-plain", b'n', None),
            ("good-zstd", b'z', Some(CompressionFormat::Zstd)),
            ("good-gzip", b'g', Some(CompressionFormat::Gzip)),
            ("good-lz4", b'l', Some(CompressionFormat::Lz4)),
        ]
        .map(|(name, letter, format)| {
            let object = coding.encode(piece.clone(), format).unwrap();
            (name, [vec![letter], size.to_vec(), object].concat())
        });
        crate::fuzz::seeds::check("chunk", &made, chunk);
    }
}
