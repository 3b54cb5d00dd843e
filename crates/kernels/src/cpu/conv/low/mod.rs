//! Dense convolution at low precision. It does more products per instruction, so it is faster than
//! f32 for layers with too many active inputs for the sparse kernels.
//!
//! Inputs and weights are packed along the channels of a pixel into 32-bit units ([`int8`]: four
//! values, [`bf16`]: two). [`tile`] loops over units as the f32 kernel loops over inputs. Every
//! value is computed in an order that does not depend on the number of threads.

#[cfg(target_arch = "x86_64")]
pub mod avx2;
pub mod bf16;
pub mod dot;
pub mod int8;
mod stays;
pub mod tile;

pub use stays::Stays;
pub use tile::Format;

use super::cache::Packings;
use super::dense::Indirection;
use super::pack::{Panels, panel_width};
use crate::cpu::memory::{full, room};
use crate::cpu::simd::Isa;
use crate::cpu::tensor::values;
use crate::operators::Geometry;
use burn::backend::flex::FlexTensor;
use tile::UnitPanels;

/// Packed weights, keyed by format and, at 8 bits, by the factor of the inputs.
static PACKED: Packings<(Format, f32), UnitPanels> = Packings::new();

/// Convolves `[N, H, W, C]` with weights `[Co, C, k, k]` to `[N, OH, OW, Co]`. If `keep`, the
/// packed weights are cached for the next call.
///
/// # Errors
/// If inputs or weights cannot be packed (8 bits only).
pub(crate) fn forward(
    isa: Isa,
    format: Format,
    g: &Geometry,
    x: &[f32],
    weight: &FlexTensor,
    keep: bool,
) -> Result<Vec<f32>, Stays> {
    let (width, w) = (panel_width(g.out, tile::PANEL), values(weight));
    let (units, weights) = match format {
        Format::Int8 => {
            if !int8::fits(g) {
                return Err(Stays::DoesNotFit);
            }
            let (units, factor) = int8::encode(isa, x, g.channels).ok_or(Stays::NotWhole)?;
            let pack = || int8::quantise(isa, w, g, width, factor).ok_or(Stays::DoesNotFit);
            (units, PACKED.packed(weight, g, (format, factor), keep, pack)?)
        }
        Format::Bf16 => {
            let pack = || Ok(bf16::pack(&Panels::forward(w, g, width)));
            (bf16::encode(isa, x, g.channels), PACKED.packed(weight, g, (format, 1.0), keep, pack)?)
        }
    };
    let mut y = room(x.len() / g.input_len().max(1) * g.output_len());
    tile::forward(isa, &Indirection::forward(g), &units, &weights, &mut y);
    // SAFETY: the kernel writes every pixel.
    Ok(unsafe { full(y) })
}

/// Gradient of the input `[N, H, W, C]` in bf16, from the gradient of the output and weights in
/// panels for the input gradient.
pub fn input_gradient(isa: Isa, g: &Geometry, gradient: &[f32], panels: &Panels) -> Vec<f32> {
    let (units, weights) = (bf16::encode(isa, gradient, g.out), bf16::pack(panels));
    let mut out = room(gradient.len() / g.output_len().max(1) * g.input_len());
    tile::forward(isa, &Indirection::backward(g), &units, &weights, &mut out);
    // SAFETY: the kernel writes every pixel.
    unsafe { full(out) }
}

/// Fraction of active values, estimated from runs of values spread over `x`.
pub fn density(x: &[f32]) -> f64 {
    const RUN: usize = 1024;
    const RUNS: usize = 64;
    let step = (x.len() / RUNS).max(RUN);
    // The position varies from part to part: parts may be images, whose first rows are their
    // border.
    let start = |k: usize, len: usize| (k * 40_503 % 65_536) * len.saturating_sub(RUN) / 65_536;
    let runs = x.chunks(step).enumerate().map(|(k, part)| {
        let run = &part[start(k, part.len())..];
        &run[..run.len().min(RUN)]
    });
    let (active, all) = runs.fold((0usize, 0usize), |(active, all), run| {
        (active + run.iter().map(|v| usize::from(*v != 0.0)).sum::<usize>(), all + run.len())
    });
    active as f64 / all.max(1) as f64
}

#[cfg(test)]
mod tests {
    use super::super::dense;
    use super::*;
    use crate::cpu::tensor::from_vec;
    use burn::tensor::Shape;
    use proptest::prelude::*;
    use rand::{Rng, SeedableRng};
    use rand_chacha::ChaCha8Rng;
    use tickless_net::quantise::quantise_readout;

    /// Relative error of a count times a rounded weight, with the rounding of f32 sums.
    const ONE_ROUNDING: f32 = 1.0 / 256.0 + 1e-5;
    /// Relative error of a product of two rounded values.
    const TWO_ROUNDINGS: f32 = 1.0 / 128.0 + 1.0 / 65536.0 + 1e-5;

    fn geometry() -> impl Strategy<Value = Geometry> {
        let sides = (1usize..70, 3usize..9, 3usize..9, 1usize..140);
        let window = (1usize..6).prop_flat_map(|k| (Just(k), 1usize..4, 0..k));
        (sides, window)
            .prop_map(|((channels, height, width, out), (kernel, stride, padding))| Geometry {
                channels,
                height,
                width,
                out,
                kernel,
                stride,
                padding,
            })
            .prop_filter("the window fits", |g| {
                g.kernel <= g.height + 2 * g.padding && g.kernel <= g.width + 2 * g.padding
            })
    }

    /// Counts up to `most`, divided by `factor`, and weights whose channels differ much in
    /// magnitude.
    fn case(g: &Geometry, most: u8, factor: f32, seed: u64) -> (Vec<f32>, Vec<f32>) {
        let mut rng = ChaCha8Rng::seed_from_u64(seed);
        let mut count = || if rng.random::<f32>() < 0.4 { f32::from(rng.random_range(0..=most)) / factor } else { 0.0 };
        let x = (0..3 * g.input_len()).map(|_| count()).collect();
        let row = g.taps() * g.channels;
        let size = |i: usize| 10f32.powi((i / row % 5) as i32 - 2);
        let w = (0..g.weights()).map(|i| rng.random_range(-1.0f32..1.0) * size(i)).collect();
        (x, w)
    }

    fn forward(isa: Isa, format: Format, g: &Geometry, x: &[f32], w: &[f32]) -> Result<Vec<f32>, Stays> {
        super::forward(isa, format, g, x, &from_vec(w.to_vec(), Shape::new([w.len()])), false)
    }

    fn in_f32(g: &Geometry, x: &[f32], w: &[f32]) -> Vec<f32> {
        let panels = Panels::forward(w, g, panel_width(g.out, dense::PANEL));
        let mut y = room(x.len() / g.input_len() * g.output_len());
        dense::forward(Isa::PORTABLE, &Indirection::forward(g), x, &panels, &mut y);
        // SAFETY: the kernel writes every pixel.
        unsafe { full(y) }
    }

    fn magnitudes(v: &[f32]) -> Vec<f32> {
        v.iter().map(|v| v.abs()).collect()
    }

    proptest! {
        #![proptest_config(ProptestConfig { cases: 96, failure_persistence: None, ..ProptestConfig::default() })]

        #[test]
        fn eight_bits_are_the_portable_form_bit_for_bit_and_f32_within_half_a_step_an_input(
            g in geometry(), most in 1u8..=255, factor in prop::sample::select(vec![1.0f32, 4.0, 16.0]),
            seed in any::<u64>()) {
            let (x, w) = case(&g, most, factor, seed);
            let portable = forward(Isa::PORTABLE, Format::Int8, &g, &x, &w).expect("counts");
            for isa in Isa::available() {
                let y = forward(isa, Format::Int8, &g, &x, &w).expect("counts");
                prop_assert!(y == portable, "{isa:?} differs from the portable form");
            }
            // The error of a weight is at most half of max|w|/127, and f32 rounds as well.
            let row = g.taps() * g.channels;
            let half = |w: &[f32]| w.iter().fold(0.0f32, |m, v| m.max(v.abs())) / 127.0 / 2.0;
            let steps: Vec<f32> = w.chunks(row).flat_map(|w| vec![half(w); row]).collect();
            let (y, bound) = (in_f32(&g, &x, &w), in_f32(&g, &x, &steps));
            let rounding = in_f32(&g, &x, &magnitudes(&w));
            for (i, (a, b)) in portable.iter().zip(&y).enumerate() {
                prop_assert!((a - b).abs() <= bound[i] * 1.0001 + rounding[i] * 1e-5, "value {i}: {a}, in f32 {b}");
            }
        }

        #[test]
        fn bf16_is_f32_within_half_of_the_eighth_bit_of_every_rounded_value(
            g in geometry(), seed in any::<u64>(), real in any::<bool>()) {
            let (mut x, w) = case(&g, 255, 1.0, seed);
            let mut part = ONE_ROUNDING;
            if real {
                x.iter_mut().for_each(|v| *v *= 0.376_543_2);
                part = TWO_ROUNDINGS;
            }
            let (y, bound) = (in_f32(&g, &x, &w), in_f32(&g, &magnitudes(&x), &magnitudes(&w)));
            for isa in Isa::available() {
                let ours = forward(isa, Format::Bf16, &g, &x, &w).expect("has a form");
                for (i, (a, b)) in ours.iter().zip(&y).enumerate() {
                    prop_assert!((a - b).abs() <= bound[i] * part, "{isa:?}, value {i}: {a}, in f32 {b}");
                }
            }
        }

        #[test]
        fn bf16_of_what_it_holds_is_f32_bit_for_bit(g in geometry(), seed in any::<u64>()) {
            // With weights of 5 bits no sum is rounded, whatever the order of the additions.
            let (x, w) = case(&g, 3, 1.0, seed);
            let w: Vec<f32> = w.iter().map(|v| (v * 16.0).round().clamp(-16.0, 16.0) / 16.0).collect();
            let y = in_f32(&g, &x, &w);
            for isa in Isa::available() {
                prop_assert!(forward(isa, Format::Bf16, &g, &x, &w).expect("has a form") == y, "{isa:?}");
            }
        }

        #[test]
        fn bf16_of_any_values_is_the_portable_form(g in geometry(), seed in any::<u64>()) {
            let (mut x, w) = case(&g, 255, 1.0, seed);
            x.iter_mut().for_each(|v| *v *= 0.376_543_2);
            let portable = forward(Isa::PORTABLE, Format::Bf16, &g, &x, &w).expect("has a form");
            let y = forward(crate::cpu::simd::detect(), Format::Bf16, &g, &x, &w).expect("has a form");
            prop_assert!(y == portable, "differs from the portable form");
        }

        #[test]
        fn the_input_gradient_in_bf16_is_that_in_f32_within_two_roundings(g in geometry(), seed in any::<u64>()) {
            let (_, w) = case(&g, 1, 1.0, seed);
            let mut rng = ChaCha8Rng::seed_from_u64(seed);
            let d: Vec<f32> = (0..2 * g.output_len()).map(|_| rng.random_range(-1.0f32..1.0)).collect();
            let run = |d: &[f32], w: &[f32]| {
                let panels = Panels::backward(w, &g, panel_width(g.channels, dense::PANEL));
                let mut y = room(2 * g.input_len());
                dense::forward(Isa::PORTABLE, &Indirection::backward(&g), d, &panels, &mut y);
                // SAFETY: the kernel writes every pixel.
                unsafe { full(y) }
            };
            let (y, bound) = (run(&d, &w), run(&magnitudes(&d), &magnitudes(&w)));
            let panels = Panels::backward(&w, &g, panel_width(g.channels, dense::PANEL));
            for isa in Isa::available() {
                for (i, (a, b)) in input_gradient(isa, &g, &d, &panels).iter().zip(&y).enumerate() {
                    prop_assert!((a - b).abs() <= bound[i] * TWO_ROUNDINGS, "{isa:?}, value {i}: {a}, in f32 {b}");
                }
            }
        }

        #[test]
        fn weights_are_rounded_as_those_of_a_chip_channel_by_channel(
            rows in 1usize..40, w in prop::collection::vec(-4.0f32..4.0, 40 * 9), all_negative in any::<bool>()) {
            let g = Geometry { channels: 1, height: 3, width: 3, out: rows, kernel: 3, stride: 1, padding: 0 };
            let w: Vec<f32> = w[..rows * 9].iter().map(|v| if all_negative { -v.abs() } else { *v }).collect();
            for isa in Isa::available() {
                let q = int8::quantise(isa, &w, &g, panel_width(rows, tile::PANEL), 1.0).expect("numbers");
                for (o, w) in w.chunks(9).enumerate() {
                    let (integers, scale) = quantise_readout("row", w).expect("numbers");
                    prop_assert_eq!(q.factors[o], 1.0 / scale);
                    for (tap, i) in integers.iter().enumerate() {
                        let unit = q.data[(o / q.width * 9 + tap) * q.width + o % q.width];
                        prop_assert_eq!(unit.to_ne_bytes(), [*i as u8, 0, 0, 0]);
                    }
                }
            }
        }
    }

    #[test]
    fn eight_bits_are_exact_where_every_product_is_as_large_as_it_can_be() {
        let g = Geometry { channels: 300, height: 2, width: 4, out: 40, kernel: 1, stride: 1, padding: 0 };
        for (weight, integer) in [(-1.0f32, -128i32), (1.0, 127)] {
            let w = vec![weight; g.weights()];
            for x in [1u8, 2, 3, 16, 85, 86, 127, 128, 129, 255] {
                let sum = 300 * i32::from(x) * integer;
                let factor = 1.0 / if integer < 0 { 128.0f32 } else { 127.0 };
                for isa in Isa::available() {
                    let x = vec![f32::from(x); 3 * g.input_len()];
                    let y = forward(isa, Format::Int8, &g, &x, &w).expect("counts");
                    assert!(y.iter().all(|y| *y == sum as f32 * factor), "{isa:?}: {} for {sum}", y[0]);
                }
            }
        }
    }

    #[test]
    fn inputs_that_are_no_small_whole_numbers_are_not_encoded() {
        for isa in Isa::available() {
            for channels in [3, 64] {
                for odd in [0.3, -1.0, 256.0, f32::NAN, f32::INFINITY, 1e30] {
                    // At a position that the check of the first values does not reach.
                    let mut x = vec![1.0f32; 64 * 4096 * 3];
                    assert!(int8::encode(isa, &x, channels).is_some_and(|(_, f)| f == 1.0));
                    x[64 * 4096 * 2 + 5] = odd;
                    assert!(int8::encode(isa, &x, channels).is_none(), "{isa:?}, {channels} channels: {odd}");
                }
            }
            assert!(int8::encode(isa, &[0.0, 255.0, 0.25, 1.0], 4).is_none(), "255 quarters are not 255");
            assert_eq!(int8::encode(isa, &[0.0, 63.75, 0.25, 1.0], 4).map(|e| e.1), Some(4.0));
        }
    }

    #[test]
    fn weights_that_are_no_numbers_are_not_quantised() {
        let g = Geometry { channels: 2, height: 1, width: 1, out: 20, kernel: 1, stride: 1, padding: 0 };
        for odd in [f32::NAN, f32::INFINITY, f32::NEG_INFINITY] {
            let mut w = vec![0.5f32; 40];
            w[39] = odd;
            for isa in Isa::available() {
                assert!(int8::quantise(isa, &w, &g, 32, 1.0).is_none());
            }
        }
        assert!(int8::quantise(crate::cpu::simd::detect(), &[0.0; 40], &g, 32, 1.0).is_some_and(|q| q.data == [0; 32]));
    }

    #[test]
    fn rounding_to_bf16_is_to_nearest_halves_to_even() {
        for (v, bits) in [
            (1.0, 0x3f80),
            (255.0, 0x437f),
            (256.0, 0x4380),
            (f32::from_bits(0x3f80_8000), 0x3f80),
            (f32::from_bits(0x3f81_8000), 0x3f82),
            (f32::from_bits(0x3f80_8001), 0x3f81),
            (-0.0, 0x8000),
            (f32::MAX, 0x7f80),
            (f32::NEG_INFINITY, 0xff80),
        ] {
            assert_eq!(bf16::round(v), bits, "{v}");
        }
        for nan in [0x7f80_0001, 0xffff_ffff, 0x7fff_8000] {
            assert!(f32::from_bits(u32::from(bf16::round(f32::from_bits(nan))) << 16).is_nan(), "{nan:x}");
        }
    }

    #[test]
    fn the_density_of_a_sample_is_that_of_all_where_it_is_even() {
        let x: Vec<f32> = (0..300_000).map(|i| f32::from(u8::from(i % 8 == 3))).collect();
        assert!((density(&x) - 0.125).abs() < 1e-3, "{}", density(&x));
        assert_eq!((density(&[]), density(&[1.0])), (0.0, 1.0));
        // Images whose upper half has no active value.
        let x: Vec<f32> = (0..64 * 8192).map(|i| f32::from(u8::from(i % 8192 >= 4096))).collect();
        assert!((density(&x) - 0.5).abs() < 0.1, "{}", density(&x));
    }
}
