//! Converts a network to the layers of a chip: each has weights, neurons and sources of pooled
//! spikes.
//!
//! - A linear layer becomes a convolution whose kernel covers its input map. If a global average
//!   precedes it, the kernel has each weight times 1/(h·w) at every position.
//! - Average pooling becomes sum pooling, with the factor 1/k² in the weights that follow.
//! - Temporal transformation modules are dropped, because the chip has no clock. A merge of spikes
//!   becomes two layers that send to one. A merge of currents is a problem, because a core has only
//!   one kernel.
//! - A readout without neurons gets the neurons of the layer before it, because a chip outputs
//!   spikes only.

use crate::layer::{Layer, Pool, PoolKind};
use crate::network::{Network, NodeId};
use crate::neuron::Neuron;
use crate::shape::Shape;

/// A source of a layer's events.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) struct Source {
    /// Index of the chip layer; `None` for the camera.
    pub layer: Option<usize>,
    /// Side of the pooling window between source and layer.
    pub pooling: usize,
    /// Factor that averages between source and layer put into the weights.
    pub scale: f64,
}

/// A layer as a core runs it.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct ChipLayer {
    /// Index of the node with the weights.
    pub weighted: usize,
    /// Index of the node with the neurons; `None` for a readout.
    pub neurons: Option<usize>,
    pub neuron: Neuron,
    /// Shape of the kernel's input, after pooling.
    pub input: Shape,
    /// Rows and columns.
    pub kernel: (usize, usize),
    pub stride: usize,
    pub padding: usize,
    /// Shape before pooling.
    pub output: Shape,
    pub groups: usize,
    /// Whether one weight stands for the whole map (a global average before a linear layer).
    pub spread: bool,
    pub sources: Vec<Source>,
    /// Reasons why a chip cannot run the layer, each with a remedy.
    pub problems: Vec<String>,
    /// Differences between the layer on the chip and in the network.
    pub notes: Vec<String>,
}

/// All layers of the chip, in order, and the problems of the other nodes.
#[derive(Debug, Default)]
pub(super) struct Mapped {
    pub layers: Vec<ChipLayer>,
    /// (layer, problem) for each node that cannot become part of a layer.
    pub stray: Vec<(String, String)>,
}

pub(super) fn map(network: &Network) -> Mapped {
    let mut mapped = Mapped::default();
    let nodes = network.nodes();
    // For each neuron node, and a readout, the index of its chip layer.
    let mut place: Vec<Option<usize>> = vec![None; nodes.len()];
    let mut last = Neuron::if_multi();
    for (i, node) in nodes.iter().enumerate() {
        let stray = |problem: &str| (node.name.clone(), problem.to_owned());
        let (weighted, neurons) = match node.layer {
            Layer::Neuron(n) => {
                last = n;
                match behind(network, node.from[0]) {
                    Ok(w) => (w, Some(i)),
                    Err(problem) => {
                        mapped.stray.push(stray(problem));
                        continue;
                    }
                }
            }
            Layer::Attention(_) => {
                mapped.stray.push(stray("is attention, a product of spikes, which a core cannot; use a `conv`"));
                continue;
            }
            Layer::Norm(_) => {
                let problem = "batch norm cannot be on a chip; fold it into the weights before it";
                mapped.stray.push(stray(problem));
                continue;
            }
            Layer::Conv(_) | Layer::Linear(_) if i + 1 == nodes.len() => (i, None),
            Layer::Pool(_)
            | Layer::GlobalAverage
            | Layer::AdaptiveAverage(_)
            | Layer::Dropout(_)
            | Layer::Add
            | Layer::Ttm(_)
                if i + 1 == nodes.len() =>
            {
                mapped
                    .stray
                    .push(stray("nothing reads it on the chip; end the network with neurons or a linear layer"));
                continue;
            }
            _ => continue,
        };
        let layer = chip_layer(network, weighted, neurons, last, &place);
        place[i] = Some(mapped.layers.len());
        mapped.layers.push(layer);
    }
    mapped
}

/// The node whose weights drive these neurons.
fn behind(network: &Network, mut id: NodeId) -> Result<usize, &'static str> {
    loop {
        let NodeId::Node(i) = id else {
            return Err("neurons on the raw input have no kernel; put a convolution before them");
        };
        match network.nodes()[i].layer {
            Layer::Conv(_) | Layer::Linear(_) => return Ok(i),
            Layer::Ttm(_) | Layer::Dropout(_) => id = network.nodes()[i].from[0],
            // The caller reports the norm itself; the search continues with the layer before it.
            Layer::Norm(_) => id = network.nodes()[i].from[0],
            Layer::Pool(_) | Layer::GlobalAverage | Layer::AdaptiveAverage(_) => {
                return Err(
                    "pooling stands between weights and neurons, a core pools only spikes; pool after the neurons",
                );
            }
            Layer::Add => {
                return Err(
                    "adds currents of several kernels, a core has one; add spikes instead: put `neuron` before \
                            the `add` and let one convolution read it",
                );
            }
            Layer::Attention(_) => return Err("attention has no kernel; put a convolution before the neurons"),
            Layer::Neuron(_) => {
                return Err("neurons directly behind neurons have no kernel; put a convolution between");
            }
        }
    }
}

fn chip_layer(
    network: &Network,
    weighted: usize,
    neurons: Option<usize>,
    neuron: Neuron,
    place: &[Option<usize>],
) -> ChipLayer {
    let node = &network.nodes()[weighted];
    let mut layer = ChipLayer {
        weighted,
        neurons,
        neuron,
        input: node.input,
        kernel: (node.input.height, node.input.width),
        stride: 1,
        padding: 0,
        output: node.output,
        groups: 1,
        spread: false,
        sources: Vec::new(),
        problems: Vec::new(),
        notes: Vec::new(),
    };
    let mut from = node.from[0];
    let mut scale = 1.0;
    let bias = match node.layer {
        Layer::Conv(c) => {
            let (r, k) = (c.window.rows, c.window.columns);
            (layer.kernel, layer.stride, layer.padding) = (c.window.kernel(), r.stride, r.before);
            let differs = r.stride != k.stride || [r.after, k.before, k.after].iter().any(|p| *p != r.before);
            if differs {
                layer.problems.push(format!(
                    "its window of {} has a stride or padding that differs between sides; make them equal",
                    c.window
                ));
            }
            if c.window.kernel() != (1, 1) && (r.dilation, k.dilation) != (1, 1) {
                layer.problems.push("its kernel is dilated, which a chip cannot; write its zeros out".into());
            }
            layer.groups = c.groups;
            c.bias
        }
        Layer::Linear(l) => {
            while let NodeId::Node(i) = from {
                let before = &network.nodes()[i];
                match before.layer {
                    Layer::Ttm(_) | Layer::Dropout(_) => {}
                    Layer::GlobalAverage if !layer.spread => {
                        let s = before.input;
                        (layer.spread, layer.input, layer.kernel) = (true, s, (s.height, s.width));
                        scale /= (s.height * s.width) as f64;
                    }
                    _ => break,
                }
                from = before.from[0];
            }
            l.bias
        }
        _ => false,
    };
    if bias {
        layer.problems.push("has a bias, which a chip without a clock cannot add; fold the network".into());
    }
    if neurons.is_some_and(|i| network.nodes()[i].recurrent.is_some()) {
        layer.problems.push("has recurrent connections, which this mapping does not place; train it without".into());
    }
    if neurons.is_some_and(|i| network.nodes()[i].thresholds.is_some()) {
        layer.problems.push("has a threshold per channel, and a core has one; put the factors into its weights".into());
    }
    if layer.groups > 1 {
        layer.notes.push(format!("its {} groups are written out as one kernel with zeros", layer.groups));
    }
    follow(network, from, Source { layer: None, pooling: 1, scale }, place, &mut layer);
    layer
}

/// The side of a pooling that a chip can do, or the problem.
fn tile(p: Pool) -> Result<usize, &'static str> {
    match (p.kind, p.window.as_square()) {
        (PoolKind::Max, _) => Err("is max pooling, which a chip cannot; use `average`"),
        (_, Some((kernel, stride, 0))) if kernel == stride => Ok(kernel),
        (_, None) if p.window.tiles() => Err("must have a square window to be on a chip"),
        _ => Err("must have stride = kernel and no padding to be on a chip"),
    }
}

/// Largest number of sources that `follow` collects for one layer.
const MAX_SOURCES: usize = 64;

/// Collects the sources of a layer's events by walking back through pooling and merges.
fn follow(network: &Network, id: NodeId, mut way: Source, place: &[Option<usize>], layer: &mut ChipLayer) {
    if layer.sources.len() >= MAX_SOURCES {
        return;
    }
    let NodeId::Node(i) = id else { return layer.sources.push(way) };
    let node = &network.nodes()[i];
    match node.layer {
        Layer::Ttm(_) | Layer::Dropout(_) => follow(network, node.from[0], way, place, layer),
        Layer::Add => node.from.iter().for_each(|&f| follow(network, f, way, place, layer)),
        Layer::Neuron(_) => match place[i] {
            Some(l) => layer.sources.push(Source { layer: Some(l), ..way }),
            None => layer.problems.push(format!("reads `{}`, which is not on the chip", node.name)),
        },
        Layer::Pool(p) => match tile(p) {
            Ok(side) => {
                way.pooling *= side;
                if p.kind == PoolKind::Average {
                    way.scale /= p.window.taps() as f64;
                }
                follow(network, node.from[0], way, place, layer);
            }
            Err(problem) => layer.problems.push(format!("`{}` {problem}", node.name)),
        },
        Layer::AdaptiveAverage(a) => match a.as_pool(node.input).map(tile) {
            Some(Ok(side)) => {
                way.pooling *= side;
                way.scale /= (side * side) as f64;
                follow(network, node.from[0], way, place, layer);
            }
            Some(Err(problem)) => layer.problems.push(format!("`{}` {problem}", node.name)),
            None => {
                let problem = "has windows that differ in size; choose sizes that divide those of its input";
                layer.problems.push(format!("`{}` {problem}", node.name));
            }
        },
        Layer::GlobalAverage if node.input.height == node.input.width => {
            way.pooling *= node.input.height;
            way.scale /= (node.input.height * node.input.width) as f64;
            follow(network, node.from[0], way, place, layer);
        }
        Layer::GlobalAverage => {
            layer
                .problems
                .push(format!("`{}` averages a map that is no square; let a linear layer read it", node.name));
        }
        Layer::Attention(_) => layer.problems.push(format!("reads `{}`, which is not on the chip", node.name)),
        Layer::Conv(_) | Layer::Linear(_) | Layer::Norm(_) => {
            layer
                .problems
                .push(format!("follows `{}` with no neurons between; put a `neuron` between them", node.name));
        }
    }
}
