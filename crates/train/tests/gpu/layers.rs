//! Tests of TTM, pooling, convolution, norm with neuron, and the SGD step on the GPU.

use super::{both_ways, close, gpu, near_a_tie, random, rng, tensor, values};
use burn::tensor::{Device, Tensor};
use std::sync::Arc;
use tickless_kernels::KernelChoice;
use tickless_kernels::ttm::TimeMap;
use tickless_kernels::{
    AdamWOp, NeuronOp, SgdOp, adamw, conv, fused, fused_pooled, map_time, neuron, reference, sgd, tile_pool,
    tile_pool_last,
};
use tickless_kernels::{Branch, BranchNorm};
use tickless_net::{Neuron, TtmMode};

const LAST: [isize; 4] = [0, 2, 3, 1];
const FIRST: [isize; 4] = [0, 3, 1, 2];

#[test]
fn every_time_map_is_that_of_the_cpu_and_of_the_plain_form_forward_and_back() {
    let Some(device) = gpu() else { return };
    for (k, mode) in [TtmMode::Even, TtmMode::Soft, TtmMode::Trim, TtmMode::Random].into_iter().enumerate() {
        for (a, b) in [(1, 1), (5, 3), (3, 5), (1, 6), (6, 1), (4, 4), (7, 2)] {
            let map = TimeMap::ttm(mode, a, b, &mut rng(k as u64));
            let inputs = [(random(a * 2 * 3 * 35, k as u64, -2.0, 2.0), [a * 2, 3, 5, 7])];
            let run_on = |d: &Device| both_ways(d, &inputs, |x| map_time(x[0].clone(), Arc::new(map.clone())));
            let ((y, g), (cpu_y, cpu_g)) = (run_on(&device), run_on(&Device::flex()));
            let (plain_y, plain_g) = both_ways(&Device::flex(), &inputs, |x| reference::map_time(x[0].clone(), &map));
            for (what, got, cpu, plain) in [("map", &y, &cpu_y, &plain_y), ("gradient", &g[0], &cpu_g[0], &plain_g[0])]
            {
                let what = format!("{mode:?} {a} → {b}: {what}");
                match mode {
                    TtmMode::Soft => close(&what, got, cpu, 1e-6),
                    _ => assert_eq!(got, cpu, "{what}"),
                }
                close(&what, got, plain, 1e-6);
            }
            let turned = both_ways(&device, &inputs, |x| {
                map_time(x[0].clone().permute(LAST), Arc::new(map.clone())).permute(FIRST)
            });
            assert_eq!((y, g), turned, "{mode:?} {a} → {b}: the layout in memory does not matter");
        }
    }
}

/// A function that pools.
type Form<'a> = &'a dyn Fn(&[Tensor<4>]) -> Tensor<4>;

#[test]
fn tiles_are_pooled_as_on_the_cpu_whatever_the_layout() {
    let Some(device) = gpu() else { return };
    for (shape, k) in [([3, 5, 17, 17], 2), ([70, 1, 9, 7], 3), ([1, 2, 4, 4], 4), ([2, 2, 5, 3], 1)] {
        let inputs = [(random(shape.iter().product(), 3, -2.0, 2.0), shape)];
        let scale = 1.0 / (k * k) as f32;
        let cpu = both_ways(&Device::flex(), &inputs, |x| tile_pool(x[0].clone(), k, scale));
        let forms: [Form; 3] = [
            &|x| tile_pool(x[0].clone(), k, scale),
            // The shape is channels first, but the channels are innermost in memory.
            &|x| tile_pool((x[0].clone().permute(LAST) * 1.0).permute(FIRST), k, scale),
            &|x| tile_pool_last(x[0].clone().permute(LAST), k, scale).permute(FIRST),
        ];
        for (form, f) in forms.into_iter().enumerate() {
            let (y, g) = both_ways(&device, &inputs, f);
            close(&format!("{shape:?} by {k}, form {form}"), &y, &cpu.0, 1e-6);
            close(&format!("{shape:?} by {k}, form {form}: gradient"), &g[0], &cpu.1[0], 1e-6);
        }
    }
}

#[test]
fn a_convolution_is_that_of_the_cpu_forward_and_back() {
    let Some(device) = gpu() else { return };
    for (c, out, side, kernel, padding, stride) in
        [(2, 8, 11, 3, 1, 1), (8, 16, 9, 3, 1, 2), (16, 5, 6, 1, 0, 2), (3, 4, 8, 5, 2, 3)]
    {
        let inputs = [
            (random(3 * c * side * side, 1, -1.0, 1.0), [3, c, side, side]),
            (random(out * c * kernel * kernel, 2, -1.0, 1.0), [out, c, kernel, kernel]),
        ];
        let run = |d: &Device| {
            both_ways(d, &inputs, |t| {
                conv(t[0].clone().permute(LAST), t[1].clone(), stride, padding, KernelChoice::Dense).permute(FIRST)
            })
        };
        let ((y, g), (cpu_y, cpu_g)) = (run(&device), run(&Device::flex()));
        let what = format!("{c} → {out}, {kernel}×{kernel}/{stride}");
        close(&what, &y, &cpu_y, 1e-5);
        close(&format!("{what}: gradient of the input"), &g[0], &cpu_g[0], 1e-5);
        close(&format!("{what}: gradient of the weight"), &g[1], &cpu_g[1], 1e-5);
    }
}

/// A branch of `t` steps, repeated to `steps` steps, with this norm.
fn branch(t: usize, steps: usize, norm: BranchNorm) -> Branch {
    let map = TimeMap::ttm(TtmMode::Even, t, steps, &mut rng(0));
    Branch { norm, repeat: (t != steps).then(|| Arc::new(map)) }
}

#[test]
fn norms_repeats_sum_and_neuron_in_one_are_those_of_the_cpu_forward_and_back() {
    let Some(device) = gpu() else { return };
    let norms = [BranchNorm::None, BranchNorm::Affine, BranchNorm::Batch(1e-5)];
    let (batch, side, c) = (3, 5, 6);
    let mut cases = Vec::new();
    for (steps, t1, t2) in [(1, 1, 1), (4, 4, 2), (5, 2, 3)] {
        for first in norms {
            cases.push((steps, vec![(t1, first)]));
            cases.extend(norms.map(|second| (steps, vec![(t1, first), (t2, second)])));
        }
    }
    for (k, (steps, branches)) in cases.into_iter().enumerate() {
        let neuron = if k % 2 == 0 { Neuron::lif() } else { Neuron::if_multi() };
        let op = NeuronOp { neuron, lambda: if k % 2 == 0 { 0.5 } else { 1.0 }, steps };
        // γ and β are passed as maps, because `both_ways` needs inputs of one rank.
        let inputs: Vec<(Vec<f32>, [usize; 4])> = branches
            .iter()
            .enumerate()
            .flat_map(|(b, (t, _))| {
                let seed = (10 * k + b) as u64;
                let shape = [t * batch, side, side, c];
                let x = (random(shape.iter().product(), seed, -2.0, 2.5), shape);
                [x, (random(c, seed, 0.4, 1.4), [1, 1, 1, c]), (random(c, seed + 5, -0.5, 0.5), [1, 1, 1, c])]
            })
            .collect();
        let run = |d: &Device| {
            let statistics = std::cell::RefCell::new(Vec::new());
            let all = both_ways(d, &inputs, |t| {
                let each = t.chunks(3).zip(&branches).map(|(t, (steps, norm))| {
                    let flat = |t: &Tensor<4>| t.clone().reshape([c]);
                    let norms = (*norm != BranchNorm::None).then(|| (flat(&t[1]), flat(&t[2])));
                    // Adds 0·(γ + β), so that they have a gradient (of zero) if the branch has no
                    // norm.
                    let nothing = (t[1].clone() + t[2].clone()) * 0.0;
                    (t[0].clone() + nothing, norms, branch(*steps, op.steps, *norm))
                });
                let (s, seen) = fused(each.collect(), op);
                *statistics.borrow_mut() = seen;
                s
            });
            (all, statistics.into_inner())
        };
        let (((s, g), seen), ((cpu_s, cpu_g), cpu_seen)) = (run(&device), run(&Device::flex()));
        for (a, b) in seen.iter().zip(&cpu_seen) {
            assert_eq!(a.is_some(), b.is_some());
            if let (Some(a), Some(b)) = (a, b) {
                close("mean", &a.mean, &b.mean, 1e-5);
                close("variance", &a.variance, &b.variance, 1e-5);
                assert_eq!(a.count, b.count);
            }
        }
        let current = current_of(&inputs, &branches, op);
        let n = current.len() / steps;
        if (0..n).any(|i| near_a_tie(op, &current, i, 1e-5)) {
            continue;
        }
        assert_eq!(s, cpu_s, "{branches:?}: spikes");
        for (k, (a, b)) in g.iter().zip(&cpu_g).enumerate() {
            close(&format!("{branches:?}: gradient of {k}"), a, b, 1e-5);
        }
    }
}

#[test]
fn spikes_that_only_a_pooling_reads_are_pooled_as_on_the_cpu_forward_and_back() {
    let Some(device) = gpu() else { return };
    let op = NeuronOp { neuron: Neuron::if_multi(), lambda: 1.0, steps: 3 };
    let shape = [6, 5, 7, 4];
    let inputs = [(random(shape.iter().product(), 12, -2.0, 2.5), shape)];
    let run = |d: &Device| {
        both_ways(d, &inputs, |x| {
            let branches = vec![(x[0].clone(), None, branch(3, 3, BranchNorm::None))];
            fused_pooled(branches, op, Some((2, 0.25))).0
        })
    };
    let ((y, g), (cpu_y, cpu_g)) = (run(&device), run(&Device::flex()));
    assert!((0..inputs[0].0.len() / 3).all(|i| !near_a_tie(op, &inputs[0].0, i, 1e-5)), "a seed without ties");
    close("sums", &y, &cpu_y, 1e-6);
    close("gradient", &g[0], &cpu_g[0], 1e-5);
}

/// The sum of the branches, from which the margin of each neuron follows.
fn current_of(inputs: &[(Vec<f32>, [usize; 4])], branches: &[(usize, BranchNorm)], op: NeuronOp) -> Vec<f32> {
    let device = Device::flex();
    let each = inputs.chunks(3).zip(branches).map(|(t, &(steps, norm))| {
        let c = t[1].0.len();
        let map = TimeMap::ttm(TtmMode::Even, steps, op.steps, &mut rng(0));
        let x = map_time(tensor(&t[0].0, t[0].1, &device), Arc::new(map));
        let (gain, shift) = (tensor(&t[1].0, [1, 1, 1, c], &device), tensor(&t[2].0, [1, 1, 1, c], &device));
        match norm {
            BranchNorm::None => x,
            BranchNorm::Affine => x * gain + shift,
            BranchNorm::Batch(eps) => {
                let over = |t: Tensor<4>| t.mean_dim(0).mean_dim(1).mean_dim(2);
                let d = x.clone() - over(x);
                d.clone() / (over(d.clone() * d) + eps).sqrt() * gain + shift
            }
        }
    });
    each.reduce(|a, b| a + b).map(values).expect("one branch at least")
}

#[test]
fn a_step_of_sgd_is_that_of_the_cpu_and_leaves_shared_tensors_alone() {
    let Some(device) = gpu() else { return };
    let n = 40_001;
    let [w, m, g] = [1, 2, 3].map(|seed| random(n, seed, -1.0, 1.0));
    let op = SgdOp { rate: 0.1, momentum: 0.9, decay: 5e-4 };
    let [w1, m1, g1] = [&w, &m, &g].map(|v| tensor(v, [n], &Device::flex()));
    let (w1, m1) = sgd(w1, m1, g1, op);
    let [w2, m2, g2] = [&w, &m, &g].map(|v| tensor(v, [n], &device));
    let shared = w2.clone();
    let (w2, m2) = sgd(w2, m2, g2.clone(), op);
    close("weight", &values(w2.clone()), &values(w1), 1e-6);
    close("momentum", &values(m2.clone()), &values(m1), 1e-6);
    assert_eq!(values(shared), w, "a weight that somebody else holds is not changed");
    let before = values(w2.clone() + 0.0);
    let (w3, _) = sgd(w2, m2, g2, op);
    assert_ne!(values(w3), before, "a second step moves on");
}

#[test]
fn a_step_of_adamw_is_that_of_the_cpu_and_leaves_shared_tensors_alone() {
    let Some(device) = gpu() else { return };
    let n = 40_001;
    let [w, m, g] = [1, 2, 3].map(|seed| random(n, seed, -1.0, 1.0));
    let v = random(n, 4, 0.0, 1.0);
    let op = AdamWOp::new(3e-3, [0.9, 0.999], 1e-8, 0.02, 7);
    let tensors_on = |d: &Device| [&w, &m, &v, &g].map(|v| tensor(v, [n], d));
    let [w1, m1, v1, g1] = tensors_on(&Device::flex());
    let (w1, m1, v1) = adamw(w1, m1, v1, g1, op);
    let [w2, m2, v2, g2] = tensors_on(&device);
    let shared = w2.clone();
    let (w2, m2, v2) = adamw(w2, m2, v2, g2, op);
    close("weight", &values(w2), &values(w1), 1e-6);
    close("first moment", &values(m2), &values(m1), 1e-6);
    close("second moment", &values(v2), &values(v1), 1e-6);
    assert_eq!(values(shared), w, "a weight that somebody else holds is not changed");
}

#[test]
fn an_untracked_neuron_after_a_convolution_is_that_of_the_cpu() {
    let Some(device) = gpu() else { return };
    let op = NeuronOp { neuron: Neuron::lif(), lambda: 0.5, steps: 2 };
    let (x, w) = (random(2 * 3 * 49, 4, -1.0, 1.0), random(4 * 27, 5, -1.0, 1.0));
    let run = |d: &Device| {
        let current = conv(tensor(&x, [2, 7, 7, 3], d), tensor(&w, [4, 3, 3, 3], d), 1, 1, KernelChoice::Auto);
        (values(current.clone()), values(neuron(current, op)))
    };
    let ((_, s), (current, cpu_s)) = (run(&device), run(&Device::flex()));
    let n = current.len() / op.steps;
    for i in (0..current.len()).filter(|i| !near_a_tie(op, &current, i % n, 1e-5)) {
        assert_eq!(s[i], cpu_s[i], "value {i}");
    }
}
