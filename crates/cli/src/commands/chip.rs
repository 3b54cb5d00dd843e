//! `tickless study chip RUN`: how near the engine is to spikes that were measured on a chip, and
//! which settings bring it nearer.

use crate::arguments::{Global, RunArgs};
use crate::gather::Interval;
use crate::output::{check_output_folder, percent, print_json, say};
use crate::progress::Console;
use crate::report::{self, ChipPicture};
use anyhow::{Context, Result, bail, ensure};
use clap::Args;
use serde::{Deserialize, Serialize};
use std::path::{Path, PathBuf};
use tickless::chip::{ChipRow, ChipStudy, Correct, Grid, Limit, Timing, correct, has_limits, study};
use tickless_engine::Order;
use tickless_net::recipe::LARGEST_STEPS;
use tickless_train::device::device;
use tickless_train::run::RunFolder;

/// Name of the table in the output folder.
const TABLE: &str = "chip.json";

/// Number of settings that the table on the screen shows.
const SHOWN: usize = 12;

#[derive(Debug, Args)]
pub(super) struct ChipArgs {
    #[command(flatten)]
    run: RunArgs,
    /// Spike counts that were measured on a chip, in the form of `parity --counts`; they name
    /// recordings of the test part.
    #[arg(long, value_name = "FILE")]
    counts: PathBuf,
    /// Accuracies that others published, a text file with the head `name,kind,accuracy`; a kind is
    /// simulator or chip.
    #[arg(long, value_name = "FILE")]
    published: Option<PathBuf>,
    /// Numbers of steps to run the test part clocked (default: `T_max`).
    #[arg(long, value_delimiter = ',')]
    steps: Vec<usize>,
    /// Lower limits of multi-spike neurons in thresholds, besides the network's own.
    #[arg(long, value_delimiter = ',', default_value = "-0.5,-2,-5,-30,none", allow_hyphen_values = true)]
    limits: Vec<String>,
    /// Times that a core needs for one event in µs, besides 0.
    #[arg(long, value_delimiter = ',', default_value = "1,5,10")]
    service_us: Vec<f64>,
    /// Events that a core with a service time lets wait, besides all.
    #[arg(long, value_delimiter = ',', default_value = "64,8")]
    queue: Vec<usize>,
    /// Largest shifts of the input's time stamps in µs.
    #[arg(long, value_delimiter = ',', default_value = "10,100,1000")]
    jitter_us: Vec<f64>,
    /// Largest random delays of events in µs.
    #[arg(long, value_delimiter = ',', default_value = "10,100")]
    delay_jitter_us: Vec<f64>,
    /// Seed of orders and random times.
    #[arg(long, default_value_t = 0)]
    seed: u64,
    /// Folder for the table (`chip.json`) and the picture; without it they are not written.
    #[arg(long, short)]
    output: Option<PathBuf>,
}

/// An accuracy that others published.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(super) struct Published {
    name: String,
    /// `simulator` or `chip`.
    kind: String,
    /// Percent.
    accuracy: f64,
}

/// What the engine's accuracy lacks to the clocked one, over the same recordings.
#[derive(Debug, PartialEq, Serialize, Deserialize)]
struct Lost {
    steps: usize,
    clocked: f64,
    event_driven: f64,
    eight_bit: Option<f64>,
    /// Percentage points from clocked to event-driven, paired by recording.
    lost: Interval,
    /// The same for 8 bit.
    lost_eight_bit: Option<Interval>,
}

/// The whole result.
#[derive(Debug, PartialEq, Serialize, Deserialize)]
struct Studied {
    #[serde(flatten)]
    study: ChipStudy,
    /// Percentage points by which the choice lowers D on recordings that it has not seen, paired by
    /// recording; below 0 it does.
    gained: Option<Interval>,
    /// Recordings of the test part that the accuracies stand for.
    recordings_of_accuracy: usize,
    accuracy: Vec<Lost>,
    published: Vec<Published>,
    weights: String,
}

impl ChipArgs {
    pub(super) fn run(self, global: &Global, console: &Console) -> Result<()> {
        if let Some(folder) = &self.output {
            check_output_folder("--output", folder)?;
        }
        let published = self.published.as_deref().map(published).transpose()?.unwrap_or_default();
        let run = self.run.load()?;
        let mut steps = if self.steps.is_empty() { vec![run.facts.t_max] } else { self.steps.clone() };
        steps.sort_unstable();
        steps.dedup();
        if let Some(t) = steps.iter().find(|t| !(1..=LARGEST_STEPS).contains(*t)) {
            bail!("--steps {t}: a network runs 1 to {LARGEST_STEPS} time steps");
        }
        let grid = self.grid(has_limits(&run.network))?;
        let test = &run.parts.test;
        let study = study(&run, test, &self.counts, &grid, console)?;
        let right = correct(&run, &device(&global.device)?, test, &steps, console)?;
        let points: Vec<f64> = study.held_out.iter().map(|h| 100.0 * (h.difference - h.by_default)).collect();
        let studied = Studied {
            gained: (!points.is_empty() && points.iter().all(|p| p.is_finite())).then(|| Interval::of(&points)),
            recordings_of_accuracy: test.len(),
            accuracy: lost(&right),
            published,
            weights: run.checksum.clone(),
            study,
        };
        let mut pictures = Vec::new();
        if let Some(folder) = &self.output {
            std::fs::create_dir_all(folder).with_context(|| folder.display().to_string())?;
            RunFolder::at(folder).write_json(TABLE, &studied)?;
            pictures = report::write_chip(&studied.picture(), folder)?;
        }
        if global.json {
            return print_json(&studied);
        }
        studied.show();
        if let Some(svg) = pictures.first() {
            say!("picture: {}", svg.display());
        }
        Ok(())
    }

    fn grid(&self, has_limits: bool) -> Result<Grid> {
        let exact = Timing::default();
        let mut limits = vec![Limit::Own];
        let given = self.limits.iter().map(|word| limit(word)).collect::<Result<Vec<_>>>()?;
        limits.extend(given.into_iter().filter(|_| has_limits));
        let times = [("--service-us", &self.service_us), ("--jitter-us", &self.jitter_us)];
        for (option, values) in times.into_iter().chain([("--delay-jitter-us", &self.delay_jitter_us)]) {
            if let Some(us) = values.iter().find(|us| !(us.is_finite() && **us > 0.0)) {
                bail!("`{option} {us}` is no time; give µs above 0");
            }
        }
        let mut timings = vec![exact];
        timings.extend([Order::Random, Order::Momentum].map(|order| Timing { order, ..exact }));
        for &service_us in &self.service_us {
            for queue in std::iter::once(None).chain(self.queue.iter().map(|q| Some(*q))) {
                timings.push(Timing { service_us, queue, ..exact });
            }
        }
        timings.extend(self.jitter_us.iter().map(|&jitter_us| Timing { jitter_us, ..exact }));
        timings.extend(self.delay_jitter_us.iter().map(|&delay_jitter_us| Timing { delay_jitter_us, ..exact }));
        Ok(Grid { eight_bit: vec![false, true], limits, timings, seed: self.seed })
    }
}

/// Parses a value of `--limits`.
fn limit(word: &str) -> Result<Limit> {
    match (word.trim(), word.trim().parse::<f64>()) {
        ("none", _) => Ok(Limit::None),
        (_, Ok(v)) if v <= 0.0 && v.is_finite() => Ok(Limit::Thresholds(v)),
        _ => bail!("`--limits {word}` is no lower limit: give thresholds of at most 0, for instance -2, or none"),
    }
}

/// Reads published accuracies.
fn published(file: &Path) -> Result<Vec<Published>> {
    const HEAD: &str = "name,kind,accuracy";
    let text = std::fs::read_to_string(file).with_context(|| file.display().to_string())?;
    let mut lines = text.lines().enumerate().filter(|(_, l)| !l.trim().is_empty() && !l.starts_with('#'));
    ensure!(
        lines.next().is_some_and(|(_, l)| l.trim() == HEAD),
        "{}: the first line is not `{HEAD}`; write this head",
        file.display()
    );
    let mut all = Vec::new();
    for (k, line) in lines {
        let words: Vec<&str> = line.split(',').map(str::trim).collect();
        let accuracy = |w: &str| w.parse::<f64>().ok().filter(|v| (0.0..=100.0).contains(v));
        match words[..] {
            [name, kind @ ("simulator" | "chip"), value] if accuracy(value).is_some() && !name.is_empty() => {
                let (name, kind) = (name.to_owned(), kind.to_owned());
                all.extend(accuracy(value).map(|accuracy| Published { name, kind, accuracy }));
            }
            _ => bail!(
                "{} line {}: `{line}` is not a name, simulator or chip, and percent; write for instance `Speck2f,chip,95.4`",
                file.display(),
                k + 1
            ),
        }
    }
    Ok(all)
}

/// The accuracies and their paired differences.
fn lost(right: &Correct) -> Vec<Lost> {
    let share = |all: &[bool]| 100.0 * all.iter().filter(|r| **r).count() as f64 / all.len().max(1) as f64;
    let paired = |clocked: &[bool], other: &[bool]| {
        let points = |(c, o): (&bool, &bool)| 100.0 * (f64::from(u8::from(*c)) - f64::from(u8::from(*o)));
        Interval::of(&clocked.iter().zip(other).map(points).collect::<Vec<_>>())
    };
    let of = |(steps, clocked): &(usize, Vec<bool>)| Lost {
        steps: *steps,
        clocked: share(clocked),
        event_driven: share(&right.event_driven),
        eight_bit: right.eight_bit.as_deref().map(share),
        lost: paired(clocked, &right.event_driven),
        lost_eight_bit: right.eight_bit.as_deref().map(|e| paired(clocked, e)),
    };
    right.clocked.iter().map(of).collect()
}

impl Studied {
    fn show(&self) {
        let (study, n) = (&self.study, self.study.recordings.len());
        let chip: u64 = study.chip.iter().sum();
        let by_default: u64 = study.rows[0].spikes.iter().sum();
        say!("{n} recordings measured on the chip, {}", layers(&study.layers));
        say!("spikes: chip {chip}, engine {by_default} (f32, simulator)");
        say!("spike difference D = Σ|chip − engine| / Σ engine; the engine's settings, nearest first:");
        let mut rows: Vec<&ChipRow> = study.rows.iter().collect();
        let d = |r: &ChipRow| r.difference.unwrap_or(f64::INFINITY);
        rows.sort_by(|a, b| d(a).total_cmp(&d(b)).then(a.setting.changes().cmp(&b.setting.changes())));
        let plain = [study.plain(false), study.plain(true)];
        let shown = rows.iter().take(SHOWN).copied().chain(plain.into_iter().flatten());
        let mut seen: Vec<String> = Vec::new();
        for r in shown {
            let words = r.setting.to_string();
            if !seen.contains(&words) {
                say!("{:>10} {:>10} spikes  {words}", percent(d(r)), r.spikes.iter().sum::<u64>());
                seen.push(words);
            }
        }
        if rows.len() > seen.len() {
            say!("  and {} more settings (--json has all)", rows.len() - seen.len());
        }
        for why in &study.refused {
            say!("not possible: {why}");
        }
        if let Some(gained) = self.gained {
            say!("each recording left out in turn, the setting chosen on the others and judged on the one left out:");
            let mean = |f: fn(&tickless::chip::HeldOut) -> f64| {
                study.held_out.iter().map(f).sum::<f64>() / study.held_out.len().max(1) as f64
            };
            say!(
                "  mean D {} chosen, {} by default: {} points (95 % interval)",
                percent(mean(|h| h.difference)),
                percent(mean(|h| h.by_default)),
                interval(gained)
            );
            let mut choices: Vec<(String, usize)> = Vec::new();
            for h in &study.held_out {
                let words = h.chosen.to_string();
                match choices.iter_mut().find(|c| c.0 == words) {
                    Some(c) => c.1 += 1,
                    None => choices.push((words, 1)),
                }
            }
            choices.iter().for_each(|(words, times)| say!("  chosen {times} times: {words}"));
        }
        say!("accuracy on {} test recordings, % (event-driven: simulator):", self.recordings_of_accuracy);
        for a in &self.accuracy {
            let eight = match (a.eight_bit, a.lost_eight_bit) {
                (Some(e), Some(lost)) => format!("; 8 bit {e:.2}, lost {}", interval(lost)),
                _ => String::new(),
            };
            say!(
                "  clocked T = {}: {:.2}; event-driven {:.2}, lost {}{eight}",
                a.steps,
                a.clocked,
                a.event_driven,
                interval(a.lost)
            );
        }
        for kind in ["simulator", "chip"] {
            let of: Vec<String> = self
                .published
                .iter()
                .filter(|p| p.kind == kind)
                .map(|p| format!("{} {}", p.name, p.accuracy))
                .collect();
            if !of.is_empty() {
                say!("published, {kind}s, measured by their authors: {}", of.join(", "));
            }
        }
    }

    /// What the picture shows.
    fn picture(&self) -> ChipPicture {
        let study = &self.study;
        let series = |eight_bit: bool| study.plain(eight_bit).map(|r| r.spikes.clone());
        let mut settings: Vec<(String, f64)> = study
            .rows
            .iter()
            .filter(|r| r.setting.changes() <= 1)
            .filter_map(|r| Some((r.setting.to_string(), r.difference?)))
            .collect();
        let best = study.best();
        if best.setting.changes() > 1 {
            settings.extend(best.difference.map(|d| (best.setting.to_string(), d)));
        }
        settings.sort_by(|a, b| a.1.total_cmp(&b.1));
        let mut accuracies: Vec<(String, f64, bool)> =
            self.published.iter().map(|p| (p.name.clone(), p.accuracy, p.kind == "chip")).collect();
        accuracies.sort_by(|a, b| b.1.total_cmp(&a.1));
        let ours = self.accuracy.last().into_iter().flat_map(|a| {
            let mut all = vec![
                (format!("Tickless, clocked T = {}", a.steps), a.clocked),
                ("Tickless, event-driven".to_owned(), a.event_driven),
            ];
            all.extend(a.eight_bit.map(|e| ("Tickless, 8 bit".to_owned(), e)));
            all
        });
        ChipPicture {
            layers: layers(&study.layers),
            chip: study.chip.clone(),
            engine: series(false).unwrap_or_default(),
            eight_bit: series(true).unwrap_or_default(),
            settings,
            published: accuracies,
            ours: ours.collect(),
            recordings: self.recordings_of_accuracy,
        }
    }
}

fn layers(names: &[String]) -> String {
    let named: Vec<String> = names.iter().map(|n| format!("`{n}`")).collect();
    if named.len() == 1 { format!("layer {}", named[0]) } else { format!("layers {}", named.join(", ")) }
}

fn interval(i: Interval) -> String {
    match i.half_width {
        Some(w) => format!("{:+.2} ({:+.2}..{:+.2})", i.mean, i.mean - w, i.mean + w),
        None => format!("{:+.2}", i.mean),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn limits_are_thresholds_or_none() {
        assert_eq!(limit(" -2").unwrap(), Limit::Thresholds(-2.0));
        assert_eq!(limit("none").unwrap(), Limit::None);
        for word in ["2", "nan", "-inf", "low"] {
            assert!(limit(word).unwrap_err().to_string().contains(word), "{word}");
        }
    }

    #[test]
    fn accuracies_are_paired_by_recording() {
        let right: Correct = serde_json::from_str(
            r#"{"event_driven":[true,true,false,false],"eight_bit":null,"clocked":[[7,[true,true,true,false]]]}"#,
        )
        .unwrap();
        let all = lost(&right);
        assert_eq!((all[0].steps, all[0].clocked, all[0].event_driven, all[0].lost.mean), (7, 75.0, 50.0, 25.0));
        assert_eq!(all[0].lost.pairs, 4);
    }
}
