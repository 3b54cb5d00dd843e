//! Layers and neurons that only time steps define are refused by name wherever there are none.

use tickless_net::init::{InitScheme, initialise};
use tickless_net::interop::nir;
use tickless_net::interop::speck::{Chip, fit};
use tickless_net::{
    Attention, Conv, Error, InputKind, Layer, Network, NetworkBuilder, Neuron, Pool, PoolKind, Reset, Shape,
};

/// A network with this layer between a convolution with neurons and the readout.
fn network(neuron: Neuron, layer: Option<Layer>) -> Network {
    let mut b = NetworkBuilder::new("refused", Shape::new(2, 8, 8), InputKind::Events);
    let input = b.input();
    let c = b.conv(input, Conv::c3(4));
    let mut at = b.add("hidden", Layer::Neuron(neuron), &[c]);
    if let Some(layer) = layer {
        at = b.add("between", layer, &[at]);
    }
    b.linear(at, 3, false);
    b.build().unwrap()
}

/// Asserts that an error is about this layer, and that its remedy names a value.
fn assert_names(error: &Error, name: &str, remedy: &str) {
    let Error::Layer { layer, problem } = error else { panic!("{error}") };
    assert_eq!(layer, name);
    assert!(problem.contains(remedy), "{problem}");
}

#[test]
fn resets_in_the_next_step_are_refused_without_a_clock_in_graphs_and_on_chips() {
    for reset in [Reset::SoftDelayed, Reset::SoftRepeated] {
        let net = network(Neuron { reset, v_min: None, ..Neuron::lif() }, None);
        assert_names(&net.check_event_driven().unwrap_err(), "hidden", "reset = \"soft\"");
        let weights = initialise(&net, InitScheme::default_for(&net), 0);
        let exported = nir::export(&net, &weights, &nir::ExportOptions::default());
        assert_names(&exported.unwrap_err(), "hidden", reset.as_str());
        let report = fit(&net, &Chip::speck2e());
        // A layer of the chip has the name of its weights.
        assert!(report.all_problems().any(|(l, p)| l == "conv1" && p.contains(reset.as_str())), "{report}");
    }
    let soft = network(Neuron { reset: Reset::Soft, v_min: None, ..Neuron::lif() }, None);
    soft.check_event_driven().unwrap();
}

#[test]
fn max_pooling_and_attention_are_refused_without_a_clock() {
    let max = Layer::Pool(Pool::square(PoolKind::Max, 2, 2, 0));
    let net = network(Neuron::lif(), Some(max));
    assert_names(&net.check_event_driven().unwrap_err(), "between", "kind = \"sum\"");
    let sum = network(Neuron::lif(), Some(Layer::Pool(Pool::sum(2))));
    sum.check_event_driven().unwrap();
    let attention = Layer::Attention(Attention { heads: 1, scale: 0.125 });
    let mut b = NetworkBuilder::new("refused", Shape::new(2, 8, 8), InputKind::Events);
    let input = b.input();
    let read = [(); 3].map(|()| {
        let c = b.conv(input, Conv::c3(4));
        b.neuron(c, Neuron::lif())
    });
    let at = b.add("between", attention, &read);
    b.linear(at, 3, false);
    assert_names(&b.build().unwrap().check_event_driven().unwrap_err(), "between", "`conv`");
}
