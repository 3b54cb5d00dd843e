//! Turns finished runs into the values that a report shows.
//!
//! Runs that differ in seed or fold only form one row ([`rows`]), which shows the mean over the
//! runs and the standard error of the mean, sd/√n.

mod again;
mod group;
mod interval;

pub use again::again;
pub use group::{Group, Rows, rows};
pub use interval::Interval;

use crate::report as r;
use crate::results::{Evaluation, Finished, SampleAnswers, StoredAnswers};
use crate::shell::quoted;
use anyhow::{Result, bail};
use tickless::simulate::decisions::DecisionCurve;
use tickless::simulate::sample_course::{MembraneCourse, sample_course};
use tickless::simulate::{Simulation, trace};
use tickless::tune::Tuning;
use tickless_net::{InputKind, Neuron};
use tickless_train::evaluate::{LayerActivity, Point};
use tickless_train::run::Loaded;
use tickless_train::run::checkpoint::EpochMetrics;

/// Mean, and standard error of the mean (none for a single value).
pub fn mean(values: &[f64]) -> (f64, Option<f64>) {
    let n = values.len() as f64;
    let mean = values.iter().sum::<f64>() / n.max(1.0);
    if values.len() < 2 {
        return (mean, None);
    }
    let variance = values.iter().map(|v| (v - mean).powi(2)).sum::<f64>() / (n - 1.0);
    (mean, Some((variance / n).sqrt()))
}

/// The data of a report over rows of runs.
///
/// `command` is shown as the way to repeat the report: an experiment passes its own command line,
/// and a report over single runs the commands that repeat them.
///
/// # Errors
/// If there is no run, or a recording to be drawn cannot be decoded.
pub fn report(title: &str, command: &str, rows: &Rows) -> Result<r::ReportData> {
    let groups = &rows.groups;
    let Some(first) = groups.iter().flat_map(|g| &g.runs).next() else { bail!("there is no run to report") };
    let run = &first.run;
    let describe = run.source.dataset().describe();
    let machine = run.facts.machine.clone();
    let mut notes = rows.notes.clone();
    for group in groups {
        notes.extend(group_notes(group));
    }
    let is_other_network = |g: &&Group| g.runs[0].run.network != run.network;
    notes.extend(
        groups.iter().filter(is_other_network).map(|g| format!("{} is network {}.", g.name, in_short(&g.runs[0].run))),
    );
    let runs = groups.iter().map(|g| g.runs.len()).sum::<usize>();
    Ok(r::ReportData {
        title: title.to_owned(),
        purpose: if runs == 1 { again::purpose(first) } else { run.recipe.purpose.clone() },
        dataset: r::Dataset {
            name: describe.name.clone(),
            description: format!("{} {}", describe.source, describe.notes.join(" ")),
            simulated_camera: describe.simulated,
            classes: describe.classes,
            class_names: (0..run.network.output().len()).map(|k| run.source.dataset().class_name(k)).collect(),
            test_samples: tested(&groups[0]),
            mean_events: first.simulation.as_ref().map_or(run.facts.mean_events.unwrap_or(0.0), |s| s.events),
        },
        network: r::Network {
            name: run.network.name().to_owned(),
            neuron: first_neuron(run).map(|n| n.to_string()).unwrap_or_default(),
            stages: run.network.stages(),
            trainable_values: run.network.trainable_values(),
            layers: run.network.nodes().iter().map(layer_line).collect(),
        },
        t_max: run.facts.t_max,
        strategies: groups.iter().map(strategy).collect::<Result<_>>()?,
        sample: sample(run)?,
        origin: r::Origin {
            machine,
            tickless_version: run.facts.version.clone(),
            date: jiff::Timestamp::now().to_string().chars().take(10).collect(),
        },
        notes,
        command: command.to_owned(),
    })
}

/// Number of samples on which a row is tested. Folds test different samples, so they add up; seeds
/// test the same samples.
fn tested(group: &Group) -> usize {
    let first = &group.runs[0];
    let seed = first.run.facts.seed;
    let fold = |f: &&Finished| f.run.recipe.data.folds.is_some() && f.run.facts.seed == seed;
    let folds: Vec<&Finished> = group.runs.iter().filter(fold).collect();
    let samples = |f: &Finished| {
        let points = f.evaluation.as_ref().and_then(|e| e.points.first());
        points.map_or(f.run.parts.test.len(), |p| p.samples)
    };
    if folds.is_empty() { samples(first) } else { folds.into_iter().map(samples).sum() }
}

/// Sentences that a reader needs to judge a row: silent layers, missing results, missing folds.
fn group_notes(group: &Group) -> Vec<String> {
    let mut notes = Vec::new();
    let name = &group.name;
    for f in &group.runs {
        let silent = f.simulation.iter().flat_map(|s| &s.silent);
        notes.extend(silent.map(|l| format!("{name}, seed {}: layer {l} never fired.", f.run.facts.seed)));
        notes.extend(f.missing().into_iter().map(|m| format!("{name} leaves a run out: {m}.")));
        let steps = f.evaluation.as_ref().map(|e| e.of_another_temperature(f.run.facts.t_max));
        if let Some(steps) = steps.filter(|steps| !steps.is_empty()) {
            let (seed, run) = (f.run.facts.seed, quoted(&f.run.folder.path().display().to_string()));
            let remedy = format!("`tickless eval {run}` measures them at their own");
            notes.push(format!(
                "{name}, seed {seed}: the calibration errors at T = {} are of the temperature of T_max ({remedy}).",
                steps.join("; ")
            ));
        }
    }
    let evaluated: Vec<&Evaluation> = group.runs.iter().filter_map(|f| f.evaluation.as_ref()).collect();
    let mut partly: Vec<String> = Vec::new();
    for p in evaluated.iter().flat_map(|e| &e.points).filter(|p| p.steps().is_some()) {
        let text = format!("T = {}", p.configuration[0]);
        if !evaluated.iter().all(|e| e.at(&p.configuration, p.leak).is_some()) && !partly.contains(&text) {
            partly.push(text);
        }
    }
    if !partly.is_empty() {
        notes.push(format!("{name} has no value at {}: not all of its runs were evaluated there.", partly.join(", ")));
    }
    if group.runs.iter().any(|f| f.tuning.is_some()) && chosen(&group.runs).is_none() {
        notes.push(format!("{name} shows no chosen budget: not all of its runs were tuned for the same one."));
    }
    if let Some(of) = group.runs[0].run.recipe.data.folds.map(|f| f.of) {
        let given: Vec<usize> = group.runs.iter().filter_map(|f| f.run.recipe.data.folds.map(|f| f.fold)).collect();
        let lost: Vec<String> = (0..of).filter(|k| !given.contains(k)).map(|k| k.to_string()).collect();
        if !lost.is_empty() {
            notes.push(format!(
                "{name} is the mean of {} of {of} folds; not given: {}.",
                of - lost.len(),
                lost.join(", ")
            ));
        }
    }
    notes
}

/// The first neuron of the network. Built-in networks have the same neuron in every layer.
fn first_neuron(run: &Loaded) -> Option<Neuron> {
    run.network.nodes().iter().find_map(|n| match n.layer {
        tickless_net::Layer::Neuron(n) => Some(n),
        _ => None,
    })
}

/// Describes a network in one line.
fn in_short(run: &Loaded) -> String {
    let neuron = first_neuron(run).map(|n| format!(", {n}")).unwrap_or_default();
    let (name, values, stages) = (run.network.name(), run.network.trainable_values(), run.network.stages());
    format!("{name} ({values} trainable values, {stages} stages{neuron})")
}

fn layer_line(n: &tickless_net::Node) -> String {
    let stage = n.stage.map(|s| format!("  stage {}", s + 1)).unwrap_or_default();
    format!("{:<12} {:<14} {} → {}{stage}", n.name, n.layer.kind(), n.input, n.output)
}

fn strategy(group: &Group) -> Result<r::StrategyResult> {
    let runs = &group.runs;
    let evaluated: Vec<&Finished> = runs.iter().filter(|f| f.evaluation.is_some()).collect();
    let (mut points, mut mixed) = (Vec::new(), Vec::new());
    for p in evaluated.first().and_then(|f| f.evaluation.as_ref()).iter().flat_map(|e| &e.points) {
        let same = |f: &&Finished| f.evaluation.as_ref()?.at(&p.configuration, p.leak).cloned();
        // A point is shown only if all runs have it: a mean over some runs is not comparable with
        // the others.
        let Some(all) = evaluated.iter().map(same).collect::<Option<Vec<Point>>>() else { continue };
        let (accuracy, standard_error) = mean(&all.iter().map(|p| p.accuracy).collect::<Vec<_>>());
        let (loss, _) = mean(&all.iter().map(|p| p.loss).collect::<Vec<_>>());
        let leak = p.leak;
        let each = |f: &dyn Fn(&Point) -> Option<f64>| -> Option<f64> {
            all.iter().map(f).collect::<Option<Vec<f64>>>().map(|v| mean(&v).0)
        };
        let standard_error = standard_error.or(all[0].standard_error);
        let operations = each(&|p| p.operations.map(|o| o.effective_macs + o.effective_acs));
        let Some(steps) = p.steps() else {
            let configuration = p.configuration.clone();
            mixed.push(r::MixedPoint { configuration, leak, accuracy, standard_error, loss, operations });
            continue;
        };
        points.push(r::MeanPoint {
            steps,
            leak,
            accuracy,
            standard_error,
            loss,
            top5: each(&|p| Some(p.answers.as_ref()?.top5?.accuracy)),
            calibration_error: each(&|p| Some(p.answers.as_ref()?.calibration.expected_calibration_error)),
            confusion: confusion(&evaluated, &|a| a.at(&p.configuration, p.leak)),
            operations,
        });
    }
    let simulated: Vec<&Finished> = runs.iter().filter(|f| f.simulation.is_some()).collect();
    let simulations: Vec<&Simulation> = runs.iter().filter_map(|f| f.simulation.as_ref()).collect();
    // Seeds are listed of the runs that were measured, because the means are over those.
    let measured: Vec<&Finished> = runs.iter().filter(|f| f.evaluation.is_some() || f.simulation.is_some()).collect();
    let counted = if measured.is_empty() { runs.iter().collect() } else { measured };
    Ok(r::StrategyResult {
        name: group.name.clone(),
        strategy: group.strategy.clone(),
        t_max: runs[0].run.facts.t_max,
        seeds: counted.iter().map(|f| f.run.facts.seed).collect(),
        points,
        mixed,
        event_driven: event_driven(&simulations)
            .map(|e| r::EventDriven { confusion: confusion(&simulated, &|a| a.event_driven()), ..e }),
        curve: curve(runs)?,
        layers: layers(runs, &simulations),
        raster: runs.iter().find(|f| f.simulation.is_some()).map(raster).transpose()?.flatten(),
        course: simulated.first().map(|f| course(f)).transpose()?.flatten(),
        chosen: chosen(runs),
        train_seconds: runs.iter().map(|f| f.run.facts.train_seconds).sum(),
        iterations: runs[0].run.facts.iterations,
    })
}

/// The setting that the runs keep for a budget, with its results on the test part: means over the
/// runs. `None` unless all of them were tuned for the same budget.
fn chosen(runs: &[Finished]) -> Option<r::Chosen> {
    let all = runs.iter().map(|f| f.tuning.as_ref()).collect::<Option<Vec<&Tuning>>>()?;
    let first = all.first()?;
    if all.iter().any(|t| t.budget != first.budget) {
        return None;
    }
    let words = match all.iter().all(|t| t.chosen.point == first.chosen.point) {
        true => format!("{}: {}", first.budget, first.chosen.point),
        false => format!("{}: each run at a setting of its own", first.budget),
    };
    Some(r::Chosen { words, accuracy: over(&all, |t| t.test.accuracy), operations: over(&all, |t| t.test.operations) })
}

/// The confusion matrix of all runs together; `None` if a run has not stored its answers.
fn confusion(runs: &[&Finished], of: &dyn Fn(&StoredAnswers) -> Option<SampleAnswers>) -> Option<Vec<Vec<usize>>> {
    let mut sum: Option<Vec<Vec<usize>>> = None;
    for f in runs {
        let stored = f.answers.as_ref()?;
        let own = of(stored)?.confusion(&stored.labels(), f.run.network.output().len());
        match &mut sum {
            None => sum = Some(own),
            Some(sum) => {
                sum.iter_mut().flatten().zip(own.into_iter().flatten()).for_each(|(a, b)| *a += b);
            }
        }
    }
    sum
}

/// Loss and accuracy of each epoch that all runs have: means, and standard errors if there are
/// several runs.
fn curve(runs: &[Finished]) -> Result<Vec<r::EpochPoint>> {
    let histories = runs.iter().map(|f| f.run.folder.metrics()).collect::<tickless_train::Result<Vec<_>>>()?;
    let epochs = histories.iter().map(Vec::len).min().unwrap_or(0);
    let mut all = Vec::new();
    for k in 0..epochs {
        let at: Vec<_> = histories.iter().map(|h| &h[k]).collect();
        let (train_loss, loss_error) = mean(&at.iter().map(|m| m.train_loss).collect::<Vec<_>>());
        let (train_accuracy, train_error) = mean(&at.iter().map(|m| m.train_accuracy).collect::<Vec<_>>());
        let validation: Option<Vec<f64>> = at.iter().map(|m| m.validation_accuracy).collect();
        let validation = validation.map(|v| mean(&v));
        let error = validation.and_then(|v| v.1).unwrap_or(0.0);
        let before = |h: &Vec<EpochMetrics>| k.checked_sub(1).map_or(0.0, |k| h[k].seconds);
        all.push(r::EpochPoint {
            epoch: at[0].epoch,
            train_loss,
            train_accuracy,
            validation_accuracy: validation.map(|v| v.0),
            standard_errors: loss_error.zip(train_error).map(|(loss, train)| [loss, train, error]),
            learning_rate: at[0].learning_rate,
            seconds: over(&histories, |h| h[k].seconds - before(h)),
        });
    }
    Ok(all)
}

fn over<T>(all: &[T], f: impl Fn(&T) -> f64) -> f64 {
    mean(&all.iter().map(f).collect::<Vec<_>>()).0
}

fn event_driven(all: &[&Simulation]) -> Option<r::EventDriven> {
    let first = all.first()?;
    let (accuracy, standard_error) = mean(&all.iter().map(|s| s.accuracy).collect::<Vec<_>>());
    let last = |s: &&Simulation| s.spike_difference.last().map_or(0.0, |d| d.1);
    let per_layer = first.layers.iter().enumerate();
    let per_layer = per_layer.map(|(k, l)| (l.layer.clone(), over(all, |s| s.layers.get(k).map_or(0.0, |l| l.spikes))));
    Some(r::EventDriven {
        accuracy,
        standard_error: standard_error.or(first.standard_error),
        spikes_per_layer: per_layer.collect(),
        synaptic_operations: over(all, |s| s.synaptic_operations),
        events: over(all, |s| s.events),
        spike_difference: (!first.spike_difference.is_empty()).then(|| over(all, last)),
        samples: all.iter().map(|s| s.samples).sum(),
        decisions: decisions(all),
        calibration_error: all
            .iter()
            .map(|s| Some(s.answers.as_ref()?.calibration.expected_calibration_error))
            .collect::<Option<Vec<f64>>>()
            .map(|v| mean(&v).0),
        confusion: None,
    })
}

/// The mean curve if all runs were asked at the same moments (different seeds). Otherwise the curve
/// of the first run, because folds have different longest recordings.
fn decisions(all: &[&Simulation]) -> Option<DecisionCurve> {
    let curves: Vec<&DecisionCurve> = all.iter().filter_map(|s| s.decisions.as_ref().map(|d| &d.curve)).collect();
    let mut first = (*curves.first()?).clone();
    let moments = |c: &DecisionCurve| {
        let us: Vec<u64> = c.time.iter().map(|p| p.us).collect();
        (us, c.events.iter().map(|p| p.events).collect::<Vec<u64>>(), c.exits.len())
    };
    if curves.len() < all.len() || curves.iter().any(|c| moments(c) != moments(&first)) {
        return Some(first);
    }
    for (k, p) in first.time.iter_mut().enumerate() {
        let (accuracy, error) = mean(&curves.iter().map(|c| c.time[k].accuracy).collect::<Vec<_>>());
        (p.accuracy, p.standard_error) = (accuracy, error.or(p.standard_error));
    }
    for (k, p) in first.events.iter_mut().enumerate() {
        let (accuracy, error) = mean(&curves.iter().map(|c| c.events[k].accuracy).collect::<Vec<_>>());
        (p.accuracy, p.standard_error) = (accuracy, error.or(p.standard_error));
    }
    for (k, e) in first.exits.iter_mut().enumerate() {
        let (accuracy, error) = mean(&curves.iter().map(|c| c.exits[k].accuracy).collect::<Vec<_>>());
        (e.accuracy, e.standard_error) = (accuracy, error.or(e.standard_error));
        (e.us, e.events) = (over(&curves, |c| c.exits[k].us), over(&curves, |c| c.exits[k].events));
        e.reached = over(&curves, |c| c.exits[k].reached);
    }
    Some(first)
}

fn layers(runs: &[Finished], simulations: &[&Simulation]) -> Vec<r::LayerRates> {
    let evaluations: Vec<&Evaluation> = runs.iter().filter_map(|f| f.evaluation.as_ref()).collect();
    let Some(first) = evaluations.first() else { return Vec::new() };
    let layer_rates = |(k, l): (usize, &LayerActivity)| r::LayerRates {
        layer: l.layer.clone(),
        neurons: l.neurons,
        rate: over(&evaluations, |e| e.activity.get(k).map_or(0.0, LayerActivity::rate)),
        event_driven_rate: (!simulations.is_empty())
            .then(|| over(simulations, |s| s.layers.get(k).map_or(0.0, LayerActivity::rate))),
        silent: evaluations.iter().any(|e| e.activity.get(k).is_some_and(LayerActivity::silent)),
    };
    first.activity.iter().enumerate().map(layer_rates).collect()
}

fn raster(f: &Finished) -> Result<Option<r::Raster>> {
    if f.simulation.is_none() {
        return Ok(None);
    }
    let Some(&id) = f.run.parts.test.first() else { return Ok(None) };
    let (program, trace, class) = trace(&f.run, id)?;
    let recording = f.run.source.recording(id)?;
    let start = recording.t_first_us().unwrap_or(0);
    let sensor = recording.sensor();
    let name = |k: usize| f.run.source.dataset().class_name(k);
    let layer = |(l, info): (usize, &tickless_engine::LayerInfo)| {
        let index =
            |s: &tickless_engine::Spike| ((s.channel * info.shape.height + s.y) * info.shape.width + s.x) as u32;
        let spikes = trace.of(l).map(|s| (s.t_us - start, index(s))).collect();
        r::RasterLayer { name: info.name.clone(), neurons: info.shape.len() as u32, spikes }
    };
    Ok(Some(r::Raster {
        duration_us: recording.span_us(),
        layers: program.layers().iter().enumerate().map(layer).collect(),
        input: recording
            .iter()
            .map(|e| (e.t_us - start, u32::from(e.y) * u32::from(sensor.width) + u32::from(e.x)))
            .collect(),
        input_pixels: u32::from(sensor.width) * u32::from(sensor.height),
        label: name(f.run.source.label(id)),
        predicted: name(class),
    }))
}

/// Number of moments of the course of a recording, without the first.
const MOMENTS: usize = 200;

/// What the network thinks during the recording of the raster.
fn course(f: &Finished) -> Result<Option<r::Course>> {
    let (Some(&id), Some(simulation)) = (f.run.parts.test.first(), &f.simulation) else { return Ok(None) };
    let gain = simulation.decisions.as_ref().map_or(1.0, |d| d.gain);
    let c = sample_course(&f.run, id, gain, MOMENTS)?;
    let membrane = |m: MembraneCourse| r::Membrane {
        layer: m.layer,
        neuron: m.neuron,
        threshold: m.threshold,
        potentials: m.potentials,
    };
    let membranes = c.membranes.into_iter().map(membrane).collect();
    Ok(Some(r::Course { moments: c.moments, probabilities: c.probabilities, membranes }))
}

fn sample(run: &Loaded) -> Result<Option<r::InputSample>> {
    if run.network.input().kind == InputKind::Image {
        return Ok(None);
    }
    let Some(&id) = run.parts.test.first() else { return Ok(None) };
    let recording = run.source.recording(id)?;
    let frames = tickless_events::Framing::slices(8).frames::<u16>(&recording)?;
    let [t, _, height, width] = frames.shape;
    let pixels = height * width;
    let events = |k: usize, polarity: usize, i: usize| frames.data[(k * 2 + polarity) * pixels + i];
    let frame = |k: usize| (0..pixels).map(|i| [events(k, 1, i), events(k, 0, i)]).collect();
    Ok(Some(r::InputSample {
        label: run.source.dataset().class_name(run.source.label(id)),
        width,
        height,
        frames: (0..t).map(frame).collect(),
        duration_us: recording.span_us(),
        events: recording.len(),
    }))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_standard_error_is_that_of_the_mean() {
        assert_eq!(mean(&[4.0]), (4.0, None));
        let (m, se) = mean(&[1.0, 2.0, 3.0]);
        assert_eq!(m, 2.0);
        assert!((se.unwrap() - (1.0f64 / 3.0).sqrt()).abs() < 1e-12);
    }
}
