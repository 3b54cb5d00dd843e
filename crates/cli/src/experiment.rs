//! Compares many trainings: strategies × (seeds or folds). Each is trained, evaluated at every T
//! and run without a clock, and all go into one report.
//!
//! Everything that can be checked is checked before the first training. Every run has a folder
//! under the experiment's folder. A finished run is not repeated, so a stopped experiment continues
//! where it was.

use crate::arguments::Part;
use crate::gather::{report, rows};
use crate::progress::Console;
use crate::recipe_paths::to_go_on;
use crate::remedy::stopped;
use crate::report as page;
use crate::results::stored;
use crate::results::{Evaluation, Finished, StoredAnswers, count_operations, keep_answers, keep_evaluation, leaks};
use anyhow::{Result, bail, ensure};
use std::path::{Path, PathBuf};
use tickless::simulate::simulate_answers;
use tickless::temperature::{fit_samples, temperature};
use tickless::{EngineForward, OperatingPoint, answers};
use tickless_net::LeakRule;
use tickless_net::recipe::{Folds, Recipe};
use tickless_train::data::{Parts, Source};
use tickless_train::device::Device;
use tickless_train::evaluate::{Setting, activity_and_cost};
use tickless_train::progress::{Progress, Silent};
use tickless_train::run::train_plan::TrainPlan;
use tickless_train::run::{Job, RunFolder, train};
use tickless_train::strategy::{Steps, by_name};

/// A comparison of trainings.
#[derive(Debug, Clone)]
pub struct Experiment {
    /// The recipe that all runs share.
    pub recipe: Recipe,
    /// Strategies, in the order of the table.
    pub strategies: Vec<String>,
    /// Seeds; each strategy is trained with each.
    pub seeds: Vec<u64>,
    /// Number of folds of a cross-validation; 0 for the data set's own split.
    pub folds: usize,
    /// Folder of the experiment.
    pub folder: PathBuf,
    /// Headline of the report.
    pub title: String,
    /// The command that repeats the experiment.
    pub command: String,
    /// Whether a stopped training may continue under changed conditions.
    pub allow_changed: bool,
}

/// One of the runs.
#[derive(Debug, Clone)]
pub struct Planned {
    /// Its strategy, as tables name it.
    pub label: String,
    /// The recipe that it trains.
    pub recipe: Recipe,
    /// Its folder.
    pub folder: PathBuf,
}

impl Experiment {
    /// Runs what is not finished and writes the report.
    ///
    /// # Errors
    /// The first error of a run.
    pub fn run(&self, device: &Device, console: &Console) -> Result<(page::ReportData, page::Written)> {
        let planned = self.check_plans(console)?;
        let page_folder = self.folder.join("report");
        ensure!(
            !page_folder.exists() || page_folder.is_dir(),
            "{}: is in the way of the report's folder",
            page_folder.display()
        );
        for Planned { recipe, folder, .. } in &planned {
            open(recipe, folder)?;
        }
        let total = planned.len();
        let mut runs = Vec::new();
        for (k, Planned { label, recipe, folder }) in planned.into_iter().enumerate() {
            console.set_prefix(&format!("{label} {}/{total}", k + 1));
            runs.push(finish_run(&recipe, &folder, device, self.allow_changed, console)?);
        }
        console.set_prefix("");
        let data = report(&self.title, &self.command, &rows(runs, false)?)?;
        let written = page::write(&data, &page_folder)?;
        let folder = RunFolder::at(&self.folder);
        folder.write_json("report.json", &data)?;
        Ok((data, written))
    }

    /// Checks all runs before the first begins, because an error after days of training comes too
    /// late.
    ///
    /// # Errors
    /// If a strategy is unknown or given twice, or a run does not fit its data or network.
    pub fn check_plans(&self, console: &Console) -> Result<Vec<Planned>> {
        no_repeats("--strategies", &self.strategies)?;
        no_repeats("--seeds", &self.seeds)?;
        let planned = self.planned();
        for Planned { recipe: Recipe { train: t, .. }, .. } in &planned {
            by_name(&t.strategy, Steps { t_min: t.t_min, t_max: t.t_max, samples: t.samples, group: t.group })?;
        }
        let Some(first) = planned.first() else { bail!("there is no strategy to compare; give `--strategies mtt`") };
        let source = Source::open_with(&first.recipe.data, first.recipe.seed, console)?;
        let (shape, kind) = source.input();
        let network = first.recipe.network.build(shape, kind, source.dataset().classes())?;
        for Planned { recipe, .. } in &planned {
            let parts = Parts::of(&source, &recipe.data, recipe.seed)?;
            TrainPlan::new(recipe, &network, &parts, None)?.check_memory(&network, 1)?;
        }
        Ok(planned)
    }

    /// All runs, in the order in which they are trained.
    fn planned(&self) -> Vec<Planned> {
        let mut all = Vec::new();
        for strategy in &self.strategies {
            for &seed in &self.seeds {
                for fold in 0..self.folds.max(1) {
                    let mut recipe = self.recipe.clone();
                    recipe.seed = seed;
                    recipe.train.strategy = strategy.clone();
                    let mut name = format!("{strategy}-seed{seed}");
                    if self.folds > 0 {
                        recipe.data.folds = Some(Folds { of: self.folds, fold });
                        name += &format!("-fold{fold}");
                    }
                    all.push(Planned { label: strategy.to_uppercase(), recipe, folder: self.folder.join(name) });
                }
            }
        }
        all
    }
}

fn no_repeats<T: PartialEq + std::fmt::Display>(option: &str, values: &[T]) -> Result<()> {
    match values.iter().enumerate().find(|(k, v)| values[..*k].contains(v)) {
        Some((_, v)) => bail!("`{option}` has {v} twice: a run is trained once; remove one"),
        None => Ok(()),
    }
}

/// Opens or creates the folder of a run. Returns it with the recipe stored there, or `recipe` if
/// the run is new.
///
/// # Errors
/// If the folder holds a run of another recipe.
fn open(recipe: &Recipe, path: &Path) -> Result<(RunFolder, Recipe)> {
    if !path.join("recipe.toml").exists() {
        return Ok((RunFolder::create(path)?, recipe.clone()));
    }
    let folder = RunFolder::open(path)?;
    let remedy = "name another folder with `--output`";
    let kept = to_go_on(path, folder.recipe()?, recipe, folder.finished()?, remedy)?;
    Ok((folder, kept))
}

/// Trains, evaluates and simulates one run. Results that exist already are kept.
fn finish_run(
    recipe: &Recipe,
    path: &Path,
    device: &Device,
    allow_changed: bool,
    console: &Console,
) -> Result<Finished> {
    let (folder, recipe) = open(recipe, path)?;
    let recipe = &recipe;
    if !folder.finished()? {
        let source = Source::open_with(&recipe.data, recipe.seed, console)?;
        let parts = Parts::of(&source, &recipe.data, recipe.seed)?;
        let job = Job {
            recipe,
            source: &source,
            parts: &parts,
            folder: &folder,
            initial: None,
            continues: None,
            base: None,
            // The experiment's command does not repeat this run alone.
            command: None,
            device,
            allow_changed,
            event_driven: Some(&EngineForward),
        };
        train(job, console).map_err(|e| stopped(e, "the same command goes on from there"))?;
    }
    let mut finished = Finished::open(&folder, None)?;
    let run = &finished.run;
    let model = run.model(device)?;
    let ids = &run.parts.test;
    let (t_max, step_us, batch) = (run.facts.t_max, run.facts.step_us, recipe.eval.batch);
    let setting = Setting { source: &run.source, ids, t_max, step_us, batch };
    // If an `eval` command has measured a part of the run already, that part is not measured again.
    let leaks = leaks(run.network.input().kind, &recipe.eval.leak);
    let settings = leaks.iter().flat_map(|leak| recipe.eval.steps.iter().map(|t| (vec![*t], *leak)));
    let lacks =
        |(t, leak): &(Vec<usize>, LeakRule)| finished.evaluation.as_ref().is_none_or(|e| e.at(t, *leak).is_none());
    let missing: Vec<(Vec<usize>, LeakRule)> = settings.filter(lacks).collect();
    if !missing.is_empty() {
        let mut all = answers(run, &model, ids, &missing, (false, None), console)?;
        count_operations(&model, &setting, &mut all, &Silent)?;
        let stored = StoredAnswers::of(run, &all);
        let points = all.into_iter().map(|a| a.point).collect();
        let cost = activity_and_cost(&model, &setting, t_max, LeakRule::Step, &Silent)?;
        let measured = Evaluation::of(run, &model, Part::Test, points, cost, fit_samples(run).len());
        let evaluation = keep_evaluation(run, measured, stored, console)?;
        finished.evaluation = Some(evaluation);
        finished.answers = stored::answers(&finished.run)?;
    }
    let run = &finished.run;
    if finished.simulation.is_none() {
        match tickless::simulate::possible(run) {
            Ok(()) => {
                let at = OperatingPoint::EVENT_DRIVEN;
                let fitted = temperature(run, &model, &at, console)?.confidence(run.facts.t_max);
                let (s, answers) = simulate_answers(run, &model, (ids, fitted), console, console.stop_flag())?;
                folder.write_result("simulate.json", &s)?;
                keep_answers(run, StoredAnswers::of_event_driven(run, &answers), console)?;
                finished.simulation = Some(s);
                finished.answers = stored::answers(&finished.run)?;
            }
            Err(e) => console.line(&format!("not run without a clock: {e}")),
        }
    }
    Ok(finished)
}
