//! Tests of single neuron layers: every reset, spike mode, limit and surrogate, and every layout.

use super::{both_ways, close, every_neuron, gpu, near_a_tie, random, tensor, values};
use burn::tensor::{Device, FloatDType, Tensor};
use tickless_kernels::{NeuronOp, neuron, reference};
use tickless_net::Neuron;

const LAMBDA: f32 = 0.9;

/// Returns a function that removes the values of neurons close to a tie.
fn kept<'a>(op: NeuronOp, x: &'a [f32], margin: f32) -> impl Fn(&[f32]) -> Vec<f32> + 'a {
    let n = x.len() / op.steps;
    let tie: Vec<bool> = (0..n).map(|i| near_a_tie(op, x, i, margin)).collect();
    let left = tie.iter().filter(|t| !**t).count();
    assert!(left * 10 >= n * 8, "{op:?}: only {left} of {n} neurons are compared");
    move |v| v.iter().enumerate().filter(|(i, _)| !tie[i % n]).map(|(_, v)| *v).collect()
}

#[test]
fn every_neuron_fires_and_learns_as_on_the_cpu_and_in_the_plain_form() {
    let Some(device) = gpu() else { return };
    for (k, n) in every_neuron().into_iter().enumerate() {
        let op = NeuronOp { neuron: n, lambda: LAMBDA, steps: 1 + k % 5 };
        let shape = [op.steps * 2, 3, 5, 11];
        let x = random(shape.iter().product(), k as u64, -1.5, 2.5);
        let inputs = [(x.clone(), shape)];
        let (s, gx) = both_ways(&device, &inputs, |x| neuron(x[0].clone(), op));
        let (cpu_s, cpu_gx) = both_ways(&Device::flex(), &inputs, |x| neuron(x[0].clone(), op));
        let keep = kept(op, &x, 1e-5);
        assert_eq!(keep(&s), keep(&cpu_s), "{op:?}: spikes");
        close(&format!("{op:?}: gradient"), &keep(&gx[0]), &keep(&cpu_gx[0]), 1e-5);
        assert_eq!(s, values(neuron(tensor(&x, shape, &device), op)), "{op:?}: the same without autodiff");
        // The plain form rounds in another order, so more neurons are close to a tie.
        let (plain_s, plain_gx) = both_ways(&Device::flex(), &inputs, |x| reference::neuron(x[0].clone(), op));
        let keep = kept(op, &x, 1e-3);
        close(&format!("{op:?}: spikes and the plain form"), &keep(&s), &keep(&plain_s), 1e-5);
        close(&format!("{op:?}: gradient and the plain form"), &keep(&gx[0]), &keep(&plain_gx[0]), 1e-5);
    }
}

#[test]
fn the_layout_in_memory_does_not_matter() {
    let Some(device) = gpu() else { return };
    let op = NeuronOp { neuron: Neuron::lif(), lambda: 0.5, steps: 3 };
    let shape = [6, 4, 5, 7];
    let inputs = [(random(6 * 4 * 5 * 7, 1, -1.5, 2.5), shape)];
    let plain = both_ways(&device, &inputs, |x| neuron(x[0].clone(), op));
    let turned = |axes: [isize; 4], back: [isize; 4]| {
        both_ways(&device, &inputs, |x| neuron(x[0].clone().permute(axes), op).permute(back))
    };
    assert_eq!(plain, turned([0, 2, 3, 1], [0, 3, 1, 2]));
    assert_eq!(plain, turned([0, 3, 2, 1], [0, 3, 2, 1]));
}

#[test]
fn a_gradient_that_is_one_everywhere_is_no_special_case() {
    let Some(device) = gpu() else { return };
    let op = NeuronOp { neuron: Neuron::if_multi(), lambda: 1.0, steps: 4 };
    let shape = [4, 2, 3, 9];
    let x = random(4 * 2 * 3 * 9, 5, -1.5, 2.5);
    // The gradient of `sum` is a broadcast tensor without storage of its own.
    let run = |device: &Device| {
        let leaf = tensor(&x, shape, &device.clone().autodiff()).require_grad();
        let gradients = neuron(leaf.clone(), op).sum().backward();
        values(leaf.grad(&gradients).expect("a leaf"))
    };
    let keep = kept(op, &x, 1e-5);
    close("gradient", &keep(&run(&device)), &keep(&run(&Device::flex())), 1e-5);
}

#[test]
fn no_neurons_are_no_special_case() {
    let Some(device) = gpu() else { return };
    let op = NeuronOp { neuron: Neuron::lif(), lambda: 0.5, steps: 2 };
    assert_eq!(neuron(Tensor::zeros([0, 2, 3, 3], &device), op).dims(), [0, 2, 3, 3]);
}

#[test]
fn short_floats_store_what_the_membrane_computes_in_f32() {
    let Some(device) = gpu() else { return };
    for dtype in [FloatDType::F16, FloatDType::BF16] {
        if !device.supports_dtype(dtype) {
            eprintln!("skipped: this device computes no {dtype:?}");
            continue;
        }
        let op = NeuronOp { neuron: Neuron::lif(), lambda: 0.5, steps: 4 };
        let x = tensor(&random(4 * 300, 8, -1.5, 2.5), [4, 3, 10, 10], &device).cast(dtype);
        let rounded = values(x.clone().cast(FloatDType::F32));
        let s = neuron(x, op);
        assert_eq!(s.dtype(), dtype.into());
        let s = values(s.cast(FloatDType::F32));
        let keep = kept(op, &rounded, 1e-5);
        assert_eq!(keep(&s), keep(&values(neuron(tensor(&rounded, [4, 3, 10, 10], &Device::flex()), op))));
    }
}
