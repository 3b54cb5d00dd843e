//! The cost of a clocked run by the definitions of NeuroBench ([`tickless_net::neurobench`]), counted
//! in a pass whose observer sees the output of every node.
//!
//! `operations.rs` counts the synaptic operations. It decides for each sample and step whether a layer
//! accumulates or multiplies; NeuroBench decides this for a whole batch, so its numbers at batch 1 are
//! the same. Membrane potentials are not outputs of nodes, so the neurons run once more, step by step,
//! with the values that they read.

use super::activity::values;
use super::operations::{Counter, Operations};
use super::{LayerActivity, Setting, leak_of};
use crate::data::SampleId;
use crate::error::Result;
use crate::model::{Membranes, Model, NormMode, Pass, Sequence};
use crate::progress::Progress;
use burn::tensor::Tensor;
use tickless_net::neurobench::{
    Cost, NeuronOperations, connection_sparsity, counts_neurons, footprint, operations_of_update, parameters,
};
use tickless_net::{Layer, LeakRule, NodeId};

/// Counts what a pass costs, from the input of the network and the output of every node.
#[derive(Debug)]
pub struct CostCounter<'a> {
    model: &'a Model,
    pass: Pass<'a>,
    counter: Counter,
    operations: Operations,
    /// Of each node: outputs other than 0, all outputs, and the sum of the outputs. Neuron layers only.
    outputs: Vec<(u64, u64, f64)>,
    updates: u64,
    /// Operations of the neurons: effective and dense.
    neurons: (u64, u64),
    samples: usize,
    failed: Result<()>,
}

impl<'a> CostCounter<'a> {
    /// A counter at 0 for passes of this kind.
    pub fn new(model: &'a Model, pass: Pass<'a>) -> Self {
        Self {
            model,
            counter: Counter::new(model, &pass),
            pass,
            operations: Operations::default(),
            outputs: vec![(0, 0, 0.0); model.network().nodes().len()],
            updates: 0,
            neurons: (0, 0),
            samples: 0,
            failed: Ok(()),
        }
    }

    /// Counts the input of the network, or the output of a node, of one batch.
    ///
    /// # Shapes
    /// `[T·B, C, H, W]`, channels first.
    pub fn observe(&mut self, id: NodeId, s: &Sequence) {
        if id == NodeId::Input {
            self.samples += s.batch();
        }
        let nodes = self.model.network().nodes();
        let own = match id {
            NodeId::Node(i) if matches!(nodes[i].layer, Layer::Neuron(_)) => Some(i),
            _ => None,
        };
        if own.is_some() || self.counter.is_read(id) {
            let all = values(s);
            if let Some(i) = own {
                let (spikes, outputs, sum) = &mut self.outputs[i];
                *spikes += all.iter().filter(|v| **v != 0.0).count() as u64;
                *outputs += all.len() as u64;
                // In f64, because f32 cannot count 2²⁴ spikes and more exactly.
                *sum += all.iter().map(|v| f64::from(*v)).sum::<f64>();
            }
            self.counter.count_values(id, &all, s.batch(), |_, _, n| self.operations += n);
        }
        for (i, node) in nodes.iter().enumerate().filter(|(_, node)| node.from.contains(&id)) {
            if let Layer::Neuron(_) = node.layer
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
        cost.synaptic_operations = self.operations.of_neurobench(self.counter.dense(), self.samples);
        cost.membrane_updates = self.updates as f64 / self.samples.max(1) as f64;
        let neurons = NeuronOperations::of(self.neurons.0, self.neurons.1, self.samples);
        cost.neuron_operations = counts_neurons(network).then_some(neurons);
        Ok((activity.collect(), cost))
    }
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
