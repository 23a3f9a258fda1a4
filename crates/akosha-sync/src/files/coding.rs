//! What lies between a piece of a file and its object: compression, and encryption where the
//! vault is encrypted. Unpacking stays within what the manifest says.

use std::io::{self, Read, Write};

use flate2::read::GzDecoder;
use flate2::write::GzEncoder;
use lz4_flex::frame::{FrameDecoder, FrameEncoder};

use akosha_core::SystemId;

use crate::ContentHash;
use crate::crypt::{Kind, Sealer};
use crate::manifest::{ChunkEntry, CompressionFormat};

/// Level of zstd: its default. Higher ones take far longer for a few percent.
const ZSTD_LEVEL: i32 = 3;

/// How the pieces of one system are named and stored.
#[derive(Debug, Clone)]
pub(crate) struct Coding {
    system_id: SystemId,
    sealer: Option<Sealer>,
}

impl Coding {
    /// Creates the coding of a system; with a `sealer` names are keyed and objects are sealed.
    pub(crate) fn new(system_id: &SystemId, sealer: Option<&Sealer>) -> Self {
        Self {
            system_id: system_id.clone(),
            sealer: sealer.cloned(),
        }
    }

    /// Returns what stands in the vault for content of this hash.
    pub(super) fn name_of(&self, sha256: ContentHash) -> ContentHash {
        let sealer = self.sealer.as_ref();
        sealer.map_or(sha256, |sealer| sealer.name_of(&sha256))
    }

    /// Returns the seed of the cuts: boundaries would otherwise tell known content.
    pub(super) fn seed(&self) -> u64 {
        self.sealer.as_ref().map_or(0, Sealer::chunker_seed)
    }

    /// Returns a piece as its object holds it. Blocks for as long as that takes.
    pub(super) fn encode(
        &self,
        piece: Vec<u8>,
        format: Option<CompressionFormat>,
    ) -> io::Result<Vec<u8>> {
        let packed = pack(piece, format)?;
        let Some(sealer) = &self.sealer else {
            return Ok(packed);
        };
        sealer
            .seal(Kind::Chunk, &self.system_id, &packed)
            .map_err(io::Error::other)
    }

    /// Returns a piece from its object, after its size and hash are found right. No more is
    /// unpacked than the entry says. Blocks.
    ///
    /// # Errors
    /// Says in words what differs.
    pub(crate) fn decode(&self, object: &[u8], entry: &ChunkEntry) -> Result<Vec<u8>, String> {
        if object.len() as u64 != entry.stored_bytes {
            return Err(format!(
                "its object has {} bytes, expected {}",
                object.len(),
                entry.stored_bytes
            ));
        }
        let piece = match &self.sealer {
            None => unpack(object, entry)?,
            Some(sealer) => {
                let opened = sealer.open(Kind::Chunk, &self.system_id, object.to_vec());
                unpack(&opened.map_err(|error| error.to_string())?, entry)?
            }
        };
        let name = self.name_of(ContentHash::of(&piece));
        if name != entry.sha256 {
            return Err(format!("its content is that of `{name}`"));
        }
        Ok(piece)
    }
}

fn pack(piece: Vec<u8>, format: Option<CompressionFormat>) -> io::Result<Vec<u8>> {
    match format {
        None => Ok(piece),
        Some(CompressionFormat::Zstd) => zstd::bulk::compress(&piece, ZSTD_LEVEL),
        Some(CompressionFormat::Gzip) => {
            let mut encoder = GzEncoder::new(Vec::new(), flate2::Compression::default());
            encoder.write_all(&piece)?;
            encoder.finish()
        }
        // The configuration does not offer it: zstd is smaller. Other programs may write it.
        Some(CompressionFormat::Lz4) => {
            let mut encoder = FrameEncoder::new(Vec::new());
            encoder.write_all(&piece)?;
            encoder.finish().map_err(io::Error::other)
        }
    }
}

/// Unpacks a piece to the size that is expected.
pub(super) fn unpack(object: &[u8], entry: &ChunkEntry) -> Result<Vec<u8>, String> {
    let unpacked = match entry.compression {
        None => Ok(object.to_vec()),
        Some(CompressionFormat::Zstd) => {
            zstd::stream::read::Decoder::with_buffer(object).and_then(|mut decoder| {
                decoder.window_log_max(27)?;
                read(decoder, entry)
            })
        }
        Some(CompressionFormat::Gzip) => read(GzDecoder::new(object), entry),
        Some(CompressionFormat::Lz4) => read(FrameDecoder::new(object), entry),
    };
    let piece = unpacked.map_err(|error| format!("it cannot be unpacked: {error}"))?;
    if piece.len() as u64 != entry.size_bytes {
        return Err(format!(
            "it unpacks to {} bytes or more, expected {}",
            piece.len(),
            entry.size_bytes
        ));
    }
    Ok(piece)
}

/// Reads one byte more than expected at most: that much tells that it is too long.
fn read(decoder: impl Read, entry: &ChunkEntry) -> io::Result<Vec<u8>> {
    let mut piece = Vec::new();
    decoder.take(entry.size_bytes + 1).read_to_end(&mut piece)?;
    Ok(piece)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use zeroize::Zeroizing;

    use super::*;
    use crate::crypt::MasterKey;

    fn pairs() -> impl Iterator<Item = (Coding, Option<CompressionFormat>)> {
        let pair = |coding: Coding| FORMATS.map(|format| (coding.clone(), format));
        codings().into_iter().flat_map(pair)
    }

    fn entry(
        coding: &Coding,
        piece: &[u8],
        object: &[u8],
        compression: Option<CompressionFormat>,
    ) -> ChunkEntry {
        ChunkEntry {
            sha256: coding.name_of(ContentHash::of(piece)),
            size_bytes: piece.len() as u64,
            stored_bytes: object.len() as u64,
            compression,
        }
    }

    /// Returns the codings of a plain and of an encrypted vault.
    fn codings() -> [Coding; 2] {
        let sealer = Sealer::new(&MasterKey::from_bytes(Zeroizing::new([7; 32]))).unwrap();
        let system_id: SystemId = "laptop".parse().unwrap();
        [None, Some(&sealer)].map(|sealer| Coding::new(&system_id, sealer))
    }

    const FORMATS: [Option<CompressionFormat>; 4] = [
        None,
        Some(CompressionFormat::Zstd),
        Some(CompressionFormat::Gzip),
        Some(CompressionFormat::Lz4),
    ];

    proptest! {
        #[test]
        fn what_is_encoded_is_decoded(piece in prop::collection::vec(any::<u8>(), 1..4000)) {
            for (coding, format) in pairs() {
                let object = coding.encode(piece.clone(), format).unwrap();
                let entry = entry(&coding, &piece, &object, format);
                prop_assert_eq!(coding.decode(&object, &entry), Ok(piece.clone()));
            }
        }

        #[test]
        fn a_flipped_bit_is_found(
            piece in prop::collection::vec(any::<u8>(), 1..2000),
            at: prop::sample::Index,
            bit in 0_u8..8,
        ) {
            for (coding, format) in pairs() {
                let mut object = coding.encode(piece.clone(), format).unwrap();
                let entry = entry(&coding, &piece, &object, format);
                let at = at.index(object.len());
                object[at] ^= 1 << bit;
                // A bit of a header that says nothing of the content may be any, unless sealed.
                if let Ok(found) = coding.decode(&object, &entry) {
                    prop_assert_eq!(&found, &piece);
                    prop_assert!(coding.sealer.is_none());
                }
            }
        }

        #[test]
        fn no_object_makes_the_reader_panic(object in prop::collection::vec(any::<u8>(), 0..600)) {
            for (coding, format) in pairs() {
                let _ = coding.decode(&object, &entry(&coding, b"x", &object, format));
            }
        }
    }

    #[test]
    fn no_more_is_unpacked_than_said() {
        let [coding, _] = codings();
        for format in FORMATS.into_iter().flatten() {
            let format = Some(format);
            let bomb = coding.encode(vec![0; 64 << 20], format).unwrap();
            let mut entry = entry(&coding, &[0; 1000], &bomb, format);
            let reason = coding.decode(&bomb, &entry).unwrap_err();
            assert!(
                reason.contains("1001 bytes or more"),
                "{format:?}: {reason}"
            );
            entry.stored_bytes += 1;
            let reason = coding.decode(&bomb, &entry).unwrap_err();
            assert!(reason.contains("its object has"), "{format:?}: {reason}");
        }
    }

    #[test]
    fn frames_of_the_reference_implementation_are_read() {
        let piece = b"what to remember, what to remember, what to remember";
        let [coding, _] = codings();
        // Written by liblz4 1.10: linked blocks; independent blocks with checksums and a size.
        for object in [
            "04224d186c403400000000000000ab1d000000ff037768617420746f2072656d656d6265722c2012000a50\
             656d626572000000005ccba996",
            "04224d187c403400000000000000881d000000ff037768617420746f2072656d656d6265722c2012000a50\
             656d626572a8d2a524000000005ccba996",
        ] {
            let object = hex::decode(object).unwrap();
            let entry = entry(&coding, piece, &object, Some(CompressionFormat::Lz4));
            assert_eq!(coding.decode(&object, &entry), Ok(piece.to_vec()));
        }
    }
}
