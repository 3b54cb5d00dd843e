//! Compiles one source for each instruction set and selects the function at run time.
//!
//! The compiler uses a set that the target may lack only in a function with `#[target_feature]`. A
//! call of such a function is unsafe, because the processor must have the set. An [`Isa`] proves
//! that it does, so only [`Isa::run`] and [`by_isa!`](crate::by_isa) make such calls. A callee is
//! compiled for the set only if it is inlined, so loops and bodies must be `#[inline(always)]`.

#[cfg(target_arch = "x86_64")]
use crate::InstructionSet;
use crate::Isa;

/// A loop in safe code. `run` and the functions that it calls must be `#[inline(always)]`.
pub trait Loop {
    /// The result of the loop.
    type Out;

    /// Runs the loop.
    fn run(self) -> Self::Out;
}

impl Isa {
    /// Runs a loop in the form compiled for this set.
    #[inline]
    #[allow(unsafe_code, reason = "calls of functions compiled for a set that the processor has")]
    pub fn run<L: Loop>(self, it: L) -> L::Out {
        match self.set() {
            // SAFETY (both): the processor has the set of every `Isa`.
            #[cfg(target_arch = "x86_64")]
            InstructionSet::Avx512 => unsafe { x86::avx512(it) },
            #[cfg(target_arch = "x86_64")]
            InstructionSet::Avx2 => unsafe { x86::avx2(it) },
            _ => it.run(),
        }
    }
}

#[cfg(target_arch = "x86_64")]
mod x86 {
    use super::Loop;

    #[target_feature(enable = "avx512f,avx512bw,avx512cd,avx512dq,avx512vl,avx2,fma,bmi1,bmi2,lzcnt,popcnt")]
    pub fn avx512<L: Loop>(it: L) -> L::Out {
        it.run()
    }

    #[target_feature(enable = "avx2,fma,bmi1,bmi2,lzcnt,popcnt")]
    pub fn avx2<L: Loop>(it: L) -> L::Out {
        it.run()
    }
}

/// Defines a safe function `name(isa, job)` that runs a generic body with one type per set.
///
/// ```
/// use tickless_simd::{Isa, by_isa};
///
/// trait Width { const BITS: usize; }
/// struct Scalar;
/// impl Width for Scalar { const BITS: usize = 32; }
/// struct Wide;
/// impl Width for Wide { const BITS: usize = 512; }
///
/// #[inline(always)]
/// fn body<W: Width>(values: &[f32]) -> (f32, usize) {
///     (values.iter().sum(), W::BITS)
/// }
/// by_isa! {
///     fn sum(values: &[f32]) -> (f32, usize) = body::<portable Scalar, neon Scalar, avx2 Scalar, avx512 Wide>;
/// }
/// assert_eq!(sum(Isa::PORTABLE, &[1.0, 2.0]), (3.0, 32));
/// assert_eq!(sum(Isa::best(), &[1.0, 2.0]).0, 3.0);
/// ```
///
/// The body must be `#[inline(always)]`. If it is unsafe, it may require only the instruction set
/// and conditions that the job's type guarantees. The types of other targets' sets need not exist.
#[macro_export]
macro_rules! by_isa {
    ($(#[$attribute:meta])* $visibility:vis fn $name:ident($job:ident: $of:ty) $(-> $out:ty)? =
        $body:ident::<portable $portable:ty, neon $neon:ty, avx2 $avx2:ty, avx512 $avx512:ty>;) => {
        $(#[$attribute])*
        #[allow(unsafe_code, unused_unsafe, reason = "calls of functions compiled for a set that the processor has")]
        $visibility fn $name(isa: $crate::Isa, $job: $of) $(-> $out)? {
            #[cfg(target_arch = "x86_64")]
            #[target_feature(enable = "avx512f,avx512bw,avx512cd,avx512dq,avx512vl,avx2,fma,bmi1,bmi2,lzcnt,popcnt")]
            fn avx512($job: $of) $(-> $out)? {
                // SAFETY: this function is compiled for the set; the job's type guarantees the
                // rest.
                unsafe { $body::<$avx512>($job) }
            }
            #[cfg(target_arch = "x86_64")]
            #[target_feature(enable = "avx2,fma,bmi1,bmi2,lzcnt,popcnt")]
            fn avx2($job: $of) $(-> $out)? {
                // SAFETY: as for avx512.
                unsafe { $body::<$avx2>($job) }
            }
            match isa.set() {
                #[cfg(target_arch = "x86_64")]
                // SAFETY: the processor has the set of every `Isa`.
                $crate::InstructionSet::Avx512 => unsafe { avx512($job) },
                #[cfg(target_arch = "x86_64")]
                // SAFETY: the processor has the set of every `Isa`.
                $crate::InstructionSet::Avx2 => unsafe { avx2($job) },
                #[cfg(target_arch = "aarch64")]
                // SAFETY: the target includes NEON; the job's type guarantees the rest.
                $crate::InstructionSet::Neon => unsafe { $body::<$neon>($job) },
                // SAFETY: no instruction set is needed; the job's type guarantees the rest.
                _ => unsafe { $body::<$portable>($job) },
            }
        }
    };
}

#[cfg(test)]
mod tests {
    use super::*;

    struct Squares<'a>(&'a mut [f32]);

    impl Loop for Squares<'_> {
        type Out = f32;

        #[inline(always)]
        fn run(self) -> f32 {
            self.0.iter_mut().for_each(|v| *v *= *v);
            self.0.iter().sum()
        }
    }

    #[test]
    fn a_loop_gives_the_same_bits_in_every_set() {
        let values: Vec<f32> = (0..77).map(|k| k as f32 / 7.0).collect();
        let run = |isa: Isa| {
            let mut values = values.clone();
            (isa.run(Squares(&mut values)).to_bits(), values)
        };
        for isa in Isa::available() {
            assert_eq!(run(isa), run(Isa::PORTABLE), "{isa:?}");
        }
    }
}
