//! Gradients of the operators, for every backend that implements [`SpikingGradients`].
//!
//! Each operator saves for backward:
//! - Neuron: the membrane potentials before the spike. Its gradient is hand-written
//!   back-propagation through time (see [`tickless_neuron::step`] for the recurrence).
//! - Time map: nothing but the map; the gradient is the transposed map.
//! - Convolution: the weight, and the input in the form that the weight gradient needs (for spikes,
//!   the positions of the active inputs). The input gradient is computed only if it is requested.
//! - Fused layer: its inputs, from which the backward pass recomputes the membrane.
//! - First layer: its encoded input.
//!
//! The backward pass of a batch norm needs sums over the whole batch. It therefore consists of two
//! operators, and between them the sums pass through the [`Reduction`] that the caller of the
//! forward pass supplied.

use crate::composed::gradients_with_input;
use crate::operators::{
    BranchNorm, Branches, ConvInput, ConvOp, Encoded, FirstOp, FirstSaved, FusedOp, FusedSaved, LayerStatistics,
    Moments, NeuronOp, NormParameters, NormSums, Reduction, SpikingGradients, TilePool, implement_spiking_ops,
};
use crate::ttm::TimeMap;
use burn::backend::autodiff::{
    Autodiff,
    checkpoint::{base::Checkpointer, strategy::CheckpointStrategy},
    grads::Gradients,
    ops::{Backward, NodeGuard, Ops, OpsKind, unary},
};
use burn::backend::tensor::FloatTensor;
use std::sync::Arc;

implement_spiking_ops!(differentiated Autodiff<B, C>);

/// A tensor of the autodiff graph.
type Tracked<B, C> = FloatTensor<Autodiff<B, C>>;

#[derive(Debug)]
struct NeuronBackward;

impl<B: SpikingGradients> Backward<B, 1> for NeuronBackward {
    type State = (FloatTensor<B>, NeuronOp);

    fn backward(self, ops: Ops<Self::State, 1>, grads: &mut Gradients, _: &mut Checkpointer) {
        let (potentials, op) = ops.state;
        unary::<B, _>(ops.parents, ops.node, grads, |g| B::neuron_gradient(potentials, g, op));
    }
}

fn neuron_spikes<B: SpikingGradients, C: CheckpointStrategy>(current: Tracked<B, C>, op: NeuronOp) -> Tracked<B, C> {
    match NeuronBackward.prepare::<C>([current.node()]).compute_bound().stateful() {
        OpsKind::Tracked(prep) => {
            let (spikes, potentials) = B::neuron_and_potentials(current.into_primitive(), op);
            prep.finish((potentials, op), spikes)
        }
        OpsKind::UnTracked(prep) => prep.finish(B::neuron_spikes(current.into_primitive(), op)),
    }
}

#[derive(Debug)]
struct MapTimeBackward;

impl<B: SpikingGradients> Backward<B, 1> for MapTimeBackward {
    type State = Arc<TimeMap>;

    fn backward(self, ops: Ops<Self::State, 1>, grads: &mut Gradients, _: &mut Checkpointer) {
        let map = ops.state;
        unary::<B, _>(ops.parents, ops.node, grads, |g| B::map_time(g, Arc::new(map.adjoint())));
    }
}

fn map_time<B: SpikingGradients, C: CheckpointStrategy>(input: Tracked<B, C>, map: Arc<TimeMap>) -> Tracked<B, C> {
    match MapTimeBackward.prepare::<C>([input.node()]).compute_bound().stateful() {
        OpsKind::Tracked(prep) => prep.finish(map.clone(), B::map_time(input.into_primitive(), map)),
        OpsKind::UnTracked(prep) => prep.finish(B::map_time(input.into_primitive(), map)),
    }
}

#[derive(Debug)]
struct TilePoolBackward;

impl<B: SpikingGradients> Backward<B, 1> for TilePoolBackward {
    type State = TilePool;

    fn backward(self, ops: Ops<Self::State, 1>, grads: &mut Gradients, _: &mut Checkpointer) {
        let op = ops.state;
        unary::<B, _>(ops.parents, ops.node, grads, |g| B::tile_pool_gradient(g, op));
    }
}

fn tile_pool<B: SpikingGradients, C: CheckpointStrategy>(input: Tracked<B, C>, op: TilePool) -> Tracked<B, C> {
    match TilePoolBackward.prepare::<C>([input.node()]).compute_bound().stateful() {
        OpsKind::Tracked(prep) => prep.finish(op, B::tile_pool(input.into_primitive(), op)),
        OpsKind::UnTracked(prep) => prep.finish(B::tile_pool(input.into_primitive(), op)),
    }
}

#[derive(Debug)]
struct ConvBackward;

impl<B: SpikingGradients> Backward<B, 2> for ConvBackward {
    type State = (FloatTensor<B>, ConvInput<B>, ConvOp);

    fn backward(self, ops: Ops<Self::State, 2>, grads: &mut Gradients, _: &mut Checkpointer) {
        let (weight, saved, op) = ops.state;
        let g = grads.consume::<B>(&ops.node);
        let [input, of_weight] = ops.parents;
        let (gx, gw) = match (input.is_some(), of_weight.is_some()) {
            (true, true) => {
                let (gx, gw) = B::conv_gradients(g, weight, saved, op);
                (Some(gx), Some(gw))
            }
            (x, w) => {
                let gx = x.then(|| B::conv_input_gradient(g.clone(), weight, op));
                (gx, w.then(|| B::conv_weight_gradient(g, saved, op)))
            }
        };
        for (parent, gradient) in [(input, gx), (of_weight, gw)] {
            if let (Some(parent), Some(gradient)) = (parent, gradient) {
                grads.register::<B>(parent.id, gradient);
            }
        }
    }
}

fn conv<B: SpikingGradients, C: CheckpointStrategy>(
    input: Tracked<B, C>,
    weight: Tracked<B, C>,
    op: ConvOp,
) -> Tracked<B, C> {
    let nodes = [input.node(), weight.node()];
    let (input, weight) = (input.into_primitive(), weight.into_primitive());
    match ConvBackward.prepare::<C>(nodes).compute_bound().stateful() {
        OpsKind::Tracked(prep) => {
            let (y, saved) = B::conv_and_input(input, weight.clone(), op);
            prep.finish((weight, saved, op), y)
        }
        OpsKind::UnTracked(prep) => prep.finish(B::conv(input, weight, op)),
    }
}

#[derive(Debug)]
struct SeedBackward;

impl<B: SpikingGradients> Backward<B, 1> for SeedBackward {
    type State = FloatTensor<B>;

    fn backward(self, ops: Ops<Self::State, 1>, grads: &mut Gradients, _: &mut Checkpointer) {
        let gradient = ops.state;
        unary::<B, _>(ops.parents, ops.node, grads, |_| gradient);
    }
}

fn seed_gradient<B: SpikingGradients, C: CheckpointStrategy>(
    end: Tracked<B, C>,
    gradient: Tracked<B, C>,
) -> Tracked<B, C> {
    let (node, gradient) = (end.node(), gradient.into_primitive());
    match SeedBackward.prepare::<C>([node]).compute_bound().stateful() {
        OpsKind::Tracked(prep) => prep.finish(gradient.clone(), B::seed_gradient(end.into_primitive(), gradient)),
        OpsKind::UnTracked(prep) => prep.finish(B::seed_gradient(end.into_primitive(), gradient)),
    }
}

/// The backward pass of a fused layer. The parents of the node are the layer's one to six tensors:
/// the values of each branch and, if it has a norm, γ and β.
#[derive(Debug)]
struct FusedBackward;

impl<B: SpikingGradients, const N: usize> Backward<B, N> for FusedBackward {
    type State = (FusedSaved<B>, Reduction);

    fn backward(self, ops: Ops<Self::State, N>, grads: &mut Gradients, _: &mut Checkpointer) {
        let (layer, reduction) = ops.state;
        let sums = B::fused_sums(grads.consume::<B>(&ops.node), layer.clone());
        let mut of_batch = sums.norms.clone();
        let normed = of_batch.iter_mut().zip(&layer.op.branches).filter(|(_, b)| b.norm.is_of_batch());
        reduction.apply(normed.filter_map(|(sums, _)| sums.as_mut()));
        let gradients = B::fused_gradients(sums, of_batch, layer).into_tensors();
        for (parent, gradient) in ops.parents.into_iter().zip(gradients) {
            if let Some(parent) = parent {
                grads.register::<B>(parent.id, gradient);
            }
        }
    }
}

/// Adds the graph node of a fused layer with `N` input tensors and returns the layer's spikes.
fn fused_node<B: SpikingGradients, C: CheckpointStrategy, const N: usize>(
    nodes: Vec<NodeGuard>,
    layer: FusedSaved<B>,
    reduction: Reduction,
) -> Tracked<B, C> {
    let nodes: [NodeGuard; N] = nodes.try_into().expect("the caller has counted them");
    let FusedSaved { branches, op, statistics } = layer.clone();
    match Backward::<B, N>::prepare::<C>(FusedBackward, nodes).compute_bound().stateful() {
        OpsKind::Tracked(prep) => prep.finish((layer, reduction), B::fused(branches, op, statistics)),
        OpsKind::UnTracked(prep) => {
            drop(layer);
            prep.finish(B::fused(branches, op, statistics))
        }
    }
}

fn fused_in_batch<B: SpikingGradients, C: CheckpointStrategy>(
    branches: Branches<Autodiff<B, C>>,
    op: FusedOp,
    statistics: LayerStatistics,
    reduction: Reduction,
) -> Tracked<B, C> {
    let mut nodes = Vec::new();
    let branches = branches.map(|t| {
        nodes.push(t.node());
        t.into_primitive()
    });
    let layer = FusedSaved { branches, op, statistics };
    match nodes.len() {
        1 => fused_node::<B, C, 1>(nodes, layer, reduction),
        2 => fused_node::<B, C, 2>(nodes, layer, reduction),
        3 => fused_node::<B, C, 3>(nodes, layer, reduction),
        4 => fused_node::<B, C, 4>(nodes, layer, reduction),
        _ => fused_node::<B, C, 6>(nodes, layer, reduction),
    }
}

fn fused<B: SpikingGradients, C: CheckpointStrategy>(
    branches: Branches<Autodiff<B, C>>,
    op: FusedOp,
    statistics: LayerStatistics,
) -> Tracked<B, C> {
    fused_in_batch(branches, op, statistics, Reduction::whole())
}

/// The moments are not a node of the graph: the gradient of the layer that they normalise accounts
/// for them.
fn fused_moments<B: SpikingGradients, C: CheckpointStrategy>(
    branches: Branches<Autodiff<B, C>>,
    op: FusedOp,
) -> Vec<Option<Moments>> {
    B::fused_moments(branches.map(|t| t.into_primitive()), op)
}

/// The backward pass of a first layer. The parents of the node are the input, the weight and, if
/// the layer has a norm, γ and β.
#[derive(Debug)]
struct FirstBackward;

impl<B: SpikingGradients, const N: usize> Backward<B, N> for FirstBackward {
    /// The input, which has few channels, is saved in case its gradient is requested.
    type State = (FloatTensor<B>, FirstSaved<B>, Reduction);

    fn backward(self, ops: Ops<Self::State, N>, grads: &mut Gradients, _: &mut Checkpointer) {
        let (input, layer, reduction) = ops.state;
        let g = grads.consume::<B>(&ops.node);
        let is_of_batch = matches!(layer.op.fused.branches[0].norm, BranchNorm::Batch(_));
        let reduce = |sums: Option<&NormSums>| {
            let mut sums = sums.cloned();
            reduction.apply(sums.iter_mut().filter(|_| is_of_batch));
            sums
        };
        let (x, gradients) = match &ops.parents[0] {
            Some(_) => {
                let (x, gradients) = gradients_with_input::<B>(g, input, layer, reduce);
                (Some(x), gradients)
            }
            None => {
                let sums = B::first_sums(g, layer.clone());
                let of_batch = reduce(sums.norm.as_ref());
                (None, B::first_gradients(sums, of_batch, layer))
            }
        };
        let norm = gradients.norm.tensors().into_iter().flatten();
        let all = [x, Some(gradients.weight)].into_iter().chain(norm.map(Some));
        for (parent, gradient) in ops.parents.into_iter().zip(all) {
            if let (Some(parent), Some(gradient)) = (parent, gradient) {
                grads.register::<B>(parent.id, gradient);
            }
        }
    }
}

/// Adds the graph node of a first layer with `N` input tensors and returns the layer's spikes.
fn first_node<B: SpikingGradients, C: CheckpointStrategy, const N: usize>(
    nodes: Vec<NodeGuard>,
    input: FloatTensor<B>,
    layer: FirstSaved<B>,
    reduction: Reduction,
) -> Tracked<B, C> {
    let nodes: [NodeGuard; N] = nodes.try_into().expect("the caller has counted them");
    let FirstSaved { input: encoded, weight, norm, op, statistics } = layer.clone();
    let spikes = || B::first(encoded, weight, norm, op, statistics);
    match Backward::<B, N>::prepare::<C>(FirstBackward, nodes).compute_bound().stateful() {
        OpsKind::Tracked(prep) => prep.finish((input, layer, reduction), spikes()),
        OpsKind::UnTracked(prep) => prep.finish(spikes()),
    }
}

fn first_in_batch<B: SpikingGradients, C: CheckpointStrategy>(
    input: Tracked<B, C>,
    encoded: Encoded,
    weight: Tracked<B, C>,
    norm: NormParameters<Autodiff<B, C>>,
    op: FirstOp,
    statistics: LayerStatistics,
    reduction: Reduction,
) -> Tracked<B, C> {
    let mut nodes = vec![input.node(), weight.node()];
    let norm = norm.map(&mut |t: Tracked<B, C>| {
        nodes.push(t.node());
        t.into_primitive()
    });
    let (input, weight) = (input.into_primitive(), weight.into_primitive());
    let layer = FirstSaved { input: encoded, weight, norm, op, statistics };
    match nodes.len() {
        2 => first_node::<B, C, 2>(nodes, input, layer, reduction),
        _ => first_node::<B, C, 4>(nodes, input, layer, reduction),
    }
}

/// The result is not connected to the graph, because this function is not given the input as a
/// tensor. Networks call [`first_in_batch`], which is.
fn first<B: SpikingGradients, C: CheckpointStrategy>(
    input: Encoded,
    weight: Tracked<B, C>,
    norm: NormParameters<Autodiff<B, C>>,
    op: FirstOp,
    statistics: LayerStatistics,
) -> Tracked<B, C> {
    let norm = norm.map(&mut |t: Tracked<B, C>| t.into_primitive());
    <Tracked<B, C>>::new(B::first(input, weight.into_primitive(), norm, op, statistics))
}

/// The encoded input is not a node of the graph, because the input tensor itself is one.
fn first_encode<B: SpikingGradients, C: CheckpointStrategy>(
    input: Tracked<B, C>,
    weight: Tracked<B, C>,
    op: FirstOp,
) -> Encoded {
    B::first_encode(input.into_primitive(), weight.into_primitive(), op)
}

fn first_moments<B: SpikingGradients, C: CheckpointStrategy>(
    input: Encoded,
    weight: Tracked<B, C>,
    op: FirstOp,
) -> Vec<Option<Moments>> {
    B::first_moments(input, weight.into_primitive(), op)
}
