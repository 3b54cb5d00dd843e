//! The flat form of a network and its weights: spiking layers and the edges that leave them.

use crate::edge::Edge;
use crate::layer::Rule;
use crate::table::Table;
use std::ops::Range;
use tickless_net::Shape;
use tickless_simd::Isa;

/// One spiking layer of a program.
#[derive(Debug, Clone, PartialEq)]
pub struct LayerInfo {
    /// Name of the layer in the network.
    pub name: String,
    /// Index of the layer in [`tickless_net::Network::nodes`].
    pub node: usize,
    /// Shape of the layer's neurons.
    pub shape: Shape,
}

/// The recurrent connections of a layer.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Late {
    /// Index of the edge from the layer to itself.
    pub edge: usize,
    /// Time until a spike returns, in µs.
    pub delay_us: u64,
}

/// The content of a program.
#[derive(Debug)]
pub(crate) struct FlatNetwork {
    pub name: String,
    pub input: Shape,
    pub output: Shape,
    /// Weight tables in the layout of `table.rs`. Paths through the same layer share a table.
    pub tables: Vec<Table>,
    /// Edges by source, in the order of propagation: first those of the input, then those of each
    /// layer.
    pub edges: Vec<Edge>,
    pub input_edges: Range<usize>,
    pub infos: Vec<LayerInfo>,
    /// One rule per layer, and one for an accumulating readout.
    pub rules: Vec<Rule>,
    /// The instruction set of the passes.
    pub simd: Isa,
    /// Indices of the layers in the general form, whose neurons can fire by themselves.
    pub timed: Vec<usize>,
    /// The recurrent connections of each spiking layer, if it has any.
    pub late: Vec<Option<Late>>,
    /// Whether each source has at most one edge and each target at most one source, so that a list
    /// of events can pass layer by layer.
    pub chain: bool,
    /// Whether weights have 8 bits and potentials 16 bits.
    pub small: bool,
    /// The spiking layer that is the readout; `None` if the readout accumulates.
    pub output_layer: Option<usize>,
}

impl FlatNetwork {
    /// Whether neurons fire, or spikes arrive, at other times than those of input events.
    pub fn acts_between_events(&self) -> bool {
        !self.timed.is_empty() || self.late.iter().any(Option::is_some)
    }
}
