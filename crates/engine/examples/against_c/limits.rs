//! Measures the upper limit of the machine: a C loop that only adds, over arrays of several sizes.

use crate::{Anything, c};
use std::path::Path;

/// Additions per second of a stream that loads, adds and stores, by the size of its arrays.
pub struct Limits {
    /// (name of the memory level, bytes, float additions/s, 16-bit additions of 8-bit weights/s).
    levels: Vec<(&'static str, f64, f64, f64)>,
}

impl Limits {
    /// Measures the rates with a C program that it compiles into `folder`.
    pub fn measure(folder: &Path) -> Anything<Self> {
        let program = c::compile(folder, "stream")?;
        let mut levels = Vec::new();
        for (name, bytes) in [("L1", 24 << 10), ("L2", 512 << 10), ("L3", 12 << 20), ("memory", 384usize << 20)] {
            let said = c::said(&program, &[&bytes.to_string()])?;
            let rate = |k: usize| -> Anything<f64> { Ok(said.get(k).ok_or("the stream said nothing")?.parse()?) };
            levels.push((name, bytes as f64, rate(0)?, rate(1)?));
        }
        Ok(Self { levels })
    }

    /// Prints the rates of all levels.
    pub fn print(&self) {
        println!("limits: v += w over arrays of one size, additions/s (12 bytes each in float, 5 in 8 bit)");
        for (name, bytes, float, small) in &self.levels {
            let (k, gb) = (bytes / 1024.0, |rate: f64, each: f64| rate * each / 1e9);
            println!(
                "  {name:<7}{k:>9} KiB   float {float:.2e} ({:.0} GB/s)   8-bit {small:.2e} ({:.0} GB/s)",
                gb(*float, 12.0),
                gb(*small, 5.0)
            );
        }
    }

    /// The smallest memory level that holds this number of bytes, and its rate.
    pub fn of(&self, bytes: usize, small: bool) -> (&'static str, f64) {
        // Cache sizes of the machine on which we measure: 48 KiB, 1 MiB, 32 MiB.
        let level = [48 << 10, 1 << 20, 32 << 20].iter().filter(|&&size| bytes > size).count();
        let (name, _, float, eight) = self.levels[level];
        (name, if small { eight } else { float })
    }
}
