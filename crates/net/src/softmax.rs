//! The softmax of a readout, and how certain it is.
//!
//! ```text
//! p = softmax(g·x)                      g: the gain, x: the values of the readout
//! ```

/// softmax(gain·values): the probability of each class.
pub fn probabilities(values: impl Iterator<Item = f64> + Clone, gain: f64) -> Vec<f64> {
    shares(values, gain).collect()
}

/// As [`probabilities`], without memory of its own, because an engine asks after every event.
fn shares(values: impl Iterator<Item = f64> + Clone, gain: f64) -> impl Iterator<Item = f64> + Clone {
    let (_, best) = argmax(values.clone());
    let of = move |v: f64| ((v - best) * gain).exp();
    let total: f64 = values.clone().map(of).sum();
    values.map(move |v| of(v) / total)
}

/// max p; 1 if there are no values.
pub fn confidence(values: impl Iterator<Item = f64> + Clone, gain: f64) -> f64 {
    let (_, best) = argmax(values.clone());
    let total: f64 = values.map(|v| ((v - best) * gain).exp()).sum();
    if total > 0.0 { 1.0 / total } else { 1.0 }
}

/// The difference of the two largest p.
pub fn margin(values: impl Iterator<Item = f64> + Clone, gain: f64) -> f64 {
    let larger = |(first, second): (f64, f64), p: f64| match p > first {
        true => (p, first),
        false => (first, second.max(p)),
    };
    let (first, second) = shares(values, gain).fold((0.0, 0.0), larger);
    first - second
}

/// −Σ p ln p / ln C, the entropy relative to that of C equal probabilities; 0 if C is below 2.
pub fn relative_entropy(values: impl Iterator<Item = f64> + Clone, gain: f64) -> f64 {
    match values.clone().count() {
        0 | 1 => 0.0,
        classes => {
            let terms = shares(values, gain).filter(|p| *p > 0.0).map(|p| p * p.ln());
            -terms.sum::<f64>() / (classes as f64).ln()
        }
    }
}

/// Index and value of the largest value; the lowest index if several are equal, (0, 0) if there are
/// none.
pub fn argmax(values: impl Iterator<Item = f64>) -> (usize, f64) {
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
    fn no_values_are_certain() {
        assert_eq!((confidence([].into_iter(), 1.0), margin([].into_iter(), 1.0)), (1.0, 0.0));
        assert_eq!((relative_entropy([].into_iter(), 1.0), relative_entropy([3.0].into_iter(), 1.0)), (0.0, 0.0));
    }
}
