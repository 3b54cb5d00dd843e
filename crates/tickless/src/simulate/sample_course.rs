//! What an event-driven network thinks during one recording: the probability of each class and the
//! membrane potential of one neuron of each layer, at moments of equal distance.

use super::{compile, load};
use crate::Result;
use tickless_engine::{NeuronCounts, Session};
use tickless_net::Layer;
use tickless_net::answers::probabilities;
use tickless_train::data::SampleId;
use tickless_train::run::Loaded;

/// The course of one recording.
#[derive(Debug, Clone, PartialEq, Default)]
#[non_exhaustive]
pub struct SampleCourse {
    /// The moments in µs since the first event: 0, …, the length of the recording.
    pub moments: Vec<u64>,
    /// softmax(g·Σ/T_max) at each moment: `[moment][class]`.
    pub probabilities: Vec<Vec<f32>>,
    /// The neuron of each spiking layer that fires most in the recording.
    pub membranes: Vec<MembraneCourse>,
}

/// The membrane potential of one neuron.
#[derive(Debug, Clone, PartialEq, Default)]
#[non_exhaustive]
pub struct MembraneCourse {
    /// Name of the layer.
    pub layer: String,
    /// Index of the neuron in (channel, y, x) order.
    pub neuron: usize,
    /// Its threshold.
    pub threshold: f32,
    /// Its potential at each moment.
    pub potentials: Vec<f32>,
}

/// Runs a recording and notes its course at `steps` + 1 moments; `gain` is the temperature g.
///
/// # Errors
/// If the network needs a clock or the recording cannot be decoded.
pub fn sample_course(run: &Loaded, id: SampleId, gain: f64, steps: usize) -> Result<SampleCourse> {
    let program = compile(run)?;
    let recording = load(run, id)?;
    let mut session = Session::new(&program);
    let mut counts = NeuronCounts::new(&program);
    session.feed_into(recording.as_ref(), &mut counts)?;
    session.reset();
    // Of neurons that fire equally often, the first.
    let busiest = |l: usize| {
        let counts = counts.layer(l);
        (0..counts.len()).max_by_key(|k| (counts[*k], std::cmp::Reverse(*k))).unwrap_or(0)
    };
    let membranes = program.layers().iter().enumerate().map(|(l, info)| MembraneCourse {
        layer: info.name.clone(),
        neuron: busiest(l),
        threshold: run.network.find(&info.name).map_or(1.0, |i| match run.network.nodes()[i].layer {
            Layer::Neuron(n) => n.threshold,
            _ => 1.0,
        }),
        potentials: Vec::with_capacity(steps + 1),
    });
    let mut course = SampleCourse { membranes: membranes.collect(), ..SampleCourse::default() };
    let (first, span, steps) = (recording.t_first_us().unwrap_or(0), recording.span_us(), steps.max(1) as u64);
    course.moments = (0..=steps).map(|k| span * k / steps).collect();
    let factor = gain / run.facts.t_max.max(1) as f64;
    let note = |session: &Session, course: &mut SampleCourse| {
        course.probabilities.push(probabilities(&session.logits(), factor));
        for (l, m) in course.membranes.iter_mut().enumerate() {
            let potential = session.membranes(l).and_then(|all| all.get(m.neuron).copied());
            m.potentials.push(potential.unwrap_or(0.0));
        }
    };
    for event in recording.iter() {
        // A moment is after all events up to its time.
        let next = |course: &SampleCourse| course.moments.get(course.probabilities.len()).copied();
        while let Some(at) = next(&course).filter(|at| event.t_us > first + at) {
            session.advance_to(first + at)?;
            note(&session, &mut course);
        }
        session.push(event)?;
    }
    while let Some(at) = course.moments.get(course.probabilities.len()).copied() {
        session.advance_to((first + at).max(session.now_us()))?;
        note(&session, &mut course);
    }
    Ok(course)
}
