//! Compares every executor of a network on the same recordings, to find mistakes between training
//! and chip.
//!
//! All executors are built from one description. If two of them must agree, their spikes are
//! compared one by one, and the first layer, event and neuron that differs is named with the likely
//! cause. If they need not agree, the difference is measured:
//!
//! | executor | compared with the engine |
//! |---|---|
//! | clocked, each layer fed its own events, one a step | must agree, except for rounding at a threshold |
//! | engine, one session used again after `reset` | must agree |
//! | exported NIR graph, read back | must agree |
//! | a graph of the user's | must agree |
//! | counts from elsewhere | measured, because a chip's never agree; an error if a usual mistake explains them or they exceed a given limit |
//! | clocked at T_max | measured |
//! | 8-bit weights, 16-bit potentials | measured |
//! | the exported graph as its reader runs it | must agree if no difference is known, else measured |

mod cause;
mod compare;
mod counts_file;
mod execute;
mod layers;
mod measured;

pub use cause::Cause;
pub use compare::{First, LayerParity};
pub use counts_file::{names_files, text as counts_text};
pub use execute::{Executed, shapes};
pub use measured::Measured;

use crate::dialect::dialect_of;
use crate::error::stop;
use crate::simulate::possible;
use crate::{Error, Result};
use execute::{State, clocked, clocked_layers, engine, program};
use serde::Serialize;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use tickless_engine::{Event, Recording};
use tickless_net::LeakRule;
use tickless_net::interop::nir;
use tickless_net::{Layer, Network, Weights};
use tickless_train::data::SampleId;
use tickless_train::device::Device;
use tickless_train::progress::Progress;
use tickless_train::run::Loaded;

/// Name of the engine as a reference.
const ENGINE: &str = "engine";

/// The cause if no usual mistake explains a difference.
const UNKNOWN: &str =
    "unknown: none of the usual mistakes gives these spikes; compare the weights and the order of the axes";

/// The options of a comparison.
#[derive(Debug, Clone)]
pub struct Options {
    /// Input events used of each recording (0 for all).
    pub events: usize,
    /// The reader that the graph is exported for.
    pub reader: nir::Reader,
    /// A graph of the user's, which must be the same network.
    pub graph: Option<PathBuf>,
    /// The dialect of that graph, if it does not identify its writer.
    pub dialect: Option<nir::Dialect>,
    /// Duration of a step of that graph in seconds, if not the one that its framework assumes.
    pub dt: Option<f64>,
    /// A file of spike counts from elsewhere.
    pub counts: Option<PathBuf>,
    /// These counts are an error if their spike difference exceeds this fraction in a layer. If
    /// `None`, they are an error only if a usual mistake explains them.
    pub within: Option<f64>,
}

/// The result of comparing two executors.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Verdict {
    /// They are equal, as they must be.
    Agree,
    /// They differ only where a potential is so close to the threshold that rounding decides.
    AgreeButForRounding,
    /// They must agree and do not.
    Differ,
    /// They need not agree; the difference is measured.
    Measured,
    /// One of them cannot run; the text says why.
    NotPossible(String),
}

/// Two executors on the same recordings.
#[derive(Debug, Clone, Serialize)]
pub struct Pair {
    /// The executor that is compared with the engine.
    pub executor: String,
    /// The executor that spike differences are relative to, s0 of Σ|s0 − s| / Σ s0: the side closer
    /// to training. This is the engine for chips, counts, 8 bit and exported graphs, and the
    /// clocked network for the engine.
    pub reference: String,
    /// The verdict.
    pub verdict: Verdict,
    /// Whether every spike was compared in order, rather than only the neurons' counts.
    pub ordered: bool,
    /// Number of recordings compared.
    pub recordings: usize,
    /// Recordings that the other side does not contain.
    pub absent_recordings: Vec<String>,
    /// Spiking layers that the other side does not contain.
    pub absent_layers: Vec<String>,
    /// Percent correct, if a readout is known.
    pub accuracy: Option<f64>,
    /// The comparison layer by layer.
    pub layers: Vec<LayerParity>,
    /// The place where they first differ.
    pub first: Option<First>,
    /// The cause, if one was found.
    pub cause: Option<Cause>,
    /// Differences that are known from the construction of the executors.
    pub notes: Vec<String>,
}

/// All comparisons of a run.
#[derive(Debug, Clone, Serialize)]
pub struct Parity {
    /// Number of recordings compared.
    pub recordings: usize,
    /// Their files, if the data set has files.
    pub files: Vec<Option<String>>,
    /// Number of input events in them.
    pub events: u64,
    /// Percent correct of the engine on them.
    pub accuracy: f64,
    /// Name and spikes of each layer in the engine.
    pub spikes: Vec<(String, u64)>,
    /// The engine compared with each other executor.
    pub pairs: Vec<Pair>,
}

impl Parity {
    /// The first pair that must agree but does not.
    pub fn broken(&self) -> Option<&Pair> {
        self.pairs.iter().find(|p| p.verdict == Verdict::Differ)
    }
}

/// Compares all executors; also returns the engine's own result.
///
/// # Errors
/// If the network needs a clock, a recording or a file cannot be read, or the user stops.
pub fn parity(
    run: &Loaded,
    device: &Device,
    ids: &[SampleId],
    options: &Options,
    progress: &dyn Progress,
) -> Result<(Parity, Executed)> {
    possible(run)?;
    let (network, weights, step_us) = (&run.network, &run.weights, run.facts.step_us);
    // The user's files are read before anything slow.
    let counts = options.counts.as_deref().map(|f| counts_file::read(f, network, &shapes(network))).transpose()?;
    let file = |&id: &SampleId| run.source.dataset().file(id.split, id.index);
    let (ids, places) = chosen(ids, counts.as_ref(), options.counts.as_deref(), &file)?;
    let graph = options.graph.as_deref().map(|f| read_graph(run, f, options)).transpose()?;
    let recordings = ids.iter().map(|&id| first(run, id, options.events)).collect::<Result<Vec<_>>>()?;
    let labels: Vec<usize> = ids.iter().map(|&id| run.source.label(id)).collect();
    let files: Vec<Option<String>> = ids.iter().map(file).collect();
    let compiled = program(network, weights, step_us, false)?;
    let ours = engine(&compiled, &recordings, State::New)?;
    let case = Case { run, recordings: &recordings, labels: &labels, files: &files, ours: &ours };
    let mut pairs = Vec::new();

    let name = "clocked, layer by layer, one event a step";
    pairs.push(match fires_by_itself(network, weights)? {
        Some(why) => refused(name, &why),
        None => {
            let layers = clocked_layers((network, weights), step_us, &recordings, device, progress)?;
            case.must(name, &layers)?
        }
    });
    pairs.push(case.must("engine, session used again after reset", &engine(&compiled, &recordings, State::Reset)?)?);
    case.exported(options.reader, &mut pairs)?;
    if let (Some(file), Some(graph)) = (&options.graph, graph) {
        let compiled = program(&graph.network, &graph.weights, step_us, false)?;
        let executed = engine(&compiled, &recordings, State::New)?;
        let mut pair = case.must(&format!("graph {}", file.display()), &executed)?;
        pair.notes = graph.differences.iter().map(ToString::to_string).collect();
        pairs.push(pair);
    }
    if let (Some(file), Some(counts)) = (&options.counts, counts) {
        let theirs = counts.executed(network);
        pairs.push(case.counted(&format!("spike counts of {}", file.display()), &theirs, &places, options.within)?);
    }
    stop(progress)?;
    let model = run.model(device)?;
    let frames = clocked(&model, &recordings, run.facts.t_max, step_us)?;
    let mut pair = case.measured(&format!("clocked at T = {}", run.facts.t_max), &frames, Vec::new());
    // As in `simulate`: how far the engine is from the network that was trained.
    pair.reference = pair.executor.clone();
    pair.layers = compare::layers(network, &frames, &ours);
    pairs.push(pair);
    pairs.push(match program(network, weights, step_us, true) {
        Ok(small) => case.measured("engine in 8 bit", &engine(&small, &recordings, State::New)?, Vec::new()),
        Err(e) => refused("engine in 8 bit", &e),
    });
    let spikes = compare::layers(network, &ours, &ours).into_iter().map(|l| (l.layer, l.reference));
    let parity = Parity {
        recordings: recordings.len(),
        events: recordings.iter().map(|r| r.len() as u64).sum(),
        accuracy: case.accuracy(&ours).unwrap_or(0.0),
        spikes: spikes.collect(),
        pairs,
        files,
    };
    Ok((parity, ours))
}

/// The class that the clocked network gives a recording at `steps` steps, with the leak per time.
///
/// # Errors
/// If the recording does not fit the network.
pub(crate) fn clocked_class(
    model: &tickless_train::model::Model,
    recording: &Recording,
    steps: usize,
    (t_max, step_us): (usize, Option<f64>),
) -> Result<usize> {
    execute::clocked_class(model, recording, steps, (t_max, step_us))
}

/// The spikes of each spiking layer of the clocked network, `[layer][step · neuron]`, at `steps`
/// steps with the leak per time.
///
/// # Errors
/// If the recording does not fit the network.
pub(crate) fn clocked_steps(
    model: &tickless_train::model::Model,
    recording: &Recording,
    steps: usize,
    (t_max, step_us): (usize, Option<f64>),
) -> Result<Vec<Vec<f32>>> {
    execute::clocked_steps(model, recording, steps, (t_max, step_us))
}

/// The recordings to compare, and the positions among them of those in a file of counts.
///
/// If the file names recordings by their files, it selects them from `ids`; else all of `ids` are
/// compared.
fn chosen(
    ids: &[SampleId],
    counts: Option<&counts_file::Counts>,
    file: Option<&Path>,
    name: &dyn Fn(&SampleId) -> Option<String>,
) -> Result<(Vec<SampleId>, Vec<usize>)> {
    let (Some(counts), Some(file)) = (counts, file) else { return Ok((ids.to_vec(), Vec::new())) };
    let names: Vec<Option<String>> = ids.iter().map(name).collect();
    let places = counts.places(&names)?;
    if names_files(file)? {
        return Ok((places.iter().map(|&p| ids[p]).collect(), (0..places.len()).collect()));
    }
    Ok((ids.to_vec(), places))
}

/// The first `events` events of a recording (0 for all).
fn first(run: &Loaded, id: SampleId, events: usize) -> Result<Arc<Recording>> {
    let recording = run.source.recording(id)?;
    if events == 0 || events >= recording.len() {
        return Ok(recording);
    }
    let some: Vec<Event> = recording.iter().take(events).collect();
    Ok(Arc::new(Recording::from_events(recording.sensor(), &some)?.0))
}

/// The reason why one step per event does not represent a network: a neuron that fires between
/// events. `None` if there is no such neuron.
fn fires_by_itself(network: &Network, weights: &Weights) -> Result<Option<String>> {
    let network = weights.with_learned_leaks(network)?;
    let found = network.nodes().iter().find_map(|node| match node.layer {
        Layer::Neuron(n) if !n.without_refractory().is_plain() => {
            Some(format!("layer `{}` fires between events: {n}", node.name))
        }
        _ => None,
    });
    Ok(found)
}

fn refused(executor: &str, why: &dyn std::fmt::Display) -> Pair {
    Pair {
        executor: executor.to_owned(),
        reference: ENGINE.to_owned(),
        verdict: Verdict::NotPossible(why.to_string()),
        ordered: false,
        recordings: 0,
        absent_recordings: Vec::new(),
        absent_layers: Vec::new(),
        accuracy: None,
        layers: Vec::new(),
        first: None,
        cause: None,
        notes: Vec::new(),
    }
}

/// The inputs that all comparisons share.
struct Case<'a> {
    run: &'a Loaded,
    recordings: &'a [Arc<Recording>],
    labels: &'a [usize],
    files: &'a [Option<String>],
    ours: &'a Executed,
}

impl Case<'_> {
    fn accuracy(&self, e: &Executed) -> Option<f64> {
        let classes = e.classes();
        let right = classes.iter().zip(self.labels).filter(|(a, b)| a == b).count();
        (!classes.is_empty()).then(|| 100.0 * right as f64 / classes.len() as f64)
    }

    fn measured(&self, executor: &str, other: &Executed, notes: Vec<String>) -> Pair {
        Pair {
            executor: executor.to_owned(),
            reference: ENGINE.to_owned(),
            verdict: Verdict::Measured,
            ordered: !other.spikes.is_empty(),
            recordings: self.recordings.len(),
            absent_recordings: Vec::new(),
            absent_layers: Vec::new(),
            accuracy: self.accuracy(other),
            layers: compare::layers(&self.run.network, self.ours, other),
            first: None,
            cause: None,
            notes,
        }
    }

    /// Compares an executor that must reproduce the engine's spikes.
    fn must(&self, executor: &str, other: &Executed) -> Result<Pair> {
        let network = &self.run.network;
        let mut pair = self.measured(executor, other, Vec::new());
        let firsts = compare::firsts(network, &shapes(network), self.ours, other);
        pair.verdict = match firsts.iter().all(|f| f.rounding) {
            true if firsts.is_empty() => Verdict::Agree,
            true => Verdict::AgreeButForRounding,
            false => Verdict::Differ,
        };
        pair.first = firsts.iter().find(|f| !f.rounding).or(firsts.first()).map(|f| self.named(f));
        if let (Verdict::Differ, Some(first)) = (&pair.verdict, &pair.first) {
            let cause = self.cause(other, first.index)?;
            pair.cause = Some(cause.unwrap_or_else(|| Cause::new(UNKNOWN)));
        }
        Ok(pair)
    }

    /// Adds the recording's file to a first difference.
    fn named(&self, first: &First) -> First {
        First { file: self.files.get(first.recording).cloned().flatten(), ..first.clone() }
    }

    fn cause(&self, other: &Executed, layer: usize) -> Result<Option<Cause>> {
        let net = (&*self.run.network, &self.run.weights);
        cause::likely(net, self.run.facts.step_us, self.recordings, (self.ours, other), layer)
    }

    /// Compares counts of another framework or a chip, for the recordings at `places`.
    fn counted(&self, executor: &str, other: &Executed, places: &[usize], within: Option<f64>) -> Result<Pair> {
        fn pick<T: Clone>(all: &[T], places: &[usize]) -> Vec<T> {
            places.iter().map(|&p| all[p].clone()).collect()
        }
        let (recordings, labels, files) =
            (pick(self.recordings, places), pick(self.labels, places), pick(self.files, places));
        let ours = self.ours.picked(places);
        let case = Case { run: self.run, recordings: &recordings, labels: &labels, files: &files, ours: &ours };
        let network = &self.run.network;
        let mut pair = case.measured(executor, other, Vec::new());
        let left_out = (0..self.recordings.len()).filter(|k| !places.contains(k));
        pair.absent_recordings = left_out.map(|k| self.files[k].clone().unwrap_or_else(|| k.to_string())).collect();
        let layers = network.spiking().into_iter().enumerate().filter(|(l, _)| other.is_absent(*l));
        pair.absent_layers = layers.map(|(_, i)| network.nodes()[i].name.clone()).collect();
        let firsts = compare::firsts(network, &shapes(network), &ours, other);
        let Some(first) = firsts.first() else {
            pair.verdict = Verdict::Agree;
            return Ok(pair);
        };
        // The file numbers recordings by their position among all that are compared.
        pair.first = Some(First { recording: places[first.recording], ..case.named(first) });
        pair.cause = case.cause(other, first.index)?;
        let beyond = |w: f64| pair.layers.iter().any(|l| l.spike_difference.is_none_or(|d| d > w));
        if within.map_or(pair.cause.is_some(), beyond) {
            pair.verdict = Verdict::Differ;
            pair.cause.get_or_insert_with(|| Cause::new(UNKNOWN));
        }
        if let Some(l) = pair.layers.iter().find(|l| (l.reference == 0) != (l.other == 0)) {
            let who = if l.other == 0 { "the other" } else { "the engine" };
            let note = format!("{who} is silent in layer `{}`, and silence does not tell why", l.layer);
            pair.notes.push(note);
        }
        Ok(pair)
    }

    /// Compares the exported graph: read back, and as its reader runs it.
    fn exported(&self, reader: nir::Reader, pairs: &mut Vec<Pair>) -> Result<()> {
        let (run, step_us) = (self.run, self.run.facts.step_us);
        let name = format!("NIR graph for {}, read back", reader.name());
        let exported = match nir::export(&run.network, &run.weights, &nir::ExportOptions { reader, step_us }) {
            Ok(e) => e,
            Err(e) => {
                pairs.push(refused(&name, &e));
                return Ok(());
            }
        };
        // The graph goes through the bytes of a file.
        let file = run.folder.file("network.nir");
        let graph = nir::from_bytes(&nir::to_bytes(&exported.graph, &file)?, &file)?;
        let back = nir::import(&graph, &file, &nir::ImportOptions::default())?;
        let compiled = program(&back.network, &back.weights, step_us, false)?;
        pairs.push(self.must(&name, &engine(&compiled, self.recordings, State::New)?)?);

        let name = format!("the same graph as {} runs it", reader.name());
        let theirs = nir::ImportOptions { dialect: Some(nir::Dialect::Of(reader)), ..Default::default() };
        let imported = nir::import(&graph, &file, &theirs).map_err(Error::from);
        let executed = imported.and_then(|i| {
            i.network.check_event_driven()?;
            engine(&program(&i.network, &i.weights, step_us, false)?, self.recordings, State::New)
        });
        let is_of_reader = |d: &&nir::Difference| d.reader == Some(reader);
        let notes: Vec<String> = exported.differences.iter().filter(is_of_reader).map(ToString::to_string).collect();
        pairs.push(match executed {
            // If no difference is known, none is allowed.
            Ok(e) if notes.is_empty() => self.must(&name, &e)?,
            Ok(e) => self.measured(&name, &e, notes),
            Err(e) => refused(&name, &e),
        });
        Ok(())
    }
}

/// Reads the user's graph and checks that it may be this network.
fn read_graph(run: &Loaded, file: &Path, options: &Options) -> Result<nir::Imported> {
    let graph = nir::read(file)?;
    let (dialect, _) = dialect_of(file, &graph, options.dialect)?;
    // The same options as `tickless import` uses for recordings.
    let how = nir::ImportOptions {
        dialect: Some(dialect),
        dt: options.dt,
        leak: LeakRule::Time,
        step_us: run.facts.step_us,
        ..nir::ImportOptions::default()
    };
    let imported = nir::import(&graph, file, &how)?;
    let (ours, theirs) = (run.network.spiking().len(), imported.network.spiking().len());
    let refuse = |problem: String| Err(Error::OtherNetwork { path: file.to_owned(), problem });
    if ours != theirs {
        return refuse(format!("it has {theirs} layers of neurons and the run {ours}"));
    }
    if shapes(&imported.network) != shapes(&run.network) {
        return refuse("its layers of neurons have other shapes than the run's".to_owned());
    }
    imported.network.check_event_driven().map_err(|source| Error::Graph { path: file.to_owned(), source })?;
    Ok(imported)
}
