//! A pass that saves only the inputs of the stages and runs each stage again for its gradient
//! (activation checkpointing).
//!
//! An ordinary pass with autodiff saves what every layer needs for its gradient until the backward
//! pass has used it. If the model [recomputes](Model::with_recompute), the forward pass runs
//! without autodiff and saves the sequences x₁ … x_K at the entries of the stages, each with the
//! state of the generator, so that a random TTM draws the same numbers again. Then, from the last
//! stage to the first, stage k runs again from x_k with autodiff and is differentiated at once:
//!
//! ```text
//! x_{k+1} = f_k(x_k, w_k)
//! ∂L/∂x_k = (∂f_k/∂x_k)ᵀ ∂L/∂x_{k+1}
//! ∂L/∂w_k = (∂f_k/∂w_k)ᵀ ∂L/∂x_{k+1}
//! ```
//!
//! This needs the memory of the entries and of one stage, and a second forward pass of all stages
//! except the last. The gradients have the same bits as without recomputation, because the same
//! operators run on the same values, and every sum of gradients in the graph has two terms, whatever
//! the order (`Value::for_the_next`). Workers that share a batch run the stages again in the same
//! order, so that their collective operations match. The norms' statistics are returned from the
//! first run; the second run computes equal ones.
//!
//! Source: Chen et al., "Training Deep Nets with Sublinear Memory Cost", 2016.

use crate::error::Result;
use crate::model::norm::BatchStatistics;
use crate::model::{Model, Output, Pass, Sequence, SpikeTap, Walk};
use burn::tensor::Tensor;
use rand_chacha::ChaCha8Rng;
use std::sync::Arc;
use tickless_kernels::seed_gradient;
use tickless_net::{Layer, Network, NodeId};

/// A pass that has run forward, before its backward pass.
#[derive(Debug)]
pub(crate) struct Forward<'a> {
    pub(crate) output: Output,
    pass: &'a Pass<'a>,
    leaves: Vec<Tensor<1>>,
    /// The input of the part that has a graph; `None` if that is the network's input, which needs
    /// no gradient.
    entered: Option<Tensor<4>>,
    /// The parts before it, which the backward pass runs again.
    earlier: Vec<Part>,
}

/// A part of the network, in the state before it runs.
#[derive(Debug)]
struct Part {
    walk: Walk,
    rng: ChaCha8Rng,
    /// The part ends before this node.
    to: usize,
}

/// One gradient per parameter (`None` if the loss does not depend on it), and the batch statistics
/// of every norm.
type Gradients = (Vec<Option<Tensor<1>>>, Vec<BatchStatistics>);

/// Runs the forward pass of a training step; `tap` sees the spikes of every neuron layer. If the
/// model [recomputes](Model::with_recompute), only the last part has a graph.
///
/// # Errors
/// As [`Model::forward`].
pub(crate) fn forward<'a>(
    model: &Model,
    input: Sequence,
    pass: &'a Pass<'a>,
    tap: Option<Arc<dyn SpikeTap>>,
    rng: &mut ChaCha8Rng,
) -> Result<Forward<'a>> {
    let (network, leaves) = (model.network(), model.leaves());
    let device = model.device().clone().autodiff();
    let mut walk = model.begin(&leaves, input.to_device_of(&device), pass)?;
    walk.tap = tap;
    let cuts = if model.recomputes() { cuts(network) } else { Vec::new() };
    let constants: Vec<_> = model.parameters.iter().map(|p| Tensor::from_inner(p.value.clone())).collect();
    let mut earlier = Vec::new();
    for to in cuts {
        earlier.push(Part { walk: walk.clone(), rng: rng.clone(), to });
        walk.recompute_later = true;
        model.walk(&mut walk, to, &constants, pass, rng, None)?;
        walk.recompute_later = false;
    }
    let entered = enter(&mut walk);
    model.walk(&mut walk, network.nodes().len(), &leaves, pass, rng, None)?;
    Ok(Forward { output: model.end(walk), pass, leaves, entered, earlier })
}

impl Forward<'_> {
    /// Runs the backward pass from `loss` and returns the parameters' gradients and the norms'
    /// statistics.
    ///
    /// # Errors
    /// If a worker has left.
    pub(crate) fn backward(self, model: &Model, loss: Tensor<1>) -> Result<Gradients> {
        let Self { output: Output { statistics, batch, .. }, pass, leaves, entered, earlier } = self;
        let mut all = vec![None; leaves.len()];
        let mut reaching = part_backward(loss, &leaves, entered, &mut all);
        batch.check()?;
        for Part { mut walk, mut rng, to } in earlier.into_iter().rev() {
            let entered = enter(&mut walk);
            // The terms of the parts before have no graph here; this part's terms get one.
            walk.terms = None;
            model.walk(&mut walk, to, &leaves, pass, &mut rng, None)?;
            let terms = walk.terms.take();
            let (Some(end), Some(gradient)) = (walk.live(), reaching.take()) else { break };
            let root = seed_gradient(end.held().clone(), gradient);
            let root = terms.map_or(root.clone(), |terms| root + terms);
            drop(walk);
            reaching = part_backward(root, &leaves, entered, &mut all);
            batch.check()?;
        }
        Ok((all, statistics))
    }
}

/// Replaces the sequence that the next nodes read by a leaf of a new graph and returns the leaf;
/// `None` at the network's input, because the next node then reads the input itself.
fn enter(walk: &mut Walk) -> Option<Tensor<4>> {
    let x = walk.live()?;
    let leaf = Tensor::from_inner(x.held().clone().inner()).require_grad();
    x.hold(leaf.clone());
    Some(leaf)
}

/// Differentiates one part: stores the parameters' gradients in `all` and returns the gradient of
/// the part's input.
fn part_backward(
    root: Tensor<1>,
    leaves: &[Tensor<1>],
    entered: Option<Tensor<4>>,
    all: &mut [Option<Tensor<1>>],
) -> Option<Tensor<4>> {
    let mut gradients = root.backward();
    for (leaf, gradient) in leaves.iter().zip(all) {
        if let Some(g) = leaf.grad_remove(&mut gradients) {
            *gradient = Some(g);
        }
    }
    entered?.grad_remove(&mut gradients)
}

/// The nodes before which a pass may be cut into parts: entries of stages after the first
/// parameter. Only one sequence is live there, because no branch of a network goes around a TTM.
fn cuts(network: &Network) -> Vec<usize> {
    let nodes = network.nodes();
    let trains = |i: &usize| nodes[*i].tensors().iter().any(|t| t.trainable);
    let first = (0..nodes.len()).find(trains).unwrap_or(nodes.len());
    let entries = (first..nodes.len()).filter(|i| matches!(nodes[*i].layer, Layer::Ttm(_)));
    entries.filter(|cut| live_at(network, *cut).len() == 1).collect()
}

/// The nodes before `cut` that a node at or after `cut` reads.
fn live_at(network: &Network, cut: usize) -> Vec<usize> {
    let read = |i: &usize| network.nodes()[cut..].iter().any(|n| n.from.contains(&NodeId::Node(*i)));
    (0..cut).filter(read).collect()
}

/// The nodes whose outputs are in memory at the peak of a pass that recomputes: the layers of one
/// part, and the inputs of that part and of the parts before it. `values(i)` is the size of node
/// i's output.
pub(crate) fn kept_at_once(network: &Network, values: impl Fn(usize) -> usize) -> Vec<usize> {
    let cuts = cuts(network);
    let bounds: Vec<usize> = [0].into_iter().chain(cuts.iter().copied()).chain([network.nodes().len()]).collect();
    let parts = bounds.windows(2).enumerate().map(|(k, b)| {
        let entered = cuts[..k].iter().flat_map(|cut| live_at(network, *cut));
        entered.chain(b[0]..b[1]).collect::<Vec<_>>()
    });
    parts.max_by_key(|part| part.iter().fold(0usize, |sum, i| sum.saturating_add(values(*i)))).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;
    use tickless_net::zoo;

    #[test]
    fn every_network_is_cut_at_each_stage_behind_its_first_weights() {
        for name in zoo::entries().iter().map(|e| e.name) {
            let network = zoo::build(name, &zoo::ZooOptions::default()).expect("a network of the zoo");
            let before = network.nodes().iter().take_while(|n| n.tensors().is_empty());
            let early = before.filter(|n| matches!(n.layer, Layer::Ttm(_))).count();
            let entries = network.nodes().iter().filter(|n| matches!(n.layer, Layer::Ttm(_))).count();
            let cuts = cuts(&network);
            assert_eq!(cuts.len(), entries - early, "{name}");
            for cut in cuts {
                let [NodeId::Node(from)] = network.nodes()[cut].from[..] else { panic!("{name}: reads one node") };
                assert_eq!(live_at(&network, cut), [from], "{name}");
            }
        }
    }

    #[test]
    fn what_is_kept_at_once_is_a_stage_and_what_entered_it_and_those_before() {
        let network = zoo::build("resnet18", &zoo::ZooOptions::default()).expect("a network of the zoo");
        let kept = kept_at_once(&network, |i| network.nodes()[i].output.len());
        // The second block is as large as the first with the stem except for one layer, and one
        // stage input is saved before it.
        let cuts = cuts(&network);
        let first: Vec<usize> = (0..cuts[0]).collect();
        let second: Vec<usize> = live_at(&network, cuts[0]).into_iter().chain(cuts[0]..cuts[1]).collect();
        let size = |all: &[usize]| all.iter().map(|i| network.nodes()[*i].output.len()).sum::<usize>();
        assert!(kept == first || kept == second, "{kept:?}");
        assert_eq!(size(&kept), size(&first).max(size(&second)));
        let mostly_last = |i: usize| if i + 1 == network.nodes().len() { 1 << 30 } else { 1 };
        let last = kept_at_once(&network, mostly_last);
        assert!(cuts.iter().all(|cut| live_at(&network, *cut).iter().all(|i| last.contains(i))), "all entries");
    }
}
