//! Every random draw of a run comes from here: a generator for (seed, purpose, counter).
//!
//! No generator lives longer than one use, so the random state of a run at iteration k is k
//! itself: a checkpoint that holds the seed and the counters resumes bit for bit, and no draw
//! depends on how many threads drew before it.

use rand::SeedableRng;
use rand_chacha::ChaCha8Rng;

/// The generator for one use: `purpose` says what is drawn, `counter` which time.
pub fn rng(seed: u64, purpose: &str, counter: u64) -> ChaCha8Rng {
    // FNV-1a: a fixed hash of the purpose, the same in every version of the standard library.
    let hash = purpose.bytes().fold(0xcbf2_9ce4_8422_2325_u64, |h, b| (h ^ u64::from(b)).wrapping_mul(0x100_0000_01b3));
    let mut key = [0u8; 32];
    key[..8].copy_from_slice(&seed.to_le_bytes());
    key[8..16].copy_from_slice(&hash.to_le_bytes());
    key[16..24].copy_from_slice(&counter.to_le_bytes());
    ChaCha8Rng::from_seed(key)
}
