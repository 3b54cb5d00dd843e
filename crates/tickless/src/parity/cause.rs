//! Finds out why another executor differs, by trying the usual mistakes between training and chip.
//!
//! Each mistake is made on purpose in our own network, which then runs the same recordings. The
//! mistake that reproduces the other executor's spikes, in the layer where the two first differ, is
//! the likely cause. A mistake may multiply the number of spikes, so the network is cut after that
//! layer, spikes are counted instead of stored, and a run ends as soon as it has fired too often to
//! explain the other.
//!
//! A cause needs evidence. If one side is silent in the layer, no cause is named, because many
//! mistakes silence a layer.

use super::execute::{Executed, State, late, program};
use crate::Result;
use rayon::prelude::*;
use serde::Serialize;
use std::fmt;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use tickless_engine::{Event, Program, Recording, Session, Sink};
use tickless_net::{
    Layer, Leak, Network, NetworkBuilder, Neuron, NodeId, Refractory, Reset, Shape, SpikeMode, Weights,
};

/// A cause is named if it explains at least this share of the difference.
const LIKELY: f64 = 0.8;

/// A deliberate mistake.
struct Mistake {
    words: String,
    network: Network,
    state: State,
    /// A change of every input event.
    event: Option<fn(Event) -> Event>,
}

/// Why an executor differs from ours.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(transparent)]
pub struct Cause {
    /// The mistake of the executor, and how to mend it.
    pub words: String,
    /// Whether folding our network mends it.
    #[serde(skip)]
    pub fold: bool,
}

impl Cause {
    pub(super) fn new(words: impl Into<String>) -> Self {
        Self { words: words.into(), fold: false }
    }
}

impl fmt::Display for Cause {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.words)
    }
}

/// Describes the likely cause of `other`'s behaviour in spiking layer `layer`; `None` if none of
/// the usual mistakes explains it.
///
/// # Errors
/// If a network that was compiled cannot be run.
pub fn likely(
    (network, weights): (&Network, &Weights),
    step_us: Option<f64>,
    recordings: &[Arc<Recording>],
    (ours, other): (&Executed, &Executed),
    layer: usize,
) -> Result<Option<Cause>> {
    let counts_of_layer = |e: &Executed| -> Vec<Vec<u32>> {
        e.counts.iter().map(|r| r.get(layer).cloned().unwrap_or_default()).collect()
    };
    let (ours, other) = (counts_of_layer(ours), counts_of_layer(other));
    let before: u64 = ours.iter().zip(&other).map(|(a, b)| apart(a, b)).sum();
    if before == 0 {
        let why = "the same spikes in another order: events of one time are taken in another order, or a merge receives \
                   its sources in another order";
        return Ok(Some(Cause::new(why)));
    }
    let (fired, theirs) = (total(&ours), total(&other));
    if fired == 0 || theirs == 0 {
        return Ok(None);
    }
    // A likely cause may leave at most this much unexplained, relative to the difference and to the
    // other's spikes.
    let most = ((1.0 - LIKELY) * before.min(theirs) as f64) as u64;
    let (network, weights) = up_to(network, weights, layer)?;
    let layer = network.spiking().len() - 1;
    let mut best: Option<(u64, String)> = None;
    for m in mistakes(&network, layer) {
        // If the network with the mistake cannot be compiled, no executor can run it.
        let Ok(p) = program(&m.network, &weights, step_us, false) else { continue };
        match left(&p, layer, recordings, &m, &other, most)? {
            Some(0) => return Ok(Some(Cause::new(format!("{} (this gives exactly its spikes)", m.words)))),
            Some(left) if best.as_ref().is_none_or(|b| left < b.0) => best = Some((left, m.words)),
            _ => {}
        }
    }
    if let Some((left, words)) = best {
        let share = 100.0 * (1.0 - left as f64 / before as f64);
        return Ok(Some(Cause::new(format!("{words} (this explains {share:.0} % of the difference)"))));
    }
    let (neurons, spikes) = untouched(&ours, &other);
    if spikes as f64 >= LIKELY * before as f64 {
        let words = format!(
            "a bias, or other input: {neurons} neurons fired there that hardly any event drives; fold the bias, or train \
             without one"
        );
        return Ok(Some(Cause { words, fold: true }));
    }
    Ok(None)
}

/// Σ|a − b|; missing values count as 0.
fn apart(a: &[u32], b: &[u32]) -> u64 {
    let count = |v: &[u32], i: usize| v.get(i).copied().unwrap_or(0);
    (0..a.len().max(b.len())).map(|i| u64::from(count(a, i).abs_diff(count(b, i)))).sum()
}

fn total(counts: &[Vec<u32>]) -> u64 {
    counts.iter().flatten().map(|&c| u64::from(c)).sum()
}

/// Counts the spikes of one layer.
struct OfLayer {
    layer: usize,
    shape: Shape,
    counts: Vec<u32>,
    /// Number of spikes that exceed the other's count of their neuron.
    beyond: u64,
    other: Vec<u32>,
}

impl Sink for OfLayer {
    fn spike(&mut self, layer: usize, _: u64, _: u64, channel: usize, y: usize, x: usize) {
        if layer == self.layer {
            let i = (channel * self.shape.height + y) * self.shape.width + x;
            self.counts[i] = self.counts[i].saturating_add(1);
            self.beyond += u64::from(self.counts[i] > self.other.get(i).copied().unwrap_or(0));
        }
    }
}

/// Distance of a mistake's counts from the other's; `None` as soon as it is certain to exceed
/// `most`.
fn left(
    p: &Program,
    layer: usize,
    recordings: &[Arc<Recording>],
    m: &Mistake,
    other: &[Vec<u32>],
    most: u64,
) -> Result<Option<u64>> {
    let shape = p.layers()[layer].shape;
    // Excess spikes are never taken back, so the distance is at least their number.
    let beyond = AtomicU64::new(0);
    let distance = |session: &mut Session, (r, other): (&Arc<Recording>, &Vec<u32>)| -> Result<u64> {
        let mut sink = OfLayer { layer, shape, counts: vec![0; shape.len()], beyond: 0, other: other.clone() };
        let (by, mut told) = (late(session, r, m.state), 0);
        for e in r.iter() {
            let e = m.event.map_or(e, |turn| turn(e));
            session.push_into(Event { t_us: e.t_us + by, ..e }, &mut sink)?;
            beyond.fetch_add(sink.beyond - told, Ordering::Relaxed);
            told = sink.beyond;
            if beyond.load(Ordering::Relaxed) > most {
                return Ok(0);
            }
        }
        Ok(apart(&sink.counts, other))
    };
    let pairs: Vec<_> = recordings.iter().zip(other).collect();
    let sum: u64 = if m.state == State::Kept {
        let mut session = Session::new(p);
        pairs.into_iter().map(|pair| distance(&mut session, pair)).sum::<Result<u64>>()?
    } else {
        pairs.into_par_iter().map(|pair| distance(&mut Session::new(p), pair)).sum::<Result<u64>>()?
    };
    Ok((beyond.into_inner() <= most && sum <= most).then_some(sum))
}

/// The part of a network that a spiking layer depends on, ending with that layer.
fn up_to(network: &Network, weights: &Weights, layer: usize) -> Result<(Network, Weights)> {
    let target = network.spiking()[layer];
    let mut needed = vec![false; network.nodes().len()];
    needed[target] = true;
    for i in (0..=target).rev() {
        if needed[i] {
            for id in &network.nodes()[i].from {
                if let NodeId::Node(j) = *id {
                    needed[j] = true;
                }
            }
        }
    }
    let mut b = NetworkBuilder::new(network.name(), network.input().shape, network.input().kind);
    let (mut places, mut own) = (vec![NodeId::Input; network.nodes().len()], Weights::default());
    for i in (0..=target).filter(|&i| needed[i]) {
        let node = &network.nodes()[i];
        let from: Vec<NodeId> = node
            .from
            .iter()
            .map(|id| match *id {
                NodeId::Input => NodeId::Input,
                NodeId::Node(j) => places[j],
            })
            .collect();
        places[i] = b.add_copy(node, node.layer, &from);
        for t in node.tensors() {
            own.insert(format!("{}.{}", node.name, t.name), weights.require(&node.name, t.name)?.clone());
        }
    }
    Ok((b.build()?, own))
}

/// Number of neurons that fire in the other but in no recording of ours, and the sum of their
/// spikes.
fn untouched(ours: &[Vec<u32>], other: &[Vec<u32>]) -> (usize, u64) {
    let sum =
        |all: &[Vec<u32>], i: usize| -> u64 { all.iter().map(|r| u64::from(r.get(i).copied().unwrap_or(0))).sum() };
    let neurons = ours.first().map_or(0, Vec::len);
    let found = (0..neurons).map(|i| (sum(ours, i), sum(other, i))).filter(|(a, b)| *a == 0 && *b > 0);
    found.fold((0, 0), |(n, spikes), (_, b)| (n + 1, spikes + b))
}

fn mistakes(network: &Network, layer: usize) -> Vec<Mistake> {
    let as_it_is = |words: &str, state, event| Mistake { words: words.into(), network: network.clone(), state, event };
    let neurons = |words: String, f: &dyn Fn(Neuron) -> Neuron| Mistake {
        words,
        network: network.map_neurons(|_, n| f(n)),
        state: State::New,
        event: None,
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
            None,
        ),
        as_it_is(
            "polarities exchanged: off is channel 0, on is channel 1",
            State::New,
            Some(|e| Event { on: !e.on, ..e }),
        ),
    ];
    all.push(match n.reset {
        Reset::Soft | Reset::SoftDelayed | Reset::SoftRepeated => {
            neurons("reset mode: it resets to 0, ours subtracts the threshold".into(), &|n| Neuron {
                reset: Reset::Hard,
                ..n
            })
        }
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
                refractory: None,
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
        let lower_limit = |n: &Neuron| limit.map(|l| l * n.threshold);
        if lower_limit(&n) != n.v_min {
            all.push(neurons(format!("lower limit: it has {words}, ours has {own}"), &|n| Neuron {
                v_min: lower_limit(&n),
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
    match n.refractory {
        Some(refractory) => {
            let words = format!("refractory period: it has none, ours is {refractory}");
            all.push(neurons(words, &|n| n.without_refractory()));
        }
        None if n.spikes == SpikeMode::Single => {
            for rho in [1.0, 0.5] {
                let refractory = Some(Refractory::steps(rho));
                let words = format!("refractory period: it has one of {rho} steps of T_max, ours has none");
                all.push(neurons(words, &|n| Neuron { refractory, ..n }));
            }
        }
        None => {}
    }
    all.extend(scales(network, layer));
    // A chip may have these two mistakes at once if it is configured by its defaults.
    if n.spikes == SpikeMode::Multi && n.reset == Reset::Soft {
        let words = "reset mode and multi-spike: it emits at most one spike per event and resets to 0".into();
        all.push(neurons(words, &|n| Neuron { spikes: SpikeMode::Single, reset: Reset::Hard, ..n }));
    }
    all
}

/// Mistakes of scale before a layer: a pooling that is summed instead of averaged or the reverse,
/// or weights that are scaled against the threshold.
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
        event: None,
    };
    factors.into_iter().map(mistake).collect()
}

/// Kernel sizes of the poolings between a layer and the neurons before it.
fn pools(network: &Network, node: usize) -> Vec<usize> {
    let mut all = Vec::new();
    for id in &network.nodes()[node].from {
        let NodeId::Node(j) = *id else { continue };
        match network.nodes()[j].layer {
            Layer::Neuron(_) => continue,
            Layer::Pool(p) => all.push(p.window.rows.kernel.max(p.window.columns.kernel)),
            _ => {}
        }
        all.extend(pools(network, j));
    }
    all.sort_unstable();
    all.dedup();
    all
}
