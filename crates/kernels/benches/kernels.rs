//! The fused operators compared with the same computation in plain tensors, at the sizes of
//! nmnist-small's first layer (batch 50, T = 10, 8×17×17 neurons).

use burn::tensor::module::avg_pool2d;
use burn::tensor::ops::AvgPoolOptions;
use burn::tensor::{Device, Distribution, Tensor};
use divan::counter::BytesCount;
use divan::{Bencher, black_box, counter::ItemsCount};
use rand::SeedableRng;
use rand_chacha::ChaCha8Rng;
use std::sync::Arc;
use tickless_kernels::ttm::TimeMap;
use tickless_kernels::{AdamWOp, NeuronOp, adamw, map_time, neuron, reference, tile_pool};
use tickless_net::{Neuron, TtmMode};

const STEPS: usize = 10;
const SHAPE: [usize; 4] = [STEPS * 50, 8, 17, 17];

fn main() {
    divan::main();
}

fn input() -> Tensor<4> {
    Tensor::random(SHAPE, Distribution::Normal(0.3, 1.0), &Device::flex().autodiff()).require_grad()
}

fn forward_and_back(bencher: Bencher<'_, '_>, f: impl Fn(Tensor<4>) -> Tensor<4> + Sync) {
    let x = input();
    let values = SHAPE.iter().product::<usize>();
    bencher.counter(ItemsCount::new(values)).bench_local(|| black_box(f(x.clone()).sum().backward()));
}

fn lif() -> NeuronOp {
    NeuronOp { neuron: Neuron::lif(), lambda: 0.5, steps: STEPS }
}

fn multi() -> NeuronOp {
    NeuronOp { neuron: Neuron::if_multi(), lambda: 1.0, steps: STEPS }
}

#[divan::bench]
fn lif_fused(b: Bencher<'_, '_>) {
    forward_and_back(b, |x| neuron(x, lif()));
}

#[divan::bench]
fn lif_plain_tensors(b: Bencher<'_, '_>) {
    forward_and_back(b, |x| reference::neuron(x, lif()));
}

#[divan::bench]
fn multi_spike_fused(b: Bencher<'_, '_>) {
    forward_and_back(b, |x| neuron(x, multi()));
}

#[divan::bench]
fn multi_spike_plain_tensors(b: Bencher<'_, '_>) {
    forward_and_back(b, |x| reference::neuron(x, multi()));
}

fn ten_to_four() -> TimeMap {
    TimeMap::ttm(TtmMode::Even, STEPS, 4, &mut ChaCha8Rng::seed_from_u64(0))
}

#[divan::bench]
fn ttm_fused(b: Bencher<'_, '_>) {
    let map = Arc::new(ten_to_four());
    forward_and_back(b, |x| map_time(x, map.clone()));
}

#[divan::bench]
fn ttm_plain_tensors(b: Bencher<'_, '_>) {
    let map = ten_to_four();
    forward_and_back(b, |x| reference::map_time(x, &map));
}

#[divan::bench]
fn pool_fused(b: Bencher<'_, '_>) {
    forward_and_back(b, |x| tile_pool(x, 2, 0.25));
}

#[divan::bench]
fn pool_of_the_tensor_library(b: Bencher<'_, '_>) {
    forward_and_back(b, |x| avg_pool2d(x, AvgPoolOptions::new([2, 2])));
}

/// Number of ResNet-18's weights.
const WEIGHTS: usize = 11_173_962;

/// Measures steps of AdamW. `step` maps weight, first moment, second moment and gradient to the
/// first three. Bytes are those that a step must read and write.
fn optimiser(bencher: Bencher<'_, '_>, step: impl Fn([Tensor<1>; 4]) -> [Tensor<1>; 3] + Sync) {
    let random = || Tensor::<1>::random([WEIGHTS], Distribution::Normal(0.0, 1.0), &Device::flex());
    let (g, mut state) = (random(), Some([random(), random(), random().abs()]));
    bencher.counter(BytesCount::new(WEIGHTS * 4 * 7)).bench_local(|| {
        let [w, m, v] = state.take().expect("is put back");
        state = Some(step([w, m, v, g.clone()]));
    });
}

#[divan::bench]
fn adamw_fused(b: Bencher<'_, '_>) {
    let op = AdamWOp::new(1e-3, [0.9, 0.999], 1e-8, 0.02, 7);
    optimiser(b, |[w, m, v, g]| {
        let (w, m, v) = adamw(w, m, v, g, op);
        [w, m, v]
    });
}

#[divan::bench]
fn adamw_plain_tensors(b: Bencher<'_, '_>) {
    let (c1, c2) = (1.0 - 0.9f64.powi(7), 1.0 - 0.999f64.powi(7));
    optimiser(b, |[w, m, v, g]| {
        let m = m.mul_scalar(0.9) + g.clone().mul_scalar(1.0 - 0.9);
        let v = v.mul_scalar(0.999) + (g.clone() * g).mul_scalar(1.0 - 0.999);
        let root = v.clone().div_scalar(c2).sqrt() + 1e-8;
        let step = m.clone().mul_scalar(1e-3 / c1) / root;
        [w.mul_scalar(1.0 - 1e-3 * 0.02) - step, m, v]
    });
}
