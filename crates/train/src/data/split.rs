//! Divides the samples of a data set: the training part trains, the validation part chooses an
//! epoch, and the test part is evaluated after training.

use super::Source;
use crate::error::{Error, Result};
use crate::seed;
use rand::seq::SliceRandom;
use tickless_events::Split;
use tickless_net::recipe::DataRecipe;

pub(super) const TRAIN: Split = Split::Train;
pub(super) const TEST: Split = Split::Test;

/// One sample of a data set.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct SampleId {
    /// The part of the official split that the sample comes from.
    pub split: Split,
    /// Index of the sample in that part.
    pub index: usize,
}

/// The three parts; no sample is in two of them.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Parts {
    /// Samples that the training learns from.
    pub train: Vec<SampleId>,
    /// Samples that choose the best epoch; may be empty.
    pub validation: Vec<SampleId>,
    /// Samples whose results are reported.
    pub test: Vec<SampleId>,
}

impl Parts {
    /// Splits a data set as the recipe says. Every draw comes from the data seed: `[data]`'s own,
    /// or `seed` if it has none.
    ///
    /// # Errors
    /// If the training or the test part would be empty.
    pub fn of(source: &Source, recipe: &DataRecipe, seed: u64) -> Result<Self> {
        let seed = recipe.seed.unwrap_or(seed);
        let samples = |split| (0..source.dataset().len(split)).map(move |index| SampleId { split, index });
        let (mut train, mut test): (Vec<_>, Vec<_>) = match recipe.folds {
            None => (samples(TRAIN).collect(), samples(TEST).collect()),
            Some(f) => {
                let mut everything: Vec<_> = samples(TRAIN).chain(samples(TEST)).collect();
                everything.shuffle(&mut seed::rng(seed, "folds", 0));
                let n = everything.len();
                let (lo, hi) = (n * f.fold / f.of, n * (f.fold + 1) / f.of);
                let test = everything[lo..hi].to_vec();
                everything.drain(lo..hi);
                (everything, test)
            }
        };
        limit(&mut train, recipe.train_limit, seed, "train limit");
        limit(&mut test, recipe.test_limit, seed, "test limit");
        let validation = match (train.len() as f64 * recipe.validation).round() as usize {
            0 => Vec::new(),
            n => {
                train.shuffle(&mut seed::rng(seed, "validation", 0));
                train.split_off(train.len() - n)
            }
        };
        let empty = if train.is_empty() { Some("training") } else { test.is_empty().then_some("test") };
        match empty {
            Some(part) => Err(Error::EmptyPart { part, set: source.dataset().name().to_owned() }),
            None => Ok(Self { train, validation, test }),
        }
    }
}

fn limit(part: &mut Vec<SampleId>, n: usize, seed: u64, what: &str) {
    if n > 0 && n < part.len() {
        part.shuffle(&mut seed::rng(seed, what, 0));
        part.truncate(n);
    }
}
