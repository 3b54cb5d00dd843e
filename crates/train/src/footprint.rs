//! Estimates the memory of one training iteration from the shapes of a network.
//!
//! ```text
//! weights and gradients   2·W                        W: bytes of the trainable values
//! optimiser               k·W                        its buffers
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

use crate::iteration::recompute::kept_at_once;
use crate::model::Fusion;
use serde::Serialize;
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

/// For each node, the number of tensors of its output's size that a pass at T_max = `steps` saves if
/// no kernel fuses nodes: 1, or several for neurons that have no fused kernel.
pub(crate) fn unfused_tensors(network: &Network, steps: usize) -> Vec<usize> {
    let fusion = fusion_at(network, steps);
    let tensors = |(i, node): (usize, &Node)| match node.layer {
        Layer::Neuron(n) if !fusion.plain[i] => recorded(&n),
        _ => 1,
    };
    network.nodes().iter().enumerate().map(tensors).collect()
}

/// The parts of the memory of a training iteration, in bytes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[non_exhaustive]
pub struct Footprint {
    /// The program itself.
    pub program: usize,
    /// Weights and their gradients.
    pub weights: usize,
    /// Buffers of the optimiser.
    pub optimiser: usize,
    /// Frames or images of the batch.
    pub input: usize,
    /// Layer outputs saved for the backward pass.
    pub saved: usize,
    /// Gradients of layer outputs during the backward pass.
    pub gradients: usize,
}

impl Footprint {
    /// The sum of all parts.
    pub fn total(&self) -> usize {
        let Self { program, weights, optimiser, input, saved, gradients } = *self;
        [program, weights, optimiser, input, saved, gradients].into_iter().fold(0, usize::saturating_add)
    }
}

/// Estimates the memory of an iteration with `batch` samples if every stage runs at `steps` time
/// steps. `buffers` is the number of values that the optimiser keeps for each weight (SGD with
/// momentum 1, AdamW 2); `recompute` says whether the backward pass runs stages again.
pub fn footprint(network: &Network, batch: usize, steps: usize, buffers: usize, recompute: bool) -> Footprint {
    let nodes = network.nodes();
    let fusion = fusion_at(network, steps);
    let image = network.input().kind == InputKind::Image;
    // Whether a node's output has one step: a repeat of the image is still pending.
    let mut single = vec![false; nodes.len()];
    // Of each node: the values of its output, if it saves any, and the values that it saves.
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
    let bytes = |values: usize| values.saturating_mul(batch).saturating_mul(size_of::<f32>());
    // Sizes that no computer has stay sizes that no computer has.
    let sum = |all: &mut dyn Iterator<Item = usize>| all.fold(0, usize::saturating_add);
    let kept: usize = match recompute {
        false => sum(&mut values.iter().copied()),
        true => sum(&mut kept_at_once(network, |i| values[i]).into_iter().map(|i| values[i])),
    };
    let weights = network.trainable_values() * size_of::<f32>();
    let frames = if image { 1 } else { steps };
    Footprint {
        program: PROGRAM,
        weights: 2 * weights,
        optimiser: buffers * weights,
        input: bytes(network.input().shape.len().saturating_mul(frames)),
        saved: bytes(kept),
        gradients: bytes(sequences.iter().copied().max().unwrap_or(0)).saturating_mul(2),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use tickless_net::zoo::{ZooOptions, build};
    use tickless_net::{Conv, Leak, NetworkBuilder, Pool, Recurrent, RecurrentKind, Refractory, Shape};

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
            let total = footprint(&network, batch, steps, 1, false).total() as f64;
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
            let total = footprint(&b.build().unwrap(), batch, steps, 2, false).total() as f64;
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
            footprint(&build("nmnist-small", &options).unwrap(), 64, 10, 1, false).saved
        };
        assert!(with_period(2.0) > 4 * with_period(1.0));
        let shd = build("shd", &ZooOptions::default()).unwrap();
        let tensors = unfused_tensors(&shd, 20);
        let expected = shd.nodes().iter().map(|n| match n.layer {
            Layer::Neuron(n) => recorded(&n),
            _ => 1,
        });
        assert!(tensors.iter().copied().eq(expected) && tensors.iter().any(|n| *n > 1), "{tensors:?}");
    }

    #[test]
    fn recomputation_saves_less_and_an_optimiser_with_two_moments_keeps_more() {
        let network = build("resnet18", &ZooOptions::default()).unwrap();
        let bytes = |buffers, recompute| footprint(&network, 16, 4, buffers, recompute);
        assert!(bytes(1, true).saved < bytes(1, false).saved / 2);
        assert_eq!(bytes(2, false).optimiser, 2 * bytes(1, false).optimiser);
        assert_eq!(footprint(&network, 32, 4, 1, false).saved, 2 * bytes(1, false).saved);
    }
}
