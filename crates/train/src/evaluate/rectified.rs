//! Activations of a network whose neurons are replaced by rectifiers (ReLU): what
//! [`tickless_net::balance`] needs to know of data.
//!
//! The input of a sample is constant: a static image, or the mean frame of a recording, which is its
//! events divided by T_max, so that an activation is the sum that a neuron gets per step at T_max.
//! A percentile of n values is the one at rank (n − 1)·p/100 of the values in rising order, linear
//! between two ranks, zeros included, as NumPy, torch, sinabs and SpikingJelly define it.

use crate::data::{SampleId, Source, prefetch};
use crate::error::{Error, Result};
use crate::evaluate::activity::values;
use crate::model::{Model, NormMode, Observer, Pass, Sequence};
use crate::progress::Progress;
use crate::seed;
use rand::seq::SliceRandom;
use tickless_kernels::Precision;
use tickless_net::{InputKind, LeakRule};

/// The smallest percentile that can be measured. The values from the percentile up are kept in
/// memory, so a smaller one takes more of it.
pub const LEAST_PERCENTILE: f64 = 90.0;

/// The activations of one layer.
#[derive(Debug, Clone, PartialEq)]
#[non_exhaustive]
pub struct Activations {
    /// Index of the layer's node.
    pub node: usize,
    /// Number of values: neurons times samples.
    pub values: usize,
    /// The percentile that was asked for, λ.
    pub percentile: f64,
    /// The largest values in falling order, at least those from the percentile up.
    top: Vec<f32>,
}

impl Activations {
    /// The largest value.
    pub fn largest(&self) -> f64 {
        self.top.first().map_or(0.0, |v| f64::from(*v))
    }

    /// The share of the values that are above `limit`, which is at least the percentile.
    pub fn share_above(&self, limit: f64) -> f64 {
        let above = self.top.iter().take_while(|v| f64::from(**v) > limit).count();
        above as f64 / self.values.max(1) as f64
    }
}

/// The largest values of a stream of known length.
struct Top {
    /// Values of the stream: seen so far, and in the end.
    seen: usize,
    of: usize,
    /// Rank of the percentile in rising order.
    rank: f64,
    kept: Vec<f32>,
}

impl Top {
    fn new(of: usize, percent: f64) -> Self {
        Self { seen: 0, of, rank: of.saturating_sub(1) as f64 * percent / 100.0, kept: Vec::new() }
    }

    /// Number of values from the rank up.
    fn needed(&self) -> usize {
        self.of - (self.rank.floor() as usize).min(self.of)
    }

    fn add(&mut self, values: &[f32]) {
        self.seen += values.len();
        let needed = self.needed().max(1);
        // If enough values are kept, the last of them is the least, and a value must be above it.
        let least = self.kept.get(needed - 1).copied().unwrap_or(f32::NEG_INFINITY);
        self.kept.extend(values.iter().copied().filter(|v| *v > least));
        if self.kept.len() >= needed {
            self.kept.select_nth_unstable_by(needed - 1, |a, b| b.total_cmp(a));
            self.kept.truncate(needed);
        }
    }

    fn finish(mut self, node: usize) -> Activations {
        self.kept.sort_unstable_by(|a, b| b.total_cmp(a));
        // The value at rank r from below is the one at n − 1 − r from above.
        let from_above = |rank: usize| self.kept.get((self.of - 1).saturating_sub(rank)).map_or(0.0, |v| f64::from(*v));
        let (low, part) = (self.rank.floor() as usize, self.rank.fract());
        let percentile = match self.of {
            0 => 0.0,
            _ if part == 0.0 => from_above(low),
            _ => from_above(low) + (from_above(low + 1) - from_above(low)) * part,
        };
        Activations { node, values: self.seen, percentile, top: self.kept }
    }
}

/// The activations of every neuron layer, in the order of the layers, for `samples` constant inputs,
/// which `inputs` gives as sequences of one step `[B, C, H, W]`. The model runs with rectifiers
/// ([`Model::with_rectifiers`]).
///
/// # Errors
/// If an input cannot be made or does not fit the network, or an activation is not finite.
///
/// # Panics
/// If `percent` is not from [`LEAST_PERCENTILE`] to 100.
pub fn rectified_activations(
    model: &Model,
    inputs: impl IntoIterator<Item = Result<Sequence>>,
    samples: usize,
    percent: f64,
) -> Result<Vec<Activations>> {
    let mut layers = Layers::new(model, samples, percent);
    inputs.into_iter().try_for_each(|input| layers.see(input?))?;
    Ok(layers.finish())
}

/// The samples of the training part that a network is balanced on.
#[derive(Debug, Clone)]
#[non_exhaustive]
pub struct BalanceData<'a> {
    /// The data set.
    pub source: &'a Source,
    /// The samples.
    pub ids: Vec<SampleId>,
    /// The number of steps T_max by which the events of a recording are divided.
    pub t_max: usize,
    /// Largest number of samples per batch.
    pub batch: usize,
}

impl<'a> BalanceData<'a> {
    /// At most `samples` samples of the training part `train`, drawn by `seed`.
    pub fn draw(
        source: &'a Source,
        train: &[SampleId],
        samples: usize,
        seed: u64,
        (t_max, batch): (usize, usize),
    ) -> Self {
        let mut ids = train.to_vec();
        ids.shuffle(&mut seed::rng(seed, "balance", 0));
        ids.truncate(samples);
        Self { source, ids, t_max, batch }
    }

    /// The activations of every neuron layer on these samples ([`rectified_activations`]).
    ///
    /// # Errors
    /// As [`rectified_activations`], and if the user stops.
    ///
    /// # Panics
    /// As [`rectified_activations`].
    pub fn activations(&self, model: &Model, percent: f64, progress: &dyn Progress) -> Result<Vec<Activations>> {
        let mut layers = Layers::new(model, self.ids.len(), percent);
        let (_, kind) = self.source.input();
        progress.start("balance", self.ids.len() as u64, "sample");
        prefetch(self.source, &self.ids, self.batch.max(1), false, 1, None, |_, batch| {
            let samples = batch.labels.len();
            let (mut input, _) = batch.into_sequence(model.device());
            if kind == InputKind::Events {
                let per_step = 1.0 / self.t_max as f64;
                input = input.each(|x| x.mul_scalar(per_step));
            }
            layers.see(input)?;
            progress.advance(samples as u64, "");
            if progress.cancelled() {
                return Err(Error::Cancelled { task: "the balancing" });
            }
            Ok(())
        })?;
        progress.finish();
        Ok(layers.finish())
    }
}

/// The largest activations of every neuron layer so far.
struct Layers {
    model: Model,
    /// For each neuron layer its node and its largest activations.
    tops: Vec<(usize, Top)>,
}

impl Layers {
    fn new(model: &Model, samples: usize, percent: f64) -> Self {
        assert!((LEAST_PERCENTILE..=100.0).contains(&percent), "a percentile of {percent} cannot be measured");
        let network = model.network();
        let top = |i: usize| (i, Top::new(samples * network.nodes()[i].output.len(), percent));
        // In f32, because the balanced weights are to hold at every precision.
        let model = model.clone().with_rectifiers().with_precision(Precision::F32);
        Self { tops: network.spiking().into_iter().map(top).collect(), model }
    }

    fn see(&mut self, input: Sequence) -> Result<()> {
        let network = self.model.network().clone();
        let configuration = vec![1; network.stages()];
        let pass = Pass {
            configuration: &configuration,
            norm: NormMode::Running,
            leak: LeakRule::Step,
            t_max: 1,
            step_us: None,
        };
        let (mut wrong, tops) = (None, &mut self.tops);
        let mut observe = |i: usize, s: &Sequence| {
            let Some((_, top)) = tops.iter_mut().find(|(node, _)| *node == i) else { return };
            let values = values(s);
            match values.iter().find(|v| !v.is_finite()) {
                Some(&value) => {
                    let what = format!("an activation of layer `{}` with rectifiers", network.nodes()[i].name);
                    wrong.get_or_insert(Error::ResultNotFinite { what, value });
                }
                None => top.add(&values),
            }
        };
        let observer: Observer<'_> = &mut observe;
        self.model.forward(&self.model.constants(), input, &pass, &mut seed::rng(0, "balance", 1), Some(observer))?;
        wrong.map_or(Ok(()), Err)
    }

    fn finish(self) -> Vec<Activations> {
        self.tops.into_iter().map(|(node, top)| top.finish(node)).collect()
    }
}

#[cfg(test)]
mod tests;
