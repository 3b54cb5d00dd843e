//! Writes networks of every kind for every reader, with an input and the spikes that the network
//! gives, for `.ci/python/nir_nodes.py`.
//!
//! ```text
//! nir_nodes FOLDER        writes the networks
//! nir_nodes read FOLDER   reads the graphs of `.ci/python/nir_theirs.py` and `nir_plain.py`, and compares
//!                         our spikes with those beside each graph
//! ```
use serde_json::Value;
use std::error::Error;
use std::path::{Path, PathBuf};
use tickless_net::interop::nir::{self, Dialect, ExportOptions, ImportOptions, Reader};
use tickless_net::{
    Axis, Conv, InputKind, Network, NetworkBuilder, Neuron, NodeId, Recurrent, RecurrentKind, Shape, Weights, Window,
};
use tickless_testing::clocked;
use tickless_testing::generate::Rng;
use tickless_testing::generate::any::{steps, weights};
use tickless_testing::layers::Map;

/// A network with groups, dilation and a rectangular kernel.
fn maps(neuron: Neuron) -> Result<Network, Box<dyn Error>> {
    let mut b = NetworkBuilder::new("maps", Shape::new(2, 8, 9), InputKind::Events);
    let columns = Axis { dilation: 2, ..Axis::new(3, 1, 1) };
    let window = Window { rows: Axis::new(1, 1, 0), columns };
    let c = b.conv(NodeId::Input, Conv { groups: 2, bias: true, ..Conv::c3(4).with_window(window) });
    let n = b.neuron(c, neuron);
    let c = b.conv(n, Conv { groups: 2, ..Conv::square(6, 3, 2, 1) });
    let n = b.neuron(c, neuron);
    let l = b.linear(n, 5, true);
    b.neuron(l, neuron);
    Ok(b.build()?)
}

/// A network along a line.
fn line(neuron: Neuron) -> Result<Network, Box<dyn Error>> {
    let mut b = NetworkBuilder::new("line", Shape::new(3, 1, 12), InputKind::Events);
    let window = Window { rows: Axis::new(1, 1, 0), columns: Axis { dilation: 2, ..Axis::new(3, 1, 2) } };
    let c = b.conv(NodeId::Input, Conv { bias: true, ..Conv::c3(4).with_window(window) });
    let n = b.neuron(c, neuron);
    let l = b.linear(n, 5, false);
    b.neuron(l, neuron);
    Ok(b.build()?)
}

/// A network with a recurrent layer, as for Spiking Heidelberg Digits.
fn recurrent(neuron: Neuron) -> Result<Network, Box<dyn Error>> {
    let mut b = NetworkBuilder::new("recurrent", Shape::vector(7), InputKind::Events);
    let l = b.linear(NodeId::Input, 6, true);
    let n = b.neuron(l, neuron);
    b.recurrent(n, Recurrent { kind: RecurrentKind::Dense, delay_us: None });
    let l = b.linear(n, 5, false);
    b.neuron(l, neuron);
    Ok(b.build()?)
}

/// Random weights, multiples of 1/64.
fn made(network: &Network) -> Weights {
    let mut all = weights(&mut Rng(7), network);
    all.tensors.values_mut().flat_map(|a| &mut a.data).for_each(|v| *v = (*v * 64.0).round() / 64.0);
    all
}

fn rows_of(answer: &Value, key: &str) -> Vec<Vec<f64>> {
    let row = |r: &Value| r.as_array().into_iter().flatten().filter_map(Value::as_f64).collect();
    answer[key].as_array().into_iter().flatten().map(row).collect()
}

/// Runs every graph of a folder, and compares each step with what its framework gave.
fn compare(folder: &Path) -> Result<(), Box<dyn Error>> {
    let mut files: Vec<PathBuf> = std::fs::read_dir(folder)?.map(|e| e.map(|e| e.path())).collect::<Result<_, _>>()?;
    files.retain(|f| f.extension().is_some_and(|e| e == "nir"));
    files.sort();
    let mut failed = 0;
    for file in files {
        let answer: Value = serde_json::from_str(&std::fs::read_to_string(file.with_extension("json"))?)?;
        let dialect: Dialect = answer["dialect"].as_str().unwrap_or_default().parse()?;
        let name = file.file_stem().unwrap_or_default().to_string_lossy().into_owned();
        if let Some(wanted) = answer["refused"].as_str() {
            let options = ImportOptions { dialect: Some(dialect), ..ImportOptions::default() };
            let e = nir::read(&file).and_then(|graph| nir::import(&graph, &file, &options)).err();
            let said = e.map_or_else(|| "accepted".to_owned(), |e| e.to_string());
            let place = format!("{}: {wanted}", file.display());
            failed += usize::from(!said.starts_with(&place));
            println!(
                "{name}: {}",
                said.strip_prefix(&place).map_or(format!("NOT NAMED: {said}"), |p| format!("refused: {p}"))
            );
            continue;
        }
        let graph = nir::read(&file)?;
        let evidence = nir::written_by(&graph)
            .map_or("no evidence", |w| if w.dialect == dialect { "recognised" } else { "MISTAKEN" });
        let options = ImportOptions { dialect: Some(dialect), ..ImportOptions::default() };
        let theirs = match nir::import(&graph, &file, &options) {
            Ok(theirs) => theirs,
            Err(e) => {
                failed += 1;
                println!("{name}: REFUSED: {e}");
                continue;
            }
        };
        let shape = theirs.network.input().shape;
        let x: Vec<Map> = rows_of(&answer, "x").into_iter().map(|data| Map { shape, data }).collect();
        let ours = clocked::run(&theirs.network, &theirs.weights, &x, Some(100.0)).steps;
        let expected = rows_of(&answer, "y");
        if let Some(sum) = answer["sum"].as_array() {
            // A readout of potentials, of which only the sum over time is the same.
            let sum: Vec<f64> = sum.iter().filter_map(Value::as_f64).collect();
            let own: Vec<f64> = (0..sum.len()).map(|k| ours.iter().map(|step| step[k]).sum()).collect();
            let worst = sum.iter().zip(&own).map(|(a, b)| (a - b).abs()).fold(0.0, f64::max);
            let same = worst < 1e-4 && sum.iter().any(|v| v.abs() > 1.0) && ours[0].len() == sum.len();
            failed += usize::from(!same || evidence == "MISTAKEN");
            println!(
                "{name}: sums over time are {worst:.1e} apart, {}; {evidence}",
                if same { "equal" } else { "DIFFER" }
            );
            continue;
        }
        let spikes: f64 = expected.iter().flatten().sum();
        let same = ours == expected && spikes > 0.0;
        failed += usize::from(!same || evidence == "MISTAKEN");
        let says = if same { "all equal here" } else { "DIFFER here" };
        println!("{name}: {spikes} output spikes, {says}; {evidence}");
        if !same {
            println!("  {ours:?}\n  {expected:?}");
        }
    }
    if failed > 0 { Err(format!("{failed} graphs").into()) } else { Ok(()) }
}

fn main() -> Result<(), Box<dyn Error>> {
    let args: Vec<String> = std::env::args().skip(1).collect();
    let folder = match &args[..] {
        [read, folder] if read == "read" => return compare(Path::new(folder)),
        [folder] => folder,
        _ => return Err("usage: nir_nodes [read] FOLDER".into()),
    };
    for reader in Reader::ALL {
        let own = match reader {
            Reader::Sinabs => Neuron::if_multi(),
            Reader::SpikingJelly => Neuron { fire_at_threshold: true, ..Neuron::lif() },
            Reader::SnnTorch | Reader::Norse => Neuron::lif(),
        };
        let current = Neuron { synapse: Neuron::cuba_lif().synapse, ..own };
        let mut all = vec![("maps", maps(own)?), ("line", line(own)?), ("recurrent", recurrent(own)?)];
        if reader != Reader::Sinabs {
            all.extend([("maps_current", maps(current)?), ("recurrent_current", recurrent(current)?)]);
        }
        for (name, network) in all {
            let w = made(&network);
            let exported = nir::export(&network, &w, &ExportOptions { reader, step_us: Some(1000.0) })?;
            let file = Path::new(folder).join(format!("{reader}.{name}.nir"));
            nir::write(&exported.graph, &file)?;
            let x = steps(&mut Rng(3), &network, 16);
            let y = clocked::run(&network, &w, &x, Some(1000.0)).steps;
            let row = |v: &[f64]| format!("[{}]", v.iter().map(f64::to_string).collect::<Vec<_>>().join(","));
            let rows = |all: Vec<&[f64]>| format!("[{}]", all.into_iter().map(row).collect::<Vec<_>>().join(","));
            let inputs = rows(x.iter().map(|m| m.data.as_slice()).collect());
            let outputs = rows(y.iter().map(Vec::as_slice).collect());
            std::fs::write(file.with_extension("json"), format!("{{\"x\":{inputs},\"y\":{outputs}}}"))?;
        }
    }
    Ok(())
}
