//! The compiled form of a network and its weights, which sessions share and never change.
//!
//! A network must run event-driven: it must have no bias and no batch norm (`tickless finetune`
//! removes both), no max pooling, average and sum pooling only with stride = kernel, and at most
//! one weighted layer between two layers of neurons. All linear layers between neurons become one
//! edge, so a program is a list of spiking layers and the edges that leave them. Temporal
//! transformation modules have no effect. The last layer is the readout: neurons yield spike
//! counts, any other layer accumulates logits.

pub use crate::compile::CompileOptions;
use crate::compile::flatten;
use crate::error::Result;
use crate::flat::FlatNetwork;
pub use crate::flat::LayerInfo;
use crate::table::Table;
use std::sync::Arc;
use tickless_net::{Network, Shape, Weights};
use tickless_simd::Isa;

/// A compiled network. Clones share all data, so cloning is cheap.
#[derive(Debug, Clone)]
pub struct Program {
    pub(crate) flat: Arc<FlatNetwork>,
}

impl Program {
    /// Compiles a network with its weights.
    ///
    /// # Errors
    /// If the network cannot run event-driven, a parameter per step needs `step_us` and it is
    /// missing, a weight is missing, has another shape or is not finite, or a layer has no
    /// event-driven form. The message names the layer and the remedy.
    pub fn compile(network: &Network, weights: &Weights, options: &CompileOptions) -> Result<Self> {
        Ok(Self { flat: Arc::new(flatten(network, weights, options)?) })
    }

    /// Name of the network.
    pub fn name(&self) -> &str {
        &self.flat.name
    }

    /// Shape of the input, `[C, H, W]`.
    pub fn input(&self) -> Shape {
        self.flat.input
    }

    /// Shape of the readout: a vector of classes, or a map.
    pub fn output(&self) -> Shape {
        self.flat.output
    }

    /// The spiking layers, each after those whose spikes it receives.
    pub fn layers(&self) -> &[LayerInfo] {
        &self.flat.infos
    }

    /// Index in [`layers`](Self::layers) of the readout if it spikes; `None` if it accumulates.
    pub fn output_layer(&self) -> Option<usize> {
        self.flat.output_layer
    }

    /// The instruction set of the program's arithmetic.
    pub fn simd(&self) -> Isa {
        self.flat.simd
    }

    /// Whether the program has 8-bit weights and 16-bit potentials.
    pub fn quantised(&self) -> bool {
        self.flat.small
    }

    /// Number of weights in memory.
    pub fn weights(&self) -> usize {
        self.flat.tables.iter().map(Table::len).sum()
    }
}
