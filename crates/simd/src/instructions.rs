//! The instruction sets: their names, and which of them the processor has.

use std::fmt;
use tickless_words::words;

/// The name of a set of vector instructions. The order is that of speed: of two sets that a
/// processor has, the later one is faster.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[non_exhaustive]
pub enum InstructionSet {
    /// No explicit vector instructions; the compiler uses those that the target guarantees.
    Portable,
    /// 128-bit vectors; 64-bit ARM.
    Neon,
    /// 256-bit vectors with fused multiply-add; x86-64.
    Avx2,
    /// 512-bit vectors with masks; x86-64.
    Avx512,
}

words!(InstructionSet, "instruction set", { Avx512 = "avx512", Avx2 = "avx2", Portable = "portable", Neon = "neon" });

impl InstructionSet {
    /// All sets, in their order.
    const ALL: [Self; 4] = [Self::Portable, Self::Neon, Self::Avx2, Self::Avx512];

    /// Whether this processor has the set. The standard library caches the processor's answer.
    fn is_here(self) -> bool {
        #[cfg(target_arch = "x86_64")]
        macro_rules! has {
            ($($feature:tt)*) => { $(is_x86_feature_detected!($feature) &&)* true };
        }
        match self {
            Self::Portable => true,
            Self::Neon => cfg!(target_arch = "aarch64"),
            #[cfg(target_arch = "x86_64")]
            Self::Avx2 => has!("avx2" "fma" "bmi1" "bmi2" "lzcnt" "popcnt"),
            #[cfg(target_arch = "x86_64")]
            Self::Avx512 => Self::Avx2.is_here() && has!("avx512f" "avx512bw" "avx512cd" "avx512dq" "avx512vl"),
            #[cfg(not(target_arch = "x86_64"))]
            _ => false,
        }
    }
}

/// An instruction set that this processor has. Only this module makes values, after it has asked
/// the processor, so code compiled for [`set`](Self::set) may run.
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
pub struct Isa(InstructionSet);

impl Isa {
    /// The set that every processor has.
    pub const PORTABLE: Isa = Isa(InstructionSet::Portable);

    /// All sets of this processor, the slowest first.
    pub fn available() -> Vec<Isa> {
        Self::all().collect()
    }

    /// The fastest set of this processor.
    pub fn best() -> Isa {
        Self::at_most(None)
    }

    /// The fastest set of this processor that does not come after `limit`; the fastest of all if
    /// `limit` is `None`.
    pub fn at_most(limit: Option<InstructionSet>) -> Isa {
        let within = |isa: &Isa| limit.is_none_or(|limit| isa.0 <= limit);
        Self::all().rfind(within).unwrap_or(Self::PORTABLE)
    }

    fn all() -> impl DoubleEndedIterator<Item = Isa> {
        InstructionSet::ALL.into_iter().filter(|set| set.is_here()).map(Isa)
    }

    /// The name of the set.
    #[inline]
    pub fn set(self) -> InstructionSet {
        self.0
    }

    /// Whether this is AVX-512 and the processor has the extension too.
    pub fn has(self, extension: Extension) -> bool {
        #[cfg(target_arch = "x86_64")]
        return self.0 == InstructionSet::Avx512
            && match extension {
                Extension::Vnni => is_x86_feature_detected!("avx512vnni"),
                Extension::Bf16 => is_x86_feature_detected!("avx512bf16"),
                Extension::Vbmi2 => is_x86_feature_detected!("avx512vbmi2"),
            };
        #[cfg(not(target_arch = "x86_64"))]
        {
            let _ = extension;
            false
        }
    }
}

impl fmt::Debug for Isa {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

/// Instructions that some processors with AVX-512 have and others lack.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum Extension {
    /// Sums of four products of 8 bits.
    Vnni,
    /// Sums of two products of bf16.
    Bf16,
    /// Compression of values of 8 and 16 bits.
    Vbmi2,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_sets_of_this_processor_rise_from_the_portable_one_to_the_best() {
        let all = Isa::available();
        assert_eq!((all.first(), all.last()), (Some(&Isa::PORTABLE), Some(&Isa::best())));
        assert!(all.windows(2).all(|pair| pair[0].set() < pair[1].set()), "{all:?}");
        #[cfg(target_arch = "aarch64")]
        assert_eq!(Isa::best().set(), InstructionSet::Neon);
    }

    #[test]
    fn a_limit_gives_the_best_set_that_is_not_above_it() {
        for limit in InstructionSet::ALL {
            let chosen = Isa::at_most(Some(limit));
            assert!(chosen.set() <= limit);
            assert!(Isa::available().iter().all(|isa| isa.set() > limit || isa.set() <= chosen.set()));
        }
        assert_eq!(Isa::at_most(None), Isa::best());
    }
}
