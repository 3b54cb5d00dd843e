//! Surrogate gradients: what stands in for the derivative of a spike.
//!
//! A spike is a step function of the membrane potential, so its derivative is zero almost
//! everywhere. In backward it is replaced by a bump around the threshold; which one is part of
//! the neuron's description ([`Surrogate`]). The equations stand at the variants there.
//! Sources: triangle, the code of Du et al. (ICLR 2025); single exponential, sinabs; arctangent
//! and sigmoid, SpikingJelly.

use std::f32::consts::PI;
use tickless_net::Surrogate;

/// ds/du at membrane potential `u` (before the reset) and threshold `theta`.
#[inline(always)]
pub fn derivative(surrogate: Surrogate, u: f32, theta: f32) -> f32 {
    let d = u - theta;
    match surrogate {
        Surrogate::Triangle => (1.0 - d.abs()).max(0.0),
        Surrogate::SingleExponential { width } => {
            let w = width * theta;
            (-d.abs() / w).exp() / w
        }
        Surrogate::Arctangent { alpha } => {
            let z = PI / 2.0 * alpha * d;
            alpha / 2.0 / (1.0 + z * z)
        }
        Surrogate::Sigmoid { alpha } => {
            let g = 1.0 / (1.0 + (-alpha * d).exp());
            alpha * g * (1.0 - g)
        }
        Surrogate::Rectangle { width } => {
            if d.abs() < width / 2.0 {
                1.0 / width
            } else {
                0.0
            }
        }
        Surrogate::Gaussian { sigma } => {
            let z = d / sigma;
            (-0.5 * z * z).exp() / (sigma * (2.0 * PI).sqrt())
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// All but the triangle's and the multi-spike exponential's are densities: they integrate to
    /// one, so a sweep of the potential through the threshold is worth one spike.
    #[test]
    fn every_surrogate_integrates_to_its_known_area() {
        let cases = [
            (Surrogate::Triangle, 1.0),
            (Surrogate::SingleExponential { width: 0.5 }, 2.0),
            (Surrogate::Arctangent { alpha: 2.0 }, 1.0),
            (Surrogate::Sigmoid { alpha: 4.0 }, 1.0),
            (Surrogate::Rectangle { width: 0.8 }, 1.0),
            (Surrogate::Gaussian { sigma: 0.4 }, 1.0),
        ];
        for (s, area) in cases {
            let h = 1e-3f32;
            let sum: f64 = (-200_000..200_000).map(|i| f64::from(derivative(s, 1.0 + i as f32 * h, 1.0) * h)).sum();
            assert!((sum - area).abs() < 5e-3, "{s:?}: {sum}");
        }
    }

    #[test]
    fn every_surrogate_is_symmetric_about_the_threshold() {
        for s in [Surrogate::Triangle, Surrogate::Arctangent { alpha: 2.0 }, Surrogate::Sigmoid { alpha: 4.0 }] {
            for d in [0.1f32, 0.5, 0.9] {
                assert!((derivative(s, 1.0 + d, 1.0) - derivative(s, 1.0 - d, 1.0)).abs() < 1e-6);
            }
        }
    }
}
