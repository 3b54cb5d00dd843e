//! Exchanges networks with Python through `.nir` files; `.ci/python/nir_roundtrip.py` runs the
//! Python side.
//!
//! ```text
//! nir_roundtrip write DIR   writes chain.nir and residual.nir, and our outputs as .json
//! nir_roundtrip read DIR    runs theirs.nir (written by sinabs; its outputs in theirs.json), and
//!                           compares chain_resaved.nir (re-saved by Python) with our network
//! ```

use serde_json::{Value, json};
use std::error::Error;
use std::path::Path;
use tickless_net::interop::nir::{self, Dialect, ExportOptions, ImportOptions, Reader};
use tickless_net::{Conv, InputKind, Layer, Network, NetworkBuilder, Neuron, NodeId, Pool, Shape, Weights};
use tickless_testing::clocked;
use tickless_testing::generate::{Rng, any};
use tickless_testing::layers::Map;

/// Two convolutions followed by an average and a sum pooling, as a chip runs them.
fn chain() -> tickless_net::Result<Network> {
    let mut b = NetworkBuilder::new("chain", Shape::new(2, 16, 16), InputKind::Events);
    let at = b.ttm(NodeId::Input);
    let at = b.conv(at, Conv::c3(4).with_stride(2));
    let at = b.neuron(at, Neuron::if_multi());
    let at = b.pool(at, Pool::average(2));
    let at = b.conv(at, Conv::c3(6));
    let at = b.neuron(at, Neuron::if_multi());
    let at = b.pool(at, Pool::sum(2));
    let at = b.linear(at, 5, false);
    b.neuron(at, Neuron::if_multi());
    b.build()
}

/// A residual block: one layer of neurons reads the sum of two stacked convolutions and an
/// identity.
fn residual() -> tickless_net::Result<Network> {
    let mut b = NetworkBuilder::new("residual", Shape::new(2, 8, 8), InputKind::Events);
    let stem = b.conv(NodeId::Input, Conv::c3(4));
    let x = b.neuron(stem, Neuron::if_multi());
    let inner = b.conv(x, Conv::c3(4));
    let inner = b.neuron(inner, Neuron::if_multi());
    let main = b.conv(inner, Conv::c3(4));
    let sum = b.add("merge", Layer::Add, &[main, x]);
    let at = b.neuron(sum, Neuron::if_multi());
    let at = b.linear(at, 5, false);
    b.neuron(at, Neuron::if_multi());
    b.build()
}

/// Weights that are multiples of 1/64, so sums are exact in every order.
fn weights(r: &mut Rng, net: &Network) -> Weights {
    let mut w = any::weights(r, net);
    w.tensors.values_mut().flat_map(|a| &mut a.data).for_each(|v| *v = (*v * 24.0).round() / 64.0);
    w
}

fn write(folder: &Path) -> Result<(), Box<dyn Error>> {
    let r = &mut Rng(1);
    for net in [chain()?, residual()?] {
        let w = weights(r, &net);
        let exported = nir::export(&net, &w, &ExportOptions::default())?;
        for d in exported.differences.iter().filter(|d| d.reader.is_none_or(|r| r == Reader::Sinabs)) {
            println!("{}: {d}", net.name());
        }
        nir::write(&exported.graph, &folder.join(format!("{}.nir", net.name())))?;
        let x = any::steps(r, &net, 8);
        let y = clocked::run(&net, &w, &x, None).steps;
        let x: Vec<_> = x.into_iter().map(|frame| frame.data).collect();
        let s = net.input().shape;
        let answer = json!({ "shape": [s.channels, s.height, s.width], "x": x, "y": y });
        std::fs::write(folder.join(format!("{}.json", net.name())), answer.to_string())?;
    }
    Ok(())
}

fn numbers(v: &Value) -> Vec<Vec<f64>> {
    let row = |r: &Value| r.as_array().into_iter().flatten().filter_map(Value::as_f64).collect();
    v.as_array().into_iter().flatten().map(row).collect()
}

fn read(folder: &Path) -> Result<(), Box<dyn Error>> {
    let file = folder.join("theirs.nir");
    let options = ImportOptions { dialect: Some(Dialect::Of(Reader::Sinabs)), ..ImportOptions::default() };
    let theirs = nir::import(&nir::read(&file)?, &file, &options)?;
    let answer: Value = serde_json::from_str(&std::fs::read_to_string(folder.join("theirs.json"))?)?;
    let shape = theirs.network.input().shape;
    let x: Vec<Map> = numbers(&answer["x"]).into_iter().map(|data| Map { shape, data }).collect();
    let ours = clocked::run(&theirs.network, &theirs.weights, &x, None).steps;
    let expected = numbers(&answer["y"]);
    let spikes: f64 = expected.iter().flatten().sum();
    if spikes == 0.0 || ours != expected {
        return Err(format!("a network of sinabs answers differently here: {ours:?} against {expected:?}").into());
    }
    println!("sinabs' network: {spikes} output spikes, all equal here");

    let file = folder.join("chain_resaved.nir");
    let back = nir::import(&nir::read(&file)?, &file, &ImportOptions::default())?;
    let (net, w) = (chain()?, weights(&mut Rng(1), &chain()?));
    if (back.dialect, &back.network, &back.weights) != (Dialect::Tickless, &net, &w) {
        return Err(format!("our network came back changed: {:?}", back.differences).into());
    }
    println!("our network, read and written again by `nir`: the same");
    Ok(())
}

fn main() -> Result<(), Box<dyn Error>> {
    let args: Vec<String> = std::env::args().skip(1).collect();
    match args.iter().map(String::as_str).collect::<Vec<_>>()[..] {
        ["write", folder] => write(Path::new(folder)),
        ["read", folder] => read(Path::new(folder)),
        _ => {
            println!("usage: nir_roundtrip write|read DIR");
            Ok(())
        }
    }
}
