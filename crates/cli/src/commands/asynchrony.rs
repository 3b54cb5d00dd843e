//! `tickless asynchrony RUN`: measures how sensitive a trained network is to delays, service times,
//! queues, jitter and event orders of a chip.

use crate::arguments::{Global, Part, RunArgs};
use crate::output::{percent, print_json, say};
use crate::progress::Console;
use crate::report::write_sweep;
use anyhow::{Result, bail};
use clap::Args;
use serde::{Deserialize, Serialize};
use tickless::simulate::asynchronous::{SweepRow, exact, measure};
use tickless::simulate::compile;
use tickless_engine::{Asynchrony, Core, Order, Program};
use tickless_train::progress::Progress;

/// Sweep delays, service times, queues, jitter and orders of a chip's events.
#[derive(Debug, Args)]
#[command(after_help = "Examples:
  tickless asynchrony runs/nmnist-mtt-seed1 --limit 200
  tickless asynchrony runs/nmnist-mtt-seed1 --delay-us 10,100 --queue ''
  tickless asynchrony runs/nmnist-mtt-seed1 --json > asynchrony.json

One thing is changed at a time, from the exact engine on; a single layer is late by the longest
delay, a queue is swept at the longest service time. Shown are accuracy, the spike difference to
the exact engine over all neurons, and events that a full queue lost. The run keeps the table
(`asynchrony.json`) and a picture (`asynchrony.svg` and `.png`). All of it is this simulator's,
none of it a chip's.")]
pub struct Sweep {
    #[command(flatten)]
    run: RunArgs,
    /// Times from sending to arrival in µs.
    #[arg(long, default_value = "10,100,1000")]
    delay_us: String,
    /// Times that a core needs for one event in µs.
    #[arg(long, default_value = "0.1,1,10")]
    service_us: String,
    /// Events that a core lets wait.
    #[arg(long, default_value = "4,64")]
    queue: String,
    /// Largest shifts of the input's time stamps in µs.
    #[arg(long, default_value = "10,100,1000")]
    jitter_us: String,
    /// Seed of orders and jitter.
    #[arg(long, default_value_t = 0)]
    seed: u64,
    /// Which recordings.
    #[arg(long, value_enum, default_value = "test")]
    part: Part,
    /// At most this many recordings (0 for all).
    #[arg(long, default_value_t = 200)]
    limit: usize,
}

/// The result of a sweep, with the recordings and the weights that it was measured on.
#[derive(Debug, PartialEq, Serialize, Deserialize)]
struct Swept {
    /// The part of the data set.
    part: String,
    /// Number of recordings; they are the first of the part.
    recordings: usize,
    /// Seed of orders and jitter.
    seed: u64,
    /// The checksum of the weights.
    weights: String,
    rows: Vec<SweepRow>,
}

impl Sweep {
    /// Runs the command.
    pub fn run(self, global: &Global, console: &Console) -> Result<()> {
        let run = self.run.load()?;
        let program = compile(&run)?;
        let ids = self.part.of(&run.parts, self.limit);
        if ids.is_empty() {
            bail!("the {} part of this run is empty", self.part);
        }
        let settings = self.settings(&program)?;
        let exact = exact(&run, &program, ids)?;
        let mut rows = Vec::new();
        console.start("asynchrony", (settings.len() * ids.len()) as u64, "recording");
        for (swept, value, model) in settings {
            let row = measure(&run, &program, ids, &exact, &model, console)?;
            rows.push(SweepRow { swept: swept.to_owned(), value, ..row });
        }
        console.finish();
        let (part, recordings, weights) = (self.part.to_string(), ids.len(), run.checksum.clone());
        let swept = Swept { part, recordings, seed: self.seed, weights, rows };
        run.folder.write_result("asynchrony.json", &swept)?;
        let name = format!("{} ({}), {} {} recordings", run.facts.network, run.facts.origin(), ids.len(), self.part);
        let pictures = write_sweep(&name, &swept.rows, run.folder.path())?;
        if global.json {
            return print_json(&swept);
        }
        say!("{} on {} {} recordings (simulator)", run.facts.network, ids.len(), self.part);
        say!(
            "{:<8} {:>10} {:>10} {:>17} {:>12} {:>14}",
            "",
            "value",
            "% correct",
            "spike difference",
            "lost",
            "longest queue"
        );
        for r in swept.rows {
            let swept = r.swept;
            let difference = percent(r.spike_difference.unwrap_or(f64::INFINITY));
            let (accuracy, lost) = (r.accuracy, r.lost);
            say!("{swept:<8} {:>10} {accuracy:>10.2} {difference:>17} {lost:>12.1} {:>14}", r.value, r.longest_queue);
        }
        say!("spike difference: Σ|s0 − s| / Σ s0, s0 the exact engine, s this");
        if let Some(svg) = pictures.first() {
            say!("picture: {}", svg.display());
        }
        Ok(())
    }

    /// The settings of the sweep: the name of the changed quantity, its value, and the model.
    fn settings(&self, program: &Program) -> Result<Vec<(&'static str, String, Asynchrony)>> {
        let base = Asynchrony { seed: self.seed, ..Asynchrony::default() };
        let mut all = vec![("exact", String::new(), base.clone())];
        for order in [Order::Random, Order::Momentum] {
            all.push(("order", order.to_string(), Asynchrony { order, ..base.clone() }));
        }
        let delays = numbers("delay-us", &self.delay_us)?;
        for &v in &delays {
            all.push(("delay", v.to_string(), Asynchrony { delay_us: v, ..base.clone() }));
        }
        if let Some(delay_us) = delays.into_iter().reduce(f64::max) {
            for (k, layer) in program.layers().iter().enumerate() {
                let late = Core { delay_us, ..Core::default() };
                all.push(("layer", layer.name.clone(), base.clone().with_core(k, late)));
            }
        }
        for v in numbers("jitter-us", &self.jitter_us)? {
            all.push(("jitter", v.to_string(), Asynchrony { jitter_us: v, ..base.clone() }));
        }
        let services = numbers("service-us", &self.service_us)?;
        for &v in &services {
            all.push(("service", v.to_string(), Asynchrony { service_us: v, ..base.clone() }));
        }
        let service_us = services.into_iter().fold(1.0, f64::max);
        for v in numbers("queue", &self.queue)? {
            if v.fract() != 0.0 {
                bail!("`--queue {}`: {v} is no number of events; write e.g. 4,64", self.queue);
            }
            all.push(("queue", v.to_string(), Asynchrony { queue: Some(v as usize), service_us, ..base.clone() }));
        }
        Ok(all)
    }
}

/// Parses a list of numbers from 0 to 1e9, such as `1,10,100`; an empty text gives an empty list.
fn numbers(option: &str, text: &str) -> Result<Vec<f64>> {
    let number = |w: &str| match w.trim().parse::<f64>() {
        Ok(v) if (0.0..=1e9).contains(&v) => Ok(v),
        _ => bail!("`--{option} {text}`: `{w}` is not a number from 0 to 1e9; write e.g. 1,10,100"),
    };
    text.split(',').filter(|w| !w.trim().is_empty()).map(number).collect()
}

#[cfg(test)]
mod tests {
    use super::numbers;

    #[test]
    fn lists_of_numbers_are_read_and_nonsense_is_named() {
        assert_eq!(numbers("delay-us", "1, 2.5,1000").unwrap(), [1.0, 2.5, 1000.0]);
        assert!(numbers("delay-us", "").unwrap().is_empty());
        for bad in ["x", "1,-2", "nan", "inf"] {
            assert!(numbers("delay-us", bad).unwrap_err().to_string().contains("--delay-us"), "{bad}");
        }
    }
}
