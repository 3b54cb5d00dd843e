//! The cost of a clocked run by the definitions of NeuroBench ([`tickless_net::neurobench`]), counted
//! in a pass whose observer sees the output of every node.
//!
//! A convolution or linear layer is charged for the values that it reads: each value other than 0
//! costs as many operations as it has connections. They are multiply-accumulates if the sample has a
//! value other than 0, 1 and −1 at this step, else accumulates; NeuroBench decides this for a whole
//! batch, so its numbers at batch 1 are the same. Membrane potentials are not outputs of nodes, so
//! the neurons run once more, step by step, with the values that they read.

use super::activity::values;
use super::{LayerActivity, Setting, leak_of};
use crate::data::SampleId;
use crate::error::Result;
use crate::model::{Membranes, Model, NormMode, Pass, Sequence};
use crate::progress::Progress;
use burn::tensor::Tensor;
use tickless_net::neurobench::{
    Cost, FanOut, NeuronOperations, SynapticOperations, connection_sparsity, counts_neurons, fan_out, footprint,
    operations_of_update, parameters,
};
use tickless_net::{Layer, LeakRule, NodeId};

/// Counts what a pass costs, from the input of the network and the output of every node.
#[derive(Debug)]
pub struct CostCounter<'a> {
    model: &'a Model,
    pass: Pass<'a>,
    /// The connections of each node.
    fan_out: Vec<Option<FanOut>>,
    /// Of each node: outputs other than 0, all outputs, and the sum of the outputs. Neuron layers only.
    outputs: Vec<(u64, u64, f64)>,
    macs: u64,
    acs: u64,
    dense: u64,
    updates: u64,
    /// Operations of the neurons: effective and dense.
    neurons: (u64, u64),
    samples: usize,
    /// Whether the membranes are followed.
    follows: bool,
    failed: Result<()>,
}

impl<'a> CostCounter<'a> {
    /// A counter at 0 for passes of this kind.
    pub fn new(model: &'a Model, pass: Pass<'a>) -> Self {
        let (network, weights) = (model.network(), model.weights());
        let count = network.nodes().len();
        Self {
            model,
            pass,
            fan_out: (0..count).map(|i| fan_out(network, &weights, i)).collect(),
            outputs: vec![(0, 0, 0.0); count],
            macs: 0,
            acs: 0,
            dense: 0,
            updates: 0,
            neurons: (0, 0),
            samples: 0,
            follows: true,
            failed: Ok(()),
        }
    }

    /// Counts synaptic operations and activations only, which takes less time.
    pub fn without_membranes(self) -> Self {
        Self { follows: false, ..self }
    }

    /// Counts the input of the network, or the output of a node, of one batch. The caller gives the
    /// input first.
    ///
    /// # Shapes
    /// `[T·B, C, H, W]`, channels first.
    pub fn observe(&mut self, id: NodeId, s: &Sequence) {
        if id == NodeId::Input {
            self.samples += s.batch();
        }
        let nodes = self.model.network().nodes();
        let reads = |i: &usize| nodes[*i].from.contains(&id);
        let readers: Vec<usize> = (0..nodes.len()).filter(reads).collect();
        let charged = |i: &usize| matches!(nodes[*i].layer, Layer::Conv(_) | Layer::Linear(_));
        let (steps, batch) = (s.steps(), s.batch());
        let own = match id {
            NodeId::Node(i) if matches!(nodes[i].layer, Layer::Neuron(_)) => Some(i),
            _ => None,
        };
        if own.is_some() || readers.iter().any(charged) {
            let all = values(s);
            if let Some(i) = own {
                let (spikes, outputs, sum) = &mut self.outputs[i];
                *spikes += all.iter().filter(|v| **v != 0.0).count() as u64;
                *outputs += all.len() as u64;
                // In f64, because f32 cannot count 2²⁴ spikes and more exactly.
                *sum += all.iter().map(|v| f64::from(*v)).sum::<f64>();
                self.charge_recurrent(i, &all, (steps, batch));
            }
            for i in readers.iter().copied().filter(charged) {
                let times = self.steps_of(i) / steps.max(1);
                self.charge(i, &all, steps * batch, times.max(1) as u64);
            }
        }
        for i in readers {
            if let Layer::Neuron(_) = nodes[i].layer
                && self.follows
                && self.failed.is_ok()
            {
                self.failed = self.follow(i, s);
            }
        }
    }

    /// Number of steps of a node.
    fn steps_of(&self, node: usize) -> usize {
        self.pass.configuration[self.model.network().nodes()[node].stage.unwrap_or(0)]
    }

    /// Charges a node for `rows` frames that it reads, each `times` times: an image is the same at
    /// every step.
    fn charge(&mut self, node: usize, all: &[f32], rows: usize, times: u64) {
        let Some(connections) = &self.fan_out[node] else { return };
        self.dense += connections.dense * rows as u64 * times;
        for frame in all.chunks(all.len() / rows.max(1)) {
            let (operations, graded) = operations(frame, &connections.effective);
            *if graded { &mut self.macs } else { &mut self.acs } += operations * times;
        }
    }

    /// Charges a neuron layer with dense recurrent connections for its own spikes, which return after
    /// a number of steps.
    fn charge_recurrent(&mut self, node: usize, all: &[f32], (steps, batch): (usize, usize)) {
        let (Some(recurrent), Some(_)) = (self.model.network().nodes()[node].recurrent, &self.fan_out[node]) else {
            return;
        };
        let Pass { leak, t_max, step_us, .. } = self.pass;
        let delay = recurrent.steps(leak, t_max, steps, step_us).unwrap_or(1).min(steps);
        let returned = all.len() / steps.max(1) * (steps - delay);
        if returned > 0 {
            self.charge(node, &all[..returned], (steps - delay) * batch, 1);
        }
        // No spike has returned in the first steps, whose connections count all the same.
        let dense = self.fan_out[node].as_ref().map_or(0, |f| f.dense);
        self.dense += dense * (delay * batch) as u64;
    }

    /// Runs a neuron layer with the values that it reads, and counts the membranes that change.
    fn follow(&mut self, node: usize, s: &Sequence) -> Result<()> {
        let Layer::Neuron(n) = self.model.network().nodes()[node].layer else { return Ok(()) };
        let (steps, batch) = (self.steps_of(node), s.batch());
        let frames: Tensor<4> = s.clone().tensor();
        let mut membranes = Membranes::at_rest(self.model, node, steps, &self.pass);
        let (mut before, mut updates) = (Vec::new(), 0u64);
        for t in 0..steps {
            let frame = frames.clone().narrow(0, t * s.steps() / steps * batch, batch);
            let after = membranes.step(frame)?;
            updates += match t {
                0 => after.len(),
                _ => after.iter().zip(&before).filter(|(a, b)| a != b).count(),
            } as u64;
            before = after;
        }
        self.updates += updates;
        let each = operations_of_update(&n).unwrap_or(0);
        self.neurons.0 += updates * each;
        self.neurons.1 += (before.len() * steps) as u64 * each;
        Ok(())
    }

    /// The mean spikes per sample of each neuron layer, and the cost per sample.
    ///
    /// # Errors
    /// If a neuron could not run, because a time constant is in µs and the steps have no duration.
    pub fn finish(self) -> Result<(Vec<LayerActivity>, Cost)> {
        self.failed?;
        let network = self.model.network();
        let nodes = network.nodes();
        let share = |spikes: u64, all: u64| if all == 0 { 0.0 } else { (all - spikes) as f64 / all as f64 };
        let spiking = network.spiking();
        let sum = |f: &dyn Fn(usize) -> u64| spiking.iter().map(|i| f(*i)).sum::<u64>();
        let layers = spiking.iter().map(|&i| (nodes[i].name.clone(), share(self.outputs[i].0, self.outputs[i].1)));
        let activity = spiking.iter().map(|&i| LayerActivity {
            layer: nodes[i].name.clone(),
            neurons: nodes[i].output.len(),
            spikes: self.outputs[i].2 / self.samples.max(1) as f64,
        });
        let mut cost = Cost::default();
        cost.footprint = footprint(network);
        cost.connection_sparsity = connection_sparsity(network, &self.model.weights());
        cost.parameter_count = parameters(network);
        cost.activation_sparsity = share(sum(&|i| self.outputs[i].0), sum(&|i| self.outputs[i].1));
        cost.activation_sparsity_by_layer = layers.collect();
        cost.synaptic_operations = SynapticOperations::of(self.macs, self.acs, self.dense, self.samples);
        cost.membrane_updates = self.updates as f64 / self.samples.max(1) as f64;
        let neurons = NeuronOperations::of(self.neurons.0, self.neurons.1, self.samples);
        cost.neuron_operations = counts_neurons(network).then_some(neurons);
        Ok((activity.collect(), cost))
    }
}

/// The connections of the values other than 0, and whether a value is not 0, 1 or −1.
fn operations(frame: &[f32], connections: &[u32]) -> (u64, bool) {
    let (mut sum, mut graded) = (0u64, false);
    for (v, n) in frame.iter().zip(connections) {
        sum += if *v != 0.0 { u64::from(*n) } else { 0 };
        graded |= *v != 0.0 && v.abs() != 1.0;
    }
    (sum, graded)
}

/// Mean spikes per sample of each neuron layer and the cost per sample, from one pass at `steps`
/// steps.
///
/// # Errors
/// As [`activity`](super::activity()).
pub fn activity_and_cost(
    model: &Model,
    setting: &Setting<'_>,
    steps: usize,
    leak: LeakRule,
    progress: &dyn Progress,
) -> Result<(Vec<LayerActivity>, Cost)> {
    let configuration = vec![steps; model.network().stages()];
    let leak = leak_of(model, leak);
    let (t_max, step_us) = (setting.t_max, setting.step_us);
    let pass = Pass { configuration: &configuration, norm: NormMode::Running, leak, t_max, step_us };
    let mut counter = CostCounter::new(model, pass);
    progress.start("activity", setting.ids.len() as u64, "sample");
    let mut see = |_: &[SampleId], id: NodeId, s: &Sequence| counter.observe(id, s);
    setting.run(model, steps, &configuration, leak, progress, Some(&mut see))?;
    progress.finish();
    counter.finish()
}

/// Synaptic operations per sample at a configuration.
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
    let mut counter = CostCounter::new(model, pass).without_membranes();
    let frames = configuration.first().copied().unwrap_or(1);
    progress.start("operations", setting.ids.len() as u64, "sample");
    let mut see = |_: &[SampleId], id: NodeId, s: &Sequence| counter.observe(id, s);
    setting.run(model, frames, configuration, leak, progress, Some(&mut see))?;
    progress.finish();
    Ok(counter.finish()?.1.synaptic_operations)
}
