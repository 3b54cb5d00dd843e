//! `tickless export RUN --to nir|speck`: writes a trained network for other tools or for a chip.

use crate::arguments::{Global, RunArgs};
use crate::interop;
use crate::output::{check_output, print_json, say};
use crate::progress::Console;
use anyhow::{Context, Result, bail};
use clap::{Args, ValueEnum};
use serde::Serialize;
use std::path::PathBuf;
use tickless_net::interop::{nir, speck};

/// Write a run's network in the form of another tool or of a chip.
#[derive(Debug, Args)]
#[command(after_help = "Examples:
  tickless export runs/nmnist-mtt-seed1 --to nir                       for sinabs
  tickless export runs/nmnist-mtt-seed1 --to nir --reader snntorch
  tickless export runs/nmnist-mtt-seed1 --to speck                     what fits where
  tickless export runs/nmnist-mtt-seed1 --to speck --json

A network with a bias or batch norm is converted first: `tickless finetune RUN --epochs 0`. NIR does
not say everything of a neuron; what another reader will do differently is listed. The configuration
for a Speck-class chip is made from its published limits; no chip has run it.")]
pub struct Export {
    #[command(flatten)]
    run: RunArgs,
    /// nir (a graph in HDF5 that many tools read) or speck (a Speck-class chip).
    #[arg(long, value_enum)]
    to: Target,
    /// Who shall read the graph: sinabs, snntorch, spikingjelly or norse.
    #[arg(long, default_value = "sinabs")]
    reader: String,
    /// File to write (default: network.nir or speck.json in the run's folder).
    #[arg(long, short)]
    output: Option<PathBuf>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum Target {
    Nir,
    Speck,
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
        let run = self.run.load()?;
        run.network.check_event_driven()?;
        match self.to {
            Target::Nir => {
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
