//! The decision at a moment: class, confidence, events and µs.
//!
//! ```text
//! confidence = max softmax(g·Σ/T_max)
//! ```
//!
//! Σ are the accumulated logits (or output counts), T_max is that of training, and g is a
//! temperature fitted on the validation part (1 if none was fitted). Source: the confidence
//! threshold of early exit in SEENN (Li et al., 2023), with Σ/T_max instead of the mean over steps.
//! If values are equal, the lowest index is the class.

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

/// The answer of a session at a moment.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Decision {
    /// Index of the largest readout value.
    pub class: usize,
    /// Softmax probability of the class.
    pub confidence: f32,
    /// Number of events processed so far.
    pub events: u64,
    /// Time from the first event to this moment in µs.
    pub us: u64,
}

impl Confidence {
    /// Class and confidence for readout values in index order; class 0 if there are no values.
    pub fn of(&self, values: impl Iterator<Item = f64> + Clone) -> (usize, f32) {
        let (class, best) = argmax(values.clone());
        let gain = f64::from(self.gain) / self.t_max.max(1) as f64;
        let total: f64 = values.map(|v| ((v - best) * gain).exp()).sum();
        (class, if total > 0.0 { (1.0 / total) as f32 } else { 1.0 })
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

/// −ln softmax(gain·values)[label].
fn cross_entropy(values: &[f32], label: usize, gain: f64) -> f64 {
    let best = values.iter().fold(f64::NEG_INFINITY, |m, v| m.max(f64::from(*v)));
    let total: f64 = values.iter().map(|v| ((f64::from(*v) - best) * gain).exp()).sum();
    total.ln() - (values.get(label).map_or(best, |v| f64::from(*v)) - best) * gain
}

/// Index and value of the largest value; the lowest index if several are equal, (0, 0) if there are
/// none.
pub(crate) fn argmax(values: impl Iterator<Item = f64>) -> (usize, f64) {
    let best = values.enumerate().fold(None, |best: Option<(usize, f64)>, (i, v)| match best {
        Some((_, b)) if v <= b => best,
        _ => Some((i, v)),
    });
    best.unwrap_or((0, 0.0))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn of_equal_values_the_lowest_index_wins() {
        assert_eq!(argmax([1.0, 3.0, 3.0, 2.0].into_iter()), (1, 3.0));
        assert_eq!(argmax([0.0, 0.0].into_iter()), (0, 0.0));
        assert_eq!(argmax([].into_iter()), (0, 0.0));
    }

    #[test]
    fn confidence_is_the_softmax_of_gain_times_sum_by_t_max() {
        let (class, p) = Confidence { gain: 2.0, t_max: 10 }.of([5.0, 10.0].into_iter());
        assert_eq!(class, 1);
        assert!((f64::from(p) - 1.0 / (1.0 + (-1.0f64).exp())).abs() < 1e-6, "{p}");
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
}
