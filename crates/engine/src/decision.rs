//! The decision so far: class, confidence, events and µs.
//!
//! ```text
//! confidence = max softmax(g·Σ/T_max)
//! ```
//!
//! Σ the accumulated logits (or output counts), T_max from training, g a temperature fitted on the
//! validation part (1 if none). Source: the confidence threshold of early exit, SEENN (Li et al.,
//! 2023), with Σ/T_max in place of the mean over steps. Of equal values the lowest index wins.

/// What turns accumulated logits into a confidence.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Confidence {
    /// Temperature g; 1 if none was fitted.
    pub gain: f32,
    /// T_max of the training run.
    pub t_max: usize,
}

impl Default for Confidence {
    fn default() -> Self {
        Self { gain: 1.0, t_max: 1 }
    }
}

/// What a session would answer now.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Decision {
    /// Index of the largest readout value.
    pub class: usize,
    /// Its softmax probability.
    pub confidence: f32,
    /// Events taken so far.
    pub events: u64,
    /// µs from the first event to now.
    pub us: u64,
}

impl Confidence {
    /// Class and confidence of readout values given in index order; class 0 for none.
    pub fn of(&self, values: impl Iterator<Item = f64> + Clone) -> (usize, f32) {
        let (class, best) = argmax(values.clone());
        let gain = f64::from(self.gain) / self.t_max.max(1) as f64;
        let total: f64 = values.map(|v| ((v - best) * gain).exp()).sum();
        (class, if total > 0.0 { (1.0 / total) as f32 } else { 1.0 })
    }
}

/// Index and value of the largest; the lowest index among equals, (0, 0) for none.
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
}
