//! Compiles the graph of a network to a flat program: finds every linear path between neurons and
//! folds it into one edge.
//!
//! The search is depth first and visits the readers of a node in node order. This order is the
//! order of propagation that `deliver` describes.

use crate::edge::{Edge, Geometry};
use crate::error::{Error, Result};
use crate::flat::{FlatNetwork, Late, LayerInfo};
use crate::layer::Rule;
use crate::path::{Folded, Merged};
use crate::quantise::quantise;
use crate::table::{Table, recurrent_table, table};
use std::collections::HashMap;
use std::ops::Range;
use std::path::Path;
use tickless_net::{Layer, Network, NodeId, RecurrentKind, Shape, Weights, Window};
use tickless_simd::Aligned;
use tickless_simd::Isa;

/// Largest number of linear paths. More arise only if merges read merges without neurons between.
const MAX_PATHS: usize = 1 << 16;

/// Largest number of spikes that one event may cause in a neuron. A larger number means that
/// weights are far too large for the threshold.
const MAX_BURST: f32 = 65_536.0;

/// Options of a compilation.
#[derive(Debug, Clone, Copy, PartialEq, Default)]
pub struct CompileOptions {
    /// Duration of one training step in µs (Δ = span / T_max), which converts a leak λ per step to
    /// the time constant τ = −Δ/ln λ. Needed only if a neuron has a parameter per step.
    pub step_us: Option<f64>,
    /// The instruction set; `None` selects the best one of this processor. All give the same bits,
    /// so this option is only for tests and comparisons.
    pub simd: Option<Isa>,
    /// Whether to use 8-bit weights and 16-bit potentials with one joint scale per layer, as a chip
    /// does.
    pub quantised: bool,
}

/// Compiles a network; see [`Program::compile`](crate::Program::compile).
pub(crate) fn flatten(net: &Network, weights: &Weights, options: &CompileOptions) -> Result<FlatNetwork> {
    net.check_event_driven()?;
    weights.check(net, Path::new("<memory>"))?;
    let learned = weights.with_learned_leaks(net)?;
    let net = &learned;
    let spiking = net.spiking();
    let mut made =
        Maker { net, weights, readers: readers(net), tables: Vec::new(), known: HashMap::new(), edges: Vec::new() };
    let mut flat = FlatNetwork {
        name: net.name().to_owned(),
        input: addressable("input", net.input().shape)?,
        output: addressable("output", net.output())?,
        tables: Vec::new(),
        edges: Vec::new(),
        input_edges: made.leave(NodeId::Input, &spiking)?,
        infos: Vec::with_capacity(spiking.len()),
        rules: Vec::with_capacity(spiking.len() + 1),
        simd: options.simd.unwrap_or_else(Isa::best),
        timed: Vec::new(),
        late: Vec::with_capacity(spiking.len()),
        chain: false,
        small: options.quantised,
        output_layer: spiking.iter().position(|&i| i + 1 == net.nodes().len()),
    };
    for &i in &spiking {
        let node = &net.nodes()[i];
        let Layer::Neuron(neuron) = node.layer else { continue };
        let shape = addressable(&node.name, node.output)?;
        let leaving = made.leave(NodeId::Node(i), &spiking)?;
        flat.rules.push(Rule::new(&node.name, &neuron, options.step_us, shape, leaving)?);
        flat.infos.push(LayerInfo { name: node.name.clone(), node: i, shape });
    }
    for (layer, &i) in spiking.iter().enumerate() {
        flat.late.push(made.recurrent(i, layer, options.step_us)?);
    }
    if flat.output_layer.is_none() {
        flat.rules.push(Rule::readout(flat.output));
    }
    for e in &made.edges {
        if let Some(info) = flat.infos.get(e.target) {
            let strongest = made.tables[e.table].iter().fold(0.0f32, |m, &w| m.max(w));
            let threshold = flat.rules[e.target].threshold;
            if strongest / threshold > MAX_BURST {
                let problem = format!(
                    "a weight of {strongest} against a threshold of {threshold} makes more than {MAX_BURST} spikes of one event; scale the weights down"
                );
                return Err(Error::layer(&info.name, problem));
            }
        }
        flat.rules[e.target].add_input(e);
    }
    flat.timed = (0..flat.rules.len()).filter(|&l| flat.rules[l].timed.is_some()).collect();
    flat.chain = is_chain(&flat, &made.edges);
    flat.edges = made.edges;
    if options.quantised {
        quantise(&mut flat, &made.tables)?;
    } else {
        flat.tables = made.tables.iter().map(|t| Table::Float(Aligned::copy_of(t))).collect();
    }
    Ok(flat)
}

/// Whether every source has at most one edge and every target is reached by at most one.
fn is_chain(flat: &FlatNetwork, edges: &[Edge]) -> bool {
    let has_one_source = |target: usize| edges.iter().filter(|e| e.target == target).count() <= 1;
    flat.input_edges.len() <= 1
        && flat.rules.iter().all(|r| r.edges.len() <= 1)
        && (0..flat.rules.len()).all(has_one_source)
}

/// Checks that row and column fit into 16 bits each.
fn addressable(name: &str, shape: Shape) -> Result<Shape> {
    if shape.height > 1 << 16 || shape.width > 1 << 16 || shape.len() > u32::MAX as usize {
        return Err(Error::layer(name, format!("{shape} is too large; a map has at most 65536 rows and columns")));
    }
    Ok(shape)
}

/// The nodes that read the input (first entry) and each node, in node order. If a merge reads a
/// node twice, it is listed twice.
fn readers(net: &Network) -> Vec<Vec<usize>> {
    let mut all = vec![Vec::new(); net.nodes().len() + 1];
    for (i, node) in net.nodes().iter().enumerate() {
        for &id in &node.from {
            all[slot(id)].push(i);
        }
    }
    all
}

fn slot(id: NodeId) -> usize {
    match id {
        NodeId::Input => 0,
        NodeId::Node(i) => i + 1,
    }
}

/// Identifies a table: weighted node, output channels, poolings merged into its kernel, scale, and
/// the target if its channels have thresholds of their own.
type TableKey = (Option<usize>, usize, Vec<Merged>, u64, Option<usize>);

struct Maker<'a> {
    net: &'a Network,
    weights: &'a Weights,
    readers: Vec<Vec<usize>>,
    tables: Vec<Vec<f32>>,
    known: HashMap<TableKey, usize>,
    edges: Vec<Edge>,
}

impl Maker<'_> {
    /// Creates all edges that leave a source.
    fn leave(&mut self, source: NodeId, spiking: &[usize]) -> Result<Range<usize>> {
        let start = self.edges.len();
        let mut paths = Vec::new();
        self.follow(source, &mut Vec::new(), &mut paths)?;
        for (nodes, end) in paths {
            let target = end.and_then(|i| spiking.iter().position(|&s| s == i)).unwrap_or(spiking.len());
            let edge = self.edge(self.net.shape_of(source), &nodes, target, end)?;
            self.edges.push(edge);
        }
        Ok(start..self.edges.len())
    }

    /// The recurrent connections of spiking layer number `layer`, which is node `i`: a 1×1
    /// convolution from the layer to itself.
    fn recurrent(&mut self, i: usize, layer: usize, step_us: Option<f64>) -> Result<Option<Late>> {
        let node = &self.net.nodes()[i];
        let Some(recurrent) = node.recurrent else { return Ok(None) };
        let Some(delay_us) = recurrent.us(step_us) else {
            let problem = "has recurrent connections that are one step late, and an event-driven run has no step: give `step_us` (mean span of the training recordings / T_max) or `delay_us`";
            return Err(Error::layer(&node.name, problem));
        };
        let shape = node.output;
        self.tables.push(recurrent_table(node, self.weights)?);
        let dense = recurrent.kind == RecurrentKind::Dense;
        let geometry = Geometry {
            source: (shape.height, shape.width),
            pool: (1, 1),
            pooled: (shape.height, shape.width),
            channels_in: shape.channels,
            window: Window::square(1, 1, 0),
            groups: if dense { 1 } else { shape.channels },
            out: (shape.height, shape.width, shape.channels),
        };
        self.edges.push(Edge::new(layer, self.tables.len() - 1, &geometry));
        Ok(Some(Late { edge: self.edges.len() - 1, delay_us }))
    }

    /// Collects all paths depth first, as (nodes, neuron at the end; `None` for the readout).
    fn follow(&self, id: NodeId, path: &mut Vec<usize>, out: &mut Vec<(Vec<usize>, Option<usize>)>) -> Result<()> {
        for &reader in &self.readers[slot(id)] {
            if matches!(self.net.nodes()[reader].layer, Layer::Neuron(_)) {
                out.push((path.clone(), Some(reader)));
                continue;
            }
            path.push(reader);
            if reader + 1 == self.net.nodes().len() {
                out.push((path.clone(), None));
            } else {
                self.follow(NodeId::Node(reader), path, out)?;
            }
            path.pop();
            if out.len() > MAX_PATHS {
                let name = &self.net.nodes()[reader].name;
                return Err(Error::layer(
                    name,
                    format!("more than {MAX_PATHS} paths lead on without neurons; put a `neuron` after the merges"),
                ));
            }
        }
        Ok(())
    }

    /// The edge of a path to layer `target`, which node `end` describes if it spikes.
    fn edge(&mut self, source: Shape, nodes: &[usize], target: usize, end: Option<usize>) -> Result<Edge> {
        let f = Folded::new(self.net, source, nodes)?;
        let scale = end.and_then(|i| self.net.nodes()[i].input_scale());
        let own = end.filter(|_| scale.is_some());
        let key = (f.weighted.map(|w| w.node), f.output.channels, f.merged.clone(), f.scale.to_bits(), own);
        let table = match self.known.get(&key) {
            Some(&t) => t,
            None => {
                self.tables.push(table(self.net, self.weights, &f, scale.as_deref())?);
                self.known.insert(key, self.tables.len() - 1);
                self.tables.len() - 1
            }
        };
        let channels = f.pooled.channels;
        let (window, groups) = f.weighted.map_or((Window::square(1, 1, 0), channels), |w| (w.window, w.groups));
        let geometry = Geometry {
            source: (source.height, source.width),
            pool: f.pool,
            pooled: (f.pooled.height, f.pooled.width),
            channels_in: channels,
            window,
            groups,
            out: (f.output.height, f.output.width, f.output.channels),
        };
        Ok(Edge::new(target, table, &geometry))
    }
}
