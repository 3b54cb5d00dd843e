//! `[data]`: which samples, how they are split, framed and varied.

use serde::{Deserialize, Serialize};
use std::path::PathBuf;

/// The data part of a recipe.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct DataRecipe {
    /// Name of the data set (`tickless data list`).
    pub set: String,
    /// Folder (or zip) that holds it; not needed for embedded sets.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub path: Option<PathBuf>,
    /// Seed of splits and of the simulated camera; the recipe's seed unless given, so that runs
    /// with different seeds can share one data set.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub seed: Option<u64>,
    /// Share of the training part that is set aside to choose an epoch (0 for none).
    #[serde(default)]
    pub validation: f64,
    /// Use only the first n training samples of a seeded order (0 for all).
    #[serde(default)]
    pub train_limit: usize,
    /// Use only the first n test samples of a seeded order (0 for all).
    #[serde(default)]
    pub test_limit: usize,
    /// Cross-validation over training and test part together.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub folds: Option<Folds>,
    /// Scale recordings to this width and height by area sums.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub size: Option<[u16; 2]>,
    /// Random changes of training samples.
    #[serde(default)]
    pub augment: Augment,
}

/// Which part of a cross-validation this run is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Folds {
    /// Number of parts.
    pub of: usize,
    /// The part that is the test set, counted from 0.
    pub fold: usize,
}

/// Random changes of training samples, seeded per sample and epoch.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Augment {
    /// Mirror left-right with probability ½.
    pub flip: bool,
    /// Roll event frames by up to this many pixels in x and y.
    pub roll: usize,
    /// Pad images by this many pixels and crop at random.
    pub crop: usize,
    /// Blank a square of this side in images.
    pub cutout: usize,
}

/// Pixels that an augmentation moves or blanks at most: more than any sensor has.
const LARGEST_CHANGE: usize = 65_535;

impl DataRecipe {
    pub(super) fn check(&self) -> Result<(), String> {
        if !(0.0..1.0).contains(&self.validation) {
            return Err(format!("`data.validation` = {}: give a share from 0 to below 1", self.validation));
        }
        let a = self.augment;
        for (name, value) in [("roll", a.roll), ("crop", a.crop), ("cutout", a.cutout)] {
            if value > LARGEST_CHANGE {
                return Err(format!("`data.augment.{name}` = {value}: it is at most {LARGEST_CHANGE} pixels"));
            }
        }
        if let Some([width, height]) = self.size
            && (width == 0 || height == 0)
        {
            return Err(format!("`data.size` = [{width}, {height}]: width and height are at least 1"));
        }
        match self.folds {
            Some(f) if f.of < 2 || f.fold >= f.of => Err(format!(
                "`data.folds`: fold {} of {} cannot be; folds count from 0 and there are at least 2",
                f.fold, f.of
            )),
            _ => Ok(()),
        }
    }
}
