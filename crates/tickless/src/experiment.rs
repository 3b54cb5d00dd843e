//! Many trainings compared: strategies × (seeds or folds), each trained, evaluated at every T,
//! run with no clock, and gathered into one report.
//!
//! Every run is a folder of its own under the experiment's; a finished one is not done again, so
//! an experiment that was stopped goes on where it was.

use crate::commands::{Part, stopped};
use crate::gather::{Evaluation, Finished, report};
use crate::progress::Console;
use crate::report as page;
use crate::simulate::simulate;
use anyhow::Result;
use std::path::{Path, PathBuf};
use tickless_net::LeakRule;
use tickless_net::recipe::{Folds, Recipe};
use tickless_train::data::{Parts, Source};
use tickless_train::device::Device;
use tickless_train::evaluate::{Plan, Setting, across_steps, activity};
use tickless_train::progress::{Progress, Silent};
use tickless_train::run::{Job, RunFolder, train};

/// What to compare.
#[derive(Debug, Clone)]
pub struct Experiment {
    /// What all runs share.
    pub recipe: Recipe,
    /// Strategies, in the order of the table.
    pub strategies: Vec<String>,
    /// Seeds; each strategy is trained with each.
    pub seeds: Vec<u64>,
    /// Parts of a cross-validation; 0 for the data set's own split.
    pub folds: usize,
    /// Folder of the experiment.
    pub folder: PathBuf,
    /// Headline of the report.
    pub title: String,
    /// The command that repeats it.
    pub command: String,
    /// Whether a training that was stopped goes on under other conditions too.
    pub allow_changed: bool,
}

impl Experiment {
    /// Runs what is not finished yet and writes the report.
    ///
    /// # Errors
    /// Whatever stops one of the runs.
    pub fn run(&self, device: &Device, console: &Console) -> Result<(page::ReportData, page::Written)> {
        let folds = self.folds.max(1);
        let total = self.strategies.len() * self.seeds.len() * folds;
        let mut groups: Vec<(String, Vec<Finished>)> = Vec::new();
        let mut k = 0;
        // One open data set per fold and seed of data, shared by all strategies: decoded once.
        for (s, strategy) in self.strategies.iter().enumerate() {
            for &seed in &self.seeds {
                for fold in 0..folds {
                    k += 1;
                    let mut recipe = self.recipe.clone();
                    recipe.seed = seed;
                    recipe.train.strategy = strategy.clone();
                    let mut name = format!("{strategy}-seed{seed}");
                    if self.folds > 0 {
                        recipe.data.folds = Some(Folds { of: self.folds, fold });
                        name += &format!("-fold{fold}");
                    }
                    let label = strategy.to_uppercase();
                    console.set_prefix(&format!("{label} {k}/{total}"));
                    let finished = one(&recipe, &self.folder.join(name), device, self.allow_changed, console)?;
                    if groups.len() <= s {
                        groups.push((label, Vec::new()));
                    }
                    groups[s].1.push(finished);
                }
            }
        }
        console.set_prefix("");
        let data = report(&self.title, &self.command, &groups)?;
        let written = page::write(&data, &self.folder.join("report"))?;
        let folder = RunFolder::at(&self.folder);
        folder.write_json("report.json", &data)?;
        Ok((data, written))
    }
}

/// One run: trained, evaluated, simulated; whatever is there already is kept.
fn one(recipe: &Recipe, path: &Path, device: &Device, allow_changed: bool, console: &Console) -> Result<Finished> {
    let folder = if path.join("recipe.toml").exists() { RunFolder::open(path)? } else { RunFolder::create(path)? };
    if folder.file("recipe.toml").exists() && folder.recipe()? != *recipe {
        anyhow::bail!("{}: holds a run of another recipe; name another folder with `--output`", path.display());
    }
    if !folder.finished()? {
        let source = Source::open_with(&recipe.data, recipe.seed, console)?;
        let parts = Parts::of(&source, &recipe.data, recipe.seed)?;
        let (source, parts, folder) = (&source, &parts, &folder);
        let job = Job { recipe, source, parts, folder, initial: None, base: None, device, allow_changed };
        train(job, console).map_err(|e| stopped(e, "the same command goes on from there"))?;
    }
    let mut finished = Finished::open(&folder, None)?;
    let run = &finished.run;
    let model = run.model(device)?;
    let ids = &run.parts.test;
    let (t_max, step_us, batch) = (run.facts.t_max, run.facts.step_us, recipe.eval.batch);
    let setting = Setting { source: &run.source, ids, t_max, step_us, batch };
    if finished.evaluation.is_none() {
        let plan = Plan { steps: recipe.eval.steps.clone(), leaks: recipe.eval.leak.clone(), calibration: None };
        let points = across_steps(&model, &setting, &plan, console)?;
        let activity = activity(&model, &setting, t_max, LeakRule::Step, &Silent)?;
        let evaluation = Evaluation::of(run, &model, Part::Test, points, activity);
        let _lock = folder.lock_results()?;
        folder.write_json("eval.json", &evaluation)?;
        finished.evaluation = Some(evaluation);
    }
    let run = &finished.run;
    if finished.simulation.is_none() {
        match crate::simulate::possible(run) {
            Ok(()) => {
                let s = simulate(run, &model, &run.parts.test, console, console.stop_flag())?;
                folder.write_json("simulate.json", &s)?;
                finished.simulation = Some(s);
            }
            Err(e) => console.line(&format!("not run without a clock: {e}")),
        }
    }
    Ok(finished)
}
