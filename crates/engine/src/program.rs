//! A network and its weights made flat: what sessions share and never change.
//!
//! A network can be compiled when it has no clock in it: no bias, no batch norm (both removed by
//! `tickless finetune`), no max pooling; average and sum pooling with stride = kernel; between two
//! layers of neurons at most one weighted layer. Everything linear between neurons becomes one
//! edge, so a program is a list of spiking layers with the edges that leave each of them.
//! Time modules are the identity. The last layer is the readout: neurons give counts, anything
//! else accumulates logits.

use crate::compile;
use crate::edge::Edge;
use crate::error::Result;
use crate::kernel::Simd;
use crate::layer::Rule;
use crate::table::Table;
use std::ops::Range;
use std::sync::Arc;
use tickless_net::{Network, Shape, Weights};

/// What a compilation needs besides the network and its weights.
#[derive(Debug, Clone, Copy, PartialEq, Default)]
pub struct CompileOptions {
    /// Duration of one training step in µs (Δ = span / T_max), which turns a leak λ per step into
    /// the time constant τ = −Δ/ln λ. Needed only where a neuron leaks per step.
    pub step_us: Option<f64>,
    /// The form of the arithmetic; the fastest that the machine has unless given. All give the
    /// same bits, so this is for tests and comparisons. One that the machine lacks is not taken.
    pub simd: Option<Simd>,
    /// 8-bit weights and 16-bit potentials, one joint scale a layer, as on a chip.
    pub quantised: bool,
}

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

/// A compiled network. Cloning it is cheap: clones share everything.
#[derive(Debug, Clone)]
pub struct Program {
    pub(crate) plan: Arc<Plan>,
}

/// The content of a program.
#[derive(Debug)]
pub(crate) struct Plan {
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
    pub simd: Simd,
    /// Layers whose neurons fire by themselves.
    pub timed: Vec<usize>,
    /// Whether every layer hears one source, so that whole lists of events can go layer by layer.
    pub chain: bool,
    /// Whether its numbers are 8-bit weights and 16-bit potentials.
    pub small: bool,
    /// The spiking layer that is the readout, if the readout spikes.
    pub output_layer: Option<usize>,
}

impl Program {
    /// Compiles a network with its weights.
    ///
    /// # Errors
    /// If the network has something that needs a clock, a leak per step meets no `step_us`, a
    /// weight is missing, has another shape or is not finite, or a layer has no event-driven form
    /// here. The message names the layer and the remedy.
    pub fn compile(network: &Network, weights: &Weights, options: &CompileOptions) -> Result<Self> {
        Ok(Self { plan: Arc::new(compile::plan(network, weights, options)?) })
    }

    /// The network's name.
    pub fn name(&self) -> &str {
        &self.plan.name
    }

    /// Shape of the input.
    pub fn input(&self) -> Shape {
        self.plan.input
    }

    /// Shape of the readout: the classes as a vector, or a map.
    pub fn output(&self) -> Shape {
        self.plan.output
    }

    /// The spiking layers, each after those it hears.
    pub fn layers(&self) -> &[LayerInfo] {
        &self.plan.infos
    }

    /// Index in [`layers`](Self::layers) of the readout if it spikes; `None` if it accumulates.
    pub fn output_layer(&self) -> Option<usize> {
        self.plan.output_layer
    }

    /// The form of the arithmetic that it runs with.
    pub fn simd(&self) -> Simd {
        self.plan.simd
    }

    /// Whether it has 8-bit weights and 16-bit potentials.
    pub fn quantised(&self) -> bool {
        self.plan.small
    }

    /// Number of weights kept in memory.
    pub fn weights(&self) -> usize {
        self.plan.tables.iter().map(Table::len).sum()
    }
}
