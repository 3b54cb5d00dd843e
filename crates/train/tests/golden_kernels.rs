//! Compares the TTM, the neurons and the losses with golden files of other frameworks.

mod common;

use burn::tensor::{Device, Tensor};
use common::{Compare, TimeMajor, batch_major, open, swap, values};
use rand::SeedableRng;
use rand_chacha::ChaCha8Rng;
use serde_json::Value;
use std::collections::BTreeSet;
use std::sync::Arc;
use tickless_kernels::neuron::step::{Constants, plain_step as step};
use tickless_kernels::ttm::TimeMap;
use tickless_kernels::{NeuronOp, map_time, neuron, reference};
use tickless_net::recipe::Loss;
use tickless_net::{Array, Leak, Neuron, Reset, SpikeMode, Surrogate, TtmMode};
use tickless_testing::folders::say;
use tickless_testing::golden::{count, number, number_after, text};
use tickless_train::loss::LossSetting;

fn ttm(mode: TtmMode, a: usize, b: usize) -> TimeMap {
    TimeMap::ttm(mode, a, b, &mut ChaCha8Rng::seed_from_u64(0))
}

/// Runs `f` on `x` with the output gradient `gy`; returns output and gradient of `x`, `[B, T, …]`.
fn both_ways(x: &Array, gy: &Array, f: impl FnOnce(Tensor<4>) -> Tensor<4>) -> (Vec<f32>, Vec<f32>) {
    let device = Device::flex().autodiff();
    let (x, gy) = (TimeMajor::of(x), TimeMajor::of(gy));
    let leaf = x.tensor(&device).require_grad();
    let y = f(leaf.clone());
    let gradients = (y.clone() * gy.tensor(&device)).sum().backward();
    let gx = leaf.grad(&gradients).expect("the input is a leaf");
    (batch_major(&y, gy.steps), batch_major(&gx, x.steps))
}

/// Parses a table's key `a->b`.
fn arrow(key: &str) -> (usize, usize) {
    let (a, b) = key.split_once("->").expect("keys are `a->b`");
    (a.trim().parse().unwrap(), b.trim().parse().unwrap())
}

#[test]
fn golden_ttm_tables() {
    let golden = open("ttm_tables.json");
    let tables = golden.json();
    let hard = tables["hard"].as_object().expect("`hard`");
    for (key, rows) in hard {
        let (a, b) = arrow(key);
        let rows: Vec<Vec<usize>> = rows
            .as_array()
            .unwrap()
            .iter()
            .map(|r| r.as_array().map_or_else(|| vec![count(r)], |r| r.iter().map(count).collect()))
            .collect();
        let ours = ttm(TtmMode::Even, a, b);
        let steps = |map: &TimeMap| map.rows().iter().map(|r| r.iter().map(|e| e.0).collect()).collect::<Vec<Vec<_>>>();
        assert_eq!(steps(&ours), rows, "hard {key}");
        assert!(ours.rows().iter().flatten().all(|e| e.1 == 1.0), "hard {key}: all weights are 1");
        let trimmed = if a > b { (0..b).map(|i| vec![i]).collect() } else { rows };
        assert_eq!(steps(&ttm(TtmMode::Trim, a, b)), trimmed, "trim {key}");
    }
    let mut compare = Compare::new("ttm_tables");
    let soft = tables["soft"].as_object().expect("`soft`");
    for (key, weights) in soft {
        let (a, b) = arrow(key);
        let mut ours = vec![0.0; a * b];
        for (j, row) in ttm(TtmMode::Soft, a, b).rows().iter().enumerate() {
            row.iter().for_each(|&(i, w)| ours[i * b + j] = w);
        }
        let theirs: Vec<f32> =
            weights.as_array().unwrap().iter().flat_map(|r| r.as_array().unwrap()).map(number).collect();
        compare.abs("soft weight", key, &ours, &Array::new(vec![a, b], theirs), 1e-6);
    }
    assert!(!hard.is_empty() && !soft.is_empty());
}

#[test]
fn golden_ttm_forward() {
    let golden = open("ttm_forward.safetensors");
    let mut compare = Compare::new("ttm_forward");
    for case in golden.cases() {
        let (name, a, b) = (text(&case["case"]), count(&case["t_in"]), count(&case["t_out"]));
        for (mode, ours) in [("hard", TtmMode::Even), ("trim", TtmMode::Trim), ("soft", TtmMode::Soft)] {
            let get = |t: &str| golden.get(&format!("{name}.{mode}.{t}"));
            let (x, gy) = (golden.get(&format!("{name}.x")), golden.get(&format!("{name}.gy")));
            let (y, gx) = both_ways(x, gy, |x| map_time(x, Arc::new(ttm(ours, a, b))));
            let case = format!("{name} ({a} → {b})");
            let tolerance = if ours == TtmMode::Soft { 1e-6 } else { 0.0 };
            compare.abs(&format!("{mode} output"), &case, &y, get("y"), tolerance);
            compare.abs(&format!("{mode} gradient"), &case, &gx, get("gx"), tolerance);
        }
    }
}

#[test]
fn golden_neurons_of_the_method() {
    let golden = open("neurons_mtt.safetensors");
    let mut compare = Compare::new("neurons_mtt");
    for case in golden.cases() {
        let (name, lambda) = (text(&case["case"]), number(&case["decay"]));
        let reset = match case.get("reset").and_then(Value::as_str) {
            None | Some("hard" | "reset" | "zero") => Reset::Hard,
            Some("subtract" | "soft") => Reset::Soft,
            Some(other) => panic!("{name}: unknown reset `{other}`"),
        };
        let description = Neuron {
            threshold: number(&case["vth"]),
            leak: Leak::Step(lambda),
            reset,
            detach_reset: case.get("detach_reset").and_then(Value::as_bool).unwrap_or(false),
            ..Neuron::lif()
        };
        let get = |t: &str| golden.get(&format!("{name}.{t}"));
        let op = NeuronOp { neuron: description, lambda, steps: get("x").shape[1] };
        let (y, gx) = both_ways(get("x"), get("gy"), |x| neuron(x, op));
        compare.exact("spikes", &name, &y, get("y"));
        compare.abs("gradient", &name, &gx, get("gx"), 1e-5);
    }
}

/// The neuron of an snnTorch case.
fn snntorch_neuron(case: &Value) -> Neuron {
    let delayed = case["reset_delay"].as_bool().expect("`reset_delay`");
    let reset = match (text(&case["reset_mechanism"]).as_str(), delayed) {
        ("zero", _) => Reset::Hard,
        ("subtract", true) => Reset::SoftDelayed,
        ("subtract", false) => Reset::SoftRepeated,
        (other, _) => panic!("unknown reset `{other}`"),
    };
    let name = text(&case["surrogate"]);
    let surrogate = match name.split_once('(').expect("a surrogate with its constant").0 {
        "atan" => Surrogate::Arctangent { alpha: number_after(&name, "alpha") as f32 },
        "fast_sigmoid" => Surrogate::FastSigmoid { alpha: number_after(&name, "slope") as f32 },
        other => panic!("unknown surrogate `{other}`"),
    };
    Neuron {
        threshold: number(&case["threshold"]),
        leak: Leak::Step(number(&case["beta"])),
        reset,
        // snnTorch does not differentiate through a reset that comes one step late.
        detach_reset: delayed,
        surrogate,
        ..Neuron::lif()
    }
}

#[test]
fn golden_neurons_of_snntorch() {
    let golden = open("neurons_snntorch.safetensors");
    let mut compare = Compare::new("neurons_snntorch");
    assert_eq!(golden.cases().len(), 8);
    for case in golden.cases() {
        let (name, description) = (text(&case["case"]), snntorch_neuron(case));
        // Time is the first axis of this file.
        let get = |t: &str| {
            let a = golden.get(&format!("{name}.{t}"));
            let (steps, batch) = (a.shape[0], a.shape[1]);
            Array::new([&[batch, steps], &a.shape[2..]].concat(), swap(&a.data, steps, batch))
        };
        let (x, gy, want) = (get("x"), get("gy"), get("y"));
        let (lambda, steps) = (number(&case["beta"]), x.shape[1]);
        let constants = Constants::new(&description, lambda);
        let (y, gx) = both_ways(&x, &gy, |x| reference::any_neuron(x, &description, constants, None, steps));
        compare.exact("spikes", &name, &y, &want);
        compare.abs("gradient", &name, &gx, &get("gx"), 1e-5);
        if description.is_plain() {
            let op = NeuronOp { neuron: description, lambda, steps };
            let (y, gx) = both_ways(&x, &gy, |x| neuron(x, op));
            compare.exact("spikes of the kernel", &name, &y, &want);
            compare.abs("gradient of the kernel", &name, &gx, &get("gx"), 1e-5);
        }
        // snnTorch returns the membrane before a reset that comes one step late.
        let mut membranes = vec![0.0; x.data.len()];
        let each = x.data.len() / x.shape[0] / steps;
        for sample in 0..x.shape[0] {
            for j in 0..each {
                let mut v = 0.0;
                for t in 0..steps {
                    let at = (sample * steps + t) * each + j;
                    let (_, u, after) = step(&description, lambda, v, x.data[at]);
                    membranes[at] = if description.detach_reset { u } else { after };
                    v = after;
                }
            }
        }
        compare.abs("membrane", &name, &membranes, &get("mem"), 1e-6);
    }
}

/// The neuron of a sinabs case, or the reason why this crate has no such neuron.
fn sinabs_neuron(case: &Value, surrogates: &Value) -> Result<Neuron, String> {
    let spikes = match text(&case["spike_fn"]).as_str() {
        "multi" => SpikeMode::Multi,
        "single" => SpikeMode::Single,
        other => return Err(other.to_owned()),
    };
    let reset = match text(&case["reset_fn"]).as_str() {
        "subtract" => Reset::Soft,
        "reset" => Reset::Hard,
        other => return Err(other.to_owned()),
    };
    let name = text(&case["surrogate"]);
    if !name.starts_with("single_exp") {
        return Err(name);
    }
    let described = surrogates.as_object().into_iter().flatten().find(|s| s.0.starts_with(&name));
    let width = described.map_or(0.5, |s| number_after(s.0, "grad_width") as f32);
    Ok(Neuron {
        threshold: number(&case["spike_threshold"]),
        leak: Leak::None,
        spikes,
        reset,
        v_min: case["min_v_mem"].as_f64().map(|v| v as f32),
        fire_at_threshold: true,
        // sinabs resets by multiplying with [s = 0] and does not differentiate through that.
        detach_reset: reset == Reset::Hard,
        surrogate: Surrogate::SingleExponential { width },
        ..Neuron::lif()
    })
}

#[test]
fn golden_neurons_of_sinabs() {
    let golden = open("neurons_sinabs.safetensors");
    let mut compare = Compare::new("neurons_sinabs");
    let (mut left_out, mut compared) = (BTreeSet::new(), 0);
    for case in golden.cases() {
        let name = text(&case["case"]);
        let description = match sinabs_neuron(case, &golden.index["surrogates"]) {
            Ok(n) => n,
            Err(what) => {
                left_out.insert(format!("{name} ({what})"));
                continue;
            }
        };
        compared += 1;
        let get = |t: &str| golden.get(&format!("{name}.{t}"));
        let x = get("x");
        let op = NeuronOp { neuron: description, lambda: 1.0, steps: x.shape[1] };
        let (y, gx) = both_ways(x, get("gy"), |x| neuron(x, op));
        compare.exact("spikes", &name, &y, get("y"));
        compare.abs("gradient", &name, &gx, get("gx"), 1e-5);

        let (batch, steps) = (x.shape[0], x.shape[1]);
        let n = x.data.len() / (batch * steps);
        let mut after = vec![0.0; x.data.len()];
        for (b, i) in (0..batch).flat_map(|b| (0..n).map(move |i| (b, i))) {
            let mut v = 0.0;
            for t in 0..steps {
                let at = (b * steps + t) * n + i;
                let (s, _, next) = step(&description, 1.0, v, x.data[at]);
                assert_eq!(
                    s, y[at],
                    "{name}: the scalar step and the kernel disagree at sample {b}, step {t}, value {i}"
                );
                (v, after[at]) = (next, next);
            }
        }
        compare.abs("membrane", &name, &after, get("v_after"), 1e-6);
    }
    assert!(compared > 0, "no case is expressible");
    let left_out = left_out.into_iter().collect::<Vec<_>>().join(", ");
    say(&format!("neurons_sinabs: {compared} cases compared; not expressible: {left_out}"));
}

/// Parses the name of a loss: `ce_mean`, `ce_mean_ls0.1`, `tet_lam0.05_phi1.0`.
fn loss(name: &str) -> LossSetting {
    let mut words = name.split('_');
    let kind = words.next().expect("a name");
    let mut setting = LossSetting::new(match kind {
        "ce" => Loss::CrossEntropy,
        "tet" => Loss::Tet,
        other => panic!("unknown loss `{other}`"),
    });
    for word in words.filter(|w| *w != "mean") {
        let at =
            word.find(|c: char| c.is_ascii_digit()).unwrap_or_else(|| panic!("no number in `{word}` of loss `{name}`"));
        let value: f32 = word[at..].parse().unwrap_or_else(|_| panic!("no number in `{word}` of loss `{name}`"));
        match &word[..at] {
            "ls" => setting.smoothing = value,
            "lam" => setting.tet_lambda = value,
            "phi" => setting.tet_target = value,
            other => panic!("unknown parameter `{other}` of loss `{name}`"),
        }
    }
    setting
}

#[test]
fn golden_losses() {
    let golden = open("losses.safetensors");
    let mut compare = Compare::new("losses");
    let device = Device::flex().autodiff();
    for case in golden.cases() {
        let name = text(&case["case"]);
        let logits = TimeMajor::of(golden.get(&format!("{name}.logits")));
        let labels = &golden.labels(&format!("{name}.label"));
        for kind in case["losses"].as_array().expect("a case lists its losses") {
            let kind = text(kind);
            let case = format!("{name}.{kind}");
            let leaf = logits.tensor(&device).require_grad();
            let sequence = leaf.clone().reshape([logits.steps, logits.batch, logits.rest[0]]);
            let value = loss(&kind).forward(sequence, labels);
            compare.abs("value", &case, &values(&value), golden.get(&format!("{case}.loss")), 1e-6);
            let gradients = value.backward();
            let gradient = leaf.grad(&gradients).expect("the logits are a leaf");
            let gradient = batch_major(&gradient, logits.steps);
            compare.abs("gradient", &case, &gradient, golden.get(&format!("{case}.grad")), 1e-6);
        }
    }
}
