//! Converts a NIR graph to a network and its weights.
//!
//! A graph that this library wrote contains its description, from which the importer restores
//! exactly that network. The importer builds any other network node by node, with neurons as the
//! dialect's framework runs them:
//!
//! - If thresholds or gains differ between channels, or the input has a gain g, the importer
//!   multiplies them into the weights before the neuron; if no weights precede it, a uniform gain
//!   turns θ into θ/g.
//! - Several edges into one node become an `add`. `Flatten` and `Identity` need no layer, because
//!   `linear` flattens.
//! - A loop through one layer of neurons becomes its recurrent connections (`loops.rs`).
//! - A time constant becomes the λ of one step or a τ in seconds ([`ImportOptions::leak`]).
//! - An integrator without spikes becomes the readout or a synaptic current (`build/integrator.rs`).
//! - A bias of zeros is dropped.

use super::build::Build;
use super::deviation::Deviation;
use super::dialect::Dialect;
use super::difference::Difference;
use super::from_network::{ExportOptions, GraphDraft};
use super::graph::{Graph, Node};
use super::metadata::{Description, KEY};
use super::reader::Reader;
use super::to_network_neuron::Step;
use crate::error::{Error, Result};
use crate::network::{InputKind, Network};
use crate::neuron::LeakRule;
use crate::weights::Weights;
use std::path::Path;

/// Options of an import.
#[derive(Debug, Clone, PartialEq)]
pub struct ImportOptions {
    /// The convention of the neurons. `None` selects this library's if the graph contains its
    /// description, otherwise plain NIR.
    pub dialect: Option<Dialect>,
    /// Duration of a step in seconds; `None` selects the step that the dialect's framework assumes
    /// (1e-4 for plain NIR).
    pub dt: Option<f64>,
    /// Name of the network; unused if the graph contains a valid description by this library.
    pub name: String,
    /// Kind of input; unused if the graph contains a valid description by this library.
    pub kind: InputKind,
    /// Rule for the leak; unused if the graph contains a valid description by this library.
    /// [`LeakRule::Step`] keeps the λ of one step as the framework computes it; it suits images and
    /// step-by-step comparison. [`LeakRule::Time`] keeps τ in seconds as the node states it, for
    /// every number of steps and for event-driven runs; it suits recordings. An input spike then
    /// adds the charge of a current over one step with exact decay.
    pub leak: LeakRule,
    /// Duration of one step at T_max of the run in µs. Needed only if the leak belongs to time and
    /// the graph has synaptic currents, whose charge the engine states per step of the run.
    pub step_us: Option<f64>,
    /// Name of the input to keep if the graph has several; the others count as silent.
    pub input: Option<String>,
    /// Name of the output to keep if the graph has several; nodes that lead only to others are
    /// dropped.
    pub output: Option<String>,
}

impl Default for ImportOptions {
    fn default() -> Self {
        Self {
            dialect: None,
            dt: None,
            name: "nir".to_owned(),
            kind: InputKind::Events,
            leak: LeakRule::Step,
            step_us: None,
            input: None,
            output: None,
        }
    }
}

/// An imported network.
#[derive(Debug, Clone, PartialEq)]
pub struct Imported {
    /// The network.
    pub network: Network,
    /// Its weights.
    pub weights: Weights,
    /// The dialect in which the importer read the graph.
    pub dialect: Dialect,
    /// Choices and changes that the importer made.
    pub differences: Vec<Difference>,
    /// Duration of one step in µs that the graph's description states; leaks per step refer to it.
    /// `None` if the graph has no description or the description states none.
    pub step_us: Option<f64>,
}

/// Converts a graph to a network; the messages name `file`.
///
/// # Errors
/// If part of the graph cannot run here; the message names the file and the node and states the
/// reason and the remedy.
pub fn import(graph: &Graph, file: &Path, options: &ImportOptions) -> Result<Imported> {
    representable(graph, "", file)?;
    let mut notes = Vec::new();
    let note = |what: Deviation| Difference { reader: None, places: Vec::new(), what };
    if matches!(options.dialect, None | Some(Dialect::Tickless)) {
        match described(graph, file) {
            Ok((network, weights, step_us)) => {
                let dialect = Dialect::Tickless;
                return Ok(Imported { network, weights, dialect, differences: notes, step_us });
            }
            Err(problem) if options.dialect.is_some() => {
                let problem = format!("{problem}; name the framework that wrote the graph as its dialect");
                return Err(Error::NirGraph { file: file.to_owned(), problem });
            }
            Err(problem) if graph.metadata.contains_key(KEY) => notes.push(note(problem)),
            Err(_) => {}
        }
    }
    let dialect = options.dialect.unwrap_or_else(|| {
        notes.push(note(Deviation::NoWriter));
        Dialect::Plain
    });
    let reader = match dialect {
        Dialect::Of(reader) => Some(reader),
        _ => None,
    };
    let dt = options.dt.unwrap_or(reader.map_or(1e-4, Reader::dt));
    if !(dt > 0.0 && dt.is_finite()) {
        return Err(Error::NirGraph { file: file.to_owned(), problem: format!("a step of {dt} s is no duration") });
    }
    let step = Step { seconds: dt, given: options.dt.is_some(), leak: options.leak, run_us: options.step_us };
    let flat = graph.flattened(file)?.between(options.input.as_deref(), options.output.as_deref(), file)?;
    let (network, weights) = Build::new(file, reader, step, &mut notes).run(flat, &options.name, options.kind)?;
    weights.check(&network, file)?;
    finite(&weights, file)?;
    Ok(Imported { network, weights, dialect, differences: notes, step_us: None })
}

/// Returns an error if an array of the graph has not the values of its shape, or a value is too large
/// for f32, in which every network runs.
fn representable(graph: &Graph, prefix: &str, file: &Path) -> Result<()> {
    for (name, node) in &graph.nodes {
        let name = format!("{prefix}{name}");
        if let Node::Graph(inner) = node {
            representable(inner, &format!("{name}."), file)?;
        }
        for (tensor, t) in node.tensors() {
            if t.shape.iter().try_fold(1usize, |n, d| n.checked_mul(*d)) != Some(t.data.len()) {
                let problem = format!("`{tensor}` has {} values for the shape {:?}", t.data.len(), t.shape);
                return Err(Error::NirNode { file: file.to_owned(), node: name, problem });
            }
            if let Some(i) = t.data.iter().position(|v| !(*v as f32).is_finite()) {
                let problem = format!(
                    "`{tensor}`: value {i} is {:e}, and f32 holds at most {:e}; scale the weights and thresholds of \
                     its layer",
                    t.data[i],
                    f32::MAX
                );
                return Err(Error::NirNode { file: file.to_owned(), node: name, problem });
            }
        }
    }
    Ok(())
}

/// Returns an error if a factor (r, τ and step, scale, pooling) made a weight too large for f32.
fn finite(weights: &Weights, file: &Path) -> Result<()> {
    for (name, array) in &weights.tensors {
        if let Some(i) = array.data.iter().position(|v| !v.is_finite()) {
            let (node, tensor) = name.rsplit_once('.').unwrap_or((name, "weight"));
            let problem = format!(
                "`{tensor}`: value {i} times the factors of the nodes beside it (r, τ, step, scale, pooling) is beyond f32; \
                 make the factors smaller"
            );
            return Err(Error::NirNode { file: file.to_owned(), node: node.to_owned(), problem });
        }
    }
    Ok(())
}

/// The network that the metadata describes. An error if a writer changed the graph since the
/// export.
fn described(graph: &Graph, file: &Path) -> std::result::Result<(Network, Weights, Option<f64>), Deviation> {
    let text = graph.metadata.get(KEY).ok_or(Deviation::NoDescription)?;
    let unusable = |reason: String| Deviation::Unusable { reason };
    let description = Description::parse(text).map_err(unusable)?;
    let network = description.network().map_err(|e| unusable(e.to_string()))?;
    let (reader, step_us) = description.conventions().ok_or_else(|| unusable("it names an unknown reader".into()))?;
    let mut draft =
        GraphDraft::new(&network, &ExportOptions { reader, step_us }).map_err(|e| unusable(e.to_string()))?;
    let mut weights = Weights::default();
    for w in &draft.weighted {
        let layer = &network.nodes()[w.layer];
        let read = w.read(graph).ok_or_else(|| unusable(format!("the graph has no weights `{}` any more", w.node)))?;
        weights.insert(format!("{}.{}", layer.name, w.tensor()), read.weight);
        if layer.tensors().iter().any(|t| t.name == "bias") && w.tensor() == "weight" {
            weights.insert(format!("{}.bias", layer.name), read.bias);
        }
    }
    weights.check(&network, file).and_then(|()| finite(&weights, file)).map_err(|e| unusable(e.to_string()))?;
    draft.fill(&network, &weights).map_err(|e| unusable(e.to_string()))?;
    let sorted = |g: &Graph| {
        let mut edges = g.edges.clone();
        edges.sort();
        edges.dedup();
        edges
    };
    if draft.graph.nodes != graph.nodes || sorted(&draft.graph) != sorted(graph) {
        return Err(Deviation::Changed);
    }
    Ok((network, weights, step_us))
}
