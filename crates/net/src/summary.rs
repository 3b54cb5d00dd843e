//! A network in numbers, layer by layer, for listings and drawings.

use crate::layer::{Layer, PoolKind, RecurrentKind};
use crate::network::{InputKind, Network, Node, NodeId};
use crate::shape::Shape;
use serde::Serialize;

/// One layer.
#[derive(Debug, Clone, PartialEq, Serialize)]
#[non_exhaustive]
pub struct LayerSummary {
    /// Its name.
    pub name: String,
    /// Its kind, as recipes spell it.
    pub kind: &'static str,
    /// Its parameters in a few words, e.g. `3×3 stride 2 padding 1`.
    pub detail: String,
    /// The layers that it reads; `input` is the network's input.
    pub from: Vec<String>,
    /// Stage, from 1; `None` for pooling of the raw input before the first stage.
    pub stage: Option<usize>,
    /// Shape of the output of one step.
    pub output: Shape,
    /// Trainable values.
    pub parameters: usize,
    /// Multiply-accumulates of one step and sample if every input is active.
    pub operations: u64,
}

/// A whole network.
#[derive(Debug, Clone, PartialEq, Serialize)]
#[non_exhaustive]
pub struct Summary {
    /// Its name.
    pub network: String,
    /// Shape of one step of its input.
    pub input: Shape,
    /// Recordings or images.
    pub kind: InputKind,
    /// Number of stages.
    pub stages: usize,
    /// Trainable values.
    pub parameters: usize,
    /// Multiply-accumulates of one step and sample if every input is active.
    pub operations: u64,
    /// All layers, in order.
    pub layers: Vec<LayerSummary>,
}

/// Describes a network.
pub fn summary(network: &Network) -> Summary {
    let name = |id: &NodeId| match *id {
        NodeId::Input => "input".to_owned(),
        NodeId::Node(i) => network.nodes()[i].name.clone(),
    };
    let layers = network.nodes().iter().map(|node| LayerSummary {
        name: node.name.clone(),
        kind: node.layer.kind(),
        detail: detail(node),
        from: node.from.iter().map(name).collect(),
        stage: node.stage.map(|s| s + 1),
        output: node.output,
        parameters: node.tensors().iter().filter(|t| t.trainable).map(|t| t.shape.iter().product::<usize>()).sum(),
        operations: operations(network, node),
    });
    let layers: Vec<LayerSummary> = layers.collect();
    Summary {
        network: network.name().to_owned(),
        input: network.input().shape,
        kind: network.input().kind,
        stages: network.stages(),
        parameters: layers.iter().map(|l| l.parameters).sum(),
        operations: layers.iter().fold(0, |sum, l| sum.saturating_add(l.operations)),
        layers,
    }
}

fn operations(network: &Network, node: &Node) -> u64 {
    let outputs = node.output.len() as u64;
    match node.layer {
        Layer::Conv(c) => outputs.saturating_mul((c.window.taps() * (node.input.channels / c.groups)) as u64),
        Layer::Attention(a) => match node.from[..] {
            [q, k, v] => a.operations(network.shape_of(q), network.shape_of(k), network.shape_of(v)),
            _ => 0,
        },
        Layer::Linear(_) => outputs.saturating_mul(node.input.len() as u64),
        Layer::Neuron(_) => match node.recurrent.map(|r| r.kind) {
            Some(RecurrentKind::Dense) => outputs * node.output.channels as u64,
            Some(RecurrentKind::OneToOne) => outputs,
            None => 0,
        },
        _ => 0,
    }
}

fn detail(node: &Node) -> String {
    let with = |text: String, bias: bool| if bias { format!("{text} bias") } else { text };
    match node.layer {
        Layer::Ttm(mode) => mode.to_string(),
        Layer::Conv(c) if c.groups > 1 => with(format!("{} groups {}", c.window, c.groups), c.bias),
        Layer::Conv(c) => with(c.window.to_string(), c.bias),
        Layer::Pool(p) => {
            let kind = match p.kind {
                PoolKind::Average => "average",
                PoolKind::Sum => "sum",
                PoolKind::Max => "max",
            };
            format!("{kind} {}", p.window)
        }
        Layer::Linear(l) => with(String::new(), l.bias).trim().to_owned(),
        Layer::AdaptiveAverage(a) => format!("to {}×{}", a.rows, a.columns),
        Layer::Dropout(d) => format!("rate {}", d.rate),
        Layer::Attention(a) => format!("heads {} scale {}", a.heads, a.scale),
        Layer::Neuron(n) => {
            let threshold = match &node.thresholds {
                Some(_) => "thresholds per channel".to_owned(),
                None => format!("threshold {}", n.threshold),
            };
            let recurrent = node.recurrent.map_or_else(String::new, |r| format!(", recurrent {}", r.kind));
            format!("{}, {threshold}{recurrent}", if n.leaks() { "leaky" } else { "no leak" })
        }
        Layer::Norm(_) | Layer::GlobalAverage | Layer::Add => String::new(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::zoo::{ZooOptions, build, entries};

    #[test]
    fn the_parts_add_up_to_the_network() {
        for e in entries() {
            let net = build(e.name, &ZooOptions::default()).unwrap();
            let s = summary(&net);
            assert_eq!(s.parameters, net.trainable_values(), "{}", e.name);
            assert_eq!(s.layers.len(), net.nodes().len());
            assert!(s.operations > 0);
        }
    }

    #[test]
    fn operations_are_those_counted_by_hand() {
        let s = summary(&build("nmnist-small", &ZooOptions::default()).unwrap());
        let operations = |name: &str| s.layers.iter().find(|l| l.name == name).unwrap().operations;
        assert_eq!(operations("conv1"), 8 * 17 * 17 * 9 * 2);
        assert_eq!(operations("conv2"), 16 * 8 * 8 * 9 * 8);
        assert_eq!(operations("linear1"), 2560);
        assert_eq!(operations("pool1"), 0);
        // 64 tokens of 384 channels in 12 heads of 32: K^T V, then Q times that, is the cheaper order.
        let s = summary(&build("spikformer-2-384", &ZooOptions::default()).unwrap());
        let layer = s.layers.iter().find(|l| l.name == "block2.attention1").unwrap();
        assert_eq!((layer.operations, layer.parameters), (2 * 12 * 64 * 32 * 32, 0));
        assert_eq!(layer.detail, "heads 12 scale 0.125");
    }
}
