//! Classifies files and streams with a trained run.
//!
//! [`Predictor`] answers for whole files, at time steps or event by event; [`Stream`] answers for a
//! stream of events while it comes. The answers are those of the evaluation: a file of the data
//! set gets the readout that [`evaluate`](tickless_train::evaluate) and
//! [`simulate`](fn@crate::simulate::simulate) compute for the sample.

mod clocked;
mod event_driven;
mod stream;

pub use stream::{Dropped, Heard, Stream, StreamOptions, Why};

use crate::exits::{confidence, exits};
use crate::operating_point::OperatingPoint;
use crate::simulate::possible;
use crate::temperature::Temperature;
use crate::{Error, Result};
use serde::Serialize;
use tickless_engine::{Confidence, Program};
use tickless_events::datasets::own_file::{self, OtherSize};
use tickless_events::formats::{EventReader, EventStream};
use tickless_events::{Columns, Sample, Sensor};
use tickless_net::Exit;
use tickless_net::decision::{argmax, probabilities};
use tickless_train::model::Model;
use tickless_train::progress::Progress;
use tickless_train::run::Loaded;

/// An answer and what it cost.
#[derive(Debug, Clone, PartialEq, Serialize)]
#[non_exhaustive]
pub struct Answer {
    /// Index of the class.
    pub class: usize,
    /// Probability of the class, 0 to 1.
    pub confidence: f64,
    /// The probability of each class.
    pub probabilities: Vec<f64>,
    /// The readout: mean logits, or the accumulated sums Σ without a clock.
    pub scores: Vec<f32>,
    /// Whether an early exit's rule held.
    pub stopped_early: bool,
    /// What was run until the answer.
    #[serde(flatten)]
    pub spent: Spent,
}

/// What was run until an answer.
#[derive(Debug, Clone, PartialEq, Serialize)]
#[serde(untagged)]
pub enum Spent {
    /// Time steps.
    Steps {
        /// Number of steps of each stage; one entry if all are equal.
        steps: Vec<usize>,
    },
    /// Events.
    Events {
        /// Number of input events.
        events: u64,
        /// Time from the first event in µs.
        us: u64,
        /// Synaptic operations.
        synaptic_operations: u64,
    },
}

impl Answer {
    fn of(scores: Vec<f32>, gain: f64, stopped_early: bool, spent: Spent) -> Self {
        let values = scores.iter().map(|v| f64::from(*v));
        let (class, _) = argmax(values.clone());
        let probabilities = probabilities(values, gain);
        let confidence = probabilities.get(class).copied().unwrap_or(1.0);
        Self { class, confidence, probabilities, scores, stopped_early, spent }
    }

    /// The `n` most probable classes with their probabilities; of equals, the lowest index first.
    pub fn top(&self, n: usize) -> Vec<(usize, f64)> {
        let mut all: Vec<(usize, f64)> = self.probabilities.iter().copied().enumerate().collect();
        all.sort_by(|a, b| b.1.total_cmp(&a.1).then(a.0.cmp(&b.0)));
        all.truncate(n);
        all
    }
}

/// Checks that the scores of an answer `at` this setting are finite.
fn finite(answer: &Answer, at: &dyn std::fmt::Display) -> Result<()> {
    match answer.scores.iter().find(|v| !v.is_finite()) {
        Some(&value) => {
            let what = format!("a score at {at}");
            Err(tickless_train::Error::ResultNotFinite { what, value }.into())
        }
        None => Ok(()),
    }
}

/// A run at an operating point, ready to answer.
#[derive(Debug)]
pub struct Predictor<'a> {
    run: &'a Loaded,
    model: Model,
    at: OperatingPoint,
    temperature: Temperature,
    /// The point's exit.
    exit: Option<Exit>,
    /// The program of an event-driven point.
    program: Option<Program>,
}

impl<'a> Predictor<'a> {
    /// Prepares a run. If it keeps no temperature for this point and has a validation part, fits
    /// one; likewise the policy of a learned exit.
    ///
    /// # Errors
    /// If the run cannot answer at this point, or the user stops the fit; [`Error::NoValidation`] for
    /// a learned exit without a validation part.
    pub fn new(run: &'a Loaded, model: Model, at: OperatingPoint, progress: &dyn Progress) -> Result<Self> {
        if let OperatingPoint::EventDriven { .. } = at {
            possible(run)?;
        }
        at.check(&run.network).map_err(|problem| Error::OperatingPoint { problem })?;
        let program = match &at {
            OperatingPoint::Clocked { .. } => None,
            OperatingPoint::EventDriven { .. } => Some(at.program(run)?),
        };
        let asked: Vec<_> = at.exit().into_iter().collect();
        let mut found = exits(run, &model, &at, &asked, progress)?;
        let exit = found.all.pop().map(|exit| exit.1);
        Ok(Self { run, model, at, temperature: found.temperature, exit, program })
    }

    /// The operating point.
    pub fn at(&self) -> &OperatingPoint {
        &self.at
    }

    /// The temperature of the confidences.
    pub fn temperature(&self) -> Temperature {
        self.temperature
    }

    /// The confidence of an event-driven point.
    fn confidence(&self) -> Confidence {
        confidence(self.run, self.temperature)
    }

    /// The answer for a sample of the run's kind and size.
    ///
    /// # Errors
    /// If the sample is not of the data set's kind and size, or a score is not finite.
    pub fn answer(&self, sample: &Sample) -> Result<Answer> {
        let answer = match (&self.program, &self.at) {
            (Some(program), _) => event_driven::answer(self, program, sample)?,
            (None, OperatingPoint::Clocked { configuration, leak, .. }) => {
                clocked::answer(self, (configuration, *leak), sample)?
            }
            (None, OperatingPoint::EventDriven { .. }) => unreachable!("an event-driven point has a program"),
        };
        finite(&answer, &self.at)?;
        Ok(answer)
    }

    /// A stream of events, which is answered while it comes. `from` is the sensor of the events if
    /// they are to be scaled to the data set's.
    ///
    /// # Errors
    /// [`Error::OperatingPoint`] at time steps, because frames can be cut only at the end.
    pub fn stream(&self, from: Option<Sensor>, options: StreamOptions) -> Result<Stream> {
        let Some(program) = &self.program else {
            let problem = "a stream is answered while it comes only without a clock".to_owned();
            return Err(Error::OperatingPoint { problem });
        };
        let sensor = own_file::sensor_of(self.run.source.dataset(), "the stream")?;
        let size = self.run.source.size();
        let sizes = from.map(|from| (from, sensor)).into_iter().chain(size.map(|size| (sensor, size)));
        let sizes = sizes.filter(|(from, to)| from != to).collect();
        Ok(Stream::new(program, self.confidence(), self.exit, options, sizes))
    }

    /// Answers for the events of a reader while they come, and passes the answers to `hear`. Ends
    /// with the stream, or if `progress` asks to stop. Returns the events that were dropped.
    ///
    /// # Errors
    /// As [`stream`](Self::stream); if the stream cannot be decoded, or its sensor is another. A stream
    /// that breaks off gets the answer of its end before the error.
    pub fn listen(
        &self,
        mut reader: EventReader,
        name: &str,
        other: OtherSize,
        options: StreamOptions,
        progress: &dyn Progress,
        hear: &mut impl FnMut(Heard),
    ) -> Result<Dropped> {
        let dataset = self.run.source.dataset();
        let sensor = own_file::sensor_of(dataset, name)?;
        let mut stream: Option<Stream> = None;
        let mut chunk = Columns::new();
        let mut read = Ok(true);
        while !progress.cancelled() && matches!(read, Ok(true)) {
            // If the reader fails, the chunk holds the events before the fault.
            read = reader.next(&mut chunk);
            if chunk.is_empty() {
                break;
            }
            let mut events = EventStream { format: reader.format(), sensor: reader.sensor(), events: chunk };
            dataset.adjust(&mut events);
            chunk = events.events;
            let stream = match &mut stream {
                Some(stream) => stream,
                None => {
                    // Some formats state the sensor only in the first chunk.
                    let from = reader.sensor().unwrap_or(sensor);
                    own_file::check_size(from, sensor, name, other)?;
                    stream.insert(self.stream((other == OtherSize::Scale).then_some(from), options)?)
                }
            };
            for event in chunk.iter() {
                stream.push(event, hear)?;
            }
        }
        let mut dropped = Dropped::default();
        if let Some(mut stream) = stream {
            if let Some(heard) = stream.end()? {
                hear(heard);
            }
            dropped = stream.dropped();
        }
        read?;
        Ok(dropped)
    }
}
