//! Builds a residual network, prints its stages and shapes, and converts it for a chip.
//!
//! ```text
//! cargo run --release -p tickless --example own_network
//! ```

use tickless::net::init::{InitScheme, initialise};
use tickless::net::{Conv, InputKind, Layer, NetworkBuilder, Neuron, Pool, Shape, fold};

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let neuron = Neuron::lif();
    let mut b = NetworkBuilder::new("own", Shape::new(2, 34, 34), InputKind::Events);

    // Stage 1: the TTM resamples the frames of the recording to the number of steps of this stage.
    let mut x = b.ttm(b.input());
    x = b.conv(x, Conv::c3(8).with_stride(2));
    x = b.norm(x);
    x = b.neuron(x, neuron);

    // Stage 2: a residual block that runs at its own number of steps.
    let entry = b.ttm(x);
    let mut y = b.conv(entry, Conv::c3(8));
    y = b.norm(y);
    y = b.add("merge", Layer::Add, &[y, entry]);
    y = b.neuron(y, neuron);

    // Stage 3: the readout.
    y = b.ttm(y);
    y = b.pool(y, Pool::average(2));
    b.linear(y, 10, true);
    let network = b.build()?;

    println!("{} stages, {} trainable values", network.stages(), network.trainable_values());
    for n in network.nodes() {
        let stage = n.stage.map_or("-".into(), |s| (s + 1).to_string());
        println!("stage {stage}  {:<9} {:<8} {:>8} -> {}", n.name, n.layer.kind(), n.input.to_string(), n.output);
    }

    // For a chip: remove the biases and fold the norms into the weights.
    let weights = initialise(&network, InitScheme::default_for(&network), 1);
    let (deployable, _) = fold::deployable(&network, &weights)?;
    println!("\nfor a chip: {} layers instead of {}", deployable.nodes().len(), network.nodes().len());
    deployable.check_event_driven()?;
    Ok(())
}
