//! Which kernel a layer runs on: measured density and shape decide, unless the user does.
//!
//! Costs are for one output pixel and `nv` registers, in cycles of a core that multiplies and adds two
//! registers a cycle: a dense tap and input is half a cycle a register; an active input is 0.9 cycles a
//! register, at least two, and a kernel row of the window costs the start of a loop. A core of one register a cycle
//! takes twice as long for a dense tap and 1.4 cycles for an active input, which favours active inputs more.

use crate::operators::{Geometry, Kernel};
use crate::options::ComputeOptions;
use std::fmt;
use std::io::Write;

impl Kernel {
    /// Whether the forward pass adds up active inputs, at this fraction of active inputs.
    pub(crate) fn gathers(self, g: &Geometry, density: f64) -> bool {
        match self {
            Kernel::Sparse => true,
            Kernel::Dense | Kernel::Plain => false,
            Kernel::Auto => {
                let (nv, inputs) = (g.out.div_ceil(16).min(4) as f64, (g.taps() * g.channels) as f64);
                cost_of_active(g, density) < 0.5 * inputs * nv
            }
        }
    }

    /// Whether the weight gradient adds up over active inputs; `narrow` says that the dense kernel for few
    /// channels could take it.
    ///
    /// That one costs a cycle for each tap and register of an input, the other 60 cycles for an active input, to
    /// find it, to sort it and to add nine rows of two registers (measured on Zen 4, 8 → 16 channels).
    pub(crate) fn gathers_weight(self, g: &Geometry, density: f64, narrow: bool) -> bool {
        match self {
            Kernel::Sparse => true,
            Kernel::Dense | Kernel::Plain => false,
            Kernel::Auto if narrow => density < (0.16 * g.out.div_ceil(16) as f64).min(0.4),
            Kernel::Auto => density < 0.55,
        }
    }
}

/// Cycles for one output pixel and one panel, over active inputs.
pub(super) fn cost_of_active(g: &Geometry, density: f64) -> f64 {
    let (nv, inputs) = (g.out.div_ceil(16).min(4) as f64, (g.taps() * g.channels) as f64);
    14.0 * g.kernel as f64 + inputs * density * (0.9 * nv).max(2.0)
}

/// Says on standard error which kernels a call took, if the program wants a report.
pub(crate) fn report(g: &Geometry, images: usize, density: Option<f64>, forward: bool, weight: bool) {
    if ComputeOptions::installed().report {
        let word = |sparse| if sparse { "sparse" } else { "dense" };
        let density = density.map_or_else(|| "not measured".into(), |d| format!("{:.1} %", 100.0 * d));
        let (forward, weight) = (word(forward), word(weight));
        say(format_args!("{}: active {density}, forward {forward}, weight gradient {weight}", g.name(images)));
    }
}

/// Writes a line of a report to standard error. One that cannot be written is dropped: it is no reason to stop.
pub(super) fn say(line: fmt::Arguments<'_>) {
    let _ = writeln!(std::io::stderr().lock(), "{line}");
}
