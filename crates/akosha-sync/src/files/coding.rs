//! Compresses pieces of files and unpacks them again within bounds.

use std::io::{self, Read, Write};

use flate2::read::GzDecoder;
use flate2::write::GzEncoder;

use crate::ContentHash;
use crate::manifest::{ChunkEntry, CompressionFormat};

/// Level of zstd: its default. Higher ones take far longer for a few percent.
const ZSTD_LEVEL: i32 = 3;

/// Returns a piece as its object holds it. Blocks for as long as compression takes.
pub(super) fn encode(piece: Vec<u8>, format: Option<CompressionFormat>) -> io::Result<Vec<u8>> {
    match format {
        None => Ok(piece),
        Some(CompressionFormat::Zstd) => zstd::bulk::compress(&piece, ZSTD_LEVEL),
        Some(CompressionFormat::Gzip) => {
            let mut encoder = GzEncoder::new(Vec::new(), flate2::Compression::default());
            encoder.write_all(&piece)?;
            encoder.finish()
        }
        Some(CompressionFormat::Lz4) => Err(unsupported()),
    }
}

/// Returns a piece from its object, after its size and hash are found right. No more is unpacked
/// than the entry says. Blocks.
///
/// # Errors
/// Says in words what differs.
pub(super) fn decode(object: &[u8], entry: &ChunkEntry) -> Result<Vec<u8>, String> {
    if object.len() as u64 != entry.stored_bytes {
        return Err(format!(
            "its object has {} bytes, expected {}",
            object.len(),
            entry.stored_bytes
        ));
    }
    let unpacked = match entry.compression {
        None => Ok(object.to_vec()),
        Some(CompressionFormat::Zstd) => {
            zstd::stream::read::Decoder::with_buffer(object).and_then(|mut decoder| {
                decoder.window_log_max(27)?;
                read(decoder, entry)
            })
        }
        Some(CompressionFormat::Gzip) => read(GzDecoder::new(object), entry),
        Some(CompressionFormat::Lz4) => Err(unsupported()),
    };
    let piece = unpacked.map_err(|error| format!("it cannot be unpacked: {error}"))?;
    if piece.len() as u64 != entry.size_bytes {
        return Err(format!(
            "it unpacks to {} bytes or more, expected {}",
            piece.len(),
            entry.size_bytes
        ));
    }
    let sha256 = ContentHash::of(&piece);
    if sha256 != entry.sha256 {
        return Err(format!("its SHA-256 is {sha256}"));
    }
    Ok(piece)
}

/// Reads one byte more than expected at most: that much tells that it is too long.
fn read(decoder: impl Read, entry: &ChunkEntry) -> io::Result<Vec<u8>> {
    let mut piece = Vec::new();
    decoder.take(entry.size_bytes + 1).read_to_end(&mut piece)?;
    Ok(piece)
}

fn unsupported() -> io::Error {
    io::Error::new(
        io::ErrorKind::Unsupported,
        "lz4 is not among the formats that this version knows: zstd, gzip",
    )
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn entry(piece: &[u8], object: &[u8], compression: Option<CompressionFormat>) -> ChunkEntry {
        ChunkEntry {
            sha256: ContentHash::of(piece),
            size_bytes: piece.len() as u64,
            stored_bytes: object.len() as u64,
            compression,
        }
    }

    const FORMATS: [Option<CompressionFormat>; 3] = [
        None,
        Some(CompressionFormat::Zstd),
        Some(CompressionFormat::Gzip),
    ];

    proptest! {
        #[test]
        fn what_is_encoded_is_decoded(piece in prop::collection::vec(any::<u8>(), 1..4000)) {
            for format in FORMATS {
                let object = encode(piece.clone(), format).unwrap();
                let entry = entry(&piece, &object, format);
                prop_assert_eq!(decode(&object, &entry), Ok(piece.clone()));
            }
        }

        #[test]
        fn a_flipped_bit_is_found(
            piece in prop::collection::vec(any::<u8>(), 1..2000),
            at: prop::sample::Index,
            bit in 0_u8..8,
        ) {
            for format in FORMATS {
                let mut object = encode(piece.clone(), format).unwrap();
                let entry = entry(&piece, &object, format);
                let at = at.index(object.len());
                object[at] ^= 1 << bit;
                // A bit of a header that says nothing of the content may be any.
                if let Ok(found) = decode(&object, &entry) {
                    prop_assert_eq!(&found, &piece);
                }
            }
        }

        #[test]
        fn no_object_makes_the_reader_panic(object in prop::collection::vec(any::<u8>(), 0..600)) {
            for format in FORMATS {
                let _ = decode(&object, &entry(b"x", &object, format));
            }
        }
    }

    #[test]
    fn no_more_is_unpacked_than_said() {
        let bomb = encode(vec![0; 64 << 20], Some(CompressionFormat::Zstd)).unwrap();
        let mut entry = entry(&[0; 1000], &bomb, Some(CompressionFormat::Zstd));
        assert!(
            decode(&bomb, &entry)
                .unwrap_err()
                .contains("1001 bytes or more")
        );
        entry.stored_bytes += 1;
        assert!(
            decode(&bomb, &entry)
                .unwrap_err()
                .contains("its object has")
        );
    }
}
