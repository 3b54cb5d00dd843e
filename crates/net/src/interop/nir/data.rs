//! What the nodes of a graph did: the files of nir 1.0.8's `write_data` and `read_data` (HDF5).
//!
//! ```text
//! /                                     attribute __type__ = NIRGraphData
//! /nodes/<node>/                        __type__ = NIRNodeData, or NIRGraphData for a nested graph
//! /nodes/<node>/observables/<name>/     __type__ = EventData, ValuedEventData or TimeGriddedData
//!   EventData:        idx, time [samples, events]; a missing event has idx −1;  n_neurons, t_max
//!   ValuedEventData:  value [samples, events] too
//!   TimeGriddedData:  data [samples, steps, neurons];  dt
//! ```
//!
//! Times are in seconds. The reader trusts the file no more than `read.rs` does.
//!
//! Source: `nir` 1.0.8, `serialization.py` and `data_ir/graph.py`.

use super::graph::Tensor;
use super::read::{Cursor, opened};
use crate::error::{Error, Result};
use hdf5_pure::{AttrValue, EnumTypeBuilder, FileBuilder, Group, GroupBuilder, make_i8_type};
use std::collections::{BTreeMap, HashMap};
use std::path::Path;

/// The value of `__type__` at the root.
const GRAPH: &str = "NIRGraphData";
const NODE: &str = "NIRNodeData";

/// Observables of the nodes of a graph, by node; `outer.inner` for a node of a nested graph.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct GraphData {
    /// Node → name of the observable → observable.
    pub nodes: BTreeMap<String, BTreeMap<String, Observable>>,
}

/// A quantity of all neurons of a node over time.
#[derive(Debug, Clone, PartialEq)]
#[non_exhaustive]
pub enum Observable {
    /// Events without or with a value.
    Events(Events),
    /// A value at every time step.
    Grid(Grid),
}

/// Events of all samples.
#[derive(Debug, Clone, PartialEq)]
pub struct Events {
    /// `[sample][event]`, in the order of the file.
    pub samples: Vec<Vec<DataEvent>>,
    /// Number of neurons of the node.
    pub neurons: usize,
    /// Duration of the recordings in seconds.
    pub t_max: f64,
    /// Whether the events have values (`ValuedEventData`).
    pub valued: bool,
}

/// One event.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct DataEvent {
    /// Index of the neuron, from 0.
    pub neuron: usize,
    /// Time in seconds.
    pub time: f64,
    /// Value; 1 for an event without one.
    pub value: f64,
}

/// A value of every neuron at every step.
#[derive(Debug, Clone, PartialEq)]
pub struct Grid {
    /// Row-major values.
    pub data: Vec<f32>,
    /// Samples, time steps, neurons.
    pub shape: [usize; 3],
    /// Duration of a step in seconds.
    pub dt: f64,
    /// Whether the values are stored as booleans; all are 0 or 1 then.
    pub boolean: bool,
}

/// Whether the bytes begin like an HDF5 file.
pub fn is_hdf5(bytes: &[u8]) -> bool {
    hdf5_pure::is_hdf5_bytes(bytes)
}

/// Reads the bytes of a file of `write_data`; the messages name `file`.
///
/// # Errors
/// If the bytes are no such file; the message names the file and the node.
pub fn data_from_bytes(bytes: &[u8], file: &Path) -> Result<GraphData> {
    opened(bytes, file, |at, root| {
        let kind = kind(at, root)?;
        if kind != GRAPH {
            return Err(
                at.malformed(format!("its `__type__` is `{kind}`, not `{GRAPH}`; write it with `nir.write_data`"))
            );
        }
        let mut data = GraphData::default();
        read_graph(at, root, 0, &mut data)?;
        Ok(data)
    })
}

fn attributes(at: &Cursor, group: &Group) -> Result<HashMap<String, AttrValue>> {
    group.attrs().map_err(|e| at.malformed(format!("its attributes: {e}")))
}

fn kind(at: &Cursor, group: &Group) -> Result<String> {
    let all = attributes(at, group)?;
    let kind = all.get("__type__").and_then(AttrValue::as_str);
    kind.map(str::to_owned)
        .ok_or_else(|| at.malformed("has no text `__type__`; write it with `nir.write_data`".to_owned()))
}

/// A number of an attribute, whatever type stores it.
fn number(at: &Cursor, all: &HashMap<String, AttrValue>, name: &str) -> Result<f64> {
    let value = all
        .get(name)
        .and_then(|v| v.as_f64().or_else(|| v.as_i64().map(|v| v as f64)).or_else(|| v.as_u64().map(|v| v as f64)));
    match value {
        Some(v) if v.is_finite() => Ok(v),
        Some(v) => Err(at.malformed(format!("`{name}` is {v}"))),
        None => Err(at.malformed(format!("has no number `{name}`"))),
    }
}

fn read_graph(at: &Cursor, group: &Group, depth: usize, into: &mut GraphData) -> Result<()> {
    let nodes = group.group("nodes").map_err(|e| at.malformed(format!("no group `nodes`: {e}")))?;
    for name in nodes.groups().map_err(|e| at.malformed(format!("`nodes`: {e}")))? {
        let at = at.within(&name, depth)?;
        let node = nodes.group(&name).map_err(|e| at.malformed(e.to_string()))?;
        match kind(&at, &node)?.as_str() {
            GRAPH => read_graph(&at, &node, depth + 1, into)?,
            NODE => {
                let group = node.group("observables").map_err(|e| at.malformed(format!("no `observables`: {e}")))?;
                let mut all = BTreeMap::new();
                for name in group.groups().map_err(|e| at.malformed(format!("`observables`: {e}")))? {
                    let inner = at.within(&name, depth)?;
                    let observable = group.group(&name).map_err(|e| inner.malformed(e.to_string()))?;
                    all.insert(name, read_observable(&inner, &observable)?);
                }
                into.nodes.insert(at.node().to_owned(), all);
            }
            other => return Err(at.malformed(format!("its `__type__` is `{other}`; known: {NODE}, {GRAPH}"))),
        }
    }
    Ok(())
}

fn read_observable(at: &Cursor, group: &Group) -> Result<Observable> {
    let all = attributes(at, group)?;
    let kind = kind(at, group)?;
    if kind == "TimeGriddedData" {
        let t = at.numbers(group, "data")?;
        let [samples, steps, neurons] = t.shape[..] else {
            return Err(at.malformed(format!("`data` has the shape {:?}, not [samples, steps, neurons]", t.shape)));
        };
        let dt = number(at, &all, "dt")?;
        let boolean = t.data.iter().all(|v| *v == 0.0 || *v == 1.0);
        let data = t.data.iter().map(|v| *v as f32).collect();
        return Ok(Observable::Grid(Grid { data, shape: [samples, steps, neurons], dt, boolean }));
    }
    let valued = kind == "ValuedEventData";
    if !valued && kind != "EventData" {
        let known = "EventData, ValuedEventData, TimeGriddedData";
        return Err(at.malformed(format!("its `__type__` is `{kind}`; known: {known}")));
    }
    let (idx, time) = (at.numbers(group, "idx")?, at.numbers(group, "time")?);
    let value = if valued { Some(at.numbers(group, "value")?) } else { None };
    let same = |t: &Tensor| t.shape == idx.shape;
    let [samples, events] = idx.shape[..] else {
        return Err(at.malformed(format!("`idx` has the shape {:?}, not [samples, events]", idx.shape)));
    };
    if !same(&time) || !value.as_ref().is_none_or(same) {
        return Err(at.malformed("`idx`, `time` and `value` differ in shape".to_owned()));
    }
    let neurons = number(at, &all, "n_neurons")?;
    let t_max = number(at, &all, "t_max")?;
    if !(neurons >= 0.0 && neurons.fract() == 0.0 && neurons < 1e12) {
        return Err(at.malformed(format!("`n_neurons` is {neurons}")));
    }
    let mut read = Events { samples: vec![Vec::new(); samples], neurons: neurons as usize, t_max, valued };
    for (k, (&i, &time)) in idx.data.iter().zip(&time.data).enumerate() {
        if i == -1.0 {
            continue;
        }
        let value = value.as_ref().map_or(1.0, |v| v.data[k]);
        if !(i >= 0.0 && i < neurons && i.fract() == 0.0 && time.is_finite() && value.is_finite()) {
            let problem = format!("event {k} has idx {i}, time {time} and value {value} for {neurons} neurons");
            return Err(at.malformed(problem));
        }
        read.samples[k / events.max(1)].push(DataEvent { neuron: i as usize, time, value });
    }
    Ok(Observable::Events(read))
}

/// The bytes of a file that nir 1.0.8's `read_data` opens; the messages name `file`.
///
/// # Errors
/// If HDF5 does not allow a name, or the shape of a grid is not that of its values.
pub fn data_to_bytes(data: &GraphData, file: &Path) -> Result<Vec<u8>> {
    let mut h5 = FileBuilder::new();
    h5.set_attr("__type__", AttrValue::VarLenString(GRAPH.into()));
    let mut nodes = h5.create_group("nodes");
    for (name, observables) in &data.nodes {
        let refusal =
            |problem: &str| Error::NirNode { file: file.to_owned(), node: name.clone(), problem: problem.to_owned() };
        let fits = |name: &str| !name.is_empty() && !name.contains('/') && name != ".";
        if !fits(name) || !observables.keys().all(|n| fits(n)) {
            return Err(refusal("a name in HDF5 is not empty and has no `/`; rename the layer"));
        }
        let mut node = nodes.create_group(name);
        node.set_attr("__type__", AttrValue::VarLenString(NODE.into()));
        let mut all = node.create_group("observables");
        for (name, observable) in observables {
            let mut group = all.create_group(name);
            match observable {
                Observable::Events(events) => put_events(&mut group, events),
                Observable::Grid(grid) if grid.shape.iter().product::<usize>() == grid.data.len() => {
                    put_grid(&mut group, grid)
                }
                Observable::Grid(_) => return Err(refusal("a grid has not the values of its shape")),
            }
            all.add_group(group.finish());
        }
        node.add_group(all.finish());
        nodes.add_group(node.finish());
    }
    h5.add_group(nodes.finish());
    h5.finish().map_err(|e| Error::NirFile { file: file.to_owned(), problem: e.to_string() })
}

fn put_events(g: &mut GroupBuilder, e: &Events) {
    let kind = if e.valued { "ValuedEventData" } else { "EventData" };
    g.set_attr("__type__", AttrValue::VarLenString(kind.into()));
    g.set_attr("n_neurons", AttrValue::I64(e.neurons as i64));
    g.set_attr("t_max", AttrValue::F64(e.t_max));
    // A column at least, because not every reader accepts an empty array.
    let columns = e.samples.iter().map(Vec::len).max().unwrap_or(0).max(1);
    let shape = [e.samples.len() as u64, columns as u64];
    let padded = |value: &dyn Fn(&DataEvent) -> f64, none: f64| -> Vec<f64> {
        let row = |s: &Vec<DataEvent>| {
            let row: Vec<f64> = s.iter().map(value).chain(std::iter::repeat_n(none, columns - s.len())).collect();
            row
        };
        e.samples.iter().flat_map(row).collect()
    };
    let idx: Vec<i64> = padded(&|e| e.neuron as f64, -1.0).into_iter().map(|i| i as i64).collect();
    g.create_dataset("idx").with_i64_data(&idx).with_shape(&shape);
    g.create_dataset("time").with_f64_data(&padded(&|e| e.time, f64::INFINITY)).with_shape(&shape);
    if e.valued {
        g.create_dataset("value").with_f64_data(&padded(&|e| e.value, 0.0)).with_shape(&shape);
    }
}

fn put_grid(g: &mut GroupBuilder, grid: &Grid) {
    g.set_attr("__type__", AttrValue::VarLenString("TimeGriddedData".into()));
    g.set_attr("dt", AttrValue::F64(grid.dt));
    let shape = grid.shape.map(|d| d as u64);
    let set = g.create_dataset("data");
    // NumPy's boolean is this enumeration in HDF5.
    let boolean = EnumTypeBuilder::with_base(make_i8_type()).raw_value("FALSE", &[0]).raw_value("TRUE", &[1]).build();
    match boolean {
        Ok(boolean) if grid.boolean => {
            let bytes = grid.data.iter().map(|v| u8::from(*v != 0.0)).collect();
            set.with_raw_data(boolean, bytes, grid.data.len() as u64).with_shape(&shape);
        }
        _ => {
            set.with_f32_data(&grid.data).with_shape(&shape);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const FILE: &str = "trace.nir";

    fn data() -> GraphData {
        let event = |neuron, time, value| DataEvent { neuron, time, value };
        let spikes = Events {
            samples: vec![vec![event(0, 0.001, 1.0), event(5, 0.002, 1.0)], Vec::new()],
            neurons: 6,
            t_max: 0.3,
            valued: false,
        };
        let valued = Events { samples: vec![vec![event(3, 0.5, 2.5)]], neurons: 4, t_max: 1.0, valued: true };
        let v = Grid { data: vec![0.5, -0.25, 1e-3, 0.0], shape: [1, 2, 2], dt: 1e-3, boolean: false };
        let binary = Grid { data: vec![0.0, 1.0, 1.0], shape: [1, 3, 1], dt: 1e-4, boolean: true };
        let node = |all: Vec<(&str, Observable)>| all.into_iter().map(|(n, o)| (n.to_owned(), o)).collect();
        let first = node(vec![("spikes", Observable::Events(spikes)), ("v", Observable::Grid(v))]);
        let second = node(vec![("spikes", Observable::Events(valued)), ("grid", Observable::Grid(binary))]);
        GraphData { nodes: BTreeMap::from([("conv1".to_owned(), first), ("out".to_owned(), second)]) }
    }

    #[test]
    fn every_kind_of_observable_comes_back_from_its_file() {
        let bytes = data_to_bytes(&data(), Path::new(FILE)).unwrap();
        assert!(is_hdf5(&bytes));
        assert_eq!(data_from_bytes(&bytes, Path::new(FILE)).unwrap(), data());
    }

    #[test]
    fn a_file_cut_or_changed_is_data_or_an_error_that_names_the_file() {
        let mut bytes = data_to_bytes(&data(), Path::new(FILE)).unwrap();
        let read = |bytes: &[u8]| {
            if let Err(e) = data_from_bytes(bytes, Path::new(FILE)) {
                assert!(e.to_string().starts_with(FILE), "{e}");
            }
        };
        (0..bytes.len()).step_by(7).for_each(|cut| read(&bytes[..cut]));
        for at in (0..bytes.len()).step_by(3) {
            let was = bytes[at];
            for bits in [0x01, 0x80, 0xFF] {
                bytes[at] = was ^ bits;
                read(&bytes);
            }
            bytes[at] = was;
        }
    }

    #[test]
    fn a_graph_is_no_data_and_says_what_writes_them() {
        let graph = super::super::to_bytes(&super::super::Graph::default(), Path::new(FILE)).unwrap();
        let e = data_from_bytes(&graph, Path::new(FILE)).unwrap_err().to_string();
        assert!(e.starts_with(FILE) && e.contains("nir.write_data"), "{e}");
    }
}
