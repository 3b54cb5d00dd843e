//! Multiplies the input of a layer by a factor, in the weights before it.
//!
//! Pooling, addition, dropout and `ttm` are linear, so the factor passes through them to the
//! convolutions, linear layers and norms that they read. A norm takes it in its gain and shift.

use crate::error::{Error, Result};
use crate::layer::Layer;
use crate::network::{Network, NodeId};
use crate::weights::Weights;

/// Multiplies the input of node `node` by `factor`, which is above 0. Weights that are absent are
/// left out.
///
/// # Errors
/// If the input is the network's or consists of spikes, which have no weights, or if another layer
/// reads it too. The message names the layer.
pub(super) fn scale_input(network: &Network, weights: &mut Weights, node: usize, factor: f64) -> Result<()> {
    let (nodes, readers) = (network.nodes(), network.readers());
    let refuse = |problem: String| {
        let name = &nodes[node].name;
        Err(Error::layer(
            name,
            format!(
                "its input times {factor:.4} cannot be written into weights, because {problem}; give it `thresholds`, one \
                 for each channel, of its threshold divided by {factor:.4}"
            ),
        ))
    };
    if nodes[node].recurrent.is_some() {
        return refuse("its own spikes return to it".into());
    }
    let mut open = nodes[node].from.clone();
    let mut scaled = Vec::new();
    while let Some(id) = open.pop() {
        let NodeId::Node(i) = id else { return refuse("it reads the input of the network".into()) };
        let before = &nodes[i];
        if readers[i] > 1 {
            return refuse(format!("other layers read `{}` too", before.name));
        }
        match before.layer {
            Layer::Conv(_) | Layer::Linear(_) | Layer::Norm(_) => scaled.push(i),
            Layer::Neuron(_) => return refuse(format!("it reads the spikes of `{}`", before.name)),
            Layer::Attention(_) => return refuse(format!("it reads the product of spikes of `{}`", before.name)),
            Layer::Ttm(_)
            | Layer::Pool(_)
            | Layer::GlobalAverage
            | Layer::AdaptiveAverage(_)
            | Layer::Dropout(_)
            | Layer::Add => open.extend(&before.from),
        }
    }
    for i in scaled {
        for tensor in ["weight", "bias"] {
            if let Some(array) = weights.tensors.get_mut(&format!("{}.{tensor}", nodes[i].name)) {
                array.data.iter_mut().for_each(|v| *v = (f64::from(*v) * factor) as f32);
            }
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::layer::{Conv, Pool};
    use crate::network::{InputKind, NetworkBuilder};
    use crate::neuron::Neuron;
    use crate::shape::Shape;
    use crate::weights::Array;

    #[test]
    fn the_weights_of_all_branches_get_the_factor_and_no_others() {
        let mut b = NetworkBuilder::new("branches", Shape::new(1, 4, 4), InputKind::Events);
        let c = b.conv(NodeId::Input, Conv { bias: true, ..Conv::c3(2) });
        let n = b.neuron(c, Neuron::lif());
        let c = b.conv(n, Conv { bias: true, ..Conv::c3(2) });
        let one = b.norm(c);
        let two = b.conv(n, Conv { bias: true, ..Conv::c3(2) });
        let sum = b.add("merge", Layer::Add, &[one, two]);
        let pooled = b.pool(sum, Pool::average(2));
        let n = b.neuron(pooled, Neuron::lif());
        b.linear(n, 2, true);
        let net = b.build().unwrap();
        let all = net.tensors().into_iter().map(|(_, name, spec)| (name, Array::full(&spec.shape, 1.0)));
        let mut weights = Weights { tensors: all.collect() };
        scale_input(&net, &mut weights, net.find("neuron2").unwrap(), 0.25).unwrap();
        for (name, array) in &weights.tensors {
            let scaled = ["norm1.weight", "norm1.bias", "conv3.weight", "conv3.bias"].contains(&name.as_str());
            assert_eq!(array.data[0], if scaled { 0.25 } else { 1.0 }, "{name}");
        }
    }

    #[test]
    fn an_input_without_weights_of_its_own_is_refused() {
        let mut b = NetworkBuilder::new("identity", Shape::new(1, 4, 4), InputKind::Events);
        let first = b.neuron(NodeId::Input, Neuron::lif());
        let c = b.conv(first, Conv::c3(1));
        let sum = b.add("merge", Layer::Add, &[c, first]);
        let n = b.neuron(sum, Neuron::lif());
        b.linear(n, 2, true);
        let net = b.build().unwrap();
        for (layer, words) in [("neuron1", "the input of the network"), ("neuron2", "`neuron1`")] {
            let e = scale_input(&net, &mut Weights::default(), net.find(layer).unwrap(), 0.5).unwrap_err().to_string();
            assert!(
                e.starts_with(&format!("layer `{layer}`")) && e.contains(words) && e.contains("`thresholds`"),
                "{e}"
            );
        }
    }
}
