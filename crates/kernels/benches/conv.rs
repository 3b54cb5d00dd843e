//! Each convolution kernel by itself, at the layers of ResNet-18 and nmnist-wide.
//!
//! ```text
//! cargo bench -p tickless-kernels --bench conv
//! ```
//!
//! Items per second are floating-point operations of the dense product, also for sparse kernels,
//! whose rate is thus "dense-equivalent". Bytes are the least that a call must read and write.
//! After divan's tree the program prints a table in GFLOP/s with the share of the machine's peak,
//! which it measures in the same run.

mod common;

use common::layers::{LAYERS, Layer, reals};
use common::machine::Peaks;
use divan::Bencher;
use divan::counter::{BytesCount, ItemsCount};
use rand::{Rng, SeedableRng};
use rand_chacha::ChaCha8Rng;
use std::mem::MaybeUninit;
use tickless_kernels::Geometry;
use tickless_kernels::cpu::conv::dense::{self, Indirection};
use tickless_kernels::cpu::conv::events::Events;
use tickless_kernels::cpu::conv::pack::{Panels, panel_width};
use tickless_kernels::cpu::conv::{dense_weight, gather, gather_weight, narrow, winograd};
use tickless_kernels::cpu::simd::detect;

/// A product of a layer, and the kernel that computes it.
#[derive(Debug, Clone, Copy, PartialEq)]
enum Product {
    /// Encoding of the active inputs, if this fraction is active.
    Encoding(f64),
    /// Output from active inputs, if this fraction is active.
    OutputSparse(f64),
    /// Output from all inputs.
    OutputDense,
    /// Input gradient, by the dense kernel.
    InputDense,
    /// Input gradient, by the Winograd kernel or, with few channels, the narrow kernel.
    InputWinograd,
    /// Weight gradient from active inputs, if this fraction is active.
    WeightSparse(f64),
    /// Weight gradient from all inputs.
    WeightDense,
}
use Product::*;

/// The sizes for the narrow kernel if it is faster for this layer; with `turned`, for the input
/// gradient.
fn rows(g: &Geometry, turned: bool) -> Option<narrow::Map> {
    let (ends, padding) = ([[g.channels, g.height, g.width], [g.out, g.out_height(), g.out_width()]], g.padding);
    let [input, output] = if turned { [ends[1], ends[0]] } else { ends };
    let padding = if turned { g.kernel - 1 - padding } else { padding };
    Some(narrow::Map { input, output, kernel: g.kernel, stride: g.stride, padding }).filter(narrow::Map::pays)
}

/// Prepares all operands and returns a call of the kernel.
fn prepare(layer: Layer, product: Product) -> Box<dyn FnMut()> {
    let (g, isa, n) = (layer.geometry(), detect(), layer.images());
    let gradient = || reals(n * g.output_len());
    let events = |density| {
        let x = spikes(n * g.input_len(), density);
        Events::of(isa, &x, g.pixels(), g.width, g.channels)
    };
    let room = |len| vec![MaybeUninit::<f32>::uninit(); n * len];
    let w = reals(g.weights());
    let ahead = Panels::forward(&w, &g, panel_width(g.out, dense::PANEL));
    let gathered = Panels::gathered(&w, &g, panel_width(g.out, gather::PANEL));
    let back = Panels::backward(&w, &g, panel_width(g.channels, dense::PANEL));
    match product {
        Encoding(density) => {
            let x = spikes(n * g.input_len(), density);
            Box::new(move || {
                divan::black_box(Events::of(isa, &x, g.pixels(), g.width, g.channels));
            })
        }
        OutputSparse(density) => {
            let (x, mut y) = (events(density), room(g.output_len()));
            Box::new(move || gather::forward(isa, g, &x, gather::Weights::Packed(&gathered), &mut y))
        }
        OutputDense => {
            let (x, map, mut y) = (reals(n * g.input_len()), Indirection::forward(&g), room(g.output_len()));
            match rows(&g, false) {
                Some(rows) => Box::new(move || narrow::forward(isa, rows, &x, &ahead, &mut y)),
                None => Box::new(move || dense::forward(isa, &map, &x, &ahead, &mut y)),
            }
        }
        InputDense => {
            let (d, map, mut y) = (gradient(), Indirection::backward(&g), room(g.input_len()));
            Box::new(move || dense::forward(isa, &map, &d, &back, &mut y))
        }
        InputWinograd => {
            let (d, mut y) = (gradient(), room(g.input_len()));
            let tiles = winograd::Map::input_gradient(&g);
            match (tiles.pays(g.out, g.channels), rows(&g, true)) {
                (false, Some(rows)) => {
                    let turned = back.turned();
                    Box::new(move || narrow::forward(isa, rows, &d, &turned, &mut y))
                }
                _ => Box::new(move || winograd::input_gradient(isa, &g, &d, &w, &mut y)),
            }
        }
        WeightSparse(density) => {
            let (x, d) = (events(density), gradient());
            Box::new(move || drop(divan::black_box(gather_weight::weight_gradient(isa, g, &x, &d))))
        }
        WeightDense => {
            let (x, d, map) = (reals(n * g.input_len()), gradient(), Indirection::forward(&g));
            Box::new(move || drop(divan::black_box(dense_weight::weight_gradient(isa, g, &map, &x, &d))))
        }
    }
}

/// Operations of one dense product: a multiplication and an addition per tap.
fn operations(layer: Layer) -> usize {
    2 * layer.images() * layer.geometry().macs()
}

/// Spikes: a fraction `density` of the values is 1, the others are 0.
fn spikes(len: usize, density: f64) -> Vec<f32> {
    let mut rng = ChaCha8Rng::seed_from_u64(1);
    (0..len).map(|_| f32::from(u8::from(rng.random_bool(density)))).collect()
}

/// The least bytes that a call must move: 4 per value, 2 per entry of an active input.
fn bytes(layer: Layer, product: Product) -> usize {
    let (g, n) = (layer.geometry(), layer.images());
    let entries = |density: f64| (2.0 * density * (n * g.input_len()) as f64) as usize + 4 * n * g.pixels();
    let (input, output, weight) = (4 * n * g.input_len(), 4 * n * g.output_len(), 4 * g.weights());
    match product {
        Encoding(density) => input + entries(density),
        OutputSparse(density) | WeightSparse(density) => entries(density) + output + weight,
        OutputDense | InputDense | InputWinograd | WeightDense => input + output + weight,
    }
}

fn measure(bencher: Bencher<'_, '_>, layer: &Layer, product: Product) {
    let mut call = prepare(*layer, product);
    let bencher = bencher.counter(BytesCount::new(bytes(*layer, product)));
    match product {
        Encoding(_) => bencher.bench_local(call),
        _ => bencher.counter(ItemsCount::new(operations(*layer))).bench_local(&mut call),
    }
}

#[divan::bench(args = LAYERS)]
fn encoding(b: Bencher<'_, '_>, layer: &Layer) {
    measure(b, layer, Encoding(0.1));
}

#[divan::bench(args = LAYERS)]
fn output_sparse_of_a_tenth(b: Bencher<'_, '_>, layer: &Layer) {
    measure(b, layer, OutputSparse(0.1));
}

#[divan::bench(args = LAYERS)]
fn output_dense(b: Bencher<'_, '_>, layer: &Layer) {
    measure(b, layer, OutputDense);
}

#[divan::bench(args = LAYERS)]
fn input_gradient_dense(b: Bencher<'_, '_>, layer: &Layer) {
    measure(b, layer, InputDense);
}

#[divan::bench(args = LAYERS)]
fn input_gradient_winograd(b: Bencher<'_, '_>, layer: &Layer) {
    measure(b, layer, InputWinograd);
}

#[divan::bench(args = LAYERS)]
fn weight_gradient_sparse_of_a_tenth(b: Bencher<'_, '_>, layer: &Layer) {
    measure(b, layer, WeightSparse(0.1));
}

#[divan::bench(args = LAYERS)]
fn weight_gradient_dense(b: Bencher<'_, '_>, layer: &Layer) {
    measure(b, layer, WeightDense);
}

/// Prints every product of every layer in GFLOP/s (percent of the peak), and encoding in GB/s
/// (percent of the memory peak).
fn table() {
    let peaks = Peaks::measure();
    println!("\n{}; in brackets the share of them in percent.", peaks.say());
    println!("Input gradient of nmnist-wide: over rows, not Winograd.\n");
    let products: [(&str, Product); 11] = [
        ("encoding 10 %, GB/s", Encoding(0.1)),
        ("output dense", OutputDense),
        ("sparse 20 %", OutputSparse(0.2)),
        ("10 %", OutputSparse(0.1)),
        ("5 %", OutputSparse(0.05)),
        ("input gradient dense", InputDense),
        ("Winograd", InputWinograd),
        ("weight gradient dense", WeightDense),
        ("sparse 20 %", WeightSparse(0.2)),
        ("10 %", WeightSparse(0.1)),
        ("5 %", WeightSparse(0.05)),
    ];
    println!("| layer | {} |", products.map(|p| p.0).join(" | "));
    println!("|---{}|", "|---".repeat(products.len()));
    for layer in LAYERS {
        let cell = |(_, product)| {
            let seconds = common::median_seconds(&mut prepare(layer, product));
            let (amount, peak) = match product {
                Encoding(_) => (bytes(layer, product), peaks.bytes),
                _ => (operations(layer), peaks.operations),
            };
            let rate = amount as f64 / seconds;
            format!("{:.0} ({:.0})", rate / 1e9, 100.0 * rate / peak)
        };
        println!("| {layer} | {} |", products.map(cell).join(" | "));
    }
}

fn main() {
    divan::main();
    if common::measuring() {
        table();
    }
}
