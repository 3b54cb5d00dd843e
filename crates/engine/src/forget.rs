//! A readout that forgets, for streams without end.
//!
//! The readout of a session adds up everything since its start. On an endless stream it would
//! answer for the whole past, and its sums would lose precision. [`Readout`] takes the sums out of
//! the session after each event and keeps only the recent ones:
//!
//! ```text
//! window   Σ over the last W µs       in parts of W/20, the oldest of which leaves as a whole
//! leak     Σ·exp(−Δt/τ) + new         Δt since the event before
//! ```

use crate::session::Session;
use std::collections::VecDeque;
use tickless_words::words;

/// Number of parts of a window.
const PARTS: usize = 20;

/// How a readout forgets.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Forgetting {
    /// It keeps everything since the start.
    Never,
    /// It keeps the last µs.
    #[default]
    Window,
    /// Its sums decay exponentially.
    Leak,
}

words!(Forgetting, "way to forget", { Never = "never", Window = "window", Leak = "leak" });

/// The sums of a readout that forgets.
#[derive(Debug, Clone)]
pub struct Readout {
    how: Forgetting,
    /// W or τ in µs, at least 1.
    us: u64,
    /// The sums of the complete parts of the window, the oldest first.
    parts: VecDeque<Vec<f64>>,
    /// The sum of the complete parts.
    complete: Vec<f64>,
    /// The sums since the start of the present part; with a leak, or if nothing is forgotten, all.
    present: Vec<f64>,
    /// Start of the present part, or time of the last event.
    since_us: Option<u64>,
}

impl Readout {
    /// An empty readout; `us` is the length of the window or the time constant of the leak.
    pub fn new(how: Forgetting, us: u64) -> Self {
        let (parts, complete, present) = (VecDeque::new(), Vec::new(), Vec::new());
        Self { how, us: us.max(1), parts, complete, present, since_us: None }
    }

    /// Takes the sums out of a session's readout, or copies them if nothing is forgotten. Call it
    /// after each event.
    pub fn take(&mut self, session: &mut Session) {
        let now_us = session.now_us();
        match self.how {
            Forgetting::Never => {
                session.copy_readout(&mut self.present);
                self.complete.resize(self.present.len(), 0.0);
                return;
            }
            Forgetting::Window => self.advance(now_us),
            Forgetting::Leak => {
                let before = self.since_us.replace(now_us).unwrap_or(now_us);
                let kept = (-((now_us - before) as f64) / self.us as f64).exp();
                self.present.iter_mut().for_each(|v| *v *= kept);
            }
        }
        session.drain_readout(&mut self.present);
        self.complete.resize(self.present.len(), 0.0);
    }

    /// Starts new parts of the window until the present one contains `now_us`.
    fn advance(&mut self, now_us: u64) {
        let part = (self.us / PARTS as u64).max(1);
        let since = *self.since_us.get_or_insert(now_us);
        let passed = (now_us - since) / part;
        if passed == 0 {
            return;
        }
        self.since_us = Some(since + passed * part);
        for _ in 0..passed.min(PARTS as u64) {
            let empty = vec![0.0; self.present.len()];
            self.parts.push_back(std::mem::replace(&mut self.present, empty));
            if self.parts.len() >= PARTS {
                self.parts.pop_front();
            }
        }
        self.complete = vec![0.0; self.present.len()];
        for sums in &self.parts {
            self.complete.iter_mut().zip(sums).for_each(|(total, v)| *total += v);
        }
    }

    /// Forgets everything.
    pub fn reset(&mut self) {
        *self = Self::new(self.how, self.us);
    }

    /// The sums in (channel, y, x) order; empty before the first event.
    pub fn values(&self) -> impl Iterator<Item = f64> + Clone + '_ {
        self.present.iter().zip(&self.complete).map(|(a, b)| a + b)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::two_classes::session;
    use tickless_events::Event;

    /// The sums after each event of pixel 0.
    fn sums(how: Forgetting, us: u64, times: &[u64]) -> Vec<f64> {
        let (mut session, mut readout) = (session(), Readout::new(how, us));
        let one = |&t_us: &u64| {
            session.push(Event { t_us, x: 0, y: 0, on: true }).unwrap();
            readout.take(&mut session);
            assert!(how == Forgetting::Never || session.logits() == [0.0, 0.0], "the session keeps nothing");
            readout.values().next().unwrap()
        };
        times.iter().map(one).collect()
    }

    #[test]
    fn a_window_keeps_what_came_within_it() {
        // Parts of 10 µs: at t the window reaches back to the part that began 190 µs before.
        let times = [0, 5, 100, 189, 190, 199, 200, 400, 10_000_000];
        assert_eq!(sums(Forgetting::Window, 200, &times), [1.0, 2.0, 3.0, 4.0, 5.0, 6.0, 5.0, 1.0, 1.0]);
    }

    #[test]
    fn a_leak_decays_and_never_keeps_all() {
        let leak = sums(Forgetting::Leak, 100, &[0, 100, 100, 1_000_000]);
        let e = (-1.0f64).exp();
        let close = |(a, b): (&f64, f64)| (a - b).abs() < 1e-12;
        assert!(leak.iter().zip([1.0, e + 1.0, e + 2.0, 1.0]).all(close), "{leak:?}");
        assert_eq!(sums(Forgetting::Never, 1, &[0, 100, 1_000_000]), [1.0, 2.0, 3.0]);
    }

    #[test]
    fn a_reset_forgets_everything_and_the_clock() {
        let (mut session, mut readout) = (session(), Readout::new(Forgetting::Window, 200));
        for t_us in [500, 600] {
            session.push(Event { t_us, x: 1, y: 0, on: true }).unwrap();
            readout.take(&mut session);
        }
        assert_eq!(readout.values().collect::<Vec<_>>(), [0.0, 2.0]);
        session.reset();
        readout.reset();
        assert_eq!(readout.values().count(), 0);
        session.push(Event { t_us: 3, x: 0, y: 0, on: true }).unwrap();
        readout.take(&mut session);
        assert_eq!(readout.values().collect::<Vec<_>>(), [1.0, 0.0]);
    }
}
