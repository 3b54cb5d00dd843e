//! Finds the sign changes of a sum of exponentials, f(t) = Σ c·e^(−r·t) for t > 0.
//!
//! Dividing the sum by one of its exponentials and differentiating removes a term. Between two
//! roots of the result the quotient is monotonic, so it has at most one root there, which Newton's
//! method finds. By induction the method finds every root, and a sum of n terms has at most n − 1. The
//! root of two terms is a logarithm.

/// Largest number of terms: a constant, membrane, current and threshold.
const TERMS: usize = 4;

/// Accuracy of a root, in units of t.
const WIDTH: f64 = 1e-3;

/// (c, r) of one term.
pub(crate) type Term = (f64, f64);

/// Σ c·e^(−r·t).
pub(crate) fn value(terms: &[Term], t: f64) -> f64 {
    terms.iter().map(|(c, r)| c * (-r * t).exp()).sum()
}

/// Σ c·e^(−r·t) and its derivative.
fn value_and_slope(terms: &[Term], t: f64) -> (f64, f64) {
    terms.iter().fold((0.0, 0.0), |(value, slope), (c, r)| {
        let term = c * (-r * t).exp();
        (value + term, slope - r * term)
    })
}

/// The root between `a` and `b`, or a value at most [`WIDTH`] later. `below` says whether the sum is
/// below 0 at `a`; at `b` it is not so.
///
/// Newton's method inside an interval that has the root. Each step goes a quarter of [`WIDTH`]
/// further than the tangent says, so that it lands behind the root and closes the interval from the
/// other side. Every third step halves the interval, as does a step that would leave it.
fn root_between(terms: &[Term], mut a: f64, mut b: f64, below: bool) -> f64 {
    let mut t = f64::midpoint(a, b);
    for k in 0.. {
        if !(b - a > WIDTH && a < t && t < b) {
            break;
        }
        let (value, slope) = value_and_slope(terms, t);
        let before = (value < 0.0) == below;
        if before {
            a = t
        } else {
            b = t
        }
        let tangent = t - value / slope + if before { WIDTH / 4.0 } else { -WIDTH / 4.0 };
        t = if k % 3 < 2 && a < tangent && tangent < b { tangent } else { f64::midpoint(a, b) };
    }
    b
}

/// Roots in ascending order, and their number.
struct Roots([f64; TERMS], usize);

/// The points between 0 and `end` at which the sum changes its sign.
fn roots(terms: &[Term], end: f64) -> Roots {
    let mut found = Roots([0.0; TERMS], 0);
    let [(_, first), rest @ ..] = terms else { return found };
    if rest.is_empty() || rest.len() >= TERMS {
        return found;
    }
    if let [(a, slow), (b, fast)] = terms {
        let t = (-b / a).ln() / (fast - slow);
        if 0.0 < t && t < end {
            found = Roots([t, 0.0, 0.0, 0.0], 1);
        }
        return found;
    }
    let mut slope = [(0.0, 0.0); TERMS];
    for (s, (c, r)) in slope.iter_mut().zip(rest) {
        *s = (-c * (r - first), *r);
    }
    let turns = roots(&slope[..rest.len()], end);
    let mut low = 0.0;
    let mut at_low = value(terms, low);
    for &high in turns.0[..turns.1].iter().chain([&end]) {
        let at_high = value(terms, high);
        if (at_low < 0.0) != (at_high < 0.0) {
            found.0[found.1] = root_between(terms, low, high, at_low < 0.0);
            found.1 += 1;
        }
        (low, at_low) = (high, at_high);
    }
    found
}

/// The first t in (0, `end`] at which the sum rises from below 0, or a value at most [`WIDTH`]
/// later; `None` if the sum never does.
pub(crate) fn first_rise(terms: &[Term], end: f64) -> Option<f64> {
    let found = roots(terms, end);
    let below = value(terms, 0.0) < 0.0;
    // The sign alternates from root to root.
    let k = usize::from(!below);
    found.0[..found.1].get(k).copied()
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn a_sum_that_rises_and_falls_again_is_found_where_it_rises() {
        // −1 + 10·e^(−t/1000) − 10·e^(−t/200): rises through 0 near 28.6, falls through 0 later.
        let terms = [(-1.0, 0.0), (10.0, 1e-3), (-10.0, 5e-3)];
        let t = first_rise(&terms, 60_000.0).unwrap();
        assert!(value(&terms, t - 0.01) < 0.0 && value(&terms, t) >= 0.0, "{t}");
        assert_eq!(first_rise(&[(-6.0, 0.0), terms[1], terms[2]], 60_000.0), None);
    }

    proptest! {
        #[test]
        fn the_first_rise_is_the_one_that_a_fine_scan_meets_first(
            c in prop::collection::vec(-3.0f64..3.0, 3), r in prop::collection::vec(1e-4f64..2e-2, 3),
        ) {
            let terms = [(-1.0, 0.0), (c[0], r[0]), (c[1], r[1]), (c[2], r[2])];
            let end = 5000.0;
            let scan = (0..50_000).map(|k| f64::from(k) * 0.1).find(|t| {
                value(&terms, *t) < 0.0 && value(&terms, t + 0.1) >= 0.0
            });
            let found = first_rise(&terms, end);
            if let Some(t) = scan {
                let found = found.expect("the scan saw it");
                prop_assert!(found <= t + 0.102, "{found} {t}");
                prop_assert!(value(&terms, found) > -1e-5);
            }
        }
    }
}
