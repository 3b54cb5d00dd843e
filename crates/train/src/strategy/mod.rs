//! Training strategies behind one question: which temporal configurations does this iteration run?
//!
//! A temporal configuration is one number of steps per stage, (t₁ … t_G). The trainer runs each
//! configuration forward and at once backward, sums the gradients and takes one step. To add a
//! strategy: a file here and a name in [`by_name`].

mod mtt;
mod nmt;
mod sdt;

pub use mtt::Mtt;
pub use nmt::Nmt;
pub use sdt::Sdt;

use crate::error::{Error, Result};
use rand_chacha::ChaCha8Rng;
use serde::{Deserialize, Serialize};
use tickless_words::UnknownWord;

/// Says which temporal configurations an iteration runs.
pub trait Strategy: Send + Sync + std::fmt::Debug {
    /// Its name as users know it.
    fn name(&self) -> &'static str;

    /// The configurations of one iteration for a network of `stages` stages.
    fn configurations(&self, stages: usize, rng: &mut ChaCha8Rng) -> Vec<Vec<usize>>;
}

/// The steps a strategy draws from.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Steps {
    /// Smallest number of steps.
    pub t_min: usize,
    /// Largest; also the one that SDT trains at and calibration uses.
    pub t_max: usize,
    /// Configurations per iteration (NMT and MTT).
    pub samples: usize,
    /// Blocks per stage g (MTT): 1 is the finest; all blocks make it NMT.
    pub group: usize,
}

impl Steps {
    /// Checks the numbers.
    ///
    /// # Errors
    /// If a number is zero or T_min exceeds T_max.
    pub fn check(&self) -> Result<()> {
        let wrong = |key, problem: String| Err(Error::Recipe { key, problem });
        match *self {
            Steps { t_min: 0, .. } => wrong("train.t_min", "= 0: a network runs at least 1 time step".into()),
            Steps { t_max: 0, .. } => wrong("train.t_max", "= 0: a network runs at least 1 time step".into()),
            Steps { t_min, t_max, .. } if t_min > t_max => {
                wrong("train.t_min", format!("= {t_min} is greater than `train.t_max` = {t_max}; swap them"))
            }
            Steps { samples: 0, .. } => {
                wrong("train.samples", "= 0: an iteration runs at least 1 temporal configuration".into())
            }
            Steps { group: 0, .. } => wrong("train.group", "= 0: a stage has at least 1 block".into()),
            _ => Ok(()),
        }
    }
}

/// The strategy with this name: `sdt`, `nmt` or `mtt`.
///
/// # Errors
/// If the name is unknown or the steps cannot be.
pub fn by_name(name: &str, steps: Steps) -> Result<Box<dyn Strategy>> {
    steps.check()?;
    match name {
        "sdt" => Ok(Box::new(Sdt { t_max: steps.t_max })),
        "nmt" => Ok(Box::new(Nmt { steps })),
        "mtt" => Ok(Box::new(Mtt { steps })),
        other => Err(UnknownWord::new("strategy", other, vec!["sdt", "nmt", "mtt"]).into()),
    }
}
