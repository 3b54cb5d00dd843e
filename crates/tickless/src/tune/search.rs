//! The search for an operating point on the validation part.
//!
//! ```text
//! one T          every T from 1 to T_max, with each leak rule of the recipe
//! early exit     at T_max, each rule with 24 thresholds; near the budget the threshold is bisected
//! T per stage    from the best T on, one stage is moved by one step at a time, to the best
//!                neighbour, as long as that is better
//! event-driven   with the best refractory period or lower limit, with each rule and threshold
//! ```
//!
//! One set of weights runs them all. Every choice between equals goes to the one that was measured
//! first, so the search is deterministic, unless the budget is a time.

use super::measure::{COUNTED, at_configuration, at_exit, event_driven, stops, time};
use super::{Budget, Measured, Quantity};
use crate::exits::exits;
use crate::operating_point::{EventNeurons, ExitAt, OperatingPoint};
use crate::readout::setting;
use crate::simulate::{possible, tune as neurons};
use crate::{Error, Result};
use std::sync::atomic::AtomicBool;
use tickless_net::{Exit, ExitRule, InputKind, LeakRule};
use tickless_train::data::SampleId;
use tickless_train::evaluate::{OverTime, over_time_with_operations};
use tickless_train::model::Model;
use tickless_train::progress::{Progress, Quiet};
use tickless_train::run::Loaded;

/// What to search.
#[derive(Debug, Clone, Copy, PartialEq)]
#[non_exhaustive]
pub struct Plan {
    /// The budget.
    pub budget: Budget,
    /// Most validation samples; 0 for all.
    pub limit: usize,
    /// Most configurations of several T to measure.
    pub mixed: usize,
    /// Whether to search runs with time steps.
    pub clocked: bool,
    /// Whether to search event-driven runs, if the network can run so.
    pub event_driven: bool,
}

impl Plan {
    /// A search of everything, on the whole validation part.
    pub fn new(budget: Budget) -> Self {
        Self { budget, limit: 0, mixed: 40, clocked: true, event_driven: true }
    }
}

/// All points of the plan, measured on the validation part.
///
/// # Errors
/// [`Error::NoValidation`]; if a sample cannot be decoded, or the user stops.
pub fn search(run: &Loaded, model: &Model, plan: &Plan, progress: &dyn Progress) -> Result<Vec<Measured>> {
    let all = &run.parts.validation;
    let ids = &all[..if plan.limit == 0 { all.len() } else { plan.limit.min(all.len()) }];
    if ids.is_empty() {
        return Err(Error::no_validation(run));
    }
    let search = Search { run, model, plan, ids, progress, quiet: Quiet(progress) };
    let mut tried = Vec::new();
    if plan.clocked {
        search.one_t(&mut tried)?;
        search.mixed(&mut tried)?;
        search.exits(&mut tried)?;
    }
    // An event-driven run has no steps.
    if plan.event_driven && possible(run).is_ok() && plan.budget.quantity != Quantity::Steps {
        search.event_driven(&mut tried)?;
    }
    Ok(tried)
}

struct Search<'a> {
    run: &'a Loaded,
    model: &'a Model,
    plan: &'a Plan,
    ids: &'a [SampleId],
    progress: &'a dyn Progress,
    quiet: Quiet<'a>,
}

/// The thresholds of a rule that are tried.
fn grid(rule: ExitRule) -> Vec<f64> {
    let tens = (1..20).map(|k| f64::from(k) / 20.0);
    let near = [0.97, 0.98, 0.99, 0.995, 0.999];
    let rising: Vec<f64> = tens.chain(near).collect();
    match rule {
        ExitRule::Confidence | ExitRule::Margin | ExitRule::Learned => rising,
        // Rounded, because 1 − 0.97 is not 0.03 in binary.
        ExitRule::Entropy => rising.into_iter().map(|a| ((1.0 - a) * 1e6).round() / 1e6).collect(),
    }
}

const RULES: [ExitRule; 4] = [ExitRule::Confidence, ExitRule::Margin, ExitRule::Entropy, ExitRule::Learned];

/// Every rule with every threshold of its grid.
fn grids() -> Vec<ExitAt> {
    RULES.into_iter().flat_map(|rule| grid(rule).into_iter().map(move |alpha| ExitAt { rule, alpha })).collect()
}

impl Search<'_> {
    fn times(&self) -> bool {
        self.plan.budget.quantity == Quantity::Ms
    }

    fn leaks(&self) -> Vec<LeakRule> {
        match self.run.network.input().kind {
            InputKind::Image => vec![LeakRule::Step],
            InputKind::Events => self.run.recipe.eval.leak.clone(),
        }
    }

    /// Measures a configuration and, for a budget of time, its time.
    fn configuration(&self, configuration: &[usize], leak: LeakRule) -> Result<Measured> {
        let at = (configuration, leak);
        let measured = at_configuration(self.run, self.model, self.ids, at, COUNTED, &self.quiet)?;
        self.progress.advance(1, &format!("{}  {:.1} %", measured.point, measured.accuracy));
        self.timed(measured)
    }

    /// Adds the time for a budget of time. It is measured in a run of its own, which counts nothing.
    fn timed(&self, measured: Measured) -> Result<Measured> {
        if !self.times() {
            return Ok(measured);
        }
        let ms = time(self.run, self.model, self.ids, &measured.point, &self.quiet)?;
        Ok(Measured { ms: Some(ms), ..measured })
    }

    fn one_t(&self, tried: &mut Vec<Measured>) -> Result<()> {
        let t_max = self.run.facts.t_max;
        self.progress.start("one T", (t_max * self.leaks().len()) as u64, "setting");
        for leak in self.leaks() {
            for t in 1..=t_max {
                let configuration = vec![t; self.run.network.stages()];
                // If the leak rules are the same computation, the first one is measured.
                if leak != self.leaks()[0] && !self.run.network.depends_on_leak_rule(t_max, &configuration) {
                    continue;
                }
                tried.push(self.configuration(&configuration, leak)?);
            }
        }
        self.progress.finish();
        Ok(())
    }

    fn mixed(&self, tried: &mut Vec<Measured>) -> Result<()> {
        let best = |tried: &[Measured]| -> Option<Measured> {
            tried.iter().reduce(|best, m| if self.plan.budget.prefers(m, best) { m } else { best }).cloned()
        };
        if self.run.network.stages() < 2 {
            return Ok(());
        }
        let t_max = self.run.facts.t_max;
        let mut left = self.plan.mixed;
        self.progress.start("T per stage", left as u64, "setting");
        while let Some(Measured { point: OperatingPoint::Clocked { configuration, leak, .. }, .. }) = best(tried) {
            let known = |c: &[usize]| {
                tried.iter().any(|m| {
                    matches!(&m.point, OperatingPoint::Clocked { configuration, leak: l, .. } if configuration == c && *l == leak)
                })
            };
            let moved = |stage: usize, up: bool| {
                let mut c = configuration.clone();
                c[stage] = if up { c[stage] + 1 } else { c[stage].checked_sub(1)? };
                ((1..=t_max).contains(&c[stage]) && !known(&c)).then_some(c)
            };
            let neighbours = (0..configuration.len()).flat_map(|s| [false, true].map(|up| moved(s, up)));
            let neighbours: Vec<Vec<usize>> = neighbours.flatten().take(left).collect();
            if neighbours.is_empty() {
                break;
            }
            left -= neighbours.len();
            let before = tried.len();
            for c in &neighbours {
                tried.push(self.configuration(c, leak)?);
            }
            // Without a better neighbour the search has ended.
            let old = best(&tried[..before]);
            if old == best(tried) {
                break;
            }
        }
        self.progress.finish();
        Ok(())
    }

    fn exits(&self, tried: &mut Vec<Measured>) -> Result<()> {
        let t_max = self.run.facts.t_max;
        if t_max < 2 {
            return Ok(());
        }
        let leak = self.leaks()[0];
        let point = OperatingPoint::steps(&self.run.network, t_max, leak);
        let found = exits(self.run, self.model, &point, &grids(), &self.quiet)?;
        self.progress.start("early exit", self.ids.len() as u64, "sample");
        let setting = setting(self.run, self.ids);
        let all = over_time_with_operations(self.model, &setting, t_max, leak, self.progress)?;
        for rule in RULES {
            let own: Vec<&(ExitAt, Exit)> = found.all.iter().filter(|(at, _)| at.rule == rule).collect();
            let mut measured: Vec<Measured> = own.iter().map(|exit| at_exit(&all, &point, exit)).collect();
            if let Some((_, exit)) = own.first() {
                measured.extend(self.bisected(&all, &point, (rule, exit), &measured));
            }
            for (k, m) in measured.into_iter().enumerate() {
                // Not all are timed, because each takes a run of its own.
                tried.push(if k % 4 == 0 { self.timed(m)? } else { m });
            }
        }
        self.progress.finish();
        Ok(())
    }

    /// Between the last threshold of the grid that meets the budget and the next, which does not:
    /// thresholds that come nearer to the budget. `exit` is one of the rule.
    fn bisected(
        &self,
        all: &OverTime,
        point: &OperatingPoint,
        (rule, exit): (ExitRule, &Exit),
        grid: &[Measured],
    ) -> Vec<Measured> {
        let budget = &self.plan.budget;
        if !matches!(budget.quantity, Quantity::Steps | Quantity::Operations | Quantity::Energy) {
            return Vec::new();
        }
        let alpha = |m: &Measured| m.point.exit().map_or(0.0, |e| e.alpha);
        let Some(k) = grid.windows(2).position(|pair| budget.is_met(&pair[0]) && !budget.is_met(&pair[1])) else {
            return Vec::new();
        };
        let (mut inside, mut outside) = (alpha(&grid[k]), alpha(&grid[k + 1]));
        let mut found = Vec::new();
        for _ in 0..12 {
            let middle = (((inside + outside) / 2.0) * 1e5).round() / 1e5;
            if middle == inside || middle == outside {
                break;
            }
            let m = at_exit(all, point, &(ExitAt { rule, alpha: middle }, Exit { alpha: middle, ..*exit }));
            if budget.is_met(&m) {
                inside = middle
            } else {
                outside = middle
            }
            found.push(m);
        }
        found
    }

    fn event_driven(&self, tried: &mut Vec<Measured>) -> Result<()> {
        let tuned = neurons::tune(self.run, self.plan.limit, self.progress, &AtomicBool::new(false))?;
        let values = tuned.tried[tuned.best].values.clone();
        let neurons = Some(EventNeurons { knob: tuned.knob, values });
        let point = OperatingPoint::EventDriven { neurons, exit: None };
        let found = exits(self.run, self.model, &point, &grids(), &self.quiet)?;
        self.progress.start("event-driven", self.ids.len() as u64, "recording");
        let all = stops(self.run, self.ids, &point, (&found.all, found.temperature), self.progress)?;
        self.progress.finish();
        let mut measured = event_driven(&point, &found.all, &all);
        if let Some(to_the_end) = measured.pop() {
            measured.push(self.timed(to_the_end)?);
        }
        tried.append(&mut measured);
        Ok(())
    }
}
