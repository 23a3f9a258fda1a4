//! Random choices that can be repeated.

use rand::rngs::StdRng;
use rand::{RngExt, SeedableRng};

/// Makes the random choices of one test.
pub(crate) struct Seed(StdRng);

impl Seed {
    /// Takes the seed from `AKOSHA_TEST_SEED`, else a new one, and prints it: the test's output is
    /// shown when it fails.
    pub(crate) fn new() -> Self {
        let given = std::env::var("AKOSHA_TEST_SEED").ok();
        let seed = given.map_or_else(rand::random, |seed| seed.parse().unwrap());
        eprintln!("AKOSHA_TEST_SEED={seed}");
        Self(StdRng::seed_from_u64(seed))
    }

    /// Returns a number below `end`.
    pub(crate) fn below(&mut self, end: u64) -> u64 {
        self.0.random_range(0..end)
    }

    /// Returns whether a choice of one in `n` came up.
    pub(crate) fn one_in(&mut self, n: u64) -> bool {
        self.below(n) == 0
    }

    /// Returns `len` letters and digits, which do not compress well.
    pub(crate) fn noise(&mut self, len: usize) -> String {
        let letters = b"abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789  ";
        let pick = |_| char::from(letters[self.0.random_range(0..letters.len())]);
        (0..len).map(pick).collect()
    }

    /// Returns 384 numbers.
    pub(crate) fn embedding(&mut self) -> Vec<f32> {
        (0..384).map(|_| self.0.random_range(-1.0..1.0)).collect()
    }
}
