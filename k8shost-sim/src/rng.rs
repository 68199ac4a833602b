//! The one source of chance: a splitmix64 generator, so that a seed is a run.

/// A seeded generator.
#[derive(Clone, Debug)]
pub(crate) struct Rng(u64);

/// The finalizer of splitmix64: every bit of the input changes half of the output's.
pub(crate) fn mix(mut z: u64) -> u64 {
    z = (z ^ (z >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
    z = (z ^ (z >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
    z ^ (z >> 31)
}

impl Rng {
    pub(crate) fn new(seed: u64) -> Self {
        Self(mix(seed ^ 0xD1B5_4A32_D192_ED03))
    }

    pub(crate) fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9E37_79B9_7F4A_7C15);
        mix(self.0)
    }

    /// Less than `n`; 0 for 0.
    pub(crate) fn below(&mut self, n: u64) -> u64 {
        // The high half of a product: no division, and no bias worth speaking of.
        ((u128::from(self.next()) * u128::from(n)) >> 64) as u64
    }

    /// From `a` to `b`, both included.
    pub(crate) fn range(&mut self, a: u64, b: u64) -> u64 {
        a + self.below(b - a + 1)
    }

    /// True `n` times in 10,000.
    pub(crate) fn chance(&mut self, n: u64) -> bool {
        n > 0 && self.below(10_000) < n
    }

    pub(crate) fn pick<T: Copy>(&mut self, from: &[T]) -> T {
        from[self.below(from.len() as u64) as usize]
    }
}
