//! What the equations are generic over: one number, a vector register, a tensor.
//!
//! An executor implements for the type it computes with what its equations need: [`Lane`] for the
//! arrival of an event, [`StepLane`] for a whole step, [`Smooth`] for a surrogate.

use std::ops::{Add, Div, Mul, Neg, Sub};

/// Numbers that pass through the neuron's equations side by side.
pub trait Lane: Clone + Add<Output = Self> + Mul<Output = Self> {
    /// The result of a comparison.
    type Mask;

    /// Where `self ≥ other`; false for NaN.
    fn at_least(&self, other: &Self) -> Self::Mask;
    /// The larger value; `other` where they are equal or one is NaN.
    fn larger(self, other: Self) -> Self;
}

/// Lanes that take a whole step. The methods from [`detach`](StepLane::detach) on matter only to
/// types that record a graph for automatic differentiation; for plain numbers their default does
/// nothing.
pub trait StepLane: Lane + Sub<Output = Self> + Div<Output = Self> + Neg<Output = Self> {
    /// `value` in every place of a lane of the same size.
    fn like(&self, value: f32) -> Self;
    /// Where `self > other`; false for NaN.
    fn above(&self, other: &Self) -> Self::Mask;
    /// `yes` where the mask is set, else `no`.
    fn select(mask: &Self::Mask, yes: Self, no: Self) -> Self;
    /// Rounded towards zero.
    fn truncated(self) -> Self;

    /// The same values, as a constant of the graph.
    fn detach(self) -> Self {
        self
    }

    /// `spikes`, differentiated as if they were `integral`, the integral of the surrogate.
    fn spikes_as(spikes: Self, integral: impl FnOnce() -> Self) -> Self {
        let _ = integral;
        spikes
    }

    /// 0 where `spikes` is above 0, else `self`; its derivative with respect to `spikes` is
    /// `-self`.
    fn zero_where(self, spikes: &Self) -> Self {
        let zero = self.like(0.0);
        let fired = spikes.above(&zero);
        Self::select(&fired, zero, self)
    }
}

/// The functions that surrogates are made of.
pub trait Smooth: StepLane {
    /// |x|.
    fn magnitude(self) -> Self;
    /// eˣ.
    fn exponential(self) -> Self;
    /// The inverse tangent.
    fn arctangent(self) -> Self;
    /// The error function.
    fn error_function(self) -> Self;
}

macro_rules! number {
    ($type:ty, $erf:path) => {
        impl Lane for $type {
            type Mask = bool;

            #[inline(always)]
            fn at_least(&self, other: &Self) -> bool {
                self >= other
            }

            #[inline(always)]
            fn larger(self, other: Self) -> Self {
                if self > other { self } else { other }
            }
        }

        impl StepLane for $type {
            #[inline(always)]
            fn like(&self, value: f32) -> Self {
                value.into()
            }

            #[inline(always)]
            fn above(&self, other: &Self) -> bool {
                self > other
            }

            #[inline(always)]
            fn select(mask: &bool, yes: Self, no: Self) -> Self {
                if *mask { yes } else { no }
            }

            #[inline(always)]
            fn truncated(self) -> Self {
                self.trunc()
            }
        }

        impl Smooth for $type {
            #[inline(always)]
            fn magnitude(self) -> Self {
                self.abs()
            }

            #[inline(always)]
            fn exponential(self) -> Self {
                self.exp()
            }

            #[inline(always)]
            fn arctangent(self) -> Self {
                self.atan()
            }

            #[inline(always)]
            fn error_function(self) -> Self {
                $erf(self)
            }
        }
    };
}

number!(f32, libm::erff);
number!(f64, libm::erf);
