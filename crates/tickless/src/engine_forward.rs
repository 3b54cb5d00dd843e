//! The engine as the executor of a training's event-driven pass (`train.event_driven`): it runs the
//! recordings of a batch without time steps and counts the spikes of every neuron in every step of
//! the clocked pass.
//!
//! Each batch compiles the network again, because the weights change in every iteration. Recordings
//! run in parallel, each from rest.

use rayon::prelude::*;
use tickless_engine::{CompileOptions, Program, Recording, Session, Sink};
use tickless_net::Shape;
use tickless_train::strategy::{EventDrivenForward, EventDrivenRun, LayerSpikes};

/// Runs the event-driven pass in the engine.
#[derive(Debug, Clone, Copy, Default)]
pub struct EngineForward;

/// Counts the spikes of one recording in T equal parts of its span, the same parts into which
/// [`tickless_events::Framing`] divides it.
struct StepCounts {
    first_us: u64,
    span_us: u64,
    steps: usize,
    shapes: Vec<Shape>,
    /// The counts of each spiking layer, `[T, C, H, W]`.
    layers: Vec<Vec<f32>>,
}

impl StepCounts {
    fn new(recording: &Recording, shapes: Vec<Shape>, steps: usize) -> Self {
        let layers = shapes.iter().map(|s| vec![0.0; steps * s.len()]).collect();
        let (first_us, span_us) = (recording.t_first_us().unwrap_or(0), recording.span_us().max(1));
        Self { first_us, span_us, steps, shapes, layers }
    }
}

impl Sink for StepCounts {
    fn spike(&mut self, layer: usize, t_us: u64, _: u64, channel: usize, y: usize, x: usize) {
        let after = u128::from(t_us.saturating_sub(self.first_us));
        let step = (after * self.steps as u128 / u128::from(self.span_us)) as usize;
        let shape = self.shapes[layer];
        let neuron = (channel * shape.height + y) * shape.width + x;
        self.layers[layer][step.min(self.steps - 1) * shape.len() + neuron] += 1.0;
    }
}

impl EventDrivenForward for EngineForward {
    fn spikes(&self, run: &EventDrivenRun<'_>) -> Result<LayerSpikes, Box<dyn std::error::Error + Send + Sync>> {
        let EventDrivenRun { network, weights, step_us, recordings, steps, .. } = *run;
        let options = CompileOptions { step_us, ..CompileOptions::default() };
        let program = Program::compile(network, weights, &options)?;
        let shapes: Vec<Shape> = program.layers().iter().map(|l| l.shape).collect();
        let spikes_of = |session: &mut Session, recording: &std::sync::Arc<Recording>| {
            session.reset();
            let mut counts = StepCounts::new(recording, shapes.clone(), steps);
            session.feed_into(recording, &mut counts)?;
            Ok(counts.layers)
        };
        let all: Vec<Vec<Vec<f32>>> = recordings
            .par_iter()
            .map_init(|| Session::new(&program), spikes_of)
            .collect::<Result<_, tickless_engine::Error>>()?;
        let batch = recordings.len();
        let layer = |l: usize| {
            let n = shapes[l].len();
            let rows = (0..steps).flat_map(|t| all.iter().map(move |r| &r[l][t * n..(t + 1) * n]));
            rows.flatten().copied().collect()
        };
        Ok(LayerSpikes { steps, batch, layers: (0..shapes.len()).map(layer).collect() })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::sync::Arc;
    use tickless_engine::{Event, NeuronCounts};
    use tickless_events::{Framing, Sensor};
    use tickless_net::{Array, Conv, InputKind, Network, NetworkBuilder, Neuron, Weights};

    const SENSOR: Sensor = Sensor { width: 5, height: 4 };

    /// Neurons that fire at each event of the channel ON, and a layer behind them.
    fn relay() -> (Network, Weights) {
        let mut b = NetworkBuilder::new("relay", Shape::new(2, 4, 5), InputKind::Events);
        let at = b.conv(b.input(), Conv::square(1, 1, 1, 0));
        let at = b.neuron(at, Neuron::lif());
        let at = b.conv(at, Conv::c3(3));
        let at = b.neuron(at, Neuron::lif());
        b.linear(at, 2, false);
        let mut weights = Weights::default();
        weights.insert("conv1.weight", Array::new(vec![1, 2, 1, 1], vec![0.0, 1.5]));
        weights.insert("conv2.weight", Array::full(&[3, 1, 3, 3], 0.4));
        weights.insert("linear1.weight", Array::full(&[2, 60], 0.1));
        (b.build().unwrap(), weights)
    }

    fn recordings() -> Vec<Arc<Recording>> {
        let recording = |k: u64| {
            let event = |i: u64| Event {
                t_us: 1_000 * k + i * i,
                x: (i * k % 5) as u16,
                y: (i % 4) as u16,
                on: !i.is_multiple_of(3),
            };
            let events: Vec<Event> = (0..40 + 9 * k).map(event).collect();
            Arc::new(Recording::from_events(SENSOR, &events).unwrap().0)
        };
        (1..=5).map(recording).collect()
    }

    fn spikes(steps: usize) -> LayerSpikes {
        let (network, weights) = relay();
        let recordings = recordings();
        EngineForward.spikes(&EventDrivenRun::new((&network, &weights), Some(200.0), &recordings, steps)).unwrap()
    }

    #[test]
    fn neurons_that_relay_their_input_have_the_frames_of_the_input_as_counts() {
        for steps in [1, 4, 7] {
            let (all, recordings) = (spikes(steps), recordings());
            assert_eq!((all.steps, all.batch, all.layers.len()), (steps, 5, 2));
            for (b, recording) in recordings.iter().enumerate() {
                let frames = Framing::slices(steps).frames::<f32>(recording).unwrap();
                for t in 0..steps {
                    let on = &frames.data[(2 * t + 1) * 20..(2 * t + 2) * 20];
                    assert_eq!(&all.layers[0][(t * 5 + b) * 20..][..20], on, "T = {steps}, step {t}, recording {b}");
                }
            }
        }
    }

    #[test]
    fn the_steps_sum_to_the_spikes_of_a_plain_run_and_each_recording_starts_at_rest() {
        let (network, weights) = relay();
        let options = CompileOptions { step_us: Some(200.0), ..CompileOptions::default() };
        let program = Program::compile(&network, &weights, &options).unwrap();
        let all = spikes(4);
        for (b, recording) in recordings().iter().enumerate() {
            let mut counts = NeuronCounts::new(&program);
            Session::new(&program).feed_into(recording, &mut counts).unwrap();
            for (l, n) in [(0, 20), (1, 60)] {
                let sum = |i: usize| (0..4).map(|t| all.layers[l][(t * 5 + b) * n + i]).sum::<f32>();
                let sums: Vec<f32> = (0..n).map(sum).collect();
                let expected: Vec<f32> = counts.layer(l).iter().map(|&c| c as f32).collect();
                assert_eq!(sums, expected, "recording {b}, layer {l}");
                assert!(sums.iter().any(|s| *s > 0.0));
            }
        }
    }

    #[test]
    fn any_number_of_threads_counts_the_same() {
        let on = |n| rayon::ThreadPoolBuilder::new().num_threads(n).build().unwrap().install(|| spikes(3));
        assert_eq!(on(1), on(4));
    }
}
