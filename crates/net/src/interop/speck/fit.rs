//! Checks whether each layer of a network fits onto a chip, and reports the reasons if not.

use super::assign::assign;
use super::chip::{Chip, kernel_words, neuron_words};
use super::map::{ChipLayer, Mapped, map};
use crate::network::Network;
use crate::shape::Shape;
use serde::Serialize;
use std::fmt;

/// The fit of one layer.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct LayerFit {
    /// The layer that provides the weights.
    pub layer: String,
    /// The layer that provides the neurons; `None` for a readout, which gets neurons on the chip.
    pub neurons: Option<String>,
    /// Shape of the kernel's input, after pooling.
    pub input: Shape,
    /// Rows and columns of the kernel.
    pub kernel: (usize, usize),
    /// Shape of the output before pooling.
    pub output: Shape,
    /// Kernel memory that the layer needs, in words of 8 bits.
    pub kernel_words: usize,
    /// Neuron memory that the layer needs, in words of 16 bits.
    pub neuron_words: usize,
    /// Number of the assigned core; `None` if no core is left that is large enough.
    pub core: Option<usize>,
    /// Reasons why the layer does not fit, each with a remedy.
    pub problems: Vec<String>,
    /// Differences between the layer on the chip and in the network.
    pub notes: Vec<String>,
}

/// The fit of a whole network.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct FitReport {
    /// The network's name.
    pub network: String,
    /// The chip's name.
    pub chip: String,
    /// The layers of the chip, in order.
    pub layers: Vec<LayerFit>,
    /// (layer, problem) for the input and for nodes that cannot become layers of the chip.
    pub problems: Vec<(String, String)>,
}

impl FitReport {
    /// Whether the whole network fits.
    pub fn fits(&self) -> bool {
        self.problems.is_empty() && self.layers.iter().all(|l| l.problems.is_empty() && l.core.is_some())
    }

    /// Every problem, as (layer, problem).
    pub fn all_problems(&self) -> impl Iterator<Item = (&str, &str)> {
        let own = self.layers.iter().flat_map(|l| l.problems.iter().map(|p| (l.layer.as_str(), p.as_str())));
        self.problems.iter().map(|(l, p)| (l.as_str(), p.as_str())).chain(own)
    }
}

impl fmt::Display for FitReport {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "{} on {}: {}", self.network, self.chip, if self.fits() { "fits" } else { "does not fit" })?;
        for l in &self.layers {
            let core = l.core.map_or("no core".to_owned(), |c| format!("core {c}"));
            writeln!(
                f,
                "  {:<20} {core}: {} → {}, kernel {}×{}, {} kernel words, {} neuron words",
                l.layer, l.input, l.output, l.kernel.0, l.kernel.1, l.kernel_words, l.neuron_words
            )?;
            l.problems.iter().try_for_each(|p| writeln!(f, "    problem: {p}"))?;
            l.notes.iter().try_for_each(|n| writeln!(f, "    note: {n}"))?;
        }
        self.problems.iter().try_for_each(|(l, p)| writeln!(f, "  `{l}`: {p}"))
    }
}

/// Checks how a network fits onto a chip.
pub fn fit(network: &Network, chip: &Chip) -> FitReport {
    fit_mapped(network, chip, &map(network))
}

pub(super) fn fit_mapped(network: &Network, chip: &Chip, mapped: &Mapped) -> FitReport {
    let name = |i: usize| network.nodes()[i].name.clone();
    let mut problems = mapped.stray.clone();
    let senders = senders(mapped);
    if senders[0].len() > chip.destinations {
        problems.push(("input".to_owned(), too_many(chip, senders[0].len())));
    }
    let side = network.input().shape.height.max(network.input().shape.width);
    if side > chip.input_side {
        let problem =
            format!("{} is larger than {1}×{1}; crop or pool the recordings", network.input().shape, chip.input_side);
        problems.push(("input".to_owned(), problem));
    }
    let mut layers: Vec<LayerFit> = mapped
        .layers
        .iter()
        .map(|l| LayerFit {
            layer: name(l.weighted),
            neurons: l.neurons.map(name),
            input: l.input,
            kernel: l.kernel,
            output: l.output,
            kernel_words: kernel_words(l.input.channels, l.output.channels, l.kernel),
            neuron_words: neuron_words(l.output.channels, l.output.height, l.output.width),
            core: None,
            problems: l.problems.iter().cloned().chain(limits(l, chip)).collect(),
            notes: l.notes.iter().cloned().chain(notes(l)).collect(),
        })
        .collect();
    for (layer, to) in layers.iter_mut().zip(&senders[1..]) {
        if to.len() > chip.destinations {
            layer.problems.push(too_many(chip, to.len()));
        }
    }
    let suits: Vec<Vec<bool>> = layers
        .iter()
        .map(|l| {
            chip.cores.iter().map(|c| l.kernel_words <= c.kernel_words && l.neuron_words <= c.neuron_words).collect()
        })
        .collect();
    let given = assign(&suits);
    for (i, layer) in layers.iter_mut().enumerate() {
        layer.core = given[i];
        if layer.core.is_none() {
            layer.problems.push(no_core(layer, chip, &suits[i]));
        }
    }
    FitReport { network: network.name().to_owned(), chip: chip.name.clone(), layers, problems }
}

/// The receivers of the camera (first entry) and of each layer, as (layer, side of the pooling).
pub(super) fn senders(mapped: &Mapped) -> Vec<Vec<(usize, usize)>> {
    let mut all = vec![Vec::new(); mapped.layers.len() + 1];
    for (i, layer) in mapped.layers.iter().enumerate() {
        for s in &layer.sources {
            all[s.layer.map_or(0, |l| l + 1)].push((i, s.pooling));
        }
    }
    all
}

fn too_many(chip: &Chip, count: usize) -> String {
    format!("sends its events to {count} layers, a core to at most {}; branch less", chip.destinations)
}

fn no_core(layer: &LayerFit, chip: &Chip, suits: &[bool]) -> String {
    if suits.contains(&true) {
        return format!(
            "every core that could take it is taken; the chip has {}: use fewer or smaller layers",
            chip.cores.len()
        );
    }
    let (kernel, neuron) = (layer.kernel_words, layer.neuron_words);
    let most_kernel = chip.cores.iter().map(|c| c.kernel_words).max().unwrap_or(0);
    let most_neuron = chip.cores.iter().map(|c| c.neuron_words).max().unwrap_or(0);
    if kernel > most_kernel {
        return format!(
            "needs {kernel} kernel words, no core has more than {most_kernel}; use fewer channels, a smaller kernel or more pooling before it"
        );
    }
    if neuron > most_neuron {
        return format!(
            "needs {neuron} neuron words, no core has more than {most_neuron}; use fewer channels, or a stride or pooling before it"
        );
    }
    let with = |words: usize| chip.cores.iter().filter(|c| c.kernel_words >= words).map(|c| c.neuron_words).max();
    format!(
        "needs {kernel} kernel and {neuron} neuron words on one core; those with that much kernel memory have at most {} \
         for neurons; use fewer channels, or a stride or pooling before it",
        with(kernel).unwrap_or(0)
    )
}

/// The limits of the chip that a layer exceeds, each with a remedy.
fn limits(l: &ChipLayer, chip: &Chip) -> Vec<String> {
    let mut all = Vec::new();
    let mut over = |is: usize, limit: usize, what: &str, remedy: &str| {
        if is > limit {
            all.push(format!("{what} {is} is more than {limit}; {remedy}"));
        }
    };
    over(l.input.height.max(l.input.width), chip.input_side, "the side of its input", "pool before it");
    over(
        l.output.height.max(l.output.width),
        chip.output_side,
        "the side of its output",
        "use a stride or pool before it",
    );
    over(
        l.kernel.0.max(l.kernel.1),
        chip.kernel,
        "the side of its kernel",
        "pool before it, so that it covers a smaller map",
    );
    over(l.padding, chip.padding, "its padding", "use a smaller one");
    over(l.input.channels, chip.channels, "its number of input channels", "use fewer");
    over(l.output.channels, chip.channels, "its number of output channels", "use fewer");
    let numbers = |of: &[usize]| of.iter().map(ToString::to_string).collect::<Vec<_>>().join(", ");
    if !chip.strides.contains(&l.stride) {
        all.push(format!("its stride {} is not one of {}", l.stride, numbers(&chip.strides)));
    }
    for s in &l.sources {
        if !chip.pooling.contains(&s.pooling) {
            all.push(format!("the pooling {0}×{0} before it is not one of {1}", s.pooling, numbers(&chip.pooling)));
        }
        if s.scale != l.sources[0].scale {
            all.push(
                "its branches are averaged differently and share one kernel; pool them alike, or by sums".to_owned(),
            );
        }
    }
    if let Some(first) = l.sources.iter().enumerate().find(|(i, s)| l.sources[..*i].iter().any(|o| o.layer == s.layer))
    {
        let from = if first.1.layer.is_some() { "a layer" } else { "the input" };
        all.push(format!("reads {from} twice, which one core cannot tell apart; double its weights instead"));
    }
    if l.neuron.leaks() {
        all.push("its neurons leak, those of the chip do not; train with `if`".to_owned());
    }
    if !l.neuron.reset.is_immediate() {
        let reset = l.neuron.reset;
        all.push(format!("its reset is `{reset}`, and the chip's acts at once; train with `reset = \"soft\"`"));
    }
    if l.neuron.v_min.is_none() {
        let problem = "its neurons have no lower limit, which would round its weights away; set `v_min`, for instance to −threshold";
        all.push(problem.to_owned());
    }
    all
}

/// Differences between the layer on the chip and in the network.
fn notes(l: &ChipLayer) -> Vec<String> {
    let mut all = Vec::new();
    if l.neurons.is_none() {
        all.push("it is a readout; the chip gives out spikes only, so it gets the neurons of the layer before and its spikes are counted".to_owned());
    }
    if !l.neuron.fire_at_threshold {
        all.push("its neurons fire above the threshold, those of the chip at it too".to_owned());
    }
    if l.neuron.spikes == crate::SpikeMode::Single {
        all.push(
            "its neurons emit at most one spike for an event, those of the chip as many as the membrane holds"
                .to_owned(),
        );
    }
    if let Some(refractory) = l.neuron.refractory {
        all.push(format!("its neurons are {refractory}, those of the chip have no refractory period"));
    }
    all
}
