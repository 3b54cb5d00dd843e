//! Reads graphs of other frameworks, imports them in their dialect and runs them: every output
//! spike must equal that of the framework (golden `*.nir`, `nir_io`).
#![cfg(feature = "nir")]

use tickless_net::interop::nir::{self, Dialect, ImportOptions, Imported, Reader};
use tickless_net::{Layer, LeakRule, Shape};
use tickless_testing::clocked;
use tickless_testing::folders::{golden, models};
use tickless_testing::golden::Golden;
use tickless_testing::layers::Map;

fn imported(file: &str, dialect: Dialect) -> Imported {
    let path = golden(file);
    let graph = nir::read(&path).unwrap();
    let options = ImportOptions { dialect: Some(dialect), ..ImportOptions::default() };
    nir::import(&graph, &path, &options).unwrap()
}

/// Compares every output spike of every sample at every step with the golden file.
fn spikes_as(name: &str, dialect: Dialect, x: &str) {
    let net = imported(&format!("{name}.nir"), dialect);
    let io = Golden::open("nir_io.safetensors");
    let (x, y) = (io.get(x), io.get(&format!("{name}.y")));
    let (steps, batch) = (x.shape[0], x.shape[1]);
    let (size, out) = (x.data.len() / steps / batch, y.data.len() / steps / batch);
    assert_eq!(size, net.network.input().shape.len());
    let mut spikes = 0.0;
    for sample in 0..batch {
        let step = |data: &[f32], t: usize, n: usize| -> Vec<f64> {
            data[(t * batch + sample) * n..][..n].iter().map(|&v| f64::from(v)).collect()
        };
        let shape = net.network.input().shape;
        let frames: Vec<Map> = (0..steps).map(|t| Map { shape, data: step(&x.data, t, size) }).collect();
        let ours = clocked::run(&net.network, &net.weights, &frames, None).steps;
        for (t, ours) in ours.iter().enumerate() {
            assert_eq!(*ours, step(&y.data, t, out), "{name}, sample {sample}, step {t}");
            spikes += ours.iter().sum::<f64>();
        }
    }
    assert!(spikes > 0.0, "{name} never spikes");
}

#[test]
fn golden_nir_sinabs_conv_if() {
    spikes_as("sinabs_conv_if", Dialect::Of(Reader::Sinabs), "x");
}

#[test]
fn golden_nir_snntorch_conv_lif() {
    spikes_as("snntorch_conv_lif", Dialect::Of(Reader::SnnTorch), "x");
}

#[test]
fn golden_nir_snntorch_fc_lif() {
    spikes_as("snntorch_fc_lif", Dialect::Of(Reader::SnnTorch), "snntorch_fc_lif.x");
}

#[test]
fn golden_nir_spikingjelly_conv_if() {
    spikes_as("spikingjelly_conv_if", Dialect::Of(Reader::SpikingJelly), "x");
}

#[test]
fn golden_nir_spikingjelly_conv_lif() {
    spikes_as("spikingjelly_conv_lif", Dialect::Of(Reader::SpikingJelly), "x");
}

#[test]
fn golden_graphs_survive_a_round_trip_through_our_writer() {
    for name in
        ["sinabs_conv_if", "snntorch_conv_lif", "snntorch_fc_lif", "spikingjelly_conv_if", "spikingjelly_conv_lif"]
    {
        let path = golden(&format!("{name}.nir"));
        let graph = nir::read(&path).unwrap();
        assert_eq!(nir::from_bytes(&nir::to_bytes(&graph, &path).unwrap(), &path).unwrap(), graph, "{name}");
    }
}

#[test]
fn a_graph_of_an_unknown_writer_is_read_as_nir_states_it_and_says_so() {
    let path = golden("sinabs_conv_if.nir");
    let options = ImportOptions { dt: Some(1.0), ..ImportOptions::default() };
    let net = nir::import(&nir::read(&path).unwrap(), &path, &options).unwrap();
    assert_eq!(net.dialect, Dialect::Plain);
    assert!(net.differences.iter().any(|d| d.what == nir::Deviation::NoWriter), "{:?}", net.differences);
}

#[test]
fn the_writers_of_published_graphs_are_recognised_or_asked_for() {
    let cases = [
        (Some(golden("sinabs_conv_if.nir")), Some(Reader::Sinabs)),
        (Some(golden("snntorch_conv_lif.nir")), Some(Reader::SnnTorch)),
        (Some(golden("snntorch_fc_lif.nir")), Some(Reader::SnnTorch)),
        (Some(golden("spikingjelly_conv_if.nir")), Some(Reader::SpikingJelly)),
        // r = 1 and τ = 0.2 ms do not identify a framework.
        (Some(golden("spikingjelly_conv_lif.nir")), None),
        (models("nir-paper/cnn_sinabs.nir"), Some(Reader::Sinabs)),
        (models("nir-paper/lif_norse.nir"), None),
        (models("nir-paper/lif_rockpool.nir"), None),
    ];
    for (path, want) in cases {
        let Some(path) = path else { continue };
        let found = nir::written_by(&nir::read(&path).unwrap());
        assert_eq!(found.map(|w| w.dialect), want.map(Dialect::Of), "{}", path.display());
    }
}

#[test]
fn a_published_neuron_fires_in_the_steps_of_its_framework() {
    let (Some(file), Some(steps)) = (models("nir-paper/lif_norse.nir"), models("nir-paper/lif_norse.csv")) else {
        return;
    };
    let graph = nir::read(&file).unwrap();
    let text = std::fs::read_to_string(steps).unwrap();
    // Columns: input spikes, membrane, output spikes. A row is a step of 0.1 ms.
    let rows: Vec<Vec<f64>> = text.lines().map(|l| l.split(',').map(|v| v.trim().parse().unwrap()).collect()).collect();
    let input: Vec<Map> = rows.iter().map(|r| Map { shape: Shape::vector(1), data: vec![r[0]] }).collect();
    for dialect in [Dialect::Of(Reader::Norse), Dialect::Plain] {
        for leak in [LeakRule::Step, LeakRule::Time] {
            let options = ImportOptions { dialect: Some(dialect), dt: Some(1e-4), leak, ..ImportOptions::default() };
            let net = nir::import(&graph, &file, &options).unwrap();
            let out = clocked::run(&net.network, &net.weights, &input, Some(100.0)).steps;
            let fired: Vec<usize> = (0..out.len()).filter(|&t| out[t][0] > 0.0).collect();
            assert_eq!(fired, [460, 510, 710, 760], "{dialect:?}, leak per {leak:?}");
        }
    }
}

#[test]
fn the_membrane_of_a_published_neuron_is_that_of_euler_s_rule() {
    let (Some(file), Some(steps)) = (models("nir-paper/lif_norse.nir"), models("nir-paper/lif_norse.csv")) else {
        return;
    };
    let options =
        ImportOptions { dialect: Some(Dialect::Of(Reader::Norse)), dt: Some(1e-4), ..ImportOptions::default() };
    let net = nir::import(&nir::read(&file).unwrap(), &file, &options).unwrap();
    let Some(Layer::Neuron(n)) = net.network.nodes().last().map(|n| n.layer) else { panic!("no neuron") };
    let lambda = f64::from(n.lambda(LeakRule::Step, 1, 1, None).unwrap());
    let weight = net.weights.tensors.values().next().map_or(1.0, |w| f64::from(w.data[0]));
    // The file counts potentials in units of a threshold of 0.1.
    let unit = 0.1 / f64::from(n.threshold);
    let (mut v, mut spikes) = (0.0, 0);
    for (t, line) in std::fs::read_to_string(steps).unwrap().lines().enumerate() {
        let row: Vec<f64> = line.split(',').map(|v| v.trim().parse().unwrap()).collect();
        v = lambda * v + weight * row[0];
        let fires = v > f64::from(n.threshold);
        assert_eq!(f64::from(u8::from(fires)), row[2], "row {t}");
        v *= f64::from(u8::from(!fires));
        spikes += usize::from(fires);
        assert!((v * unit - row[1]).abs() < 1e-6, "row {t}: {} {}", v * unit, row[1]);
    }
    assert_eq!(spikes, 4);
}

#[test]
fn published_recurrent_networks_are_read_with_their_loops() {
    for name in ["braille_noDelay_bias_zero", "braille_noDelay_noBias_subtract"] {
        let Some(path) = models(&format!("nir-paper/{name}.nir")) else { return };
        let options = ImportOptions { dialect: Some(Dialect::Plain), ..ImportOptions::default() };
        let net = nir::import(&nir::read(&path).unwrap(), &path, &options).unwrap_or_else(|e| panic!("{e}"));
        let recurrent = net.network.nodes().iter().filter(|n| n.recurrent.is_some()).count();
        let currents =
            net.network.nodes().iter().filter(|n| matches!(n.layer, Layer::Neuron(n) if n.synapse.is_some()));
        assert_eq!((recurrent, currents.count()), (1, 2), "{name}");
    }
}

#[test]
fn a_published_graph_with_broken_edges_names_the_node_that_is_missing() {
    let Some(path) = models("nir-paper/braille_noDelay_bias_zero_subgraph.nir") else { return };
    let options = ImportOptions { dialect: Some(Dialect::Plain), ..ImportOptions::default() };
    let e = nir::import(&nir::read(&path).unwrap(), &path, &options).unwrap_err();
    assert!(matches!(e, tickless_net::Error::NirNode { .. }), "{e}");
}

#[test]
fn a_neuron_that_fires_by_itself_is_refused_with_its_values() {
    let Some(path) = models("nir-paper/two_lif_neurons.nir") else { return };
    let options = ImportOptions { dialect: Some(Dialect::Plain), ..ImportOptions::default() };
    let e = nir::import(&nir::read(&path).unwrap(), &path, &options).unwrap_err().to_string();
    assert!(e.contains("NIR node `lif1`") && e.contains("`v_leak` is 1.2"), "{e}");
}
