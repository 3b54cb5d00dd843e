//! Arguments that several commands take: the global options, a recipe with changes, a run, and a
//! part of its samples.

use crate::output::note;
use crate::progress::Volume;
use crate::recipe_paths::absolute;
use anyhow::{Result, bail, ensure};
use clap::builder::{PossibleValue, PossibleValuesParser, TypedValueParser};
use clap::{Args, ValueEnum};
use std::path::{Path, PathBuf};
use std::str::FromStr;
use std::sync::Arc;
use tickless::simulate::tune::Knob;
use tickless::tune::Tuning;
use tickless::{EventNeurons, OperatingPoint};
use tickless_net::recipe::Recipe;
use tickless_net::{InputKind, LeakRule};
use tickless_train::data::{Parts, SampleId};
use tickless_train::run::{Loaded, RunFolder};
use tickless_words::{UnknownWord, words};

/// Most threads that may be asked for. It is far above the cores of any machine; starting many more
/// threads takes minutes or all memory.
pub const LARGEST_THREADS: usize = 1024;

/// The options of every command.
#[derive(Debug, Clone, Args)]
pub struct Global {
    /// Print the result as JSON on standard output instead of tables.
    #[arg(long, global = true)]
    pub json: bool,
    /// Where to compute: cpu, or a GPU: wgpu, cuda (in builds with `--features wgpu`,
    /// `--features cuda`); one of several as cuda:1, and for `train` a list, cuda:0,cuda:1.
    #[arg(long, global = true, default_value = "cpu")]
    pub device: String,
    /// Threads to compute with (default: all cores). Results do not depend on it.
    #[arg(long, global = true)]
    pub threads: Option<usize>,
    /// Say only warnings and errors on standard error: no progress.
    #[arg(long, short, global = true, conflicts_with = "verbose")]
    pub quiet: bool,
    /// Say more on standard error: data, network and device before training, checkpoints, every
    /// task's time.
    #[arg(long, short, global = true)]
    pub verbose: bool,
}

impl Global {
    /// The amount that the program prints on standard error.
    pub fn volume(&self) -> Volume {
        match (self.quiet, self.verbose) {
            (true, _) => Volume::Quiet,
            (_, true) => Volume::Verbose,
            _ => Volume::Usual,
        }
    }
}

/// The recipe of a command and the changes made to it on the command line.
#[derive(Debug, Clone, Args)]
pub struct RecipeArgs {
    /// Recipe file (TOML).
    pub recipe: PathBuf,
    #[command(flatten)]
    pub changes: Changes,
}

/// The finished run of a command.
#[derive(Debug, Clone, Args)]
pub struct RunArgs {
    /// Run folder.
    pub run: PathBuf,
    /// Folder or zip of the data set, if the recipe names a place where it is not.
    #[arg(long, value_name = "PATH")]
    pub data: Option<PathBuf>,
}

impl RunArgs {
    /// Opens the run and prints its warnings.
    pub fn load(&self) -> Result<Loaded> {
        let run = RunFolder::open(&self.run)?.load_with(self.data.as_deref())?;
        run.warnings.iter().for_each(|w| note!("warning: {w}"));
        Ok(run)
    }
}

/// Whether a command uses the choice of `tickless tune` that a run keeps.
#[derive(Debug, Clone, Args)]
pub struct ChoiceArgs {
    /// Ignore the setting that `tickless tune` has chosen for this run.
    #[arg(long)]
    untuned: bool,
}

impl ChoiceArgs {
    /// The choice that the run keeps, unless it is to be ignored.
    ///
    /// # Errors
    /// If the file of the choice was changed or does not belong to the run.
    pub fn kept(&self, run: &Loaded) -> Result<Option<Tuning>> {
        if self.untuned {
            return Ok(None);
        }
        tickless::tune::kept(run).map_err(|e| anyhow::anyhow!("{e}; `--untuned` ignores it"))
    }

    /// Gives the event-driven neurons of the choice to a run in memory, if it has some. Returns the
    /// choice then.
    ///
    /// # Errors
    /// As [`kept`](Self::kept).
    pub fn apply_neurons(&self, run: &mut Loaded) -> Result<Option<Tuning>> {
        let kept = self.kept(run)?;
        let kept = kept.filter(|t| matches!(t.chosen.point, OperatingPoint::EventDriven { neurons: Some(_), .. }));
        if let Some(tuning) = &kept {
            run.network = tuning.chosen.point.network(&run.network);
        }
        Ok(kept)
    }
}

/// Changes to a recipe.
#[derive(Debug, Clone, Args)]
pub struct Changes {
    /// Change a key of the recipe; may be given often.
    #[arg(long, value_name = "KEY=VALUE")]
    pub set: Vec<String>,
    /// Folder or zip of the data set (`data.path`).
    #[arg(long, value_name = "PATH")]
    pub data: Option<PathBuf>,
    /// Passes over the training part (`train.epochs`).
    #[arg(long)]
    pub epochs: Option<usize>,
}

impl Changes {
    /// Reads the recipe in a file, applies these changes, and makes its data paths absolute.
    pub fn load(&self, file: &Path) -> Result<Recipe> {
        let mut recipe = Recipe::load(file, &self.assignments()?)?;
        absolute(&mut recipe)?;
        Ok(recipe)
    }

    /// The changes as `key=value`.
    ///
    /// # Errors
    /// If the path of the data is not UTF-8, because a recipe is text.
    fn assignments(&self) -> Result<Vec<String>> {
        let mut all = self.set.clone();
        if let Some(path) = &self.data {
            let Some(text) = path.to_str() else {
                bail!(
                    "`--data {path:?}`: a recipe holds text, and this path is not UTF-8; rename it or give a link to it"
                );
            };
            // Every JSON string is a valid TOML string, whatever characters the path has.
            all.push(format!("data.path={}", serde_json::Value::from(text)));
        }
        all.extend(self.epochs.iter().map(|n| format!("train.epochs={n}")));
        Ok(all)
    }
}

/// Checks that the run's leak can belong to what `--leak` says.
///
/// # Errors
/// If it shall belong to time and the run was trained on images.
pub fn check_leak(run: &Loaded, leak: Option<LeakRule>) -> Result<()> {
    let image = run.network.input().kind == InputKind::Image;
    ensure!(
        !image || leak != Some(LeakRule::Time),
        "`--leak time`: this run was trained on images, whose steps have no duration; leave it out"
    );
    Ok(())
}

/// Reads an option whose values are the words of a library's enum; `--help` lists them.
pub fn word_parser<T>(known: &'static [(&'static str, T)]) -> impl TypedValueParser<Value = T>
where
    T: FromStr<Err = UnknownWord> + Clone + Send + Sync + 'static,
{
    PossibleValuesParser::new(known.iter().map(|k| k.0)).try_map(|word| word.parse())
}

/// Which samples of a run.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Part {
    /// The training part.
    Train,
    /// The part that chooses an epoch.
    Validation,
    /// The part that is reported.
    Test,
}

impl Part {
    /// The samples of this part, at most `limit` of them (0 for all).
    pub fn of(self, parts: &Parts, limit: usize) -> &[SampleId] {
        let all = match self {
            Part::Train => &parts.train,
            Part::Validation => &parts.validation,
            Part::Test => &parts.test,
        };
        &all[..if limit == 0 { all.len() } else { limit.min(all.len()) }]
    }
}

words!(Part, "part", { Train = "train", Validation = "validation", Test = "test" });

impl ValueEnum for Part {
    fn value_variants<'a>() -> &'a [Self] {
        &[Part::Train, Part::Validation, Part::Test]
    }

    fn to_possible_value(&self) -> Option<PossibleValue> {
        let help = match self {
            Part::Train => "The training part",
            Part::Validation => "The part that chooses an epoch",
            Part::Test => "The part that is reported",
        };
        Some(PossibleValue::new(self.as_str()).help(help))
    }
}

/// A refractory period in steps of T_max, or no period.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct PeriodArg(Option<f64>);

impl PeriodArg {
    /// Reads a number of steps or `none`.
    ///
    /// # Errors
    /// If the word is neither a number above 0 nor `none`.
    pub fn parse(word: &str) -> Result<Self> {
        if word == "none" {
            return Ok(Self(None));
        }
        match word.parse::<f64>() {
            Ok(rho) if rho > 0.0 && rho.is_finite() => Ok(Self(Some(rho))),
            _ => bail!("--refractory {word}: give a number of steps above 0, for instance 0.5, or none"),
        }
    }

    /// This period for the single-spike neurons of a run.
    ///
    /// # Errors
    /// If the neurons of the run are multi-spike.
    pub fn neurons(self, run: &Loaded) -> Result<EventNeurons> {
        if Knob::of(&run.network) != Knob::Refractory {
            bail!("the neurons of this run are multi-spike, which have no refractory period; leave out --refractory");
        }
        Ok(EventNeurons { knob: Knob::Refractory, values: vec![self.0; run.network.spiking().len()] })
    }

    /// Sets this period for the single-spike neurons of a run in memory; its files do not change.
    ///
    /// # Errors
    /// As [`neurons`](Self::neurons).
    pub fn apply(self, run: &mut Loaded) -> Result<()> {
        let EventNeurons { knob, values } = self.neurons(run)?;
        run.network = Arc::new(knob.set(&run.network, &values));
        Ok(())
    }
}
