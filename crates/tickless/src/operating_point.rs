//! The operating point of a run: at which numbers of steps, or by which event-driven neurons, it
//! answers, and when it stops early. One set of weights has many.

use serde::{Deserialize, Serialize};
use std::fmt;
use std::sync::Arc;
use tickless_engine::{CompileOptions, Program};
use tickless_net::recipe::LARGEST_STEPS;
use tickless_net::{ExitRule, InputKind, LeakRule, Network};
use tickless_train::run::Loaded;

use crate::simulate::tune::Knob;

/// How a run answers.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(tag = "form", rename_all = "snake_case")]
pub enum OperatingPoint {
    /// With time steps.
    Clocked {
        /// Number of steps of each stage.
        configuration: Vec<usize>,
        /// What the leak belongs to.
        leak: LeakRule,
        /// The early exit; only if all stages have the same number of steps.
        exit: Option<ExitAt>,
    },
    /// Without a clock.
    EventDriven {
        /// What the neurons have instead of the run's own; `None` for those of the run.
        neurons: Option<EventNeurons>,
        /// The early exit.
        exit: Option<ExitAt>,
    },
}

/// A rule of early exit and its threshold.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct ExitAt {
    /// The quantity that is compared with α.
    pub rule: ExitRule,
    /// α, 0 to 1.
    pub alpha: f64,
}

/// A property of the neurons in an event-driven run.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct EventNeurons {
    /// The property.
    pub knob: Knob,
    /// One value per spiking layer, as in [`Tried`](crate::simulate::tune::Tried).
    pub values: Vec<Option<f64>>,
}

impl OperatingPoint {
    /// All stages at `steps` steps, without an exit.
    pub fn steps(network: &Network, steps: usize, leak: LeakRule) -> Self {
        Self::Clocked { configuration: vec![steps; network.stages()], leak, exit: None }
    }

    /// Without a clock, with the run's own neurons and without an exit.
    pub const EVENT_DRIVEN: Self = Self::EventDriven { neurons: None, exit: None };

    /// The exit.
    pub fn exit(&self) -> Option<ExitAt> {
        match self {
            Self::Clocked { exit, .. } | Self::EventDriven { exit, .. } => *exit,
        }
    }

    /// The same point with this exit.
    pub fn with_exit(&self, exit: Option<ExitAt>) -> Self {
        match self.clone() {
            Self::Clocked { configuration, leak, .. } => Self::Clocked { configuration, leak, exit },
            Self::EventDriven { neurons, .. } => Self::EventDriven { neurons, exit },
        }
    }

    /// The point without its exit, in the one form that all points of the same computation share: if
    /// the leak rules are the same computation, the leak belongs to the step.
    pub(crate) fn canonical(&self, network: &Network, t_max: usize) -> Self {
        match self.with_exit(None) {
            Self::Clocked { configuration, .. } if !network.depends_on_leak_rule(t_max, &configuration) => {
                Self::Clocked { configuration, leak: LeakRule::Step, exit: None }
            }
            other => other,
        }
    }

    /// The largest number of steps of a stage; `None` without a clock.
    pub fn most_steps(&self) -> Option<usize> {
        match self {
            Self::Clocked { configuration, .. } => configuration.iter().copied().max(),
            Self::EventDriven { .. } => None,
        }
    }

    /// The network that answers: the run's, with other event-driven neurons if the point has some.
    pub fn network(&self, network: &Arc<Network>) -> Arc<Network> {
        match self {
            Self::EventDriven { neurons: Some(n), .. } => Arc::new(n.knob.set(network, &n.values)),
            _ => network.clone(),
        }
    }

    /// The program of a run with the neurons of an event-driven point.
    pub(crate) fn program(&self, run: &Loaded) -> tickless_engine::Result<Program> {
        let options = CompileOptions { step_us: run.facts.step_us, ..CompileOptions::default() };
        Program::compile(&self.network(&run.network), &run.weights, &options)
    }

    /// Checks the point against a network.
    ///
    /// # Errors
    /// Names the first value that cannot be, as the end of a sentence that begins with the file or
    /// option it is from.
    pub fn check(&self, network: &Network) -> Result<(), String> {
        if let Some(ExitAt { alpha, .. }) = self.exit()
            && !(0.0..=1.0).contains(&alpha)
        {
            return Err(format!("the threshold {alpha} of the exit is not between 0 and 1"));
        }
        match self {
            Self::Clocked { configuration, leak, exit } => {
                if configuration.len() != network.stages() {
                    let (given, stages) = (configuration.len(), network.stages());
                    return Err(format!("{given} numbers of steps are given for {stages} stages"));
                }
                if let Some(t) = configuration.iter().find(|t| !(1..=LARGEST_STEPS).contains(*t)) {
                    return Err(format!("T = {t} is not between 1 and {LARGEST_STEPS}"));
                }
                if exit.is_some() && configuration.iter().any(|t| *t != configuration[0]) {
                    let problem =
                        "an early exit stops all stages at the same step, so they need the same number of steps";
                    return Err(problem.into());
                }
                if network.input().kind == InputKind::Image && *leak != LeakRule::Step {
                    return Err("an image has no duration, so its leak belongs to the step".into());
                }
                Ok(())
            }
            Self::EventDriven { neurons, .. } => {
                network.check_event_driven().map_err(|e| e.to_string())?;
                let Some(EventNeurons { knob, values }) = neurons else { return Ok(()) };
                let layers = network.spiking().len();
                if values.len() != layers {
                    return Err(format!("{} values are given for {layers} spiking layers", values.len()));
                }
                let possible = |v: f64| v.is_finite() && if *knob == Knob::Refractory { v > 0.0 } else { v < 0.0 };
                match values.iter().flatten().find(|v| !possible(**v)) {
                    Some(v) => Err(format!("{v} is no refractory period above 0 and no lower limit below 0")),
                    None => Ok(()),
                }
            }
        }
    }
}

impl fmt::Display for ExitAt {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let sign = if self.rule == ExitRule::Entropy { '<' } else { '>' };
        write!(f, "{} {sign} {}", self.rule, self.alpha)
    }
}

impl fmt::Display for OperatingPoint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Clocked { configuration, leak, .. } => {
                let same = configuration.iter().all(|t| *t == configuration[0]);
                let shown = if same { &configuration[..configuration.len().min(1)] } else { configuration };
                let steps: Vec<String> = shown.iter().map(usize::to_string).collect();
                write!(f, "T = {}, leak per {leak}", steps.join(","))?;
            }
            Self::EventDriven { neurons, .. } => {
                write!(f, "event-driven")?;
                if let Some(EventNeurons { knob, values }) = neurons {
                    let word = |v: &Option<f64>| v.map_or("none".to_owned(), |v| v.to_string());
                    let same = values.iter().all(|v| *v == values[0]);
                    let shown: Vec<String> =
                        if same { &values[..values.len().min(1)] } else { values }.iter().map(word).collect();
                    let (what, unit) = match knob {
                        Knob::Refractory => ("refractory period", "steps of T_max"),
                        Knob::LowerLimit => ("lower limit", "thresholds"),
                    };
                    write!(f, ", {what} {} {unit}", shown.join(","))?;
                }
            }
        }
        match self.exit() {
            Some(exit) => write!(f, ", exit at {exit}"),
            None => Ok(()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use tickless_net::zoo::{ZooOptions, build};

    #[test]
    fn a_point_that_no_network_can_run_is_named() {
        let network = Arc::new(build("demo", &ZooOptions::default()).unwrap());
        let steps = |t| OperatingPoint::steps(&network, t, LeakRule::Step);
        let exit = Some(ExitAt { rule: ExitRule::Margin, alpha: 0.5 });
        for good in [steps(1), steps(3).with_exit(exit), OperatingPoint::EVENT_DRIVEN.with_exit(exit)] {
            good.check(&network).unwrap();
        }
        let mut mixed = vec![2; network.stages()];
        mixed[0] = 3;
        let mixed = OperatingPoint::Clocked { configuration: mixed, leak: LeakRule::Step, exit: None };
        mixed.check(&network).unwrap();
        let values = |values: &[f64]| OperatingPoint::EventDriven {
            neurons: Some(EventNeurons { knob: Knob::Refractory, values: values.iter().map(|v| Some(*v)).collect() }),
            exit: None,
        };
        let layers = network.spiking().len();
        values(&vec![0.5; layers]).check(&network).unwrap();
        for (bad, word) in [
            (steps(0), "T = 0"),
            (mixed.with_exit(exit), "all stages"),
            (OperatingPoint::Clocked { configuration: vec![1; 9], leak: LeakRule::Step, exit: None }, "9 numbers"),
            (steps(1).with_exit(Some(ExitAt { rule: ExitRule::Margin, alpha: 1.5 })), "1.5"),
            (steps(1).with_exit(Some(ExitAt { rule: ExitRule::Margin, alpha: f64::NAN })), "NaN"),
            (values(&vec![0.5; layers + 1]), "spiking layers"),
            (values(&vec![-0.5; layers]), "-0.5"),
        ] {
            let refused = bad.check(&network).unwrap_err();
            assert!(refused.contains(word), "{refused}");
        }
    }

    #[test]
    fn a_point_reads_as_one_line() {
        let network = build("demo", &ZooOptions::default()).unwrap();
        let exit = ExitAt { rule: ExitRule::Entropy, alpha: 0.25 };
        let at = OperatingPoint::steps(&network, 4, LeakRule::Time).with_exit(Some(exit));
        assert_eq!(format!("{at}"), "T = 4, leak per time, exit at entropy < 0.25");
        let mixed = OperatingPoint::Clocked { configuration: vec![4, 2], leak: LeakRule::Step, exit: None };
        assert_eq!(format!("{mixed}"), "T = 4,2, leak per step");
        let json = serde_json::to_string(&at).unwrap();
        assert_eq!(serde_json::from_str::<OperatingPoint>(&json).unwrap(), at, "{json}");
    }
}
