//! Determines which framework wrote a NIR graph.
//!
//! Frameworks give the same nodes different meanings ([`Reader`]), so a wrong guess of the writer
//! would silently change the neurons. [`written_by`] accepts only evidence that exactly one writer
//! leaves (τ and the step Δt are in seconds):
//!
//! - a text in the metadata that names one framework;
//! - `LIF` with τ of a second or more and r = 1: sinabs counts τ in steps;
//! - `IF` with r = 1/Δt = 10,000: SpikingJelly;
//! - `LIF` with r = τ/Δt at Δt = 0.1 ms, at least one of them in f32: snnTorch (SpikingJelly writes the
//!   same for `decay_input=False`, but all of it in f64);
//! - `SumPool2d` between `IF`s with r = 1: of the exporters, only sinabs writes both;
//! - `Flatten` from dimension 1 of a map to the end: Norse counts the batch as a dimension;
//! - a nested graph of `lif` and `w_rec`: snnTorch's recurrent layers.
//!
//! Source: the export functions of sinabs 3.1, snnTorch 1.0, SpikingJelly 2.0 and Norse 1.1.

use super::graph::{Graph, Node};
use super::metadata::KEY;
use super::reader::Reader;
use std::fmt;
use std::str::FromStr;
use tickless_words::UnknownWord;

/// The convention by which the parameters of a graph's neurons are read.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Dialect {
    /// The graph was written by this library, and its metadata hold a description of the network.
    Tickless,
    /// The convention of one framework.
    Of(Reader),
    /// NIR's own differential equations, discretised by Euler's rule.
    Plain,
}

impl Dialect {
    /// Every dialect with its name in options and messages.
    pub const WORDS: [(&'static str, Self); 6] = [
        ("tickless", Dialect::Tickless),
        ("plain", Dialect::Plain),
        (Reader::Sinabs.as_str(), Dialect::Of(Reader::Sinabs)),
        (Reader::SnnTorch.as_str(), Dialect::Of(Reader::SnnTorch)),
        (Reader::SpikingJelly.as_str(), Dialect::Of(Reader::SpikingJelly)),
        (Reader::Norse.as_str(), Dialect::Of(Reader::Norse)),
    ];

    /// The name of the dialect in options and messages.
    pub fn as_str(self) -> &'static str {
        match self {
            Dialect::Tickless => "tickless",
            Dialect::Plain => "plain",
            Dialect::Of(reader) => reader.as_str(),
        }
    }
}

impl FromStr for Dialect {
    type Err = UnknownWord;

    fn from_str(word: &str) -> Result<Self, UnknownWord> {
        tickless_words::find("dialect", word, &Self::WORDS)
    }
}

impl fmt::Display for Dialect {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.as_str())
    }
}

/// The writer of a graph and the evidence for it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Writer {
    /// The dialect of the writer.
    pub dialect: Dialect,
    /// The property of the graph that identifies the writer.
    pub evidence: String,
}

/// The writer of a graph; `None` if nothing in the graph identifies it or if two pieces of evidence
/// name different writers.
///
/// A graph without neurons means the same in every dialect and counts as [`Dialect::Plain`].
pub fn written_by(graph: &Graph) -> Option<Writer> {
    if graph.metadata.contains_key(KEY) {
        let evidence = "its metadata hold a description by Tickless".to_owned();
        return Some(Writer { dialect: Dialect::Tickless, evidence });
    }
    let mut nodes = Vec::new();
    collect(graph, &mut nodes);
    if !nodes.iter().any(|n| is_neuron(n)) {
        return Some(Writer { dialect: Dialect::Plain, evidence: "it has no neurons".to_owned() });
    }
    let mut found: Vec<(Reader, String)> = Vec::new();
    for (key, value) in &graph.metadata {
        let text = format!("{key} {value}").to_lowercase();
        for reader in Reader::ALL.into_iter().filter(|r| text.contains(r.as_str())) {
            found.push((reader, format!("its metadata say `{key}`: {}", reader.name())));
        }
    }
    found.extend(structure(&nodes));
    if has_recurrent_layer(graph) {
        found.push((Reader::SnnTorch, "it has a nested graph of `lif` and `w_rec`".to_owned()));
    }
    let (reader, evidence) = found.first()?.clone();
    let one = found.iter().all(|(r, _)| *r == reader);
    one.then_some(Writer { dialect: Dialect::Of(reader), evidence })
}

/// Collects the nodes of a graph and of its subgraphs.
fn collect<'a>(graph: &'a Graph, into: &mut Vec<&'a Node>) {
    for node in graph.nodes.values() {
        match node {
            Node::Graph(inner) => collect(inner, into),
            _ => into.push(node),
        }
    }
}

/// Whether a nested graph has the nodes of snnTorch's recurrent layers.
fn has_recurrent_layer(graph: &Graph) -> bool {
    graph.nodes.values().any(|n| match n {
        Node::Graph(inner) => inner.nodes.keys().eq(["input", "lif", "output", "w_rec"]) || has_recurrent_layer(inner),
        _ => false,
    })
}

fn is_neuron(node: &Node) -> bool {
    node.spikes() || matches!(node, Node::I { .. } | Node::Li { .. } | Node::CubaLi { .. })
}

/// The frameworks that the nodes' parameters point to, each with the evidence.
fn structure(nodes: &[&Node]) -> Vec<(Reader, String)> {
    // Relative tolerance, because f32 stores 0.0004 and its quotients with seven digits only.
    let near = |a: f64, b: f64| (a - b).abs() <= 1e-4 * b.abs();
    let all_one = |r: &[f64]| !r.is_empty() && r.iter().all(|v| *v == 1.0);
    let ifs: Vec<&[f64]> =
        nodes.iter().filter_map(|n| if let Node::If { r, .. } = n { Some(r.data.as_slice()) } else { None }).collect();
    let lifs: Vec<(&[f64], &[f64])> = nodes
        .iter()
        .filter_map(|n| match n {
            Node::Lif { tau, r, .. } => Some((tau.data.as_slice(), r.data.as_slice())),
            _ => None,
        })
        .collect();
    let mut all = Vec::new();
    if !lifs.is_empty() && lifs.iter().all(|(tau, r)| all_one(r) && !tau.is_empty() && tau.iter().all(|t| *t >= 1.0)) {
        all.push((Reader::Sinabs, "its time constants are 1 and more, so they count steps".to_owned()));
    }
    let per_step = 1.0 / Reader::SpikingJelly.dt();
    if !ifs.is_empty() && ifs.iter().all(|r| !r.is_empty() && r.iter().all(|v| near(*v, per_step))) {
        all.push((Reader::SpikingJelly, format!("its `IF` have r = 1/Δt = {per_step}")));
    }
    let of_step = |(tau, r): &(&[f64], &[f64])| {
        let each = tau.iter().zip(*r).all(|(t, r)| near(*r, t / Reader::SnnTorch.dt()) && *r != 1.0);
        tau.len() == r.len() && !tau.is_empty() && each
    };
    let single = |n: &&Node| matches!(n, Node::Lif { tau, r, .. } if !tau.double || !r.double);
    if nodes.iter().any(single) && lifs.iter().all(of_step) {
        all.push((Reader::SnnTorch, "its `LIF` have r = τ/Δt for a step of 0.1 ms".to_owned()));
    }
    let sums = nodes.iter().any(|n| matches!(n, Node::SumPool2d(_)));
    if sums && lifs.is_empty() && !ifs.is_empty() && ifs.iter().all(|r| all_one(r)) {
        all.push((Reader::Sinabs, "it has `SumPool2d` between `IF` with r = 1".to_owned()));
    }
    let batch = |n: &&Node| match n {
        Node::Flatten { start: 1, end, input } => {
            let map = input.as_ref().is_none_or(|shape| shape.len() == 3);
            map && (*end == -1 || *end == 3)
        }
        _ => false,
    };
    if nodes.iter().any(batch) {
        all.push((Reader::Norse, "its `Flatten` counts the batch as a dimension".to_owned()));
    }
    all
}

#[cfg(test)]
mod tests {
    use super::super::graph::{Tensor, Window};
    use super::*;

    fn graph(nodes: Vec<Node>) -> Graph {
        let nodes = nodes.into_iter().enumerate().map(|(i, n)| (i.to_string(), n)).collect();
        Graph { nodes, ..Graph::default() }
    }

    fn lif(tau: f64, r: f64) -> Node {
        let full = |v| Tensor::full(&[2], v);
        Node::Lif { tau: full(tau), r: full(r), leak: full(0.0), threshold: full(1.0), reset: full(0.0) }
    }

    fn in_f64(node: Node) -> Node {
        let double = |t: Tensor| Tensor { double: true, ..t };
        match node {
            Node::Lif { tau, r, leak, threshold, reset } => {
                let (tau, r) = (double(tau), double(r));
                Node::Lif { tau, r, leak, threshold, reset }
            }
            Node::If { r, threshold, reset } => Node::If { r: double(r), threshold, reset },
            other => other,
        }
    }

    fn integrator(r: f64) -> Node {
        let full = |v| Tensor::full(&[2], v);
        Node::If { r: full(r), threshold: full(1.0), reset: full(0.0) }
    }

    fn reader(graph: &Graph) -> Option<Dialect> {
        written_by(graph).map(|w| w.dialect)
    }

    #[test]
    fn a_graph_is_named_after_what_one_writer_alone_leaves() {
        let pool = Node::SumPool2d(Window { kernel: (2, 2), stride: (2, 2), padding: (0, 0) });
        let flatten = Node::Flatten { start: 1, end: -1, input: Some(vec![2, 4, 4]) };
        let cases = [
            (vec![lif(20.0, 1.0)], Some(Reader::Sinabs)),
            (vec![integrator(1.0), pool.clone()], Some(Reader::Sinabs)),
            (vec![integrator(1e4)], Some(Reader::SpikingJelly)),
            (vec![lif(4e-4, 4.0)], Some(Reader::SnnTorch)),
            (vec![lif(0.01, 1.0), flatten], Some(Reader::Norse)),
            // No parameter of these nodes identifies a writer.
            (vec![integrator(1.0)], None),
            (vec![lif(0.0025, 1.0)], None),
            (vec![lif(0.0025, 24.02)], None),
            // snnTorch and SpikingJelly write these, SpikingJelly in f64.
            (vec![lif(4e-4, 4.0), in_f64(lif(4e-4, 4.0))], Some(Reader::SnnTorch)),
            (vec![in_f64(lif(4e-4, 4.0))], None),
            (vec![in_f64(integrator(1e4)), in_f64(lif(4e-4, 4.0))], Some(Reader::SpikingJelly)),
            // Evidence for two writers identifies neither.
            (vec![integrator(1e4), lif(20.0, 1.0)], None),
        ];
        for (nodes, want) in cases {
            assert_eq!(reader(&graph(nodes.clone())), want.map(Dialect::Of), "{nodes:?}");
        }
        assert_eq!(reader(&graph(vec![pool])), Some(Dialect::Plain), "without neurons all dialects are one");
    }

    #[test]
    fn metadata_name_the_writer_unless_they_name_two() {
        let mut g = graph(vec![integrator(1.0)]);
        g.metadata.insert("framework".into(), "snnTorch 1.0".into());
        assert_eq!(reader(&g), Some(Dialect::Of(Reader::SnnTorch)));
        g.metadata.insert("converted_by".into(), "norse".into());
        assert_eq!(reader(&g), None);
    }
}
