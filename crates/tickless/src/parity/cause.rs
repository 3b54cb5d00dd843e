//! Why another executor differs: the usual mistakes between training and chip, tried one by one.
//!
//! Each mistake is made on purpose in our own network, which then runs the same recordings; the one
//! that gives the other's spikes in the layer where the two first part is the likely cause.

use super::execute::{Executed, State, engine, program};
use anyhow::Result;
use std::sync::Arc;
use tickless_engine::{Event, Recording};
use tickless_net::{Layer, Leak, Network, Neuron, NodeId, Reset, SpikeMode, Weights};

/// A cause is named where it explains at least this share of what differs.
const LIKELY: f64 = 0.8;

/// A mistake on purpose.
struct Mistake {
    words: String,
    network: Network,
    state: State,
    event: fn(Event) -> Event,
}

/// The likely cause of what `other` does in spiking layer `layer`, in words.
///
/// # Errors
/// If a network that was compiled before cannot be run.
pub fn likely(
    (network, weights): (&Network, &Weights),
    step_us: Option<f64>,
    recordings: &[Arc<Recording>],
    (ours, other): (&Executed, &Executed),
    layer: usize,
) -> Result<String> {
    let apart = |a: &Executed| -> f64 {
        let at = |e: &Executed, r: usize| e.counts[r].get(layer).cloned().unwrap_or_default();
        let one = |r: usize| {
            let (x, y) = (at(a, r), at(other, r));
            (0..x.len().max(y.len()))
                .map(|i| (f64::from(x.get(i).copied().unwrap_or(0)) - f64::from(y.get(i).copied().unwrap_or(0))).abs())
                .sum::<f64>()
        };
        (0..a.counts.len().min(other.counts.len())).map(one).sum()
    };
    let before = apart(ours);
    if before == 0.0 {
        return Ok("the same spikes in another order: events of one time are taken in another order, or a merge \
                   hears its sources in another order"
            .into());
    }
    let mut best: Option<(f64, String)> = None;
    for m in mistakes(network, layer) {
        // A mistake that cannot be compiled was not made.
        let Ok(p) = program(&m.network, weights, step_us, false) else { continue };
        let turned: Result<Vec<Arc<Recording>>> = recordings
            .iter()
            .map(|r| {
                let events: Vec<Event> = r.iter().map(m.event).collect();
                Ok(Arc::new(Recording::from_events(r.sensor(), &events)?.0))
            })
            .collect();
        let left = apart(&engine(&p, &turned?, m.state)?);
        if left == 0.0 {
            return Ok(format!("{} (this gives exactly its spikes)", m.words));
        }
        if left <= (1.0 - LIKELY) * before && best.as_ref().is_none_or(|b| left < b.0) {
            best = Some((left, m.words));
        }
    }
    if let Some((left, words)) = best {
        let share = 100.0 * (1.0 - left / before);
        return Ok(format!("{words} (this explains {share:.0} % of the difference)"));
    }
    let silent = untouched(ours, other, layer);
    if silent > 0 {
        return Ok(format!(
            "a bias, or other input: {silent} neurons fired there that hardly any event drives; remove the bias with \
             `tickless finetune`"
        ));
    }
    Ok("unknown: none of the usual mistakes gives these spikes; compare the weights and the order of the axes".into())
}

/// Neurons that fire in the other and in no recording of ours.
fn untouched(ours: &Executed, other: &Executed, layer: usize) -> usize {
    let fires =
        |e: &Executed, i: usize| e.counts.iter().any(|r| r.get(layer).and_then(|l| l.get(i)).is_some_and(|c| *c > 0));
    let neurons = ours.counts.first().and_then(|r| r.get(layer)).map_or(0, Vec::len);
    (0..neurons).filter(|&i| fires(other, i) && !fires(ours, i)).count()
}

fn mistakes(network: &Network, layer: usize) -> Vec<Mistake> {
    let same = |e: Event| e;
    let as_it_is = |words: &str, state, event| Mistake { words: words.into(), network: network.clone(), state, event };
    let neurons = |words: String, f: &dyn Fn(Neuron) -> Neuron| Mistake {
        words,
        network: network.map_neurons(|_, n| f(n)),
        state: State::New,
        event: same,
    };
    let first = network.spiking().first().and_then(|&i| match network.nodes()[i].layer {
        Layer::Neuron(n) => Some(n),
        _ => None,
    });
    let Some(n) = first else { return Vec::new() };
    let mut all = vec![
        as_it_is(
            "state not reset: each recording begins with the potentials that the one before left",
            State::Kept,
            same,
        ),
        as_it_is("polarities exchanged: off is channel 0, on is channel 1", State::New, |e| Event { on: !e.on, ..e }),
    ];
    all.push(match n.reset {
        Reset::Soft => neurons("reset mode: it resets to 0, ours subtracts the threshold".into(), &|n| Neuron {
            reset: Reset::Hard,
            ..n
        }),
        Reset::Hard => neurons("reset mode: it subtracts the threshold, ours resets to 0".into(), &|n| Neuron {
            reset: Reset::Soft,
            ..n
        }),
    });
    all.push(match n.spikes {
        SpikeMode::Multi => {
            neurons("multi-spike: it emits at most one spike per event, ours ⌊v/θ⌋".into(), &|n| Neuron {
                spikes: SpikeMode::Single,
                ..n
            })
        }
        SpikeMode::Single => {
            neurons("multi-spike: it emits ⌊v/θ⌋ spikes per event, ours at most one".into(), &|n| Neuron {
                spikes: SpikeMode::Multi,
                ..n
            })
        }
    });
    let (theirs, own) = if n.fire_at_threshold { ("v > θ", "v ≥ θ") } else { ("v ≥ θ", "v > θ") };
    all.push(neurons(format!("equality: it fires where {theirs}, ours where {own}"), &|n| Neuron {
        fire_at_threshold: !n.fire_at_threshold,
        ..n
    }));
    let own = n.v_min.map_or("none".to_owned(), |v| v.to_string());
    for (words, limit) in [("none", None), ("−θ", Some(-1.0f32)), ("0", Some(0.0))] {
        let of = |n: &Neuron| limit.map(|l| l * n.threshold);
        if of(&n) != n.v_min {
            all.push(neurons(format!("lower limit: it has {words}, ours has {own}"), &|n| Neuron {
                v_min: of(&n),
                ..n
            }));
        }
    }
    if n.leaks() {
        all.push(neurons("leak: it has none, or its time constant is very long".into(), &|n| Neuron {
            leak: Leak::None,
            ..n
        }));
    }
    all.extend(scales(network, layer));
    // A chip has two such mistakes at once where it is not told otherwise.
    if n.spikes == SpikeMode::Multi && n.reset == Reset::Soft {
        let words = "reset mode and multi-spike: it emits at most one spike per event and resets to 0".into();
        all.push(neurons(words, &|n| Neuron { spikes: SpikeMode::Single, reset: Reset::Hard, ..n }));
    }
    all
}

/// Mistakes of scale in front of a layer: a pooling summed instead of averaged, weights halved or doubled.
fn scales(network: &Network, layer: usize) -> Vec<Mistake> {
    let target = network.spiking()[layer];
    let name = &network.nodes()[target].name;
    let mut factors: Vec<(f32, String)> = pools(network, target)
        .into_iter()
        .flat_map(|k| {
            let area = (k * k) as f32;
            [
                (area, format!("scale: a pooling of {k}×{k} is summed there and averaged here")),
                (
                    1.0 / area,
                    format!("scale: a pooling of {k}×{k} is averaged there and summed here, or averaged twice"),
                ),
            ]
        })
        .collect();
    for f in [2.0f32, 0.5, 4.0, 0.25, 10.0, 0.1, 255.0, 1.0 / 255.0] {
        factors.push((f, format!("scale: the weights of layer `{name}` are {f} times ours against its threshold")));
    }
    let mistake = |(factor, words): (f32, String)| Mistake {
        words,
        network: network.map_neurons(|n, neuron| {
            if n != name {
                return neuron;
            }
            let v_min = neuron.v_min.map(|v| v / factor);
            Neuron { threshold: neuron.threshold / factor, v_min, ..neuron }
        }),
        state: State::New,
        event: |e| e,
    };
    factors.into_iter().map(mistake).collect()
}

/// Kernels of the poolings between a layer and the neurons before it.
fn pools(network: &Network, node: usize) -> Vec<usize> {
    let mut all = Vec::new();
    for id in &network.nodes()[node].from {
        let NodeId::Node(j) = *id else { continue };
        match network.nodes()[j].layer {
            Layer::Neuron(_) => continue,
            Layer::Pool(p) => all.push(p.kernel),
            _ => {}
        }
        all.extend(pools(network, j));
    }
    all.sort_unstable();
    all.dedup();
    all
}
