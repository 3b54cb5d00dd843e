//! At which precision dense products are computed: asked for by the user, taken where it is faster.
//!
//! Costs are as in [`choice`](super::choice): cycles for one output pixel and one panel of `nv` registers. A
//! dense step of four 8-bit inputs or two of bf16 takes as long as one of f32, and a layer's input is
//! encoded first; a layer whose few active inputs are added up faster than that stays in f32.

use super::choice::Kernel;
use super::geometry::Geometry;
use super::low::Format;
use crate::error::{Error, Result};
use std::fmt;
use std::str::FromStr;
use std::sync::OnceLock;

/// Precision of convolutions; sums, norms and neurons are f32 at all of them.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Precision {
    /// Weights and inputs in f32.
    #[default]
    F32,
    /// Weights, inputs and gradients rounded to bf16, sums in f32; for training and inference.
    Bf16,
    /// Weights of 8 bits with a scale for each output channel, spikes and counts exact; for inference.
    Int8,
}

impl Precision {
    const ALL: [Self; 3] = [Self::F32, Self::Bf16, Self::Int8];

    /// From `TICKLESS_PRECISION` (`f32`, `bf16`, `int8`); `f32` where it is not set.
    ///
    /// # Errors
    /// If the word is another.
    pub fn from_env() -> Result<Self> {
        std::env::var("TICKLESS_PRECISION").map_or(Ok(Self::F32), |v| v.parse())
    }

    /// How values are packed; `None` where they are not.
    pub(crate) fn format(self) -> Option<Format> {
        match self {
            Self::F32 => None,
            Self::Bf16 => Some(Format::Bf16),
            Self::Int8 => Some(Format::Int8),
        }
    }
}

/// Why a layer stays in f32.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Stays {
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

/// Whether a forward pass takes this format, at this fraction of active inputs.
pub(crate) fn choose(
    format: Format,
    kernel: Kernel,
    g: &Geometry,
    density: f64,
    in_hardware: bool,
) -> std::result::Result<(), Stays> {
    match kernel {
        Kernel::Sparse | Kernel::Plain => Err(Stays::Forced(kernel)),
        Kernel::Dense => Ok(()),
        Kernel::Auto if !in_hardware => Err(Stays::NoInstructions(format.instructions())),
        Kernel::Auto => {
            let nv = g.out.div_ceil(16).min(4) as f64;
            let inputs = (g.taps() * g.channels) as f64;
            let units = (g.taps() * g.channels.div_ceil(format.inputs())) as f64;
            // Measured beside `Kernel::gathers`: encoding is once an input pixel, here on each panel's account.
            let encoding = g.channels as f64 / (g.stride * g.stride) as f64 * 16.0 * nv / g.out as f64 * 0.25;
            let low = 0.5 * units * nv + 2.0 * g.taps() as f64 + encoding;
            let dense = 0.5 * inputs * nv;
            let sparse = 14.0 * g.kernel as f64 + inputs * density * (1.25 * nv).max(2.0);
            if low < dense.min(sparse) { Ok(()) } else { Err(Stays::Faster(density)) }
        }
    }
}

/// Whether the input gradient takes this format; `tiles` if the f32 kernel has fewer products (Winograd).
pub(crate) fn choose_backward(format: Format, kernel: Kernel, tiles: bool, in_hardware: bool) -> bool {
    format == Format::Bf16 && (kernel == Kernel::Dense || (kernel == Kernel::Auto && in_hardware && !tiles))
}

/// Says on standard error what a layer took, if `TICKLESS_KERNEL_REPORT` is set; that the machine cannot do what
/// was asked for is said once in any case.
pub(crate) fn report(
    precision: Precision,
    what: impl FnOnce() -> String,
    taken: &std::result::Result<(), Stays>,
) {
    static WANTED: OnceLock<bool> = OnceLock::new();
    static LACKS: OnceLock<()> = OnceLock::new();
    if let Err(Stays::NoInstructions(name)) = taken {
        LACKS.get_or_init(|| eprintln!("precision {precision}: this machine has no {name}, all layers stay f32"));
    }
    if *WANTED.get_or_init(|| std::env::var_os("TICKLESS_KERNEL_REPORT").is_some()) {
        match taken {
            Ok(()) => eprintln!("{}: {precision}", what()),
            Err(stays) => eprintln!("{}: f32, not {precision}: {stays}", what()),
        }
    }
}

impl FromStr for Precision {
    type Err = Error;

    fn from_str(s: &str) -> Result<Self> {
        let unknown = || Error::Setting(format!("unknown precision `{s}`; known: f32, bf16, int8"));
        Self::ALL.into_iter().find(|p| p.to_string() == s).ok_or_else(unknown)
    }
}

impl fmt::Display for Precision {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Precision::F32 => "f32",
            Precision::Bf16 => "bf16",
            Precision::Int8 => "int8",
        })
    }
}
