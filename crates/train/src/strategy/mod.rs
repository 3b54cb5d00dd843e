//! Training strategies: each decides which temporal configurations an iteration runs.
//!
//! A temporal configuration is one number of steps per stage, (t₁ … t_G). The trainer runs a
//! forward and a backward pass for each configuration, sums the gradients and takes one step of
//! the optimiser. To add a strategy: add a file here and its word in `KNOWN`.
//!
//! Beside those of the strategy an iteration may run one more pass: at many steps ([`long`]), or
//! with the spikes of the event-driven network ([`event_driven`]).

pub mod event_driven;
pub(crate) mod extra_passes;
pub mod long;
mod mtt;
mod nmt;
mod sdt;

pub use event_driven::{EventDriven, EventDrivenForward, EventDrivenRun, LayerSpikes};
pub use extra_passes::ExtraPasses;
pub use long::Long;
pub use mtt::Mtt;
pub use nmt::Nmt;
pub use sdt::Sdt;

use crate::error::{Error, Result};
use rand_chacha::ChaCha8Rng;
use serde::{Deserialize, Serialize};

/// Chooses the temporal configurations of an iteration.
pub trait Strategy: Send + Sync + std::fmt::Debug {
    /// The name shown to users.
    fn name(&self) -> &'static str;

    /// Returns the configurations of one iteration; each has `stages` entries, one per stage.
    fn configurations(&self, stages: usize, rng: &mut ChaCha8Rng) -> Vec<Vec<usize>>;

    /// Number of configurations of an iteration.
    fn passes(&self) -> usize;

    /// Expected number of steps of a stage in one configuration.
    fn mean_steps(&self) -> f64;
}

/// The numbers of steps that a strategy draws from.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Steps {
    /// Smallest number of steps.
    pub t_min: usize,
    /// Largest number of steps; SDT trains and calibration runs at it.
    pub t_max: usize,
    /// Configurations per iteration (NMT and MTT).
    pub samples: usize,
    /// MTT: number g of neighbouring stages that share one draw. At 1 every stage has its own draw;
    /// if g is the number of stages, MTT equals NMT.
    pub group: usize,
}

impl Steps {
    /// The expected value of a draw from T_min to T_max.
    fn mean(&self) -> f64 {
        (self.t_min + self.t_max) as f64 / 2.0
    }

    /// Checks that every number is possible.
    ///
    /// # Errors
    /// If a number is zero or T_min exceeds T_max.
    pub fn check(&self) -> Result<()> {
        let refuse = |key, problem: String| Err(Error::Recipe { key, problem });
        match *self {
            Steps { t_min: 0, .. } => refuse("train.t_min", "= 0: a network runs at least 1 time step".into()),
            Steps { t_max: 0, .. } => refuse("train.t_max", "= 0: a network runs at least 1 time step".into()),
            Steps { t_min, t_max, .. } if t_min > t_max => {
                refuse("train.t_min", format!("= {t_min} is greater than `train.t_max` = {t_max}; swap them"))
            }
            Steps { samples: 0, .. } => {
                refuse("train.samples", "= 0: an iteration runs at least 1 temporal configuration".into())
            }
            Steps { group: 0, .. } => refuse("train.group", "= 0: a stage has at least 1 block".into()),
            _ => Ok(()),
        }
    }
}

/// The strategy with this name: `sdt`, `nmt` or `mtt`.
///
/// # Errors
/// If the name is unknown or [`Steps::check`] refuses the steps.
pub fn by_name(name: &str, steps: Steps) -> Result<Box<dyn Strategy>> {
    steps.check()?;
    Ok(tickless_words::find("strategy", name, &KNOWN)?(steps))
}

/// Makes a strategy that draws from these steps.
type Make = fn(Steps) -> Box<dyn Strategy>;

/// Every strategy by its word in recipes.
const KNOWN: [(&str, Make); 3] = [
    ("sdt", |steps| Box::new(Sdt { t_max: steps.t_max })),
    ("nmt", |steps| Box::new(Nmt { steps })),
    ("mtt", |steps| Box::new(Mtt { steps })),
];
