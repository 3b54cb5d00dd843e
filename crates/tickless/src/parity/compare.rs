//! Compares two results: where they first differ, and by how much.

use super::execute::{Executed, neuron};
use serde::Serialize;
use tickless_engine::{Spike, spike_difference};
use tickless_net::{Network, Shape};

/// One layer of two results.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct LayerParity {
    /// Name of the layer.
    pub layer: String,
    /// Spikes of the reference, over all recordings.
    pub reference: u64,
    /// Spikes of the other, over all recordings.
    pub other: u64,
    /// Σ|reference − other| / Σ reference over neurons and recordings; `None` if infinite.
    pub spike_difference: Option<f64>,
    /// Pearson's correlation of the counts over neurons and recordings; `None` if one side does not
    /// vary.
    pub correlation: Option<f64>,
    /// Whether every neuron has the same count and, if single spikes are known, all spikes the same
    /// order.
    pub equal: bool,
}

/// The place where two results first differ.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct First {
    /// Index of the spiking layer.
    #[serde(skip)]
    pub index: usize,
    /// Name of the layer.
    pub layer: String,
    /// Index of the recording among those compared.
    pub recording: usize,
    /// File of the recording, if the data set has files.
    pub file: Option<String>,
    /// Index of the input event, if single spikes are known.
    pub event: Option<u64>,
    /// Time of that event in µs.
    pub t_us: Option<u64>,
    /// Channel, row, column of the neuron.
    pub neuron: [usize; 3],
    /// Spikes of this neuron in the reference: for that event, or in the whole recording.
    pub reference: u64,
    /// Spikes of this neuron in the other.
    pub other: u64,
    /// Whether its potential was so close to the threshold that rounding decides.
    pub rounding: bool,
}

/// Compares layer by layer, with the names of the reference's network. Layers that one side does
/// not know are left out.
pub fn layers(network: &Network, a: &Executed, b: &Executed) -> Vec<LayerParity> {
    let names = network.spiking().into_iter().map(|i| network.nodes()[i].name.clone());
    let compare_layer = |(l, layer): (usize, String)| {
        let flat = |e: &Executed| -> Vec<f64> {
            e.counts.iter().flat_map(|r| r.get(l).into_iter().flatten()).map(|&c| f64::from(c)).collect()
        };
        let (x, y) = (flat(a), flat(b));
        let d = spike_difference(&x, &y);
        let ordered = both(a, b).all(|(_, s, t)| same(s.get(l), t.get(l)));
        LayerParity {
            layer,
            reference: x.iter().sum::<f64>() as u64,
            other: y.iter().sum::<f64>() as u64,
            spike_difference: d.is_finite().then_some(d),
            correlation: correlation(&x, &y),
            equal: d == 0.0 && ordered,
        }
    };
    names.enumerate().filter(|(l, _)| !a.is_absent(*l) && !b.is_absent(*l)).map(compare_layer).collect()
}

/// Pearson's correlation of two lists of equal length.
fn correlation(x: &[f64], y: &[f64]) -> Option<f64> {
    let n = x.len().min(y.len()) as f64;
    let mean = |v: &[f64]| v.iter().sum::<f64>() / n;
    let (mx, my) = (mean(x), mean(y));
    let (mut xx, mut yy, mut xy) = (0.0, 0.0, 0.0);
    for (a, b) in x.iter().zip(y) {
        let (a, b) = (a - mx, b - my);
        (xx, yy, xy) = (xx + a * a, yy + b * b, xy + a * b);
    }
    (xx > 0.0 && yy > 0.0).then(|| xy / (xx * yy).sqrt())
}

type Spikes = Vec<Vec<Spike>>;

fn both<'a>(a: &'a Executed, b: &'a Executed) -> impl Iterator<Item = (usize, &'a Spikes, &'a Spikes)> {
    a.spikes.iter().zip(&b.spikes).enumerate().map(|(k, (s, t))| (k, s, t))
}

/// A spike without its time, because readers may count time from different origins.
fn what(s: &Spike) -> (u64, usize, usize, usize) {
    (s.cause, s.channel, s.y, s.x)
}

fn same(a: Option<&Vec<Spike>>, b: Option<&Vec<Spike>>) -> bool {
    let (a, b) = (a.map_or(&[][..], Vec::as_slice), b.map_or(&[][..], Vec::as_slice));
    a.len() == b.len() && a.iter().zip(b).all(|(s, t)| what(s) == what(t))
}

/// The first difference of every recording that has one, sorted by layer.
pub fn firsts(network: &Network, shapes: &[Shape], a: &Executed, b: &Executed) -> Vec<First> {
    let spiking = network.spiking();
    let mut all: Vec<First> = (0..a.counts.len().min(b.counts.len()))
        .filter_map(|recording| {
            (0..spiking.len()).filter(|&l| !a.is_absent(l) && !b.is_absent(l)).find_map(|l| {
                let found = match (a.spikes.get(recording), b.spikes.get(recording)) {
                    (Some(s), Some(t)) => parting(s.get(l)?, t.get(l)?, shapes[l]),
                    _ => counted(a.counts[recording].get(l)?, b.counts[recording].get(l)?),
                };
                let (i, event, t_us, reference, other) = found?;
                let shape = shapes[l];
                let close = |c: &(usize, usize, u64, usize)| (c.0, c.1, Some(c.2), c.3) == (recording, l, event, i);
                Some(First {
                    index: l,
                    layer: network.nodes()[spiking[l]].name.clone(),
                    recording,
                    file: None,
                    event,
                    t_us,
                    neuron: [i / (shape.height * shape.width), i / shape.width % shape.height, i % shape.width],
                    reference,
                    other,
                    rounding: a.close.iter().chain(&b.close).any(close),
                })
            })
        })
        .collect();
    all.sort_by_key(|f| (f.index, f.recording));
    all
}

/// Neuron, input event, time, and how often the neuron fired for that event on each side.
type Parting = (usize, Option<u64>, Option<u64>, u64, u64);

fn parting(a: &[Spike], b: &[Spike], shape: Shape) -> Option<Parting> {
    let k = (0..a.len().max(b.len())).find(|&k| a.get(k).map(what) != b.get(k).map(what))?;
    // Of the two spikes at this position, the one that the other side does not have for the same
    // event.
    let times = |list: &[Spike], s: &Spike| list.iter().filter(|t| what(t) == what(s)).count() as u64;
    let candidates = [a.get(k), b.get(k)];
    let mut found: Vec<&Spike> = candidates.into_iter().flatten().filter(|s| times(a, s) != times(b, s)).collect();
    found.sort_by_key(|s| (s.cause, neuron(shape, s)));
    // If both sides have all spikes, only their order differs.
    let s = found.first().copied().or(a.get(k)).or(b.get(k))?;
    Some((neuron(shape, s), Some(s.cause), Some(s.t_us), times(a, s), times(b, s)))
}

fn counted(a: &[u32], b: &[u32]) -> Option<Parting> {
    let i = (0..a.len().max(b.len())).find(|&i| a.get(i) != b.get(i))?;
    let count = |v: &[u32]| u64::from(v.get(i).copied().unwrap_or(0));
    Some((i, None, None, count(a), count(b)))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn spike(cause: u64, x: usize) -> Spike {
        Spike { layer: 0, t_us: 10 * cause, cause, channel: 0, y: 0, x }
    }

    #[test]
    fn two_lists_part_at_the_neuron_that_only_one_has() {
        let shape = Shape::new(1, 1, 8);
        let a = [spike(0, 1), spike(0, 3), spike(4, 2)];
        assert_eq!(parting(&a, &a, shape), None);
        let without = [spike(0, 3), spike(4, 2)];
        assert_eq!(parting(&a, &without, shape), Some((1, Some(0), Some(0), 1, 0)));
        let shorter = [spike(0, 1), spike(0, 3)];
        assert_eq!(parting(&a, &shorter, shape), Some((2, Some(4), Some(40), 1, 0)));
        let twice = [spike(0, 1), spike(0, 1), spike(0, 3), spike(4, 2)];
        assert_eq!(parting(&a, &twice, shape), Some((1, Some(0), Some(0), 1, 2)));
        let turned = [spike(0, 3), spike(0, 1), spike(4, 2)];
        assert_eq!(parting(&a, &turned, shape), Some((1, Some(0), Some(0), 1, 1)));
    }

    #[test]
    fn correlation_is_one_for_a_multiple_and_unknown_without_variation() {
        let x = [1.0, 2.0, 4.0];
        assert!((correlation(&x, &[3.0, 5.0, 9.0]).unwrap() - 1.0).abs() < 1e-12);
        assert!((correlation(&x, &[-1.0, -2.0, -4.0]).unwrap() + 1.0).abs() < 1e-12);
        assert_eq!(correlation(&x, &[0.0; 3]), None);
    }
}
