//! The mean of paired differences and its 95 % confidence interval, by Student's t distribution.

use super::mean;
use serde::{Deserialize, Serialize};

/// The mean of differences with its confidence interval.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct Interval {
    /// The mean.
    pub mean: f64,
    /// Half the width of the 95 % interval; missing if there is one pair.
    pub half_width: Option<f64>,
    /// Number of pairs.
    pub pairs: usize,
}

impl Interval {
    /// The interval of these differences. It assumes that the differences are independent; runs
    /// that share recordings (several seeds of one fold) are so only in part.
    pub fn of(differences: &[f64]) -> Self {
        let (mean, error) = mean(differences);
        let half_width = error.map(|e| e * t_975(differences.len() - 1));
        Self { mean, half_width, pairs: differences.len() }
    }
}

/// The 97.5 % quantile of Student's t distribution, for 1 to 30 degrees of freedom; the next
/// smaller number of the table above that, which makes an interval wider, never narrower.
fn t_975(freedom: usize) -> f64 {
    const SMALL: [f64; 30] = [
        12.706, 4.303, 3.182, 2.776, 2.571, 2.447, 2.365, 2.306, 2.262, 2.228, 2.201, 2.179, 2.160, 2.145, 2.131,
        2.120, 2.110, 2.101, 2.093, 2.086, 2.080, 2.074, 2.069, 2.064, 2.060, 2.056, 2.052, 2.048, 2.045, 2.042,
    ];
    match freedom {
        0 => f64::INFINITY,
        1..=30 => SMALL[freedom - 1],
        31..=59 => 2.042,
        60..=119 => 2.000,
        _ => 1.980,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_interval_is_that_of_students_t() {
        // Five differences with mean 2 and standard deviation √2.5: 2.776·√(2.5/5).
        let i = Interval::of(&[0.0, 1.0, 2.0, 3.0, 4.0]);
        assert_eq!((i.mean, i.pairs), (2.0, 5));
        assert!((i.half_width.unwrap() - 2.776 * 0.5f64.sqrt()).abs() < 1e-9);
        assert_eq!(Interval::of(&[1.5]), Interval { mean: 1.5, half_width: None, pairs: 1 });
    }
}
