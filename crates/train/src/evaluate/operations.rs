//! Counts the synaptic operations of a clocked run, sample by sample.
//!
//! ```text
//! one operation      a non-zero input of a convolution, a linear layer or a recurrent connection,
//!                    and one weight that it meets within the borders of the map
//! accumulate         the input is 1 or −1
//! multiply           any other input: a multiply-accumulate
//! energy estimate    0.9 pJ per accumulate, 4.6 pJ per multiply-accumulate (45 nm)
//! ```
//!
//! A layer that reads the same value at several steps computes once (a static image before the
//! first neuron, the steps before a TTM that repeats them), and so it is counted once. Attention
//! counts all products of a step. Source of the energies: Horowitz, ISSCC 2014; they are an
//! estimate, not a measurement.

use super::{Point, Score, Setting, conditions_in_words, leak_of};
use crate::data::prefetch;
use crate::error::{Error, Result};
use crate::model::readout::time_mean;
use crate::model::{Model, NormMode, Pass, Sequence};
use crate::progress::Progress;
use crate::seed;
use serde::{Deserialize, Serialize};
use std::ops::AddAssign;
use tickless_net::{Axis, Layer, LeakRule, Network, Node, NodeId, RecurrentKind};

/// Energy of an accumulate in pJ.
const ACCUMULATE_PJ: f64 = 0.9;
/// Energy of a multiply-accumulate in pJ.
const MULTIPLY_PJ: f64 = 4.6;

/// Synaptic operations.
#[derive(Debug, Clone, Copy, PartialEq, Default, Serialize, Deserialize)]
pub struct Operations {
    /// Number of accumulates.
    pub accumulates: f64,
    /// Number of multiply-accumulates.
    pub multiplies: f64,
}

impl Operations {
    /// Number of both.
    pub fn total(&self) -> f64 {
        self.accumulates + self.multiplies
    }

    /// Estimated energy in nJ: 0.9 pJ per accumulate, 4.6 pJ per multiply-accumulate (45 nm).
    pub fn energy_nj(&self) -> f64 {
        (ACCUMULATE_PJ * self.accumulates + MULTIPLY_PJ * self.multiplies) / 1e3
    }

    /// Operations divided by a number of samples.
    pub fn per(&self, samples: usize) -> Self {
        let n = samples.max(1) as f64;
        Self { accumulates: self.accumulates / n, multiplies: self.multiplies / n }
    }
}

impl AddAssign for Operations {
    fn add_assign(&mut self, other: Self) {
        self.accumulates += other.accumulates;
        self.multiplies += other.multiplies;
    }
}

/// The weights that the values of one map meet in one layer.
#[derive(Debug)]
struct FanOut {
    /// Weights per value for each row and column; one entry each if the place does not matter.
    rows: Vec<f64>,
    columns: Vec<f64>,
    /// Whether a pending map of time that is no plain repeat comes first.
    after_time_map: bool,
}

/// Counts the operations that the outputs of nodes cause.
#[derive(Debug)]
pub(super) struct Counter {
    input: Vec<FanOut>,
    nodes: Vec<Vec<FanOut>>,
    /// Operations of each node per step, whatever its inputs are.
    constant: Vec<f64>,
}

impl Counter {
    pub(super) fn new(network: &Network) -> Self {
        let nodes = network.nodes();
        let mut all =
            Self { input: Vec::new(), nodes: nodes.iter().map(|_| Vec::new()).collect(), constant: vec![0.0; nodes.len()] };
        for (i, node) in nodes.iter().enumerate() {
            if let Some(fan_out) = fan_out(node) {
                match node.from.first() {
                    Some(NodeId::Node(j)) => all.nodes[*j].push(fan_out),
                    _ => all.input.push(fan_out),
                }
            }
            match (node.layer, &node.from[..]) {
                (Layer::Attention(a), [q, k, v]) => {
                    let [q, k, v] = [*q, *k, *v].map(|id| network.shape_of(id));
                    all.constant[i] = a.operations(q, k, v) as f64;
                }
                (Layer::Neuron(_), _) => {
                    if let Some(recurrent) = node.recurrent {
                        let each = match recurrent.kind {
                            RecurrentKind::Dense => node.output.channels as f64,
                            RecurrentKind::OneToOne => 1.0,
                        };
                        all.nodes[i].push(FanOut { rows: vec![each], columns: vec![1.0], after_time_map: false });
                    }
                }
                _ => {}
            }
        }
        all
    }

    /// Adds the operations that a node's output, or the network's input, causes to those of each
    /// sample: `into[samples[b]]` gets those of row b.
    pub(super) fn count(&self, node: NodeId, s: &Sequence, samples: &[usize], into: &mut [Operations]) {
        let fan_outs = match node {
            NodeId::Input => &self.input,
            NodeId::Node(i) => {
                if self.constant[i] > 0.0 {
                    let each = self.constant[i] * s.steps() as f64;
                    samples.iter().for_each(|&sample| into[sample].multiplies += each);
                }
                &self.nodes[i]
            }
        };
        for fan_out in fan_outs {
            let whole = fan_out.after_time_map && !s.is_repeated();
            let s = if whole { s.clone().materialise() } else { s.clone() };
            let held = s.channels_first().held().clone();
            let [_, channels, height, width] = held.dims();
            let values: Vec<f32> = held.into_data().try_into_vec().expect("every tensor of this crate is f32");
            let weights = |y: usize, x: usize| {
                let of = |all: &[f64], i: usize| if all.len() == 1 { all[0] } else { all[i] };
                of(&fan_out.rows, y) * of(&fan_out.columns, x)
            };
            // Rows of the tensor are step after step, each with all samples.
            for (row, map) in values.chunks_exact(channels * height * width).enumerate() {
                let mut sum = Operations::default();
                for (at, &v) in map.iter().enumerate().filter(|(_, v)| **v != 0.0) {
                    let n = weights(at / width % height, at % width);
                    if v.abs() == 1.0 { sum.accumulates += n } else { sum.multiplies += n }
                }
                into[samples[row % samples.len()]] += sum;
            }
        }
    }
}

/// The accuracy at a configuration (one number of steps per stage), as
/// [`at_configuration`](super::at_configuration) measures it, and the mean synaptic operations of the
/// first `counted` samples. Each sample is loaded once.
///
/// # Errors
/// As [`across_steps`](super::across_steps).
pub fn point_and_operations(
    model: &Model,
    setting: &Setting<'_>,
    configuration: &[usize],
    leak: LeakRule,
    counted: usize,
    progress: &dyn Progress,
) -> Result<(Point, Operations)> {
    let leak = leak_of(model, leak);
    let (t_max, step_us) = (setting.t_max, setting.step_us);
    let pass = Pass { configuration, norm: NormMode::Running, leak, t_max, step_us };
    let frames = configuration.first().copied().unwrap_or(1);
    let size = setting.batch_at(configuration.iter().copied().max().unwrap_or(1));
    let constants = model.constants();
    let counter = Counter::new(model.network());
    let (mut score, mut all) = (Score::default(), vec![Operations::default()]);
    let conditions = conditions_in_words(configuration, leak);
    let (mut left, mut counted_samples) = (counted.min(setting.ids.len()), 0);
    progress.start("evaluate", setting.ids.len() as u64, "sample");
    prefetch(setting.source, setting.ids, size, false, frames, None, |k, batch| {
        let (input, labels) = batch.into_sequence(model.device());
        let rng = || seed::rng(0, "evaluation", k as u64);
        let logits = time_mean(model.forward(&constants, input.clone(), &pass, &mut rng(), None)?.logits);
        if let Some(&value) = logits.iter().find(|v| !v.is_finite()) {
            return Err(Error::ResultNotFinite { what: format!("a logit at {conditions}"), value });
        }
        score.add(&logits, &labels);
        // Whole batches are counted, because a pass runs all samples of one.
        if left > 0 {
            left = left.saturating_sub(labels.len());
            let samples = vec![0; labels.len()];
            counter.count(NodeId::Input, &input, &samples, &mut all);
            let mut see = |i: usize, s: &Sequence| counter.count(NodeId::Node(i), s, &samples, &mut all);
            model.forward(&constants, input, &pass, &mut rng(), Some(&mut see))?;
            counted_samples += labels.len();
        }
        progress.advance(labels.len() as u64, &conditions);
        if progress.cancelled() {
            return Err(Error::Cancelled { task: "the evaluation" });
        }
        Ok(())
    })?;
    progress.finish();
    Ok((Point::of(configuration.to_vec(), leak, score), all[0].per(counted_samples)))
}

/// The weights that an input of a layer meets; `None` for layers without weights.
fn fan_out(node: &Node) -> Option<FanOut> {
    match node.layer {
        Layer::Conv(c) => {
            let rows = reach(c.window.rows, node.input.height);
            let each = (c.out / c.groups) as f64;
            let rows = rows.into_iter().map(|n| n * each).collect();
            Some(FanOut { rows, columns: reach(c.window.columns, node.input.width), after_time_map: c.bias })
        }
        Layer::Linear(l) => Some(FanOut { rows: vec![l.out as f64], columns: vec![1.0], after_time_map: l.bias }),
        _ => None,
    }
}

/// For each of `len` inputs, the number of outputs whose window reads it.
fn reach(axis: Axis, len: usize) -> Vec<f64> {
    let mut counts = vec![0.0; len];
    for o in 0..axis.positions(len).unwrap_or(0) {
        for k in 0..axis.kernel {
            if let Some(count) = (o * axis.stride + k * axis.dilation).checked_sub(axis.before).and_then(|i| counts.get_mut(i)) {
                *count += 1.0;
            }
        }
    }
    counts
}

#[cfg(test)]
mod tests {
    use super::*;
    use burn::tensor::Device;
    use tickless_net::{Conv, InputKind, NetworkBuilder, Neuron, Shape};

    #[test]
    fn a_value_meets_the_weights_whose_windows_read_it() {
        assert_eq!(reach(Axis::new(3, 1, 1), 4), [2.0, 3.0, 3.0, 2.0]);
        assert_eq!(reach(Axis::new(2, 2, 0), 5), [1.0, 1.0, 1.0, 1.0, 0.0], "the last input has no window");
        assert_eq!(reach(Axis::new(3, 2, 1), 4), [1.0, 2.0, 1.0, 1.0]);
    }

    #[test]
    fn operations_are_those_counted_by_hand() {
        let mut b = NetworkBuilder::new("two", Shape::new(1, 3, 3), InputKind::Events);
        let at = b.conv(b.input(), Conv::c3(4));
        let at = b.neuron(at, Neuron::lif());
        b.linear(at, 2, false);
        let network = b.build().unwrap();
        let counter = Counter::new(&network);
        // Two samples and two steps: the corner of the first sample at step 1, the centre with value
        // 2 and an edge with value −1 of the second at step 2.
        let mut values = vec![0.0f32; 2 * 2 * 9];
        values[0] = 1.0;
        values[27 + 4] = 2.0;
        values[27 + 1] = -1.0;
        let input = Sequence::from_values(values, [2, 2, 1, 3, 3], &Device::flex());
        let mut all = vec![Operations::default(); 9];
        counter.count(NodeId::Input, &input, &[7, 3], &mut all);
        assert_eq!((all[7].accumulates, all[7].multiplies), (4.0 * 4.0, 0.0));
        assert_eq!((all[3].accumulates, all[3].multiplies), (4.0 * 6.0, 4.0 * 9.0));
        let spikes = Sequence::from_values([vec![1.0f32; 36], vec![0.0; 36]].concat(), [1, 2, 4, 3, 3], &Device::flex());
        let mut all = vec![Operations::default(); 2];
        counter.count(NodeId::Node(1), &spikes, &[0, 1], &mut all);
        assert_eq!((all[0].total(), all[1].total()), (72.0, 0.0));
        assert!((all[0].energy_nj() - 72.0 * 0.9e-3).abs() < 1e-12);
    }
}
