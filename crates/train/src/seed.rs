//! The source of every random draw of a run: a generator for (seed, purpose, counter).
//!
//! A caller makes a new generator for each use, so iteration k determines the random state. A
//! checkpoint that stores the seed and the counters therefore resumes with the same bits, and a
//! draw does not depend on the number of threads.

use rand::SeedableRng;
use rand_chacha::ChaCha8Rng;

/// Returns the generator for one use: `purpose` names what is drawn, `counter` numbers the uses.
pub fn rng(seed: u64, purpose: &str, counter: u64) -> ChaCha8Rng {
    // FNV-1a, because the hash of the standard library may change between its versions.
    let hash = purpose.bytes().fold(0xcbf2_9ce4_8422_2325_u64, |h, b| (h ^ u64::from(b)).wrapping_mul(0x100_0000_01b3));
    let mut key = [0u8; 32];
    key[..8].copy_from_slice(&seed.to_le_bytes());
    key[8..16].copy_from_slice(&hash.to_le_bytes());
    key[16..24].copy_from_slice(&counter.to_le_bytes());
    ChaCha8Rng::from_seed(key)
}
