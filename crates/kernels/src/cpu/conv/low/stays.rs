//! Reasons why a layer stays in f32 although the caller asked for less precision.

use crate::operators::KernelChoice;
use std::fmt;

/// The reason why a layer stays in f32.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Stays {
    /// The caller forced kernels that have no low-precision form.
    Forced(KernelChoice),
    /// The machine lacks these instructions.
    NoInstructions(&'static str),
    /// An f32 kernel is faster at this fraction of active inputs.
    Faster(f64),
    /// The inputs are not small whole numbers.
    NotWhole,
    /// A weight is not finite, or there are more inputs than 32-bit sums can hold.
    DoesNotFit,
    /// The layer is not a plain convolution, and only those have packed kernels.
    OtherLayer(&'static str),
}

impl fmt::Display for Stays {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Stays::Forced(k) => write!(f, "kernel `{k}` is forced"),
            Stays::NoInstructions(name) => write!(f, "this machine has no {name}"),
            Stays::Faster(density) => write!(f, "faster with {:.1} % active", 100.0 * density),
            Stays::NotWhole => f.write_str("inputs are not whole numbers up to 255"),
            Stays::DoesNotFit => f.write_str("a weight is not finite, or the layer has too many inputs"),
            Stays::OtherLayer(what) => f.write_str(what),
        }
    }
}
