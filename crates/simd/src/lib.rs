//! Which vector instructions the processor has, and code that is compiled for each of them.
//!
//! Tickless is built once for a kind of processor and chooses at run time between the instruction
//! sets of that kind. This crate is the only place that asks the processor:
//!
//! * [`InstructionSet`] names a set; options and messages use its words.
//! * [`Isa`] is a set that this processor was seen to have, so a function that takes one may run its
//!   instructions. [`Isa::best`] chooses, [`Isa::at_most`] chooses within a limit that the caller
//!   gives. Nothing here reads the environment.
//! * [`Isa::run`] runs a loop of safe code ([`Loop`]) as it is compiled for the set. [`by_isa!`]
//!   defines a function that runs one of several types' code, one type a set.
//! * [`Lanes`] is sixteen values of f32, whose registers the kernels of training share.
//! * [`Aligned`] is memory in whole cache lines; [`prefetch`] asks for a line.
//!
//! | set | processors | features |
//! |---|---|---|
//! | portable | all | what the target has |
//! | neon | 64-bit ARM, all | NEON, which belongs to the target |
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
