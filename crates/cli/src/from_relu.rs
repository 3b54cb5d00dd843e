//! Turning a network with rectifiers (ReLU) into spiking neurons, as `import --from-relu` does: the
//! options, the balancing on the training part, and the table of the layers.

use crate::output::say;
use anyhow::{Result, anyhow, bail};
use clap::Args;
use serde::{Deserialize, Serialize};
use std::path::Path;
use std::str::FromStr;
use std::sync::Arc;
use tickless_net::balance::{self, Balanced};
use tickless_net::interop::checkpoint::Fit;
use tickless_net::recipe::Recipe;
use tickless_net::{InputKind, Layer, Network, SpikeMode, Weights};
use tickless_train::data::{Parts, Source};
use tickless_train::device::Device;
use tickless_train::evaluate::{Activations, BalanceData, LEAST_PERCENTILE};
use tickless_train::model::Model;
use tickless_train::progress::Progress;

/// The activation of a layer that one spike stands for.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Percentile(f64);

impl FromStr for Percentile {
    type Err = String;

    fn from_str(word: &str) -> std::result::Result<Self, String> {
        if word == "max" {
            return Ok(Self(100.0));
        }
        let number = word.strip_suffix('%').unwrap_or(word).parse::<f64>().ok();
        number.filter(|p| (LEAST_PERCENTILE..=100.0).contains(p)).map(Self).ok_or_else(|| {
            format!(
                "give `max` for the largest activation, or a percentile from {LEAST_PERCENTILE} to 100 such as 99.9"
            )
        })
    }
}

/// Samples that a network is balanced on unless the user gives a number.
const SAMPLES: usize = 1000;

/// How to balance a network with rectifiers.
#[derive(Debug, Clone, Default, Args)]
pub struct FromRelu {
    /// The checkpoint is of a network with ReLU where the recipe has neurons (IF, reset by
    /// subtraction): balance the weights so that their rates are its activations.
    #[arg(long)]
    from_relu: bool,
    /// Activation of a layer that one spike per step stands for: max, or a percentile such as 99.9,
    /// with which a few neurons would have to fire more often than once per step.
    #[arg(long, value_name = "max|PERCENTILE", requires = "from_relu")]
    balance: Option<Percentile>,
    /// Samples of the training part that the activations are measured on (default: 1000, or all).
    #[arg(long, value_name = "N", requires = "from_relu", value_parser = clap::value_parser!(u32).range(1..))]
    balance_samples: Option<u32>,
}

/// What the balancing found; the run keeps it in [`FILE`].
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Report {
    /// Percentile of the activations of a layer that its λ is; 100 is the largest.
    percentile: f64,
    /// Samples of the training part that were run, of how many, and the seed that drew them.
    samples: usize,
    of: usize,
    seed: u64,
    /// The spiking layers.
    layers: Vec<BalancedLayer>,
    /// What the output is multiplied by to be that of the network with rectifiers.
    output_scale: f64,
    /// What the user should know of the neurons.
    notes: Vec<String>,
}

/// A balanced layer.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
struct BalancedLayer {
    layer: String,
    /// Its own activation, and λ, which layers share whose spikes are added.
    activation: f64,
    lambda: f64,
    largest: f64,
    /// Share of the activations above λ.
    above: f64,
    /// Balanced threshold.
    threshold: f32,
}

/// File of the run with the [`Report`].
pub const FILE: &str = "balance.json";

impl FromRelu {
    /// Whether the checkpoint is of a network with rectifiers.
    pub fn wanted(&self) -> bool {
        self.from_relu
    }

    /// Checks that the network can be balanced, before anything slow.
    ///
    /// # Errors
    /// Names the layer that prevents it; or a tensor of a matched layer that the recipe leaves out,
    /// because the network would not be the one in the file.
    pub fn check(&self, network: &Network, fit: &Fit, file: &Path) -> Result<()> {
        balance::check(network)?;
        if let Some(unused) = fit.unused.iter().find(|u| !u.is_state && u.of_matched) {
            bail!(
                "{}: `{}` is not used, so the activations would not be those of the network in the file: {}",
                file.display(),
                unused.name,
                unused.why
            );
        }
        Ok(())
    }

    /// Balances the network of `fit` on samples of the training part.
    ///
    /// # Errors
    /// If the training part is empty, a layer is never active, a sample cannot be read, or the user
    /// stops.
    pub fn convert(
        &self,
        network: &Network,
        weights: &Weights,
        (recipe, source, parts): (&Recipe, &Source, &Parts),
        device: &Device,
        progress: &dyn Progress,
    ) -> Result<(Balanced, Report)> {
        let percentile = self.balance.map_or(100.0, |p| p.0);
        let samples = self.balance_samples.map_or(SAMPLES, |n| n as usize);
        if parts.train.is_empty() {
            bail!("`--from-relu` measures activations on the training part, and the recipe's has no sample");
        }
        let (folded, plain) = balance::prepare(network, weights)?;
        let model = Model::new(Arc::new(folded.clone()), &plain, device)?;
        let setting = (recipe.train.t_max, recipe.eval.batch);
        let data = BalanceData::draw(source, &parts.train, samples, recipe.seed, setting);
        let found = data.activations(&model, percentile, progress)?;
        if let Some(silent) = found.iter().find(|a| a.percentile <= 0.0) {
            return Err(never_active(silent, &folded, data.ids.len(), percentile));
        }
        let activations: Vec<f64> = found.iter().map(|a| a.percentile).collect();
        let balanced = balance::balance(&folded, &plain, &activations)?;
        let layers = found.iter().zip(&balanced.scales).map(|(a, &lambda)| {
            let node = &balanced.network.nodes()[a.node];
            let threshold = if let Layer::Neuron(n) = node.layer { n.threshold } else { 1.0 };
            BalancedLayer {
                layer: node.name.clone(),
                activation: a.percentile,
                lambda,
                largest: a.largest(),
                above: a.share_above(lambda),
                threshold,
            }
        });
        let report = Report {
            percentile,
            samples: data.ids.len(),
            of: parts.train.len(),
            seed: recipe.seed,
            layers: layers.collect(),
            output_scale: balanced.output_scale,
            notes: notes(&balanced, percentile),
        };
        Ok((balanced, report))
    }
}

/// The error of a layer whose activation is 0.
fn never_active(silent: &Activations, network: &Network, samples: usize, percentile: f64) -> anyhow::Error {
    let layer = &network.nodes()[silent.node].name;
    if silent.largest() > 0.0 {
        anyhow!(
            "layer `{layer}`: its {percentile} % activation is 0, and no weight can be divided by it, because fewer of its \
             activations are above 0 ({:.3} %); use a higher `--balance`, or `--balance max`",
            100.0 * silent.share_above(0.0)
        )
    } else {
        anyhow!(
            "layer `{layer}`: no activation is above 0 in {samples} training samples, so its neurons would never fire; check \
             that the data is scaled as the network was trained, or use more samples (`--balance-samples`)"
        )
    }
}

/// What differs from the network with rectifiers, as far as the description says it.
fn notes(balanced: &Balanced, percentile: f64) -> Vec<String> {
    let neurons = || {
        balanced.network.nodes().iter().filter_map(|n| match n.layer {
            Layer::Neuron(neuron) => Some((n.name.as_str(), neuron)),
            _ => None,
        })
    };
    let mut notes = Vec::new();
    if let Some((layer, v_min)) = neurons().find_map(|(name, n)| Some((name, n.v_min?))) {
        notes.push(format!(
            "layer `{layer}` has the lower limit {v_min}, so inhibition below it is lost and rates may be above the \
             activations; `v_min = \"none\"` keeps it"
        ));
    }
    let single = neurons().find(|(_, n)| n.spikes == SpikeMode::Single);
    if let Some((layer, _)) = single.filter(|_| percentile < 100.0) {
        notes.push(format!(
            "layer `{layer}` fires once per step at most, so activations above λ are cut to it; `spikes = \"multi\"` or \
             `--balance max` keeps them"
        ));
    }
    if balanced.network.input().kind == InputKind::Events {
        notes.push(
            "the activations are those of the mean frame, a recording's events divided by T_max; if the network was \
             trained with other inputs, its biases have another weight"
                .into(),
        );
    }
    notes
}

impl Report {
    /// Prints the table of the layers.
    pub fn print(&self) {
        let what = match self.percentile {
            100.0 => "largest activation".to_owned(),
            p => format!("{p} % activation"),
        };
        say!("balanced by the {what} of {} of {} training samples (seed {})", self.samples, self.of, self.seed);
        let width = self.layers.iter().map(|l| l.layer.chars().count()).max().unwrap_or(0).max("layer".len());
        say!("  {:<width$}  {:>10}  {:>10}  {:>9}  {:>9}", "layer", "λ", "largest", "above λ", "threshold");
        for l in &self.layers {
            let above = format!("{:.3} %", 100.0 * l.above);
            let shared = if l.lambda == l.activation {
                String::new()
            } else {
                format!("  (its own is {:.4}; it shares λ with the spikes that it is added to)", l.activation)
            };
            say!(
                "  {:<width$}  {:>10.4}  {:>10.4}  {above:>9}  {:>9.4}{shared}",
                l.layer,
                l.lambda,
                l.largest,
                l.threshold
            );
        }
        self.notes.iter().for_each(|n| say!("note: {n}"));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_percentile_is_a_number_with_or_without_its_sign_or_the_word_max() {
        for (word, percent) in [("max", 100.0), ("99.9", 99.9), ("99.9%", 99.9), ("90", 90.0), ("100", 100.0)] {
            assert_eq!(word.parse(), Ok(Percentile(percent)));
        }
        for word in ["", "%", "89.9", "100.1", "NaN", "inf", "-1", "largest"] {
            assert!(word.parse::<Percentile>().unwrap_err().contains("99.9"), "{word}");
        }
    }
}
