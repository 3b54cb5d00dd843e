//! Norm and neuron in one operator, forward and backward, at the layers of ResNet-18 and
//! nmnist-wide.
//!
//! ```text
//! cargo bench -p tickless-kernels --bench fused
//! ```
//!
//! Bytes are those of the passes over memory. Forward: the statistics read x, then the neurons read
//! it again and write spikes (12 per value). Backward: the first pass reads x and the gradient and
//! writes a gradient (12); the second pass needs the sums of the first, reads both again and writes
//! (12). After divan's tree the program prints a table in GB/s with the share of the machine's
//! memory peak, which it measures in the same run. A layer that fits the caches can exceed 100 %.

mod common;

use common::layers::{LAYERS, Layer, reals};
use common::machine::Peaks;
use divan::Bencher;
use divan::counter::{BytesCount, ItemsCount};
use tickless_kernels::NeuronOp;
use tickless_kernels::cpu::fused::backward;
use tickless_kernels::cpu::fused::forward::{Input, moments_of, spikes};
use tickless_kernels::cpu::simd::detect;
use tickless_kernels::rounded;
use tickless_kernels::{Branch, BranchNorm, FusedOp};
use tickless_net::Neuron;

fn operator(layer: Layer) -> FusedOp {
    let neuron = NeuronOp { neuron: Neuron::lif(), lambda: 0.5, steps: layer.steps };
    let branches = vec![Branch { norm: BranchNorm::Batch(1e-5), repeat: None }];
    FusedOp { neuron, branches, pool: None }
}

fn values(layer: Layer) -> usize {
    layer.images() * layer.geometry().output_len()
}

/// Prepares all operands and returns a call of one direction.
fn prepare(layer: Layer, back: bool) -> Box<dyn FnMut()> {
    let (op, isa, channels) = (operator(layer), detect(), layer.geometry().out);
    let (x, gradient) = (reals(values(layer)), reals(if back { values(layer) } else { 0 }));
    let (gain, shift) = (vec![1.0f32; channels], vec![0.0f32; channels]);
    let seen = rounded(&moments_of(isa, &op, &[Input { x: &x, gain: &gain, shift: &shift }], channels));
    Box::new(move || {
        let inputs = [Input { x: &x, gain: &gain, shift: &shift }];
        if back {
            let sums = backward::sums(isa, &op, &inputs, &seen, channels, &gradient).remove(0);
            let (mut gradient, of_batch) = (sums.0, sums.1.expect("the branch has a norm"));
            backward::through_norm(isa, &op, 0, inputs[0], seen[0].as_ref(), &of_batch, &mut gradient);
            divan::black_box(gradient);
        } else {
            let seen = rounded(&moments_of(isa, &op, &inputs, channels));
            divan::black_box(spikes(isa, &op, &inputs, &seen, channels));
        }
    })
}

fn bytes(layer: Layer, back: bool) -> usize {
    values(layer) * if back { 24 } else { 12 }
}

fn measure(bencher: Bencher<'_, '_>, layer: &Layer, back: bool) {
    let bencher = bencher.counter(BytesCount::new(bytes(*layer, back)));
    bencher.counter(ItemsCount::new(values(*layer))).bench_local(prepare(*layer, back));
}

#[divan::bench(args = LAYERS)]
fn norm_and_neuron_forward(b: Bencher<'_, '_>, layer: &Layer) {
    measure(b, layer, false);
}

#[divan::bench(args = LAYERS)]
fn norm_and_neuron_backward(b: Bencher<'_, '_>, layer: &Layer) {
    measure(b, layer, true);
}

fn table() {
    let peaks = Peaks::measure();
    println!("\n{}.\n", peaks.say());
    println!("| layer | values | forward, GB/s (% of the stream) | backward |\n|---|---|---|---|");
    for layer in LAYERS {
        let cell = |back| {
            let rate = bytes(layer, back) as f64 / common::median_seconds(&mut prepare(layer, back));
            format!("{:.1} ({:.0})", rate / 1e9, 100.0 * rate / peaks.bytes)
        };
        println!("| {layer} | {:.1} M | {} |", values(layer) as f64 / 1e6, [false, true].map(cell).join(" | "));
    }
}

fn main() {
    divan::main();
    if common::measuring() {
        table();
    }
}
