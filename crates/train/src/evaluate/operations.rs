//! Counts the synaptic operations of a clocked run, sample by sample and step by step, by the
//! definitions of NeuroBench.
//!
//! ```text
//! one operation      a value other than 0 that a convolution, a linear layer or a dense recurrent
//!                    connection reads at a step, and one weight other than 0 that it meets
//! accumulate         an operation of a layer all of whose inputs at this step are 0, 1 or −1
//! multiply           any other operation: a multiply-accumulate
//! energy estimate    0.9 pJ per accumulate, 4.6 pJ per multiply-accumulate (45 nm)
//! ```
//!
//! A layer that reads the same values at several steps is charged at each of them, although the
//! kernels compute it once. Source of the energies: Horowitz, ISSCC 2014; they are an estimate, not a
//! measurement.

use super::activity::values;
use super::{Point, Score, Setting, conditions_in_words, leak_of};
use crate::data::{SampleId, prefetch};
use crate::error::{Error, Result};
use crate::model::readout::time_mean;
use crate::model::{Model, NormMode, Pass, Sequence};
use crate::progress::Progress;
use crate::seed;
use serde::{Deserialize, Serialize};
use std::ops::AddAssign;
use tickless_net::energy::CMOS_45NM;
use tickless_net::neurobench::{FanOut, SynapticOperations, fan_out};
use tickless_net::{Layer, LeakRule, NodeId};

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

    /// Estimated energy in nJ, with the costs of 45 nm ([`CMOS_45NM`]).
    pub fn energy_nj(&self) -> f64 {
        CMOS_45NM.picojoules(self.accumulates, self.multiplies) / 1e3
    }

    /// The operations of this many samples under the keys of NeuroBench; `dense` are those of one
    /// sample if every input and weight were other than 0.
    pub(super) fn of_neurobench(&self, dense: u64, samples: usize) -> SynapticOperations {
        let dense = dense * samples as u64;
        // Both are sums of whole numbers below 2⁵³.
        SynapticOperations::of(self.multiplies as u64, self.accumulates as u64, dense, samples)
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

/// The connections of one layer that reads a map.
#[derive(Debug)]
struct Reader {
    connections: FanOut,
    /// Number of steps at which the layer reads.
    steps: usize,
    /// Of recurrent connections: the number of steps after which a spike returns.
    delay: usize,
}

/// Counts the operations that the outputs of nodes cause. Every count of this crate comes from here.
#[derive(Debug)]
pub(super) struct Counter {
    input: Vec<Reader>,
    nodes: Vec<Vec<Reader>>,
    /// Each map has one step, of a pass that runs one step after the other.
    is_step_by_step: bool,
}

impl Counter {
    /// A counter for passes of this kind.
    pub(super) fn new(model: &Model, pass: &Pass<'_>) -> Self {
        let (network, weights) = (model.network(), model.weights());
        let nodes = network.nodes();
        let mut all =
            Self { input: Vec::new(), nodes: nodes.iter().map(|_| Vec::new()).collect(), is_step_by_step: false };
        for (i, node) in nodes.iter().enumerate() {
            let steps = pass.configuration.get(node.stage.unwrap_or(0)).copied().unwrap_or(1);
            let delay = node.recurrent.map(|r| r.steps(pass.leak, pass.t_max, steps, pass.step_us).unwrap_or(1));
            let Some(connections) = fan_out(network, &weights, i) else { continue };
            let reader = Reader { connections, steps, delay: delay.unwrap_or(0) };
            match node.from.first() {
                // The inputs of recurrent connections are the layer's own spikes.
                _ if matches!(node.layer, Layer::Neuron(_)) => all.nodes[i].push(reader),
                Some(NodeId::Node(j)) => all.nodes[*j].push(reader),
                _ => all.input.push(reader),
            }
        }
        all
    }

    /// The counter for a pass that runs one step after the other. It also passes on operations after
    /// the last step, because it does not know which step a map is of.
    pub(super) fn step_by_step(self) -> Self {
        Self { is_step_by_step: true, ..self }
    }

    fn readers(&self, node: NodeId) -> &[Reader] {
        match node {
            NodeId::Input => &self.input,
            NodeId::Node(i) => &self.nodes[i],
        }
    }

    /// Whether a layer with weights reads the node's output, or the network's input.
    pub(super) fn is_read(&self, node: NodeId) -> bool {
        !self.readers(node).is_empty()
    }

    /// Operations of one sample if every input and weight were other than 0. Recurrent connections
    /// count at every step, also before a spike has returned.
    pub(super) fn dense(&self) -> u64 {
        let all = self.nodes.iter().flatten().chain(&self.input);
        all.map(|reader| reader.connections.dense * reader.steps as u64).sum()
    }

    /// Adds the operations that a node's output, or the network's input, causes: `add` gets them for
    /// each step of the map and each sample of the batch. A map of one step that a layer reads at
    /// several is charged as often.
    pub(super) fn count(&self, node: NodeId, s: &Sequence, add: impl FnMut(usize, usize, Operations)) {
        if self.is_read(node) {
            self.count_values(node, &values(s), s.batch(), add);
        }
    }

    /// As [`count`](Self::count), for the values `[T·B, C, H, W]` of the sequence.
    pub(super) fn count_values(
        &self,
        node: NodeId,
        all: &[f32],
        batch: usize,
        mut add: impl FnMut(usize, usize, Operations),
    ) {
        for reader in self.readers(node) {
            let effective = &reader.connections.effective;
            let frames = all.chunks_exact(effective.len());
            let times = if self.is_step_by_step { 1 } else { (reader.steps * batch / frames.len().max(1)).max(1) };
            for (row, frame) in frames.enumerate() {
                let (step, sample) = (row / batch + reader.delay, row % batch);
                // A spike that would return after the last step meets no weight.
                if reader.delay > 0 && step >= reader.steps && !self.is_step_by_step {
                    continue;
                }
                let values = frame.iter().zip(effective).filter(|(v, _)| **v != 0.0);
                let (n, graded) =
                    values.fold((0u64, false), |(n, graded), (v, w)| (n + u64::from(*w), graded || v.abs() != 1.0));
                let n = n as f64 * times as f64;
                let of = |accumulates, multiplies| Operations { accumulates, multiplies };
                add(step, sample, if graded { of(0.0, n) } else { of(n, 0.0) });
            }
        }
    }
}

/// Synaptic operations per sample at a configuration, under the keys of NeuroBench.
///
/// # Errors
/// As [`across_steps`](super::across_steps).
pub fn synaptic_operations(
    model: &Model,
    setting: &Setting<'_>,
    configuration: &[usize],
    leak: LeakRule,
    progress: &dyn Progress,
) -> Result<SynapticOperations> {
    let leak = leak_of(model, leak);
    let (t_max, step_us) = (setting.t_max, setting.step_us);
    let pass = Pass { configuration, norm: NormMode::Running, leak, t_max, step_us };
    let counter = Counter::new(model, &pass);
    let mut all = Operations::default();
    let frames = configuration.first().copied().unwrap_or(1);
    progress.start("operations", setting.ids.len() as u64, "sample");
    let mut see = |_: &[SampleId], id: NodeId, s: &Sequence| counter.count(id, s, |_, _, n| all += n);
    setting.run(model, frames, configuration, leak, progress, Some(&mut see))?;
    progress.finish();
    Ok(all.of_neurobench(counter.dense(), setting.ids.len()))
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
    let counter = Counter::new(model, &pass);
    let (mut score, mut all) = (Score::default(), Operations::default());
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
            counted_samples += labels.len();
            let mut add = |_: usize, _: usize, n: Operations| all += n;
            counter.count(NodeId::Input, &input, &mut add);
            let mut see = |i: usize, s: &Sequence| counter.count(NodeId::Node(i), s, &mut add);
            model.forward(&constants, input, &pass, &mut rng(), Some(&mut see))?;
        }
        progress.advance(labels.len() as u64, &conditions);
        if progress.cancelled() {
            return Err(Error::Cancelled { task: "the evaluation" });
        }
        Ok(())
    })?;
    progress.finish();
    Ok((Point::of(configuration.to_vec(), leak, score), all.per(counted_samples)))
}

#[cfg(test)]
mod tests {
    use super::*;
    use burn::tensor::Device;
    use std::sync::Arc;
    use tickless_net::{Array, Conv, InputKind, NetworkBuilder, Neuron, Recurrent, RecurrentKind, Shape, Weights};

    #[test]
    fn operations_are_those_counted_by_hand() {
        let mut b = NetworkBuilder::new("two", Shape::new(1, 3, 3), InputKind::Events);
        let at = b.conv(b.input(), Conv::c3(4));
        let at = b.neuron(at, Neuron::lif());
        b.linear(at, 2, false);
        let network = Arc::new(b.build().unwrap());
        let mut weights = Weights::default();
        weights.insert("conv1.weight", Array::full(&[4, 1, 3, 3], 0.5));
        let linear = (0..72).map(|i| if i < 36 { 0.0 } else { 1.0 }).collect();
        weights.insert("linear1.weight", Array::new(vec![2, 36], linear));
        let model = Model::new(network, &weights, &Device::flex()).unwrap();
        let pass = Pass { configuration: &[2], norm: NormMode::Running, leak: LeakRule::Step, t_max: 2, step_us: None };
        let counter = Counter::new(&model, &pass);
        // Two samples and two steps: the corner of the first sample at step 1; the centre with value
        // 2 and an edge with value −1 of the second at step 2.
        let mut values = vec![0.0f32; 2 * 2 * 9];
        values[0] = 1.0;
        values[27 + 4] = 2.0;
        values[27 + 1] = -1.0;
        let input = Sequence::from_values(values, [2, 2, 1, 3, 3], &Device::flex());
        let mut all = [Operations::default(); 4];
        counter.count(NodeId::Input, &input, |step, sample, n| all[2 * step + sample] += n);
        let pairs: Vec<(f64, f64)> = all.iter().map(|o| (o.accumulates, o.multiplies)).collect();
        assert_eq!(pairs, [(4.0 * 4.0, 0.0), (0.0, 0.0), (0.0, 0.0), (0.0, 4.0 * (9.0 + 6.0))]);
        // Every spike meets one of two weights of the linear layer, because those of a class are 0.
        let spikes =
            Sequence::from_values([vec![1.0f32; 36], vec![0.0; 36]].concat(), [1, 2, 4, 3, 3], &Device::flex());
        let mut sum = Operations::default();
        counter.count(NodeId::Node(1), &spikes, |_, _, n| sum += n);
        // One step that the layer reads at two.
        assert_eq!((sum.accumulates, sum.multiplies), (72.0, 0.0));
        assert!((sum.energy_nj() - 72.0 * 0.9e-3).abs() < 1e-12);
    }
    #[test]
    fn spikes_that_return_after_the_last_step_of_their_stage_cost_nothing() {
        let mut b = NetworkBuilder::new("returns", Shape::new(2, 1, 1), InputKind::Events);
        let at = b.ttm(b.input());
        let at = b.linear(at, 3, false);
        let at = b.neuron(at, Neuron::lif());
        b.recurrent(at, Recurrent { kind: RecurrentKind::Dense, delay_us: None });
        let at = b.ttm(at);
        b.linear(at, 2, false);
        let network = Arc::new(b.build().unwrap());
        let neuron = network.spiking()[0];
        let mut weights = Weights::default();
        for node in network.nodes() {
            if let Layer::Linear(l) = node.layer {
                let shape = [l.out, node.input.len()];
                weights.insert(format!("{}.weight", node.name), Array::full(&shape, 0.5));
            }
        }
        let recurrent = format!("{}.recurrent", network.nodes()[neuron].name);
        weights.insert(recurrent, Array::full(&[3, 3], 0.5));
        let model = Model::new(network, &weights, &Device::flex()).unwrap();
        let configuration = [2, 4];
        let (leak, norm) = (LeakRule::Step, NormMode::Running);
        let pass = Pass { configuration: &configuration, norm, leak, t_max: 4, step_us: None };
        let counter = Counter::new(&model, &pass);
        // Every neuron of one sample spikes at both steps of the first stage, whose readers are the
        // layer itself, one step later. The second stage reads other values, those behind the TTM.
        let spikes = Sequence::from_values(vec![1.0; 6], [2, 1, 3, 1, 1], &Device::flex());
        let mut charged = Vec::new();
        counter.count(NodeId::Node(neuron), &spikes, |step, sample, n| charged.push((step, sample, n.accumulates)));
        assert_eq!(charged, [(1, 0, 9.0)]);
        // 2·3 connections at 2 steps, 3·3 at 2, 3·2 at 4.
        assert_eq!(counter.dense(), 12 + 18 + 24);
    }
}
