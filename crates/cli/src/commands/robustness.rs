//! `tickless study robustness RUN...`: measures how the accuracy of several strategies falls if weights
//! or inputs change.

use super::studied_runs::{MeasuredRow, StudiedRuns, measured};
use crate::arguments::Global;
use crate::gather::mean;
use crate::output::{check_output_folder, print_json, say};
use crate::progress::Console;
use crate::report::{self, RobustnessLine, RobustnessPoint, with_error};
use crate::results::{Finished, stored};
use anyhow::{Context, Result, bail, ensure};
use clap::Args;
use serde::{Deserialize, Serialize};
use std::path::{Path, PathBuf};
use tickless::net::answers::standard_error;
use tickless::robustness::{Correct, Disturbance, Plan, Robustness};
use tickless_train::device::{Device, device};
use tickless_train::run::{Loaded, RunFolder};

#[derive(Debug, Args)]
#[command(after_help = "Examples:
  tickless study robustness runs/nmnist-sdt-seed1 runs/nmnist-mtt-seed1
  tickless study robustness runs/nmnist-mtt-seed* --weights 0.1,0.2 --input none -o robustness
  tickless study robustness runs/nmnist-mtt-seed1 --drop 0.5 --weights none --json

`--weights` and `--input` add normal noise of this size relative to the weights of a layer and to the
values of a sample; `--drop` is the share of lost events, `--jitter` the largest shift of an event in
steps of T_max. `none` leaves a disturbance out. Clocked at T_max; event-driven in the simulator.")]
pub struct RobustnessArgs {
    #[command(flatten)]
    runs: StudiedRuns,
    /// Relative sizes of noise on weights (default: 0.05,0.1,0.2,0.4).
    #[arg(long, value_delimiter = ',', value_name = "SIZES")]
    weights: Vec<String>,
    /// Relative sizes of noise on frames or images (default: 0.25,0.5,1,2).
    #[arg(long, value_delimiter = ',', value_name = "SIZES")]
    input: Vec<String>,
    /// Shares of lost events (default: 0.1,0.3,0.5,0.7).
    #[arg(long, value_delimiter = ',', value_name = "SHARES")]
    drop: Vec<String>,
    /// Largest shifts of events in steps of T_max (default: 0.25,0.5,1,2).
    #[arg(long, value_delimiter = ',', value_name = "STEPS")]
    jitter: Vec<String>,
    /// Draws of each level.
    #[arg(long, default_value_t = 3)]
    draws: usize,
    /// At most this many test samples (0 for all).
    #[arg(long, default_value_t = 0)]
    limit: usize,
    /// Samples that the gradient norms are measured on (0 for none).
    #[arg(long, default_value_t = 200)]
    gradients: usize,
    /// Folder for the table (`robustness.json`) and the picture; without it they are not written.
    #[arg(long, short)]
    output: Option<PathBuf>,
}

/// The study of all runs.
#[derive(Debug, PartialEq, Serialize, Deserialize)]
struct Studied {
    draws: usize,
    groups: Vec<GroupResult>,
}

/// The results of one row of runs.
#[derive(Debug, PartialEq, Serialize, Deserialize)]
struct GroupResult {
    name: String,
    strategy: String,
    runs: usize,
    samples: usize,
    undisturbed: Level,
    levels: Vec<LevelResult>,
    /// Mean over the runs of ‖∂L/∂w‖₂ and of the mean of ‖∂L_i/∂x_i‖₂.
    gradients: Option<GradientMeans>,
}

#[derive(Debug, PartialEq, Serialize, Deserialize)]
struct LevelResult {
    disturbance: Disturbance,
    level: f64,
    #[serde(flatten)]
    result: Level,
}

/// Percent correct, means over runs and draws.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
struct Level {
    clocked: Mean,
    event_driven: Option<Mean>,
}

/// A mean, and its standard error: over the runs, or, of one run, over its samples, unless all answers
/// are right or all are wrong.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
struct Mean {
    mean: f64,
    standard_error: Option<f64>,
}

#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
struct GradientMeans {
    weights: f64,
    inputs: f64,
    samples: usize,
}

impl RobustnessArgs {
    /// Runs the command.
    pub fn run(self, global: &Global, console: &Console) -> Result<()> {
        ensure!(self.draws > 0, "--draws 0: a level is drawn at least once");
        let plan = self.plan()?;
        if let Some(folder) = &self.output {
            check_output_folder("--output", folder)?;
        }
        let mut groups = self.runs.open(console)?;
        let device = device(&global.device)?;
        let rows = measured(&mut groups, console, |f| measure(f, &device, &plan, console))?;
        let groups = rows.iter().map(|row| group_result(row, &plan)).collect::<Result<_>>()?;
        let studied = Studied { draws: plan.draws, groups };
        let pictures = match &self.output {
            Some(folder) => write(&studied, folder)?,
            None => Vec::new(),
        };
        if global.json {
            return print_json(&studied);
        }
        studied.show();
        if let Some(svg) = pictures.first() {
            say!("picture: {}", svg.display());
        }
        Ok(())
    }

    fn plan(&self) -> Result<Plan> {
        let given = |d: Disturbance| match d {
            Disturbance::Weights => &self.weights,
            Disturbance::Input => &self.input,
            Disturbance::Drop => &self.drop,
            Disturbance::Jitter => &self.jitter,
        };
        let mut levels = Vec::new();
        for d in Disturbance::ALL {
            let mut own = match given(d).as_slice() {
                [] => d.levels().to_vec(),
                [word] if word.trim() == "none" => Vec::new(),
                words => words.iter().map(|w| level(d, w)).collect::<Result<_>>()?,
            };
            own.sort_by(f64::total_cmp);
            own.dedup();
            levels.extend(own.into_iter().map(|level| (d, level)));
        }
        Ok(Plan { levels, draws: self.draws, limit: self.limit, gradient_samples: self.gradients })
    }
}

fn level(d: Disturbance, word: &str) -> Result<f64> {
    let Ok(level) = word.trim().parse::<f64>() else {
        bail!("--{d} {word}: give numbers above 0, for instance 0.1,0.3, or none")
    };
    match d.refuse(level) {
        Some(problem) => bail!("--{problem}"),
        None => Ok(level),
    }
}

/// Measures what a run lacks and stores it in the run's folder, unless only some samples are measured.
fn measure(f: &mut Finished, device: &Device, plan: &Plan, console: &Console) -> Result<Robustness> {
    let kept = stored::robustness(&f.run)?;
    let whole = plan.limit == 0 || plan.limit >= f.run.parts.test.len();
    let mut store = |run: &Loaded, found: &Robustness| -> tickless::Result<()> {
        if whole {
            let _lock = run.folder.lock_results()?;
            run.folder.write_result(stored::ROBUSTNESS, found)?;
        }
        Ok(())
    };
    Ok(Robustness::measure(&mut f.run, device, plan, kept, console, console.stop_flag(), &mut store)?)
}

fn group_result(row: &MeasuredRow<Robustness>, plan: &Plan) -> Result<GroupResult> {
    let MeasuredRow { name, strategy, runs } = row;
    let Some(first) = runs.first() else { bail!("{name}: there is no run") };
    let over = |each: &[(f64, usize)]| -> Mean {
        // Of each run: percent correct, and the number of its samples.
        let (mean, error) = mean(&each.iter().map(|e| e.0).collect::<Vec<_>>());
        let samples: usize = each.iter().map(|e| e.1).sum();
        let of_samples = standard_error((mean / 100.0 * samples as f64).round() as usize, samples);
        Mean { mean, standard_error: error.or(of_samples) }
    };
    let level = |each: &[(&[Correct], usize)]| -> Level {
        let percent = |draws: &[Correct], samples: usize, f: &dyn Fn(&Correct) -> Option<usize>| -> Option<f64> {
            let all: Option<Vec<usize>> = draws.iter().map(f).collect();
            all.map(|n| 100.0 * n.iter().sum::<usize>() as f64 / (samples * draws.len()).max(1) as f64)
        };
        let of = |f: &dyn Fn(&Correct) -> Option<usize>| -> Option<Mean> {
            let each: Option<Vec<(f64, usize)>> = each.iter().map(|(d, n)| Some((percent(d, *n, f)?, *n))).collect();
            each.map(|e| over(&e))
        };
        let clocked = of(&|c| Some(c.clocked)).unwrap_or(Mean { mean: 0.0, standard_error: None });
        Level { clocked, event_driven: of(&|c| c.event_driven) }
    };
    let once: Vec<(&[Correct], usize)> =
        runs.iter().map(|r| (std::slice::from_ref(&r.undisturbed), r.samples)).collect();
    let mut levels = Vec::new();
    for &(disturbance, value) in &plan.levels {
        let each: Option<Vec<(&[Correct], usize)>> =
            runs.iter().map(|r| Some((r.row(disturbance, value)?.draws.as_slice(), r.samples))).collect();
        if let Some(each) = each {
            levels.push(LevelResult { disturbance, level: value, result: level(&each) });
        }
    }
    let gradients: Option<Vec<_>> = runs.iter().map(|r| r.gradients).collect();
    let gradients = gradients.filter(|_| plan.gradient_samples > 0).map(|all| GradientMeans {
        weights: mean(&all.iter().map(|g| g.weights).collect::<Vec<_>>()).0,
        inputs: mean(&all.iter().map(|g| g.inputs).collect::<Vec<_>>()).0,
        samples: all.iter().map(|g| g.samples).sum(),
    });
    Ok(GroupResult {
        name: name.clone(),
        strategy: strategy.clone(),
        runs: runs.len(),
        samples: first.samples,
        undisturbed: level(&once),
        levels,
        gradients,
    })
}

/// Writes the table and the picture; returns the files of the picture.
fn write(studied: &Studied, folder: &Path) -> Result<Vec<PathBuf>> {
    std::fs::create_dir_all(folder).with_context(|| format!("{}", folder.display()))?;
    RunFolder::at(folder).write_json(stored::ROBUSTNESS, studied)?;
    let mut lines = Vec::new();
    for g in &studied.groups {
        for disturbance in Disturbance::ALL {
            let own: Vec<&LevelResult> = g.levels.iter().filter(|l| l.disturbance == disturbance).collect();
            for event_driven in [false, true] {
                let value = |l: &Level| if event_driven { l.event_driven } else { Some(l.clocked) };
                let point = |level: f64, l: &Level| {
                    value(l).map(|m| RobustnessPoint { level, accuracy: m.mean, standard_error: m.standard_error })
                };
                let points: Vec<RobustnessPoint> = point(0.0, &g.undisturbed)
                    .into_iter()
                    .chain(own.iter().filter_map(|l| point(l.level, &l.result)))
                    .collect();
                if points.len() > 1 {
                    let (name, strategy) = (g.name.clone(), g.strategy.clone());
                    lines.push(RobustnessLine { name, strategy, disturbance, event_driven, points });
                }
            }
        }
    }
    Ok(report::write_robustness(&lines, folder)?)
}

impl Studied {
    fn show(&self) {
        let cell = |l: &Level| {
            let one = |m: Mean| with_error(m.mean, m.standard_error, 2);
            match l.event_driven {
                Some(e) => format!("{} ({})", one(l.clocked), one(e)),
                None => one(l.clocked),
            }
        };
        say!("% correct clocked at T_max (event-driven, simulator); {} draws of each level", self.draws);
        let wide = self.groups.iter().map(|g| g.name.chars().count()).max().unwrap_or(0).max(27);
        let head: Vec<String> = self.groups.iter().map(|g| format!("{:>wide$}", g.name)).collect();
        say!("{:>22}  {}", "", head.join("  "));
        let line = |name: &str, cells: Vec<String>| {
            let cells: Vec<String> = cells.into_iter().map(|c| format!("{c:>wide$}")).collect();
            say!("{name:>22}  {}", cells.join("  "));
        };
        line("undisturbed", self.groups.iter().map(|g| cell(&g.undisturbed)).collect());
        let mut levels: Vec<(Disturbance, f64)> = Vec::new();
        for l in self.groups.iter().flat_map(|g| &g.levels) {
            if !levels.contains(&(l.disturbance, l.level)) {
                levels.push((l.disturbance, l.level));
            }
        }
        for (d, level) in levels {
            let find = |g: &GroupResult| {
                g.levels.iter().find(|l| l.disturbance == d && l.level == level).map(|l| cell(&l.result))
            };
            let name = match d {
                Disturbance::Weights => format!("noise on weights {level}"),
                Disturbance::Input => format!("noise on inputs {level}"),
                Disturbance::Drop => format!("lost events {level}"),
                Disturbance::Jitter => format!("jitter, steps {level}"),
            };
            line(&name, self.groups.iter().map(|g| find(g).unwrap_or("–".into())).collect());
        }
        let gradient = |f: &dyn Fn(&GradientMeans) -> f64| {
            let one = |g: &GroupResult| g.gradients.as_ref().map_or("–".to_owned(), |g| format!("{:.4e}", f(g)));
            self.groups.iter().map(one).collect::<Vec<_>>()
        };
        if self.groups.iter().any(|g| g.gradients.is_some()) {
            line("gradient of weights", gradient(&|g| g.weights));
            line("gradient of inputs", gradient(&|g| g.inputs));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn run(clocked: usize, event_driven: Option<usize>) -> Robustness {
        let correct = serde_json::json!({"clocked": clocked, "event_driven": event_driven});
        let json = serde_json::json!({
            "weights": "w", "samples": 10, "draws": 2, "undisturbed": correct,
            "rows": [{"disturbance": "drop", "level": 0.5, "draws": [correct, {"clocked": 0, "event_driven": event_driven}]}],
            "gradients": null,
        });
        serde_json::from_value(json).unwrap()
    }

    fn row(runs: Vec<Robustness>) -> MeasuredRow<Robustness> {
        MeasuredRow { name: "MTT".into(), strategy: "MTT".into(), runs }
    }

    #[test]
    fn a_level_is_the_mean_over_draws_and_runs() {
        let plan = Plan { levels: vec![(Disturbance::Drop, 0.5)], draws: 2, limit: 0, gradient_samples: 0 };
        let g = group_result(&row(vec![run(8, Some(6)), run(4, Some(2))]), &plan).unwrap();
        assert_eq!((g.undisturbed.clocked.mean, g.levels[0].result.clocked.mean), (60.0, 30.0));
        assert_eq!(g.levels[0].result.event_driven.unwrap().mean, 40.0);
        assert!((g.undisturbed.clocked.standard_error.unwrap() - 20.0).abs() < 1e-9, "over the runs");
        let one = group_result(&row(vec![run(8, None)]), &plan).unwrap();
        assert_eq!(one.undisturbed.clocked.standard_error, standard_error(8, 10), "over the samples");
        assert!(one.undisturbed.event_driven.is_none());
    }

    #[test]
    fn results_that_cannot_be_are_refused() {
        assert!(run(8, None).check().is_ok());
        assert!(run(11, None).check().is_err() && run(1, Some(11)).check().is_err());
    }
}
