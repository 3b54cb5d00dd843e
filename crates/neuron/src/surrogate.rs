//! Surrogate gradients, which replace the derivative of a spike.
//!
//! A spike is a step function of the membrane potential, so its derivative is zero almost
//! everywhere. The backward pass replaces the derivative by a bump around the threshold, which the
//! neuron's description selects. [`derivative`] computes the bump for hand-written backward passes.
//! [`integral`] is a function whose derivative is the bump, for automatic differentiation.
//!
//! Sources: triangle, the code of Du et al. (ICLR 2025); single exponential, sinabs; arctangent and
//! sigmoid, SpikingJelly; fast sigmoid, snnTorch.
//!
//! To add a surrogate, add a variant, its entry in [`Surrogate::KNOWN`] and in
//! `Surrogate::parameter`, its two equations and its loop in [`derivatives`] to this file, and its
//! GPU form to `crates/kernels/src/gpu/equations.rs`.

use crate::error::Error;
use crate::lane::Smooth;
use serde::{Deserialize, Serialize};
use std::f32::consts::{FRAC_PI_2, PI, SQRT_2};
use std::fmt;
use std::str::FromStr;

/// The function that replaces the derivative of a spike; d = u − θ.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case", tag = "kind")]
pub enum Surrogate {
    /// max(0, 1 − |d|).
    Triangle,
    /// exp(−|d|/(w·θ)) / (w·θ), w = `width`.
    SingleExponential {
        /// Width as a fraction of the threshold (sinabs: 0.5).
        width: f32,
    },
    /// α/2 / (1 + (π/2·α·d)²).
    Arctangent {
        /// Steepness (SpikingJelly: 2).
        alpha: f32,
    },
    /// α·g·(1 − g), g = sigmoid(α·d).
    Sigmoid {
        /// Steepness (SpikingJelly: 4).
        alpha: f32,
    },
    /// 1 / (1 + α·|d|)².
    FastSigmoid {
        /// Steepness (snnTorch: 25).
        alpha: f32,
    },
    /// 1/w if |d| < w/2, else 0.
    Rectangle {
        /// Full width.
        width: f32,
    },
    /// Normal density of d with standard deviation σ.
    Gaussian {
        /// Standard deviation.
        sigma: f32,
    },
}

impl Surrogate {
    /// The names that recipes use, each with the default value of the surrogate's parameter.
    pub const KNOWN: [(&'static str, Surrogate); 7] = [
        ("triangle", Surrogate::Triangle),
        ("single_exponential", Surrogate::SingleExponential { width: 0.5 }),
        ("arctangent", Surrogate::Arctangent { alpha: 2.0 }),
        ("sigmoid", Surrogate::Sigmoid { alpha: 4.0 }),
        ("fast_sigmoid", Surrogate::FastSigmoid { alpha: 25.0 }),
        ("rectangle", Surrogate::Rectangle { width: 1.0 }),
        ("gaussian", Surrogate::Gaussian { sigma: 0.5 }),
    ];

    /// The surrogate's name, the recipe's field of its parameter, and the parameter, if it has one.
    pub(crate) fn parameter(&mut self) -> (&'static str, &'static str, Option<&mut f32>) {
        match self {
            Surrogate::Triangle => ("triangle", "", None),
            Surrogate::SingleExponential { width } => ("single_exponential", "surrogate_width", Some(width)),
            Surrogate::Arctangent { alpha } => ("arctangent", "surrogate_alpha", Some(alpha)),
            Surrogate::Sigmoid { alpha } => ("sigmoid", "surrogate_alpha", Some(alpha)),
            Surrogate::FastSigmoid { alpha } => ("fast_sigmoid", "surrogate_alpha", Some(alpha)),
            Surrogate::Rectangle { width } => ("rectangle", "surrogate_width", Some(width)),
            Surrogate::Gaussian { sigma } => ("gaussian", "surrogate_sigma", Some(sigma)),
        }
    }
}

impl FromStr for Surrogate {
    type Err = Error;

    fn from_str(word: &str) -> Result<Self, Error> {
        Ok(tickless_words::find("surrogate", word, &Self::KNOWN)?)
    }
}

impl fmt::Display for Surrogate {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut copy = *self;
        f.write_str(copy.parameter().0)
    }
}

/// The surrogate's ds/du at the distance `d` = u − θ from the threshold. `theta` is the neuron's
/// own θ, which scales the width of the single exponential.
#[inline(always)]
pub fn derivative<L: Smooth>(surrogate: Surrogate, d: L, theta: f32) -> L {
    let one = d.like(1.0);
    match surrogate {
        Surrogate::Triangle => (one - d.clone().magnitude()).larger(d.like(0.0)),
        Surrogate::SingleExponential { width } => {
            let w = d.like(width * theta);
            (-d.magnitude() / w.clone()).exponential() / w
        }
        Surrogate::Arctangent { alpha } => {
            let z = d.like(FRAC_PI_2 * alpha) * d.clone();
            d.like(alpha / 2.0) / (one + z.clone() * z)
        }
        Surrogate::Sigmoid { alpha } => {
            let g = one.clone() / (one.clone() + (d.like(-alpha) * d.clone()).exponential());
            d.like(alpha) * g.clone() * (one - g)
        }
        Surrogate::FastSigmoid { alpha } => {
            let z = one.clone() + d.like(alpha) * d.magnitude();
            one / (z.clone() * z)
        }
        Surrogate::Rectangle { width } => {
            let inside = d.like(width / 2.0).above(&d.clone().magnitude());
            L::select(&inside, d.like(1.0 / width), d.like(0.0))
        }
        Surrogate::Gaussian { sigma } => {
            let z = d.clone() / d.like(sigma);
            (d.like(-0.5) * z.clone() * z).exponential() / d.like(sigma * (2.0 * PI).sqrt())
        }
    }
}

/// Writes the [`derivative`] at each potential of `u` to `out`, for neurons with threshold `theta`.
///
/// Each surrogate has its own loop, so no loop branches on the surrogate for every value.
pub fn derivatives(surrogate: Surrogate, u: &[f32], theta: f32, out: &mut [f32]) {
    macro_rules! each {
        ($surrogate:expr) => {
            u.iter().zip(out).for_each(|(u, slope)| *slope = derivative($surrogate, *u - theta, theta))
        };
    }
    match surrogate {
        Surrogate::Triangle => each!(Surrogate::Triangle),
        Surrogate::SingleExponential { width } => each!(Surrogate::SingleExponential { width }),
        Surrogate::Arctangent { alpha } => each!(Surrogate::Arctangent { alpha }),
        Surrogate::Sigmoid { alpha } => each!(Surrogate::Sigmoid { alpha }),
        Surrogate::FastSigmoid { alpha } => each!(Surrogate::FastSigmoid { alpha }),
        Surrogate::Rectangle { width } => each!(Surrogate::Rectangle { width }),
        Surrogate::Gaussian { sigma } => each!(Surrogate::Gaussian { sigma }),
    }
}

/// A function of d = u − θ whose derivative is [`derivative`].
#[inline(always)]
pub fn integral<L: Smooth>(surrogate: Surrogate, d: L, theta: f32) -> L {
    let one = d.like(1.0);
    match surrogate {
        Surrogate::Triangle => {
            let z = within(d, 1.0);
            z.clone() - z.clone() * z.clone().magnitude() * z.like(0.5)
        }
        Surrogate::SingleExponential { width } => {
            let tail = one - (d.clone().magnitude() / d.like(-width * theta)).exponential();
            let positive = d.above(&d.like(0.0));
            L::select(&positive, tail.clone(), -tail)
        }
        Surrogate::Arctangent { alpha } => (d.like(FRAC_PI_2 * alpha) * d.clone()).arctangent() / d.like(PI),
        Surrogate::Sigmoid { alpha } => one.clone() / (one + (d.like(-alpha) * d.clone()).exponential()),
        Surrogate::FastSigmoid { alpha } => d.clone() / (one + d.like(alpha) * d.magnitude()),
        Surrogate::Rectangle { width } => within(d.clone(), width / 2.0) / d.like(width),
        Surrogate::Gaussian { sigma } => (d.clone() / d.like(sigma * SQRT_2)).error_function() * d.like(0.5),
    }
}

/// Clamps `d` to [−limit, limit].
#[inline(always)]
fn within<L: Smooth>(d: L, limit: f32) -> L {
    let low = d.like(-limit);
    -(-d.larger(low.clone())).larger(low)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    /// All surrogates except the single exponential and the fast sigmoid have area 1, so their integral over a sweep of
    /// the potential through the threshold is one spike.
    #[test]
    fn every_surrogate_integrates_to_its_known_area() {
        let cases = [
            (Surrogate::Triangle, 1.0),
            (Surrogate::SingleExponential { width: 0.5 }, 2.0),
            (Surrogate::Arctangent { alpha: 2.0 }, 1.0),
            (Surrogate::Sigmoid { alpha: 4.0 }, 1.0),
            // 2/α.
            (Surrogate::FastSigmoid { alpha: 5.0 }, 0.4),
            (Surrogate::Rectangle { width: 0.8 }, 1.0),
            (Surrogate::Gaussian { sigma: 0.4 }, 1.0),
        ];
        for (s, area) in cases {
            let h = 1e-3f32;
            let sum: f64 = (-200_000..200_000).map(|i| f64::from(derivative(s, i as f32 * h, 1.0) * h)).sum();
            assert!((sum - area).abs() < 5e-3, "{s:?}: {sum}");
        }
    }

    #[test]
    fn every_surrogate_is_symmetric_about_the_threshold() {
        for (_, s) in Surrogate::KNOWN {
            for d in [0.1f32, 0.5, 0.9] {
                assert!((derivative(s, d, 1.0) - derivative(s, -d, 1.0)).abs() < 1e-6, "{s}");
            }
        }
    }

    #[test]
    fn a_surrogate_is_displayed_by_the_word_that_names_it() {
        for (word, s) in Surrogate::KNOWN {
            assert_eq!(s.to_string(), word);
            assert_eq!(word.parse::<Surrogate>().unwrap(), s);
        }
        let error = "trangle".parse::<Surrogate>().unwrap_err();
        assert!(matches!(&error, Error::Word(unknown) if unknown.word == "trangle"), "{error}");
    }

    proptest! {
        #[test]
        fn the_derivative_of_the_integral_is_the_surrogate(d in -3.0f64..3.0, theta in 0.5f32..2.0, scale in 0.3f32..3.0) {
            for (_, mut s) in Surrogate::KNOWN {
                if let Some(constant) = s.parameter().2 {
                    *constant *= scale;
                }
                // The integral has no two-sided derivative at a kink, so skip values near it.
                let kinks: Vec<f64> = match s {
                    Surrogate::Rectangle { width } => vec![f64::from(width) / 2.0],
                    Surrogate::Triangle => vec![0.0, 1.0],
                    _ => vec![0.0],
                };
                let h = 1e-5;
                if kinks.iter().any(|k| (d.abs() - k).abs() < 2.0 * h) {
                    continue;
                }
                let slope = (integral(s, d + h, theta) - integral(s, d - h, theta)) / (2.0 * h);
                let exact = derivative(s, d, theta);
                prop_assert!((slope - exact).abs() <= 1e-4 * (1.0 + exact), "{s:?} at {d}: {slope}, {exact}");
            }
        }
    }
}
