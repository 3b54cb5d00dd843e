//! The layers of a network as functions of a sequence, with the spike kernels or with the tensor
//! library's operators ([`Kernel::Plain`]).

use crate::error::{Error, Result};
use crate::model::Pass;
use crate::norm::{BatchStatistics, NormMode, Running};
use crate::parallel::WholeBatch;
use crate::sequence::Sequence;
use burn::tensor::activation::sigmoid;
use burn::tensor::module::{avg_pool2d, conv2d, max_pool2d};
use burn::tensor::ops::{AvgPoolOptions, ConvOptions, MaxPoolOptions};
use burn::tensor::{Device, Tensor};
use std::sync::Arc;
use tickless_kernels::Kernel;
use tickless_kernels::Moments;
use tickless_kernels::cpu::conv::precision::{self, Stays};
use tickless_kernels::operators::fits;
use tickless_kernels::reference;
use tickless_kernels::{Branch, BranchNorm, Precision, Statistics};
use tickless_kernels::{
    FirstInput, FirstLayer, FusedLayer, NeuronOp, conv_for, neuron, rounded, tile_pool, tile_pool_last,
};
use tickless_net::{Conv, InputKind, Layer, Network, Neuron, NodeId, Norm, Pool, PoolKind};
use tickless_neuron::model::stretch;
use tickless_neuron::step::Constants;

/// One summand of a neuron's current: a sequence and the convolution and norm that are still to be done.
#[derive(Debug, Clone)]
pub(crate) struct Term {
    x: Sequence,
    /// Weight and padding of a first layer's convolution, and its kernels.
    conv: Option<(Tensor<4>, usize, Kernel)>,
    norm: Option<TermNorm>,
}

#[derive(Debug, Clone)]
struct TermNorm {
    gain: Tensor<1>,
    shift: Tensor<1>,
    kind: BranchNorm,
    /// Number of the norm in graph order and its momentum.
    place: (usize, f64),
}

impl Term {
    /// A sequence as it is.
    pub(crate) fn plain(x: Sequence) -> Self {
        Self { x, conv: None, norm: None }
    }

    /// A sequence that is to be convolved by a first layer (see [`first_nodes`]).
    pub(crate) fn convolved(x: Sequence, weight: Tensor<4>, c: Conv, kernel: Kernel) -> Self {
        Self { x, conv: Some((weight, c.padding, kernel)), norm: None }
    }

    /// The same, to be normalised by the norm of number `index`.
    pub(crate) fn normalised(
        self,
        running: &Running,
        (gain, shift): (Tensor<1>, Tensor<1>),
        norm: Norm,
        mode: NormMode,
        index: usize,
    ) -> Self {
        let place = (index, norm.momentum);
        let norm = match mode {
            NormMode::Batch => TermNorm { gain, shift, kind: BranchNorm::Batch(norm.eps as f32), place },
            NormMode::Running => {
                let (gain, shift) = running.affine(gain, shift, norm);
                TermNorm { gain, shift, kind: BranchNorm::Affine, place }
            }
        };
        Self { norm: Some(norm), ..self }
    }

    /// Number of steps.
    pub(crate) fn steps(&self) -> usize {
        self.x.steps()
    }
}

/// Whether a layer is neurons that the fused kernels have.
fn is_plain_neuron(layer: Layer) -> bool {
    matches!(layer, Layer::Neuron(n) if n.is_plain())
}

/// Which norms and additions are left to the neuron that alone reads them.
pub(crate) fn fused_nodes(network: &Network) -> Vec<bool> {
    let nodes = network.nodes();
    let mut readers = vec![Vec::new(); nodes.len()];
    for (i, node) in nodes.iter().enumerate() {
        for from in &node.from {
            if let NodeId::Node(j) = from {
                readers[*j].push(i);
            }
        }
    }
    let only = |i: usize| match readers[i].as_slice() {
        [r] => Some(*r),
        _ => None,
    };
    let neuron = |i: usize| is_plain_neuron(nodes[i].layer);
    let add =
        |i: usize| matches!(nodes[i].layer, Layer::Add) && nodes[i].from.len() == 2 && only(i).is_some_and(neuron);
    let norm = |i: usize| matches!(nodes[i].layer, Layer::Norm(_)) && only(i).is_some_and(|r| neuron(r) || add(r));
    (0..nodes.len()).map(|i| norm(i) || add(i)).collect()
}

/// Convolutions that the neuron which reads them takes over: of the network's input, without bias, with nothing
/// between them and the neuron but a norm.
pub(crate) fn first_nodes(network: &Network, fused: &[bool]) -> Vec<bool> {
    let (nodes, readers) = (network.nodes(), network.readers());
    let reader = |i: usize| {
        let mut all = nodes.iter().enumerate().filter(|(_, n)| n.from.contains(&NodeId::Node(i)));
        all.next().map(|(j, n)| (j, n.layer)).filter(|_| readers[i] == 1)
    };
    let neuron = |of: Option<(usize, Layer)>| of.is_some_and(|(_, layer)| is_plain_neuron(layer));
    let input = |id: &NodeId| match id {
        NodeId::Input => true,
        NodeId::Node(j) => matches!(nodes[*j].layer, Layer::Ttm(_)) && nodes[*j].from == [NodeId::Input],
    };
    let one = |i: usize| match nodes[i].layer {
        Layer::Conv(c) => {
            let shape = c.groups == 1 && !c.bias && fits(c.stride, c.padding, c.kernel, nodes[i].input.channels);
            let read = match reader(i) {
                Some((j, Layer::Norm(_))) => fused[j] && neuron(reader(j)),
                other => neuron(other),
            };
            network.input().kind == InputKind::Events && shape && read && nodes[i].from.iter().all(input)
        }
        _ => false,
    };
    (0..nodes.len()).map(one).collect()
}

/// For every neuron the pooling over tiles that alone reads it, and for that the neuron.
pub(crate) fn pooled_nodes(network: &Network) -> Vec<Option<Pool>> {
    let nodes = network.nodes();
    let mut pooled = vec![None; nodes.len()];
    let readers = network.readers();
    for (i, node) in nodes.iter().enumerate() {
        if let (Layer::Pool(pool), [NodeId::Node(from)]) = (node.layer, node.from.as_slice())
            && is_plain_neuron(nodes[*from].layer)
            && readers[*from] == 1
            && tile_scale(pool).is_some()
        {
            (pooled[i], pooled[*from]) = (Some(pool), Some(pool));
        }
    }
    pooled
}

/// What sums over a tile are multiplied by, if windows are tiles.
fn tile_scale(p: Pool) -> Option<f32> {
    let scale = match p.kind {
        PoolKind::Average => 1.0 / (p.kernel * p.kernel) as f32,
        PoolKind::Sum => 1.0,
        PoolKind::Max => return None,
    };
    (p.kernel == p.stride && p.padding == 0).then_some(scale)
}

/// Spikes of the sum of one or two terms, by the fused kernel; statistics go to their norm's place.
///
/// # Errors
/// If a worker that shares the batch has left.
pub(crate) fn spiking(
    mut terms: Vec<Term>,
    op: NeuronOp,
    pool: Option<Pool>,
    device: &Device,
    batch: &Arc<WholeBatch>,
    statistics: &mut [Option<BatchStatistics>],
) -> Result<Sequence> {
    let places: Vec<_> = terms.iter().map(|t| t.norm.as_ref().map(|n| n.place)).collect();
    let pool = pool.and_then(|p| Some((p.kernel, tile_scale(p)?)));
    let (spikes, seen) = if let Some((weight, padding, kernel)) = terms[0].conv.take() {
        let term = terms.swap_remove(0);
        let (x, repeat) = term.x.into_repeated_first();
        let (norm, kind) = term.norm.map_or((None, BranchNorm::None), |n| (Some((n.gain, n.shift)), n.kind));
        let (input, branch) = (FirstInput { x, weight, padding, kernel }, Branch { norm: kind, repeat });
        let layer = FirstLayer::new(input, norm, branch, op, pool);
        let seen = of_batch(layer.moments(), batch)?;
        (layer.spikes(seen.clone(), batch.reduction()), seen)
    } else {
        let branches = terms.into_iter().map(|t| {
            let (x, repeat) = t.x.into_repeated();
            let (norm, kind) = t.norm.map_or((None, BranchNorm::None), |n| (Some((n.gain, n.shift)), n.kind));
            (x, norm, Branch { norm: kind, repeat })
        });
        let layer = FusedLayer::new(branches.collect(), op, pool);
        let seen = of_batch(layer.moments(), batch)?;
        (layer.spikes(seen.clone(), batch.reduction()), seen)
    };
    for (place, seen) in places.into_iter().zip(seen) {
        if let (Some((index, momentum)), Some(seen)) = (place, seen) {
            statistics[index] = Some(BatchStatistics::new(&seen, momentum, device));
        }
    }
    Ok(Sequence::from_channels_last(spikes, op.steps))
}

/// Statistics of the whole batch from the moments of this part.
fn of_batch(mut moments: Vec<Option<Moments>>, batch: &WholeBatch) -> Result<Vec<Option<Statistics>>> {
    batch.moments(&mut moments)?;
    Ok(rounded(&moments))
}

/// The neuron's operator at this number of steps.
pub(crate) fn neuron_op(n: Neuron, name: &str, steps: usize, pass: &Pass<'_>) -> Result<NeuronOp> {
    let lambda = n.lambda(pass.leak, pass.t_max, steps, pass.step_us).ok_or_else(|| no_step(name))?;
    Ok(NeuronOp { neuron: n, lambda, steps })
}

fn no_step(name: &str) -> Error {
    Error::Setting(format!(
        "layer `{name}`: a leak in µs needs the duration of a step, which a static image does not have; \
         give `leak` per step"
    ))
}

/// Spikes of neurons that have no fused kernel, all but the plain ones ([`Neuron::is_plain`]).
/// `decay` is the trained tensor of a learned leak.
///
/// # Errors
/// As [`neuron_op`].
pub(crate) fn general_spiking(
    x: Sequence,
    n: &Neuron,
    name: &str,
    decay: Option<Tensor<1>>,
    pass: &Pass<'_>,
) -> Result<Sequence> {
    let steps = x.steps();
    let constants = Constants::at(n, pass.leak, pass.t_max, steps, pass.step_us).ok_or_else(|| no_step(name))?;
    let lambda = decay.map(|d| {
        // As `learned_lambda`, and λ^(T_max/T) where the leak belongs to time.
        let trained = sigmoid(d).clamp(1e-6, 1.0 - 1e-6);
        let stretch = stretch(pass.leak, pass.t_max, steps);
        if stretch == 1.0 { trained } else { trained.log().mul_scalar(stretch).exp() }
    });
    Ok(x.each(|x| reference::any_neuron(x, n, constants, lambda, steps)))
}

/// Spikes by the plain form.
pub(crate) fn plain_spiking(x: Sequence, op: NeuronOp) -> Sequence {
    x.channels_first().each(|x| neuron(x, op))
}

/// How layers with weights are computed.
#[derive(Debug, Clone, Copy)]
pub(crate) struct How {
    pub(crate) kernel: Kernel,
    pub(crate) precision: Precision,
    /// As in training, even where nothing is differentiated.
    pub(crate) again: bool,
}

/// Convolution; `weight` `[Co, C/groups, k, k]`.
pub(crate) fn convolution(
    x: Sequence,
    weight: Tensor<4>,
    bias: Option<Tensor<1>>,
    c: Conv,
    How { kernel, precision, again }: How,
) -> Sequence {
    if kernel == Kernel::Plain || c.groups != 1 {
        stays_f32(precision, "conv", "only convolutions of one group have other kernels");
        let options = ConvOptions::new([c.stride; 2], [c.padding; 2], [1, 1], c.groups);
        return x.channels_first().linear(c.bias, |x| conv2d(x, weight, bias, options));
    }
    x.channels_last().linear(c.bias, |x| {
        let y = conv_for(x, weight, (c.stride, c.padding), kernel, precision, again);
        match bias {
            Some(b) => y + b.reshape([1, 1, 1, c.out]),
            None => y,
        }
    })
}

/// Reports a layer that has no kernel at the precision that was asked for.
fn stays_f32(precision: Precision, layer: &str, why: &'static str) {
    if precision != Precision::F32 {
        precision::report(precision, || layer.into(), Err(Stays::OtherLayer(why)));
    }
}

/// Linear layer over all values of a step; `weight` `[out, values]`, values in the order C, H, W.
///
/// With the spike kernels it is a 1×1 convolution of one pixel: over active inputs only, where those are few.
pub(crate) fn linear(
    x: Sequence,
    weight: Tensor<2>,
    bias: Option<Tensor<1>>,
    How { kernel, precision, again }: How,
) -> Sequence {
    let out = weight.dims()[0];
    if kernel == Kernel::Plain || !x.is_channels_last() {
        stays_f32(precision, "linear", "its input is not held channels last");
        return x.channels_first().linear(bias.is_some(), |x| {
            let [n, c, h, w] = x.dims();
            let y = x.reshape([n, c * h * w]).matmul(weight.transpose());
            let y = match bias {
                Some(b) => y + b.reshape([1, out]),
                None => y,
            };
            y.reshape([n, out, 1, 1])
        });
    }
    x.linear(bias.is_some(), |x| {
        let [n, h, w, c] = x.dims();
        let weight = weight.reshape([out, c, h, w]).permute([0, 2, 3, 1]).reshape([out, c * h * w, 1, 1]);
        let y = conv_for(x.reshape([n, 1, 1, c * h * w]), weight, (1, 0), kernel, precision, again);
        match bias {
            Some(b) => y + b.reshape([1, 1, 1, out]),
            None => y,
        }
    })
}

/// Mean over height and width.
pub(crate) fn global_average(x: Sequence) -> Sequence {
    match x.is_channels_last() {
        true => x.linear(false, |x| x.mean_dim(1).mean_dim(2)),
        false => x.linear(false, |x| x.mean_dim(2).mean_dim(3)),
    }
}

/// Pooling.
pub(crate) fn pool(x: Sequence, p: Pool) -> Sequence {
    let (k, s) = ([p.kernel, p.kernel], [p.stride, p.stride]);
    let pad = [(p.padding, p.padding); 2];
    let mut average = AvgPoolOptions::new(k);
    (average.stride, average.padding) = (s, pad);
    let area = (p.kernel * p.kernel) as f32;
    match (p.kind, tile_scale(p)) {
        (_, Some(scale)) if x.is_channels_last() => x.linear(false, |x| tile_pool_last(x, p.kernel, scale)),
        (_, Some(scale)) => x.linear(false, |x| tile_pool(x, p.kernel, scale)),
        (PoolKind::Average, _) => x.channels_first().linear(false, |x| avg_pool2d(x, average)),
        (PoolKind::Sum, _) => x.channels_first().linear(false, |x| avg_pool2d(x, average).mul_scalar(area)),
        (PoolKind::Max, _) => {
            let mut max = MaxPoolOptions::new(k);
            (max.stride, max.padding) = (s, pad);
            x.channels_first().each(|x| max_pool2d(x, max))
        }
    }
}
