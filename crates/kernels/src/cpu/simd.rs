//! The instruction set of the CPU kernels, and how a kernel is compiled for each.
//!
//! The kernels of this folder are written once, generic over [`Lanes`], and compiled for each
//! instruction set of [`tickless_simd`]; [`detect`] chooses at run time, within the limit of the
//! program's [`ComputeOptions`].

use crate::options::ComputeOptions;
use std::sync::OnceLock;

#[cfg(target_arch = "aarch64")]
pub use tickless_simd::Neon;
#[cfg(target_arch = "x86_64")]
pub use tickless_simd::{Avx2, Avx512};
pub use tickless_simd::{Extension, InstructionSet, Isa, LANES, Lanes, Portable, prefetch};

/// The best instruction set that this processor has and the program's [`ComputeOptions`] allow.
pub fn detect() -> Isa {
    static BEST: OnceLock<Isa> = OnceLock::new();
    *BEST.get_or_init(|| Isa::at_most(ComputeOptions::installed().instructions))
}

/// Declares a safe function `name(isa, job)` for a generic body `unsafe fn body<V: Lanes>(job)`.
macro_rules! by_isa {
    ($visibility:vis $name:ident = $body:ident($job:ty)) => {
        tickless_simd::by_isa! {
            $visibility fn $name(job: $job) = $body::<
                portable $crate::cpu::simd::Portable,
                neon $crate::cpu::simd::Neon,
                avx2 $crate::cpu::simd::Avx2,
                avx512 $crate::cpu::simd::Avx512
            >;
        }
    };
}
pub(crate) use by_isa;
