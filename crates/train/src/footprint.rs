//! Estimates the memory of one training iteration from the shapes of a network.
//!
//! ```text
//! weights and gradients   2·W, or 3·W if the gradients of several passes are summed
//!                         W: bytes of the trainable values
//! copies                  V   of the linear layers, whose weights are held channels last as well
//! optimiser               k·W its buffers
//! update                  c·v of the largest tensor: the first step of SGD (c = 2) or AdamW (5)
//! saved                   Σ T·B·n  of the layers whose outputs a pass saves for backward
//! gradients in flight     two times the largest of these
//! input                   T·B·n of the frames, or B·n of static images
//! ```
//!
//! A pass saves the output of every convolution and linear layer (the input of the fused neuron
//! kernel) and of every neuron layer, after the pooling that its kernel evaluates. Norms, additions
//! and poolings that a fused kernel evaluates save nothing (`Fusion`). A linear layer before the
//! first neurons of a static image runs on one step.
//!
//! Neurons without a fused kernel run as a loop over steps whose tensors autodiff records: recurrent
//! layers, synaptic currents, adaptive thresholds, learned leaks, dead steps and late resets. They
//! save several tensors per step (`recorded`).
//!
//! A checkpoint copies weights and buffers to the host: (1 + k)·W more, because the allocator keeps
//! the memory of the iteration.

use crate::error::{Error, Result};
use crate::iteration::optimiser::OptimiserSetting;
use crate::iteration::recompute::kept_at_once;
use crate::model::Fusion;
use serde::Serialize;
use tickless_net::recipe::Optimiser;
use tickless_net::{InputKind, Layer, LeakRule, Network, Neuron, Node, NodeId, Reset};

/// Memory that the program takes without data and network, in bytes: code, thread stacks and the
/// allocator's reserves, measured as the peak of the process minus the other parts.
const PROGRAM: usize = 80_000_000;

/// Number of tensors that autodiff saves per step of neurons without a fused kernel, from the peaks
/// of whole trainings. Five belong to the surrogate, the leak and the spikes; a reset other than
/// the soft one saves the potential and the factor that it is multiplied by as well.
const fn recorded(neuron: &Neuron) -> usize {
    match neuron.reset {
        Reset::Soft => 5,
        _ => 7,
    }
}

/// The nodes that fused kernels evaluate at T_max = `steps`.
fn fusion_at(network: &Network, steps: usize) -> Fusion {
    // A refractory period in µs has several steps or one, depending on the data; several need more.
    Fusion::new(network, |i| match network.nodes()[i].layer {
        Layer::Neuron(n) => n.interval(LeakRule::Step, steps, steps, None).unwrap_or(2),
        _ => 1,
    })
}

/// What an iteration computes on one worker.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Iteration {
    /// Samples.
    pub batch: usize,
    /// Time steps of every stage.
    pub steps: usize,
    /// Passes, whose gradients are summed.
    pub passes: usize,
    /// The optimiser.
    pub optimiser: OptimiserSetting,
    /// Whether the backward pass runs stages again.
    pub recompute: bool,
}

/// The parts of the memory of a training iteration, in bytes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[non_exhaustive]
pub struct Footprint {
    /// The program itself.
    pub program: usize,
    /// Weights, their gradients, and copies of weights in another order.
    pub weights: usize,
    /// Buffers of the optimiser, and what its first step needs besides.
    pub optimiser: usize,
    /// Frames or images of the batch.
    pub input: usize,
    /// Layer outputs saved for the backward pass.
    pub saved: usize,
    /// Gradients of layer outputs during the backward pass.
    pub gradients: usize,
    /// The copy of weights and buffers that is written as a checkpoint; not part of an iteration.
    pub checkpoint: usize,
}

impl Footprint {
    /// The sum of all parts of an iteration.
    pub fn iteration(&self) -> usize {
        let Self { program, weights, optimiser, input, saved, gradients, checkpoint: _ } = *self;
        [program, weights, optimiser, input, saved, gradients].into_iter().fold(0, usize::saturating_add)
    }

    /// The memory of a training, which writes checkpoints.
    pub fn training(&self) -> usize {
        self.iteration().saturating_add(self.checkpoint)
    }
}

/// Of each node: the number of values of its output sequence for one sample, if a pass saves any,
/// and the number of values that the pass saves.
fn values_of_nodes(network: &Network, steps: usize) -> (Vec<usize>, Vec<usize>) {
    let nodes = network.nodes();
    let fusion = fusion_at(network, steps);
    let image = network.input().kind == InputKind::Image;
    // Whether a node's output has one step: a repeat of the image is still pending.
    let mut single = vec![false; nodes.len()];
    let (mut sequences, mut values) = (vec![0usize; nodes.len()], vec![0usize; nodes.len()]);
    for (i, node) in nodes.iter().enumerate() {
        let pending = node.from.iter().all(|id| match id {
            NodeId::Input => image,
            NodeId::Node(j) => single[*j],
        });
        single[i] =
            pending && !matches!(node.layer, Layer::Neuron(_) | Layer::Norm(_) | Layer::Add | Layer::Attention(_));
        let tensors = match node.layer {
            Layer::Ttm(_) | Layer::Dropout(_) => 0,
            Layer::Conv(_) => usize::from(!fusion.first[i]),
            Layer::Norm(_) | Layer::Add => usize::from(!fusion.fused[i]),
            Layer::Neuron(n) if !fusion.plain[i] => recorded(&n),
            // The pool that the neuron's kernel evaluates saves the pooled spikes in its place.
            Layer::Neuron(_) => usize::from(fusion.pooled[i].is_none()),
            _ => 1,
        };
        let length = if single[i] { 1 } else { steps };
        sequences[i] = if tensors > 0 { node.output.len().saturating_mul(length) } else { 0 };
        values[i] = sequences[i].saturating_mul(tensors);
    }
    (sequences, values)
}

/// Bytes of this many f32. Sizes that no computer has stay sizes that no computer has.
fn bytes(values: usize) -> usize {
    values.saturating_mul(size_of::<f32>())
}

impl Iteration {
    /// Estimates the memory of this iteration of `network`.
    pub fn footprint(&self, network: &Network) -> Footprint {
        let (sequences, values) = values_of_nodes(network, self.steps);
        let batch = |values: usize| bytes(values).saturating_mul(self.batch);
        let sum = |all: &mut dyn Iterator<Item = usize>| all.fold(0, usize::saturating_add);
        let kept: usize = match self.recompute {
            false => sum(&mut values.iter().copied()),
            true => sum(&mut kept_at_once(network, |i| values[i]).into_iter().map(|i| values[i])),
        };
        let tensors = network.tensors().into_iter().filter(|t| t.2.trainable);
        let largest = tensors.map(|t| t.2.shape.iter().product()).max().unwrap_or(0);
        let (buffers, first_step) = match self.optimiser.optimiser {
            Optimiser::Sgd => (usize::from(self.optimiser.momentum != 0.0), 2),
            Optimiser::AdamW => (2, 5),
        };
        let weights = bytes(network.trainable_values());
        let linear = network.nodes().iter().filter(|n| matches!(n.layer, Layer::Linear(_)));
        let copies = linear.flat_map(Node::tensors).map(|t| t.shape.iter().product::<usize>());
        let frames = if network.input().kind == InputKind::Image { 1 } else { self.steps };
        Footprint {
            program: PROGRAM,
            weights: (if self.passes > 1 { 3 } else { 2 }) * weights + bytes(sum(&mut copies.into_iter())),
            optimiser: buffers * weights + first_step * bytes(largest),
            input: batch(network.input().shape.len().saturating_mul(frames)),
            saved: batch(kept),
            gradients: batch(sequences.iter().copied().max().unwrap_or(0)).saturating_mul(2),
            checkpoint: (1 + buffers) * weights,
        }
    }

    /// Refuses this iteration if a training with it exceeds `machine`, the memory in GB; 0 if that
    /// is not known.
    ///
    /// # Errors
    /// [`Error::Memory`], which names the layer that saves most.
    pub fn check(&self, network: &Network, machine: f64) -> Result<()> {
        let gb = |bytes: usize| bytes as f64 / 1e9;
        let needed = gb(self.footprint(network).training());
        if machine == 0.0 || needed <= machine {
            return Ok(());
        }
        let less = Self { recompute: true, ..*self };
        let (_, values) = values_of_nodes(network, self.steps);
        let largest = (0..values.len()).max_by_key(|i| values[*i]);
        Err(Error::Memory {
            batch: self.batch,
            steps: self.steps,
            needed,
            layer: largest.map(|i| network.nodes()[i].name.clone()).unwrap_or_default(),
            most: largest.map_or(0.0, |i| gb(bytes(values[i]).saturating_mul(self.batch))),
            machine,
            recompute_fits: !self.recompute && gb(less.footprint(network).training()) <= machine,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use tickless_net::zoo::{ZooOptions, build};
    use tickless_net::{Conv, Leak, NetworkBuilder, Pool, Recurrent, RecurrentKind, Refractory, Shape};

    /// An iteration of SDT by SGD with momentum.
    fn sgd(batch: usize, steps: usize) -> Iteration {
        Iteration { batch, steps, passes: 1, optimiser: OptimiserSetting::sgd(0.9, 0.0), recompute: false }
    }

    fn adamw(batch: usize, steps: usize) -> Iteration {
        Iteration { optimiser: OptimiserSetting::adamw(0.0), ..sgd(batch, steps) }
    }

    /// Peaks of whole processes from `benches/RESULTS.md`, "Training iterations" (SDT, SGD with
    /// momentum).
    #[test]
    fn the_estimate_is_within_a_fifth_of_the_measured_peaks() {
        for (name, norm, neuron, batch, steps, peak) in [
            ("resnet18", None, None, 16, 4, 0.57e9),
            ("resnet18-dvs", None, None, 4, 10, 0.66e9),
            ("vgg14", None, None, 16, 4, 0.45e9),
            ("spikformer-4-384", None, None, 16, 4, 0.94e9),
            ("nmnist-wide", Some(true), Some(Neuron::lif()), 64, 10, 0.12e9),
        ] {
            let network = build(name, &ZooOptions { norm, neuron, ..ZooOptions::default() }).unwrap();
            let total = sgd(batch, steps).footprint(&network).iteration() as f64;
            assert!(
                (total / peak - 1.0).abs() < 0.2,
                "{name}: {:.3} GB estimated, {:.3} measured",
                total / 1e9,
                peak / 1e9
            );
        }
    }

    /// Peaks of `tickless train` with AdamW on one batch of the embedded recordings, 2026-11-30.
    #[test]
    fn the_estimate_of_neurons_without_a_fused_kernel_is_within_a_fifth_of_the_measured_peaks() {
        let dense = Some(RecurrentKind::Dense);
        let lif = Neuron::lif();
        let soft = Neuron { reset: Reset::Soft, ..lif };
        for (neuron, recurrent, batch, steps, peak) in [
            (lif, dense, 50, 10, 0.509e9),
            (lif, dense, 50, 20, 0.895e9),
            (lif, dense, 25, 10, 0.278e9),
            (lif, Some(RecurrentKind::OneToOne), 50, 10, 0.480e9),
            (soft, dense, 50, 10, 0.428e9),
            (Neuron::if_multi(), dense, 50, 10, 0.459e9),
            (Neuron::cuba_lif(), None, 50, 10, 0.475e9),
            (Neuron::cuba_lif(), dense, 50, 10, 0.480e9),
            (Neuron::adaptive_lif(), None, 50, 10, 0.490e9),
            (Neuron { leak: Leak::Learned(0.5), ..lif }, None, 50, 10, 0.498e9),
            (Neuron { refractory: Some(Refractory::steps(2.0)), ..lif }, None, 50, 10, 0.521e9),
            (Neuron { reset: Reset::SoftDelayed, ..lif }, None, 50, 10, 0.505e9),
        ] {
            let mut b = NetworkBuilder::new("one layer", Shape::new(2, 34, 34), InputKind::Events);
            let at = b.ttm(b.input());
            let at = b.conv(at, Conv::c3(16));
            let at = b.neuron(at, neuron);
            if let Some(kind) = recurrent {
                b.recurrent(at, Recurrent { kind, delay_us: None });
            }
            let at = b.pool(at, Pool::average(8));
            b.linear(at, 10, false);
            let total = adamw(batch, steps).footprint(&b.build().unwrap()).training() as f64;
            let (estimated, measured) = (total / 1e9, peak / 1e9);
            assert!(
                (total / peak - 1.0).abs() < 0.2,
                "{neuron:?}, {recurrent:?}, batch {batch}, T = {steps}: {estimated:.3} GB estimated, {measured:.3} measured"
            );
        }
        // One dead step fewer, and the fused kernel runs.
        let with_period = |steps: f64| {
            let neuron = Neuron { refractory: Some(Refractory::steps(steps)), ..lif };
            let options = ZooOptions { neuron: Some(neuron), ..ZooOptions::default() };
            sgd(64, 10).footprint(&build("nmnist-small", &options).unwrap()).saved
        };
        assert!(with_period(2.0) > 4 * with_period(1.0));
    }

    /// Peaks of `tickless train` on the embedded recordings (200 samples, batch 50, T = 10), debug
    /// build, 2026-11-30.
    #[test]
    fn the_estimate_of_wide_linear_layers_is_within_a_fifth_of_the_measured_peaks() {
        let mut b = NetworkBuilder::new("wide", Shape::new(2, 34, 34), InputKind::Events);
        let mut at = b.ttm(b.input());
        for _ in 0..2 {
            at = b.linear(at, 4096, false);
            at = b.neuron(at, Neuron::lif());
        }
        b.linear(at, 10, false);
        let network = b.build().unwrap();
        let plain = OptimiserSetting::sgd(0.0, 0.0);
        for (iteration, peak) in [
            (Iteration { optimiser: plain, ..sgd(50, 10) }, 0.799e9),
            (sgd(50, 10), 0.863e9),
            (adamw(50, 10), 1.169e9),
            (Iteration { passes: 3, ..adamw(50, 10) }, 1.290e9),
        ] {
            let (estimated, measured) = (iteration.footprint(&network).training() as f64 / 1e9, peak / 1e9);
            assert!(
                (estimated / measured - 1.0).abs() < 0.2,
                "{iteration:?}: {estimated:.3} GB estimated, {measured:.3} measured"
            );
        }
    }

    #[test]
    fn a_batch_beyond_the_machine_is_refused_with_its_largest_layer_and_the_remedy() {
        let network = build("resnet18", &ZooOptions::default()).unwrap();
        let needed = sgd(16, 4).footprint(&network).training() as f64 / 1e9;
        sgd(16, 4).check(&network, 1.01 * needed).unwrap();
        sgd(16, 4).check(&network, 0.0).expect("a machine whose memory is not known");
        let refusal = |machine| sgd(16, 4).check(&network, machine).unwrap_err().to_string();
        let fits = refusal(0.9 * needed);
        let largest = "one batch of 16 samples at 4 time steps needs 1 GB of memory (layer `";
        assert!(fits.starts_with(largest) && fits.contains(" GB: set `train.recompute = true`, lower"), "{fits}");
        let never = refusal(0.1 * needed);
        assert!(never.contains(" GB: lower `train.batch`"), "{never}");
    }

    #[test]
    fn recomputation_saves_less_and_an_optimiser_with_two_moments_keeps_more() {
        let network = build("resnet18", &ZooOptions::default()).unwrap();
        let recomputed = Iteration { recompute: true, ..sgd(16, 4) }.footprint(&network).saved;
        assert!(recomputed < sgd(16, 4).footprint(&network).saved / 2);
        let optimiser = |iteration: Iteration| iteration.footprint(&network).optimiser;
        assert!(optimiser(adamw(16, 4)) > 2 * optimiser(sgd(16, 4)) - 3 * bytes(512 * 512 * 9));
        assert_eq!(sgd(32, 4).footprint(&network).saved, 2 * sgd(16, 4).footprint(&network).saved);
    }
}
