//! Early exit in event time: a run stops at the event after which its answer is certain enough.
//!
//! [`tickless_net::Exit`] has the rules; its values are the readout Σ, so its gain is g/T_max
//! ([`Confidence::exit`]). [`Session::feed_until`] really stops: it does not run the events after the
//! exit.
//! [`early_exits`] runs a recording once and returns where each of many exits would have stopped.

use crate::decision::Decision;
use crate::error::Result;
use crate::session::{Session, values};
use tickless_events::Recording;
use tickless_net::exit_policy::Example;
use tickless_net::{Confidence, Exit, Rule};

/// The state of a run at its exit.
#[derive(Debug, Clone, Copy, PartialEq)]
#[non_exhaustive]
pub struct Stop {
    /// The answer.
    pub decision: Decision,
    /// Synaptic operations so far.
    pub synaptic_ops: u64,
    /// Whether the rule held; otherwise the recording ran to its end.
    pub reached: bool,
}

impl Session {
    /// Whether a run with the present readout stops.
    pub fn stops(&self, exit: &Exit) -> bool {
        exit.stops_at(exit.quantity_of(values(self.program(), self.memory()), self.elapsed_us() as f64))
    }

    /// Processes a recording, as a continuation of the stream, until the exit's rule holds after an
    /// event. Returns whether it held.
    ///
    /// # Errors
    /// As [`Session::push`].
    pub fn feed_until(&mut self, recording: &Recording, exit: &Exit) -> Result<bool> {
        for event in recording.iter() {
            self.push(event)?;
            if self.stops(exit) {
                return Ok(true);
            }
        }
        Ok(false)
    }
}

/// Runs one recording from rest to its end, and returns for each exit the moment at which a run with
/// that exit stops. The confidences of the decisions are those of `confidence`.
///
/// # Errors
/// If an event lies outside the input.
pub fn early_exits(
    session: &mut Session,
    recording: &Recording,
    exits: &[Exit],
    confidence: &Confidence,
) -> Result<Vec<Stop>> {
    session.reset();
    let mut stops: Vec<Option<Stop>> = vec![None; exits.len()];
    let mut left = exits.len();
    for event in recording.iter() {
        session.push(event)?;
        if left == 0 {
            continue;
        }
        // Exits of one rule and gain share their quantity.
        let mut known: Vec<(Rule, f64, f64)> = Vec::with_capacity(4);
        for (exit, stop) in exits.iter().zip(&mut stops).filter(|(_, stop)| stop.is_none()) {
            let found = known.iter().find(|k| k.0 == exit.rule && k.1 == exit.gain).map(|k| k.2);
            let quantity = found.unwrap_or_else(|| {
                let elapsed_us = session.elapsed_us() as f64;
                let quantity = exit.quantity_of(values(session.program(), session.memory()), elapsed_us);
                known.push((exit.rule, exit.gain, quantity));
                quantity
            });
            if exit.stops_at(quantity) {
                *stop = Some(Stop::of(session, confidence, true));
                left -= 1;
            }
        }
    }
    let end = Stop::of(session, confidence, false);
    Ok(stops.into_iter().map(|stop| stop.unwrap_or(end)).collect())
}

/// Number of moments of a recording that are examples, besides those of its first events.
const MOMENTS: usize = 32;

/// Runs one recording from rest to its end, and returns its examples for a learned policy
/// ([`tickless_net::exit_policy`]): the moments after 1, 2, 4, 8, … events, because a run may stop
/// there, and 32 at equal distances in events. `span_us` is the time at which the policy's e is 1.
///
/// # Errors
/// If an event lies outside the input.
pub fn exit_examples(
    session: &mut Session,
    recording: &Recording,
    label: usize,
    confidence: &Confidence,
    span_us: f64,
) -> Result<Vec<Example>> {
    session.reset();
    let events = recording.len();
    let mut moments: Vec<usize> = (0..).map(|k| 1usize << k).take_while(|n| *n < events).collect();
    moments.extend((1..MOMENTS).map(|k| events * k / MOMENTS).filter(|n| *n > 0));
    moments.sort_unstable();
    moments.dedup();
    let gain = confidence.exit(Rule::Confidence, 0.0).gain;
    let mut seen: Vec<(Vec<f64>, f64, bool)> = Vec::with_capacity(moments.len());
    let mut moments = moments.into_iter().peekable();
    for (k, event) in recording.iter().enumerate() {
        session.push(event)?;
        if moments.next_if_eq(&(k + 1)).is_some() {
            let right = session.decision(confidence).class == label;
            let readout = values(session.program(), session.memory()).collect();
            seen.push((readout, session.elapsed_us() as f64, right));
        }
    }
    let right_at_end = session.decision(confidence).class == label;
    let example = |(readout, us, right): (Vec<f64>, f64, bool)| {
        Example::new(readout.into_iter(), gain, (us, span_us), right || !right_at_end)
    };
    Ok(seen.into_iter().map(example).collect())
}

impl Stop {
    /// The state of a session.
    pub fn of(session: &Session, confidence: &Confidence, reached: bool) -> Self {
        Self { decision: session.decision(confidence), synaptic_ops: session.synaptic_ops(), reached }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::two_classes::session;
    use tickless_events::{Event, Sensor};
    use tickless_net::ExitPolicy;

    fn recording() -> Recording {
        let events = [(100, 0), (110, 1), (120, 1), (150, 1)].map(|(t_us, x)| Event { t_us, x, y: 0, on: true });
        Recording::from_events(Sensor { width: 2, height: 1 }, &events).unwrap().0
    }

    #[test]
    fn every_exit_is_where_a_run_of_its_own_stops() {
        let confidence = Confidence { gain: 2.0, t_max: 2 };
        let mut exits = Vec::new();
        let policy = ExitPolicy::new([0.1, 1.0, 0.5, 0.0, -1.0, 0.3, 0.0, 0.2], 50.0);
        for rule in [Rule::Confidence, Rule::Margin, Rule::Entropy, Rule::Learned(policy)] {
            exits.extend([0.0, 0.3, 0.6, 0.72, 0.8, 1.0].map(|alpha| confidence.exit(rule, alpha)));
        }
        let all = early_exits(&mut session(), &recording(), &exits, &confidence).unwrap();
        for (exit, stop) in exits.iter().zip(&all) {
            let mut alone = session();
            let reached = alone.feed_until(&recording(), exit).unwrap();
            assert_eq!(*stop, Stop::of(&alone, &confidence, reached), "{exit:?}");
        }
        // softmax of (1, 0), (1, 1), (1, 2), (1, 3).
        let at = |k: usize| (all[k].decision.class, all[k].decision.events, all[k].synaptic_ops, all[k].reached);
        // Each event meets the weights to both classes.
        assert_eq!(at(0), (0, 1, 2, true), "every confidence is above 0");
        assert_eq!(at(3), (0, 1, 2, true), "1/(1 + e⁻¹) is above 0.72");
        assert_eq!(at(4), (1, 4, 8, true), "1/(1 + e⁻²) is the first above 0.8");
        assert_eq!(at(5), (1, 4, 8, false), "none is above 1");
    }
    #[test]
    fn examples_are_good_unless_the_end_alone_is_right() {
        let confidence = Confidence { gain: 2.0, t_max: 2 };
        // The classes after each event are 0, 0, 1, 1: the readout is (1, 0), (1, 1), (1, 2), (1, 3).
        let example = |values: [f64; 2], us: f64, good| Example::new(values.into_iter(), 1.0, (us, 50.0), good);
        for (label, first) in [(0, true), (1, false)] {
            let found = exit_examples(&mut session(), &recording(), label, &confidence, 50.0).unwrap();
            let third = example([1.0, 2.0], 20.0, true);
            assert_eq!(found, [example([1.0, 0.0], 0.0, first), example([1.0, 1.0], 10.0, first), third], "{label}");
        }
    }
}
