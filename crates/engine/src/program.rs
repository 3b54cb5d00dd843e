//! The compiled form of a network and its weights. All sessions share it, and none changes it.
//!
//! Only some networks can run event-driven. A network must have no bias and no batch norm
//! (`tickless finetune` removes both), no max pooling and no attention, average and sum pooling only
//! with stride = kernel, and at most one weighted layer between two layers of neurons. The compiler
//! merges all linear layers between two layers of neurons into one edge, so a program is a list of
//! spiking layers and of the edges that leave them. It skips temporal transformation modules,
//! because the engine has no time steps. The last layer is the readout: if it has neurons, its
//! output is their spike counts, otherwise it adds up logits.

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

    /// Shape of the readout, `[C, H, W]`; H = W = 1 if it is a vector of classes.
    pub fn output(&self) -> Shape {
        self.flat.output
    }

    /// The spiking layers, each after those whose spikes it receives.
    pub fn layers(&self) -> &[LayerInfo] {
        &self.flat.infos
    }

    /// Index in [`layers`](Self::layers) of the readout if it has neurons; `None` if it adds up
    /// logits.
    pub fn output_layer(&self) -> Option<usize> {
        self.flat.output_layer
    }

    /// The instruction set for which the program's kernels are chosen.
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
