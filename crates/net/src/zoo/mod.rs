//! The built-in networks, one file per family.
//!
//! Each network is a short function over the methods of `chain.rs`; the function reads like the
//! line by which papers write the network: `C64-MP2-C128-…`. `ENTRIES` lists all networks with
//! their defaults. To add a network, write its function in the file of its family (or a new file)
//! and add a row to `ENTRIES`.
//!
//! Sources: Du et al., "Temporal Flexibility in Spiking Neural Networks", ICLR 2025
//! (arXiv 2503.17394); He et al. 2016 (ResNet); Zheng et al. 2021 (ResNet-19); Deng et al. 2022
//! (VGGSNN). The event-driven networks were designed for this library and use only layers that
//! neuromorphic chips support.

mod chain;
mod gesture;
mod nmnist;
mod resnet;
mod shd;
mod spikformer;
#[cfg(test)]
mod tests;
mod vgg;

use crate::error::{Error, Result};
use crate::layer::TtmMode;
use crate::network::{Input, InputKind, Network};
use crate::neuron::{Leak, Neuron};
use crate::shape::Shape;
use crate::suggest;
use chain::{Chain, Choices};

/// Options of a built-in network; by default every option is the network's own.
#[derive(Debug, Clone, Copy, PartialEq, Default)]
pub struct ZooOptions {
    /// Number of classes; 0 selects the network's own number.
    pub classes: usize,
    /// The neuron of every spiking layer.
    pub neuron: Option<Neuron>,
    /// Batch norm after every convolution (`true`) or none at all (`false`).
    pub norm: Option<bool>,
    /// Factor of the numbers of channels (default 1); each is rounded and at least 1.
    pub width: Option<f64>,
    /// Shape and kind of the input.
    pub input: Option<(Shape, InputKind)>,
    /// Mode of every temporal transformation module, including the one at the input.
    pub ttm: Option<TtmMode>,
    /// Whether the last linear layer has a bias.
    pub classifier_bias: Option<bool>,
}

/// A built-in network and its defaults.
#[derive(Debug, Clone, Copy)]
pub struct Entry {
    /// Name of the network in a recipe.
    pub name: &'static str,
    /// One line for a listing.
    pub description: &'static str,
    /// Default number of classes.
    pub classes: usize,
    /// Default shape and kind of the input.
    pub input: Input,
    /// Default neuron.
    pub neuron: Neuron,
    /// Whether batch norm follows every convolution by default.
    pub norm: bool,
    /// Whether the last linear layer has a bias by default.
    pub classifier_bias: bool,
    make: fn(Chain) -> Result<Network>,
}

const NMNIST: Input = events(34);
const CIFAR: Input = image(32);

const fn events(side: usize) -> Input {
    Input { shape: Shape::new(2, side, side), kind: InputKind::Events }
}

const fn image(side: usize) -> Input {
    Input { shape: Shape::new(3, side, side), kind: InputKind::Image }
}

/// An entry for a network that runs event-driven and on chips: IF neurons, no norm, no bias.
const fn event_driven(
    name: &'static str,
    description: &'static str,
    input: Input,
    make: fn(Chain) -> Result<Network>,
) -> Entry {
    Entry {
        name,
        description,
        classes: 10,
        input,
        neuron: Neuron::if_multi(),
        norm: false,
        classifier_bias: false,
        make,
    }
}

/// An entry for a clocked network: LIF neurons, batch norm, a classifier with bias.
const fn clocked(
    name: &'static str,
    description: &'static str,
    input: Input,
    make: fn(Chain) -> Result<Network>,
) -> Entry {
    Entry { neuron: Neuron::lif(), norm: true, classifier_bias: true, ..event_driven(name, description, input, make) }
}

static ENTRIES: &[Entry] = &[
    Entry {
        neuron: Neuron::lif(),
        ..event_driven("demo", "nmnist-small with LIF, for the embedded digits", NMNIST, nmnist::small)
    },
    event_driven("nmnist-small", "2 convolutions, 3,856 weights, deployable", NMNIST, nmnist::small),
    event_driven("nmnist-wide", "3 convolutions, 11,024 weights, deployable", NMNIST, nmnist::wide),
    event_driven("3c1fc", "the N-MNIST network of the paper's chip experiment, 6,160 weights", NMNIST, nmnist::three_c),
    Entry {
        classes: 11,
        norm: true,
        ..event_driven(
            "gesture",
            "DVS-Gesture, 4 convolutions and a spiking linear layer",
            events(128),
            gesture::gesture,
        )
    },
    Entry { norm: true, ..event_driven("vgg9", "CIFAR10-DVS, 8 convolutions, deployable", events(128), vgg::vgg9) },
    Entry {
        classes: 20,
        neuron: Neuron { leak: Leak::Step(0.9), ..Neuron::lif() },
        ..event_driven(
            "shd",
            "SHD, one hidden layer of 128 neurons with recurrent connections",
            Input { shape: Shape::new(1, 1, 700), kind: InputKind::Events },
            shd::shd,
        )
    },
    clocked("vgg14", "13 convolutions in 13 stages, static images", CIFAR, vgg::vgg14),
    clocked("vggsnn", "8 convolutions in 8 stages, recordings at 48×48", events(48), vgg::vggsnn),
    clocked("resnet18", "8 residual blocks in 8 stages, static images", CIFAR, resnet::resnet18),
    clocked("resnet18-dvs", "resnet18 for recordings at 48×48", events(48), resnet::resnet18_dvs),
    clocked("resnet19", "8 wide residual blocks in 8 stages, static images", CIFAR, resnet::resnet19),
    clocked("resnet34", "16 residual blocks in 16 stages, static images", CIFAR, resnet::resnet34),
    clocked(
        "spikformer-4-384",
        "4 blocks of spiking self-attention in 4 stages, static images",
        CIFAR,
        spikformer::spikformer_4_384,
    ),
    clocked(
        "spikformer-2-384",
        "2 blocks of spiking self-attention in 2 stages, static images",
        CIFAR,
        spikformer::spikformer_2_384,
    ),
    Entry {
        classes: 1000,
        ..clocked("resnet18-imagenet", "resnet18 with the 7×7 stem, 224×224", image(224), resnet::resnet18_imagenet)
    },
    Entry {
        classes: 1000,
        ..clocked("resnet19-imagenet", "resnet19 with the 7×7 stem, 224×224", image(224), resnet::resnet19_imagenet)
    },
    Entry {
        classes: 1000,
        ..clocked("resnet34-imagenet", "resnet34 with the 7×7 stem, 224×224", image(224), resnet::resnet34_imagenet)
    },
];

/// Largest width: 256 times the weights.
const WIDEST: f64 = 16.0;

/// All built-in networks.
pub fn entries() -> &'static [Entry] {
    ENTRIES
}

/// The entry with this name.
///
/// # Errors
/// If no entry has this name; the message suggests the nearest name and lists all.
pub fn entry(name: &str) -> Result<&'static Entry> {
    ENTRIES.iter().find(|e| e.name == name).ok_or_else(|| Error::UnknownNetwork {
        name: name.to_owned(),
        hint: suggest::hint(name, ENTRIES.iter().map(|e| e.name)),
        known: ENTRIES.iter().map(|e| e.name).collect::<Vec<_>>().join(", "),
    })
}

/// Builds the network with this name.
///
/// ```
/// use tickless_net::zoo::{ZooOptions, build};
/// let net = build("nmnist-small", &ZooOptions::default())?;
/// assert_eq!((net.trainable_values(), net.stages()), (3856, 3));
/// # Ok::<(), tickless_net::Error>(())
/// ```
///
/// # Errors
/// If no such network exists, if the width is not a number above 0, or if the input of the options does not fit its layers.
pub fn build(name: &str, options: &ZooOptions) -> Result<Network> {
    let entry = entry(name)?;
    if let Some(width) = options.width.filter(|w| !(*w > 0.0 && *w <= WIDEST)) {
        let problem = format!("has no width {width}; give a factor above 0 and at most {WIDEST}, e.g. 0.25");
        return Err(Error::Network { network: entry.name.to_owned(), problem });
    }
    let input = options.input.map_or(entry.input, |(shape, kind)| Input { shape, kind });
    let choices = Choices {
        classes: if options.classes == 0 { entry.classes } else { options.classes },
        neuron: options.neuron.unwrap_or(entry.neuron),
        norm: options.norm.unwrap_or(entry.norm),
        width: options.width.unwrap_or(1.0),
        ttm: options.ttm,
        classifier_bias: options.classifier_bias.unwrap_or(entry.classifier_bias),
    };
    (entry.make)(Chain::new(entry.name, input, choices))
}
