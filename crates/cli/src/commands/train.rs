//! `tickless train RECIPE`: trains a network in a run folder; a stopped training can be resumed.

use crate::arguments::{Global, LARGEST_THREADS, RecipeArgs};
use crate::bias_free::{self, BiasFree};
use crate::checkpoint::{self, Matching, Start};
use crate::new_run::{begin, check_epochs, next_step, run_folder};
use crate::output::{print_json, say};
use crate::processes::Processes;
use crate::progress::{Console, Quiet};
use crate::recipe_paths::{absolute, to_go_on};
use crate::remedy::stopped;
use crate::shell::command_line;
use anyhow::{Result, anyhow, bail};
use clap::Args;
use std::path::{Path, PathBuf};
use tickless::EngineForward;
use tickless_net::recipe::Recipe;
use tickless_train::data::{Parts, Source};
use tickless_train::device::{Device, devices, listed};
use tickless_train::distributed::{Ranks, threads};
use tickless_train::progress::Progress;
use tickless_train::run::checkpoint::Checkpoint;
use tickless_train::run::train_plan::initial_weights;
use tickless_train::run::{Base, Job, RunFacts, RunFolder, train_as};

/// Train a network as a recipe says.
#[derive(Debug, Args)]
#[command(after_help = "Examples:
  tickless train recipes/nmnist.toml --data ~/data/nmnist
  tickless train recipes/nmnist.toml --data ~/data/nmnist --set train.strategy=sdt --set seed=2
  tickless train recipes/nmnist.toml --data ~/data/nmnist --epochs 5 --output runs/short
  tickless train recipes/nmnist.toml --data ~/data/nmnist --resume   go on after Ctrl-C
  tickless train recipes/nmnist.toml --data ~/data/nmnist --resume --allow-changed   elsewhere
  tickless train runs/nmnist-mtt-seed1 --epochs 60         go on with a finished run to 60 epochs
  tickless train mine.toml --from runs/nmnist-mtt-seed1     start from the weights of a run
  tickless train mine.toml --from resnet18.pth              or from those of a checkpoint that match

A finished run goes on in a new folder with its weights, optimiser and recipe. The learning rate is
that of the schedule of all epochs, so a cosine rises again first.

Several workers, with the same recipe and data:
  --workers 2                          one process, each batch shared by two workers
  --device cuda:0,cuda:1               a worker for each card
  mpirun -n 2 tickless train RECIPE    two processes, on one host or several

Strategies: sdt (one number of steps), nmt (one random number an iteration), mtt (a random number
for every stage). For a run without a clock (see the guide, \"Training for a run without a clock\"):
  --set train.rate_penalty.weight=1.0                 a penalty on neurons that fire in most steps
  --set 'train.long={ times = 3, replaces = 2 }'      a pass at 3·T_max steps instead of two others
  --set 'train.event_driven={ replaces = 2 }'         a pass with the engine's spikes, likewise
  --set data.augment.jitter_steps=0.5                 events move by up to half a step
Ctrl-C stops at the next step and keeps a checkpoint.

A recipe with a `[finetune]` part has further phases: the network is converted to one without
biases and norms and fine-tuned, once for each of its strategies, in folders beside that of the
training (the names of `tickless finetune`). `--resume` goes on in the phase that was stopped:
  --set 'finetune={ strategies = [\"mtt\", \"sdt\"], epochs = 20 }'

Several workers or processes (a build with `--features mpi`): `train.batch` is what each of them
takes, so that N of them train on batches N times as large; batch norm, gradients, loss and
accuracy are those of the whole batch, and the weights those of one process with that batch,
which is also what the run folder's recipe says. The learning rate stays as given. Only the
first process writes. On GPUs every worker has a card of its own: those of the list, or with
`--workers N --device cuda` the first N; processes take those of a list in turn.

Memory: `--set train.recompute=true` keeps only what enters the stages and runs each stage again
backward: the same weights, a quarter less memory and 30 % more time (ResNet-18).")]
pub struct Train {
    #[command(flatten)]
    recipe: RecipeArgs,
    /// Folder of the run (default: runs/<recipe>-<strategy>-seed<seed>).
    #[arg(long, short)]
    output: Option<PathBuf>,
    /// Start from the weights of a run or of a checkpoint (.pt, .pth, .safetensors): of all tensors
    /// whose names and shapes match; the others are drawn, and the program says which and why.
    #[arg(long, value_name = "RUN|FILE")]
    from: Option<PathBuf>,
    #[command(flatten)]
    matching: Matching,
    /// Go on with the checkpoint in the folder; the weights end up as if it had never stopped.
    #[arg(long)]
    resume: bool,
    /// Continue a stopped training even if something that its bits depend on has changed
    /// (recordings, precision, kernels, machine, workers, version); its weights then differ from
    /// those of a training that was never stopped.
    #[arg(long)]
    allow_changed: bool,
    /// Workers of this process that share each batch and the threads; every one takes `train.batch`
    /// samples (default: one for each device of the list).
    #[arg(long, value_name = "N")]
    workers: Option<usize>,
}

impl Train {
    /// Runs the command.
    pub fn run(self, global: &Global, console: &Console, world: &Processes) -> Result<()> {
        let ranks = world.ranks();
        if self.from.is_none() && self.matching.given() {
            bail!("`--decay-input`, `--map` and `--entry` say how `--from` is read; give it, or leave them out");
        }
        let workers = self.workers(&global.device, &ranks)?;
        let devices = self.devices(&global.device, workers, &ranks)?;
        let (given, shared) = self.load(&ranks, workers)?;
        let path = self.output.clone().unwrap_or_else(|| self.default_folder(&given));
        check_epochs(&given)?;
        self.check_phases(&given, &path, workers.max(ranks.size()), console)?;
        let (folder, given, finished) = match ranks.is_first() {
            true => self.open(&path, given, console)?,
            false => (RunFolder::at(&path), given, false),
        };
        let finished = ranks.from_first(|| Ok(vec![u8::from(finished)]))? == [1];
        let facts = if finished {
            if !ranks.is_first() {
                return Ok(());
            }
            console.line(&format!("{}: has finished already", path.display()));
            folder.facts()?
        } else {
            let quiet = Quiet(console);
            let progress = |ranks: &Ranks| -> &dyn Progress { if ranks.is_first() { console } else { &quiet } };
            if let Some(line) = shared.filter(|_| ranks.is_first()) {
                console.line(&line);
            }
            // The first process opens the source before the others, so that it alone writes the
            // cache.
            let source = ranks.first_then_all(|| Source::open_with(&given.data, given.seed, progress(&ranks)))?;
            let parts = Parts::of(&source, &given.data, given.seed)?;
            let start = self.start(&given, &source)?;
            let continues = self.run_to_continue().map(|run| continued(run, &given)).transpose()?;
            for line in start.iter().flat_map(|s| &s.said).filter(|_| ranks.is_first()) {
                console.line(line);
            }
            let work = |ranks: &Ranks| {
                let (recipe, source, parts, folder) = (&given, &source, &parts, &folder);
                // Each worker of a single process has its own device; several processes take the
                // devices in turn.
                let device = &devices[ranks.rank() % devices.len()];
                let (command, allow_changed) = (Some(command_line()), self.allow_changed);
                let job = Job {
                    recipe,
                    source,
                    parts,
                    folder,
                    initial: start.as_ref().map(|s| s.weights.clone()),
                    continues: continues.as_ref().map(|c| c.0.clone()),
                    base: start.as_ref().map(|s| &s.base).or(continues.as_ref().map(|c| &c.1)).cloned(),
                    command,
                    device,
                    allow_changed,
                    event_driven: Some(&EngineForward),
                };
                train_as(job, ranks, progress(ranks))
            };
            let done = match workers {
                1 => work(&ranks),
                n => {
                    let threads = (rayon::current_num_threads() / n).max(1);
                    threads::run(n, threads, |ranks| work(&ranks)).map(|mut all| all.remove(0))
                }
            };
            done.map_err(|e| stopped(e, "the same command with `--resume` goes on from there"))?
        };
        if !ranks.is_first() {
            return Ok(());
        }
        if given.finetune.is_some() {
            return self.fine_tune(&path, facts, &devices[0], global, console);
        }
        if global.json {
            return print_json(&facts);
        }
        if let Some(last) = folder.metrics()?.last() {
            say!("{} epochs, loss {:.4}, training accuracy {:.2} %", last.epoch, last.train_loss, last.train_accuracy);
        }
        say!("weights in {}\nnext: tickless eval {}", folder.file("weights.safetensors").display(), path.display());
        Ok(())
    }

    /// Checks the phases after the training before it begins.
    fn check_phases(&self, recipe: &Recipe, path: &Path, workers: usize, console: &Console) -> Result<()> {
        if recipe.finetune.is_none() {
            return Ok(());
        }
        if workers > 1 {
            bail!(
                "{}: `finetune` needs one worker, not {workers}: leave it out of the recipe, and run `tickless finetune` \
                 after the training",
                self.recipe.recipe.display()
            );
        }
        let source = Source::open_with(&recipe.data, recipe.seed, console)?;
        let (shape, kind) = source.input();
        let network = recipe.network.build(shape, kind, source.dataset().classes())?;
        bias_free::check(recipe, &network, &initial_weights(recipe, &network), path, self.resume)
    }

    /// The phases after the training: conversion and fine-tuning, one run for each strategy.
    fn fine_tune(
        &self,
        path: &Path,
        facts: RunFacts,
        device: &Device,
        global: &Global,
        console: &Console,
    ) -> Result<()> {
        let run = RunFolder::open(path)?.load()?;
        let Some(how) = &run.recipe.finetune else { return Ok(()) };
        let (mut all, mut next) = (vec![facts], Vec::new());
        for (strategy, output) in bias_free::planned(how, path) {
            let made = BiasFree {
                how,
                strategy,
                output: output.clone(),
                resume: self.resume,
                allow_changed: self.allow_changed,
                command: bias_free::command(how, path, strategy, &output),
            };
            let (facts, network) = made.make(&run, path, device, console)?;
            all.push(facts);
            next.push(format!("bias-free network in {}\nnext: {}", output.display(), next_step(&network, &output)));
        }
        if global.json {
            return print_json(&all);
        }
        say!("weights in {}\n{}", run.folder.file("weights.safetensors").display(), next.join("\n"));
        Ok(())
    }

    /// Number of workers in this process: as given, or one per device of the list.
    fn workers(&self, devices: &str, ranks: &Ranks) -> Result<usize> {
        match (self.workers, ranks.size()) {
            (Some(0), _) => bail!("`--workers` = 0: give at least 1"),
            (Some(n), _) if n > LARGEST_THREADS => bail!("`--workers` = {n}: give at most {LARGEST_THREADS}"),
            (Some(n), processes) if n > 1 && processes > 1 => {
                bail!("`--workers {n}` in {processes} processes: start more processes instead")
            }
            (Some(n), _) => Ok(n),
            (None, 1) => Ok(listed(devices)),
            (None, _) => Ok(1),
        }
    }

    /// The devices of this process's workers. If there are several processes, each takes one of the
    /// list.
    fn devices(&self, names: &str, workers: usize, ranks: &Ranks) -> Result<Vec<Device>> {
        if ranks.is_alone() {
            return Ok(devices(names, workers)?);
        }
        let mine = names.split(',').nth(ranks.rank() % listed(names)).unwrap_or(names);
        Ok(devices(mine, 1)?)
    }

    /// The finished run that this command goes on with.
    fn run_to_continue(&self) -> Option<&Path> {
        let of = &self.recipe;
        (of.changes.epochs.is_some() && of.recipe.join("run.json").is_file()).then_some(of.recipe.as_path())
    }

    /// The folder if `--output` names none.
    fn default_folder(&self, recipe: &Recipe) -> PathBuf {
        let Some(run) = self.run_to_continue() else { return run_folder(&self.recipe.recipe, recipe) };
        let name = run.file_name().map_or_else(|| "run".into(), |n| n.to_string_lossy());
        run.with_file_name(format!("{name}-epochs{}", recipe.train.epochs))
    }

    /// The recipe with the batch of all workers together, and a line that says so.
    fn load(&self, ranks: &Ranks, workers: usize) -> Result<(Recipe, Option<String>)> {
        if let Some(run) = self.run_to_continue() {
            let changes = &self.recipe.changes;
            if !changes.set.is_empty() || self.from.is_some() {
                bail!("{}: a run goes on with its recipe; give `--epochs` without `--set` and `--from`", run.display());
            }
            let mut recipe = RunFolder::open(run)?.recipe()?;
            recipe.train.epochs = changes.epochs.unwrap_or(recipe.train.epochs);
            recipe.data.path = changes.data.clone().or(recipe.data.path);
            recipe.check().map_err(|problem| anyhow!("{}: {problem}", run.display()))?;
            absolute(&mut recipe)?;
            return Ok((recipe, None));
        }
        let workers = workers.max(ranks.size());
        let (file, mut changes) = (&self.recipe.recipe, self.recipe.changes.clone());
        let alone = changes.load(file)?;
        if workers == 1 {
            return Ok((alone, None));
        }
        let (each, all) = (alone.train.batch, alone.train.batch.saturating_mul(workers));
        changes.set.push(format!("train.batch={all}"));
        let line = format!("{workers} workers of {each} samples each: batches of {all}");
        Ok((changes.load(file)?, Some(line)))
    }

    /// The weights that the training starts from, if `--from` names some.
    fn start(&self, recipe: &Recipe, source: &Source) -> Result<Option<Start>> {
        let Some(from) = &self.from else { return Ok(None) };
        let (shape, kind) = source.input();
        let network = recipe.network.build(shape, kind, source.dataset().classes())?;
        let drawn = initial_weights(recipe, &network);
        checkpoint::start(from, &self.matching, &network, drawn).map(Some)
    }

    /// The run folder, the recipe that is stored there, and whether the run has finished.
    fn open(&self, path: &Path, given: Recipe, console: &Console) -> Result<(RunFolder, Recipe, bool)> {
        let (folder, begun) = begin(path, Some(self.resume), console)?;
        if !begun {
            return Ok((folder, given, false));
        }
        let finished = folder.finished()?;
        let remedy = "resume with the same recipe and options, or start anew with `--output`";
        let recipe = to_go_on(path, folder.recipe()?, &given, finished, remedy)?;
        // A folder without facts has no checkpoint either, so its training begins at the beginning.
        let base = folder.facts().ok().and_then(|f| f.base);
        let given = self.from.as_deref().or(self.run_to_continue()).map(|f| f.display().to_string());
        if folder.file("run.json").is_file() && base != given {
            let begun = base.map_or_else(|| "without `--from`".to_owned(), |b| format!("from {b}"));
            bail!("{}: was begun {begun}; resume it so, or start anew with `--output`", path.display());
        }
        Ok((folder, recipe, finished))
    }
}

/// The checkpoint of a finished run for a longer training, and the run as its origin.
fn continued(run: &Path, longer: &Recipe) -> Result<(Checkpoint, Base)> {
    let folder = RunFolder::open(run)?;
    if !folder.finished()? {
        bail!("{}: has not finished; the command that began it finishes it with `--resume`", run.display());
    }
    let Some(checkpoint) = folder.checkpoint()? else {
        bail!("{}: has no checkpoint to go on from; start from its weights with `--from`", run.display());
    };
    let recipe = folder.recipe()?;
    let checkpoint = match checkpoint.continued(&recipe, longer) {
        Err(tickless_train::Error::OtherRecipe { .. }) => {
            bail!("{}: its checkpoint is of another recipe; start from its weights with `--from`", run.display())
        }
        other => other?,
    };
    Ok((checkpoint, Base { from: run.display().to_string(), strategy: folder.facts()?.strategy }))
}
