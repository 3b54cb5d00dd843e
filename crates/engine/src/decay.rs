//! Exact exponential decay between events, by two tables.
//!
//! ```text
//! exp(−Δt/τ) = exp(−hi·2^k/τ) · exp(−lo/τ),   Δt = hi·2^k + lo in whole µs
//! ```
//!
//! Times are whole µs, so two tables of a few thousand values hold every factor there is: one
//! multiplication in f64, rounded to f32 once, in place of an exponential at every position that
//! an event reaches. A Δt beyond the tables takes the exponential itself.

/// Values of a table at most.
const LARGEST: usize = 1 << 14;

/// Δt/τ from which f32 has no number but zero: −ln of half its smallest.
const GONE: f64 = 104.0;

/// The leak of one layer.
#[derive(Debug)]
pub(crate) struct Decay {
    tau_us: f64,
    /// Neurons that share one time of the last hit, because every edge reaches them together.
    pub cell: usize,
    bits: u32,
    fine: Vec<f64>,
    coarse: Vec<f64>,
}

impl Decay {
    /// Of this time constant in µs.
    pub fn new(tau_us: f64, cell: usize) -> Self {
        let values = tau_us * GONE;
        // As many fine as coarse values, within reason.
        let bits = (values.max(1.0).sqrt().log2().ceil() as u32).clamp(6, LARGEST.ilog2());
        let step = 1usize << bits;
        let count = ((values / step as f64).ceil() as usize + 1).min(LARGEST);
        let table = |n: usize, unit: f64| (0..n).map(|k| (-(k as f64 * unit) / tau_us).exp()).collect();
        Self { tau_us, cell, bits, fine: table(step, 1.0), coarse: table(count, step as f64) }
    }

    /// The tables, for a loop that keeps their places in registers.
    pub fn tables(&self) -> Tables<'_> {
        Tables { tau_us: self.tau_us, cell: self.cell, bits: self.bits, fine: &self.fine, coarse: &self.coarse }
    }

    /// exp(−Δt/τ), rounded to f32.
    pub fn factor(&self, dt_us: u64) -> f32 {
        self.tables().factor(dt_us)
    }
}

/// The leak of one layer, borrowed.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Tables<'a> {
    tau_us: f64,
    pub cell: usize,
    bits: u32,
    fine: &'a [f64],
    coarse: &'a [f64],
}

impl Tables<'_> {
    /// exp(−Δt/τ), rounded to f32.
    #[inline(always)]
    pub fn factor(&self, dt_us: u64) -> f32 {
        let (hi, lo) = ((dt_us >> self.bits) as usize, (dt_us & ((1 << self.bits) - 1)) as usize);
        match self.coarse.get(hi) {
            Some(coarse) => (coarse * self.fine[lo]) as f32,
            None => beyond(dt_us, self.tau_us),
        }
    }

    /// The factor since the last hit, which is now.
    #[inline(always)]
    pub fn since(&self, hit_us: &mut u64, t_us: u64) -> f32 {
        let dt_us = t_us - *hit_us;
        *hit_us = t_us;
        self.factor(dt_us)
    }
}

#[cold]
fn beyond(dt_us: u64, tau_us: f64) -> f32 {
    (-(dt_us as f64) / tau_us).exp() as f32
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn two_tables_give_the_exponential(tau in 0.5f64..1e9, dt in prop::num::u64::ANY, small in 0u64..1_000_000) {
            let decay = Decay::new(tau, 1);
            for dt in [dt >> (dt % 64), small, 0, 1] {
                let exact = (-(dt as f64) / tau).exp();
                let factor = f64::from(decay.factor(dt));
                // Half a unit of f32, and a little for the product in f64.
                let unit = (f64::from((exact as f32).next_up()) - f64::from(exact as f32)).abs();
                prop_assert!((factor - exact).abs() <= 0.5001 * unit, "τ {tau}, Δt {dt}: {factor} {exact}");
            }
        }
    }

    #[test]
    fn no_time_is_no_decay_and_long_times_leave_nothing() {
        let decay = Decay::new(43_281.0, 4);
        assert_eq!((decay.factor(0), decay.factor(u64::MAX)), (1.0, 0.0));
    }
}
