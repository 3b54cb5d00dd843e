//! Spikes and membrane potentials of chosen layers, recording by recording, for other tools.
//!
//! Event-driven, a spike has the time of the event that caused it (or at which its neuron fired by
//! itself), and a potential is read at the end of every interval of `grid_us`:
//!
//! ```text
//! potential[k] = v((k + 1)·grid_us)      after all events up to that time
//! ```
//!
//! Clocked, there is one count for each neuron and step. [`Traced::to_npz`] gives NumPy arrays, and
//! [`Traced::to_nir`] the form of nir 1.0.8's `write_data`, which [`crate::parity`] reads.

mod npz;

use crate::error::stop;
use crate::parity;
use crate::simulate::compile;
use crate::{Error, Result};
use std::collections::BTreeMap;
use std::path::Path;
use tickless_engine::{Session, Trace};
use tickless_net::Shape;
use tickless_net::interop::nir::data::{DataEvent, Events, GraphData, Grid, Observable, data_to_bytes};
use tickless_train::data::SampleId;
use tickless_train::device::Device;
use tickless_train::progress::Progress;
use tickless_train::run::Loaded;

/// What to record.
#[derive(Debug, Clone, PartialEq)]
pub struct Plan {
    /// Names of the spiking layers; empty for all.
    pub layers: Vec<String>,
    /// Whether to record spikes.
    pub spikes: bool,
    /// Whether to record membrane potentials; only event-driven.
    pub membranes: bool,
    /// Interval between two potentials in µs.
    pub grid_us: u64,
    /// Number of time steps to run clocked; `None` runs event-driven.
    pub steps: Option<usize>,
}

/// Most values that potentials or clocked counts may have in all.
const MOST: usize = 1 << 28;

/// What was recorded.
#[derive(Debug, Clone, PartialEq)]
#[non_exhaustive]
pub struct Traced {
    /// The recordings, by file or by number.
    pub recordings: Vec<String>,
    /// The layers.
    pub layers: Vec<TracedLayer>,
    /// Interval between two rows of a grid in µs: between potentials, or of one step.
    pub grid_us: f64,
    /// Duration of the longest recording in µs, counted from time 0 of its file.
    pub end_us: u64,
}

/// One layer.
#[derive(Debug, Clone, PartialEq)]
#[non_exhaustive]
pub struct TracedLayer {
    /// Its name.
    pub name: String,
    /// Its shape; neurons are numbered as (channel, row, column).
    pub shape: Shape,
    /// `[recording][spike]`: time in µs and neuron; `None` if not recorded.
    pub spikes: Option<Vec<Vec<(u64, usize)>>>,
    /// `[recording][row][neuron]`, all recordings with the same number of rows; `None` if not
    /// recorded.
    pub potentials: Option<Vec<Vec<f32>>>,
    /// `[recording][step][neuron]` of a clocked run.
    pub counts: Option<Vec<Vec<f32>>>,
}

/// Runs recordings and records what `plan` asks for.
///
/// # Errors
/// If a layer does not exist, the network needs a clock for an event-driven run, a recording cannot
/// be decoded, the result would be too large, or the user stops.
pub fn trace(run: &Loaded, device: &Device, ids: &[SampleId], plan: &Plan, progress: &dyn Progress) -> Result<Traced> {
    if ids.is_empty() {
        return Err(Error::NoRecordings);
    }
    let chosen = layers(run, &plan.layers)?;
    let name = |&id: &SampleId| run.source.dataset().file(id.split, id.index);
    let recordings = ids.iter().enumerate().map(|(k, id)| name(id).unwrap_or_else(|| k.to_string())).collect();
    let shapes = parity::shapes(&run.network);
    let spiking = run.network.spiking();
    let empty = |&l: &usize| TracedLayer {
        name: run.network.nodes()[spiking[l]].name.clone(),
        shape: shapes[l],
        spikes: None,
        potentials: None,
        counts: None,
    };
    let mut traced =
        Traced { recordings, layers: chosen.iter().map(empty).collect(), grid_us: plan.grid_us as f64, end_us: 0 };
    match plan.steps {
        Some(steps) => clocked(run, device, ids, (&chosen, steps), &mut traced, progress)?,
        None => event_driven(run, ids, &chosen, plan, &mut traced, progress)?,
    }
    Ok(traced)
}

/// The numbers of the spiking layers with these names.
fn layers(run: &Loaded, names: &[String]) -> Result<Vec<usize>> {
    let known: Vec<&str> = run.network.spiking().iter().map(|&i| run.network.nodes()[i].name.as_str()).collect();
    if names.is_empty() {
        return Ok((0..known.len()).collect());
    }
    let find = |name: &String| {
        known.iter().position(|k| k == name).ok_or_else(|| Error::NoLayer {
            name: name.clone(),
            known: known.iter().map(|k| (*k).to_owned()).collect(),
        })
    };
    names.iter().map(find).collect()
}

fn check_size(recordings: usize, rows: usize, layers: &[TracedLayer]) -> Result<()> {
    let neurons: usize = layers.iter().map(|l| l.shape.len()).sum();
    let values = recordings.saturating_mul(rows).saturating_mul(neurons);
    if values > MOST {
        return Err(Error::TraceSize { values, most: MOST });
    }
    Ok(())
}

fn event_driven(
    run: &Loaded,
    ids: &[SampleId],
    chosen: &[usize],
    plan: &Plan,
    traced: &mut Traced,
    progress: &dyn Progress,
) -> Result<()> {
    let program = compile(run)?;
    let grid_us = plan.grid_us.max(1);
    traced.grid_us = grid_us as f64;
    let recordings = ids.iter().map(|&id| Ok(run.source.recording(id)?)).collect::<Result<Vec<_>>>()?;
    traced.end_us = recordings.iter().filter_map(|r| r.iter().last()).map(|e| e.t_us).max().unwrap_or(0);
    let rows = usize::try_from(traced.end_us / grid_us + 1).unwrap_or(usize::MAX);
    if plan.membranes {
        check_size(ids.len(), rows, &traced.layers)?;
    }
    progress.start("trace", ids.len() as u64, "recording");
    for recording in &recordings {
        stop(progress)?;
        let (mut session, mut trace) = (Session::new(&program), Trace::default());
        let mut potentials: Vec<Vec<f32>> = vec![Vec::new(); chosen.len()];
        if plan.membranes {
            let mut events = recording.iter().peekable();
            for row in 1..=rows as u64 {
                let end = row * grid_us;
                while let Some(event) = events.next_if(|e| e.t_us <= end) {
                    session.push_into(event, &mut trace)?;
                }
                session.advance_into(end, &mut trace)?;
                for (values, &l) in potentials.iter_mut().zip(chosen) {
                    values.extend(session.membranes(l).unwrap_or_default());
                }
            }
        } else {
            session.feed_into(recording, &mut trace)?;
        }
        for ((layer, &l), values) in traced.layers.iter_mut().zip(chosen).zip(potentials) {
            let s = layer.shape;
            if plan.spikes {
                let spikes = trace.of(l).map(|k| (k.t_us, (k.channel * s.height + k.y) * s.width + k.x)).collect();
                layer.spikes.get_or_insert_default().push(spikes);
            }
            if plan.membranes {
                layer.potentials.get_or_insert_default().push(values);
            }
        }
        progress.advance(1, "");
    }
    progress.finish();
    Ok(())
}

fn clocked(
    run: &Loaded,
    device: &Device,
    ids: &[SampleId],
    (chosen, steps): (&[usize], usize),
    traced: &mut Traced,
    progress: &dyn Progress,
) -> Result<()> {
    check_size(ids.len(), steps, &traced.layers)?;
    let model = run.model(device)?;
    traced.grid_us = run.facts.step_us.map_or(1e6, |us| us * run.facts.t_max as f64 / steps as f64);
    progress.start("trace", ids.len() as u64, "recording");
    for &id in ids {
        stop(progress)?;
        let recording = run.source.recording(id)?;
        traced.end_us = traced.end_us.max(recording.iter().last().map_or(0, |e| e.t_us));
        let counts = parity::clocked_steps(&model, &recording, steps, (run.facts.t_max, run.facts.step_us))?;
        for (layer, &l) in traced.layers.iter_mut().zip(chosen) {
            layer.counts.get_or_insert_default().push(counts[l].clone());
        }
        progress.advance(1, "");
    }
    progress.finish();
    Ok(())
}

impl Traced {
    /// The bytes of a file of NumPy arrays (npz).
    ///
    /// # Errors
    /// If the archive cannot be made.
    pub fn to_npz(&self) -> Result<Vec<u8>> {
        npz::bytes(self)
    }

    /// The bytes of a file that nir 1.0.8's `read_data` opens: of each layer, `spikes` as events
    /// (with the number of spikes as value if a neuron fired several times at once) or as a grid of
    /// a clocked run, and `v` as a grid.
    ///
    /// # Errors
    /// If HDF5 does not allow the name of a layer; the message names `file`.
    pub fn to_nir(&self, file: &Path) -> Result<Vec<u8>> {
        let mut data = GraphData::default();
        for layer in &self.layers {
            let neurons = layer.shape.len();
            let grid = |all: &Vec<Vec<f32>>, countable: bool| {
                let values: Vec<f32> = all.concat();
                let rows = all.first().map_or(0, |r| r.len() / neurons.max(1));
                let boolean = countable && values.iter().all(|v| *v == 0.0 || *v == 1.0);
                Observable::Grid(Grid {
                    data: values,
                    shape: [all.len(), rows, neurons],
                    dt: self.grid_us / 1e6,
                    boolean,
                })
            };
            let mut node = BTreeMap::new();
            if let Some(spikes) = &layer.spikes {
                let samples: Vec<Vec<DataEvent>> = spikes.iter().map(|s| joined(s)).collect();
                let valued = samples.iter().flatten().any(|e| e.value != 1.0);
                let t_max = (self.end_us + 1) as f64 / 1e6;
                node.insert("spikes".to_owned(), Observable::Events(Events { samples, neurons, t_max, valued }));
            }
            if let Some(counts) = &layer.counts {
                node.insert("spikes".to_owned(), grid(counts, true));
            }
            if let Some(potentials) = &layer.potentials {
                node.insert("v".to_owned(), grid(potentials, false));
            }
            data.nodes.insert(layer.name.clone(), node);
        }
        Ok(data_to_bytes(&data, file)?)
    }
}

/// The spikes of a recording, of which those of one neuron at one time are one event.
fn joined(spikes: &[(u64, usize)]) -> Vec<DataEvent> {
    let mut all: Vec<DataEvent> = Vec::with_capacity(spikes.len());
    for &(t_us, neuron) in spikes {
        // The quotient is the number that 0.00001 is read as; a product with 1e-6 can differ from
        // it.
        let time = t_us as f64 / 1e6;
        match all.last_mut() {
            Some(last) if last.neuron == neuron && last.time == time => last.value += 1.0,
            _ => all.push(DataEvent { neuron, time, value: 1.0 }),
        }
    }
    all
}

#[cfg(test)]
mod tests {
    use super::*;
    use tickless_net::interop::nir::data::data_from_bytes;

    fn traced() -> Traced {
        let layer = TracedLayer {
            name: "neuron1".into(),
            shape: Shape::new(2, 1, 3),
            spikes: Some(vec![vec![(10, 5), (10, 5), (12, 0)], vec![]]),
            potentials: Some(vec![vec![0.5; 12], vec![-0.5; 12]]),
            counts: None,
        };
        Traced { recordings: vec!["a".into(), "b".into()], layers: vec![layer], grid_us: 100.0, end_us: 12 }
    }

    #[test]
    fn spikes_of_one_neuron_at_one_time_are_one_event_with_their_number() {
        let bytes = traced().to_nir(Path::new("t.nir")).unwrap();
        let data = data_from_bytes(&bytes, Path::new("t.nir")).unwrap();
        let Some(Observable::Events(e)) = data.nodes["neuron1"].get("spikes") else { panic!("{data:?}") };
        let event = |neuron, time, value| DataEvent { neuron, time, value };
        assert_eq!(e.samples, [vec![event(5, 10e-6, 2.0), event(0, 12e-6, 1.0)], vec![]]);
        assert!(e.valued && e.neurons == 6);
        let Some(Observable::Grid(g)) = data.nodes["neuron1"].get("v") else { panic!("{data:?}") };
        assert_eq!((g.shape, g.dt, g.boolean), ([2, 2, 6], 1e-4, false));
    }
}
