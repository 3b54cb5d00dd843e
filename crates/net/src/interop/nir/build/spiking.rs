//! Nodes of spiking neurons.

use super::super::graph::Tensor;
use super::super::loops::{self, Way};
use super::super::reader::{Reader, same};
use super::super::to_network_neuron::{self as neurons, Made, Numbers};
use super::{Build, Value};
use crate::error::Result;
use crate::layer::{Layer, Recurrent, RecurrentKind};
use crate::network::NetworkBuilder;
use crate::neuron::LeakRule;
use crate::weights::Array;

/// The recurrent connections of a layer and their weights, one for each channel or `[to, from]`.
struct Back {
    recurrent: Recurrent,
    weights: Vec<f64>,
}

impl Build<'_> {
    pub(super) fn neuron(
        &mut self,
        b: &mut NetworkBuilder,
        name: &str,
        numbers: Numbers,
        from: &Value,
    ) -> Result<Value> {
        let filtered = match &from.filter {
            None => None,
            Some(f) if numbers.synapse.is_some() || f.is_readout() || self.ways.contains_key(name) => {
                return self.refuse(name, f.problem("leads to neurons that cannot take it up as their current"));
            }
            Some(f) => Some((Tensor::full(&[1], f.tau), Tensor::full(&[1], 1.0))),
        };
        let synapse = numbers.synapse.or(filtered.as_ref().map(|(tau, w_in)| (tau, w_in)));
        let numbers = Numbers { synapse, ..numbers };
        let made = neurons::neuron(self.reader, self.step, &numbers, from.shape, &from.dims);
        let made = made.map_err(|problem| self.error(name, problem))?;
        self.layer(b, name, made, from)
    }

    pub(super) fn threshold(
        &mut self,
        b: &mut NetworkBuilder,
        name: &str,
        threshold: &Tensor,
        from: &Value,
    ) -> Result<Value> {
        if let Some(f) = &from.filter {
            return self.refuse(name, f.problem("leads to a `Threshold`"));
        }
        let made = neurons::threshold(self.step, threshold, from.shape, &from.dims);
        let made = made.map_err(|problem| self.error(name, problem))?;
        self.layer(b, name, made, from)
    }

    /// Adds a layer of neurons; the weights before it, or its threshold, take up the factors of its
    /// input.
    fn layer(&mut self, b: &mut NetworkBuilder, name: &str, made: Made, from: &Value) -> Result<Value> {
        let Made { mut neuron, gains: own, notes } = made;
        notes.into_iter().for_each(|what| self.note(name, what));
        let mut back = match self.ways.remove(name) {
            None => None,
            Some(ways) => Some(self.back(name, &ways, from)?),
        };
        let own_of_channel = own.as_ref().and_then(|own| neurons::per_channel(own, from.shape));
        let own_of_channel = |c: usize| own_of_channel.as_ref().map_or(1.0, |own| own[c]);
        if own.is_some() || from.gain != 1.0 {
            let gains: Vec<f64> = match &own {
                Some(own) => own.iter().map(|g| g * from.gain).collect(),
                None => vec![from.gain],
            };
            match (&from.scalable, neurons::per_channel(&gains, from.shape)) {
                (Some(layer), Some(gains)) => {
                    self.multiply(layer, &gains);
                    back.iter_mut().for_each(|back| back.multiply(own_of_channel));
                }
                _ if gains.iter().all(|g| *g == gains[0]) => {
                    if let Some(scale) = &from.scaled_by {
                        let problem = format!(
                            "its factor is {}: neuron `{name}` gets its input with the sign turned, and no convolution or \
                             linear layer of its own stands before it to take that up; put the factor into weights",
                            from.gain
                        );
                        return self.refuse(scale, problem);
                    }
                    neurons::divide(&mut neuron, gains[0]).map_err(|problem| self.error(name, problem))?;
                    // The layer's input stays as it is, and the factor of its recurrent input is
                    // that of the neurons alone.
                    back.iter_mut().for_each(|back| back.multiply(|_| 1.0 / from.gain));
                }
                _ => {
                    let problem = "its neurons weigh their inputs differently and no convolution or linear layer of its own \
                                   stands before it to take that up; give all the same numbers";
                    return self.refuse(name, problem);
                }
            }
            let what = "its input has a factor (r, τ and step, pooling, scale), which went into the weights before or the threshold";
            self.note(name, what);
        }
        let id = b.add(name, Layer::Neuron(neuron), &[from.id]);
        if let Some(Back { recurrent, weights }) = back {
            let channels = from.shape.channels;
            let shape = if recurrent.kind == RecurrentKind::Dense { vec![channels; 2] } else { vec![channels] };
            let data = weights.iter().map(|&w| w as f32).collect();
            self.weights.insert(format!("{name}.recurrent"), Array { shape, data });
            b.recurrent(id, recurrent);
        }
        Ok(Value { id, scalable: None, gain: 1.0, scaled_by: None, filter: None, ..from.clone() })
    }

    /// The recurrent connections that the ways back to a node make.
    fn back(&self, name: &str, ways: &[Way], from: &Value) -> Result<Back> {
        let (kind, weights) = loops::weights(ways, from.shape).map_err(|problem| self.error(name, problem))?;
        let delay = ways.first().map_or(0.0, |w| w.delay);
        if let Some(other) = ways.iter().find(|w| !same(w.delay, delay)) {
            let problem = format!(
                "its spikes return after {delay} s and after {} s; give all ways back the same delay",
                other.delay
            );
            return self.refuse(name, problem);
        }
        let step = self.step.seconds;
        let steps = (delay / step).round();
        let seconds_known = self.reader != Some(Reader::Sinabs) || self.step.given;
        let delay_us = match self.step.leak {
            _ if steps > 1.0 && (self.step.leak == LeakRule::Step || !seconds_known) => {
                let problem = format!(
                    "its spikes return after {steps} steps, and a network whose leak belongs to a step returns them after \
                     one; remove the `Delay` in its loop"
                );
                return self.refuse(name, problem);
            }
            LeakRule::Time if seconds_known => Some(delay.max(step) * 1e6),
            _ => None,
        };
        if let Some(us) = delay_us.filter(|us| *us < 1.0) {
            return self
                .refuse(name, format!("its spikes return after {us} µs; the engine counts whole µs, so give 1"));
        }
        Ok(Back { recurrent: Recurrent { kind, delay_us }, weights })
    }
}

impl Back {
    /// Multiplies the weights to each channel by a factor.
    fn multiply(&mut self, factor: impl Fn(usize) -> f64) {
        let each = match self.recurrent.kind {
            RecurrentKind::Dense => self.weights.len().isqrt(),
            RecurrentKind::OneToOne => 1,
        };
        for (to, weights) in self.weights.chunks_mut(each.max(1)).enumerate() {
            let factor = factor(to);
            weights.iter_mut().for_each(|w| *w *= factor);
        }
    }
}
