//! The membrane potentials of one neuron layer, step by step, for whoever needs more than its
//! spikes.

use super::memory::GeneralMemory;
use super::{Model, Pass, Sequence, linear, spiking};
use crate::error::Result;
use burn::tensor::Tensor;
use tickless_net::{Layer, Leak, Neuron, Node};

/// A neuron layer that runs one step after the other.
#[derive(Debug)]
pub struct Membranes<'a> {
    model: &'a Model,
    node: &'a Node,
    neuron: Option<Neuron>,
    steps: usize,
    pass: &'a Pass<'a>,
    /// The trained leak, and the weights of recurrent connections.
    parameters: (Option<Tensor<1>>, Option<Tensor<1>>),
    memory: GeneralMemory,
}

impl<'a> Membranes<'a> {
    /// The neurons of node `index` at rest, in a run of `steps` steps.
    pub fn at_rest(model: &'a Model, index: usize, steps: usize, pass: &'a Pass<'a>) -> Self {
        let node = &model.network().nodes()[index];
        let neuron = match node.layer {
            Layer::Neuron(n) => Some(n),
            _ => None,
        };
        let parameter = |tensor: &str| {
            let name = format!("{}.{tensor}", node.name);
            model.parameters.iter().find(|p| p.name == name).map(|p| p.value.clone())
        };
        let decay = neuron.filter(|n| matches!(n.leak, Leak::Learned(_))).and_then(|_| parameter("decay"));
        let weight = node.recurrent.and_then(|_| parameter("recurrent"));
        Self { model, node, neuron, steps, pass, parameters: (decay, weight), memory: GeneralMemory::default() }
    }

    /// Runs one step and returns the potentials after it, in the order of the input's values; none
    /// if the node is no neuron layer.
    ///
    /// # Shapes
    /// `input` `[B, C, H, W]`, the values that the layer reads.
    ///
    /// # Errors
    /// If a time constant is in µs but the steps have no duration; names the layer.
    pub fn step(&mut self, input: Tensor<4>) -> Result<Vec<f32>> {
        let Some(neuron) = self.neuron else { return Ok(Vec::new()) };
        let mut x = Sequence::new(input, 1);
        if let Some(factors) = self.node.input_scale() {
            x = linear::scale_channels(x, &factors, self.model.device());
        }
        let parameters = self.parameters.clone();
        spiking::general_step(x, &neuron, self.node, parameters, (self.steps, self.pass), &mut self.memory)?;
        Ok(self.memory.states.iter().map(|state| state.0.v).collect())
    }
}
