//! The course of one recording: the answer at every moment.
//!
//! An event-driven network has an answer at any time, so its accuracy is a curve over the µs since
//! the first event, over the number of events, or over the confidence at which it stops (early
//! exit). The decision at τ µs uses all events up to and including first + τ. After the end of a
//! recording its last decision stays.

use crate::decision::Decision;
use crate::error::Result;
use crate::session::Session;
use tickless_events::Recording;
use tickless_net::Confidence;

/// The moments at which to note the answer; each list is in ascending order.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Moments {
    /// Times in µs since the first event.
    pub us: Vec<u64>,
    /// Numbers of processed events.
    pub events: Vec<u64>,
    /// Confidences at which the network could stop.
    pub confidences: Vec<f64>,
}

/// The answers during one recording.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Course {
    /// The class at each time in [`Moments::us`].
    pub at_us: Vec<usize>,
    /// The class after each number of events in [`Moments::events`].
    pub at_events: Vec<usize>,
    /// The decision when each of [`Moments::confidences`] was first reached; otherwise the last
    /// decision.
    pub exits: Vec<Decision>,
    /// Whether each of [`Moments::confidences`] was reached.
    pub reached: Vec<bool>,
}

/// Runs one recording from rest and returns the answers.
///
/// # Errors
/// If an event lies outside the input.
pub fn course(
    session: &mut Session,
    recording: &Recording,
    moments: &Moments,
    confidence: &Confidence,
) -> Result<Course> {
    session.reset();
    let mut course = Course::default();
    let first = recording.t_first_us().unwrap_or(0);
    let mut decision = session.decision(confidence);
    for event in recording.iter() {
        while let Some(us) = moments.us.get(course.at_us.len()).filter(|us| event.t_us - first > **us) {
            // Neurons may fire by themselves between events.
            session.advance_to(first + us)?;
            decision = session.decision(confidence);
            course.at_us.push(decision.class);
        }
        session.push(event)?;
        decision = session.decision(confidence);
        while moments.events.get(course.at_events.len()).is_some_and(|n| decision.events >= *n) {
            course.at_events.push(decision.class);
        }
        while moments.confidences.get(course.exits.len()).is_some_and(|c| decision.confidence >= *c) {
            course.exits.push(decision);
        }
    }
    course.reached = (0..moments.confidences.len()).map(|k| k < course.exits.len()).collect();
    course.at_us.resize(moments.us.len(), decision.class);
    course.at_events.resize(moments.events.len(), decision.class);
    course.exits.resize(moments.confidences.len(), decision);
    Ok(course)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::two_classes::session;
    use tickless_events::{Event, Sensor};

    fn recording(events: &[(u64, u16)]) -> Recording {
        let events: Vec<Event> = events.iter().map(|&(t_us, x)| Event { t_us, x, y: 0, on: true }).collect();
        Recording::from_events(Sensor { width: 2, height: 1 }, &events).unwrap().0
    }

    #[test]
    fn an_answer_is_that_of_the_events_up_to_its_moment() {
        let r = recording(&[(100, 0), (110, 1), (120, 1), (150, 1)]);
        let moments = Moments { us: vec![0, 9, 20, 1000], events: vec![1, 3, 9], confidences: vec![0.6, 0.85, 0.99] };
        let course = course(&mut session(), &r, &moments, &Confidence::default()).unwrap();
        assert_eq!(course.at_us, [0, 0, 1, 1]);
        assert_eq!(course.at_events, [0, 1, 1]);
        assert_eq!(course.reached, [true, true, false]);
        let at: Vec<(usize, u64, u64)> = course.exits.iter().map(|d| (d.class, d.events, d.us)).collect();
        assert_eq!(at, [(0, 1, 0), (1, 4, 50), (1, 4, 50)]);
    }

    #[test]
    fn an_empty_recording_has_an_answer_too() {
        let moments = Moments { us: vec![5], events: vec![1], confidences: vec![0.9] };
        let course = course(&mut session(), &recording(&[]), &moments, &Confidence::default()).unwrap();
        assert_eq!((course.at_us, course.at_events, course.reached), (vec![0], vec![0], vec![false]));
    }
}
