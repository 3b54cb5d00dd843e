//! A counter-based random generator that gives the same numbers on every machine and in every
//! version.
//!
//! It is SplitMix64 (Steele, Lea and Flood, 2014): output n is a bijective hash of `key + n·γ`. It
//! uses only integer arithmetic, so that x86, ARM and wasm32 give identical bits, and no dependency
//! whose update could change the numbers. It is not suitable for secrets.

const GAMMA: u64 = 0x9E37_79B9_7F4A_7C15;

/// One stream of random numbers, selected by (seed, stream).
#[derive(Debug, Clone)]
pub struct Rng {
    state: u64,
}

impl Rng {
    /// Creates stream number `stream` (for example, the index of a sample) of `seed`. Streams of
    /// one seed are independent of each other, and do not depend on the order in which they are
    /// created.
    pub fn new(seed: u64, stream: u64) -> Rng {
        Rng { state: hash(hash(seed.wrapping_add(GAMMA)) ^ stream.wrapping_mul(GAMMA)) }
    }

    /// Returns 64 uniform bits.
    pub fn next_u64(&mut self) -> u64 {
        self.state = self.state.wrapping_add(GAMMA);
        hash(self.state)
    }

    /// Returns a uniform number in 0..n (0 if n is 0), by multiply and shift; the bias is below
    /// n/2⁶⁴.
    pub fn below(&mut self, n: u64) -> u64 {
        ((u128::from(self.next_u64()) * u128::from(n)) >> 64) as u64
    }

    /// Returns a uniform number in [0, 1) with 24 random bits.
    pub fn unit(&mut self) -> f32 {
        (self.next_u64() >> 40) as f32 / (1u32 << 24) as f32
    }

    /// Returns true with probability one half.
    pub fn coin(&mut self) -> bool {
        self.next_u64() >> 63 == 1
    }

    /// Returns a nearly normal number with mean 0 and variance 1: the sum of eight uniform 16-bit
    /// numbers. The usual methods are not used because their logarithm and cosine differ between
    /// platforms.
    pub fn normal(&mut self) -> f32 {
        let (a, b) = (self.next_u64(), self.next_u64());
        let sum: u32 = (0..4).map(|i| ((a >> (16 * i)) as u16) as u32 + ((b >> (16 * i)) as u16) as u32).sum();
        // Eight numbers have the mean 8·65535/2 and the standard deviation √(8/12)·65536.
        (sum as f32 - 262_140.0) / 53_509.92
    }

    /// Shuffles in place (Fisher–Yates).
    pub fn shuffle<T>(&mut self, items: &mut [T]) {
        for i in (1..items.len()).rev() {
            items.swap(i, self.below(i as u64 + 1) as usize);
        }
    }
}

fn hash(mut z: u64) -> u64 {
    z = (z ^ (z >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
    z = (z ^ (z >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
    z ^ (z >> 31)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_core_is_splitmix64() {
        // The published sequence for the seed 1234567.
        let mut rng = Rng { state: 1_234_567 };
        assert_eq!(rng.next_u64(), 6_457_827_717_110_365_317);
        assert_eq!(rng.next_u64(), 3_203_168_211_198_807_973);
    }

    #[test]
    fn streams_do_not_depend_on_each_other() {
        let first = Rng::new(1, 5).next_u64();
        assert_eq!(Rng::new(1, 5).next_u64(), first);
        assert_ne!(Rng::new(1, 6).next_u64(), first);
        assert_ne!(Rng::new(2, 5).next_u64(), first);
    }

    #[test]
    fn moments_are_those_of_the_normal() {
        let mut rng = Rng::new(3, 0);
        let draws: Vec<f64> = (0..100_000).map(|_| f64::from(rng.normal())).collect();
        let mean = draws.iter().sum::<f64>() / draws.len() as f64;
        let variance = draws.iter().map(|d| (d - mean).powi(2)).sum::<f64>() / draws.len() as f64;
        assert!(mean.abs() < 0.02 && (variance - 1.0).abs() < 0.03, "{mean} {variance}");
    }

    #[test]
    fn a_shuffle_keeps_every_item() {
        let mut items: Vec<u32> = (0..100).collect();
        Rng::new(0, 0).shuffle(&mut items);
        assert!(!items.is_sorted());
        items.sort_unstable();
        assert!(items.iter().enumerate().all(|(i, &v)| i as u32 == v));
    }
}
