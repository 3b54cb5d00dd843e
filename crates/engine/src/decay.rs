//! Exact exponential decay between events, computed from two tables.
//!
//! ```text
//! exp(−Δt/τ) = exp(−hi·2⁹/τ) · exp(−lo/τ),   Δt = hi·2⁹ + lo in whole µs
//! ```
//!
//! Times are whole µs, so two tables of a few thousand values hold every factor. One f64
//! multiplication, rounded to f32 once, replaces an exponential at every position that an event
//! reaches. If Δt is beyond the tables, the factor is computed as an exponential.

/// Number of low bits of Δt that index the fine table. The number is small, because events and
/// spikes follow each other within milliseconds: the fine table (4 KB) and the first coarse values
/// then stay in the L1 cache.
const BITS: u32 = 9;
const FINE: usize = 1 << BITS;

/// Largest number of coarse values; they cover 8 s.
const COARSE: usize = 1 << 14;

/// Value of Δt/τ above which the factor rounds to zero in f32: −ln of half the smallest f32.
const GONE: f64 = 104.0;

/// The leak of one layer with its tables.
#[derive(Debug)]
pub(crate) struct Decay {
    tau_us: f64,
    /// Number of neurons that share one time of the last hit, because every edge reaches them
    /// together.
    pub cell: usize,
    fine: Box<[f64; FINE]>,
    coarse: Vec<f64>,
}

impl Decay {
    /// The leak with this time constant in µs.
    pub fn new(tau_us: f64, cell: usize) -> Self {
        let value = |dt_us: usize| (-(dt_us as f64) / tau_us).exp();
        let count = ((tau_us * GONE / FINE as f64).ceil() as usize).min(COARSE - 1) + 1;
        let mut fine = Box::new([0.0; FINE]);
        fine.iter_mut().enumerate().for_each(|(k, v)| *v = value(k));
        Self { tau_us, cell, fine, coarse: (0..count).map(|k| value(k * FINE)).collect() }
    }

    /// The tables by reference, so that a loop can keep the pointers in registers.
    pub fn tables(&self) -> Tables<'_> {
        Tables { tau_us: self.tau_us, cell: self.cell, fine: &self.fine, coarse: &self.coarse }
    }

    /// exp(−Δt/τ), rounded to f32.
    pub fn factor(&self, dt_us: u64) -> f32 {
        self.tables().factor(dt_us)
    }
}

/// A borrowed view of [`Decay`].
#[derive(Debug, Clone, Copy)]
pub(crate) struct Tables<'a> {
    tau_us: f64,
    pub cell: usize,
    fine: &'a [f64; FINE],
    coarse: &'a [f64],
}

impl Tables<'_> {
    /// exp(−Δt/τ), rounded to f32.
    #[inline(always)]
    pub fn factor(&self, dt_us: u64) -> f32 {
        match self.coarse.get((dt_us >> BITS) as usize) {
            Some(coarse) => (coarse * self.fine[dt_us as usize % FINE]) as f32,
            None => beyond(dt_us, self.tau_us),
        }
    }

    /// The factor since the last hit; sets the last hit to `t_us`.
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
                // Half a unit in the last place of f32, plus the error of the product in f64.
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
