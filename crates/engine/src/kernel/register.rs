//! A vector register of f32 as a lane of the neuron's equations.

/// Defines `$name`, a register with these instructions for +, ·, max and ≥. The max instruction
/// must return its second operand if the first is not larger.
macro_rules! register {
    ($name:ident, $type:ty, $mask:ty, $add:path, $mul:path, $max:path, $at_least:path) => {
        #[derive(Copy)]
        struct $name($type);

        // Not derived, because the compiler does not always inline a derived `clone`.
        impl Clone for $name {
            #[inline(always)]
            fn clone(&self) -> Self {
                *self
            }
        }

        impl std::ops::Add for $name {
            type Output = Self;

            #[inline(always)]
            fn add(self, other: Self) -> Self {
                // SAFETY: code creates such a register only on processors with its instructions.
                Self(unsafe { $add(self.0, other.0) })
            }
        }

        impl std::ops::Mul for $name {
            type Output = Self;

            #[inline(always)]
            fn mul(self, other: Self) -> Self {
                // SAFETY: as above.
                Self(unsafe { $mul(self.0, other.0) })
            }
        }

        impl tickless_neuron::Lane for $name {
            type Mask = $mask;

            #[inline(always)]
            fn at_least(&self, other: &Self) -> $mask {
                // SAFETY: as above.
                unsafe { $at_least(self.0, other.0) }
            }

            #[inline(always)]
            fn larger(self, other: Self) -> Self {
                // SAFETY: as above.
                Self(unsafe { $max(self.0, other.0) })
            }
        }
    };
}

pub(super) use register;
