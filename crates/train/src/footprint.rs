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

use crate::iteration::recompute::kept_at_once;
use crate::model::Fusion;
use serde::Serialize;
use tickless_net::{InputKind, Layer, Network, NodeId};

/// Memory that the program takes without data and network, in bytes: code, thread stacks and the
/// allocator's reserves, measured as the peak of the process minus the other parts.
const PROGRAM: usize = 80_000_000;

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
    let fusion = Fusion::new(network, |_| 1);
    let image = network.input().kind == InputKind::Image;
    let nodes = network.nodes();
    // Whether a node's output has one step: a repeat of the image is still pending.
    let mut single = vec![false; nodes.len()];
    let mut values = vec![0usize; nodes.len()];
    for (i, node) in nodes.iter().enumerate() {
        let pending = node.from.iter().all(|id| match id {
            NodeId::Input => image,
            NodeId::Node(j) => single[*j],
        });
        single[i] =
            pending && !matches!(node.layer, Layer::Neuron(_) | Layer::Norm(_) | Layer::Add | Layer::Attention(_));
        let kept = match node.layer {
            Layer::Ttm(_) | Layer::Dropout(_) => false,
            Layer::Conv(_) => !fusion.first[i],
            Layer::Norm(_) | Layer::Add => !fusion.fused[i],
            // The pool that the neuron's kernel evaluates saves the pooled spikes in its place.
            Layer::Neuron(_) => fusion.pooled[i].is_none(),
            _ => true,
        };
        let length = if single[i] { 1 } else { steps };
        values[i] = if kept { node.output.len().saturating_mul(length) } else { 0 };
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
        gradients: bytes(values.iter().copied().max().unwrap_or(0)).saturating_mul(2),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use tickless_net::Neuron;
    use tickless_net::zoo::{ZooOptions, build};

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

    #[test]
    fn recomputation_saves_less_and_an_optimiser_with_two_moments_keeps_more() {
        let network = build("resnet18", &ZooOptions::default()).unwrap();
        let bytes = |buffers, recompute| footprint(&network, 16, 4, buffers, recompute);
        assert!(bytes(1, true).saved < bytes(1, false).saved / 2);
        assert_eq!(bytes(2, false).optimiser, 2 * bytes(1, false).optimiser);
        assert_eq!(footprint(&network, 32, 4, 1, false).saved, 2 * bytes(1, false).saved);
    }
}
