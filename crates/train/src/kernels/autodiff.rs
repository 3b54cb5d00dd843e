//! How the fused operators are differentiated on any backend that has them.
//!
//! Neuron: back-propagation through time, hand-written (see [`super::flex`] for the recurrence);
//! the state kept is one tensor, the membrane potentials before the spike. Time map: the
//! transposed map.

use super::{NeuronOp, SpikingOps, TilePool};
use crate::ttm::TimeMap;
use burn::backend::autodiff::{
    Autodiff,
    checkpoint::{base::Checkpointer, strategy::CheckpointStrategy},
    grads::Gradients,
    ops::{Backward, Ops, OpsKind, unary},
};
use burn::backend::tensor::FloatTensor;
use std::sync::Arc;

#[derive(Debug)]
struct NeuronBackward;

impl<B: SpikingOps> Backward<B, 1> for NeuronBackward {
    type State = (FloatTensor<B>, NeuronOp);

    fn backward(self, ops: Ops<Self::State, 1>, grads: &mut Gradients, _: &mut Checkpointer) {
        let (potentials, op) = ops.state;
        unary::<B, _>(ops.parents, ops.node, grads, |g| B::neuron_backward(potentials, g, op));
    }
}

#[derive(Debug)]
struct MapTimeBackward;

impl<B: SpikingOps> Backward<B, 1> for MapTimeBackward {
    type State = Arc<TimeMap>;

    fn backward(self, ops: Ops<Self::State, 1>, grads: &mut Gradients, _: &mut Checkpointer) {
        let map = ops.state;
        unary::<B, _>(ops.parents, ops.node, grads, |g| B::map_time(g, Arc::new(map.adjoint())));
    }
}

#[derive(Debug)]
struct TilePoolBackward;

impl<B: SpikingOps> Backward<B, 1> for TilePoolBackward {
    type State = TilePool;

    fn backward(self, ops: Ops<Self::State, 1>, grads: &mut Gradients, _: &mut Checkpointer) {
        let op = ops.state;
        unary::<B, _>(ops.parents, ops.node, grads, |g| B::tile_pool_backward(g, op));
    }
}

impl<B: SpikingOps, C: CheckpointStrategy> SpikingOps for Autodiff<B, C> {
    fn neuron_spikes(current: FloatTensor<Self>, op: NeuronOp) -> FloatTensor<Self> {
        match NeuronBackward.prepare::<C>([current.node()]).compute_bound().stateful() {
            OpsKind::Tracked(prep) => {
                let (spikes, potentials) = B::neuron_spikes_and_potentials(current.into_primitive(), op);
                prep.finish((potentials, op), spikes)
            }
            OpsKind::UnTracked(prep) => prep.finish(B::neuron_spikes(current.into_primitive(), op)),
        }
    }

    fn neuron_spikes_and_potentials(
        current: FloatTensor<Self>,
        op: NeuronOp,
    ) -> (FloatTensor<Self>, FloatTensor<Self>) {
        // The potentials are an observation: nothing is differentiated through them.
        let (spikes, potentials) = B::neuron_spikes_and_potentials(current.into_primitive(), op);
        (<FloatTensor<Self>>::new(spikes), <FloatTensor<Self>>::new(potentials))
    }

    fn neuron_backward(potentials: FloatTensor<Self>, gradient: FloatTensor<Self>, op: NeuronOp) -> FloatTensor<Self> {
        <FloatTensor<Self>>::new(B::neuron_backward(potentials.into_primitive(), gradient.into_primitive(), op))
    }

    fn tile_pool(input: FloatTensor<Self>, op: TilePool) -> FloatTensor<Self> {
        match TilePoolBackward.prepare::<C>([input.node()]).compute_bound().stateful() {
            OpsKind::Tracked(prep) => prep.finish(op, B::tile_pool(input.into_primitive(), op)),
            OpsKind::UnTracked(prep) => prep.finish(B::tile_pool(input.into_primitive(), op)),
        }
    }

    fn tile_pool_backward(gradient: FloatTensor<Self>, op: TilePool) -> FloatTensor<Self> {
        <FloatTensor<Self>>::new(B::tile_pool_backward(gradient.into_primitive(), op))
    }

    fn map_time(input: FloatTensor<Self>, map: Arc<TimeMap>) -> FloatTensor<Self> {
        match MapTimeBackward.prepare::<C>([input.node()]).compute_bound().stateful() {
            OpsKind::Tracked(prep) => prep.finish(map.clone(), B::map_time(input.into_primitive(), map)),
            OpsKind::UnTracked(prep) => prep.finish(B::map_time(input.into_primitive(), map)),
        }
    }
}
