//! Why a layer stays in f32 although less was asked for.

use crate::operators::Kernel;
use std::fmt;

/// Why a layer stays in f32.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Stays {
    /// The user forced kernels that have no such form.
    Forced(Kernel),
    /// The machine lacks the instructions.
    NoInstructions(&'static str),
    /// Its f32 kernel is faster at this fraction of active inputs.
    Faster(f64),
    /// Inputs are no small whole numbers.
    NotWhole,
    /// A weight is no number, or there are more inputs than 32-bit sums hold.
    DoesNotFit,
    /// Only plain convolutions have packed kernels.
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
