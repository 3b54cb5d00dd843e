//! Tests of neurons that are not plain: synaptic current, adaptive threshold, learned decay and
//! refractory period.

use burn::tensor::{Device, Tensor, TensorData};
use rand::{Rng, SeedableRng};
use rand_chacha::ChaCha8Rng;
use std::sync::Arc;
use tickless_kernels::KernelChoice;
use tickless_kernels::reference::any_neuron;
use tickless_net::init::{InitScheme, initialise};
use tickless_net::{
    Adaptation, Conv, During, InputKind, Layer, Leak, LeakRule, Network, NetworkBuilder, Neuron, Period, Refractory,
    Reset, Shape, Surrogate,
};
use tickless_neuron::model::{learned_decay, learned_lambda};
use tickless_neuron::step::{AnyState, Constants, Mode, Threshold, adjoint, adjoint_closed, step};
use tickless_testing::golden::{Golden, list, number, refractory};
use tickless_train::Error;
use tickless_train::iteration::optimiser::{OptimiserSetting, OptimiserState};
use tickless_train::iteration::{StepSetting, gradients};
use tickless_train::loss::LossSetting;
use tickless_train::model::{Model, NormMode, Pass, Sequence, host};

fn tensor<const D: usize>(data: &[f32], shape: [usize; D], device: &Device) -> Tensor<D> {
    Tensor::from_data(TensorData::new(data.to_vec(), shape), device)
}

fn values<const D: usize>(t: Tensor<D>) -> Vec<f32> {
    t.into_data().try_into_vec().expect("f32")
}

fn neurons() -> Vec<Neuron> {
    let mut all: Vec<Neuron> = Neuron::KNOWN.map(|k| k.1).into_iter().filter(|n| !n.is_plain()).collect();
    all.push(Neuron { adaptation: Neuron::adaptive_lif().adaptation, ..Neuron::cuba_lif() });
    // 1.5 steps of T_max are 2 steps at T = 10 and 4 at T = 23; at T = 4 no step is dead.
    for during in [During::Integrate, During::Hold] {
        let refractory = Some(Refractory { during, ..Refractory::steps(1.5) });
        for n in [Neuron::lif(), Neuron::if_single(), Neuron::cuba_lif(), Neuron::parametric_lif()] {
            all.push(Neuron { refractory, ..n });
        }
        all.push(Neuron { refractory, ..Neuron::adaptive_lif() });
    }
    for reset in [Reset::SoftDelayed, Reset::SoftRepeated] {
        all.extend([Neuron { reset, ..Neuron::lif() }, Neuron { reset, v_min: None, ..Neuron::if_multi() }]);
        all.push(Neuron { reset, ..Neuron::cuba_lif() });
    }
    for n in all.clone() {
        all.push(Neuron { reset: Reset::Soft, surrogate: Surrogate::Arctangent { alpha: 2.0 }, ..n });
        all.push(Neuron { detach_reset: true, ..n });
    }
    all
}

/// Returns the spikes, and the gradients of w·spikes with respect to the current and to λ, by the
/// scalar step and its adjoint.
fn by_hand(n: &Neuron, c: &Constants, steps: usize, x: &[f32], w: &[f32]) -> (Vec<f32>, Vec<f32>, f32) {
    let each = x.len() / steps;
    let (mut spikes, mut gradient, mut of_lambda) = (vec![0.0; x.len()], vec![0.0; x.len()], 0.0);
    let mode = Mode::of(n);
    for j in 0..each {
        let mut state = AnyState::at_rest(n, 0.0f32);
        let mut seen = Vec::new();
        for t in 0..steps {
            let (before, theta) = (state.0.v, state.0.adaptation.threshold(c));
            let dead = state.0.refractory.is_some_and(|r| r.0 > 0.0);
            let closed = dead || c.dead.is_some_and(|d| d.needs_input && x[t * each + j] == 0.0);
            let held = dead && c.dead.is_some_and(|d| d.hold);
            let fired = step(mode, c, &mut state.0, x[t * each + j]);
            spikes[t * each + j] = fired.spikes;
            seen.push((fired.u, theta, before, closed, held));
        }
        let mut back = AnyState::at_rest(n, 0.0f32);
        for t in (0..steps).rev() {
            let (u, theta, before, closed, held) = seen[t];
            gradient[t * each + j] = match closed {
                true => adjoint_closed(held, c, &mut back.0, &u),
                false => adjoint(mode, n.surrogate, c, &mut back.0, (&u, &theta), w[t * each + j], n.threshold),
            };
            // ∂u/∂λ = v, because u = λ·v + I; the adjoint state holds λ·g_u. A held membrane does
            // not depend on λ.
            of_lambda += if held { 0.0 } else { back.0.v / c.lambda * before };
        }
    }
    (spikes, gradient, of_lambda)
}

#[test]
fn back_propagation_through_any_neuron_is_the_adjoint_of_its_step_at_every_t() {
    let device = Device::flex().autodiff();
    let mut rng = ChaCha8Rng::seed_from_u64(1);
    for n in neurons() {
        for steps in [1, 4, 10, 23] {
            let shape = [steps * 2, 3, 2, 2];
            let mut numbers = |low: f32, high: f32| -> Vec<f32> {
                (0..shape.iter().product()).map(|_| rng.random_range(low..high)).collect()
            };
            let (mut x, w) = (numbers(-0.7, 1.3), numbers(-1.0, 1.0));
            x.iter_mut().step_by(3).for_each(|x| *x = 0.0);
            let c = Constants::at(&n, LeakRule::Time, 10, steps, None).expect("all leaks are per step");
            let (spikes, gradient, of_lambda) = by_hand(&n, &c, steps, &x, &w);
            let current = tensor(&x, shape, &device).require_grad();
            let learned = matches!(n.leak, Leak::Learned(_));
            let lambda = learned.then(|| tensor(&[c.lambda], [1], &device).require_grad());
            let out = any_neuron(current.clone(), &n, c, lambda.clone(), steps);
            assert_eq!(values(out.clone().inner()), spikes, "{n:?} at T = {steps}");
            let mut all = (out * tensor(&w, shape, &device)).sum().backward();
            let got = values(current.grad_remove(&mut all).expect("a gradient"));
            for (k, (a, b)) in got.iter().zip(&gradient).enumerate() {
                assert!((a - b).abs() <= 2e-5 * (1.0 + b.abs()), "{n:?} at T = {steps}, value {k}: {a} {b}");
            }
            if let Some(lambda) = lambda {
                let got = values(lambda.grad_remove(&mut all).expect("a gradient"))[0];
                assert!((got - of_lambda).abs() <= 1e-4 * (1.0 + of_lambda.abs()), "{n:?}: {got} {of_lambda}");
            }
        }
    }
}

/// Two stages: convolution (and norm), neurons, pool; then convolution, neurons, classes.
fn network(n: Neuron, norm: bool) -> Network {
    let mut b = NetworkBuilder::new("general", Shape::new(2, 8, 8), InputKind::Events);
    let at = b.ttm(b.input());
    let at = b.conv(at, Conv::c3(6));
    let at = if norm { b.norm(at) } else { at };
    let at = b.neuron(at, n);
    let at = b.pool(at, tickless_net::Pool::average(2));
    let at = b.ttm(at);
    let at = b.conv(at, Conv::c3(8));
    let at = b.neuron(at, n);
    b.linear(at, 2, false);
    b.build().expect("a network")
}

fn model(n: Neuron, norm: bool, kernel: KernelChoice) -> Model {
    let network = network(n, norm);
    let weights = initialise(&network, InitScheme::Uniform { conv_gain: 1.5 }, 7);
    Model::new(Arc::new(network), &weights, &Device::flex()).expect("the weights fit").with_kernel(kernel)
}

/// Recordings of two classes: events on the left, or events on the right.
fn batch(steps: usize, samples: usize, seed: u64) -> (Sequence, Vec<usize>) {
    let mut rng = ChaCha8Rng::seed_from_u64(seed);
    let labels: Vec<usize> = (0..samples).map(|k| k % 2).collect();
    let mut x = vec![0.0; steps * samples * 128];
    for t in 0..steps {
        for (k, label) in labels.iter().enumerate() {
            for _ in 0..120 / steps {
                let (c, y, column) = (rng.random_range(0..2), rng.random_range(0..8), rng.random_range(0..6));
                x[(t * samples + k) * 128 + c * 64 + y * 8 + column + 2 * label] += 1.0;
            }
        }
    }
    (Sequence::from_values(x, [steps, samples, 2, 8, 8], &Device::flex()), labels)
}

#[test]
fn every_model_learns_by_mixed_time_steps_and_its_weights_serve_every_t() {
    for n in Neuron::KNOWN.map(|k| k.1).into_iter().filter(|n| !n.is_plain()) {
        // Without a norm, because its statistics would fit the frames of T_max only.
        let mut model = model(n, false, KernelChoice::Auto);
        let setting = StepSetting {
            loss: LossSetting::default(),
            norm: NormMode::Batch,
            leak: LeakRule::Step,
            t_max: 6,
            step_us: None,
        };
        let adam = OptimiserSetting::adamw(0.0);
        let mut optimiser = OptimiserState::new(adam, model.parameters.len());
        let mut rng = ChaCha8Rng::seed_from_u64(3);
        let mut losses = Vec::new();
        for k in 0..25 {
            let (x, labels) = batch(6, 16, k);
            let configurations = [vec![6, 2], vec![rng.random_range(1..=6), rng.random_range(1..=6)]];
            let (g, report) =
                gradients(&mut model, &x, &labels, &configurations, &setting, &mut rng).expect("an iteration");
            assert!(g.iter().all(Option::is_some), "{n:?}: every parameter has a gradient");
            losses.push(report.loss);
            optimiser.step(&mut model.parameters, g, 0.01);
        }
        let (first, last) = (losses[0], losses[losses.len() - 1]);
        assert!(last < 0.6 * first, "{n:?}: loss {first} at first, {last} at last");
        let decays: Vec<_> = model.parameters.iter().filter(|p| p.name.ends_with(".decay")).collect();
        assert_eq!(decays.len(), if matches!(n.leak, Leak::Learned(_)) { 2 } else { 0 });
        for p in decays {
            assert_ne!(host(&p.value)[0], learned_decay(0.5), "{}: a learned decay moves", p.name);
        }
        for steps in [1, 3, 6, 60] {
            let (x, labels) = batch(steps, 40, 99);
            let pass = Pass {
                configuration: &[steps, steps],
                norm: NormMode::Running,
                leak: LeakRule::Time,
                t_max: 6,
                step_us: None,
            };
            let out = model.forward(&model.constants(), x, &pass, &mut rng, None).expect("a pass");
            let mean = values(out.logits.mean_dim(0));
            let right = mean.chunks(2).zip(&labels).filter(|(row, y)| usize::from(row[1] > row[0]) == **y).count();
            assert!(right >= 32, "{n:?} at T = {steps}: {right} of 40");
        }
    }
}

#[test]
fn every_kernel_gives_the_plain_operators_result() {
    for n in neurons() {
        let (x, _) = batch(5, 4, 11);
        let run = |kernel: KernelChoice| {
            let model = model(n, true, kernel);
            let pass =
                Pass { configuration: &[3, 5], norm: NormMode::Running, leak: LeakRule::Time, t_max: 6, step_us: None };
            let mut rng = ChaCha8Rng::seed_from_u64(3);
            values(model.forward(&model.constants(), x.clone(), &pass, &mut rng, None).expect("a pass").logits)
        };
        let (fast, plain) = (run(KernelChoice::Auto), run(KernelChoice::Plain));
        for (a, b) in fast.iter().zip(&plain) {
            assert!((a - b).abs() < 1e-4, "{n:?}: {a} {b}");
        }
    }
}

/// Returns the logits and the gradients of all parameters of one pass.
fn pass_and_gradients(n: Neuron, kernel: KernelChoice, t: usize, leak: LeakRule) -> (Vec<f32>, Vec<Vec<f32>>) {
    let mut model = model(n, true, kernel);
    let mut rng = ChaCha8Rng::seed_from_u64(3);
    let (x, labels) = batch(t, 4, 11);
    let configuration = vec![t, t.div_ceil(2)];
    let step_us = Some(1000.0);
    let pass = Pass { configuration: &configuration, norm: NormMode::Running, leak, t_max: 6, step_us };
    let out = model.forward(&model.constants(), x.clone(), &pass, &mut rng, None).expect("a pass");
    let setting = StepSetting { loss: LossSetting::default(), norm: NormMode::Batch, leak, t_max: 6, step_us };
    let all = gradients(&mut model, &x, &labels, std::slice::from_ref(&configuration), &setting, &mut rng)
        .expect("an iteration");
    let gradient = |g: Option<Tensor<1>>| host(&g.expect("every parameter has a gradient"));
    (values(out.logits), all.0.into_iter().map(gradient).collect())
}

#[test]
fn a_period_up_to_one_step_gives_the_bits_of_none_up_to_t_max() {
    for n in [Neuron::lif(), Neuron { reset: Reset::Soft, ..Neuron::if_single() }, Neuron::cuba_lif()] {
        for (period, during) in [
            (Period::Steps(0.25), During::Integrate),
            (Period::Steps(1.0), During::Hold),
            (Period::Us(1000.0), During::Integrate),
        ] {
            let with = Neuron { refractory: Some(Refractory { period, during }), ..n };
            for kernel in [KernelChoice::Auto, KernelChoice::Plain] {
                for (t, leak) in [(1, LeakRule::Time), (4, LeakRule::Time), (6, LeakRule::Time), (6, LeakRule::Step)] {
                    let (a, b) = (pass_and_gradients(n, kernel, t, leak), pass_and_gradients(with, kernel, t, leak));
                    assert!(a == b, "{with:?} at T = {t}, {leak:?}, {kernel:?}");
                }
            }
            // With the leak rule `Step` the period does not scale with T: it is one step at every
            // T.
            let far = |n: Neuron| pass_and_gradients(n, KernelChoice::Auto, 30, LeakRule::Step);
            assert!(far(n) == far(with), "{with:?} at T = 30, per step");
        }
    }
}

/// Spikes of the first neuron layer of the small network at T steps, `[T][values]`.
fn spikes_of_the_first_layer(n: Neuron, kernel: KernelChoice, t: usize) -> Vec<Vec<f32>> {
    let model = model(n, false, kernel);
    let (x, _) = batch(t, 4, 11);
    let x = x.each(|x| x.mul_scalar(3.0));
    let pass = Pass { configuration: &[t, t], norm: NormMode::Running, leak: LeakRule::Time, t_max: 6, step_us: None };
    let neuron1 = model.network().nodes().iter().position(|n| n.name == "neuron1").expect("it has one");
    let mut seen = Vec::new();
    let mut observe = |i: usize, x: &Sequence| {
        if i == neuron1 {
            seen = values(x.clone().channels_first().materialise().tensor());
        }
    };
    let mut rng = ChaCha8Rng::seed_from_u64(3);
    model.forward(&model.constants(), x, &pass, &mut rng, Some(&mut observe)).expect("a pass");
    seen.chunks(seen.len() / t).map(<[f32]>::to_vec).collect()
}

#[test]
fn two_spikes_of_a_neuron_are_never_closer_than_its_period_at_any_t() {
    for during in [During::Integrate, During::Hold] {
        for (rho, t, k) in [(0.5, 60, 5), (1.0, 60, 10), (1.0, 7, 2), (1.5, 6, 2), (0.5, 12, 1)] {
            for kernel in [KernelChoice::Auto, KernelChoice::Plain] {
                let refractory = Some(Refractory { during, ..Refractory::steps(rho) });
                let steps = spikes_of_the_first_layer(Neuron { refractory, ..Neuron::lif() }, kernel, t);
                let mut closest = usize::MAX;
                for neuron in 0..steps[0].len() {
                    let at: Vec<usize> =
                        steps.iter().map(|s| s[neuron]).enumerate().filter(|s| s.1 > 0.0).map(|s| s.0).collect();
                    closest = at.windows(2).map(|w| w[1] - w[0]).fold(closest, usize::min);
                }
                assert_eq!(closest, k, "ρ = {rho}, T = {t}: busy neurons fire as often as they may");
            }
        }
    }
}

#[test]
fn golden_refractory_clocked_spikes_at_every_t() {
    let all = Golden::open("refractory.json").json();
    let cases = all["clocked"].as_array().expect("a list");
    assert!(cases.len() >= 32);
    for case in cases {
        let count = |name: &str| case[name].as_u64().expect("a whole number") as usize;
        let (steps, t_max) = (count("steps"), count("t_max"));
        let leak = if case["leak"] == "step" { LeakRule::Step } else { LeakRule::Time };
        let lambda = number(&case["lambda"]);
        let n = Neuron {
            threshold: number(&case["threshold"]),
            leak: if lambda == 1.0 { Leak::None } else { Leak::Step(lambda) },
            reset: if case["reset"] == "zero" { Reset::Hard } else { Reset::Soft },
            v_min: case["min_v_mem"].as_f64().map(|v| v as f32),
            ..Neuron::lif()
        };
        let n = refractory(n, case);
        assert_eq!(n.interval(leak, t_max, steps, None), Some(count("k")), "{case}");
        let rows = |name: &str| -> Vec<f32> {
            let rows = case[name].as_array().expect("rows");
            rows.iter().flat_map(|row| list(row).into_iter().map(|v| v as f32)).collect()
        };
        let c = Constants::at(&n, leak, t_max, steps, None).expect("all is per step");
        let x = rows("x");
        let width = x.len() / steps;
        let out = any_neuron(tensor(&x, [steps, width, 1, 1], &Device::flex()), &n, c, None, steps);
        assert_eq!(values(out), rows("spikes"), "{case}");
    }
}

#[test]
fn a_learned_decay_runs_as_the_leak_that_it_is() {
    let learned = model(Neuron::parametric_lif(), true, KernelChoice::Auto);
    let decay = 0.8f32;
    let mut weights = learned.weights();
    for name in ["neuron1.decay", "neuron2.decay"] {
        weights.insert(name, tickless_net::Array::full(&[1], decay));
    }
    let network = learned.network().clone();
    let lambda = learned_lambda(decay);
    let resolved = weights.with_learned_leaks(&network).expect("the weights have them");
    assert!(resolved.nodes().iter().all(|n| match n.layer {
        Layer::Neuron(n) => n.leak == Leak::Step(lambda),
        _ => true,
    }));
    let mut rest = weights.clone();
    rest.tensors.retain(|name, _| !name.ends_with(".decay"));
    let run = |network: &Network, weights: &tickless_net::Weights, steps: usize| {
        let model = Model::new(Arc::new(network.clone()), weights, &Device::flex()).expect("the weights fit");
        let (x, _) = batch(steps, 4, 11);
        let pass = Pass {
            configuration: &[steps, steps],
            norm: NormMode::Running,
            leak: LeakRule::Time,
            t_max: 6,
            step_us: None,
        };
        let mut rng = ChaCha8Rng::seed_from_u64(3);
        values(model.forward(&model.constants(), x, &pass, &mut rng, None).expect("a pass").logits)
    };
    for steps in [2, 6, 15] {
        let (a, b) = (run(&network, &weights, steps), run(&resolved, &rest, steps));
        assert!(a.iter().zip(&b).all(|(a, b)| (a - b).abs() < 1e-3), "T = {steps}: {a:?} {b:?}");
    }
}

#[test]
fn a_time_constant_on_a_static_image_is_refused_by_the_layers_name() {
    let n = Neuron { synapse: Some(Leak::Time(1e4)), ..Neuron::cuba_lif() };
    let adaptive =
        Neuron { adaptation: Some(Adaptation { increment: 0.1, leak: Leak::Time(1e4) }), ..Neuron::adaptive_lif() };
    let period = Refractory { period: Period::Us(1e4), during: During::Integrate };
    let refractory = Neuron { refractory: Some(period), ..Neuron::lif() };
    for n in [n, adaptive, refractory] {
        let model = model(n, true, KernelChoice::Auto);
        let (x, _) = batch(2, 2, 1);
        let pass =
            Pass { configuration: &[2, 2], norm: NormMode::Running, leak: LeakRule::Step, t_max: 2, step_us: None };
        let mut rng = ChaCha8Rng::seed_from_u64(3);
        let e = model.forward(&model.constants(), x, &pass, &mut rng, None).unwrap_err();
        assert!(matches!(&e, Error::NoStepDuration { layer } if layer == "neuron1"), "{e}");
    }
}
