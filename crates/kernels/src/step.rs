//! One step of a neuron layer that keeps its state outside of the operator, for runs that decide
//! after each step whether they go on.
//!
//! The state is on the host and no gradient is recorded. On the CPU a step of plain neurons is one
//! pass over memory, as in the fused layer ([`crate::FusedLayer`]), whose bits it has. On another
//! device each step copies its tensors to the host and back.

use crate::cpu;
use crate::operators::{Branch, FusedOp, NeuronOp, TilePool};
use crate::{BranchNorm, FirstInput, FusedBranch};
use burn::tensor::{Tensor, TensorData};
use tickless_neuron::Neuron;
use tickless_neuron::step::{AnyState, Constants};

/// Spikes of plain neurons whose current is the sum of one or two branches; with `pool` (kernel side
/// and scale), their sums over windows, and neurons outside of every window do not run.
///
/// `membranes` are the potentials before the step; the call replaces them by those after it. If
/// they are empty, the neurons are at rest.
///
/// # Shapes
/// Channels-last: each branch and the spikes `[B, H, W, C]`, gain and shift `[C]`, membranes
/// `[B·H·W·C]`.
///
/// # Panics
/// If there are no branches or more than two, if their shapes differ, if a branch has a batch norm
/// or a repeat, or if the number of membranes is another.
pub fn fused_step(
    branches: Vec<FusedBranch>,
    neuron: NeuronOp,
    pool: Option<(usize, f32)>,
    membranes: &mut Vec<f32>,
) -> Tensor<4> {
    assert!((1..=2).contains(&branches.len()), "a fused layer has one or two branches, got {}", branches.len());
    let (shape, device) = (branches[0].0.dims(), branches[0].0.device());
    assert!(branches.iter().all(|b| b.0.dims() == shape && b.2.repeat.is_none()), "branches differ in shape");
    let [batch, height, width, channels] = shape;
    let op = FusedOp {
        neuron: NeuronOp { steps: 1, ..neuron },
        branches: branches.iter().map(|b| b.2.clone()).collect(),
        pool: pool.map(|(kernel, scale)| TilePool { kernel, scale, height, width, channels, last: true }),
    };
    begin(membranes, batch * height * width * channels);
    let hosts: Vec<_> = branches
        .into_iter()
        .map(|(x, norm, branch)| {
            let (gain, shift) = parameters(norm, &branch);
            (host(x), gain, shift)
        })
        .collect();
    let inputs: Vec<_> = hosts.iter().map(|(x, gain, shift)| cpu::fused::forward::Input { x, gain, shift }).collect();
    let spikes = cpu::fused::forward::step(cpu::simd::detect(), &op, &inputs, channels, membranes);
    let (height, width) = op.pool.map_or((height, width), |p| p.out());
    Tensor::from_data(TensorData::new(spikes, [batch, height, width, channels]), &device)
}

/// As [`fused_step`], with the convolution of a first layer ([`crate::FirstLayer`]) before it.
///
/// # Shapes
/// As [`crate::FirstLayer`]; membranes `[B·H·W·Co]`.
///
/// # Panics
/// If the first-layer operator does not support the convolution ([`crate::operators::FirstOp::fits`]), if the branch
/// has a batch norm or a repeat, or if the number of membranes is another.
pub fn first_step(
    input: FirstInput,
    norm: Option<(Tensor<1>, Tensor<1>)>,
    branch: Branch,
    neuron: NeuronOp,
    pool: Option<(usize, f32)>,
    membranes: &mut Vec<f32>,
) -> Tensor<4> {
    assert!(branch.repeat.is_none(), "a step repeats no step");
    let (batch, device) = (input.x.dims()[0], input.x.device());
    let (gain, shift) = parameters(norm, &branch);
    let op = input.op(NeuronOp { steps: 1, ..neuron }, branch, pool);
    let g = op.conv.geometry;
    begin(membranes, batch * g.out_height() * g.out_width() * g.out);
    let (x, weight) = (host(input.x), host(input.weight));
    let (spikes, shape) = cpu::first::host::step(&op, (&x, &weight), (&gain, &shift), membranes);
    Tensor::from_data(TensorData::new(spikes, shape), &device)
}

/// Puts `count` neurons at rest if there are no membranes.
fn begin(membranes: &mut Vec<f32>, count: usize) {
    if membranes.is_empty() {
        membranes.resize(count, 0.0);
    }
}

/// γ and β of a branch, empty without a norm.
fn parameters(norm: Option<(Tensor<1>, Tensor<1>)>, branch: &Branch) -> (Vec<f32>, Vec<f32>) {
    assert_eq!(norm.is_some(), branch.norm != BranchNorm::None, "a norm has gain and shift");
    norm.map_or((Vec::new(), Vec::new()), |(gain, shift)| (host(gain), host(shift)))
}

/// Spikes of any neurons, whose states the call moves on by one step. If there are no states, the
/// neurons are at rest.
///
/// # Shapes
/// `current` and the spikes `[B, …]`; one state for each value.
///
/// # Panics
/// If the number of states is another.
pub fn any_neuron_step(
    current: Tensor<4>,
    neuron: &Neuron,
    constants: &Constants,
    states: &mut Vec<AnyState<f32>>,
) -> Tensor<4> {
    let (shape, device) = (current.dims(), current.device());
    let current = host(current);
    if states.is_empty() {
        states.resize(current.len(), AnyState::at_rest(neuron, 0.0));
    }
    let spikes = cpu::general_step(&current, neuron, constants, states);
    Tensor::from_data(TensorData::new(spikes, shape), &device)
}

fn host<const D: usize>(t: Tensor<D>) -> Vec<f32> {
    t.into_data().try_into_vec().expect("every tensor of this crate is f32")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{FirstLayer, FusedLayer, KernelChoice, Reduction, any_neuron_on_cpu};
    use burn::tensor::Device;
    use tickless_neuron::leak::LeakRule;
    use tickless_neuron::{Refractory, Reset};

    const SHAPE: [usize; 4] = [3, 5, 4, 9];
    const T: usize = 4;

    /// Currents `[T·B, H, W, C]`.
    fn currents(seed: u32) -> Vec<f32> {
        let count = T * SHAPE.iter().product::<usize>();
        (0..count as u32).map(|i| (i.wrapping_mul(2_654_435_761) ^ seed) as f32 / u32::MAX as f32 * 3.0 - 1.0).collect()
    }

    fn tensor(values: &[f32], rows: usize) -> Tensor<4> {
        let [_, h, w, c] = SHAPE;
        Tensor::from_data(TensorData::new(values.to_vec(), [rows, h, w, c]), &Device::flex())
    }

    fn channels(value: f32) -> Tensor<1> {
        let values: Vec<f32> = (0..SHAPE[3]).map(|c| value + c as f32 / 16.0).collect();
        Tensor::from_data(TensorData::new(values, [SHAPE[3]]), &Device::flex())
    }

    #[test]
    fn steps_one_by_one_are_the_bits_of_the_fused_layer() {
        for neuron in [Neuron::lif(), Neuron { reset: Reset::Soft, ..Neuron::lif() }, Neuron::if_multi()] {
            let op = NeuronOp { neuron, lambda: if neuron.leaks() { 0.5 } else { 1.0 }, steps: T };
            let affine = Branch { norm: BranchNorm::Affine, repeat: None };
            let bare = Branch { norm: BranchNorm::None, repeat: None };
            let (a, b) = (currents(1), currents(2));
            for (two, pool) in [(false, None), (true, None), (false, Some((2, 0.25))), (true, Some((3, 1.0)))] {
                let branches = |a: Tensor<4>, b: Tensor<4>| {
                    let mut all = vec![(a, Some((channels(0.5), channels(0.1))), affine.clone())];
                    if two {
                        all.push((b, None, bare.clone()));
                    }
                    all
                };
                let rows = SHAPE[0];
                let layer = FusedLayer::new(branches(tensor(&a, T * rows), tensor(&b, T * rows)), op, pool);
                let count = layer.moments().len();
                let whole = host(layer.spikes(vec![None; count], Reduction::whole()));
                let (mut membranes, mut steps) = (Vec::new(), Vec::new());
                for (a, b) in a.chunks(a.len() / T).zip(b.chunks(b.len() / T)) {
                    let branches = branches(tensor(a, rows), tensor(b, rows));
                    steps.extend(host(fused_step(branches, op, pool, &mut membranes)));
                }
                assert!(whole.iter().any(|s| *s > 0.0));
                assert_eq!(whole, steps);
            }
        }
    }

    #[test]
    fn steps_of_a_first_layer_one_by_one_are_the_bits_of_the_whole_sequence() {
        let device = Device::flex();
        for neuron in [Neuron::lif(), Neuron::if_multi()] {
            let op = NeuronOp { neuron, lambda: if neuron.leaks() { 0.5 } else { 1.0 }, steps: T };
            for (out, side, padding, pool) in
                [(8, 9, 1, Some((2, 0.25))), (3, 7, 0, None), (16, 8, 2, Some((3, 1.0))), (5, 40, 1, None)]
            {
                let (batch, kernel) = (3, KernelChoice::Auto);
                let size = batch * 2 * side * side;
                let active = |i: u32| f32::from(i.wrapping_mul(2_654_435_761) >> 28 == 3) * (1.0 + (i % 3) as f32);
                let x: Vec<f32> = (0..(T * size) as u32).map(active).collect();
                let weight: Vec<f32> = (0..out as u32 * 18).map(|i| ((i * 7) % 13) as f32 / 8.0 - 0.5).collect();
                let weight: Tensor<4> = Tensor::from_data(TensorData::new(weight, [out, 2, 3, 3]), &device);
                let values = |low: f32| Tensor::from_data(TensorData::new(vec![low; out], [out]), &device);
                let input = |x: &[f32]| {
                    let x = TensorData::new(x.to_vec(), [x.len() / (2 * side * side), 2, side, side]);
                    FirstInput { x: Tensor::from_data(x, &device), weight: weight.clone(), padding, kernel }
                };
                for norm in [BranchNorm::None, BranchNorm::Affine] {
                    let branch = Branch { norm, repeat: None };
                    let parameters = (norm != BranchNorm::None).then(|| (values(1.25), values(-0.125)));
                    let layer = FirstLayer::new(input(&x), parameters.clone(), branch.clone(), op, pool);
                    let whole = host(layer.spikes(vec![None], Reduction::whole()));
                    let (mut membranes, mut steps) = (Vec::new(), Vec::new());
                    for x in x.chunks(size) {
                        let (input, branch, norm) = (input(x), branch.clone(), parameters.clone());
                        steps.extend(host(first_step(input, norm, branch, op, pool, &mut membranes)));
                    }
                    assert!(whole.iter().any(|s| *s > 0.0));
                    assert_eq!(whole, steps, "{out} channels, side {side}, {pool:?}, {norm:?}");
                }
            }
        }
    }

    #[test]
    fn steps_of_any_neuron_one_by_one_are_those_of_the_whole_sequence() {
        let resting = Neuron { refractory: Some(Refractory::steps(2.0)), ..Neuron::lif() };
        for neuron in [Neuron::cuba_lif(), Neuron::adaptive_lif(), resting] {
            let constants = Constants::at(&neuron, LeakRule::Step, T, T, None).unwrap();
            let x = currents(3);
            let whole = host(any_neuron_on_cpu(tensor(&x, T * SHAPE[0]), &neuron, &constants, T));
            let (mut states, mut steps) = (Vec::new(), Vec::new());
            for x in x.chunks(x.len() / T) {
                steps.extend(host(any_neuron_step(tensor(x, SHAPE[0]), &neuron, &constants, &mut states)));
            }
            assert!(whole.iter().any(|s| *s > 0.0));
            assert_eq!(whole, steps);
        }
    }
}
