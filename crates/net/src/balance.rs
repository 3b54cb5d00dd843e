//! Balances a network so that the rates of its integrate-and-fire neurons are the activations of
//! the same network with rectifiers (ReLU) in the place of its neurons.
//!
//! Let a_l be the activations of layer l with rectifiers, and λ_l a large one of them, measured on
//! data. Every value of the network has a scale s: the value with rectifiers is s times the value
//! per step with spikes. The scale of the input is 1, that of a layer of neurons is its λ_l, and
//!
//! ```text
//! a_l  = max(0, W_l·a + b_l)                    with rectifiers, a the values that the layer reads
//! W′_l = W_l·s_in/s_out     b′_l = b_l/s_out    of a convolution or linear layer
//! θ′_l = λ_l/s_in                               of the neurons, which emit λ_l/λ_l = 1 per spike
//! ```
//!
//! In a chain s_out can be chosen so that the threshold stays what it is, θ: s_out = λ_l/θ. With
//! θ = 1 that is W′_l = W_l·λ_{l−1}/λ_l and b′_l = b_l/λ_l. A neuron with reset by subtraction then
//! fires ⌊t·a_l/λ_l⌋ times in t steps of a constant input, so its rate differs from a_l/λ_l by less
//! than 1/t; a membrane that starts at 0 makes the rate the smaller one.
//!
//! Layers without weights (pooling, addition, dropout, `ttm`) change no scale, so values that are
//! added have one scale. If two layers of spikes are added, they share λ, the larger of theirs. If
//! spikes and the output of a convolution are added, as in a residual block with an identity, the
//! spikes decide on the scale, and the threshold of the next neurons balances it.
//!
//! Sources: Diehl et al., "Fast-classifying, high-accuracy spiking deep networks through weight and
//! threshold balancing", IJCNN 2015 (largest activation); Rueckauer et al., "Conversion of
//! Continuous-Valued Deep Networks to Efficient Event-Driven Networks for Image Classification",
//! Frontiers in Neuroscience 2017 (percentile, biases, reset by subtraction); sinabs
//! `normalize_weights`; SpikingJelly `ann2snn`, which multiplies by 1/λ before and by λ after each
//! neuron instead of changing weights.

use crate::error::{Error, Result};
use crate::fold::fold_norm;
use crate::layer::{Layer, Pool, PoolKind};
use crate::network::{InputKind, Network, NodeId};
use crate::neuron::{Leak, Neuron, Reset};
use crate::weights::Weights;

/// A balanced network.
#[derive(Debug, Clone, PartialEq)]
#[non_exhaustive]
pub struct Balanced {
    /// The network, whose neurons have balanced thresholds.
    pub network: Network,
    /// Its weights.
    pub weights: Weights,
    /// The scale λ of each spiking layer, in the order of [`Network::spiking`]: its rate times λ is
    /// its activation.
    pub scales: Vec<f64>,
    /// The scale of the output: 1 if the readout has weights of its own, so that it gives the
    /// values of the network with rectifiers; otherwise the λ of the spikes that it reads.
    pub output_scale: f64,
}

/// The network and weights whose activations are to be measured: every norm is folded
/// ([`fold_norm`]), so that weights and biases are all that is left to balance.
///
/// # Errors
/// As [`check`] and [`fold_norm`].
pub fn prepare(network: &Network, weights: &Weights) -> Result<(Network, Weights)> {
    check(network)?;
    fold_norm(network, weights)
}

/// Checks that a network can be balanced.
///
/// # Errors
/// Names the first layer that prevents it, the reason and the remedy: neurons that lose charge
/// (leak, reset to zero) or keep it elsewhere (synaptic current, adaptation, refractory period,
/// recurrent connections), thresholds per channel, max pooling of spikes, attention, and an addition
/// of spikes and the input.
pub fn check(network: &Network) -> Result<()> {
    let refuse = |name: &str, problem: &str| Err(Error::layer(name, format!("cannot be balanced: {problem}")));
    let varies = varies(network);
    for node in network.nodes() {
        let problem = match node.layer {
            Layer::Neuron(_) if node.recurrent.is_some() => {
                "its own spikes return to it, and a rectifier has no such input; remove `recurrent`"
            }
            Layer::Neuron(_) if node.thresholds.is_some() => {
                "it has a threshold per channel, and balancing sets one for the layer; remove `thresholds`"
            }
            Layer::Neuron(neuron) => match obstacle(&neuron) {
                Some(problem) => problem,
                None => continue,
            },
            Layer::Attention(_) => {
                "attention multiplies spikes of one step, and the mean of a product is not the product of the rates; \
                 replace it by a `conv`"
            }
            Layer::Pool(Pool { kind: PoolKind::Max, .. }) if node.from.iter().any(|id| varies(*id)) => {
                "the largest of several spikes at each step is more often 1 than the largest rate; train the network \
                 with `kind = \"average\"`"
            }
            _ => continue,
        };
        return refuse(&node.name, problem);
    }
    if network.spiking().is_empty() {
        let problem =
            "has no `neuron` layer, so nothing is to be balanced; write one where the network has ReLU".into();
        return Err(Error::Network { network: network.name().to_owned(), problem });
    }
    classes(network).map(drop)
}

/// Why the rate of these neurons is not proportional to their input, and the remedy.
fn obstacle(neuron: &Neuron) -> Option<&'static str> {
    let loses = !matches!(neuron.leak, Leak::None) && !matches!(neuron.leak, Leak::Step(lambda) if lambda == 1.0);
    if loses {
        Some("its leak loses charge, so its rate is not proportional to its input; set `neuron = { model = \"if\" }`")
    } else if neuron.synapse.is_some() {
        Some("its synaptic current spreads the input over time; set `synapse = \"none\"`")
    } else if neuron.adaptation.is_some() {
        Some("its threshold rises with each spike, so its rate falls; set `adaptation = \"none\"`")
    } else if neuron.refractory.is_some() {
        Some("its refractory period limits its rate; set `refractory = \"none\"`")
    } else if neuron.reset != Reset::Soft {
        Some(
            "its reset does not subtract the threshold at once, which loses charge or keeps it; set `reset = \"soft\"`",
        )
    } else {
        None
    }
}

/// Whether a value changes from step to step: it depends on spikes, or on the frames of a recording.
fn varies(network: &Network) -> impl Fn(NodeId) -> bool + use<> {
    let events = network.input().kind == InputKind::Events;
    let mut nodes: Vec<bool> = Vec::with_capacity(network.nodes().len());
    for node in network.nodes() {
        let input = node.from.iter().any(|id| match id {
            NodeId::Input => events,
            NodeId::Node(i) => nodes[*i],
        });
        nodes.push(input || matches!(node.layer, Layer::Neuron(_)));
    }
    move |id| match id {
        NodeId::Input => events,
        NodeId::Node(i) => nodes[i],
    }
}

/// The values that have one scale: the class of each node's output, and that of the input, which is
/// the last.
#[derive(Debug)]
struct Classes {
    of: Vec<usize>,
}

impl Classes {
    fn of(&self, id: NodeId) -> usize {
        match id {
            NodeId::Node(i) => self.of[i],
            NodeId::Input => self.of[self.of.len() - 1],
        }
    }
}

/// Divides the values of a network into classes of one scale.
fn classes(network: &Network) -> Result<Classes> {
    let nodes = network.nodes();
    let input = nodes.len();
    let mut of: Vec<usize> = (0..=input).collect();
    let place = |id: &NodeId| match id {
        NodeId::Input => input,
        NodeId::Node(i) => *i,
    };
    for (i, node) in nodes.iter().enumerate() {
        match node.layer {
            Layer::Conv(_) | Layer::Linear(_) | Layer::Norm(_) | Layer::Neuron(_) | Layer::Attention(_) => {}
            Layer::Ttm(_)
            | Layer::Pool(_)
            | Layer::GlobalAverage
            | Layer::AdaptiveAverage(_)
            | Layer::Dropout(_)
            | Layer::Add => {
                let joined: Vec<usize> = node.from.iter().map(|id| of[place(id)]).chain([i]).collect();
                let one = joined[0];
                of.iter_mut().filter(|c| joined.contains(c)).for_each(|c| *c = one);
                let spikes = (0..=i).find(|j| of[*j] == one && matches!(nodes[*j].layer, Layer::Neuron(_)));
                if let Some(spikes) = spikes.filter(|_| of[input] == one) {
                    let problem = format!(
                        "cannot be balanced: it joins the input, whose scale is that of the data, with the spikes of \
                         `{}`; put a `conv` with `kernel = 1` on the way of the input",
                        nodes[spikes].name
                    );
                    return Err(Error::layer(&node.name, problem));
                }
            }
        }
    }
    Ok(Classes { of })
}

/// Balances a network that [`prepare`] returned. `activations` has a large activation λ of each
/// spiking layer, in the order of [`Network::spiking`].
///
/// # Errors
/// As [`check`]; if an activation is 0, negative or not finite; if a scaled weight is not finite; if
/// the weights are not those of the network.
///
/// # Panics
/// If `activations` has not one value for each spiking layer.
pub fn balance(network: &Network, weights: &Weights, activations: &[f64]) -> Result<Balanced> {
    check(network)?;
    let (nodes, spiking) = (network.nodes(), network.spiking());
    assert_eq!(activations.len(), spiking.len(), "one activation for each spiking layer");
    if let Some(norm) = nodes.iter().find(|n| matches!(n.layer, Layer::Norm(_))) {
        return Err(Error::layer(&norm.name, "cannot be balanced: fold the norm first (`balance::prepare`)"));
    }
    let classes = classes(network)?;
    let mut scale: Vec<Option<f64>> = vec![None; nodes.len() + 1];
    scale[classes.of(NodeId::Input)] = Some(1.0);
    for (&i, &lambda) in spiking.iter().zip(activations) {
        if !(lambda > 0.0 && lambda.is_finite()) {
            let problem = format!("cannot be balanced: its activation is {lambda}, not a number above 0");
            return Err(Error::layer(&nodes[i].name, problem));
        }
        let shared = &mut scale[classes.of[i]];
        *shared = Some(shared.map_or(lambda, |other| other.max(lambda)));
    }
    // What has no spikes and is not the input takes the scale that keeps the threshold of its first
    // reader.
    for &i in &spiking {
        let Layer::Neuron(neuron) = nodes[i].layer else { continue };
        let (own, read) = (scale[classes.of[i]], classes.of(nodes[i].from[0]));
        if scale[read].is_none() {
            scale[read] = own.map(|lambda| lambda / f64::from(neuron.threshold));
        }
    }
    let scale_of = |id: NodeId| scale[classes.of(id)].unwrap_or(1.0);

    let mut balanced = weights.clone();
    for (i, node) in nodes.iter().enumerate().filter(|(_, n)| matches!(n.layer, Layer::Conv(_) | Layer::Linear(_))) {
        let (s_in, s_out) = (scale_of(node.from[0]), scale_of(NodeId::Node(i)));
        for spec in node.tensors() {
            let factor = if spec.name == "bias" { 1.0 / s_out } else { s_in / s_out };
            let mut array = weights.require(&node.name, spec.name)?.clone();
            array.data.iter_mut().for_each(|v| *v = (f64::from(*v) * factor) as f32);
            if let Some(at) = array.data.iter().position(|v| !v.is_finite()) {
                let problem = format!(
                    "cannot be balanced: value {at} of its `{}` times {factor:.3e} is no finite number, because the \
                     activations before and after it differ too much",
                    spec.name
                );
                return Err(Error::layer(&node.name, problem));
            }
            balanced.insert(format!("{}.{}", node.name, spec.name), array);
        }
    }
    let thresholds: Vec<(&str, f32)> = spiking
        .iter()
        .filter_map(|&i| {
            let Layer::Neuron(neuron) = nodes[i].layer else { return None };
            let theta = scale_of(NodeId::Node(i)) / scale_of(nodes[i].from[0]);
            // The scale was chosen for this threshold, which then stays as it is to the bit.
            let kept = (theta / f64::from(neuron.threshold) - 1.0).abs() < 1e-12;
            Some((nodes[i].name.as_str(), if kept { neuron.threshold } else { theta as f32 }))
        })
        .collect();
    if let Some((name, theta)) = thresholds.iter().find(|(_, t)| !(*t > 0.0 && t.is_finite())) {
        return Err(Error::layer(name, format!("cannot be balanced: its threshold would be {theta}")));
    }
    let network = network.map_neurons(|name, neuron| {
        let theta = thresholds.iter().find(|t| t.0 == name).map_or(neuron.threshold, |t| t.1);
        // The lower limit stays the same part of the threshold.
        let v_min = neuron.v_min.map(|v| v * (theta / neuron.threshold));
        Neuron { threshold: theta, v_min, ..neuron }
    });
    let scales = spiking.iter().map(|&i| scale_of(NodeId::Node(i))).collect();
    let output_scale = scale_of(NodeId::Node(nodes.len() - 1));
    Ok(Balanced { network, weights: balanced, scales, output_scale })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::layer::{Attention, Conv, Recurrent, RecurrentKind};
    use crate::network::NetworkBuilder;
    use crate::neuron::Refractory;
    use crate::shape::Shape;
    use crate::weights::Array;

    fn soft() -> Neuron {
        Neuron { v_min: None, ..Neuron::if_multi() }
    }

    /// Two linear layers with neurons, and a readout.
    fn chain(first: Neuron, second: Neuron) -> Network {
        let mut b = NetworkBuilder::new("chain", Shape::vector(2), InputKind::Image);
        let l = b.linear(NodeId::Input, 2, true);
        let n = b.neuron(l, first);
        let l = b.linear(n, 1, true);
        let n = b.neuron(l, second);
        b.linear(n, 1, true);
        b.build().unwrap()
    }

    fn ones(network: &Network) -> Weights {
        let all = network.tensors().into_iter().map(|(_, name, spec)| (name, Array::full(&spec.shape, 1.0)));
        Weights { tensors: all.collect() }
    }

    fn value(weights: &Weights, name: &str) -> f32 {
        weights.get(name).unwrap().data[0]
    }

    #[test]
    fn a_chain_has_the_weights_and_biases_of_the_rule_and_keeps_its_thresholds() {
        for theta in [1.0, 0.5] {
            let net = chain(Neuron { threshold: theta, ..soft() }, soft());
            let b = balance(&net, &ones(&net), &[4.0, 8.0]).unwrap();
            assert_eq!(b.scales, [4.0, 8.0]);
            assert_eq!(
                (value(&b.weights, "linear1.weight"), value(&b.weights, "linear1.bias")),
                (theta / 4.0, theta / 4.0)
            );
            assert_eq!((value(&b.weights, "linear2.weight"), value(&b.weights, "linear2.bias")), (0.5, 0.125));
            assert_eq!((value(&b.weights, "linear3.weight"), value(&b.weights, "linear3.bias")), (8.0, 1.0));
            assert_eq!((b.network, b.output_scale), (net, 1.0));
        }
    }

    #[test]
    fn spikes_that_are_added_share_the_larger_activation_and_an_identity_is_balanced_by_the_threshold() {
        let mut b = NetworkBuilder::new("residual", Shape::new(1, 4, 4), InputKind::Image);
        let c = b.conv(NodeId::Input, Conv::c3(2));
        let stem = b.neuron(c, Neuron { v_min: Some(-1.0), ..soft() });
        let c = b.conv(stem, Conv::c3(2));
        let sum = b.add("merge", Layer::Add, &[c, stem]);
        let block = b.neuron(sum, Neuron { v_min: Some(-1.0), ..soft() });
        // Spikes that are added: they need one λ.
        let c = b.conv(block, Conv::c3(2));
        let aside = b.neuron(c, soft());
        let both = b.add("spikes", Layer::Add, &[aside, block]);
        let pooled = b.pool(both, Pool::average(2));
        b.linear(pooled, 3, false);
        let net = b.build().unwrap();
        let b = balance(&net, &ones(&net), &[2.0, 3.0, 12.0]).unwrap();
        assert_eq!(b.scales, [2.0, 12.0, 12.0]);
        let neurons: Vec<Neuron> = b
            .network
            .spiking()
            .iter()
            .filter_map(|&i| if let Layer::Neuron(n) = b.network.nodes()[i].layer { Some(n) } else { None })
            .collect();
        // The identity keeps the scale 2 of the stem, so conv2 has it too, and θ = 12/2.
        assert_eq!(neurons.iter().map(|n| n.threshold).collect::<Vec<_>>(), [1.0, 6.0, 1.0]);
        assert_eq!(neurons.iter().map(|n| n.v_min).collect::<Vec<_>>(), [Some(-1.0), Some(-6.0), None]);
        let conv = |name| value(&b.weights, name);
        assert_eq!([conv("conv1.weight"), conv("conv2.weight"), conv("conv3.weight")], [0.5, 1.0, 1.0]);
        assert_eq!(conv("linear1.weight"), 12.0);
    }

    #[test]
    fn an_output_of_spikes_has_their_scale() {
        let mut b = NetworkBuilder::new("spikes", Shape::vector(2), InputKind::Image);
        let l = b.linear(NodeId::Input, 2, false);
        b.neuron(l, soft());
        let net = b.build().unwrap();
        assert_eq!(balance(&net, &ones(&net), &[4.0]).unwrap().output_scale, 4.0);
    }

    #[test]
    fn what_cannot_be_balanced_is_refused_with_its_name_and_a_remedy() {
        let refused = |net: &Network, words: &[&str]| {
            let e = check(net).unwrap_err().to_string();
            assert!(words.iter().all(|w| e.contains(w)) && !e.contains('\n'), "{e}");
        };
        let refractory = Some(Refractory::steps(2.0));
        for (neuron, remedy) in [
            (Neuron { leak: Leak::Step(0.9), ..soft() }, "`neuron = { model = \"if\" }`"),
            (Neuron { leak: Leak::Learned(0.9), ..soft() }, "`neuron = { model = \"if\" }`"),
            (Neuron { leak: Leak::Time(1e4), ..soft() }, "`neuron = { model = \"if\" }`"),
            (Neuron { synapse: Some(Leak::Step(0.5)), ..soft() }, "`synapse = \"none\"`"),
            (Neuron { adaptation: Neuron::adaptive_lif().adaptation, ..soft() }, "`adaptation = \"none\"`"),
            (Neuron { refractory, ..soft() }, "`refractory = \"none\"`"),
            (Neuron::if_single(), "`reset = \"soft\"`"),
            (Neuron { reset: Reset::SoftRepeated, ..soft() }, "`reset = \"soft\"`"),
        ] {
            refused(&chain(soft(), neuron), &["layer `neuron2`", remedy]);
        }
        check(&chain(Neuron { leak: Leak::Step(1.0), ..soft() }, soft())).unwrap();
        let map = |kind, f: &dyn Fn(&mut NetworkBuilder) -> NodeId| {
            let mut b = NetworkBuilder::new("map", Shape::new(2, 4, 4), kind);
            let at = f(&mut b);
            b.linear(at, 2, false);
            b.build().unwrap()
        };
        let max = Pool::square(PoolKind::Max, 2, 2, 0);
        let spikes = |b: &mut NetworkBuilder| {
            let c = b.conv(NodeId::Input, Conv::c3(2));
            b.neuron(c, soft())
        };
        refused(
            &map(InputKind::Image, &|b| {
                let n = spikes(b);
                b.pool(n, max)
            }),
            &["`pool1`", "average"],
        );
        let first = |b: &mut NetworkBuilder| {
            let p = b.pool(NodeId::Input, max);
            b.neuron(p, soft())
        };
        refused(&map(InputKind::Events, &first), &["`pool1`", "average"]);
        check(&map(InputKind::Image, &first)).unwrap();
        refused(
            &map(InputKind::Image, &|b| {
                let input = b.ttm(NodeId::Input);
                let c = b.conv(input, Conv::c3(2));
                let n = b.neuron(c, soft());
                b.add("merge", Layer::Add, &[n, input])
            }),
            &["`merge`", "`neuron1`", "`kernel = 1`"],
        );
        refused(
            &map(InputKind::Image, &|b| {
                let n = spikes(b);
                b.add("", Layer::Attention(Attention::default()), &[n, n, n])
            }),
            &["`attention1`", "conv"],
        );
        let recurrent = Recurrent { kind: RecurrentKind::Dense, delay_us: None };
        refused(
            &map(InputKind::Image, &|b| {
                let n = spikes(b);
                b.recurrent(n, recurrent);
                n
            }),
            &["remove `recurrent`"],
        );
        refused(
            &map(InputKind::Image, &|b| {
                let n = spikes(b);
                b.thresholds(n, vec![1.0, 2.0]);
                n
            }),
            &["remove `thresholds`"],
        );
        refused(
            &map(InputKind::Image, &|b| b.conv(NodeId::Input, Conv::c3(2))),
            &["network `map`", "no `neuron` layer"],
        );
    }

    #[test]
    fn an_activation_that_cannot_divide_is_refused_with_the_name_of_its_layer() {
        let net = chain(soft(), soft());
        for bad in [0.0, -1.0, f64::NAN, f64::INFINITY] {
            let e = balance(&net, &ones(&net), &[1.0, bad]).unwrap_err().to_string();
            assert!(e.contains("layer `neuron2`"), "{e}");
        }
        let e = balance(&net, &ones(&net), &[1.0, 1e-60]).unwrap_err().to_string();
        assert!(e.contains("layer `linear2`") && e.contains("`weight`"), "{e}");
    }
}
