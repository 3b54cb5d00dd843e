//! The learned policy of early exit: the probability that an answer given now is as good as the one
//! at the end.
//!
//! ```text
//! p = σ(w·φ)                            the run stops if p is above α
//! φ = (1, ℓ, p₁, p₁ − p₂, H, e, √e, e·ℓ)
//!
//! ℓ = ln(p₁/p₂), at most 30             p₁, p₂: the two largest of softmax(g·m) or softmax(g·Σ/T_max)
//! H = −Σ p ln p / ln C                  C: number of classes
//! e = min(elapsed/span, 1)              steps of T, or µs of those of T_max steps
//!
//! w = argmin ½‖w‖² − Σ ln P(y|φ)        features of mean 0 and deviation 1
//! y = 1 if the answer now is right, or the one at the end is wrong
//! ```
//!
//! So a run that stops loses a right answer with a probability of 1 − p. The sum is over moments of
//! validation samples whose network is frozen. It is convex and the first term makes it strictly so:
//! there is one minimum, Newton's method finds it, and nothing is drawn.
//!
//! SEENN-II (Li et al., "SEENN: Towards temporal spiking early-exit neural networks", 2023) trains a
//! second network with reinforcement learning. That network sees the whole input before the first
//! step and chooses T. This policy reads the readout instead, which the run has computed: it costs
//! three softmaxes and eight products per decision where the other costs a network per sample, it
//! needs some hundred samples, and it also applies to events, whose whole input does not exist when
//! the decision is due. It cannot tell before the first step that a sample
//! is hard.

use crate::softmax::{argmax, confidence, margin, relative_entropy};
use serde::{Deserialize, Serialize};

/// Number of features.
pub const FEATURES: usize = 8;

type Features = [f64; FEATURES];

/// Largest ℓ. Beyond it p₂ is below 10⁻¹³, and certainty is certainty.
const LARGEST_RATIO: f64 = 30.0;

/// Largest weight of a file. Features of a fit have weights far below it, and no sum of products
/// overflows.
const LARGEST_WEIGHT: f64 = 1e12;

/// A learned policy.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct ExitPolicy {
    /// w.
    pub weights: Features,
    /// The elapsed steps or µs at which e is 1.
    pub span: f64,
}

/// The state of a sample at a moment, and whether stopping there loses nothing.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Example {
    features: Features,
    good: bool,
}

impl Example {
    /// The example of readout values (mean logits with the gain g, Σ with g/T_max) after `elapsed`
    /// steps or µs of `span`. `good` is y.
    pub fn new(values: impl Iterator<Item = f64> + Clone, gain: f64, (elapsed, span): (f64, f64), good: bool) -> Self {
        Self { features: features(values, gain, elapsed / span), good }
    }
}

impl ExitPolicy {
    /// The policy with these weights.
    pub fn new(weights: Features, span: f64) -> Self {
        Self { weights, span }
    }

    /// p for readout values, with the arguments of [`Example::new`]. Above 0; 1 only by rounding.
    pub fn probability(&self, values: impl Iterator<Item = f64> + Clone, gain: f64, elapsed: f64) -> f64 {
        sigmoid(dot(&self.weights, &features(values, gain, elapsed / self.span)))
    }

    /// Checks the values of a file; the error completes "the policy …".
    ///
    /// # Errors
    /// If a weight is beyond 10¹² or no number, or the span is no number above 0.
    pub fn check(&self) -> Result<(), String> {
        if let Some(w) = self.weights.iter().find(|w| w.is_nan() || w.abs() > LARGEST_WEIGHT) {
            return Err(format!("has the weight {w}"));
        }
        match self.span.is_finite() && self.span > 0.0 {
            true => Ok(()),
            false => Err(format!("has the span {}", self.span)),
        }
    }

    /// The policy that explains the examples best. Without examples every p is 1/2.
    pub fn fitted(span: f64, examples: &[Example]) -> Self {
        let scale = Scale::of(examples);
        let scaled: Vec<(Features, bool)> = examples.iter().map(|e| (scale.apply(&e.features), e.good)).collect();
        let mut w = [0.0; FEATURES];
        let mut loss = loss_of(&w, &scaled);
        for _ in 0..MOST_ITERATIONS {
            let step = newton_step(&w, &scaled);
            // The full step may overshoot; halves of it do not for ever, because the loss is convex.
            let mut share = 1.0;
            let (next, next_loss) = loop {
                let next: Features = std::array::from_fn(|i| w[i] - share * step[i]);
                let next_loss = loss_of(&next, &scaled);
                if next_loss <= loss || share < 1e-6 {
                    break (next, next_loss);
                }
                share /= 2.0;
            };
            let gained = loss - next_loss;
            if gained > 0.0 {
                (w, loss) = (next, next_loss);
            }
            if gained <= 1e-9 * loss.abs() {
                break;
            }
        }
        Self { weights: scale.undo(&w), span }
    }
}

/// Newton's method needs about ten.
const MOST_ITERATIONS: usize = 100;

fn dot(a: &Features, b: &Features) -> f64 {
    a.iter().zip(b).map(|(a, b)| a * b).sum()
}

/// σ(z). z is limited, so that the result is above 0.
fn sigmoid(z: f64) -> f64 {
    1.0 / (1.0 + (-z.clamp(-700.0, 700.0)).exp())
}

/// ln(1 + eᶻ).
fn softplus(z: f64) -> f64 {
    z.max(0.0) + (-z.abs()).exp().ln_1p()
}

/// φ; `progress` is elapsed/span.
fn features(values: impl Iterator<Item = f64> + Clone, gain: f64, progress: f64) -> Features {
    let (class, first) = argmax(values.clone());
    let others = values.clone().enumerate().filter(|(k, _)| *k != class).map(|(_, v)| v);
    // With one class the ratio has no bound.
    let second = others.fold(f64::NEG_INFINITY, f64::max);
    let ratio = ((first - second) * gain).min(LARGEST_RATIO);
    let e = progress.clamp(0.0, 1.0);
    let [p, margin, entropy] =
        [confidence(values.clone(), gain), margin(values.clone(), gain), relative_entropy(values, gain)];
    [1.0, ratio, p, margin, entropy, e, e.sqrt(), e * ratio]
}

/// Mean and deviation of each feature.
struct Scale {
    mean: Features,
    deviation: Features,
}

impl Scale {
    fn of(examples: &[Example]) -> Self {
        let n = examples.len().max(1) as f64;
        let over = |f: &dyn Fn(&Features) -> f64| examples.iter().map(|e| f(&e.features)).sum::<f64>() / n;
        let mut scale = Self { mean: [0.0; FEATURES], deviation: [1.0; FEATURES] };
        // The first feature is the constant.
        for i in 1..FEATURES {
            let mean = over(&|f| f[i]);
            let deviation = over(&|f| (f[i] - mean).powi(2)).sqrt();
            scale.mean[i] = mean;
            // A feature that hardly varies is not blown up.
            scale.deviation[i] = if deviation > 1e-6 { deviation } else { 1.0 };
        }
        scale
    }

    fn apply(&self, features: &Features) -> Features {
        std::array::from_fn(|i| (features[i] - self.mean[i]) / self.deviation[i])
    }

    /// The weights of the features themselves.
    fn undo(&self, w: &Features) -> Features {
        let mut weights: Features = std::array::from_fn(|i| w[i] / self.deviation[i]);
        weights[0] -= (1..FEATURES).map(|i| weights[i] * self.mean[i]).sum::<f64>();
        weights
    }
}

fn loss_of(w: &Features, examples: &[(Features, bool)]) -> f64 {
    let of = |(features, good): &(Features, bool)| {
        let z = dot(w, features);
        if *good { softplus(-z) } else { softplus(z) }
    };
    0.5 * dot(w, w) + examples.iter().map(of).sum::<f64>()
}

/// Hessian⁻¹·gradient of the loss at w.
fn newton_step(w: &Features, examples: &[(Features, bool)]) -> Features {
    let mut gradient = *w;
    let mut hessian = [[0.0; FEATURES]; FEATURES];
    (0..FEATURES).for_each(|i| hessian[i][i] = 1.0);
    for (x, good) in examples {
        let p = sigmoid(dot(w, x));
        let error = p - f64::from(u8::from(*good));
        for i in 0..FEATURES {
            gradient[i] += error * x[i];
            for j in 0..=i {
                hessian[i][j] += p * (1.0 - p) * x[i] * x[j];
            }
        }
    }
    solved(&hessian, &gradient)
}

/// A⁻¹·b by Cholesky's decomposition. `a` is positive definite, because the identity is part of it;
/// its lower triangle is read.
fn solved(a: &[Features; FEATURES], b: &Features) -> Features {
    let mut l = [[0.0; FEATURES]; FEATURES];
    for i in 0..FEATURES {
        for j in 0..=i {
            let sum: f64 = (0..j).map(|k| l[i][k] * l[j][k]).sum();
            l[i][j] = if i == j { (a[i][i] - sum).sqrt() } else { (a[i][j] - sum) / l[j][j] };
        }
    }
    let mut x = *b;
    for i in 0..FEATURES {
        x[i] = (x[i] - (0..i).map(|k| l[i][k] * x[k]).sum::<f64>()) / l[i][i];
    }
    for i in (0..FEATURES).rev() {
        x[i] = (x[i] - (i + 1..FEATURES).map(|k| l[k][i] * x[k]).sum::<f64>()) / l[i][i];
    }
    x
}

#[cfg(test)]
mod tests {
    use super::*;

    fn example(values: &[f64], elapsed: f64, good: bool) -> Example {
        Example::new(values.iter().copied(), 1.0, (elapsed, 4.0), good)
    }

    fn p(policy: &ExitPolicy, values: &[f64], elapsed: f64) -> f64 {
        policy.probability(values.iter().copied(), 1.0, elapsed)
    }

    /// Wide margins are right, narrow ones are right less often, and early ones least.
    fn examples() -> Vec<Example> {
        let mut all = Vec::new();
        for k in 0..400 {
            let (ratio, elapsed) = (f64::from(k % 20) / 4.0, f64::from(k % 3 + 1));
            let luck = f64::from(k * 7919 % 101) / 101.0;
            all.push(example(&[ratio, 0.0, -1.0], elapsed, luck < 0.3 + 0.12 * ratio + 0.05 * elapsed));
        }
        all
    }

    #[test]
    fn features_are_those_of_their_equations() {
        let logits = [0.5f64, 0.3, 0.2].map(f64::ln);
        let f = features(logits.iter().copied(), 1.0, 0.25);
        let h = -[0.5f64, 0.3, 0.2].iter().map(|p| p * p.ln()).sum::<f64>() / 3f64.ln();
        let ratio = (0.5f64 / 0.3).ln();
        for (got, want) in f.iter().zip([1.0, ratio, 0.5, 0.2, h, 0.25, 0.5, 0.25 * ratio]) {
            assert!((got - want).abs() < 1e-12, "{f:?}");
        }
        // Two equal largest values have the ratio 1; beyond the span time stands still; values that no
        // exponential holds are certain, not infinite.
        assert_eq!(features([2.0, 2.0, 0.0].into_iter(), 1.0, 7.0)[1], 0.0);
        assert_eq!(features([2.0, 2.0, 0.0].into_iter(), 1.0, 7.0)[5], 1.0);
        for values in [&[1e30, 0.0][..], &[1.0], &[], &[-1e300, 1e300]] {
            assert!(features(values.iter().copied(), 1e3, 0.0).iter().all(|f| f.is_finite()), "{values:?}");
        }
    }

    #[test]
    fn no_policy_has_a_smaller_loss_and_the_fit_gives_the_same_bits_twice() {
        let all = examples();
        let fitted = ExitPolicy::fitted(4.0, &all);
        assert_eq!(fitted, ExitPolicy::fitted(4.0, &all));
        let scale = Scale::of(&all);
        let scaled: Vec<(Features, bool)> = all.iter().map(|e| (scale.apply(&e.features), e.good)).collect();
        // The weights of the scaled features, from those of the features.
        let mut w: Features = std::array::from_fn(|i| fitted.weights[i] * scale.deviation[i]);
        w[0] = fitted.weights[0] + (1..FEATURES).map(|i| fitted.weights[i] * scale.mean[i]).sum::<f64>();
        let least = loss_of(&w, &scaled);
        for i in 0..FEATURES {
            for by in [-0.01, 0.01] {
                let mut other = w;
                other[i] += by;
                assert!(loss_of(&other, &scaled) > least, "feature {i} by {by}");
            }
        }
    }

    #[test]
    fn the_policy_learns_what_the_examples_show() {
        let fitted = ExitPolicy::fitted(4.0, &examples());
        assert!(p(&fitted, &[4.0, 0.0, -1.0], 1.0) > p(&fitted, &[0.5, 0.0, -1.0], 1.0) + 0.2);
        // The mean of p is the share of good examples, up to the pull of the prior towards 1/2.
        let all = examples();
        let share = all.iter().filter(|e| e.good).count() as f64 / all.len() as f64;
        let mean = all.iter().map(|e| sigmoid(dot(&fitted.weights, &e.features))).sum::<f64>() / all.len() as f64;
        assert!((mean - share).abs() < 0.01, "{mean} {share}");
    }

    #[test]
    fn examples_that_one_line_divides_and_examples_of_one_kind_have_a_finite_policy() {
        let divided: Vec<Example> =
            (0..40).map(|k| example(&[f64::from(k), 0.0], f64::from(k % 4 + 1), k >= 20)).collect();
        let good = [example(&[1.0, 0.0], 1.0, true); 5];
        for all in [&divided[..], &good, &good[..1], &[]] {
            let fitted = ExitPolicy::fitted(4.0, all);
            assert_eq!(fitted.check(), Ok(()));
            let middle = p(&fitted, &[1.0, 0.0], 1.0);
            assert!(middle > 0.0 && middle < 1.0, "{middle}");
        }
        assert_eq!(p(&ExitPolicy::fitted(4.0, &[]), &[3.0, 0.0], 1.0), 0.5);
        assert!(p(&ExitPolicy::fitted(4.0, &good), &[1.0, 0.0], 1.0) > 0.5);
    }

    #[test]
    fn values_that_no_policy_has_are_named() {
        let good = ExitPolicy::new([0.5; FEATURES], 4.0);
        assert_eq!(good.check(), Ok(()));
        let mut bad = good;
        bad.weights[3] = f64::NAN;
        assert!(bad.check().unwrap_err().contains("NaN"));
        for span in [0.0, -1.0, f64::INFINITY, f64::NAN] {
            assert!(ExitPolicy { span, ..good }.check().unwrap_err().contains("span"), "{span}");
        }
        assert!(ExitPolicy::new([1e13; FEATURES], 4.0).check().is_err());
        // Even extreme weights give a probability above 0.
        assert!(p(&ExitPolicy::new([-1e12; FEATURES], 4.0), &[1.0, 0.0], 1.0) > 0.0);
    }
}
