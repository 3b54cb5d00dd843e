//! Which nodes of a network a fused kernel evaluates: an analysis of the graph, made once for each
//! model, and again for a pass in which neurons have dead steps.

use tickless_kernels::operators::FirstOp;
use tickless_net::{InputKind, Layer, Network, NodeId, Pool, PoolKind};

/// What fused kernels evaluate.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Fusion {
    /// Neurons that the fused kernels have: their state is the membrane alone and no dead step
    /// follows a spike of theirs.
    pub plain: Vec<bool>,
    /// Nodes that the fused kernel of their reader takes over.
    pub fused: Vec<bool>,
    /// Convolutions that the first layer's kernel takes over.
    pub first: Vec<bool>,
    /// Neurons whose spikes only a pooling reads, and those poolings: one kernel does both.
    pub pooled: Vec<Option<Pool>>,
}

impl Fusion {
    /// Of a network in which two spikes of the neurons at node i are at least `interval(i)` steps apart.
    pub fn new(network: &Network, interval: impl Fn(usize) -> usize) -> Self {
        let is_plain = |(i, layer): (usize, Layer)| match layer {
            Layer::Neuron(n) => n.without_refractory().is_plain() && interval(i) == 1,
            _ => false,
        };
        let plain: Vec<bool> = network.nodes().iter().enumerate().map(|(i, n)| is_plain((i, n.layer))).collect();
        let fused = fused_nodes(network, &plain);
        let (first, pooled) = (first_nodes(network, &fused, &plain), pooled_nodes(network, &plain));
        Self { plain, fused, first, pooled }
    }
}

/// Marks each `Norm` and `Add` whose only consumer is a neuron (for a norm also such an addition):
/// the fused kernel evaluates it.
fn fused_nodes(network: &Network, plain: &[bool]) -> Vec<bool> {
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
    let neuron = |i: usize| plain[i];
    let add =
        |i: usize| matches!(nodes[i].layer, Layer::Add) && nodes[i].from.len() == 2 && only(i).is_some_and(neuron);
    let norm = |i: usize| matches!(nodes[i].layer, Layer::Norm(_)) && only(i).is_some_and(|r| neuron(r) || add(r));
    (0..nodes.len()).map(|i| norm(i) || add(i)).collect()
}

/// Marks each convolution of the network's input that has no bias and whose only consumer is a
/// neuron, or a norm whose only consumer is a neuron: the kernel of a first layer evaluates it.
fn first_nodes(network: &Network, fused: &[bool], plain: &[bool]) -> Vec<bool> {
    let (nodes, readers) = (network.nodes(), network.readers());
    let reader = |i: usize| {
        let mut all = nodes.iter().enumerate().filter(|(_, n)| n.from.contains(&NodeId::Node(i)));
        all.next().map(|(j, n)| (j, n.layer)).filter(|_| readers[i] == 1)
    };
    let neuron = |of: Option<(usize, Layer)>| of.is_some_and(|(j, _)| plain[j]);
    let input = |id: &NodeId| match id {
        NodeId::Input => true,
        NodeId::Node(j) => matches!(nodes[*j].layer, Layer::Ttm(_)) && nodes[*j].from == [NodeId::Input],
    };
    let one = |i: usize| match nodes[i].layer {
        Layer::Conv(c) => {
            let shape =
                c.groups == 1 && !c.bias && FirstOp::fits(c.stride, c.padding, c.kernel, nodes[i].input.channels);
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

/// For each neuron whose only consumer is a non-overlapping pool: that pool, stored at both nodes.
fn pooled_nodes(network: &Network, plain: &[bool]) -> Vec<Option<Pool>> {
    let nodes = network.nodes();
    let mut pooled = vec![None; nodes.len()];
    let readers = network.readers();
    for (i, node) in nodes.iter().enumerate() {
        if let (Layer::Pool(pool), [NodeId::Node(from)]) = (node.layer, node.from.as_slice())
            && plain[*from]
            && readers[*from] == 1
            && tile_scale(pool).is_some()
        {
            (pooled[i], pooled[*from]) = (Some(pool), Some(pool));
        }
    }
    pooled
}

/// The factor of the sum over a window, if windows do not overlap and leave no gaps; `None` for
/// maxima.
pub(super) fn tile_scale(p: Pool) -> Option<f32> {
    let scale = match p.kind {
        PoolKind::Average => 1.0 / (p.kernel * p.kernel) as f32,
        PoolKind::Sum => 1.0,
        PoolKind::Max => return None,
    };
    (p.kernel == p.stride && p.padding == 0).then_some(scale)
}
