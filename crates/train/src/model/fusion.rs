//! Decides which nodes of a network a fused kernel evaluates. [`Model::new`](super::Model::new)
//! runs this analysis once; a pass in which neurons have dead steps runs it again, because the
//! fused kernels cannot evaluate those neurons.

use tickless_kernels::operators::FirstOp;
use tickless_net::{InputKind, Layer, Network, NodeId, Pool, PoolKind};

/// The nodes that fused kernels evaluate; every vector has one entry per node.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Fusion {
    /// Neurons that have a fused kernel: their only state is the membrane potential, and no dead
    /// step follows a spike.
    pub plain: Vec<bool>,
    /// Norms and additions that the fused kernel of the consuming neuron evaluates.
    pub fused: Vec<bool>,
    /// Convolutions that the first-layer kernel evaluates.
    pub first: Vec<bool>,
    /// Each neuron whose only consumer is a non-overlapping pool, and that pool: one kernel
    /// evaluates both.
    pub pooled: Vec<Option<Pool>>,
}

impl Fusion {
    /// Analyses a network. `interval(i)` is the least distance in steps between two spikes of a
    /// neuron of node i.
    pub fn new(network: &Network, interval: impl Fn(usize) -> usize) -> Self {
        let is_plain = |(i, layer): (usize, Layer)| match layer {
            Layer::Neuron(n) => n.without_refractory().is_plain() && interval(i) == 1,
            _ => false,
        };
        let plain: Vec<bool> =
            network.nodes().iter().enumerate().map(|(i, n)| n.recurrent.is_none() && is_plain((i, n.layer))).collect();
        let fused = fused_nodes(network, &plain);
        let (first, pooled) = (first_nodes(network, &fused, &plain), pooled_nodes(network, &plain));
        Self { plain, fused, first, pooled }
    }
}

/// Marks each `Norm` and two-input `Add` whose only consumer is a neuron, and each `Norm` whose
/// only consumer is such an `Add`: the fused kernel evaluates them.
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
    // A threshold per channel multiplies the sum of the terms, which the fused kernel cannot.
    let neuron = |i: usize| plain[i] && nodes[i].thresholds.is_none();
    let add =
        |i: usize| matches!(nodes[i].layer, Layer::Add) && nodes[i].from.len() == 2 && only(i).is_some_and(neuron);
    let norm = |i: usize| matches!(nodes[i].layer, Layer::Norm(_)) && only(i).is_some_and(|r| neuron(r) || add(r));
    (0..nodes.len()).map(|i| norm(i) || add(i)).collect()
}

/// Marks each convolution of an event network's input that has no bias, fits the first-layer
/// kernel, and whose only consumer is a neuron, or a norm whose only consumer is a neuron.
fn first_nodes(network: &Network, fused: &[bool], plain: &[bool]) -> Vec<bool> {
    let (nodes, readers) = (network.nodes(), network.readers());
    let reader = |i: usize| {
        let mut all = nodes.iter().enumerate().filter(|(_, n)| n.from.contains(&NodeId::Node(i)));
        all.next().map(|(j, n)| (j, n.layer)).filter(|_| readers[i] == 1)
    };
    let neuron = |of: Option<(usize, Layer)>| of.is_some_and(|(j, _)| plain[j] && nodes[j].thresholds.is_none());
    let input = |id: &NodeId| match id {
        NodeId::Input => true,
        NodeId::Node(j) => matches!(nodes[*j].layer, Layer::Ttm(_)) && nodes[*j].from == [NodeId::Input],
    };
    let role_of_node = |i: usize| match nodes[i].layer {
        Layer::Conv(c) => {
            let fits = |(kernel, stride, padding)| FirstOp::fits(stride, padding, kernel, nodes[i].input.channels);
            let shape = c.groups == 1 && !c.bias && c.window.as_square().is_some_and(fits);
            let read = match reader(i) {
                Some((j, Layer::Norm(_))) => fused[j] && neuron(reader(j)),
                other => neuron(other),
            };
            network.input().kind == InputKind::Events && shape && read && nodes[i].from.iter().all(input)
        }
        _ => false,
    };
    (0..nodes.len()).map(role_of_node).collect()
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
            && tile(pool).is_some()
        {
            (pooled[i], pooled[*from]) = (Some(pool), Some(pool));
        }
    }
    pooled
}

/// The side of a square window, and the factor that turns the sum over it into the pool's output, if
/// windows do not overlap and leave no gaps; `None` for other pools and for max pools.
pub(super) fn tile(p: Pool) -> Option<(usize, f32)> {
    let (kernel, stride, padding) = p.window.as_square()?;
    let scale = match p.kind {
        PoolKind::Average => 1.0 / (kernel * kernel) as f32,
        PoolKind::Sum => 1.0,
        PoolKind::Max => return None,
    };
    (kernel == stride && padding == 0).then_some((kernel, scale))
}
