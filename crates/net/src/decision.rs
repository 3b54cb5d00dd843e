//! The class and the confidence of a readout, and the rule by which a run stops early.
//!
//! ```text
//! p = softmax(g·Σ/T_max)      event-driven          p = softmax(g·m)      clocked
//!
//! confidence   max p              the run stops if it is above α
//! margin       p₁ − p₂            the run stops if it is above α; p₁, p₂: the two largest
//! entropy      −Σ p ln p / ln C   the run stops if it is below α; C: number of classes
//! learned      σ(w·φ)             the run stops if it is above α; see exit_policy
//! ```
//!
//! Σ are the accumulated logits (or output counts), T_max is that of training, m is the mean of the
//! logits over the steps so far, and g is a temperature fitted on the validation part (1 if none
//! was fitted). Source: the confidence threshold of early exit in SEENN-I (Li et al., 2023), which
//! has g = 1; the event-driven form has Σ/T_max instead of the mean over steps. If values are
//! equal, the lowest index is the class. [`ExitPolicy`] has the learned rule.

use crate::exit_policy::ExitPolicy;
use crate::softmax;
use serde::{Deserialize, Serialize};
use tickless_words::words;

pub use crate::softmax::{argmax, probabilities};

/// The parameters that convert accumulated logits to a confidence.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Confidence {
    /// Temperature g; 1 if no temperature was fitted.
    pub gain: f32,
    /// T_max of the training run.
    pub t_max: usize,
}

impl Default for Confidence {
    fn default() -> Self {
        Self { gain: 1.0, t_max: 1 }
    }
}

impl Confidence {
    /// Class and confidence for readout values in index order; class 0 if there are no values.
    pub fn of(&self, values: impl Iterator<Item = f64> + Clone) -> (usize, f64) {
        let (class, _) = argmax(values.clone());
        (class, softmax::confidence(values, f64::from(self.gain) / self.t_max.max(1) as f64))
    }

    /// The exit of an event-driven run by this rule and threshold: its values are Σ.
    pub fn exit(&self, rule: Rule, alpha: f64) -> Exit {
        Exit { rule, alpha, gain: f64::from(self.gain) / self.t_max.max(1) as f64 }
    }

    /// Fits the temperature to readouts of recordings with known labels: g minimises the mean
    /// cross-entropy of softmax(g·Σ/T_max) between 1/1000 and 1000. Without readouts g is 1. The
    /// caller must fit it on validation recordings, never on those whose results are reported.
    pub fn fitted(t_max: usize, readouts: &[(Vec<f32>, usize)]) -> Self {
        if readouts.is_empty() {
            return Self { gain: 1.0, t_max };
        }
        let loss = |ln_gain: f64| -> f64 {
            let gain = ln_gain.exp() / t_max.max(1) as f64;
            readouts.iter().map(|(values, label)| cross_entropy(values, *label, gain)).sum()
        };
        // The loss is convex in g, so it has one minimum in ln g, which the golden-section search
        // finds.
        let section = (5f64.sqrt() - 1.0) / 2.0;
        let (mut low, mut high) = (-(1000f64.ln()), 1000f64.ln());
        let (mut a, mut b) = (high - section * (high - low), low + section * (high - low));
        let (mut at_a, mut at_b) = (loss(a), loss(b));
        while high - low > 1e-4 {
            if at_a <= at_b {
                (high, b, at_b) = (b, a, at_a);
                a = high - section * (high - low);
                at_a = loss(a);
            } else {
                (low, a, at_a) = (a, b, at_b);
                b = low + section * (high - low);
                at_b = loss(b);
            }
        }
        Self { gain: ((low + high) / 2.0).exp() as f32, t_max }
    }
}

/// The name of the quantity that decides whether a run stops.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
pub enum ExitRule {
    /// The largest probability.
    #[default]
    Confidence,
    /// The difference of the two largest probabilities.
    Margin,
    /// The entropy, relative to that of equal probabilities.
    Entropy,
    /// The probability of a learned policy that stopping loses nothing.
    Learned,
}

words!(serde ExitRule, "rule of early exit", {
    Confidence = "confidence",
    Margin = "margin",
    Entropy = "entropy",
    Learned = "learned",
});

impl ExitRule {
    /// The rule with what it has learned; `None` if it needs a policy and there is none.
    pub fn with(self, policy: Option<ExitPolicy>) -> Option<Rule> {
        Some(match self {
            Self::Confidence => Rule::Confidence,
            Self::Margin => Rule::Margin,
            Self::Entropy => Rule::Entropy,
            Self::Learned => Rule::Learned(policy?),
        })
    }
}

/// The quantity that decides whether a run stops, with all that its computation needs.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Rule {
    /// [`ExitRule::Confidence`].
    Confidence,
    /// [`ExitRule::Margin`].
    Margin,
    /// [`ExitRule::Entropy`].
    Entropy,
    /// [`ExitRule::Learned`].
    Learned(ExitPolicy),
}

/// When a run stops: the rule, its threshold α in 0..=1, and the temperature.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Exit {
    /// The quantity that is compared with α.
    pub rule: Rule,
    /// α.
    pub alpha: f64,
    /// Temperature g of the probabilities; with values Σ, g/T_max.
    pub gain: f64,
}

impl Exit {
    /// The quantity that the rule compares, for readout values: mean logits of a clocked run, or Σ.
    /// `elapsed` are the steps that the mean is over, or the µs since the first event; only
    /// [`Rule::Learned`] reads them. 0 for fewer than two values with [`Rule::Entropy`].
    pub fn quantity(&self, values: &[f32], elapsed: f64) -> f64 {
        self.quantity_of(values.iter().map(|v| f64::from(*v)), elapsed)
    }

    /// As [`quantity`](Self::quantity), for values that are no slice.
    pub fn quantity_of(&self, values: impl Iterator<Item = f64> + Clone, elapsed: f64) -> f64 {
        match &self.rule {
            Rule::Confidence => softmax::confidence(values, self.gain),
            Rule::Margin => softmax::margin(values, self.gain),
            Rule::Entropy => softmax::relative_entropy(values, self.gain),
            Rule::Learned(policy) => policy.probability(values, self.gain, elapsed),
        }
    }

    /// Whether a run with these readout values stops.
    pub fn stops(&self, values: &[f32], elapsed: f64) -> bool {
        self.stops_at(self.quantity(values, elapsed))
    }

    /// Whether a run stops if the rule's quantity has this value.
    pub fn stops_at(&self, quantity: f64) -> bool {
        match self.rule {
            Rule::Confidence | Rule::Margin | Rule::Learned(_) => quantity > self.alpha,
            Rule::Entropy => quantity < self.alpha,
        }
    }
}

/// The expected calibration error of answers, each with its confidence in 0..=1 and whether it was
/// right, as a fraction of 1; 0 without answers.
///
/// ```text
/// Σ_b (n_b/n)·|share of right answers in b − mean confidence in b|      b: 15 bins of equal width
/// ```
///
/// Source: Guo et al., "On calibration of modern neural networks", ICML 2017.
pub fn calibration_error(answers: impl IntoIterator<Item = (f64, bool)>) -> f64 {
    let bins = bins(answers);
    let n: usize = bins.iter().map(|b| b.0).sum();
    bins.iter().map(|(_, right, sum)| (*right as f64 - sum).abs()).sum::<f64>() / n.max(1) as f64
}

/// The answers of one bin of the calibration curve.
#[derive(Debug, Clone, Copy, PartialEq, Default, Serialize, Deserialize)]
#[non_exhaustive]
pub struct CalibrationBin {
    /// Mean confidence in percent.
    pub confidence: f64,
    /// Percent correct.
    pub accuracy: f64,
    /// Number of answers.
    pub samples: usize,
}

/// The calibration curve: the bins of [`calibration_error`] that hold answers.
pub fn calibration_bins(answers: impl IntoIterator<Item = (f64, bool)>) -> Vec<CalibrationBin> {
    let percent = |sum: f64, n: usize| 100.0 * sum / n as f64;
    let bin = |(n, right, sum): (usize, usize, f64)| CalibrationBin {
        confidence: percent(sum, n),
        accuracy: percent(right as f64, n),
        samples: n,
    };
    bins(answers).into_iter().filter(|b| b.0 > 0).map(bin).collect()
}

const BINS: usize = 15;

/// Number of answers, of right answers, and sum of the confidences of each bin.
fn bins(answers: impl IntoIterator<Item = (f64, bool)>) -> [(usize, usize, f64); BINS] {
    let mut bins = [(0usize, 0usize, 0.0f64); BINS];
    for (confidence, right) in answers {
        let bin = &mut bins[((confidence * BINS as f64) as usize).min(BINS - 1)];
        *bin = (bin.0 + 1, bin.1 + usize::from(right), bin.2 + confidence);
    }
    bins
}

/// −ln softmax(gain·values)[label].
fn cross_entropy(values: &[f32], label: usize, gain: f64) -> f64 {
    let best = values.iter().fold(f64::NEG_INFINITY, |m, v| m.max(f64::from(*v)));
    let total: f64 = values.iter().map(|v| ((f64::from(*v) - best) * gain).exp()).sum();
    total.ln() - (values.get(label).map_or(best, |v| f64::from(*v)) - best) * gain
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn confidence_is_the_softmax_of_gain_times_sum_by_t_max() {
        let (class, p) = Confidence { gain: 2.0, t_max: 10 }.of([5.0, 10.0].into_iter());
        assert_eq!(class, 1);
        assert!((p - 1.0 / (1.0 + (-1.0f64).exp())).abs() < 1e-12, "{p}");
        let (_, even) = Confidence::default().of([0.0; 4].into_iter());
        assert_eq!(even, 0.25);
    }

    #[test]
    fn the_fitted_temperature_gives_the_confidence_that_is_met() {
        // Of 10 equal readouts (2, 0) nine are right. The best confidence is 0.9, so g·2/T = ln 9.
        let readouts: Vec<(Vec<f32>, usize)> = (0..10).map(|i| (vec![2.0, 0.0], usize::from(i == 0))).collect();
        let fitted = Confidence::fitted(4, &readouts);
        assert!((f64::from(fitted.gain) - 2.0 * 9f64.ln()).abs() < 1e-3, "{fitted:?}");
        assert!((fitted.of([2.0, 0.0].into_iter()).1 - 0.9).abs() < 1e-4);
        assert_eq!(Confidence::fitted(4, &[]), Confidence { gain: 1.0, t_max: 4 });
    }
    fn exit(rule: Rule, alpha: f64) -> Exit {
        Exit { rule, alpha, gain: 1.0 }
    }

    #[test]
    fn the_rules_have_the_values_of_their_equations() {
        let p = [0.5f32, 0.3, 0.2];
        let logits = p.map(f32::ln);
        let close = |a: f64, b: f64| assert!((a - b).abs() < 1e-6, "{a} {b}");
        close(exit(Rule::Confidence, 0.0).quantity(&logits, 1.0), 0.5);
        close(exit(Rule::Margin, 0.0).quantity(&logits, 1.0), 0.2);
        let h = -p.iter().map(|p| f64::from(*p) * f64::from(*p).ln()).sum::<f64>();
        close(exit(Rule::Entropy, 0.0).quantity(&logits, 1.0), h / 3f64.ln());
        close(exit(Rule::Entropy, 0.0).quantity(&[1.5; 7], 1.0), 1.0);
        close(exit(Rule::Margin, 0.0).quantity(&[1.5; 7], 1.0), 0.0);
        close(
            Exit { gain: 2.0, ..exit(Rule::Confidence, 0.0) }.quantity(&[1.0, 0.0], 1.0),
            1.0 / (1.0 + (-2f64).exp()),
        );
    }

    #[test]
    fn probabilities_sum_to_one_and_the_largest_is_the_confidence() {
        let values = [0.5f32, 2.0, -1.0, 2.0];
        let p = probabilities(values.iter().map(|v| f64::from(*v)), 1.5);
        assert!((p.iter().sum::<f64>() - 1.0).abs() < 1e-12, "{p:?}");
        let confidence = Exit { gain: 1.5, ..exit(Rule::Confidence, 0.0) }.quantity(&values, 1.0);
        assert_eq!((p[1], p[3]), (confidence, confidence));
        assert!((p[0] / p[1] - (-1.5f64 * 1.5).exp()).abs() < 1e-12);
    }

    #[test]
    fn the_calibration_error_is_the_weighted_gap_of_the_bins() {
        assert_eq!(calibration_error([]), 0.0);
        // Two bins: of four answers at 0.75 three are right; of four at 0.95 one is.
        let three = [true, true, true, false].map(|right| (0.75, right));
        let one = [true, false, false, false].map(|right| (0.95, right));
        assert!((calibration_error(three)).abs() < 1e-12);
        assert!((calibration_error(three.into_iter().chain(one)) - 0.5 * 0.70).abs() < 1e-12);
        assert!((calibration_error([(1.0, false)]) - 1.0).abs() < 1e-12, "certainty is in the last bin");
        let curve = calibration_bins(three.into_iter().chain(one));
        let shown: Vec<(f64, usize)> = curve.iter().map(|b| (b.accuracy, b.samples)).collect();
        assert_eq!(shown, [(75.0, 4), (25.0, 4)]);
        assert!((curve[1].confidence - 95.0).abs() < 1e-9);
    }

    #[test]
    fn a_run_stops_strictly_beyond_its_threshold() {
        for (rule, even) in [(Rule::Confidence, 0.5), (Rule::Margin, 0.0), (Rule::Entropy, 1.0)] {
            assert!(!exit(rule, even).stops(&[3.0, 3.0], 1.0), "{rule:?}");
            assert!(exit(rule, even).stops(&[3.0, 2.0], 1.0), "{rule:?}");
        }
        // Nothing is more certain than 1, or has less entropy than 0.
        assert!(!exit(Rule::Confidence, 1.0).stops(&[1e30, 0.0], 1.0));
        assert!(!exit(Rule::Entropy, 0.0).stops(&[1e30, 0.0], 1.0));
        assert!(exit(Rule::Confidence, 0.0).stops(&[0.0, 0.0], 1.0));
        // Whatever a policy has learned, a threshold of 0 stops at once and one of 1 never.
        for weight in [-1e9, 0.0, 1e9] {
            let rule = Rule::Learned(ExitPolicy::new([weight; crate::exit_policy::FEATURES], 1.0));
            assert!(exit(rule, 0.0).stops(&[0.0, 0.0], 0.0), "{weight}");
            assert!(!exit(rule, 1.0).stops(&[1e30, 0.0], 1.0), "{weight}");
        }
    }

    #[test]
    fn a_learned_rule_needs_its_policy() {
        assert_eq!(ExitRule::Learned.with(None), None);
        let policy = ExitPolicy::new([0.25; crate::exit_policy::FEATURES], 3.0);
        assert_eq!(ExitRule::Learned.with(Some(policy)), Some(Rule::Learned(policy)));
        assert_eq!(ExitRule::Margin.with(None), Some(Rule::Margin));
    }
}
