//! Which kernel a layer runs on. With `KernelChoice::Auto` the measured density and the shape decide.
//!
//! The cost model counts cycles per output pixel for `nv` registers, on a core that does two
//! register multiply-adds per cycle. In the dense kernel a tap and input cost half a cycle per
//! register. In the sparse kernel an active input costs 0.9 cycles per register, but at least two
//! cycles, and each kernel row of the window costs the start of a loop. On a core with one
//! multiply-add per cycle a dense tap takes twice as long and an active input 1.4 cycles, so the
//! sparse kernel gains more there than the model says.

use crate::operators::{Geometry, KernelChoice};
use crate::options::ComputeOptions;
use std::fmt;
use std::io::Write;

impl KernelChoice {
    /// Whether the forward pass runs on active inputs only, if this fraction of inputs is active.
    pub(crate) fn gathers(self, g: &Geometry, density: f64) -> bool {
        match self {
            KernelChoice::Sparse => true,
            KernelChoice::Dense | KernelChoice::Plain => false,
            KernelChoice::Auto => {
                let (nv, inputs) = (g.out.div_ceil(16).min(4) as f64, (g.taps() * g.channels) as f64);
                cost_of_active(g, density) < 0.5 * inputs * nv
            }
        }
    }

    /// Whether the weight gradient runs on active inputs only. `narrow` says whether the dense
    /// kernel for few channels supports the layer.
    ///
    /// That kernel costs one cycle per tap and register for each input. The sparse kernel costs 60
    /// cycles per active input, which it must find, sort, and multiply into nine rows of two
    /// registers (measured on Zen 4, 8 → 16 channels).
    pub(crate) fn gathers_weight(self, g: &Geometry, density: f64, narrow: bool) -> bool {
        match self {
            KernelChoice::Sparse => true,
            KernelChoice::Dense | KernelChoice::Plain => false,
            KernelChoice::Auto if narrow => density < (0.16 * g.out.div_ceil(16) as f64).min(0.4),
            KernelChoice::Auto => density < 0.55,
        }
    }
}

/// Cycles of the sparse kernel for one output pixel and one panel.
pub(super) fn cost_of_active(g: &Geometry, density: f64) -> f64 {
    let (nv, inputs) = (g.out.div_ceil(16).min(4) as f64, (g.taps() * g.channels) as f64);
    14.0 * g.kernel as f64 + inputs * density * (0.9 * nv).max(2.0)
}

/// Prints on standard error which kernels a call uses, if the program asks for the report.
pub(crate) fn report(g: &Geometry, images: usize, density: Option<f64>, forward: bool, weight: bool) {
    if ComputeOptions::installed().report {
        let word = |sparse| if sparse { "sparse" } else { "dense" };
        let density = density.map_or_else(|| "not measured".into(), |d| format!("{:.1} %", 100.0 * d));
        let (forward, weight) = (word(forward), word(weight));
        say(format_args!("{}: active {density}, forward {forward}, weight gradient {weight}", g.name(images)));
    }
}

/// Writes a line of the report to standard error. A write error is ignored, because the report must
/// not stop the program.
pub(super) fn say(line: fmt::Arguments<'_>) {
    let _ = writeln!(std::io::stderr().lock(), "{line}");
}
