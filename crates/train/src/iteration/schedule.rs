//! Learning-rate schedules: a linear warm-up, then a cosine to zero or a constant.
//!
//! lr(k) = lr₀·(k+1)/warm if k < warm; else lr₀ (constant) or lr₀·½(1 + cos(π·(k−warm)/(K−warm)))
//! (cosine), with K iterations in all. Per epoch, the cosine uses k and warm rounded down to whole
//! epochs.

use tickless_net::recipe::Decay;

/// A learning-rate schedule.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Schedule {
    /// Largest learning rate lr₀.
    pub peak: f64,
    /// Shape after the warm-up.
    pub decay: Decay,
    /// Iterations of warm-up.
    pub warmup: usize,
    /// Iterations per epoch.
    pub per_epoch: usize,
    /// Number of iterations K.
    pub total: usize,
}

impl Schedule {
    /// Learning rate of iteration `k`, counted from 0.
    pub fn at(&self, k: usize) -> f64 {
        if k < self.warmup {
            return self.peak * (k + 1) as f64 / self.warmup as f64;
        }
        let (k, unit) = match self.decay {
            Decay::Constant => return self.peak,
            Decay::Cosine => (k, 1),
            Decay::CosinePerEpoch => (k / self.per_epoch * self.per_epoch, self.per_epoch),
        };
        let start = self.warmup / unit * unit;
        let span = (self.total - start).max(1) as f64;
        let progress = k.saturating_sub(start) as f64 / span;
        self.peak * 0.5 * (1.0 + (std::f64::consts::PI * progress).cos())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_schedule_rises_to_its_peak_and_falls_towards_zero() {
        let s = Schedule { peak: 0.1, decay: Decay::Cosine, warmup: 10, per_epoch: 20, total: 100 };
        let lr: Vec<f64> = (0..100).map(|k| s.at(k)).collect();
        assert!((lr[9] - 0.1).abs() < 1e-12 && (lr[10] - 0.1).abs() < 1e-12);
        assert!(lr[..10].windows(2).all(|w| w[0] < w[1]));
        assert!(lr[10..].windows(2).all(|w| w[0] > w[1]));
        assert!(lr[99] < 1e-4);
    }

    #[test]
    fn per_epoch_is_constant_within_an_epoch() {
        let s = Schedule { peak: 0.1, decay: Decay::CosinePerEpoch, warmup: 0, per_epoch: 5, total: 50 };
        assert!((0..50).all(|k| s.at(k) == s.at(k / 5 * 5)));
    }
}
