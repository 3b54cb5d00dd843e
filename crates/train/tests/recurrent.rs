//! Recurrent connections at time steps: beside the simulator, and gradients beside those written
//! out by hand.

#[path = "common/recomputed.rs"]
mod recomputed;
#[path = "common/tensors.rs"]
mod tensors;

use burn::tensor::{Device, Tensor, TensorData};
use rand::SeedableRng;
use rand_chacha::ChaCha8Rng;
use recomputed::gradients_both_ways;
use std::sync::Arc;
use tensors::{pass, values};
use tickless_kernels::KernelChoice;
use tickless_net::{InputKind, Layer, LeakRule, Network, NetworkBuilder, Neuron, Recurrent, RecurrentKind, Shape};
use tickless_testing::clocked;
use tickless_testing::generate::Rng;
use tickless_testing::generate::exact::{dyadic, dyadic_weights};
use tickless_testing::layers::Map;
use tickless_train::model::{Model, NormMode, Pass, Sequence};

fn network(kind: RecurrentKind, thresholds: bool) -> Network {
    let mut b = NetworkBuilder::new("recurrent", Shape::new(2, 3, 4), InputKind::Events);
    let at = b.ttm(b.input());
    let at = b.conv(at, tickless_net::Conv::c3(3));
    let at = b.add("map", Layer::Neuron(Neuron::lif()), &[at]);
    b.recurrent(at, Recurrent { kind, delay_us: None });
    if thresholds {
        b.thresholds(at, vec![0.5, 1.0, 2.0]);
    }
    let at = b.ttm(at);
    let at = b.linear(at, 5, false);
    let at = b.add("vector", Layer::Neuron(Neuron::if_multi()), &[at]);
    b.recurrent(at, Recurrent { kind, delay_us: Some(50.0) });
    let at = b.ttm(at);
    b.linear(at, 2, false);
    b.build().unwrap()
}

#[test]
fn recurrent_layers_run_as_the_simulator_step_by_step() {
    let mut spikes = 0.0;
    for (k, kind) in [RecurrentKind::Dense, RecurrentKind::OneToOne].into_iter().enumerate() {
        for t in 1..=5 {
            let net = network(kind, k == 0);
            let mut r = Rng((10 * k + t) as u64);
            let (weights, s) = (dyadic_weights(&mut r, &net), net.input().shape);
            let values_of = |r: &mut Rng| (0..s.len()).map(|_| r.pick(&[0.0, 0.0, 1.0, 2.0])).collect();
            let frames: Vec<Map> = (0..t).map(|_| Map { shape: s, data: values_of(&mut r) }).collect();
            let expected = clocked::run(&net, &weights, &frames, None);
            spikes += expected.counts.iter().flatten().sum::<f64>();
            let expected: Vec<f32> = expected.steps.iter().flatten().map(|v| *v as f32).collect();
            for kernel in [KernelChoice::Auto, KernelChoice::Plain] {
                let model = Model::new(Arc::new(net.clone()), &weights, &Device::flex()).unwrap().with_kernel(kernel);
                let x = frames.iter().flat_map(|m| m.data.iter().map(|v| *v as f32)).collect();
                let x = Sequence::from_values(x, [t, 1, s.channels, s.height, s.width], &Device::flex());
                let mut rng = ChaCha8Rng::seed_from_u64(0);
                let configuration = [t; 3];
                let out = model.forward(&model.constants(), x, &pass(&configuration, t), &mut rng, None).unwrap();
                assert_eq!(values(out.logits), expected, "{kind:?}, T = {t}, {kernel:?}");
            }
        }
    }
    assert!(spikes > 200.0, "the networks are silent: {spikes} spikes");
}

/// T_max = 4 steps of 1000 µs: at 12 steps the first layer's spikes return after 1000 µs = 3 steps,
/// and the second layer's after 1400 µs = 4.2 steps, rounded up to 5.
#[test]
fn a_delay_lasts_as_long_at_every_t_if_the_leak_belongs_to_time() {
    let (of, t, t_max, step_us) = (network(RecurrentKind::Dense, true), 12, 4, 1000.0);
    let delayed = |first: Option<f64>, second: f64| {
        let mut b = NetworkBuilder::new("recurrent", of.input().shape, InputKind::Events);
        for node in of.nodes() {
            let id = b.add_copy(node, node.layer, &node.from);
            if let Some(r) = node.recurrent {
                let delay_us = if node.name == "map" { first } else { Some(second) };
                b.recurrent(id, Recurrent { delay_us, ..r });
            }
        }
        b.build().unwrap()
    };
    let mut r = Rng(22);
    let (weights, s) = (dyadic_weights(&mut r, &of), of.input().shape);
    let frames: Vec<Map> =
        (0..t).map(|_| Map { shape: s, data: (0..s.len()).map(|_| r.pick(&[0.0, 0.0, 1.0, 2.0])).collect() }).collect();
    let ours = |net: Network, pass: Pass<'_>| {
        let model = Model::new(Arc::new(net), &weights, &Device::flex()).unwrap();
        let x = frames.iter().flat_map(|m| m.data.iter().map(|v| *v as f32)).collect();
        let x = Sequence::from_values(x, [t, 1, s.channels, s.height, s.width], &Device::flex());
        let mut rng = ChaCha8Rng::seed_from_u64(0);
        model.forward(&model.constants(), x, &pass, &mut rng, None).map(|out| values(out.logits))
    };
    let configuration = [t; 3];
    let time = Pass { leak: LeakRule::Time, step_us: Some(step_us), ..pass(&configuration, t_max) };
    // The simulator's leak is that of its own step: λ^(T_max/T).
    let simulated = |first: f64, second: f64, step_us: Option<f64>, lambda: f32| {
        let net = delayed(Some(first), second).map_neurons(|_, n| match n.leak {
            tickless_net::Leak::Step(_) => Neuron { leak: tickless_net::Leak::Step(lambda), ..n },
            _ => n,
        });
        let run = clocked::run(&net, &weights, &frames, step_us);
        assert!(run.counts.iter().all(|c| c.iter().sum::<f64>() > 10.0), "a layer is silent: {:?}", run.counts);
        run.steps.iter().flatten().map(|v| *v as f32).collect::<Vec<f32>>()
    };
    let close = |a: &[f32], b: &[f32]| a.iter().zip(b).all(|(a, b)| (a - b).abs() < 1e-4);
    let lambda = 0.5f32.powf(t_max as f32 / t as f32);
    let in_time = simulated(1000.0, 1400.0, Some(step_us * t_max as f64 / t as f64), lambda);
    assert!(close(&ours(delayed(None, 1400.0), time.clone()).unwrap(), &in_time));
    assert!(close(&ours(delayed(Some(1000.0), 1400.0), time.clone()).unwrap(), &in_time));
    let one_step = simulated(1000.0, 1400.0, None, lambda);
    assert!(!close(&in_time, &one_step), "the delays matter here");
    // With a leak per step, every delay is one step.
    let per_step = simulated(1000.0, 1400.0, None, 0.5);
    assert!(close(&ours(delayed(None, 1400.0), pass(&configuration, t_max)).unwrap(), &per_step));
    // A delay in µs needs the duration of a step.
    let e = ours(delayed(None, 1400.0), Pass { step_us: None, ..time }).unwrap_err().to_string();
    assert!(e.contains("`vector`") && e.contains("`delay_us`"), "{e}");
}

#[test]
fn a_mixed_configuration_trains_alike_with_and_without_recomputation() {
    let net = Arc::new(network(RecurrentKind::Dense, true));
    let mut r = Rng(3);
    let model = Model::new(net.clone(), &dyadic_weights(&mut r, &net), &Device::flex()).unwrap();
    let configurations = [vec![2, 5, 3], vec![4, 1, 1]];
    let [ours, recomputed] = gradients_both_ways(&model, &mut r, &configurations, &[0, 1, 1, 0], NormMode::Running);
    assert_eq!(ours, recomputed);
    assert!(ours.iter().all(|g| g.as_ref().is_some_and(|g| g.iter().any(|v| *v != 0.0))), "every tensor learns");
}

#[test]
fn gradients_through_the_connections_are_those_written_out() {
    (1..=4).for_each(gradients_at_a_delay_of);
}

/// u_t = λ·v_{t−1} + x_t + W·s_{t−k},  s_t = [u_t > θ],  v_t = u_t·[s_t = 0], with the triangle as
/// surrogate and the gradient through the reset; L = Σ_t g_t·s_t.
fn gradients_at_a_delay_of(k: usize) {
    let (n, steps, lambda, theta) = (4, 7, 0.5f64, 1.0f64);
    let neuron = Neuron::lif();
    assert_eq!((f64::from(neuron.threshold), neuron.detach_reset), (theta, false));
    let mut b = NetworkBuilder::new("one", Shape::vector(n), InputKind::Events);
    let id = b.add("n", Layer::Neuron(neuron), &[b.input()]);
    b.recurrent(id, Recurrent { kind: RecurrentKind::Dense, delay_us: Some(500.0 * k as f64) });
    let net = Arc::new(b.build().unwrap());
    let mut r = Rng(11);
    let weights = dyadic_weights(&mut r, &net);
    let w: Vec<f64> = weights.get("n.recurrent").unwrap().data.iter().map(|v| f64::from(*v)).collect();
    let x: Vec<f32> = (0..steps * n).map(|_| r.below(16) as f32 / 8.0).collect();
    let g = dyadic(&mut r, steps * n);
    // Forward.
    let (mut u, mut s) = (vec![vec![0.0; n]; steps], vec![vec![0.0; n]; steps]);
    let mut v = vec![0.0; n];
    for t in 0..steps {
        for i in 0..n {
            let back: f64 = if t < k { 0.0 } else { (0..n).map(|j| w[i * n + j] * s[t - k][j]).sum() };
            u[t][i] = lambda * v[i] + f64::from(x[t * n + i]) + back;
        }
        for i in 0..n {
            s[t][i] = f64::from(u8::from(u[t][i] > theta));
            v[i] = if s[t][i] > 0.0 { 0.0 } else { u[t][i] };
        }
    }
    assert!(s.iter().flatten().sum::<f64>() > 3.0);
    // Backward.
    let (mut gw, mut gx) = (vec![0.0; n * n], vec![0.0; steps * n]);
    let (mut gv, mut gs_back) = (vec![0.0; n], vec![vec![0.0; n]; steps]);
    for t in (0..steps).rev() {
        let mut gu = vec![0.0; n];
        for i in 0..n {
            let gs = f64::from(g[t * n + i]) + gs_back[t][i] - gv[i] * u[t][i];
            let surrogate = (1.0 - (u[t][i] - theta).abs()).max(0.0);
            gu[i] = gv[i] * (1.0 - s[t][i]) + gs * surrogate;
            gx[t * n + i] = gu[i];
        }
        for i in 0..n {
            gv[i] = lambda * gu[i];
            for j in 0..n {
                if t >= k {
                    gw[i * n + j] += gu[i] * s[t - k][j];
                    gs_back[t - k][j] += gu[i] * w[i * n + j];
                }
            }
        }
    }
    // The library.
    let model = Model::new(net, &weights, &Device::flex()).unwrap();
    let device = Device::flex().autodiff();
    let input = Tensor::<4>::from_data(TensorData::new(x, [steps, n, 1, 1]), &device).require_grad();
    let (leaves, mut rng) = (model.leaves(), ChaCha8Rng::seed_from_u64(0));
    let configuration = [steps];
    let sequence = Sequence::new(input.clone(), steps);
    let pass = Pass { leak: LeakRule::Time, step_us: Some(500.0), ..pass(&configuration, steps) };
    let out = model.forward(&leaves, sequence, &pass, &mut rng, None).unwrap();
    let weighting = Tensor::<3>::from_data(TensorData::new(g, [steps, 1, n]), &device);
    let gradients = (out.logits * weighting).sum().backward();
    let close = |ours: Vec<f32>, by_hand: &[f64]| {
        assert!(by_hand.iter().any(|v| *v != 0.0));
        for (a, b) in ours.iter().zip(by_hand) {
            assert!((f64::from(*a) - b).abs() < 1e-5, "{ours:?} and {by_hand:?}");
        }
    };
    close(values(leaves[0].grad(&gradients).unwrap()), &gw);
    close(values(input.grad(&gradients).unwrap()), &gx);
}
