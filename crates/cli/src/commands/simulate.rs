//! `tickless simulate RUN`: runs the same weights without a clock.

use super::answers::show_answers;
use super::early_exit::EarlyExitArgs;
use crate::arguments::{ChoiceArgs, Global, Part, PeriodArg, RunArgs, word_parser};
use crate::output::{check_output, note, percent, print_json, say};
use crate::progress::Console;
use crate::report::{time_unit, with_error};
use crate::results::{Asked, StoredAnswers, keep_answers, write_samples};
use anyhow::{Result, bail};
use clap::Args;
use serde::Serialize;
use std::path::PathBuf;
use std::sync::Arc;
use tickless::OperatingPoint;
use tickless::simulate::asynchronous::{SweepRow, exact, measure};
use tickless::simulate::decisions::Decisions;
use tickless::simulate::tune::{Knob, Tried, Tuned, lacks_a_period, tune};
use tickless::simulate::{Simulation, compile, possible, simulate_answers};
use tickless::temperature::{temperature, temperature_of_changed};
use tickless_engine::{AsyncSession, Asynchrony, Order};
use tickless_kernels::Precision;
use tickless_net::Layer;
use tickless_train::data::SampleId;
use tickless_train::device::device;
use tickless_train::progress::Progress;
use tickless_train::run::Loaded;

/// Run a trained network event by event, with no time steps.
#[derive(Debug, Args)]
#[command(after_help = "Examples:
  tickless simulate runs/nmnist-mtt-seed1
  tickless simulate runs/nmnist-mtt-seed1 --limit 100 --json
  tickless simulate runs/nmnist-mtt-seed1 --order random --delay-us 20 --jitter-us 50
  tickless simulate runs/nmnist-mtt-seed1 --tune
  tickless simulate runs/nmnist-mtt-seed1 --refractory 0.5
  tickless simulate runs/nmnist-mtt-seed1 --exit confidence,margin -o exits  stops when sure
  tickless simulate runs/nmnist-mtt-seed1 --samples answers.csv

A network with a bias or batch norm cannot run so; `tickless finetune RUN --epochs 0` removes
them. With a delay, service time, queue, jitter or another order the recordings also run as on a
chip whose events take time (`tickless asynchrony` sweeps these). All numbers are this
simulator's, none a chip's.")]
pub struct Simulate {
    #[command(flatten)]
    run: RunArgs,
    /// Which recordings.
    #[arg(long, value_enum, default_value = "test")]
    part: Part,
    /// At most this many recordings (0 for all).
    #[arg(long, default_value_t = 0)]
    limit: usize,
    /// Find, on the validation part, the refractory period of single-spike neurons (none to one
    /// step of T_max) or the lower limit of multi-spike neurons (-1 to -30 thresholds, or none),
    /// for the network and for each layer, and run with it.
    #[arg(long, conflicts_with_all = ["refractory", "exit"])]
    tune: bool,
    /// Run single-spike neurons with this refractory period, in steps of T_max; `none` for no
    /// period.
    #[arg(long, value_name = "STEPS")]
    refractory: Option<String>,
    /// Write the answer to each recording as CSV: file, label, class, confidence, right; with --exit, for
    /// each rule and threshold, also the time and the events until it stopped.
    #[arg(long, value_name = "FILE.csv")]
    samples: Option<PathBuf>,
    #[command(flatten)]
    exits: EarlyExitArgs,
    #[command(flatten)]
    choice: ChoiceArgs,
    #[command(flatten)]
    model: ModelArgs,
}

/// The model of a chip's asynchrony.
#[derive(Debug, Args)]
struct ModelArgs {
    /// Order of simultaneous events.
    #[arg(long, value_parser = word_parser(Order::WORDS), default_value = "exact")]
    order: Order,
    /// Time from sending an event to its arrival in µs.
    #[arg(long, default_value_t = 0.0)]
    delay_us: f64,
    /// Time that a core needs for one event in µs.
    #[arg(long, default_value_t = 0.0)]
    service_us: f64,
    /// Events that a core lets wait; others are lost (default: no limit).
    #[arg(long)]
    queue: Option<usize>,
    /// Largest shift of the input's time stamps in µs.
    #[arg(long, default_value_t = 0.0)]
    jitter_us: f64,
    /// Seed of order and jitter.
    #[arg(long, default_value_t = 0)]
    seed: u64,
}

impl ModelArgs {
    /// The model; `None` if everything is exact.
    fn model(&self) -> Option<Asynchrony> {
        let ModelArgs { order, delay_us, service_us, queue, jitter_us, seed } = *self;
        let model = Asynchrony { order, delay_us, service_us, queue, jitter_us, seed, ..Asynchrony::default() };
        (model != Asynchrony { seed, ..Asynchrony::default() }).then_some(model)
    }
}

/// The simulation, with the results of asynchrony and of tuning if the user asked for them.
#[derive(Serialize)]
struct Shown<'a> {
    part: &'static str,
    #[serde(flatten)]
    simulation: &'a Simulation,
    asynchrony: Option<SweepRow>,
    #[serde(skip_serializing_if = "Option::is_none")]
    tuned: Option<&'a Tuned>,
}

impl Simulate {
    /// Runs the command.
    pub fn run(self, global: &Global, console: &Console) -> Result<()> {
        self.exits.check()?;
        if let Some(file) = &self.samples {
            check_output("--samples", file)?;
        }
        let mut run = self.run.load()?;
        if self.exits.is_asked_for() {
            return self.early_exits(&run, global, console);
        }
        let tuned = self.change(&mut run, console)?;
        let chosen = match self.tune || self.refractory.is_some() {
            true => None,
            false => self.choice.apply_neurons(&mut run)?,
        };
        if let Some(tuning) = &chosen {
            note!(
                "run as chosen for the budget {}: {}; the run keeps only results of its own neurons, which `--untuned` \
                 measures",
                tuning.budget,
                tuning.chosen.point
            );
        }
        let changed = self.tune || self.refractory.is_some() || chosen.is_some();
        let folder = &run.folder;
        let model = run.model(&device(&global.device)?)?;
        let ids = self.part.of(&run.parts, self.limit);
        if ids.is_empty() {
            bail!("the {} part of this run is empty", self.part);
        }
        let asynchrony = self.model.model();
        if let Some(model) = &asynchrony {
            // An invalid model is refused before the slow part.
            AsyncSession::new(&compile(&run)?, model)?;
        }
        let at = OperatingPoint::EVENT_DRIVEN;
        let fit = if changed { temperature_of_changed } else { temperature };
        let fitted = fit(&run, &model, &at, console)?.confidence(run.facts.t_max);
        let (s, answers) = simulate_answers(&run, &model, (ids, fitted), console, console.stop_flag())?;
        if let Some(file) = &self.samples {
            write_samples(file, &run, ids, &[Asked::of(&[], None, &answers)])?;
        }
        // The run's folder keeps the results only if they cover the whole test part, with the
        // run's own neurons and at full precision, because the clocked reference depends on the
        // precision.
        let own = !changed && model.precision() == Precision::F32;
        if self.part == Part::Test && self.limit == 0 && own {
            folder.write_result("simulate.json", &s)?;
            keep_answers(&run, StoredAnswers::of_event_driven(&run, &answers), console)?;
        }
        let asynchrony = asynchrony.map(|m| with_asynchrony(&run, ids, &m, console)).transpose()?;
        if global.json {
            return print_json(&Shown { part: self.part.as_str(), simulation: &s, asynchrony, tuned: tuned.as_ref() });
        }
        if let Some(tuned) = &tuned {
            show_tuned(&run, tuned);
        }
        say!("{} event by event on {} {} recordings (simulator)", run.facts.network, s.samples, self.part);
        let error = s.standard_error.map_or(String::new(), |e| format!(" ± {e:.2}"));
        say!("correct              {:>12.2} %{error}", s.accuracy);
        say!("events               {:>12.1} per recording", s.events);
        say!("synaptic operations  {:>12.0} per recording", s.synaptic_operations);
        say!("{:>16}  {:>8}  {:>14}  {:>24}", "layer", "neurons", "spikes/record.", "spike difference");
        for (l, (_, d)) in s.layers.iter().zip(&s.spike_difference) {
            let d = percent(*d);
            say!("{:>16}  {:>8}  {:>14.1}  {d:>24}", l.layer, l.neurons, l.spikes);
        }
        say!("spike difference: Σ|s0 − s| / Σ s0, s0 {}, s this", s.spike_difference_reference);
        match (&s.quantised, &s.quantised_refused) {
            (Some(q), _) => {
                let d: Vec<String> = q.spike_difference.iter().map(|(l, d)| format!("{l} {}", percent(*d))).collect();
                say!(
                    "8-bit weights, 16-bit potentials: {:.2} % correct, spike difference (s0 the float engine): {}",
                    q.accuracy,
                    d.join(", ")
                );
            }
            (None, Some(why)) => say!("not possible in 8 bit: {why}"),
            (None, None) => {}
        }
        if let Some(answers) = &s.answers {
            let names: Vec<String> = (0..answers.per_class.len()).map(|k| run.source.dataset().class_name(k)).collect();
            let fitted = s.decisions.as_ref().map_or(0, |d| d.gain_samples);
            show_answers("the end of each recording", &names, answers, fitted);
        }
        if let Some(d) = &s.decisions {
            curves(d);
        }
        if let Some(a) = asynchrony {
            let d = percent(a.spike_difference.unwrap_or(f64::INFINITY));
            say!("with asynchrony: {:.2} % correct, spike difference (s0 the exact engine): {d}", a.accuracy);
            say!("                 {:.1} events lost per recording, longest queue {}", a.lost, a.longest_queue);
        }
        if !changed && lacks_a_period(&run.network) {
            say!(
                "its neurons emit one spike a step and have no refractory period, so without a clock they may fire \
                 more often than at T = {}: try --tune or --refractory 1",
                run.facts.t_max
            );
        }
        for layer in &s.silent {
            say!("warning: layer `{layer}` never fired");
        }
        Ok(())
    }
}

impl Simulate {
    /// Measures early exits in event time, with the period of `--refractory`, the neurons that `tickless
    /// tune` has chosen, or the run's own.
    fn early_exits(&self, run: &Loaded, global: &Global, console: &Console) -> Result<()> {
        possible(run)?;
        let point = match &self.refractory {
            Some(word) => {
                let neurons = Some(PeriodArg::parse(word)?.neurons(run)?);
                OperatingPoint::EventDriven { neurons, exit: None }
            }
            None => match self.choice.kept(run)?.map(|t| t.chosen.point) {
                Some(point @ OperatingPoint::EventDriven { .. }) => point.with_exit(None),
                _ => OperatingPoint::EVENT_DRIVEN,
            },
        };
        let ids = self.part.of(&run.parts, self.limit);
        if ids.is_empty() {
            bail!("the {} part of this run is empty", self.part);
        }
        let model = run.model(&device(&global.device)?)?;
        let shown = (self.part, ids, self.samples.as_deref());
        self.exits.run_event_driven(run, &model, shown, &point, global, console)
    }

    /// Gives the neurons the period of `--refractory`, or tunes them on the validation part if
    /// `--tune` is given; returns the results of the tuning.
    fn change(&self, run: &mut Loaded, console: &Console) -> Result<Option<Tuned>> {
        if let Some(word) = &self.refractory {
            PeriodArg::parse(word)?.apply(run)?;
        }
        if !self.tune {
            return Ok(None);
        }
        let tuned = tune(run, self.limit, console, console.stop_flag())?;
        run.network = Arc::new(tuned.knob.set(&run.network, &tuned.tried[tuned.best].values));
        Ok(Some(tuned))
    }
}

/// Prints the settings tried on the validation part and the neurons of the best one.
fn show_tuned(run: &Loaded, tuned: &Tuned) {
    let what = match tuned.knob {
        Knob::Refractory => "refractory period in steps of T_max",
        Knob::LowerLimit => "lower limit in thresholds",
    };
    say!("{what}, on {} validation recordings:", tuned.samples);
    say!("{:>24}  {:>10}  {:>14}  {:>20}", "by layer", "% correct", "spikes/record.", "synaptic operations");
    let words = |t: &Tried| -> String {
        let word = |v: &Option<f64>| v.map_or("none".to_owned(), |v| v.to_string());
        let same = t.values.iter().all(|v| *v == t.values[0]);
        if same { word(&t.values[0]) } else { t.values.iter().map(word).collect::<Vec<_>>().join(", ") }
    };
    for (k, t) in tuned.tried.iter().enumerate() {
        let mark = match t.eight_bit {
            _ if k == tuned.best => " <",
            Some(false) => " 8 bit cannot hold it",
            _ => "",
        };
        let (accuracy, spikes, operations) = (t.accuracy, t.spikes, t.synaptic_operations);
        say!("{:>24}  {accuracy:>10.2}  {spikes:>14.1}  {operations:>20.0}{mark}", words(t));
    }
    for &i in &run.network.spiking() {
        let node = &run.network.nodes()[i];
        if let Layer::Neuron(n) = node.layer {
            say!("layer `{}`: {n}", node.name);
        }
    }
}

/// Compares the model with the exact engine on the same recordings.
fn with_asynchrony(run: &Loaded, ids: &[SampleId], model: &Asynchrony, console: &Console) -> Result<SweepRow> {
    let program = compile(run)?;
    console.start("asynchrony", ids.len() as u64, "recording");
    let row = measure(run, &program, ids, &exact(run, &program, ids)?, model, console)?;
    console.finish();
    Ok(row)
}

/// Prints the accuracy over time and over events, and the early exits, as tables.
fn curves(d: &Decisions) {
    let c = &d.curve;
    let (unit, name) = time_unit(c.time.iter().map(|p| p.us).max().unwrap_or(0) as f64);
    let after = format!("after {name}");
    say!("{after:>16}  {:>15}  |  {:>16}  {:>15}", "% correct", "after events", "% correct");
    // Every second point is enough for a table; the JSON has all points.
    for k in (0..c.time.len().max(c.events.len())).skip(1).step_by(2) {
        let time =
            c.time.get(k).map(|p| (format!("{:.1}", p.us as f64 / unit), with_error(p.accuracy, p.standard_error, 2)));
        let events = c.events.get(k).map(|p| (p.events.to_string(), with_error(p.accuracy, p.standard_error, 2)));
        let ((us, a), (n, b)) = (time.unwrap_or_default(), events.unwrap_or_default());
        say!("{us:>16}  {a:>15}  |  {n:>16}  {b:>15}");
    }
    let fitted = match d.gain_samples {
        0 => "no validation part to fit it on (`data.validation`)".to_owned(),
        n => format!("fitted on {n} validation recordings"),
    };
    say!("early exit at a confidence of softmax(g·Σ/T_max), g = {:.3}, {fitted}:", d.gain);
    let mean = format!("mean {name}");
    say!("{:>16}  {:>15}  {mean:>10}  {:>10}  {:>10}", "confidence", "% correct", "events", "% reached");
    for e in &c.exits {
        let mean = e.us / unit;
        let accuracy = with_error(e.accuracy, e.standard_error, 2);
        say!("{:>16}  {accuracy:>15}  {mean:>10.1}  {:>10.0}  {:>10.1}", e.confidence, e.events, e.reached);
    }
}
