//! A least-squares line through points, and the deviation of the points from it.

/// y = fixed + slope·x.
#[derive(Debug, Clone, Copy)]
pub struct Line {
    /// Value at x = 0.
    pub fixed: f64,
    /// Change per unit of x.
    pub slope: f64,
    /// Share of the variance of y that the line explains.
    pub r2: f64,
    /// Largest |y − line| / line over the points.
    pub largest: f64,
}

impl Line {
    /// The line with the smallest sum of squared deviations.
    pub fn through(x: &[f64], y: &[f64]) -> Self {
        let n = x.len() as f64;
        let (mx, my) = (x.iter().sum::<f64>() / n, y.iter().sum::<f64>() / n);
        let product =
            |a: &[f64], ma: f64, b: &[f64], mb: f64| -> f64 { a.iter().zip(b).map(|(a, b)| (a - ma) * (b - mb)).sum() };
        let slope = product(x, mx, y, my) / product(x, mx, x, mx);
        let fixed = my - slope * mx;
        let residual: f64 = x.iter().zip(y).map(|(x, y)| (y - fixed - slope * x).powi(2)).sum();
        let r2 = 1.0 - residual / product(y, my, y, my);
        let off = |(x, y): (&f64, &f64)| {
            let line = fixed + slope * x;
            (y - line).abs() / line
        };
        Self { fixed, slope, r2, largest: x.iter().zip(y).map(off).fold(0.0, f64::max) }
    }
}
