//! Detects the vector instructions of the processor, and runs code compiled for each of them.
//!
//! One build of Tickless for an architecture selects at run time between that architecture's
//! instruction sets. This crate is the only place that asks the processor:
//!
//! * [`InstructionSet`] names a set; options and messages use its words.
//! * [`Isa`] is a set that this processor has, so a function that takes one may run its
//!   instructions. [`Isa::best`] selects the fastest, [`Isa::at_most`] the fastest within the
//!   caller's limit. This crate does not read the environment.
//! * [`Isa::run`] runs a loop of safe code ([`Loop`]) in the form compiled for the set. [`by_isa!`]
//!   defines a function that runs a generic body with one type per set.
//! * [`Lanes`] holds sixteen f32 values; the training kernels share its implementations.
//! * [`Aligned`] is memory aligned to cache lines; [`prefetch`] asks for a line.
//!
//! | set | processors | features |
//! |---|---|---|
//! | portable | all | those of the target |
//! | neon | 64-bit ARM, all | NEON, which the target includes |
//! | avx2 | x86-64 from 2013 on | AVX2, FMA, BMI1, BMI2, LZCNT, POPCNT |
//! | avx512 | x86-64 servers from 2017 on | those, and AVX-512 F, BW, CD, DQ, VL |

#![deny(unsafe_code)]

mod aligned;
mod dispatch;
mod instructions;
#[allow(unsafe_code, reason = "vector instructions; each form is tested against the portable one")]
mod lanes;
mod prefetch;

pub use aligned::Aligned;
pub use dispatch::Loop;
pub use instructions::{Extension, InstructionSet, Isa};
#[cfg(target_arch = "aarch64")]
pub use lanes::Neon;
#[cfg(target_arch = "x86_64")]
pub use lanes::{Avx2, Avx512};
pub use lanes::{LANES, Lanes, Portable};
pub use prefetch::prefetch;
