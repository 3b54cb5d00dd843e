//! From finished runs to the values a report shows.
//!
//! Runs of one strategy that differ in seed or fold are one row: means, and the standard error
//! of the mean over the runs, sd/√n.

use crate::report as r;
use crate::simulate::{Simulation, trace};
use anyhow::{Result, ensure};
use serde::{Deserialize, Serialize};
use std::path::Path;
use tickless_net::{InputKind, LeakRule};
use tickless_train::evaluate::{LayerActivity, Point};
use tickless_train::run::{Loaded, RunFolder};

/// `eval.json` of a run.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Evaluation {
    /// Which part was evaluated.
    pub part: String,
    /// Accuracy at each T and leak.
    pub points: Vec<Point>,
    /// Activity of the spiking layers, clocked at T_max.
    pub activity: Vec<LayerActivity>,
}

/// One finished run with its results.
pub struct Finished {
    /// The run.
    pub run: Loaded,
    /// Clocked, if evaluated.
    pub evaluation: Option<Evaluation>,
    /// Event-driven, if simulated.
    pub simulation: Option<Simulation>,
}

impl Finished {
    /// Opens a run and whatever results it has; its data set may lie elsewhere than its recipe says.
    ///
    /// # Errors
    /// If it is not a finished run or a result is damaged.
    pub fn open(folder: &RunFolder, data: Option<&Path>) -> Result<Self> {
        let run = folder.load_with(data)?;
        let has = |name: &str| folder.file(name).is_file();
        let evaluation = has("eval.json").then(|| folder.read_json("eval.json")).transpose()?;
        let simulation = has("simulate.json").then(|| folder.read_json("simulate.json")).transpose()?;
        Ok(Self { run, evaluation, simulation })
    }
}

/// Mean and standard error of the mean (none for one value).
pub fn mean(values: &[f64]) -> (f64, Option<f64>) {
    let n = values.len() as f64;
    let mean = values.iter().sum::<f64>() / n.max(1.0);
    if values.len() < 2 {
        return (mean, None);
    }
    let variance = values.iter().map(|v| (v - mean).powi(2)).sum::<f64>() / (n - 1.0);
    (mean, Some((variance / n).sqrt()))
}

/// A report over named groups of runs (one group a row).
///
/// # Errors
/// If there is no run, or a recording to draw cannot be decoded.
pub fn report(title: &str, command: &str, groups: &[(String, Vec<Finished>)]) -> Result<r::ReportData> {
    let first = groups.iter().flat_map(|g| &g.1).next();
    ensure!(first.is_some(), "there is no run to report");
    let Some(first) = first else { unreachable!("checked above") };
    let run = &first.run;
    let describe = run.source.dataset().describe();
    // The folds of a cross-validation test different samples, seeds test the same ones again.
    let folds = if run.recipe.data.folds.is_some() { groups[0].1.as_slice() } else { std::slice::from_ref(first) };
    let tested = folds.iter().map(|f| {
        let points = f.evaluation.as_ref().and_then(|e| e.points.first());
        points.map_or(f.run.parts.test.len(), |p| p.samples)
    });
    let tested = tested.sum();
    let neuron = run.network.nodes().iter().find_map(|n| match n.layer {
        tickless_net::Layer::Neuron(n) => Some(n),
        _ => None,
    });
    let machine = run.facts.machine.clone();
    let mut notes = Vec::new();
    for (name, runs) in groups {
        for f in runs {
            let silent = f.simulation.iter().flat_map(|s| &s.silent);
            notes.extend(silent.map(|l| format!("{name}, seed {}: layer {l} never fired.", f.run.facts.seed)));
        }
    }
    Ok(r::ReportData {
        title: title.to_owned(),
        purpose: run.recipe.purpose.clone(),
        dataset: r::Dataset {
            name: describe.name.clone(),
            description: format!("{} {}", describe.source, describe.notes.join(" ")),
            simulated_camera: describe.simulated,
            classes: describe.classes,
            test_samples: tested,
            mean_events: first.simulation.as_ref().map_or(run.facts.mean_events.unwrap_or(0.0), |s| s.events),
        },
        network: r::Network {
            name: run.network.name().to_owned(),
            neuron: neuron.map(|n| n.to_string()).unwrap_or_default(),
            stages: run.network.stages(),
            trainable_values: run.network.trainable_values(),
            layers: run.network.nodes().iter().map(layer_line).collect(),
        },
        t_max: run.facts.t_max,
        strategies: groups.iter().map(|(name, runs)| strategy(name, runs)).collect::<Result<_>>()?,
        sample: sample(run)?,
        machine: r::Machine {
            cpu: machine.cpu,
            cores: machine.cores,
            memory_gb: machine.memory_gb,
            os: machine.os,
            threads: machine.threads,
            tickless_version: run.facts.version.clone(),
            date: jiff::Timestamp::now().to_string().chars().take(10).collect(),
        },
        notes,
        command: command.to_owned(),
    })
}

fn layer_line(n: &tickless_net::Node) -> String {
    let stage = n.stage.map(|s| format!("  stage {}", s + 1)).unwrap_or_default();
    format!("{:<12} {:<14} {} → {}{stage}", n.name, n.layer.word(), n.input, n.output)
}

fn strategy(name: &str, runs: &[Finished]) -> Result<r::StrategyResult> {
    let mut points = Vec::new();
    if let Some(e) = runs.first().and_then(|f| f.evaluation.as_ref()) {
        for p in e.points.iter() {
            let Some(steps) = p.steps() else { continue };
            let same = |f: &Finished| {
                let all = &f.evaluation.as_ref()?.points;
                all.iter().find(|q| q.configuration == p.configuration && q.leak == p.leak).cloned()
            };
            let all: Vec<Point> = runs.iter().filter_map(same).collect();
            let (accuracy, standard_error) = mean(&all.iter().map(|p| p.accuracy).collect::<Vec<_>>());
            let (loss, _) = mean(&all.iter().map(|p| p.loss).collect::<Vec<_>>());
            let leak = match p.leak {
                LeakRule::Step => r::Leak::Step,
                LeakRule::Time => r::Leak::Time,
            };
            points.push(r::Point { steps, leak, accuracy, standard_error, loss });
        }
    }
    let simulations: Vec<&Simulation> = runs.iter().filter_map(|f| f.simulation.as_ref()).collect();
    let first = runs.first();
    let history = first.map(|f| f.run.folder.metrics()).transpose()?.unwrap_or_default();
    let mut last_seconds = 0.0;
    let curve = history.iter().map(|m| {
        let seconds = m.seconds - last_seconds;
        last_seconds = m.seconds;
        r::EpochPoint {
            epoch: m.epoch,
            train_loss: m.train_loss,
            train_accuracy: m.train_accuracy,
            validation_accuracy: m.validation_accuracy,
            learning_rate: m.learning_rate,
            seconds,
        }
    });
    Ok(r::StrategyResult {
        name: name.to_owned(),
        seeds: runs.iter().map(|f| f.run.facts.seed).collect(),
        points,
        event_driven: event_driven(&simulations),
        curve: curve.collect(),
        layers: layers(runs, &simulations),
        raster: first.map(raster).transpose()?.flatten(),
        train_seconds: runs.iter().map(|f| f.run.facts.train_seconds).sum(),
        iterations: first.map_or(0, |f| f.run.facts.iterations),
    })
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
        standard_error,
        spikes_per_layer: per_layer.collect(),
        synaptic_operations: over(all, |s| s.synaptic_operations),
        events: over(all, |s| s.events),
        spike_difference: (!first.spike_difference.is_empty()).then(|| over(all, last)),
        samples: all.iter().map(|s| s.samples).sum(),
        decisions: decisions(all),
    })
}

/// The mean curve where all runs asked at the same moments (seeds), else that of the first (folds,
/// whose longest recordings differ).
fn decisions(all: &[&Simulation]) -> Option<r::DecisionCurve> {
    let curves: Vec<&r::DecisionCurve> = all.iter().filter_map(|s| s.decisions.as_ref().map(|d| &d.curve)).collect();
    let mut first = (*curves.first()?).clone();
    let moments = |c: &r::DecisionCurve| {
        let us: Vec<u64> = c.time.iter().map(|p| p.us).collect();
        (us, c.events.iter().map(|p| p.events).collect::<Vec<u64>>(), c.exits.len())
    };
    if curves.len() < all.len() || curves.iter().any(|c| moments(c) != moments(&first)) {
        return Some(first);
    }
    for (k, p) in first.time.iter_mut().enumerate() {
        p.accuracy = over(&curves, |c| c.time[k].accuracy);
    }
    for (k, p) in first.events.iter_mut().enumerate() {
        p.accuracy = over(&curves, |c| c.events[k].accuracy);
    }
    for (k, e) in first.exits.iter_mut().enumerate() {
        e.accuracy = over(&curves, |c| c.exits[k].accuracy);
        (e.us, e.events) = (over(&curves, |c| c.exits[k].us), over(&curves, |c| c.exits[k].events));
        e.reached = over(&curves, |c| c.exits[k].reached);
    }
    Some(first)
}

fn layers(runs: &[Finished], simulations: &[&Simulation]) -> Vec<r::LayerActivity> {
    let evaluations: Vec<&Evaluation> = runs.iter().filter_map(|f| f.evaluation.as_ref()).collect();
    let Some(first) = evaluations.first() else { return Vec::new() };
    let one = |(k, l): (usize, &LayerActivity)| r::LayerActivity {
        layer: l.layer.clone(),
        neurons: l.neurons,
        rate: over(&evaluations, |e| e.activity.get(k).map_or(0.0, LayerActivity::rate)),
        event_driven_rate: (!simulations.is_empty())
            .then(|| over(simulations, |s| s.layers.get(k).map_or(0.0, LayerActivity::rate))),
        silent: evaluations.iter().any(|e| e.activity.get(k).is_some_and(LayerActivity::silent)),
    };
    first.activity.iter().enumerate().map(one).collect()
}

fn raster(f: &Finished) -> Result<Option<r::Raster>> {
    if f.simulation.is_none() {
        return Ok(None);
    }
    let Some(&id) = f.run.parts.test.first() else { return Ok(None) };
    let (program, trace, class) = trace(&f.run, id)?;
    let recording = f.run.source.recording(id)?;
    let start = recording.t_first_us().unwrap_or(0);
    let (names, sensor) = (f.run.source.dataset().class_names(), recording.sensor());
    let name = |k: usize| names.get(k).cloned().unwrap_or_else(|| k.to_string());
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

fn sample(run: &Loaded) -> Result<Option<r::InputSample>> {
    if run.network.input().kind == InputKind::Image {
        return Ok(None);
    }
    let Some(&id) = run.parts.test.first() else { return Ok(None) };
    let recording = run.source.recording(id)?;
    let frames = tickless_events::Framing::slices(8).frames::<u16>(&recording)?;
    let [t, _, height, width] = frames.shape;
    let pixels = height * width;
    let at = |k: usize, polarity: usize, i: usize| frames.data[(k * 2 + polarity) * pixels + i];
    let frame = |k: usize| (0..pixels).map(|i| [at(k, 1, i), at(k, 0, i)]).collect();
    let names = run.source.dataset().class_names();
    let label = run.source.label(id);
    Ok(Some(r::InputSample {
        label: names.get(label).cloned().unwrap_or_else(|| label.to_string()),
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
