//! The number types of the equations: a scalar, a vector register or a tensor.
//!
//! An executor implements for its type the traits that its equations need: [`Lane`] for the arrival
//! of an event, [`StepLane`] for a whole step, [`Smooth`] for a surrogate.

use std::ops::{Add, Div, Mul, Neg, Sub};

/// One or several numbers on which the neuron's equations operate element-wise.
pub trait Lane: Clone + Add<Output = Self> + Mul<Output = Self> {
    /// The result of a comparison.
    type Mask;

    /// `self ≥ other`; false for NaN.
    fn at_least(&self, other: &Self) -> Self::Mask;
    /// The larger value; `other` if the values are equal or one is NaN.
    fn larger(self, other: Self) -> Self;
}

/// Lanes for a whole step. The methods from [`detach`](StepLane::detach) on concern only types that
/// record a graph for automatic differentiation; the defaults suit plain numbers.
pub trait StepLane: Lane + Sub<Output = Self> + Div<Output = Self> + Neg<Output = Self> {
    /// A lane of the same size with `value` in every element.
    fn like(&self, value: f32) -> Self;
    /// `self > other`; false for NaN.
    fn above(&self, other: &Self) -> Self::Mask;
    /// `yes` if the mask is set, otherwise `no`.
    fn select(mask: &Self::Mask, yes: Self, no: Self) -> Self;
    /// The value rounded towards zero.
    fn truncated(self) -> Self;

    /// The same values as a constant of the graph, through which no gradient flows.
    fn detach(self) -> Self {
        self
    }

    /// `spikes` with the derivative of `integral`, which is the integral of the surrogate.
    fn spikes_as(spikes: Self, integral: impl FnOnce() -> Self) -> Self {
        let _ = integral;
        spikes
    }

    /// 0 if `spikes` is above 0, otherwise `self`. The derivative with respect to `spikes` is
    /// `-self`.
    fn zero_where(self, spikes: &Self) -> Self {
        let zero = self.like(0.0);
        let fired = spikes.above(&zero);
        Self::select(&fired, zero, self)
    }
}

/// The functions that the surrogates need.
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
