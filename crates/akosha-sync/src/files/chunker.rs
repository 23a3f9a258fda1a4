//! Cuts a file into pieces by its content (FastCDC, Xia et al. 2020), so that a change in its
//! middle changes the pieces around it and no others.

use std::io::{self, Read};

use fastcdc::v2020::{self, Normalization, StreamCDC};

/// Sizes of pieces in bytes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Sizes {
    least: usize,
    usual: usize,
    most: usize,
}

impl Sizes {
    /// Returns the sizes for a limit of so many bytes per object. A piece has at most half of it,
    /// and a fifth on average: with the default of 5 MiB, 1 MiB. A small change then costs little
    /// more than that, which is the point of pieces.
    pub(super) fn of(limit: u64) -> Self {
        let limit = usize::try_from(limit).unwrap_or(usize::MAX);
        // The algorithm reads two bytes at a time.
        let even = |size: usize, least, most| (size & !1).clamp(least, most);
        let most = even(limit / 2, v2020::MAXIMUM_MIN, v2020::MAXIMUM_MAX);
        let usual = even(most * 2 / 5, v2020::AVERAGE_MIN, v2020::AVERAGE_MAX);
        Self {
            least: even(usual / 4, v2020::MINIMUM_MIN, v2020::MINIMUM_MAX),
            usual,
            most,
        }
    }

    /// Returns the most bytes of one piece.
    pub(super) fn most(self) -> usize {
        self.most
    }
}

/// Returns the pieces of what `input` reads, in order. The same content and seed give the same
/// pieces.
pub(super) fn pieces<R: Read>(
    input: R,
    sizes: Sizes,
    seed: u64,
) -> impl Iterator<Item = io::Result<Vec<u8>>> {
    let Sizes { least, usual, most } = sizes;
    StreamCDC::with_level_and_seed(input, least, usual, most, Normalization::Level1, seed)
        .map(|piece| piece.map(|piece| piece.data).map_err(io::Error::from))
}

#[cfg(test)]
mod tests {
    use std::collections::HashSet;

    use proptest::prelude::*;

    use super::*;

    fn random(seed: u64, length: usize) -> Vec<u8> {
        let mut state = seed.wrapping_mul(2).wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut bytes = Vec::with_capacity(length + 8);
        while bytes.len() < length {
            // splitmix64
            state = state.wrapping_add(0x9e37_79b9_7f4a_7c15);
            let mut word = state;
            word = (word ^ (word >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
            word = (word ^ (word >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
            bytes.extend((word ^ (word >> 31)).to_le_bytes());
        }
        bytes.truncate(length);
        bytes
    }

    fn cut(bytes: &[u8], sizes: Sizes) -> Vec<Vec<u8>> {
        pieces(bytes, sizes, 0).map(Result::unwrap).collect()
    }

    #[test]
    fn sizes_follow_the_limit() {
        let default = Sizes::of(5 << 20);
        assert_eq!(default.most(), 5 << 19);
        assert_eq!(default.usual, 1 << 20);
        for limit in 1..=100 {
            let sizes = Sizes::of(limit << 20);
            assert!(
                sizes.least < sizes.usual && sizes.usual < sizes.most,
                "{sizes:?}"
            );
            assert!(sizes.most as u64 * 2 <= limit << 20);
        }
    }

    #[test]
    fn a_small_change_costs_few_bytes() {
        let before = random(1, 60 << 20);
        let mut after = before.clone();
        let change = random(2, 1024);
        after.splice((30 << 20)..(30 << 20) + 512, change);
        let sizes = Sizes::of(5 << 20);
        let known: HashSet<Vec<u8>> = cut(&before, sizes).into_iter().collect();
        let again: usize = cut(&after, sizes)
            .iter()
            .filter(|piece| !known.contains(*piece))
            .map(Vec::len)
            .sum();
        assert!(again * 20 < after.len(), "{again} bytes again");
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(32))]
        #[test]
        fn the_pieces_are_the_file(seed: u64, length in 0_usize..3_000_000) {
            let bytes = random(seed, length);
            let sizes = Sizes::of(1 << 20);
            let found = cut(&bytes, sizes);
            prop_assert!(found.iter().all(|piece| (1..=sizes.most()).contains(&piece.len())));
            prop_assert_eq!(found.concat(), bytes);
        }
    }
}
