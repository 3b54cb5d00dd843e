//! A network and its weights made flat: what sessions share and never change.
//!
//! A network can be compiled when it has no clock in it: no bias, no batch norm (both removed by
//! `tickless finetune`), no max pooling; average and sum pooling with stride = kernel; between two
//! layers of neurons at most one weighted layer. Everything linear between neurons becomes one
//! edge, so a program is a list of spiking layers with the edges that leave each of them.
//! Time modules are the identity. The last layer is the readout: neurons give counts, anything
//! else accumulates logits.

pub use crate::compile::CompileOptions;
use crate::compile::flatten;
use crate::error::Result;
use crate::flat::FlatNetwork;
pub use crate::flat::LayerInfo;
use crate::table::Table;
use std::sync::Arc;
use tickless_net::{Network, Shape, Weights};
use tickless_simd::Isa;

/// A compiled network. Cloning it is cheap: clones share everything.
#[derive(Debug, Clone)]
pub struct Program {
    pub(crate) flat: Arc<FlatNetwork>,
}

impl Program {
    /// Compiles a network with its weights.
    ///
    /// # Errors
    /// If the network has something that needs a clock, a leak per step meets no `step_us`, a
    /// weight is missing, has another shape or is not finite, or a layer has no event-driven form
    /// here. The message names the layer and the remedy.
    pub fn compile(network: &Network, weights: &Weights, options: &CompileOptions) -> Result<Self> {
        Ok(Self { flat: Arc::new(flatten(network, weights, options)?) })
    }

    /// The network's name.
    pub fn name(&self) -> &str {
        &self.flat.name
    }

    /// Shape of the input.
    pub fn input(&self) -> Shape {
        self.flat.input
    }

    /// Shape of the readout: the classes as a vector, or a map.
    pub fn output(&self) -> Shape {
        self.flat.output
    }

    /// The spiking layers, each after those it hears.
    pub fn layers(&self) -> &[LayerInfo] {
        &self.flat.infos
    }

    /// Index in [`layers`](Self::layers) of the readout if it spikes; `None` if it accumulates.
    pub fn output_layer(&self) -> Option<usize> {
        self.flat.output_layer
    }

    /// The instruction set that it runs with.
    pub fn simd(&self) -> Isa {
        self.flat.simd
    }

    /// Whether it has 8-bit weights and 16-bit potentials.
    pub fn quantised(&self) -> bool {
        self.flat.small
    }

    /// Number of weights kept in memory.
    pub fn weights(&self) -> usize {
        self.flat.tables.iter().map(Table::len).sum()
    }
}
