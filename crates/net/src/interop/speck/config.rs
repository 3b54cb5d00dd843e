//! The configuration of every core of a chip, serialisable as JSON.

use super::chip::Chip;
use super::fit::{fit_mapped, senders};
use super::map::{ChipLayer, map};
use crate::error::{Error, Result};
use crate::network::Network;
use crate::neuron::Reset;
use crate::quantise::quantise_layer;
use crate::shape::Shape;
use crate::weights::Weights;
use serde::Serialize;
use std::path::Path;

/// A destination of events.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
pub struct Destination {
    /// Number of the core.
    pub core: usize,
    /// Side of the sum pooling applied to the events.
    pub pooling: usize,
}

/// The source of the input events: the camera or a host.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct InputConfig {
    /// Channels (polarities), rows, columns.
    pub shape: Shape,
    /// The cores that receive its events.
    pub destinations: Vec<Destination>,
}

/// The configuration of one core.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct CoreConfig {
    /// Number of the core.
    pub core: usize,
    /// The layer that provides the weights.
    pub layer: String,
    /// The layer that provides the neurons; `None` for a readout.
    pub neurons: Option<String>,
    /// Shape of the kernel's input, after pooling.
    pub input: Shape,
    /// Shape of the neurons' output, before pooling.
    pub output: Shape,
    /// Rows and columns of the kernel.
    pub kernel: (usize, usize),
    /// Stride in both directions.
    pub stride: usize,
    /// Zero padding on each side.
    pub padding: usize,
    /// Weights `[c_out, c_in, rows, columns]`, row major.
    pub weights: Vec<i8>,
    /// Threshold; a neuron fires if its membrane is at or above it.
    pub threshold: i16,
    /// Lower limit of the membrane.
    pub v_min: i16,
    /// Effect of a spike on the membrane: `soft` subtracts the threshold, `hard` sets it to 0.
    pub reset: Reset,
    /// Integers per unit of the network's membrane potential.
    pub scale: f32,
    /// Destinations of the spikes; empty for the readout.
    pub destinations: Vec<Destination>,
    /// Used kernel memory, in words of 8 bits.
    pub kernel_words: usize,
    /// Used neuron memory, in words of 16 bits.
    pub neuron_words: usize,
}

/// The configuration of a chip.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Configuration {
    /// The network's name.
    pub network: String,
    /// The chip's name.
    pub chip: String,
    /// The source of the input events.
    pub input: InputConfig,
    /// The used cores, in the order of the layers.
    pub cores: Vec<CoreConfig>,
    /// Number of the core whose spikes the host counts, separately for each of its neurons.
    pub readout: usize,
    /// Differences between chip and network, as (layer, difference).
    pub notes: Vec<(String, String)>,
}

/// Quantises a network and writes the configuration of every core.
///
/// # Errors
/// If the weights are not those of the network, if a layer cannot be quantised, or if the network
/// does not fit; then the error names the first layer with the reason and the remedy, and
/// [`fit`](super::fit) reports all of them.
pub fn configuration(network: &Network, weights: &Weights, chip: &Chip) -> Result<Configuration> {
    weights.check(network, Path::new("<memory>"))?;
    let mapped = map(network);
    let report = fit_mapped(network, chip, &mapped);
    if let Some((layer, problem)) = report.all_problems().next() {
        return Err(Error::layer(layer, format!("does not fit onto the {}: {problem}", chip.name)));
    }
    let given: Vec<usize> = report.layers.iter().filter_map(|l| l.core).collect();
    let (Some(&readout), true) = (given.last(), given.len() == mapped.layers.len()) else {
        let problem = "has no layer that a chip could run; add a convolution and neurons".to_owned();
        return Err(Error::Network { network: network.name().to_owned(), problem });
    };
    let senders = senders(&mapped);
    let destinations = |from: &[(usize, usize)]| {
        from.iter().map(|&(layer, pooling)| Destination { core: given[layer], pooling }).collect::<Vec<_>>()
    };
    let mut cores = Vec::with_capacity(given.len());
    for (i, (layer, fit)) in mapped.layers.iter().zip(&report.layers).enumerate() {
        let kernel = kernel(layer, &weights.require(&fit.layer, "weight")?.data);
        let q = quantise_layer(&fit.layer, &kernel, layer.neuron.threshold, layer.neuron.v_min)?;
        cores.push(CoreConfig {
            core: given[i],
            layer: fit.layer.clone(),
            neurons: fit.neurons.clone(),
            input: layer.input,
            output: layer.output,
            kernel: layer.kernel,
            stride: layer.stride,
            padding: layer.padding,
            weights: q.weights,
            threshold: q.threshold,
            v_min: q.v_min,
            reset: layer.neuron.reset,
            scale: q.scale,
            destinations: destinations(&senders[i + 1]),
            kernel_words: fit.kernel_words,
            neuron_words: fit.neuron_words,
        });
    }
    let notes = report.layers.iter().flat_map(|l| l.notes.iter().map(|n| (l.layer.clone(), n.clone()))).collect();
    Ok(Configuration {
        network: network.name().to_owned(),
        chip: chip.name.clone(),
        input: InputConfig { shape: network.input().shape, destinations: destinations(&senders[0]) },
        cores,
        readout,
        notes,
    })
}

/// Expands the weights to a dense kernel `[c_out, c_in, rows, columns]` and multiplies the factor
/// of average pooling into it.
fn kernel(layer: &ChipLayer, weights: &[f32]) -> Vec<f32> {
    let scale = layer.sources.first().map_or(1.0, |s| s.scale);
    let (c_in, c_out, place) = (layer.input.channels, layer.output.channels, layer.kernel.0 * layer.kernel.1);
    let scaled = |w: f32| (f64::from(w) * scale) as f32;
    if layer.spread {
        return weights.iter().flat_map(|&w| std::iter::repeat_n(scaled(w), place)).collect();
    }
    if layer.groups == 1 {
        return weights.iter().map(|&w| scaled(w)).collect();
    }
    let (each_in, each_out) = (c_in / layer.groups, c_out / layer.groups);
    let mut dense = vec![0.0; c_out * c_in * place];
    for (i, &w) in weights.iter().enumerate() {
        let (out, input, at) = (i / (each_in * place), i / place % each_in, i % place);
        dense[(out * c_in + out / each_out * each_in + input) * place + at] = scaled(w);
    }
    dense
}
