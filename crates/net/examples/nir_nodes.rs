//! Writes networks of every kind for every reader, with an input and the spikes that the network
//! gives, for `.ci/python/nir_nodes.py`.
//!
//! Usage: `nir_nodes FOLDER`
use std::error::Error;
use std::path::Path;
use tickless_net::interop::nir::{self, ExportOptions, Reader};
use tickless_net::{
    Axis, Conv, InputKind, Network, NetworkBuilder, Neuron, NodeId, Recurrent, RecurrentKind, Shape, Weights, Window,
};
use tickless_testing::clocked;
use tickless_testing::generate::Rng;
use tickless_testing::generate::any::{steps, weights};

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

fn main() -> Result<(), Box<dyn Error>> {
    let Some(folder) = std::env::args().nth(1) else { return Err("usage: nir_nodes FOLDER".into()) };
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
            let file = Path::new(&folder).join(format!("{reader}.{name}.nir"));
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
