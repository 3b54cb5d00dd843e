//! Measures how often each spiking layer fires and which layers are silent.

use super::{Point, Setting};
use crate::data::SampleId;
use crate::error::Result;
use crate::model::Model;
use crate::model::Sequence;
use crate::progress::Progress;
use serde::{Deserialize, Serialize};
use tickless_net::{Layer, LeakRule, NodeId};

/// Activity of one spiking layer over a data set.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct LayerActivity {
    /// Name of the layer.
    pub layer: String,
    /// Number of neurons of the layer.
    pub neurons: usize,
    /// Mean spikes of the whole layer per sample.
    pub spikes: f64,
}

impl LayerActivity {
    /// Spikes per neuron and sample.
    pub fn rate(&self) -> f64 {
        self.spikes / self.neurons.max(1) as f64
    }

    /// Whether the layer never fired.
    pub fn silent(&self) -> bool {
        self.spikes == 0.0
    }
}

/// Spikes per neuron of each spiking layer, per sample.
#[derive(Debug, Clone, PartialEq, Default)]
#[non_exhaustive]
pub struct SpikeCounts {
    /// One entry per spiking layer: counts `[samples × neurons]`, sample after sample.
    pub layers: Vec<Vec<f32>>,
}

/// Mean spikes per sample of each spiking layer, run at `steps` steps.
///
/// # Errors
/// If a sample cannot be decoded, `steps` does not fit the network, or the user stops.
pub fn activity(
    model: &Model,
    setting: &Setting<'_>,
    steps: usize,
    leak: LeakRule,
    progress: &dyn Progress,
) -> Result<Vec<LayerActivity>> {
    Ok(point_and_activity(model, setting, steps, leak, progress)?.1)
}

/// The accuracy at `steps` steps together with the activity of each spiking layer, from one pass.
///
/// # Errors
/// As [`activity`].
pub fn point_and_activity(
    model: &Model,
    setting: &Setting<'_>,
    steps: usize,
    leak: LeakRule,
    progress: &dyn Progress,
) -> Result<(Point, Vec<LayerActivity>)> {
    let nodes = model.network().nodes();
    let spiking = model.network().spiking();
    let mut sums = vec![0.0f64; nodes.len()];
    let configuration = vec![steps; model.network().stages()];
    progress.start("activity", setting.ids.len() as u64, "sample");
    let mut see = |_: &[SampleId], node: NodeId, s: &Sequence| {
        let NodeId::Node(i) = node else { return };
        if matches!(nodes[i].layer, Layer::Neuron(_)) {
            // In f64 on the host, because f32 cannot count 2²⁴ spikes and more exactly.
            sums[i] += values(s).iter().map(|&v| f64::from(v)).sum::<f64>();
        }
    };
    let score = setting.run(model, steps, &configuration, leak, progress, Some(&mut see))?;
    progress.finish();
    let n = setting.ids.len().max(1) as f64;
    let activity_of_layer = |&i: &usize| LayerActivity {
        layer: nodes[i].name.clone(),
        neurons: nodes[i].output.len(),
        spikes: sums[i] / n,
    };
    Ok((Point::of(vec![steps], leak, score), spiking.iter().map(activity_of_layer).collect()))
}

/// Spike counts of every neuron and sample, run at `steps` steps.
///
/// # Errors
/// As [`activity`].
pub fn spike_counts(
    model: &Model,
    setting: &Setting<'_>,
    steps: usize,
    leak: LeakRule,
    progress: &dyn Progress,
) -> Result<SpikeCounts> {
    let spiking = model.network().spiking();
    let mut layers = vec![Vec::new(); spiking.len()];
    let configuration = vec![steps; model.network().stages()];
    progress.start("count spikes", setting.ids.len() as u64, "sample");
    let mut see = |_: &[SampleId], node: NodeId, s: &Sequence| {
        if let Some(k) = spiking.iter().position(|&j| NodeId::Node(j) == node) {
            layers[k].extend(sum_over_time(s));
        }
    };
    setting.run(model, steps, &configuration, leak, progress, Some(&mut see))?;
    progress.finish();
    Ok(SpikeCounts { layers })
}

/// `[B × neurons]` from `[T·B, C, H, W]`.
fn sum_over_time(s: &Sequence) -> Vec<f32> {
    let steps = s.steps();
    let all = values(s);
    let mut sum = vec![0.0f32; all.len() / steps];
    for step in all.chunks(sum.len().max(1)) {
        sum.iter_mut().zip(step).for_each(|(a, b)| *a += b);
    }
    sum
}

pub(super) fn values(s: &Sequence) -> Vec<f32> {
    s.clone().tensor().into_data().try_into_vec().expect("every tensor of this crate is f32")
}
