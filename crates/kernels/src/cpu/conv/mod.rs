//! Convolution over spikes, with its own backward.
//!
//! Feature maps are channels-last here, `[N, H, W, C]`: the channels of a pixel fill registers, the
//! active inputs of a pixel are a list, and neither pass unrolls anything into memory. Three
//! products, each with a kernel of its own:
//!
//! | product | active inputs only | all inputs |
//! |---|---|---|
//! | output | [`gather`] | [`dense`], [`narrow`] (few channels) |
//! | weight gradient | [`gather_weight`] | [`dense_weight`], [`narrow_weight`] (few channels) |
//! | input gradient | | [`winograd`] (3×3, stride 1), [`narrow`], [`dense`] |
//!
//! Spikes are 0, 1 or small counts, mostly 0: an active input costs one addition of a weight row,
//! the others nothing. [`choice`] says which kernel a call takes. Where the user asks for less than f32,
//! [`low`] computes the products over all inputs, and [`precision`] says where that pays. Every value is computed in an
//! order that does not depend on the number of threads.

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

use crate::operators::{ConvOp, Kernel};
use events::Events;
use std::sync::Arc;

/// What the weight gradient needs of a layer's input.
#[derive(Debug, Clone)]
pub enum Kept {
    /// Its active values.
    Events(Arc<Events>),
    /// All of it.
    Values(burn::backend::flex::FlexTensor),
}

impl ConvOp {
    /// Whether the input's active values are worth looking for.
    fn looks_for_events(&self) -> bool {
        !matches!(self.kernel, Kernel::Dense | Kernel::Plain)
            && Events::fit(self.geometry.width, self.geometry.channels)
    }
}
