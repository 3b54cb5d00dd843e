//! Decides in which precision dense products are computed: the precision that the caller asks for,
//! if it is faster than f32.
//!
//! Costs are as in [`choice`](super::choice): cycles per output pixel and panel of `nv` registers,
//! measured on a Zen 5 core. A dense step of four 8-bit inputs or of two bf16 inputs takes as long
//! as one f32 input. Starting a tap costs a tile some 100 cycles, and finishing costs 70 cycles per
//! pixel. The cost of encoding the input is ignored, because both paths encode it. A layer stays in
//! f32 if the sparse kernel is faster.

use super::choice::{cost_of_active, say};
use super::low::{Format, Stays};
use super::narrow;
use crate::operators::{Geometry, KernelChoice, Precision};
use crate::options::ComputeOptions;
use std::sync::OnceLock;

impl Precision {
    /// The format of packed values; `None` for f32, which needs none.
    pub(crate) fn format(self) -> Option<Format> {
        match self {
            Self::F32 => None,
            Self::Bf16 => Some(Format::Bf16),
            Self::Int8 => Some(Format::Int8),
        }
    }
}

/// Factor on the density in training, where the sparse kernel must pack its weights in every pass.
const TRAINING: f64 = 1.67;

/// Whether a forward pass uses this format, if this fraction of inputs is active.
///
/// In training the density is multiplied by [`TRAINING`], because weights are packed in every pass.
/// (ResNet-18 on a Zen 4: with the factor bf16 gains 4 % of a training iteration, without it loses
/// 3 %; in inference at T = 4 it loses 14 % with the factor and gains 2 % without.)
///
/// # Errors
/// The reason why the layer stays in f32.
pub(crate) fn choose(
    format: Format,
    kernel: KernelChoice,
    g: &Geometry,
    density: f64,
    in_hardware: bool,
    training: bool,
) -> std::result::Result<(), Stays> {
    match kernel {
        KernelChoice::Sparse | KernelChoice::Plain => Err(Stays::Forced(kernel)),
        KernelChoice::Dense => Ok(()),
        KernelChoice::Auto if !in_hardware => Err(Stays::NoInstructions(format.instructions())),
        KernelChoice::Auto => {
            let nv = g.out.div_ceil(16).min(4);
            let tile = [12.0, 12.0, 8.0, 6.0][nv.max(1) - 1];
            let (nv, taps) = (nv as f64, g.taps() as f64);
            let inputs = taps * g.channels as f64;
            let units = taps * g.channels.div_ceil(format.inputs()) as f64;
            let low = 70.0 + 0.5 * units * nv + 100.0 * taps / tile;
            let map = narrow::Map::forward(g);
            let dense = 0.5 * inputs * nv + if map.pays() { 8.0 * g.kernel as f64 } else { 100.0 * taps / tile };
            let sparse = cost_of_active(g, if training { density * TRAINING } else { density });
            if low < dense.min(sparse) { Ok(()) } else { Err(Stays::Faster(density)) }
        }
    }
}

/// Whether the input gradient uses this format. `tiles` says whether f32 can use the Winograd
/// kernel, which has fewer products.
pub(crate) fn choose_backward(format: Format, kernel: KernelChoice, tiles: bool, in_hardware: bool) -> bool {
    format == Format::Bf16 && (kernel == KernelChoice::Dense || (kernel == KernelChoice::Auto && in_hardware && !tiles))
}

/// Prints on standard error which precision a layer uses, if the program asks for the report. If
/// the machine lacks the instructions of the requested precision, it prints that once in any case.
pub fn report(precision: Precision, what: impl FnOnce() -> String, taken: std::result::Result<(), Stays>) {
    static LACKS: OnceLock<()> = OnceLock::new();
    if let Err(Stays::NoInstructions(name)) = taken {
        LACKS.get_or_init(|| {
            say(format_args!("precision {precision}: this machine has no {name}, all layers stay f32"))
        });
    }
    if ComputeOptions::installed().report {
        match taken {
            Ok(()) => say(format_args!("{}: {precision}", what())),
            Err(stays) => say(format_args!("{}: f32, not {precision}: {stays}", what())),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn resnet_stage() -> Geometry {
        Geometry { channels: 128, height: 16, width: 16, out: 128, kernel: 3, stride: 1, padding: 1 }
    }

    #[test]
    fn a_layer_is_packed_only_where_enough_is_active() {
        let g = resnet_stage();
        for format in [Format::Int8, Format::Bf16] {
            let chosen = |density| choose(format, KernelChoice::Auto, &g, density, true, false);
            assert_eq!(chosen(0.02), Err(Stays::Faster(0.02)));
            assert_eq!(chosen(0.5), Ok(()));
        }
        // Four inputs per step pay from a lower density on than two. In training the threshold is
        // lower than in inference.
        assert_eq!(choose(Format::Int8, KernelChoice::Auto, &g, 0.2, true, false), Ok(()));
        let bf16 = |density, training| choose(Format::Bf16, KernelChoice::Auto, &g, density, true, training);
        assert_eq!(bf16(0.2, false), Err(Stays::Faster(0.2)));
        assert_eq!((bf16(0.25, false), bf16(0.25, true)), (Err(Stays::Faster(0.25)), Ok(())));
    }

    #[test]
    fn a_machine_without_the_instructions_stays_in_f32_and_says_so() {
        let stays = choose(Format::Int8, KernelChoice::Auto, &resnet_stage(), 0.5, false, false).unwrap_err();
        assert!(stays.to_string().ends_with(" AVX-512 VNNI or AVX2"), "{stays}");
        let stays = choose(Format::Bf16, KernelChoice::Auto, &resnet_stage(), 0.5, false, false).unwrap_err();
        assert!(stays.to_string().ends_with(" AVX-512 BF16"), "{stays}");
        assert!(!choose_backward(Format::Bf16, KernelChoice::Auto, false, false));
    }

    #[test]
    fn forced_kernels_decide() {
        let g = resnet_stage();
        assert_eq!(choose(Format::Int8, KernelChoice::Dense, &g, 0.0, false, false), Ok(()));
        for kernel in [KernelChoice::Sparse, KernelChoice::Plain] {
            assert_eq!(choose(Format::Int8, kernel, &g, 1.0, true, false), Err(Stays::Forced(kernel)));
        }
    }
}
