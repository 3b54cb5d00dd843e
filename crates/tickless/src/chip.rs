//! How near the engine is to spike counts that were measured on a chip, and which settings bring it
//! nearer.
//!
//! A chip computes with 8-bit weights, clips its membranes, and processes events with delays, in
//! queues and in an order of its own. The engine has a setting for each of these. [`study`] runs
//! the recordings of a file of counts (the form that `parity` reads) with every combination of the
//! settings, and compares each neuron's spikes with the chip's:
//!
//! ```text
//! D(setting) = Σ |chip − engine| / Σ engine      over recordings and neurons of the measured layers
//! ```
//!
//! A setting that is chosen for its small D would be judged too well by that same D. So each
//! recording is left out in turn, the setting is chosen on the others, and its D is measured on the
//! one left out ([`ChipStudy::held_out`]).

use crate::error::stop;
use crate::parity::{self, Measured};
use crate::simulate::{compile_with, possible};
use crate::{Error, Result};
use rayon::prelude::*;
use serde::{Deserialize, Serialize};
use std::path::Path;
use std::sync::Arc;
use tickless_engine::{AsyncSession, Asynchrony, CompileOptions, Confidence, NeuronCounts, Order, Program, Session};
use tickless_net::{Layer, Network, NetworkBuilder, Neuron, SpikeMode, Weights};
use tickless_train::data::SampleId;
use tickless_train::device::Device;
use tickless_train::progress::Progress;
use tickless_train::run::Loaded;

/// The values to combine. The first of each list is the engine as it is by default.
#[derive(Debug, Clone, PartialEq)]
pub struct Grid {
    /// Whether weights have 8 bits and potentials 16.
    pub eight_bit: Vec<bool>,
    /// Lower limits of the membrane.
    pub limits: Vec<Limit>,
    /// Timing and order of events.
    pub timings: Vec<Timing>,
    /// Seed of random orders and times.
    pub seed: u64,
}

/// A lower limit of the membrane of multi-spike neurons.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Limit {
    /// That of the network.
    Own,
    /// None.
    None,
    /// This many thresholds.
    Thresholds(f64),
}

/// Timing and order of events in the model of asynchrony; the default is the exact engine.
#[derive(Debug, Clone, Copy, PartialEq, Default)]
pub struct Timing {
    /// Order of simultaneous events.
    pub order: Order,
    /// Time that a core needs for one event in µs.
    pub service_us: f64,
    /// Largest number of waiting events; `None` for no limit.
    pub queue: Option<usize>,
    /// Largest random delay of an event on its way to a core in µs.
    pub delay_jitter_us: f64,
    /// Largest shift of an input event's time in µs.
    pub jitter_us: f64,
}

impl Default for Grid {
    /// 8 bit and f32, six limits, both random orders, three service times with three queues, and
    /// three sizes of jitter.
    fn default() -> Self {
        let exact = Timing::default();
        let mut timings = vec![exact];
        timings.extend([Order::Random, Order::Momentum].map(|order| Timing { order, ..exact }));
        for service_us in [1.0, 5.0, 10.0] {
            for queue in [None, Some(64), Some(8)] {
                timings.push(Timing { service_us, queue, ..exact });
            }
        }
        timings.extend([10.0, 100.0, 1000.0].map(|jitter_us| Timing { jitter_us, ..exact }));
        timings.extend([10.0, 100.0].map(|delay_jitter_us| Timing { delay_jitter_us, ..exact }));
        let limits = [-0.5, -2.0, -5.0, -30.0].map(Limit::Thresholds);
        let limits = [Limit::Own].into_iter().chain(limits).chain([Limit::None]).collect();
        Self { eight_bit: vec![false, true], limits, timings, seed: 0 }
    }
}

/// One combination of settings.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct ChipSetting {
    /// Whether weights have 8 bits and potentials 16.
    pub eight_bit: bool,
    /// The lower limit.
    pub limit: Limit,
    /// Order of simultaneous events: exact, random or momentum.
    #[serde(with = "order")]
    pub order: Order,
    /// Time that a core needs for one event in µs.
    pub service_us: f64,
    /// Largest number of waiting events.
    pub queue: Option<usize>,
    /// Largest random delay of an event in µs.
    pub delay_jitter_us: f64,
    /// Largest shift of an input event's time in µs.
    pub jitter_us: f64,
}

/// An [`Order`] as its word.
mod order {
    use serde::de::Error;
    use serde::{Deserialize, Deserializer, Serializer};
    use tickless_engine::Order;

    pub fn serialize<S: Serializer>(order: &Order, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(order)
    }

    pub fn deserialize<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Order, D::Error> {
        String::deserialize(deserializer)?.parse().map_err(D::Error::custom)
    }
}

impl std::fmt::Display for ChipSetting {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(if self.eight_bit { "8 bit" } else { "f32" })?;
        match self.limit {
            Limit::Own => {}
            Limit::None => f.write_str(", no lower limit")?,
            Limit::Thresholds(v) => write!(f, ", lower limit {v} θ")?,
        }
        if self.order != Order::Exact {
            write!(f, ", {} order", self.order)?;
        }
        if self.service_us > 0.0 {
            write!(f, ", {} µs an event", self.service_us)?;
        }
        if let Some(queue) = self.queue {
            write!(f, ", queue of {queue}")?;
        }
        if self.jitter_us > 0.0 {
            write!(f, ", input jitter {} µs", self.jitter_us)?;
        }
        if self.delay_jitter_us > 0.0 {
            write!(f, ", delays up to {} µs", self.delay_jitter_us)?;
        }
        Ok(())
    }
}

impl ChipSetting {
    fn new(eight_bit: bool, limit: Limit, t: Timing) -> Self {
        let Timing { order, service_us, queue, delay_jitter_us, jitter_us } = t;
        Self { eight_bit, limit, order, service_us, queue, delay_jitter_us, jitter_us }
    }

    /// In how many respects this is not the engine as it is by default.
    pub fn changes(&self) -> usize {
        let Self { eight_bit, limit, order, service_us, queue, delay_jitter_us, jitter_us } = *self;
        [
            eight_bit,
            limit != Limit::Own,
            order != Order::Exact,
            service_us > 0.0,
            queue.is_some(),
            delay_jitter_us > 0.0,
            jitter_us > 0.0,
        ]
        .into_iter()
        .filter(|changed| *changed)
        .count()
    }
}

/// The engine with one setting beside the chip.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct ChipRow {
    /// The setting.
    pub setting: ChipSetting,
    /// D, or `None` if the engine is silent and the chip is not.
    pub difference: Option<f64>,
    /// The engine's spikes of each recording.
    pub spikes: Vec<u64>,
    /// Σ |chip − engine| of each recording.
    pub apart: Vec<u64>,
}

impl ChipRow {
    /// D of one recording.
    pub fn difference_of(&self, recording: usize) -> f64 {
        ratio(self.apart[recording], self.spikes[recording])
    }

    /// D of all recordings but one.
    fn without(&self, recording: usize) -> f64 {
        let rest = |all: &[u64]| all.iter().sum::<u64>() - all[recording];
        ratio(rest(&self.apart), rest(&self.spikes))
    }
}

fn ratio(apart: u64, spikes: u64) -> f64 {
    match (apart, spikes) {
        (0, _) => 0.0,
        (_, 0) => f64::INFINITY,
        _ => apart as f64 / spikes as f64,
    }
}

/// The choice of a setting without one recording, judged on that recording.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct HeldOut {
    /// The setting with the smallest D on the other recordings.
    pub chosen: ChipSetting,
    /// Its D on this recording.
    #[serde(with = "crate::number")]
    pub difference: f64,
    /// D on this recording of the engine as it is by default.
    #[serde(with = "crate::number")]
    pub by_default: f64,
}

/// A study of counts from a chip.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct ChipStudy {
    /// The recordings, by file or by number.
    pub recordings: Vec<String>,
    /// The layers that were measured.
    pub layers: Vec<String>,
    /// The chip's spikes of each recording in these layers.
    pub chip: Vec<u64>,
    /// Every setting, in the order of the grid; the first is the engine as it is by default.
    pub rows: Vec<ChipRow>,
    /// Settings that the engine refuses, each with the reason.
    pub refused: Vec<String>,
    /// For each recording the choice without it.
    pub held_out: Vec<HeldOut>,
}

impl ChipStudy {
    /// The setting with the smallest D over all recordings; of equals, the one with the fewest
    /// changes.
    pub fn best(&self) -> &ChipRow {
        best(&self.rows, |r| r.difference.unwrap_or(f64::INFINITY))
    }

    /// The row of a setting that changes nothing but the number of bits, if it was measured.
    pub fn plain(&self, eight_bit: bool) -> Option<&ChipRow> {
        self.rows.iter().find(|r| r.setting == ChipSetting::new(eight_bit, Limit::Own, Timing::default()))
    }
}

/// The row with the smallest value; of equals, the one with the fewest changes.
fn best(rows: &[ChipRow], value: impl Fn(&ChipRow) -> f64) -> &ChipRow {
    let key = |r: &ChipRow| (value(r), r.setting.changes());
    let (first, rest) = rows.split_first().expect("a study has at least one row");
    rest.iter().fold(first, |best, r| {
        let ((a, fewer), (b, more)) = (key(r), key(best));
        if a < b || (a == b && fewer < more) { r } else { best }
    })
}

/// Compares the engine with the counts of a chip in `file`, for every setting of `grid`. The
/// recordings are those of `ids` that the file names.
///
/// # Errors
/// If the network needs a clock, the file is invalid or names other recordings, a recording cannot
/// be decoded, the engine refuses every setting, or the user stops.
pub fn study(run: &Loaded, ids: &[SampleId], file: &Path, grid: &Grid, progress: &dyn Progress) -> Result<ChipStudy> {
    possible(run)?;
    let measured = Measured::read(run, ids, file)?;
    let network = up_to(&run.network, measured.layers.iter().copied().max().unwrap_or(0));
    let network = network.as_ref().unwrap_or(&run.network);
    let recordings = measured.ids.iter().map(|&id| Ok(run.source.recording(id)?)).collect::<Result<Vec<_>>>()?;
    let (mut rows, mut refused) = (Vec::new(), Vec::new());
    let settings = grid.eight_bit.len() * grid.limits.len() * grid.timings.len();
    progress.start("settings of the engine", settings as u64, "setting");
    for &eight_bit in &grid.eight_bit {
        for &limit in &grid.limits {
            let program = match program(network, &run.weights, run.facts.step_us, eight_bit, limit) {
                Ok(program) => program,
                Err(e) => {
                    refused.push(format!("{}: {e}", ChipSetting::new(eight_bit, limit, Timing::default())));
                    progress.advance(grid.timings.len() as u64, "");
                    continue;
                }
            };
            for &timing in &grid.timings {
                stop(progress)?;
                let counts = counts(&program, timing, grid.seed, &recordings, &measured.layers)?;
                rows.push(row(ChipSetting::new(eight_bit, limit, timing), &counts, &measured.counts));
                progress.advance(1, "");
            }
        }
    }
    progress.finish();
    if rows.is_empty() {
        return Err(Error::NoSetting { reasons: refused });
    }
    let by_default = rows[0].clone();
    let held_out = (0..recordings.len()).filter(|_| recordings.len() > 1).map(|k| {
        let chosen = best(&rows, |r| r.without(k));
        let (difference, by_default) = (chosen.difference_of(k), by_default.difference_of(k));
        HeldOut { chosen: chosen.setting, difference, by_default }
    });
    let names = run.network.spiking();
    Ok(ChipStudy {
        recordings: measured.names,
        layers: measured.layers.iter().map(|&l| run.network.nodes()[names[l]].name.clone()).collect(),
        chip: measured.counts.iter().map(|c| c.iter().map(|&n| u64::from(n)).sum()).collect(),
        held_out: held_out.collect(),
        rows,
        refused,
    })
}

/// The network up to spiking layer number `layer`, whose spikes the later layers do not change.
/// `None` if an earlier layer would then be unread.
fn up_to(network: &Network, layer: usize) -> Option<Network> {
    let last = *network.spiking().get(layer)?;
    let mut b = NetworkBuilder::new(network.name(), network.input().shape, network.input().kind);
    for node in &network.nodes()[..=last] {
        b.add_copy(node, node.layer, &node.from);
    }
    b.build().ok()
}

fn program(
    network: &Network,
    weights: &Weights,
    step_us: Option<f64>,
    eight_bit: bool,
    limit: Limit,
) -> tickless_engine::Result<Program> {
    let v_min = |n: Neuron| match limit {
        Limit::Own => n.v_min,
        Limit::None => None,
        Limit::Thresholds(v) => Some((v * f64::from(n.threshold)) as f32),
    };
    let changed = network.map_neurons(|_, n| match n.spikes {
        SpikeMode::Multi if n.synapse.is_none() => Neuron { v_min: v_min(n), ..n },
        _ => n,
    });
    let mut own = Weights::default();
    for (_, name, _) in changed.tensors() {
        if let Some(array) = weights.get(&name) {
            own.insert(name, array.clone());
        }
    }
    let options = CompileOptions { step_us, quantised: eight_bit, ..CompileOptions::default() };
    Program::compile(&changed, &own, &options)
}

/// The spikes of the measured layers' neurons, for each recording.
fn counts(
    program: &Program,
    timing: Timing,
    seed: u64,
    recordings: &[Arc<tickless_events::Recording>],
    layers: &[usize],
) -> Result<Vec<Vec<u32>>> {
    let Timing { order, service_us, queue, delay_jitter_us, jitter_us } = timing;
    let model = Asynchrony { order, service_us, queue, delay_jitter_us, jitter_us, seed, ..Asynchrony::default() };
    let one = |(k, recording): (usize, &Arc<tickless_events::Recording>)| -> Result<Vec<u32>> {
        let mut counts = NeuronCounts::new(program);
        if timing == Timing::default() {
            Session::new(program).feed_into(recording, &mut counts)?;
        } else {
            AsyncSession::new(program, &model)?.run(recording, k as u64, &mut counts)?;
        }
        let all = layers.iter().flat_map(|&l| counts.layer(l));
        Ok(all.map(|&n| u32::try_from(n).unwrap_or(u32::MAX)).collect())
    };
    recordings.par_iter().enumerate().map(one).collect()
}

fn row(setting: ChipSetting, ours: &[Vec<u32>], chip: &[Vec<u32>]) -> ChipRow {
    let total = |all: &[u32]| all.iter().map(|&n| u64::from(n)).sum::<u64>();
    let apart = |a: &[u32], b: &[u32]| a.iter().zip(b).map(|(a, b)| u64::from(a.abs_diff(*b))).sum::<u64>();
    let spikes: Vec<u64> = ours.iter().map(|o| total(o)).collect();
    let apart: Vec<u64> = ours.iter().zip(chip).map(|(o, c)| apart(o, c)).collect();
    let difference = Some(ratio(apart.iter().sum(), spikes.iter().sum())).filter(|d| d.is_finite());
    ChipRow { setting, difference, spikes, apart }
}

/// Whether each recording was classified correctly, by each way to run the network.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct Correct {
    /// Event-driven in f32.
    pub event_driven: Vec<bool>,
    /// Event-driven with 8-bit weights, if the engine can run the network so.
    pub eight_bit: Option<Vec<bool>>,
    /// Number of steps and the answers of the clocked network.
    pub clocked: Vec<(usize, Vec<bool>)>,
}

/// Runs `ids` event-driven and clocked at each number of steps.
///
/// # Errors
/// If the network needs a clock, a recording cannot be decoded, or the user stops.
pub fn correct(
    run: &Loaded,
    device: &Device,
    ids: &[SampleId],
    steps: &[usize],
    progress: &dyn Progress,
) -> Result<Correct> {
    possible(run)?;
    if ids.is_empty() {
        return Err(Error::NoRecordings);
    }
    progress.start("accuracy", (ids.len() * (2 + steps.len())) as u64, "recording");
    let confidence = Confidence { gain: 1.0, t_max: run.facts.t_max };
    let answers = |program: &Program| -> Result<Vec<bool>> {
        let one = |session: &mut Session, &id: &SampleId| -> Result<bool> {
            stop(progress)?;
            session.reset();
            session.feed(run.source.recording(id)?.as_ref())?;
            progress.advance(1, "");
            Ok(session.decision(&confidence).class == run.source.label(id))
        };
        ids.par_iter().map_init(|| Session::new(program), one).collect()
    };
    let event_driven = answers(&compile_with(run, false)?)?;
    let eight_bit = compile_with(run, true).ok().map(|program| answers(&program)).transpose()?;
    let model = run.model(device)?;
    let mut clocked = Vec::new();
    for &t in steps {
        let mut right = Vec::with_capacity(ids.len());
        for &id in ids {
            stop(progress)?;
            let recording = run.source.recording(id)?;
            let class = parity::clocked_class(&model, &recording, t, (run.facts.t_max, run.facts.step_us))?;
            right.push(class == run.source.label(id));
            progress.advance(1, "");
        }
        clocked.push((t, right));
    }
    progress.finish();
    Ok(Correct { event_driven, eight_bit, clocked })
}

/// Whether the network has multi-spike neurons, whose lower limit a setting can change.
pub fn has_limits(network: &Network) -> bool {
    network.nodes().iter().any(|n| matches!(n.layer, Layer::Neuron(n) if n.spikes == SpikeMode::Multi))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn made(eight_bit: bool, ours: &[Vec<u32>], chip: &[Vec<u32>]) -> ChipRow {
        row(ChipSetting::new(eight_bit, Limit::Own, Timing::default()), ours, chip)
    }

    #[test]
    fn the_difference_counts_every_neuron_and_recording() {
        let r = made(false, &[vec![3, 0, 1], vec![4, 4, 4]], &[vec![1, 1, 1], vec![4, 4, 4]]);
        assert_eq!((r.apart.clone(), r.spikes.clone(), r.difference), (vec![3, 0], vec![4, 12], Some(3.0 / 16.0)));
        assert_eq!((r.difference_of(0), r.without(0)), (0.75, 0.0));
        assert_eq!(made(false, &[vec![0]], &[vec![1]]).difference, None, "silence is no agreement");
    }

    #[test]
    fn a_choice_is_made_without_the_recording_that_judges_it() {
        // f32 is exact in the first recording, 8 bit in the other two.
        let chip = [vec![10], vec![10], vec![10]];
        let rows =
            [made(false, &[vec![10], vec![14], vec![14]], &chip), made(true, &[vec![30], vec![10], vec![10]], &chip)];
        assert!(!best(&rows, |r| r.difference.unwrap()).setting.eight_bit);
        assert!(best(&rows, |r| r.without(0)).setting.eight_bit, "the first recording does not vote on itself");
        assert!(!best(&rows, |r| r.without(1)).setting.eight_bit);
    }

    #[test]
    fn of_equal_settings_the_one_with_fewer_changes_is_best() {
        let chip = [vec![10]];
        let rows = [made(true, &[vec![10]], &chip), made(false, &[vec![10]], &chip)];
        assert!(!best(&rows, |r| r.difference.unwrap()).setting.eight_bit);
    }
}
