//! How the fused operators are differentiated on any backend that has them.
//!
//! Neuron: back-propagation through time, hand-written (see [`super::flex`] for the recurrence);
//! the state kept is one tensor, the membrane potentials before the spike. Time map: the
//! transposed map. Convolution: what the weight gradient needs of the input (for spikes their
//! places), and no input gradient where nobody asks. Fused layer: its inputs, from which the membrane is
//! computed again.

use super::conv::{ConvOp, Keep, Kept};
use super::first::{FirstOp, backward_in_parts};
use super::fused::{FusedOp, StatisticsSlot};
use super::{AdamWOp, NeuronOp, SgdOp, SpikingOps, TilePool};
use crate::ttm::TimeMap;
use burn::backend::autodiff::{
    Autodiff,
    checkpoint::{base::Checkpointer, strategy::CheckpointStrategy},
    grads::Gradients,
    ops::{Backward, Ops, OpsKind, unary},
};
use burn::backend::tensor::FloatTensor;
use std::sync::{Arc, Mutex, PoisonError};

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

#[derive(Debug)]
struct ConvBackward;

impl<B: SpikingOps> Backward<B, 2> for ConvBackward {
    type State = (FloatTensor<B>, Option<Kept>, ConvOp);

    fn backward(self, ops: Ops<Self::State, 2>, grads: &mut Gradients, _: &mut Checkpointer) {
        let (weight, kept, op) = ops.state;
        let kept = || kept.expect("every backend that differentiates keeps its input");
        let g = grads.consume::<B>(&ops.node);
        let [input, of_weight] = ops.parents;
        let (gx, gw) = match (input.is_some(), of_weight.is_some()) {
            (true, true) => {
                let (gx, gw) = B::conv_gradients(g, weight, kept(), op);
                (Some(gx), Some(gw))
            }
            (x, w) => {
                let gx = x.then(|| B::conv_input_gradient(g.clone(), weight, op));
                (gx, w.then(|| B::conv_weight_gradient(g, kept(), op)))
            }
        };
        for (parent, gradient) in [(input, gx), (of_weight, gw)] {
            if let (Some(parent), Some(gradient)) = (parent, gradient) {
                grads.register::<B>(parent.id, gradient);
            }
        }
    }
}

#[derive(Debug)]
struct FusedBackward;

impl<B: SpikingOps> Backward<B, 6> for FusedBackward {
    type State = ([FloatTensor<B>; 6], FusedOp, StatisticsSlot);

    fn backward(self, ops: Ops<Self::State, 6>, grads: &mut Gradients, _: &mut Checkpointer) {
        let ([x, gain, shift, x2, gain2, shift2], op, statistics) = ops.state;
        let g = grads.consume::<B>(&ops.node);
        let (a, b, c, d, e, f) = B::fused_backward(g, x, gain, shift, x2, gain2, shift2, op, statistics);
        for (parent, gradient) in ops.parents.into_iter().zip([a, b, c, d, e, f]) {
            if let Some(parent) = parent {
                grads.register::<B>(parent.id, gradient);
            }
        }
    }
}

#[derive(Debug)]
struct SeedBackward;

impl<B: SpikingOps> Backward<B, 1> for SeedBackward {
    type State = FloatTensor<B>;

    fn backward(self, ops: Ops<Self::State, 1>, grads: &mut Gradients, _: &mut Checkpointer) {
        let gradient = ops.state;
        unary::<B, _>(ops.parents, ops.node, grads, |_| gradient);
    }
}

#[derive(Debug)]
struct FirstBackward;

impl<B: SpikingOps> Backward<B, 4> for FirstBackward {
    /// The input (of few channels) lest its gradient be wanted; weight, γ, β; what was kept.
    type State = (FloatTensor<B>, [FloatTensor<B>; 3], Option<Kept>, FirstOp, StatisticsSlot);

    fn backward(self, ops: Ops<Self::State, 4>, grads: &mut Gradients, _: &mut Checkpointer) {
        let (input, parameters, kept, op, statistics) = ops.state;
        let g = grads.consume::<B>(&ops.node);
        let (x, [w, gain, shift]) = match &ops.parents[0] {
            Some(_) => {
                let [x, w, gain, shift] = backward_in_parts::<B>(g, input, parameters, op, statistics);
                (Some(x), [w, gain, shift])
            }
            None => {
                let kept = kept.expect("every backend that differentiates keeps its input");
                let [weight, gain, shift] = parameters;
                let (w, gain, shift) = B::first_backward(g, weight, gain, shift, kept, op, statistics);
                (None, [w, gain, shift])
            }
        };
        for (parent, gradient) in ops.parents.into_iter().zip([x, Some(w), Some(gain), Some(shift)]) {
            if let (Some(parent), Some(gradient)) = (parent, gradient) {
                grads.register::<B>(parent.id, gradient);
            }
        }
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

    fn conv(input: FloatTensor<Self>, weight: FloatTensor<Self>, op: ConvOp, keep: Keep) -> FloatTensor<Self> {
        let nodes = [input.node(), weight.node()];
        let (input, weight) = (input.into_primitive(), weight.into_primitive());
        match ConvBackward.prepare::<C>(nodes).compute_bound().stateful() {
            OpsKind::Tracked(prep) => {
                let slot = Arc::new(Mutex::new(None));
                let y = B::conv(input, weight.clone(), op, Some(slot.clone()));
                let kept = slot.lock().unwrap_or_else(PoisonError::into_inner).take();
                prep.finish((weight, kept, op), y)
            }
            OpsKind::UnTracked(prep) => prep.finish(B::conv(input, weight, op, keep)),
        }
    }

    fn conv_input_gradient(gradient: FloatTensor<Self>, weight: FloatTensor<Self>, op: ConvOp) -> FloatTensor<Self> {
        <FloatTensor<Self>>::new(B::conv_input_gradient(gradient.into_primitive(), weight.into_primitive(), op))
    }

    fn conv_weight_gradient(gradient: FloatTensor<Self>, kept: Kept, op: ConvOp) -> FloatTensor<Self> {
        <FloatTensor<Self>>::new(B::conv_weight_gradient(gradient.into_primitive(), kept, op))
    }

    fn conv_gradients(
        gradient: FloatTensor<Self>,
        weight: FloatTensor<Self>,
        kept: Kept,
        op: ConvOp,
    ) -> (FloatTensor<Self>, FloatTensor<Self>) {
        let (x, w) = B::conv_gradients(gradient.into_primitive(), weight.into_primitive(), kept, op);
        (<FloatTensor<Self>>::new(x), <FloatTensor<Self>>::new(w))
    }

    fn seed_gradient(end: FloatTensor<Self>, gradient: FloatTensor<Self>) -> FloatTensor<Self> {
        let (node, gradient) = (end.node(), gradient.into_primitive());
        match SeedBackward.prepare::<C>([node]).compute_bound().stateful() {
            OpsKind::Tracked(prep) => prep.finish(gradient.clone(), B::seed_gradient(end.into_primitive(), gradient)),
            OpsKind::UnTracked(prep) => prep.finish(B::seed_gradient(end.into_primitive(), gradient)),
        }
    }

    fn accumulate(sum: FloatTensor<Self>, more: FloatTensor<Self>) -> FloatTensor<Self> {
        // What is added are gradients, no part of a graph.
        <FloatTensor<Self>>::new(B::accumulate(sum.into_primitive(), more.into_primitive()))
    }

    fn sgd(
        weight: FloatTensor<Self>,
        momentum: FloatTensor<Self>,
        gradient: FloatTensor<Self>,
        op: SgdOp,
    ) -> (FloatTensor<Self>, FloatTensor<Self>) {
        // A step is no part of a graph.
        let (w, m) = B::sgd(weight.into_primitive(), momentum.into_primitive(), gradient.into_primitive(), op);
        (<FloatTensor<Self>>::new(w), <FloatTensor<Self>>::new(m))
    }

    fn adamw(
        weight: FloatTensor<Self>,
        first: FloatTensor<Self>,
        second: FloatTensor<Self>,
        gradient: FloatTensor<Self>,
        op: AdamWOp,
    ) -> (FloatTensor<Self>, FloatTensor<Self>, FloatTensor<Self>) {
        let [w, m, v, g] = [weight, first, second, gradient].map(|t| t.into_primitive());
        let (w, m, v) = B::adamw(w, m, v, g, op);
        let new = <FloatTensor<Self>>::new;
        (new(w), new(m), new(v))
    }

    fn fused(
        x: FloatTensor<Self>,
        gain: FloatTensor<Self>,
        shift: FloatTensor<Self>,
        x2: FloatTensor<Self>,
        gain2: FloatTensor<Self>,
        shift2: FloatTensor<Self>,
        op: FusedOp,
        statistics: StatisticsSlot,
    ) -> FloatTensor<Self> {
        let all = [x, gain, shift, x2, gain2, shift2];
        let nodes = all.each_ref().map(|t| t.node());
        let [x, gain, shift, x2, gain2, shift2] = all.map(|t| t.into_primitive());
        match FusedBackward.prepare::<C>(nodes).compute_bound().stateful() {
            OpsKind::Tracked(prep) => {
                let state = [&x, &gain, &shift, &x2, &gain2, &shift2].map(Clone::clone);
                let y = B::fused(x, gain, shift, x2, gain2, shift2, op.clone(), statistics.clone());
                // The slot of the caller is emptied by its reader: backward has one of its own.
                let seen = statistics.lock().unwrap_or_else(PoisonError::into_inner).clone();
                prep.finish((state, op, Arc::new(Mutex::new(seen))), y)
            }
            OpsKind::UnTracked(prep) => prep.finish(B::fused(x, gain, shift, x2, gain2, shift2, op, statistics)),
        }
    }

    fn fused_backward(
        gradient: FloatTensor<Self>,
        x: FloatTensor<Self>,
        gain: FloatTensor<Self>,
        shift: FloatTensor<Self>,
        x2: FloatTensor<Self>,
        gain2: FloatTensor<Self>,
        shift2: FloatTensor<Self>,
        op: FusedOp,
        statistics: StatisticsSlot,
    ) -> (
        FloatTensor<Self>,
        FloatTensor<Self>,
        FloatTensor<Self>,
        FloatTensor<Self>,
        FloatTensor<Self>,
        FloatTensor<Self>,
    ) {
        let [g, x, gain, shift, x2, gain2, shift2] =
            [gradient, x, gain, shift, x2, gain2, shift2].map(|t| t.into_primitive());
        let (a, b, c, d, e, f) = B::fused_backward(g, x, gain, shift, x2, gain2, shift2, op, statistics);
        let new = <FloatTensor<Self>>::new;
        (new(a), new(b), new(c), new(d), new(e), new(f))
    }

    fn first(
        input: FloatTensor<Self>,
        weight: FloatTensor<Self>,
        gain: FloatTensor<Self>,
        shift: FloatTensor<Self>,
        op: FirstOp,
        statistics: StatisticsSlot,
        keep: Keep,
    ) -> FloatTensor<Self> {
        let nodes = [input.node(), weight.node(), gain.node(), shift.node()];
        let [input, weight, gain, shift] = [input, weight, gain, shift].map(|t| t.into_primitive());
        match FirstBackward.prepare::<C>(nodes).compute_bound().stateful() {
            OpsKind::Tracked(prep) => {
                let (kept_input, slot) = (input.clone(), Arc::new(Mutex::new(None)));
                let parameters = [weight.clone(), gain.clone(), shift.clone()];
                let y = B::first(input, weight, gain, shift, op.clone(), statistics.clone(), Some(slot.clone()));
                let kept = slot.lock().unwrap_or_else(PoisonError::into_inner).take();
                // As for a fused layer.
                let seen = statistics.lock().unwrap_or_else(PoisonError::into_inner).clone();
                prep.finish((kept_input, parameters, kept, op, Arc::new(Mutex::new(seen))), y)
            }
            OpsKind::UnTracked(prep) => prep.finish(B::first(input, weight, gain, shift, op, statistics, keep)),
        }
    }

    fn first_backward(
        gradient: FloatTensor<Self>,
        weight: FloatTensor<Self>,
        gain: FloatTensor<Self>,
        shift: FloatTensor<Self>,
        kept: Kept,
        op: FirstOp,
        statistics: StatisticsSlot,
    ) -> (FloatTensor<Self>, FloatTensor<Self>, FloatTensor<Self>) {
        let [g, weight, gain, shift] = [gradient, weight, gain, shift].map(|t| t.into_primitive());
        let (w, gain, shift) = B::first_backward(g, weight, gain, shift, kept, op, statistics);
        let new = <FloatTensor<Self>>::new;
        (new(w), new(gain), new(shift))
    }
}
