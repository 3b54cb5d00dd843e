//! A NIR graph → a network and its weights.
//!
//! A graph that this library wrote carries its description and gives exactly that network back. Any
//! other is built node by node, its neurons as the dialect's framework runs them:
//!
//! * thresholds and gains that differ from channel to channel, and any gain g of the input, go into
//!   the weights before (or, where none stand before, a uniform one into θ/g);
//! * several edges into a node become an `add`; `Flatten` is what `linear` does anyway;
//! * a time constant is kept as the λ of one step or as τ in seconds ([`ImportOptions::leak`]);
//! * dilated kernels are written out with zeros; an affine map without bias has none.

use super::dialect::Dialect;
use super::difference::Difference;
use super::from_network::{ExportOptions, Plan};
use super::graph::Graph;
use super::metadata::{Description, KEY};
use super::node::Node;
use super::reader::Reader;
use super::to_network_neuron::Step;
use super::{fold, to_network_build::Build};
use crate::error::{Error, Result};
use crate::network::{InputKind, Network};
use crate::neuron::LeakRule;
use crate::weights::Weights;
use std::path::Path;

/// How a graph is to be understood.
#[derive(Debug, Clone, PartialEq)]
pub struct ImportOptions {
    /// Whose neurons it means; `None`: ours where the graph carries our description, else plain.
    pub dialect: Option<Dialect>,
    /// Duration of a step in seconds (default: what the dialect's framework assumes; plain 1e-4).
    pub dt: Option<f64>,
    /// Name of the network, for graphs of others.
    pub name: String,
    /// Kind of input, for graphs of others.
    pub kind: InputKind,
    /// What the leak of a graph of others belongs to: [`LeakRule::Step`] keeps λ of one step, as the framework
    /// computes it, and is right for images and for a comparison step by step; [`LeakRule::Time`] keeps τ in
    /// seconds, as the node states it, at every number of steps and without a clock (an input spike then adds the
    /// charge of a current over one step with exact decay), and is right for recordings.
    pub leak: LeakRule,
    /// Name of the output to keep if the graph has several; whatever leads only to others is left out.
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
    /// In which dialect the graph was understood.
    pub dialect: Dialect,
    /// What had to be chosen or changed.
    pub differences: Vec<Difference>,
    /// Duration of a step in µs of the run that a description of ours is of; leaks per step belong to it.
    pub step_us: Option<f64>,
}

/// Makes a network of a graph; `file` is used in messages.
///
/// # Errors
/// If something in the graph cannot run here; names the file and the node, says why and what helps.
pub fn import(graph: &Graph, file: &Path, options: &ImportOptions) -> Result<Imported> {
    representable(graph, "", file)?;
    let mut notes = Vec::new();
    let note = |what: String| Difference { reader: None, places: Vec::new(), what };
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
        notes.push(note(
            "who wrote the graph is not known: its neurons are read as NIR states them (one spike a step, hard reset, \
             no limit); name the framework as its dialect if another is meant"
                .to_owned(),
        ));
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
    let step = Step { seconds: dt, given: options.dt.is_some(), leak: options.leak };
    let flat = graph.flattened(file)?.led_to(options.output.as_deref(), file)?;
    let (network, weights) = Build::new(file, reader, step, &mut notes).run(&flat, options)?;
    weights.check(&network, file)?;
    finite(&weights, file)?;
    Ok(Imported { network, weights, dialect, differences: notes, step_us: None })
}

/// Refuses numbers that f32, in which everything runs here, has no value for.
fn representable(graph: &Graph, prefix: &str, file: &Path) -> Result<()> {
    for (name, node) in &graph.nodes {
        let name = format!("{prefix}{name}");
        if let Node::Graph(inner) = node {
            representable(inner, &format!("{name}."), file)?;
        }
        for (tensor, t) in node.tensors() {
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

/// Refuses weights that factors (r, τ and step, scales, pooling) have driven beyond f32.
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

/// The network that the metadata describes, if the graph is still the one that was written with it.
fn described(graph: &Graph, file: &Path) -> std::result::Result<(Network, Weights, Option<f64>), String> {
    let text = graph.metadata.get(KEY).ok_or("the graph carries no description of ours")?;
    let bad = |what: String| format!("the description in the graph's metadata cannot be used: {what}");
    let description = Description::parse(text).map_err(bad)?;
    let network = description.network().map_err(|e| bad(e.to_string()))?;
    let (reader, step_us) = description.conventions().ok_or_else(|| bad("it names an unknown reader".into()))?;
    let mut plan = Plan::new(&network, &ExportOptions { reader, step_us }).map_err(|e| bad(e.to_string()))?;
    let mut weights = Weights::default();
    for w in &plan.weighted {
        let layer = &network.nodes()[w.layer];
        let (weight, bias) = match graph.nodes.get(&w.node) {
            Some(Node::Conv2d(c)) => (&c.weight, &c.bias),
            Some(Node::Affine { weight, bias }) => (weight, bias),
            _ => return Err(bad(format!("the graph has no weights `{}` any more", w.node))),
        };
        weights.insert(format!("{}.weight", layer.name), fold::multiplied(weight, w.carry));
        if layer.layer.tensors(layer.input).iter().any(|t| t.name == "bias") {
            weights.insert(format!("{}.bias", layer.name), fold::multiplied(bias, 1.0));
        }
    }
    weights.check(&network, file).and_then(|()| finite(&weights, file)).map_err(|e| bad(e.to_string()))?;
    plan.fill(&network, &weights).map_err(|e| bad(e.to_string()))?;
    let sorted = |g: &Graph| {
        let mut edges = g.edges.clone();
        edges.sort();
        edges.dedup();
        edges
    };
    if plan.graph.nodes != graph.nodes || sorted(&plan.graph) != sorted(graph) {
        return Err(bad("the graph was changed after it was written".into()));
    }
    Ok((network, weights, step_us))
}
