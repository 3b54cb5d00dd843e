//! Laws of rectified activations and of the rates of a balanced network.

use super::*;
use burn::tensor::Device;
use std::sync::Arc;
use tickless_net::balance::{Balanced, balance, prepare};
use tickless_net::init::{InitScheme, initialise};
use tickless_net::{
    AdaptiveAverage, Array, Conv, Dropout, Layer, Network, NetworkBuilder, Neuron, NodeId, Pool, Shape, SpikeMode,
    TtmMode, Weights,
};
use tickless_testing::generate::Rng;

/// Neurons without a lower limit, whose rates are bounded by theory.
fn neuron(spikes: SpikeMode) -> Neuron {
    Neuron { v_min: None, spikes, ..Neuron::if_multi() }
}

fn mlp(spikes: SpikeMode) -> Network {
    let mut b = NetworkBuilder::new("mlp", Shape::vector(6), InputKind::Image);
    let mut at = NodeId::Input;
    for width in [12, 10, 8] {
        at = b.linear(at, width, true);
        at = b.neuron(at, neuron(spikes));
    }
    b.linear(at, 4, true);
    b.build().unwrap()
}

/// A network with norms, an identity, a projected shortcut, spikes that are added, stages and pools.
fn residual(spikes: SpikeMode) -> Network {
    let n = neuron(spikes);
    let mut b = NetworkBuilder::new("residual", Shape::new(2, 6, 6), InputKind::Image);
    let at = b.ttm(NodeId::Input);
    let c = b.conv(at, Conv { bias: true, ..Conv::c3(4) });
    let c = b.norm(c);
    let stem = b.neuron(c, n);
    let c = b.conv(stem, Conv::c3(4));
    let c = b.norm(c);
    let sum = b.add("identity", Layer::Add, &[c, stem]);
    let block = b.neuron(sum, n);
    let at = b.add("", Layer::Ttm(TtmMode::Soft), &[block]);
    let at = b.add("", Layer::Dropout(Dropout { rate: 0.5 }), &[at]);
    let c = b.conv(at, Conv::c3(6).with_stride(2));
    let c = b.norm(c);
    let aside = b.conv(at, Conv::square(6, 1, 2, 0));
    let aside = b.norm(aside);
    let sum = b.add("projected", Layer::Add, &[c, aside]);
    let block = b.neuron(sum, n);
    let c = b.conv(block, Conv { groups: 2, ..Conv::c3(6) });
    let other = b.neuron(c, n);
    let both = b.add("spikes", Layer::Add, &[other, block]);
    let pooled = b.add("", Layer::AdaptiveAverage(AdaptiveAverage { rows: 2, columns: 2 }), &[both]);
    let pooled = b.pool(pooled, Pool::sum(2));
    b.linear(pooled, 3, true);
    b.build().unwrap()
}

/// Random weights with norms that change every value.
fn lively(network: &Network, seed: u64) -> Weights {
    let mut weights = initialise(network, InitScheme::KaimingNormalFanOut, seed);
    let mut r = Rng(seed);
    for (i, name, spec) in network.tensors() {
        if matches!(network.nodes()[i].layer, Layer::Norm(_)) {
            let (middle, width) = match spec.name {
                "running_var" => (0.7, 0.5),
                "weight" => (0.6, 0.5),
                _ => (0.1, 0.5),
            };
            let data = (0..spec.shape[0]).map(|_| middle + width * r.unit());
            weights.insert(name, Array::new(spec.shape.clone(), data.collect()));
        }
    }
    weights
}

/// Random inputs `[samples, C, H, W]` from −1 to 1.
fn inputs(network: &Network, samples: usize, seed: u64) -> Vec<f32> {
    let mut r = Rng(seed);
    (0..samples * network.input().shape.len()).map(|_| r.unit()).collect()
}

fn sequence(network: &Network, values: &[f32]) -> Sequence {
    let s = network.input().shape;
    let shape = [1, values.len() / s.len(), s.channels, s.height, s.width];
    Sequence::from_values(values.to_vec(), shape, &Device::flex())
}

/// The output of every node, and of the last one, summed over `steps` steps.
fn sums(network: &Network, weights: &Weights, x: &[f32], steps: usize, rectified: bool) -> Vec<Vec<f64>> {
    let model = Model::new(Arc::new(network.clone()), weights, &Device::flex()).unwrap();
    let model = if rectified { model.with_rectifiers() } else { model };
    let configuration = vec![steps; network.stages()];
    let pass = Pass {
        configuration: &configuration,
        norm: NormMode::Running,
        leak: LeakRule::Step,
        t_max: steps,
        step_us: None,
    };
    let mut all = vec![Vec::new(); network.nodes().len()];
    let mut observe = |i: usize, s: &Sequence| {
        let (steps, values) = (s.steps(), values(s));
        let n = values.len() / steps;
        all[i] = (0..n).map(|k| (0..steps).map(|t| f64::from(values[t * n + k])).sum()).collect();
    };
    let observer: Observer<'_> = &mut observe;
    let mut rng = seed::rng(0, "test", 0);
    model.forward(&model.constants(), sequence(network, x), &pass, &mut rng, Some(observer)).unwrap();
    all
}

fn measured(network: &Network, weights: &Weights, x: &[f32], percent: f64) -> Vec<Activations> {
    let model = Model::new(Arc::new(network.clone()), weights, &Device::flex()).unwrap();
    let n = x.len() / network.input().shape.len();
    // In two batches of unequal size.
    let cut = n / 3 * network.input().shape.len();
    let parts = [&x[..cut], &x[cut..]].map(|part| Ok(sequence(network, part)));
    rectified_activations(&model, parts, n, percent).unwrap()
}

fn balanced(network: &Network, weights: &Weights, x: &[f32], percent: f64) -> (Network, Weights, Balanced) {
    let (network, weights) = prepare(network, weights).unwrap();
    let lambdas: Vec<f64> = measured(&network, &weights, x, percent).iter().map(|a| a.percentile).collect();
    let made = balance(&network, &weights, &lambdas).unwrap();
    (network, weights, made)
}

/// For each value of each node the most by which its sum over any number of steps can differ from
/// that number times its activation. A neuron with reset by subtraction fires ⌊S⌋ times, where S is
/// the largest sum of its input so far in units of θ, so E = Σ|W|·E_in/θ + 1. That is the network
/// with absolute weights, biases of 1 and rectifiers, on an input of 0.
fn bounds(made: &Balanced) -> Vec<Vec<f64>> {
    let mut b = NetworkBuilder::new("bounds", made.network.input().shape, InputKind::Image);
    let mut weights = Weights::default();
    // Every neuron divides by its own threshold; the smallest quotient of all bounds them.
    let thresholds = made.network.nodes().iter().filter_map(|n| match n.layer {
        Layer::Neuron(n) => Some(n.threshold),
        _ => None,
    });
    let theta = thresholds.fold(1.0f32, f32::min);
    for node in made.network.nodes() {
        let layer = match node.layer {
            Layer::Conv(c) => Layer::Conv(Conv { bias: true, ..c }),
            Layer::Linear(l) => Layer::Linear(tickless_net::Linear { bias: true, ..l }),
            other => other,
        };
        if let Some(w) = made.weights.get(&format!("{}.weight", node.name)) {
            let data = w.data.iter().map(|v| v.abs() / theta).collect();
            weights.insert(format!("{}.weight", node.name), Array::new(w.shape.clone(), data));
            weights.insert(format!("{}.bias", node.name), Array::full(&[w.shape[0]], 1.0));
        }
        b.add_copy(node, layer, &node.from);
    }
    let zeros = vec![0.0; made.network.input().shape.len()];
    let mut all = sums(&b.build().unwrap(), &weights, &zeros, 1, true);
    // An identity passes no weights that could divide.
    let depth = made.network.spiking().len() as i32;
    all.iter_mut().flatten().for_each(|e| *e *= f64::from(theta).powi(-depth));
    all
}

/// Asserts that the sums over T steps differ from T times the activations by at most the bounds, and
/// that the readout gives the values of the network with rectifiers.
fn assert_rates(network: &Network, seed: u64) {
    let weights = lively(network, seed);
    let x = inputs(network, 5, seed + 1);
    let (folded, plain, made) = balanced(network, &weights, &x, 100.0);
    let want = sums(&folded, &plain, &x, 1, true);
    let bounds = bounds(&made);
    let spiking = made.network.spiking();
    let mut far = Vec::new();
    for steps in [16, 256, 2048] {
        let got = sums(&made.network, &made.weights, &x, steps, false);
        let mut worst = 0.0f64;
        for (i, node) in made.network.nodes().iter().enumerate().filter(|(_, n)| matches!(n.layer, Layer::Neuron(_))) {
            let scale = made.scales[spiking.iter().position(|j| *j == i).unwrap()];
            let n = bounds[i].len();
            for (k, (sum, activation)) in got[i].iter().zip(&want[i]).enumerate() {
                let apart = (sum / steps as f64 - activation / scale).abs();
                let bound = bounds[i][k % n] / steps as f64;
                assert!(apart <= bound + 1e-4, "{} {k} at {steps} steps: {apart} above {bound}", node.name);
                worst = worst.max(apart);
            }
        }
        far.push(worst);
    }
    assert!(far[2] < 0.01 && far[2] < far[0] / 8.0, "the rates approach the activations: {far:?}");
    let (got, want) = (sums(&made.network, &made.weights, &x, 2048, false).pop().unwrap(), want.last().unwrap());
    for (sum, logit) in got.iter().zip(want) {
        let largest = want.iter().fold(0.0f64, |m, v| m.max(v.abs()));
        assert!((sum / 2048.0 * made.output_scale - logit).abs() < 0.02 * largest, "{sum} for {logit}");
    }
}

#[test]
fn the_rates_of_a_balanced_chain_approach_the_activations_as_1_over_t() {
    (0..4).for_each(|seed| assert_rates(&mlp(SpikeMode::Multi), seed));
}

#[test]
fn the_rates_of_a_balanced_residual_network_with_norms_approach_the_activations_as_1_over_t() {
    (0..4).for_each(|seed| assert_rates(&residual(SpikeMode::Multi), seed));
}

#[test]
fn no_neuron_is_saturated_if_the_largest_activation_balances() {
    for network in [mlp(SpikeMode::Single), residual(SpikeMode::Single)] {
        let weights = lively(&network, 9);
        let x = inputs(&network, 7, 3);
        for (percent, saturates) in [(100.0, false), (90.0, true)] {
            let (folded, plain, made) = balanced(&network, &weights, &x, percent);
            let want = sums(&folded, &plain, &x, 1, true);
            let above = made
                .network
                .spiking()
                .iter()
                .zip(&made.scales)
                .any(|(&i, scale)| want[i].iter().any(|a| a / scale > 1.0 + 1e-9));
            assert_eq!(above, saturates, "{} at {percent} %", network.name());
            if saturates {
                continue;
            }
            // One spike per step is enough: the rates are those of neurons that may fire more often.
            let got = sums(&made.network, &made.weights, &x, 2048, false);
            for (&i, scale) in made.network.spiking().iter().zip(&made.scales) {
                for (sum, a) in got[i].iter().zip(&want[i]) {
                    assert!((sum / 2048.0 - a / scale).abs() < 0.05, "{sum} of 2048 for {}", a / scale);
                }
            }
        }
    }
}

#[test]
fn folding_a_norm_changes_no_activation() {
    let network = residual(SpikeMode::Multi);
    let weights = lively(&network, 5);
    let x = inputs(&network, 4, 6);
    let before = sums(&network, &weights, &x, 1, true);
    let (folded, plain) = prepare(&network, &weights).unwrap();
    let after = sums(&folded, &plain, &x, 1, true);
    let mut compared = 0;
    for (i, j) in network.spiking().into_iter().zip(folded.spiking()) {
        for (a, b) in before[i].iter().zip(&after[j]) {
            assert!((a - b).abs() < 1e-4 * (1.0 + a.abs()), "{a} {b}");
            compared += usize::from(*a > 0.0);
        }
    }
    assert!(compared > 100, "{compared} activations above 0");
}

#[test]
fn a_percentile_is_that_of_all_values_however_they_are_cut() {
    let mut r = Rng(4);
    for n in [1, 2, 11, 1000, 1001] {
        let all: Vec<f32> = (0..n).map(|_| (r.unit() * 40.0).floor().max(8.0) - 8.0).collect();
        let mut sorted = all.clone();
        sorted.sort_by(f32::total_cmp);
        for percent in [90.0, 97.3, 99.9, 100.0] {
            let mut top = Top::new(n, percent);
            let mut rest = &all[..];
            while !rest.is_empty() {
                let (part, left) = rest.split_at((1 + r.below(90)).min(rest.len()));
                top.add(part);
                rest = left;
            }
            let found = top.finish(3);
            let rank = (n - 1) as f64 * percent / 100.0;
            let (low, high) = (sorted[rank.floor() as usize], sorted[rank.ceil() as usize]);
            let want = f64::from(low) + f64::from(high - low) * rank.fract();
            assert!((found.percentile - want).abs() < 1e-9, "{n} values, {percent} %: {} for {want}", found.percentile);
            assert_eq!((found.node, found.values, found.largest()), (3, n, f64::from(*sorted.last().unwrap())));
            let above = all.iter().filter(|v| f64::from(**v) > want).count();
            assert!((found.share_above(want) - above as f64 / n as f64).abs() < 1e-12);
        }
    }
}

#[test]
fn an_activation_that_is_not_finite_is_refused_with_the_name_of_its_layer() {
    let network = mlp(SpikeMode::Multi);
    let mut weights = lively(&network, 1);
    weights.insert("linear2.weight", Array::full(&[10, 12], 1e38));
    let model = Model::new(Arc::new(network.clone()), &weights, &Device::flex()).unwrap();
    let x = vec![3.0; 6];
    let e = rectified_activations(&model, [Ok(sequence(&network, &x))], 1, 100.0).unwrap_err().to_string();
    assert!(e.contains("layer `neuron2`") && e.contains("inf"), "{e}");
}
