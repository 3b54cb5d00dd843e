//! What an iteration does with the spikes of each neuron layer besides passing them on.

use super::TrainingPass;
use crate::loss::{LossSetting, RatePenalty};
use crate::model::{Sequence, SpikeTap};
use crate::strategy::LayerSpikes;
use burn::tensor::Tensor;
use std::sync::Arc;
use tickless_net::Network;

/// The tap of one pass.
#[derive(Debug)]
struct Tap {
    penalty: Option<RatePenalty>,
    /// The share of the batch that this worker has.
    weight: f32,
    spikes: Option<Arc<LayerSpikes>>,
    /// The nodes of the spiking layers.
    spiking: Vec<usize>,
    /// Shape C, H, W of each of them.
    shapes: Vec<[usize; 3]>,
}

/// The tap that a pass needs, for a worker that has the share `weight` of the batch; `None` if the
/// pass only passes spikes on, which is faster.
pub(super) fn tap(
    network: &Network,
    loss: &LossSetting,
    pass: &TrainingPass,
    weight: f64,
) -> Option<Arc<dyn SpikeTap>> {
    if loss.rate_penalty.is_none() && pass.spikes.is_none() {
        return None;
    }
    let spiking = network.spiking();
    let shape = |i: &usize| {
        let s = network.nodes()[*i].output;
        [s.channels, s.height, s.width]
    };
    let shapes = spiking.iter().map(shape).collect();
    let (penalty, weight, spikes) = (loss.rate_penalty, weight as f32, pass.spikes.clone());
    Some(Arc::new(Tap { penalty, weight, spikes, spiking, shapes }))
}

impl Tap {
    /// The given spikes of a node, with the gradient of the node's own: n + (s − s), with the second
    /// s detached. The value is exactly n.
    fn replaced(&self, node: usize, own: Sequence) -> Sequence {
        let layer = self.spiking.iter().position(|i| *i == node);
        let (Some(given), Some(layer)) = (&self.spikes, layer) else { return own };
        let [c, h, w] = self.shapes[layer];
        let shape = [given.steps, given.batch, c, h, w];
        let given = Sequence::from_values(given.layers[layer].clone(), shape, &own.held().device());
        let given = if own.is_channels_last() { given.channels_last() } else { given };
        own.each(|own| given.into_held() + (own.clone() - own.detach()))
    }
}

impl SpikeTap for Tap {
    fn tap(&self, node: usize, spikes: Sequence) -> (Sequence, Option<Tensor<1>>) {
        let spikes = self.replaced(node, spikes.materialise());
        let term = |penalty: RatePenalty| penalty.of(spikes.held().clone(), spikes.steps()).mul_scalar(self.weight);
        let term = self.penalty.map(term);
        (spikes, term)
    }
}
