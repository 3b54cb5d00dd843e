//! Measures the peak rates of the machine, on as many threads as the kernels use.
//!
//! Arithmetic: sixteen independent sums of fused multiply-adds in registers of the best instruction
//! set, two operations per lane. Memory: the triad a ← b + s·c over arrays larger than any cache,
//! counted as 12 bytes per value (the machine also reads `a` before it writes it, which is not
//! counted).

use rayon::prelude::*;
use std::hint::black_box;
use std::time::Instant;
#[cfg(target_arch = "aarch64")]
use tickless_kernels::cpu::simd::Neon;
#[cfg(target_arch = "x86_64")]
use tickless_kernels::cpu::simd::{Avx2, Avx512};
use tickless_kernels::cpu::simd::{LANES, Lanes, Portable, detect};

/// Peak rates, per second.
#[derive(Debug, Clone, Copy)]
pub struct Peaks {
    /// Floating-point operations.
    pub operations: f64,
    /// Bytes to and from memory.
    pub bytes: f64,
}

/// Independent sums. The number exceeds the latency of a multiply-add (in cycles) times two ports.
const SUMS: usize = 16;

/// # Safety
/// See [`Lanes`].
#[inline(always)]
unsafe fn products<V: Lanes>(rounds: usize) -> f32 {
    let mut all = [0.0f32; LANES];
    // SAFETY: the caller guarantees the instruction set, and the store has room for sixteen values.
    unsafe {
        let (mut sums, a, b) = ([V::splat(0.0); SUMS], V::splat(black_box(1.0)), V::splat(black_box(1e-9)));
        for _ in 0..rounds {
            for s in &mut sums {
                *s = s.add_product(a, b);
            }
        }
        let sum = sums.into_iter().reduce(|s, t| s.add(t)).unwrap_or(a);
        sum.store(all.as_mut_ptr());
    }
    all[0]
}

tickless_simd::by_isa! {
    fn arithmetic(rounds: usize) -> f32 = products::<portable Portable, neon Neon, avx2 Avx2, avx512 Avx512>;
}

/// The best rate of seven calls that each process `amount` operations or bytes.
fn best(amount: f64, mut call: impl FnMut()) -> f64 {
    let turn = |_| {
        let start = Instant::now();
        call();
        amount / start.elapsed().as_secs_f64()
    };
    (0..7).map(turn).fold(0.0, f64::max)
}

impl Peaks {
    /// Measures both rates; takes half a second.
    pub fn measure() -> Self {
        let (threads, rounds) = (rayon::current_num_threads(), 1 << 20);
        let operations = best((2 * SUMS * LANES * rounds * threads) as f64, || {
            (0..threads).into_par_iter().with_max_len(1).for_each(|_| {
                black_box(arithmetic(detect(), black_box(rounds)));
            });
        });
        let len = 1 << 24;
        let (mut a, b, c) = (vec![0.0f32; len], vec![1.0f32; len], vec![2.0f32; len]);
        let piece = 1 << 16;
        let bytes = best(12.0 * len as f64, || {
            let rows = a.par_chunks_mut(piece).zip(b.par_chunks(piece)).zip(c.par_chunks(piece));
            rows.for_each(|((a, b), c)| a.iter_mut().zip(b).zip(c).for_each(|((a, b), c)| *a = b + 3.0 * c));
            black_box(&mut a);
        });
        Self { operations, bytes }
    }

    /// Both rates as a sentence.
    pub fn say(&self) -> String {
        let (threads, isa) = (rayon::current_num_threads(), detect());
        format!(
            "Limits of the machine in this run, {threads} threads, {isa:?}: {:.0} GFLOP/s, {:.1} GB/s",
            self.operations / 1e9,
            self.bytes / 1e9
        )
    }
}
