//! `tickless trace RUN FILE`: writes spikes and membrane potentials of chosen layers for other
//! tools.

use crate::arguments::{Global, Part, RunArgs};
use crate::output::{check_output, print_json, say};
use crate::progress::Console;
use anyhow::{Context, Result, bail};
use clap::{Args, ValueEnum};
use serde::Serialize;
use std::path::{Path, PathBuf};
use tickless::trace::{Plan, trace};
use tickless_net::recipe::LARGEST_STEPS;
use tickless_train::device::device;

/// Write spikes and membrane potentials of chosen layers, as npz or as NIR data.
#[derive(Debug, Args)]
#[command(after_help = "Examples:
  tickless trace runs/nmnist-mtt-seed1 trace.npz
  tickless trace runs/nmnist-mtt-seed1 trace.nir --layers neuron1,neuron2 --limit 10
  tickless trace runs/nmnist-mtt-seed1 v.npz --what membranes --grid-us 100
  tickless trace runs/nmnist-mtt-seed1 clocked.nir --steps 10 --limit 20
  tickless parity runs/nmnist-mtt-seed1 --counts clocked.nir

The end of the file's name decides: .npz is for `numpy.load`, .nir (or .h5, .hdf5) for nir 1.0.8's
`read_data`. Without `--steps` the run is event-driven: spikes have times (EventData, or
ValuedEventData where a neuron fires several times at once), and potentials are read at the end of
every interval of `--grid-us` (TimeGriddedData). With `--steps` it is clocked, and the file has the
spikes of every step. `tickless parity --counts` reads the spikes of such a file.")]
pub struct TraceCommand {
    #[command(flatten)]
    run: RunArgs,
    /// The file to write.
    file: PathBuf,
    /// Names of the spiking layers (default: all).
    #[arg(long, value_delimiter = ',')]
    layers: Vec<String>,
    /// What to write.
    #[arg(long, value_enum, value_delimiter = ',', default_value = "spikes")]
    what: Vec<What>,
    /// Interval between two potentials in µs.
    #[arg(long, value_name = "US", default_value_t = 1000)]
    grid_us: u64,
    /// Run clocked at this number of steps, with the leak per time.
    #[arg(long, value_name = "T")]
    steps: Option<usize>,
    /// Which recordings.
    #[arg(long, value_enum, default_value = "test")]
    part: Part,
    /// At most this many recordings (0 for all).
    #[arg(long, default_value_t = 1)]
    limit: usize,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum What {
    Spikes,
    Membranes,
}

#[derive(Serialize)]
struct Written {
    #[serde(serialize_with = "crate::shown::path")]
    file: PathBuf,
    recordings: Vec<String>,
    layers: Vec<WrittenLayer>,
}

#[derive(Serialize)]
struct WrittenLayer {
    name: String,
    neurons: usize,
    /// Spikes over all recordings, if they were written.
    spikes: Option<u64>,
}

impl TraceCommand {
    /// Runs the command.
    pub fn run(self, global: &Global, console: &Console) -> Result<()> {
        check_output("FILE", &self.file)?;
        let npz = is_npz(&self.file)?;
        if self.grid_us == 0 {
            bail!("`--grid-us 0` is no interval; give µs above 0");
        }
        if let Some(t) = self.steps.filter(|t| !(1..=LARGEST_STEPS).contains(t)) {
            bail!("`--steps {t}`: a network runs 1 to {LARGEST_STEPS} time steps");
        }
        let membranes = self.what.contains(&What::Membranes);
        if membranes && self.steps.is_some() {
            bail!(
                "`--what membranes` is of an event-driven run, because training keeps no potential of a clocked one; \
                 leave out `--steps`"
            );
        }
        let run = self.run.load()?;
        let ids = self.part.of(&run.parts, self.limit);
        let plan = Plan {
            layers: self.layers,
            spikes: self.what.contains(&What::Spikes),
            membranes,
            grid_us: self.grid_us,
            steps: self.steps,
        };
        let traced = trace(&run, &device(&global.device)?, ids, &plan, console)?;
        let bytes = if npz { traced.to_npz()? } else { traced.to_nir(&self.file)? };
        tickless_files::write_following(&self.file, &bytes).with_context(|| self.file.display().to_string())?;
        let layer = |l: &tickless::trace::TracedLayer| {
            let timed = l.spikes.as_ref().map(|s| s.iter().map(|r| r.len() as u64).sum());
            let counted = l.counts.as_ref().map(|c| c.iter().flatten().map(|v| f64::from(*v)).sum::<f64>() as u64);
            WrittenLayer { name: l.name.clone(), neurons: l.shape.len(), spikes: timed.or(counted) }
        };
        let written = Written {
            file: self.file,
            layers: traced.layers.iter().map(layer).collect(),
            recordings: traced.recordings,
        };
        if global.json {
            return print_json(&written);
        }
        say!("{} recordings in {}", written.recordings.len(), written.file.display());
        for l in &written.layers {
            let spikes = l.spikes.map_or(String::new(), |n| format!(", {n} spikes"));
            say!("{:>16}: {} neurons{spikes}", l.name, l.neurons);
        }
        Ok(())
    }
}

/// Whether the file's name asks for NumPy arrays rather than HDF5.
fn is_npz(file: &Path) -> Result<bool> {
    match file.extension().and_then(|e| e.to_str()) {
        Some("npz") => Ok(true),
        Some("nir" | "h5" | "hdf5") => Ok(false),
        _ => bail!("{}: the end of the name says the form; end it in .npz, .nir, .h5 or .hdf5", file.display()),
    }
}
