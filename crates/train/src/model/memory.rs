//! The state of a neuron layer between two steps of a run that goes step by step
//! ([`Stepper`](super::Stepper)). It is on the host, `[B, …]` in the layout in which the layer reads
//! its input, so that the rows of samples that are done can be dropped.

use burn::tensor::{Int, Tensor};
use std::collections::VecDeque;
use tickless_neuron::step::AnyState;

/// The state of a neuron layer between two steps.
#[derive(Debug, Clone, Default)]
pub(crate) enum NeuronMemory {
    /// The layer has not run yet.
    #[default]
    AtRest,
    /// Membrane potentials of plain neurons.
    Membranes(Vec<f32>),
    /// The state of other neurons.
    General(GeneralMemory),
}

/// The state of neurons that are not plain.
#[derive(Debug, Clone, Default)]
pub(crate) struct GeneralMemory {
    /// All variables of each neuron; empty before the first step.
    pub(crate) states: Vec<AnyState<f32>>,
    /// The spikes `[B, C, H, W]` on their way back to the layer, the oldest first; empty without
    /// recurrent connections.
    pub(crate) late: VecDeque<Tensor<4>>,
}

impl NeuronMemory {
    /// The membranes, empty before the first step.
    pub(crate) fn membranes(&mut self) -> &mut Vec<f32> {
        if !matches!(self, Self::Membranes(_)) {
            *self = Self::Membranes(Vec::new());
        }
        match self {
            Self::Membranes(v) => v,
            _ => unreachable!("it was made so above"),
        }
    }

    /// The state of neurons that are not plain, empty before the first step.
    pub(crate) fn general(&mut self) -> &mut GeneralMemory {
        if !matches!(self, Self::General(_)) {
            *self = Self::General(GeneralMemory::default());
        }
        match self {
            Self::General(m) => m,
            _ => unreachable!("it was made so above"),
        }
    }

    /// Keeps the state of these samples, in this order; their indices rise.
    pub(crate) fn keep(&mut self, samples: &[usize], of: usize, indices: &Tensor<1, Int>) {
        fn rows<T: Clone>(all: &mut Vec<T>, samples: &[usize], of: usize) {
            let row = all.len() / of;
            for (to, &from) in samples.iter().enumerate() {
                if to != from {
                    let (head, tail) = all.split_at_mut(from * row);
                    head[to * row..][..row].clone_from_slice(&tail[..row]);
                }
            }
            all.truncate(samples.len() * row);
        }
        match self {
            Self::AtRest => {}
            Self::Membranes(v) => rows(v, samples, of),
            Self::General(m) => {
                rows(&mut m.states, samples, of);
                m.late.iter_mut().for_each(|spikes| *spikes = spikes.clone().select(0, indices.clone()));
            }
        }
    }
}
