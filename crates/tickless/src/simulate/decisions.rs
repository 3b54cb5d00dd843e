//! Measures how soon an event-driven network knows the answer: accuracy against the time passed,
//! against the events seen, and against the confidence at which it stops.

use super::load;
use crate::Result;
use crate::error::stop;
use crate::number;
use rayon::prelude::*;
use serde::{Deserialize, Serialize};
use tickless_engine::{Confidence, Course, Moments, Program, Session, course};
use tickless_net::answers::standard_error;
use tickless_train::data::SampleId;
use tickless_train::progress::Progress;
use tickless_train::run::Loaded;

/// Most points of the curves over time and over events.
const POINTS: usize = 20;

/// Confidences at which a run may stop.
const CONFIDENCES: [f64; 8] = [0.3, 0.5, 0.7, 0.8, 0.9, 0.95, 0.99, 0.999];

/// The times at which the answer was known.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Decisions {
    /// Temperature g of the confidence softmax(g·Σ/T_max), fitted on the validation part.
    pub gain: f64,
    /// Number of recordings that it was fitted on; 0 if the run has no validation part, and then g
    /// is 1.
    pub gain_samples: usize,
    /// Accuracy over time, over events and at each confidence.
    #[serde(flatten)]
    pub curve: DecisionCurve,
}

/// Accuracy of the event-driven run if it is asked before its end.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct DecisionCurve {
    /// Accuracy against the time since the first event.
    pub time: Vec<AtTime>,
    /// Accuracy against the number of events seen.
    pub events: Vec<AtEvents>,
    /// Results if each recording stops at a confidence.
    pub exits: Vec<Exit>,
}

/// Accuracy at a time after the first event.
#[derive(Debug, Clone, Copy, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct AtTime {
    /// Time since the first event in µs.
    pub us: u64,
    /// Percent correct.
    #[serde(with = "number")]
    pub accuracy: f64,
    /// Standard error in percentage points: over the runs, or, of one run, over its recordings.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub standard_error: Option<f64>,
}

/// Accuracy after a number of events.
#[derive(Debug, Clone, Copy, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct AtEvents {
    /// Number of events seen.
    pub events: u64,
    /// Percent correct.
    #[serde(with = "number")]
    pub accuracy: f64,
    /// Standard error in percentage points: over the runs, or, of one run, over its recordings.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub standard_error: Option<f64>,
}

/// Results if each recording stops at one confidence.
#[derive(Debug, Clone, Copy, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct Exit {
    /// The confidence.
    pub confidence: f64,
    /// Percent correct.
    #[serde(with = "number")]
    pub accuracy: f64,
    /// Standard error in percentage points: over the runs, or, of one run, over its recordings.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub standard_error: Option<f64>,
    /// Mean time from the first event to the decision, in µs.
    #[serde(with = "number")]
    pub us: f64,
    /// Mean number of events until the decision.
    #[serde(with = "number")]
    pub events: f64,
    /// Percent of the recordings that reached the confidence; the others ran to their end.
    pub reached: f64,
}

/// Runs all recordings and evaluates the decision at every moment, with a confidence and the number of
/// samples that its temperature was fitted on. `longest` is the longest time in µs and the largest number of events.
///
/// # Errors
/// If a recording cannot be decoded, or the user stops.
pub fn decisions(
    run: &Loaded,
    program: &Program,
    (ids, (confidence, gain_samples)): (&[SampleId], (Confidence, usize)),
    longest: (u64, u64),
    progress: &dyn Progress,
) -> Result<Decisions> {
    let moments = Moments { us: grid(longest.0), events: grid(longest.1), confidences: CONFIDENCES.to_vec() };
    progress.start("decisions", ids.len() as u64, "recording");
    let course_and_label = |session: &mut Session, &id: &SampleId| -> Result<(Course, usize)> {
        stop(progress)?;
        let course = course(session, load(run, id)?.as_ref(), &moments, &confidence)?;
        progress.advance(1, "");
        Ok((course, run.source.label(id)))
    };
    let all: Vec<_> = ids.par_iter().map_init(|| Session::new(program), course_and_label).collect::<Result<_>>()?;
    progress.finish();
    let mean = |f: &dyn Fn(&(Course, usize)) -> f64| all.iter().map(f).sum::<f64>() / all.len().max(1) as f64;
    let percent = |f: &dyn Fn(&(Course, usize)) -> bool| mean(&|c| if f(c) { 100.0 } else { 0.0 });
    // Percent of the recordings, and its standard error over them.
    let share = |f: &dyn Fn(&(Course, usize)) -> bool| {
        (percent(f), standard_error(all.iter().filter(|c| f(c)).count(), all.len()))
    };
    let at_time = |(k, &us): (usize, &u64)| {
        let (accuracy, standard_error) = share(&|(course, label)| course.at_us[k] == *label);
        AtTime { us, accuracy, standard_error }
    };
    let at_events = |(k, &events): (usize, &u64)| {
        let (accuracy, standard_error) = share(&|(course, label)| course.at_events[k] == *label);
        AtEvents { events, accuracy, standard_error }
    };
    let exit = |(k, &confidence): (usize, &f64)| Exit {
        confidence,
        accuracy: percent(&|(course, label)| course.exits[k].class == *label),
        standard_error: share(&|(course, label)| course.exits[k].class == *label).1,
        us: mean(&|c| c.0.exits[k].us as f64),
        events: mean(&|c| c.0.exits[k].events as f64),
        reached: percent(&|c| c.0.reached[k]),
    };
    Ok(Decisions {
        gain: f64::from(confidence.gain),
        gain_samples,
        curve: DecisionCurve {
            time: moments.us.iter().enumerate().map(at_time).collect(),
            events: moments.events.iter().enumerate().map(at_events).collect(),
            exits: moments.confidences.iter().enumerate().map(exit).collect(),
        },
    })
}

/// Up to `POINTS` increasing moments that end at `longest`, without duplicates.
fn grid(longest: u64) -> Vec<u64> {
    let mut all: Vec<u64> = (1..=POINTS as u64).map(|k| (longest * k).div_ceil(POINTS as u64).max(1)).collect();
    all.dedup();
    all
}

#[cfg(test)]
mod tests {
    use super::grid;

    #[test]
    fn the_grid_ends_at_the_longest_and_rises() {
        assert_eq!(grid(40), (1..=20).map(|k| 2 * k).collect::<Vec<_>>());
        assert_eq!(grid(3), [1, 2, 3]);
        assert_eq!(grid(0), [1]);
    }
}
