//! Convolution over spikes, and its gradients.
//!
//! Feature maps are channels-last, `[N, H, W, C]`, so that the channels of a pixel fill registers
//! and the active inputs of a pixel are one list. No kernel unrolls the input into memory. Each of
//! the three products has kernels of its own:
//!
//! | product | active inputs only | all inputs |
//! |---|---|---|
//! | output | [`gather`] | [`dense`], [`narrow`] (few channels) |
//! | weight gradient | [`gather_weight`] | [`dense_weight`], [`narrow_weight`] (few channels) |
//! | input gradient | | [`winograd`] (3×3, stride 1), [`narrow`], [`dense`] |
//!
//! Spikes are 0, 1 or small counts, and mostly 0. In a sparse kernel an active input costs one
//! addition of a weight row and a zero costs nothing. [`choice`] decides which kernel a call takes.
//! If the caller asks for less than f32, [`low`] computes products over all inputs, and
//! [`precision`] decides whether that is faster. Every value is computed in an order that does not
//! depend on the number of threads.

mod cache;
pub mod choice;
pub mod dense;
pub mod dense_weight;
pub mod events;
pub mod gather;
pub mod gather_weight;
pub(crate) mod layer;
pub mod low;
pub mod narrow;
pub mod narrow_weight;
pub mod pack;
pub mod precision;
pub mod winograd;

use crate::operators::{ConvOp, KernelChoice};
use events::Events;
use std::sync::Arc;

/// A layer's input, saved for the weight gradient.
#[derive(Debug, Clone)]
pub enum Kept {
    /// Its active values.
    Events(Arc<Events>),
    /// All its values.
    Values(burn::backend::flex::FlexTensor),
}

impl ConvOp {
    /// Whether the layer looks for active values in its input.
    fn looks_for_events(&self) -> bool {
        !matches!(self.kernel, KernelChoice::Dense | KernelChoice::Plain)
            && Events::fit(self.geometry.width, self.geometry.channels)
    }
}
