//! `tickless predict RUN FILE...`: classifies recordings, images and streams with a trained run.

use super::early_exit::UNCALIBRATED;
use super::eval::steps;
use crate::arguments::{ChoiceArgs, Global, PeriodArg, RunArgs, check_leak, word_parser};
use crate::output::{note, say};
use crate::progress::Console;
use crate::reading::{ReadArgs, explained_below};
use crate::shown::json;
use anyhow::{Context, Result, bail, ensure};
use clap::Args;
use serde::Serialize;
use std::cell::Cell;
use std::path::{Path, PathBuf};
use tickless::predict::{Answer, Dropped, Heard, Predictor, Spent, StreamOptions, Why};
use tickless::tune::Tuning;
use tickless::{ExitAt, OperatingPoint};
use tickless_engine::Forgetting;
use tickless_events::Sample;
use tickless_events::datasets::own_file::OtherSize;
use tickless_events::formats::{self, EventReader, ReadOptions};
use tickless_net::{ExitRule, InputKind, LeakRule};
use tickless_train::data::Source;
use tickless_train::device::device;
use tickless_train::run::Loaded;

/// Classify recordings, images, or a stream from a pipe.
#[derive(Debug, Args)]
#[command(after_help = "Examples:
  tickless predict runs/nmnist-mtt-seed1 a.bin b.raw               clocked, at T_max
  tickless predict runs/nmnist-mtt-seed1 a.bin --steps 4 --top 3
  tickless predict runs/nmnist-mtt-seed1 a.bin --steps 10 --exit confidence --alpha 0.95
  tickless predict runs/nmnist-mtt-seed1 a.bin --configuration 4,2,1
  tickless predict runs/nmnist-mtt-seed1 a.bin --event-driven --json
  tickless predict runs/cifar10-resnet18-mtt-seed1000 cat.png --scale
  tickless predict runs/nmnist-mtt-seed1 - --window-ms 200 < /dev/camera     a stream

The answers are those of `tickless eval` and `tickless simulate` for the same file. The
confidence is calibrated on the validation part of the run, once for each setting; the run
keeps the temperature.

`-` is a stream of events on standard input. Without a clock it is answered while it comes:
when the exit's rule first holds (default: confidence above 0.9), when a sure answer changes,
after a pause, if the clock of the stream goes back, and at the end. The readout of a stream forgets: by default it adds up what
came within the last window, which is as long as the mean training recording, and moves on in
twentieths of its length. A pause longer than --silence-ms returns the network to rest,
because another object begins. With --steps a stream is read to its end first.")]
pub struct Predict {
    #[command(flatten)]
    run: RunArgs,
    /// Recordings in any format, images (PNG, JPEG) if the run was trained on images, or `-`.
    #[arg(required = true, value_name = "FILE")]
    files: Vec<PathBuf>,
    /// Show this many classes, the most probable first.
    #[arg(long, default_value_t = 1)]
    top: usize,
    /// Number of time steps (default: T_max, or none for `-`).
    #[arg(long, value_name = "T", conflicts_with_all = ["event_driven", "configuration"])]
    steps: Option<usize>,
    /// A number of steps for each stage.
    #[arg(long, visible_alias = "mixed", value_name = "T1,T2,..", conflicts_with = "event_driven")]
    configuration: Option<String>,
    /// What the leak belongs to at time steps (default: the first of the recipe).
    #[arg(long, value_parser = word_parser(LeakRule::WORDS), conflicts_with = "event_driven")]
    leak: Option<LeakRule>,
    /// Run event by event, without time steps.
    #[arg(long)]
    event_driven: bool,
    /// Give single-spike neurons this refractory period in an event-driven run, in steps of T_max;
    /// `none` for no period.
    #[arg(long, value_name = "STEPS", requires = "event_driven")]
    refractory: Option<String>,
    /// Stop by this rule: confidence (largest probability above α), margin (difference of the two
    /// largest above α), entropy (relative to that of equal probabilities, below α), learned
    /// (probability that stopping loses nothing, learned on the validation part, above α).
    #[arg(long, value_name = "RULE", value_parser = word_parser(ExitRule::WORDS))]
    exit: Option<ExitRule>,
    /// The threshold α, 0 to 1 (default: 0.9 for confidence, 0.8 for margin, 0.1 for entropy, 0.97 for
    /// learned).
    #[arg(long, requires = "exit")]
    alpha: Option<f64>,
    /// Scale samples of another size to that of the run's.
    #[arg(long)]
    scale: bool,
    #[command(flatten)]
    choice: ChoiceArgs,
    #[command(flatten)]
    stream: StreamArgs,
    #[command(flatten)]
    read: ReadArgs,
}

/// The options of a stream.
#[derive(Debug, Args)]
#[command(next_help_heading = "Streams (`-` without a clock)")]
struct StreamArgs {
    /// How the readout forgets: window (sums of the last --window-ms), leak (sums decay with the
    /// time constant --window-ms), never.
    #[arg(long, value_parser = word_parser(Forgetting::WORDS), default_value = "window")]
    forget: Forgetting,
    /// Window or time constant in ms (default: the mean length of a training recording).
    #[arg(long, value_name = "MS")]
    window_ms: Option<f64>,
    /// A pause longer than this many ms ends an object and returns the network to rest.
    #[arg(long, value_name = "MS", default_value_t = 100.0)]
    silence_ms: f64,
    /// Also answer at intervals of this many ms of the stream's time.
    #[arg(long, value_name = "MS")]
    every_ms: Option<f64>,
    /// Format of the stream, if its bytes do not tell (default: text).
    #[arg(long, value_name = "NAME")]
    format: Option<String>,
}

/// An answer, as `--json` prints it: one line each.
#[derive(Debug, Serialize)]
struct Line<'a> {
    file: String,
    /// Name of the class.
    class: &'a str,
    /// Its index.
    label: usize,
    confidence: f64,
    /// Whether the temperature of the confidence was fitted on a validation part.
    calibrated: bool,
    #[serde(flatten)]
    spent: &'a Spent,
    stopped_early: bool,
    /// The most probable classes.
    top: Vec<Probable<'a>>,
    /// The readout of each class: mean logits, or the accumulated sums without a clock.
    scores: &'a [f32],
    /// How it was answered.
    setting: String,
    /// The budget for which `tune` has chosen this setting.
    #[serde(skip_serializing_if = "Option::is_none")]
    tuned_for: Option<&'a str>,
    #[serde(flatten)]
    heard: Option<HeardLine>,
}

#[derive(Debug, Serialize)]
struct Probable<'a> {
    class: &'a str,
    label: usize,
    probability: f64,
}

/// What a line about a stream says besides.
#[derive(Debug, Serialize)]
struct HeardLine {
    object: u64,
    t_us: u64,
    why: Why,
    forget: Forgotten,
}

/// How the readout of a stream forgets.
#[derive(Debug, Clone, Copy, Serialize)]
struct Forgotten {
    how: &'static str,
    us: u64,
    silence_us: u64,
}

impl Predict {
    /// Runs the command.
    pub fn run(self, global: &Global, console: &Console) -> Result<()> {
        console.nothing_to_save();
        let streams = self.files.iter().filter(|f| is_stdin(f)).count();
        ensure!(streams <= 1, "`-` is given {streams} times: standard input can be read once");
        ensure!(self.top > 0, "--top 0: an answer has at least 1 class");
        // A wrong name among many is an error before the first answer.
        for file in self.files.iter().filter(|f| !is_stdin(f)) {
            std::fs::metadata(file).map_err(|source| tickless_events::Error::Io { path: file.clone(), source })?;
        }
        let run = self.run.load()?;
        let image = run.network.input().kind == InputKind::Image;
        ensure!(
            !image || streams == 0,
            "`-` is a stream of events, and this run was trained on images: give an image file"
        );
        let tuned = self.tuned(&run, streams > 0)?;
        let at = match &tuned {
            Some(tuning) => tuning.chosen.point.clone(),
            None => self.point(&run, streams > 0)?,
        };
        let budget = tuned.map(|t| t.budget.to_string());
        let options = self.stream_options(&run)?;
        let predictor = Predictor::new(&run, run.model(&device(&global.device)?)?, at, console)?;
        let names = run.source.dataset().class_names();
        let stream = (streams > 0).then_some(options);
        let begun = Cell::new(false);
        let printer = Printer { names, predictor: &predictor, top: self.top, json: global.json, budget, stream, begun };
        for file in &self.files {
            let name = file.display().to_string();
            let done = match is_stdin(file) {
                true => self.standard_input(&run, &predictor, &printer, options, console),
                false => self.file(&run, &predictor, file).map(|answer| printer.line(&name, &answer, None)),
            };
            done.map_err(explained_below)?;
        }
        Ok(())
    }

    /// The choice that the run keeps, if no option asks for another form and it can answer.
    fn tuned(&self, run: &Loaded, is_stream: bool) -> Result<Option<Tuning>> {
        let asked = self.steps.is_some()
            || self.configuration.is_some()
            || self.leak.is_some()
            || self.event_driven
            || self.exit.is_some();
        if asked {
            return Ok(None);
        }
        let kept = self.choice.kept(run)?;
        // A stream is answered while it comes only without a clock, and when it is sure.
        let answers = |t: &Tuning| match t.chosen.point {
            OperatingPoint::EventDriven { exit, .. } => !is_stream || exit.is_some(),
            OperatingPoint::Clocked { .. } => !is_stream,
        };
        Ok(kept.filter(answers))
    }

    /// The operating point that the options ask for.
    fn point(&self, run: &Loaded, is_stream: bool) -> Result<OperatingPoint> {
        if let Some(alpha) = self.alpha.filter(|a| !(0.0..=1.0).contains(a)) {
            bail!("--alpha {alpha}: a threshold lies between 0 and 1, for instance 0.9");
        }
        let exit = self.exit.map(|rule| ExitAt { rule, alpha: self.alpha.unwrap_or_else(|| usual(rule)) });
        let clocked = self.steps.is_some() || self.configuration.is_some() || self.leak.is_some();
        if self.event_driven || (is_stream && !clocked) {
            ensure!(
                run.network.input().kind == InputKind::Events,
                "this run was trained on images, which have no events: leave out --event-driven"
            );
            let exit = if is_stream { exit.or(Some(SURE)) } else { exit };
            let neurons = self.refractory.as_deref().map(|word| PeriodArg::parse(word)?.neurons(run)).transpose()?;
            return Ok(OperatingPoint::EventDriven { neurons, exit });
        }
        let first = run.recipe.eval.leak.first().copied().unwrap_or(LeakRule::Step);
        let image = run.network.input().kind == InputKind::Image;
        check_leak(run, self.leak)?;
        let leak = if image { LeakRule::Step } else { self.leak.unwrap_or(first) };
        let configuration = match (&self.configuration, self.steps) {
            (Some(text), _) => steps(text)?,
            (None, Some(t)) => vec![steps(&t.to_string())?[0]; run.network.stages()],
            (None, None) => vec![run.facts.t_max; run.network.stages()],
        };
        tickless_train::model::check_configuration(&run.network, &configuration)?;
        Ok(OperatingPoint::Clocked { configuration, leak, exit })
    }

    fn stream_options(&self, run: &Loaded) -> Result<StreamOptions> {
        let StreamArgs { forget, window_ms, silence_ms, every_ms, .. } = &self.stream;
        let us = |option: &str, ms: f64| match ms > 0.0 && ms < 1e12 {
            true => Ok((ms * 1e3).round().max(1.0) as u64),
            false => bail!("{option} {ms}: give a number of ms above 0, for instance 100"),
        };
        // The mean span of a training recording.
        let span = run.facts.step_us.map_or(1e6, |step| step * run.facts.t_max as f64) / 1e3;
        Ok(StreamOptions {
            forgetting: *forget,
            forget_us: us("--window-ms", window_ms.unwrap_or(span))?,
            silence_us: us("--silence-ms", *silence_ms)?,
            every_us: every_ms.map(|ms| us("--every-ms", ms)).transpose()?,
        })
    }

    fn other_size(&self) -> OtherSize {
        if self.scale { OtherSize::Scale } else { OtherSize::Refuse }
    }

    fn read_options(&self, run: &Loaded) -> Result<ReadOptions> {
        self.read.over(Source::read_options(&run.recipe.data)?)
    }

    fn file(&self, run: &Loaded, predictor: &Predictor<'_>, file: &Path) -> Result<Answer> {
        let sample = run.source.own(file, &self.read_options(run)?, self.other_size())?;
        warn_if_empty(&sample, &file.display());
        predictor.answer(&sample).with_context(|| file.display().to_string())
    }

    fn standard_input(
        &self,
        run: &Loaded,
        predictor: &Predictor<'_>,
        printer: &Printer<'_>,
        options: StreamOptions,
        console: &Console,
    ) -> Result<()> {
        // Formats without a magic number are recognised by the name.
        let extension = match &self.stream.format {
            None => "txt",
            Some(name) => formats::by_name(name)?.extensions.first().copied().unwrap_or_default(),
        };
        let name = format!("standard-input.{extension}");
        let reader = EventReader::from_read_with(std::io::stdin(), &name, &self.read_options(run)?)?;
        let is_guess = self.stream.format.is_none() && reader.format() == "text";
        let hint = |e: anyhow::Error| if is_guess && !printer.begun.get() { e.context(READ_AS_TEXT) } else { e };
        if let OperatingPoint::Clocked { .. } = predictor.at() {
            let events = reader.read_to_end().map_err(|e| hint(e.into()))?;
            let sample = run.source.own_stream(events, &name, self.other_size())?;
            warn_if_empty(&sample, &"`-`");
            printer.line("-", &predictor.answer(&sample)?, None);
            return Ok(());
        }
        let mut hear = |heard: Heard| printer.line("-", &heard.answer, Some((&heard, &options)));
        let dropped = predictor
            .listen(reader, &name, self.other_size(), options, console, &mut hear)
            .map_err(|e| hint(e.into()))?;
        let Dropped { late, outside, of, .. } = dropped;
        if late > 0 {
            note!("{late} of {of} events were earlier than the one before them, and were dropped");
        }
        if outside > of / 2 {
            note!(
                "warning: {outside} of {of} events lay outside the input of the network, and were dropped: state the \
                 sensor of the stream with `--sensor WIDTHxHEIGHT` and `--scale`"
            );
        } else if outside > 0 {
            note!("{outside} of {of} events lay outside the input of the network, and were dropped");
        }
        if !printer.begun.get() {
            note!("warning: `-`: held no events, so there is no answer");
        }
        Ok(())
    }
}

/// What is said of a stream that is no text, if nothing else says its format.
const READ_AS_TEXT: &str = "`-` is read as text, because its bytes tell no other format; if it has one, name it with \
                            `--format`, for example `--format nmnist-bin`";

/// Warns of a recording without events, because the network answers it too.
fn warn_if_empty(sample: &Sample, name: &dyn std::fmt::Display) {
    if matches!(sample, Sample::Events(recording) if recording.is_empty()) {
        note!("warning: {name}: holds no events, so the answer is that of the network at rest");
    }
}

/// The exit of a stream if none is asked for.
const SURE: ExitAt = ExitAt { rule: ExitRule::Confidence, alpha: 0.9 };

/// The threshold of a rule if none is given.
fn usual(rule: ExitRule) -> f64 {
    match rule {
        ExitRule::Confidence => 0.9,
        ExitRule::Margin => 0.8,
        ExitRule::Entropy => 0.1,
        ExitRule::Learned => 0.97,
    }
}

fn is_stdin(file: &Path) -> bool {
    file.as_os_str() == "-"
}

/// Prints answers as rows of a table or as lines of JSON.
struct Printer<'a> {
    names: Vec<String>,
    predictor: &'a Predictor<'a>,
    top: usize,
    json: bool,
    /// The budget of the choice that is used, if one is.
    budget: Option<String>,
    /// How a stream is answered, if one is.
    stream: Option<StreamOptions>,
    /// Whether a line has been printed.
    begun: Cell<bool>,
}

impl Printer<'_> {
    fn name(&self, class: usize) -> &str {
        self.names.get(class).map_or("?", String::as_str)
    }

    /// Says how the answers are made.
    fn head(&self) {
        let temperature = self.predictor.temperature();
        if !temperature.is_calibrated() {
            note!("{UNCALIBRATED}");
        }
        if self.json {
            return;
        }
        let calibrated = match temperature.samples {
            0 => "confidence uncalibrated".to_owned(),
            n => format!("confidence calibrated on {n} validation samples (g = {:.3})", temperature.gain),
        };
        let chosen = self.budget.as_ref().map(|b| {
            format!(
                " (chosen by `tune` for {b}; --steps, --event-driven or \
             --untuned override it)"
            )
        });
        say!("{}{}; {calibrated}", self.predictor.at(), chosen.unwrap_or_default());
        if let (Some(options), OperatingPoint::EventDriven { .. }) = (self.stream, self.predictor.at()) {
            let ms = |us: u64| us as f64 / 1e3;
            let how = match options.forgetting {
                Forgetting::Never => "the readout forgets nothing".to_owned(),
                Forgetting::Window => format!("the readout adds up the last {} ms", ms(options.forget_us)),
                Forgetting::Leak => format!("the readout decays with a time constant of {} ms", ms(options.forget_us)),
            };
            say!("{how}; a pause of more than {} ms returns the network to rest", ms(options.silence_us));
        }
        say!("{:<28} {:<16} {:>10}  {:<34} top", "file", "class", "confidence", "after");
    }

    fn line(&self, file: &str, answer: &Answer, heard: Option<(&Heard, &StreamOptions)>) {
        // An error before the first answer stands alone.
        if !self.begun.replace(true) {
            self.head();
        }
        let top = answer.top(self.top);
        if self.json {
            let line = Line {
                file: file.to_owned(),
                class: self.name(answer.class),
                label: answer.class,
                confidence: answer.confidence,
                calibrated: self.predictor.temperature().is_calibrated(),
                spent: &answer.spent,
                stopped_early: answer.stopped_early,
                top: top
                    .iter()
                    .map(|(label, p)| Probable { class: self.name(*label), label: *label, probability: *p })
                    .collect(),
                scores: &answer.scores,
                setting: self.predictor.at().to_string(),
                tuned_for: self.budget.as_deref(),
                heard: heard.map(|(heard, options)| HeardLine {
                    object: heard.object,
                    t_us: heard.t_us,
                    why: heard.why,
                    forget: Forgotten {
                        how: options.forgetting.as_str(),
                        us: options.forget_us,
                        silence_us: options.silence_us,
                    },
                }),
            };
            // Every field has a JSON form.
            say!("{}", json(&serde_json::to_string(&line).unwrap_or_default()));
            return;
        }
        let after = match &answer.spent {
            Spent::Steps { steps } => {
                let steps: Vec<String> = steps.iter().map(usize::to_string).collect();
                format!("T = {}", steps.join(","))
            }
            Spent::Events { events, us, .. } => format!("{events} events, {:.1} ms", *us as f64 / 1e3),
        };
        let after = match heard {
            None if answer.stopped_early => format!("{after}, stopped"),
            None => after,
            Some((heard, _)) => {
                let why = match heard.why {
                    Why::Sure => "sure",
                    Why::Changed => "changed",
                    Why::Regular => "so far",
                    Why::Silence => "pause",
                    Why::ClockBack => "clock went back",
                    Why::End => "end",
                };
                format!("{after}, {why}")
            }
        };
        let top: Vec<String> = top.iter().map(|(c, p)| format!("{} {:.1} %", self.name(*c), 100.0 * p)).collect();
        let top = if self.top > 1 { top.join(", ") } else { String::new() };
        let confidence = format!("{:.1} %", 100.0 * answer.confidence);
        say!(
            "{}",
            format!("{file:<28} {:<16} {confidence:>10}  {after:<34} {top}", self.name(answer.class)).trim_end()
        );
    }
}
