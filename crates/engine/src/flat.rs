//! The flat form of a network and its weights: spiking layers, and the edges that leave each.

use crate::edge::Edge;
use crate::layer::Rule;
use crate::table::Table;
use std::ops::Range;
use tickless_net::Shape;
use tickless_simd::Isa;

/// One spiking layer of a program.
#[derive(Debug, Clone, PartialEq)]
pub struct LayerInfo {
    /// Its name in the network.
    pub name: String,
    /// Its index in [`Network::nodes`].
    pub node: usize,
    /// Shape of its neurons.
    pub shape: Shape,
}

/// The content of a program.
#[derive(Debug)]
pub(crate) struct FlatNetwork {
    pub name: String,
    pub input: Shape,
    pub output: Shape,
    /// Weight tables, in the order of `table.rs`; paths through the same layer share one.
    pub tables: Vec<Table>,
    /// Edges by source: first the input's, then each layer's, in the order of propagation.
    pub edges: Vec<Edge>,
    pub input_edges: Range<usize>,
    pub infos: Vec<LayerInfo>,
    /// One a layer, and one more for a readout that accumulates.
    pub rules: Vec<Rule>,
    /// The instruction set that passes run with.
    pub simd: Isa,
    /// Layers whose neurons fire by themselves.
    pub timed: Vec<usize>,
    /// Whether every layer hears one source, so that whole lists of events can go layer by layer.
    pub chain: bool,
    /// Whether its numbers are 8-bit weights and 16-bit potentials.
    pub small: bool,
    /// The spiking layer that is the readout, if the readout spikes.
    pub output_layer: Option<usize>,
}
