//! Invented but plausible reports for tests: typical numbers, random spikes, a drawn digit.

use super::data::*;
use tickless::net::LeakRule;
use tickless::simulate::decisions::{AtEvents, AtTime, DecisionCurve, Exit};
use tickless::train::run::Machine;

/// A small random generator, so that fixtures need no dependency and never change.
struct Random(u64);

/// Rounds to three decimals, which JSON reads back exactly.
fn round(value: f64) -> f64 {
    (value * 1e3).round() / 1e3
}

impl Random {
    fn next(&mut self) -> f64 {
        self.0 = self.0.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (self.0 >> 11) as f64 / (1u64 << 53) as f64
    }
}

/// A report of three strategies in which every value is present.
pub fn full() -> ReportData {
    let table = [
        ("SDT", [26.6, 57.6, 81.8, 82.4, 77.1], 68.9, 53.4, [48_100.0, 27_100.0], 3.54e6, 0.412),
        ("NMT", [79.5, 81.9, 82.1, 80.7, 78.5], 68.4, 68.2, [24_000.0, 14_200.0], 1.97e6, 0.233),
        ("MTT", [81.8, 82.5, 82.5, 81.7, 80.6], 70.2, 77.8, [9_400.0, 6_100.0], 1.02e6, 0.121),
    ];
    let strategies = table.into_iter().map(|(name, accuracy, per_step, event, spikes, operations, difference)| {
        let point = |(steps, accuracy), leak| MeanPoint {
            steps,
            leak,
            accuracy,
            standard_error: Some(round(0.4 + 0.2 * (accuracy as u64 % 7) as f64)),
            loss: round(2.3 * (1.0 - accuracy / 100.0)),
            ..MeanPoint::default()
        };
        let mut points: Vec<MeanPoint> =
            [1, 2, 5, 10, 100].into_iter().zip(accuracy).map(|p| point(p, LeakRule::Time)).collect();
        points.push(point((100, per_step), LeakRule::Step));
        StrategyResult {
            name: name.into(),
            strategy: name.into(),
            t_max: 10,
            seeds: vec![0, 1, 2, 3, 4],
            points,
            mixed: vec![MixedPoint {
                configuration: vec![10, 5, 2],
                leak: LeakRule::Time,
                accuracy: event,
                standard_error: Some(0.7),
                loss: 0.5,
                operations: Some(2.5e5),
            }],
            event_driven: Some(EventDriven {
                accuracy: event,
                standard_error: Some(1.6),
                spikes_per_layer: vec![("conv1".into(), spikes[0]), ("conv2".into(), spikes[1])],
                synaptic_operations: operations,
                events: 4_172.0,
                spike_difference: Some(difference),
                samples: 220,
                decisions: Some(decisions(event)),
                ..EventDriven::default()
            }),
            curve: curve(accuracy[3], name == "SDT"),
            layers: layers(spikes),
            raster: Some(raster(spikes, name == "SDT")),
            train_seconds: if name == "SDT" { 61.0 } else { 171.0 },
            iterations: 680,
            ..StrategyResult::default()
        }
    });
    ReportData {
        title: "One set of weights at every T, and without T".into(),
        purpose: "Does mixed time-step training keep its accuracy when the clock changes or goes? Three strategies \
                  train the same network with the same data for the same number of epochs; each is then run at \
                  every T and event by event."
            .into(),
        dataset: Dataset {
            name: "N-MNIST (1,100 recordings)".into(),
            description: "Handwritten digits recorded with an event camera on a moving mount; five folds.".into(),
            simulated_camera: false,
            classes: 10,
            class_names: (0..10).map(|k| k.to_string()).collect(),
            test_samples: 220,
            mean_events: 4_172.0,
        },
        network: Network {
            name: "nmnist-small".into(),
            neuron: "LIF, λ = 0.5, single spike, hard reset".into(),
            stages: 3,
            trainable_values: 24_350,
            layers: vec![
                "conv1   2×34×34 → 16×17×17   5×5, stride 2   LIF".into(),
                "conv2   16×17×17 → 32×9×9    3×3, stride 2   LIF".into(),
                "fc      2592 → 10            readout".into(),
            ],
        },
        t_max: 10,
        strategies: strategies.collect(),
        sample: Some(sample()),
        origin: Origin {
            machine: Machine {
                cpu: "Example CPU @ 3.0 GHz".into(),
                cores: 8,
                memory_gb: 32.0,
                os: "Linux 6.1".into(),
                threads: 8,
            },
            tickless_version: "0.1.0".into(),
            date: "2026-11-23".into(),
        },
        notes: vec!["The accuracies are those of the last epoch; no epoch was chosen on the test set.".into()],
        command: "tickless compare recipes/nmnist-small.toml --strategies sdt,nmt,mtt --seeds 0..5".into(),
    }
}

/// The report of [`full`] with everything that its page can explore: answers and operations at every
/// T, the course of a recording, and a chosen budget.
pub fn explored() -> ReportData {
    let mut data = full();
    for s in &mut data.strategies {
        for p in &mut s.points {
            p.confusion = Some(confusion(p.accuracy));
            p.operations = Some(round(1e5 * (p.steps as f64).powf(0.8) + s.iterations as f64));
            (p.top5, p.calibration_error) = (Some(round(p.accuracy.sqrt() * 10.0)), Some(3.25));
        }
        let event = s.event_driven.as_mut().unwrap();
        (event.confusion, event.calibration_error) = (Some(confusion(event.accuracy)), Some(6.5));
        s.course = Some(course());
    }
    data.strategies[2].chosen = Some(Chosen {
        words: "confidence above 0.9 at no more than 2 M operations".into(),
        accuracy: 79.5,
        operations: 3e5,
    });
    data
}

/// 22 samples of each of 10 classes, of which about this share is right.
fn confusion(accuracy: f64) -> Vec<Vec<usize>> {
    let right = (22.0 * accuracy / 100.0) as usize;
    let row = |label: usize| {
        let mut row = vec![0; 10];
        row[label] = right;
        row[(label * 3 + 1) % 10] += (22 - right) / 2;
        row[(label * 7 + 2) % 10] += 22 - right - (22 - right) / 2;
        row
    };
    (0..10).map(row).collect()
}

fn course() -> Course {
    let moments: Vec<u64> = (0..=60).map(|k| k * 5_000).collect();
    let probability = |at: u64| {
        let sure = 0.1 + 0.85 * (at as f32 / 300_000.0);
        (0..10).map(|k| if k == 7 { sure } else { (1.0 - sure) / 9.0 }).collect()
    };
    let potential = |at: &u64| (at % 40_000) as f32 / 40_000.0;
    let membrane = |layer: &str| Membrane {
        layer: layer.into(),
        neuron: 17,
        threshold: 1.0,
        potentials: moments.iter().map(potential).collect(),
    };
    Course {
        probabilities: moments.iter().map(|at| probability(*at)).collect(),
        membranes: ["conv1", "conv2", "fc"].map(membrane).into(),
        moments,
    }
}

/// A report in which every number that can be invalid is, and every text contains markup.
pub fn hostile() -> ReportData {
    let mut data = full();
    data.title = "<script>alert('x')</script> & \"more\"".into();
    data.command = "tickless <run> && rm".into();
    let bad = [f64::NAN, f64::INFINITY, f64::NEG_INFINITY, -1e308, 1e308];
    for (i, strategy) in data.strategies.iter_mut().enumerate() {
        let value = bad[i % bad.len()];
        strategy.name = "<b>".into();
        for point in &mut strategy.points {
            (point.accuracy, point.standard_error, point.steps) = (value, Some(value), usize::MAX * (i % 2));
        }
        let event = strategy.event_driven.as_mut().unwrap();
        (event.accuracy, event.synaptic_operations, event.events) = (value, value, value);
        event.spike_difference = Some(f64::INFINITY);
        let decisions = event.decisions.as_mut().unwrap();
        (decisions.time[3].accuracy, decisions.exits[1].us, decisions.events[2].events) = (value, value, u64::MAX);
        event.spikes_per_layer[0].1 = value;
        for layer in &mut strategy.layers {
            (layer.rate, layer.event_driven_rate) = (value, Some(-1.0));
        }
        for epoch in &mut strategy.curve {
            (epoch.train_loss, epoch.train_accuracy, epoch.epoch) = (value, value, 0);
        }
        let raster = strategy.raster.as_mut().unwrap();
        raster.duration_us = 0;
        raster.layers[0].neurons = 0;
    }
    let sample = data.sample.as_mut().unwrap();
    sample.frames[0].truncate(3);
    sample.frames[1].clear();
    data
}

fn curve(last: f64, alone: bool) -> Vec<EpochPoint> {
    let mut random = Random(last as u64);
    (1..=40)
        .map(|epoch| {
            let done = 1.0 - (-(epoch as f64) / 9.0).exp();
            let accuracy = 10.0 + (last - 10.0) * done + 2.0 * random.next();
            EpochPoint {
                epoch,
                train_loss: round(2.3 * (1.0 - done) + if alone { 0.12 } else { 0.3 } + 0.05 * random.next()),
                train_accuracy: round((accuracy + 9.0 * done).min(100.0)),
                validation_accuracy: Some(round(accuracy - 1.0)),
                standard_errors: Some([0.02, 0.8, 1.1]),
                learning_rate: round(0.04 * (1.0 - epoch as f64 / 40.0)),
                seconds: 0.3,
            }
        })
        .collect()
}

fn decisions(last: f64) -> DecisionCurve {
    let accuracy = |share: f64| round(10.0 + (last - 10.0) * (1.0 - (-4.0 * share).exp()));
    let moments = || (1..=20u64).map(|k| (k, accuracy(k as f64 / 20.0)));
    DecisionCurve {
        time: moments().map(|(k, accuracy)| AtTime { us: 15_000 * k, accuracy, standard_error: Some(1.5) }).collect(),
        events: moments()
            .map(|(k, accuracy)| AtEvents { events: 250 * k, accuracy, standard_error: Some(1.5) })
            .collect(),
        exits: [(0.5, 0.2), (0.9, 0.5), (0.99, 0.8)]
            .map(|(confidence, share)| {
                let (us, events) = (round(3e5 * share), round(5e3 * share));
                Exit {
                    confidence,
                    accuracy: accuracy(share + 0.1),
                    us,
                    events,
                    reached: round(100.0 - 20.0 * share),
                    ..Exit::default()
                }
            })
            .into(),
    }
}

fn layers(spikes: [f64; 2]) -> Vec<LayerRates> {
    [("conv1", 4_624, spikes[0]), ("conv2", 2_592, spikes[1]), ("fc", 10, 42.0)]
        .map(|(layer, neurons, spikes)| LayerRates {
            layer: layer.into(),
            neurons,
            rate: round(spikes / neurons as f64 * 0.83),
            event_driven_rate: Some(round(spikes / neurons as f64)),
            silent: spikes == 0.0,
        })
        .into()
}

fn raster(spikes: [f64; 2], wrong: bool) -> Raster {
    let mut random = Random(spikes[0] as u64);
    let mut draw = |count: f64, neurons: u32| -> Vec<(u64, u32)> {
        let mut spikes: Vec<(u64, u32)> = (0..(count as usize))
            .map(|_| {
                let saccade = (3.0 * random.next()).floor();
                let within = (random.next() + random.next() + random.next()) / 3.0;
                ((1e5 * (saccade + within)) as u64, (random.next() * random.next().sqrt() * f64::from(neurons)) as u32)
            })
            .collect();
        spikes.sort_unstable();
        spikes
    };
    Raster {
        duration_us: 300_000,
        layers: vec![
            RasterLayer { name: "conv1".into(), neurons: 4_624, spikes: draw(spikes[0], 4_624) },
            RasterLayer { name: "conv2".into(), neurons: 2_592, spikes: draw(spikes[1], 2_592) },
            RasterLayer { name: "fc".into(), neurons: 10, spikes: draw(42.0, 10) },
        ],
        input: draw(4_172.0, 2_312),
        input_pixels: 2_312,
        label: "7".into(),
        predicted: if wrong { "1" } else { "7" }.into(),
    }
}

fn sample() -> InputSample {
    let mut random = Random(7);
    let frames: Vec<Vec<[u16; 2]>> = (0..10)
        .map(|frame| {
            let shift = [(1.0, 0.6), (-1.0, 0.6), (0.0, -1.2)][frame * 3 / 10];
            (0..34 * 34)
                .map(|pixel| {
                    let (x, y) = ((pixel % 34) as f64, (pixel / 34) as f64);
                    let bar = |x: f64, y: f64| {
                        let top = (y - 9.0).abs() < 1.6 && (9.0..25.0).contains(&x);
                        let stroke = (x - 24.0 + (y - 9.0) * 0.55).abs() < 1.8 && (9.0..27.0).contains(&y);
                        f64::from(top || stroke)
                    };
                    let edge = bar(x - shift.0, y - shift.1) - bar(x + shift.0, y + shift.1);
                    let noise = f64::from(random.next() > 0.99);
                    let count = |e: f64| (3.0 * e.max(0.0) * random.next().sqrt() + noise) as u16;
                    let mut count = count;
                    [count(edge), count(-edge)]
                })
                .collect()
        })
        .collect();
    let events = frames.iter().flatten().map(|c| usize::from(c[0]) + usize::from(c[1])).sum();
    InputSample { label: "7".into(), width: 34, height: 34, frames, duration_us: 300_000, events }
}
