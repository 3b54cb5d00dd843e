//! Spiking self-attention without softmax: Y = scale·Q·Kᵀ·V for each step, sample and head.
//!
//! The product is associative because no softmax stands between, so the cheaper of (Q·Kᵀ)·V and
//! Q·(Kᵀ·V) runs ([`Attention::keys_first`]). It is not linear in its inputs together, so a pending
//! repeat of steps is applied first. Spikes are small integers, so both orders give the same bits
//! for them.
//!
//! Source: Zhou et al., "Spikformer", ICLR 2023 (arXiv 2209.15425).

use super::Sequence;
use burn::tensor::Tensor;
use tickless_net::{Attention, Shape};

/// Attention of the queries `q` to the keys `k` and the values `v`, which have equally many steps.
pub(crate) fn attention(q: Sequence, k: Sequence, v: Sequence, a: Attention, shapes: [Shape; 3]) -> Sequence {
    let [queries, keys, values] = shapes;
    let steps = q.steps();
    let tokens = |x: Sequence, s: Shape| -> Tensor<4> {
        let x = x.channels_last().into_held();
        let n = x.dims()[0];
        x.reshape([n, s.height * s.width, a.heads, s.channels / a.heads]).swap_dims(1, 2)
    };
    let (q, k, v) = (tokens(q, queries), tokens(k, keys).swap_dims(2, 3), tokens(v, values));
    let n = q.dims()[0];
    let y = match a.keys_first(queries, keys, values) {
        true => q.matmul(k.matmul(v)),
        false => q.matmul(k).matmul(v),
    };
    let y = y.mul_scalar(a.scale).swap_dims(1, 2);
    Sequence::from_channels_last(y.reshape([n, queries.height, queries.width, values.channels]), steps)
}
