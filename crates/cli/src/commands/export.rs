//! `tickless export RUN --to nir|speck|torch|safetensors`: writes a trained network for other tools or for a chip.

use crate::arguments::{ChoiceArgs, Global, RunArgs};
use crate::checkpoint;
use crate::interop;
use crate::output::{check_output, note, print_json, say};
use crate::progress::Console;
use anyhow::{Context, Result, bail};
use clap::{Args, ValueEnum};
use serde::Serialize;
use std::path::PathBuf;
use tickless_net::interop::checkpoint::{Dialect, NeuronFramework, rename, torch};
use tickless_net::interop::{nir, speck};
use tickless_net::{Layer, Leak, Node, Weights};

/// Write a run's network in the form of another tool or of a chip.
#[derive(Debug, Args)]
#[command(after_help = "Examples:
  tickless export runs/nmnist-mtt-seed1 --to nir                       for sinabs
  tickless export runs/nmnist-mtt-seed1 --to nir --reader snntorch
  tickless export runs/nmnist-mtt-seed1 --to speck                     what fits where
  tickless export runs/nmnist-mtt-seed1 --to speck --json
  tickless export runs/nmnist-mtt-seed1 --to torch --dialect sequential     a state dict
  tickless export runs/nmnist-mtt-seed1 --to safetensors --dialect torchvision

A network with a bias or batch norm is converted first: `tickless finetune RUN --epochs 0`. NIR does
not say everything of a neuron; what another reader will do differently is listed. The configuration
for a Speck-class chip is made from its published limits; no chip has run it. A state dict holds
weights with the names that `--dialect` gives them; the guide has a script that loads it (\"Weights
from elsewhere and back\").")]
pub struct Export {
    #[command(flatten)]
    run: RunArgs,
    /// nir (a graph in HDF5 that many tools read), speck (a Speck-class chip), torch (a state dict
    /// that `torch.load` opens) or safetensors (the same tensors).
    #[arg(long, value_enum)]
    to: Target,
    /// Who shall read the graph: sinabs, snntorch, spikingjelly or norse.
    #[arg(long, default_value = "sinabs")]
    reader: String,
    /// Names of the tensors for torch and safetensors: tickless, paper, torchvision (or
    /// spikingjelly), or sequential (or snntorch, sinabs).
    #[arg(long, default_value = "tickless")]
    dialect: String,
    /// Framework whose neurons a learned decay is written for: spikingjelly (`w`), snntorch (`beta`)
    /// or sinabs (`tau_mem`). Default: that of `--dialect`.
    #[arg(long, value_name = "FRAMEWORK")]
    neurons: Option<NeuronFramework>,
    /// File to write (default: network.nir, speck.json, network.pt or network.safetensors in the
    /// run's folder).
    #[arg(long, short)]
    output: Option<PathBuf>,
    #[command(flatten)]
    choice: ChoiceArgs,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum Target {
    Nir,
    Speck,
    Torch,
    Safetensors,
}

#[derive(Serialize)]
struct Written {
    #[serde(serialize_with = "crate::shown::path")]
    file: PathBuf,
    /// The parts that other readers will interpret differently.
    differences: Vec<String>,
}

impl Export {
    /// Runs the command.
    pub fn run(self, global: &Global, _: &Console) -> Result<()> {
        if let Some(file) = &self.output {
            check_output("--output", file)?;
        }
        let mut run = self.run.load()?;
        // Only a graph and a chip have the neurons of an event-driven run.
        if matches!(self.to, Target::Nir | Target::Speck)
            && let Some(tuning) = self.choice.apply_neurons(&mut run)?
        {
            note!(
                "exported as chosen for the budget {}: {} (`--untuned` exports the run's own neurons)",
                tuning.budget,
                tuning.chosen.point
            );
        }
        match self.to {
            Target::Torch | Target::Safetensors => {
                let dialect = checkpoint::dialect(&self.dialect)?;
                let framework = self.neurons.or_else(|| NeuronFramework::of_dialect(&self.dialect));
                let learns = |n: &&Node| matches!(n.layer, Layer::Neuron(n) if matches!(n.leak, Leak::Learned(_)));
                let learned = run.network.nodes().iter().find(learns);
                if let (Some(node), None) = (learned.filter(|_| dialect != Dialect::Tickless), framework) {
                    bail!(
                        "layer `{}` has a learned decay, and each framework stores it in its own way; give `--neurons \
                         spikingjelly`, `snntorch` or `sinabs`",
                        node.name
                    );
                }
                let named = rename(&run.weights, &run.network, dialect, framework)?;
                let (name, bytes) = match self.to {
                    Target::Torch => ("network.pt", torch::to_bytes(&named)?),
                    _ => {
                        let mut weights = Weights::default();
                        named.iter().for_each(|(name, array)| weights.insert(name, array.clone()));
                        ("network.safetensors", weights.to_bytes(None)?)
                    }
                };
                let file = self.output.unwrap_or_else(|| run.folder.file(name));
                tickless_files::write_following(&file, &bytes).with_context(|| file.display().to_string())?;
                let scaled = run.network.nodes().iter().filter(|n| n.thresholds.is_some());
                let mut differences: Vec<String> = scaled
                    .map(|n| format!("layer `{}` has thresholds per channel, which a state dict does not say", n.name))
                    .collect();
                if learned.is_some() && dialect != Dialect::Tickless && framework != Some(NeuronFramework::SnnTorch) {
                    differences.push(
                        "the input of these neurons does not decay: `decay_input=False` in SpikingJelly, `norm_input=False` in \
                         sinabs"
                            .into(),
                    );
                }
                let written = Written { file, differences };
                if global.json {
                    return print_json(&written);
                }
                say!("{} tensors with the names of `{dialect}`: {}", named.len(), written.file.display());
                for d in written.differences {
                    say!("note: {d}");
                }
            }
            Target::Nir => {
                run.network.check_event_driven()?;
                let reader = interop::reader("--reader", &self.reader)?;
                let options = nir::ExportOptions { reader, step_us: run.facts.step_us };
                let exported = nir::export(&run.network, &run.weights, &options)?;
                let file = self.output.unwrap_or_else(|| run.folder.file("network.nir"));
                nir::write(&exported.graph, &file)?;
                let differences: Vec<String> = exported.differences.iter().map(ToString::to_string).collect();
                let written = Written { file, differences };
                if global.json {
                    return print_json(&written);
                }
                say!("NIR graph for {}: {}", reader, written.file.display());
                for d in written.differences {
                    say!("note: {d}");
                }
            }
            Target::Speck => {
                run.network.check_event_driven()?;
                let chip = speck::Chip::speck2e();
                let report = speck::fit(&run.network, &chip);
                if !global.json {
                    say!("{}", report.to_string().trim_end_matches('\n'));
                }
                if !report.fits() {
                    if global.json {
                        print_json(&report)?;
                    }
                    bail!("the network does not fit onto the {}: the report says which layer and why", chip.name);
                }
                let configuration = speck::configuration(&run.network, &run.weights, &chip)?;
                let file = self.output.unwrap_or_else(|| run.folder.file("speck.json"));
                let text = serde_json::to_string(&configuration)?;
                tickless_files::write_following(&file, text.as_bytes()).with_context(|| file.display().to_string())?;
                if global.json {
                    return print_json(&report);
                }
                say!("configuration: {}", file.display());
            }
        }
        Ok(())
    }
}
