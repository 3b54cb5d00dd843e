//! Stores the complete description of a network as one text entry of its graph, so that an import
//! restores what NIR cannot express: stages, resets, spike modes, limits, surrogates and names.

use super::reader::Reader;
use crate::error::Result;
use crate::network::{InputKind, Network};
use crate::neuron::Neuron;
use crate::shape::Shape;
use crate::spec::{LayerSpec, network_from_specs, specs_of};
use serde::{Deserialize, Serialize};

/// The key of the entry in the graph's metadata.
pub(super) const KEY: &str = "tickless";

const FORMAT: u32 = 1;

/// The description, stored as JSON.
#[derive(Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Description {
    format: u32,
    name: String,
    input: Shape,
    kind: String,
    layers: Vec<LayerSpec>,
    reader: String,
    step_us: Option<f64>,
}

impl Description {
    /// Describes a network that the exporter writes for `reader`.
    pub fn new(network: &Network, reader: Reader, step_us: Option<f64>) -> Self {
        Self {
            format: FORMAT,
            name: network.name().to_owned(),
            input: network.input().shape,
            kind: network.input().kind.to_string(),
            layers: specs_of(network),
            reader: reader.to_string(),
            step_us,
        }
    }

    /// Parses an entry; an error states the problem.
    pub fn parse(text: &str) -> std::result::Result<Self, String> {
        let read: Self = serde_json::from_str(text).map_err(|e| e.to_string())?;
        if read.format != FORMAT {
            return Err(format!("it has format {}, this version reads {FORMAT}; update", read.format));
        }
        let dimensions = [read.input.channels, read.input.height, read.input.width];
        if dimensions.iter().any(|&d| d > 1 << 20) || dimensions.iter().product::<usize>() > 1 << 31 {
            return Err(format!("the input {} is too large", read.input));
        }
        Ok(read)
    }

    /// The entry as JSON text.
    pub fn text(&self) -> String {
        serde_json::to_string(self).unwrap_or_default()
    }

    /// Builds the network that the entry describes.
    pub fn network(&self) -> Result<Network> {
        let kind = if self.kind == "image" { InputKind::Image } else { InputKind::Events };
        network_from_specs(&self.name, self.input, kind, &self.layers, Neuron::lif())
    }

    /// The reader that the graph was written for and the duration of a step in µs; `None` if the
    /// reader is unknown.
    pub fn conventions(&self) -> Option<(Reader, Option<f64>)> {
        Some((self.reader.parse().ok()?, self.step_us))
    }
}
