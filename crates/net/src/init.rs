//! Initial weights. Every tensor draws from its own ChaCha8 stream, chosen by its name, so a seed
//! gives a tensor the same values whatever other layers the network has.
//!
//! - Uniform: W ~ U(±g/√n), where n is the fan-in; g = 1 is PyTorch's default. The gain g of the
//!   convolutions (1.5 by default) makes every layer of a bias-free event-driven network fire from
//!   the first iteration, because a silent layer has no gradient and would stay silent.
//! - Kaiming normal, fan-out (He et al. 2015): W ~ N(0, 2 / (out/groups · k²)) for convolutions;
//!   linear layers use PyTorch's default.
//!
//! Biases are drawn from U(±1/√n), norms start as the identity, and a learned decay starts at the λ
//! of the description.

use crate::layer::Layer;
use crate::network::Network;
use crate::neuron::model::learned_decay;
use crate::neuron::{Leak, Neuron};
use crate::weights::{Array, Weights};
use rand::{Rng, SeedableRng};
use rand_chacha::ChaCha8Rng;

/// The distribution of the initial weights of convolutions.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum InitScheme {
    /// N(0, 2 / fan-out).
    KaimingNormalFanOut,
    /// U(±`conv_gain`/√fan-in).
    Uniform {
        /// Gain g of the convolutions (linear layers always use 1).
        conv_gain: f32,
    },
}

impl InitScheme {
    /// Uniform with gain 1.5 if the network has no norm and no bias, otherwise Kaiming normal.
    pub fn default_for(network: &Network) -> Self {
        let helped = network.nodes().iter().any(|n| match n.layer {
            Layer::Norm(_) => true,
            Layer::Conv(c) => c.bias,
            Layer::Linear(l) => l.bias,
            _ => false,
        });
        if helped { InitScheme::KaimingNormalFanOut } else { InitScheme::Uniform { conv_gain: 1.5 } }
    }
}

/// Initial values of every tensor of `network`, including the running statistics of norms.
pub fn initialise(network: &Network, scheme: InitScheme, seed: u64) -> Weights {
    let mut weights = Weights::default();
    for (node, name, spec) in network.tensors() {
        let node = &network.nodes()[node];
        let draw = match (node.layer, spec.name) {
            // U(±1/√n) for n inputs, as PyTorch's recurrent layers.
            (Layer::Neuron(_), "recurrent") => Draw::Uniform(1.0, spec.shape.last().copied().unwrap_or(1)),
            (Layer::Norm(_), "weight" | "running_var") => Draw::Constant(1.0),
            (Layer::Norm(_), _) => Draw::Constant(0.0),
            (Layer::Neuron(Neuron { leak: Leak::Learned(lambda), .. }), _) => Draw::Constant(learned_decay(lambda)),
            (Layer::Conv(c), tensor) => {
                let fan_in = node.input.channels / c.groups * c.window.taps();
                match (tensor, scheme) {
                    ("weight", InitScheme::KaimingNormalFanOut) => {
                        let fan_out = c.out / c.groups * c.window.taps();
                        Draw::Normal((2.0 / fan_out as f64).sqrt())
                    }
                    ("weight", InitScheme::Uniform { conv_gain }) => Draw::Uniform(f64::from(conv_gain), fan_in),
                    _ => Draw::Uniform(1.0, fan_in),
                }
            }
            _ => Draw::Uniform(1.0, node.input.len()),
        };
        let mut rng = ChaCha8Rng::seed_from_u64(seed);
        rng.set_stream(fnv1a(&name));
        let data = (0..spec.shape.iter().product()).map(|_| draw.next(&mut rng)).collect();
        weights.insert(name, Array::new(spec.shape, data));
    }
    weights
}

enum Draw {
    Constant(f32),
    /// Gain and fan-in.
    Uniform(f64, usize),
    /// Standard deviation.
    Normal(f64),
}

impl Draw {
    fn next(&self, rng: &mut ChaCha8Rng) -> f32 {
        match *self {
            Draw::Constant(c) => c,
            Draw::Uniform(gain, fan_in) => {
                let unit: f64 = rng.random_range(-1.0..1.0);
                (gain * unit / (fan_in as f64).sqrt()) as f32
            }
            Draw::Normal(std) => {
                // Box–Muller transform; 1 − u keeps the argument of the logarithm above zero.
                let (u, v): (f64, f64) = (rng.random(), rng.random());
                (std * (-2.0 * (1.0 - u).ln()).sqrt() * (std::f64::consts::TAU * v).cos()) as f32
            }
        }
    }
}

/// FNV-1a hash of a tensor's name, which selects its random stream. Never change it: the same seed
/// would give other weights.
fn fnv1a(name: &str) -> u64 {
    name.bytes().fold(0xcbf2_9ce4_8422_2325, |h, b| (h ^ u64::from(b)).wrapping_mul(0x0100_0000_01b3))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::zoo::{ZooOptions, build};
    use crate::{Conv, InputKind, NetworkBuilder, NodeId, Shape};
    use std::path::Path;

    fn net(name: &str) -> Network {
        build(name, &ZooOptions::default()).unwrap()
    }

    fn moments(a: &Array) -> (f64, f64, f64) {
        let n = a.data.len() as f64;
        let mean = a.data.iter().map(|&v| f64::from(v)).sum::<f64>() / n;
        let var = a.data.iter().map(|&v| (f64::from(v) - mean).powi(2)).sum::<f64>() / n;
        (mean, var.sqrt(), a.data.iter().fold(0.0, |m: f64, &v| m.max(f64::from(v).abs())))
    }

    #[test]
    fn every_tensor_is_there_with_its_shape() {
        for name in ["demo", "gesture"] {
            let n = net(name);
            initialise(&n, InitScheme::default_for(&n), 1).check(&n, Path::new("x")).unwrap();
        }
    }

    #[test]
    fn the_default_is_uniform_without_norms_and_kaiming_with_them() {
        assert_eq!(InitScheme::default_for(&net("demo")), InitScheme::Uniform { conv_gain: 1.5 });
        assert_eq!(InitScheme::default_for(&net("vgg9")), InitScheme::KaimingNormalFanOut);
        assert_eq!(InitScheme::default_for(&net("resnet18")), InitScheme::KaimingNormalFanOut);
    }

    #[test]
    fn uniform_fills_its_interval_and_no_more() {
        let w = initialise(&net("nmnist-wide"), InitScheme::Uniform { conv_gain: 1.5 }, 3);
        for (name, bound) in [("conv3.weight", 1.5 / 144f64.sqrt()), ("linear1.weight", 1.0 / 512f64.sqrt())] {
            let (mean, std, max) = moments(w.get(name).unwrap());
            assert!(max <= bound && max > 0.99 * bound, "{name}: {max} of {bound}");
            assert!(
                mean.abs() < 0.05 * bound && (std * 3f64.sqrt() / bound - 1.0).abs() < 0.05,
                "{name}: {mean} {std}"
            );
        }
    }

    #[test]
    fn kaiming_has_the_fan_out_deviation_and_norms_start_as_identity() {
        let mut b = NetworkBuilder::new("n", Shape::new(32, 8, 8), InputKind::Image);
        let at = b.conv(NodeId::Input, Conv::c3(64));
        let at = b.norm(at);
        let at = b.conv(at, Conv { groups: 2, ..Conv::square(512, 1, 1, 0) });
        b.linear(at, 64, true);
        let w = initialise(&b.build().unwrap(), InitScheme::KaimingNormalFanOut, 3);
        for (name, fan_out) in [("conv1.weight", 64 * 9), ("conv2.weight", 256)] {
            let (mean, std, _) = moments(w.get(name).unwrap());
            let expected = (2.0 / f64::from(fan_out)).sqrt();
            assert!((std / expected - 1.0).abs() < 0.02 && mean.abs() < 0.03 * expected, "{name}: {mean} {std}");
        }
        let constant = |name: &str, v: f32| assert!(w.get(name).unwrap().data.iter().all(|&x| x == v), "{name}");
        constant("norm1.weight", 1.0);
        constant("norm1.bias", 0.0);
        constant("norm1.running_mean", 0.0);
        constant("norm1.running_var", 1.0);
        let bias = moments(w.get("linear1.bias").unwrap());
        assert!(bias.2 > 0.0 && bias.2 <= 1.0 / (512f64 * 64.0).sqrt());
    }

    #[test]
    fn a_tensor_depends_on_seed_and_name_but_not_on_its_neighbours() {
        let (small, three_c) = (net("nmnist-wide"), net("3c1fc"));
        let scheme = InitScheme::Uniform { conv_gain: 1.5 };
        let (a, b) = (initialise(&small, scheme, 7), initialise(&three_c, scheme, 7));
        assert_eq!(a.get("conv2.weight"), b.get("conv2.weight"));
        assert_eq!(a, initialise(&small, scheme, 7));
        assert_ne!(a.get("conv2.weight"), initialise(&small, scheme, 8).get("conv2.weight"));
        assert_ne!(a.get("conv1.weight").unwrap().data[..8], a.get("conv2.weight").unwrap().data[..8]);
    }
}
