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
    /// Width and height of the sensor, for recordings whose files do not state it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub sensor: Option<[u16; 2]>,
    /// Unit of the times of recordings whose files do not state it: s, ms, us or ns.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub time_unit: Option<String>,
    /// Times as stored: clocks that start again from 0 are not continued (DAT, AEDAT 2.0, EVT).
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub literal_times: bool,
    /// Number of the stream, for recordings of several cameras in a file (AEDAT4, HDF5).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub stream: Option<i32>,
    /// Leave events outside the sensor out instead of refusing their recording.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub drop_outside: bool,
    /// Share of each class that is the test part, drawn by the data seed; for sets without an
    /// official split.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub test_share: Option<f64>,
    /// The first n recordings of each class, in natural order, are the training part and the rest
    /// the test part; for sets without an official split.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub train_first: Option<usize>,
    /// Folder for a cache of decoded recordings, so that only the first epoch of the first run
    /// decodes; safe to delete.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub cache: Option<PathBuf>,
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
    /// Scale recordings to this width and height by area sums; crop photographs (`imagenet`) to it.
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
#[derive(Debug, Clone, Copy, PartialEq, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Augment {
    /// Mirror left-right with probability ½.
    pub flip: bool,
    /// Roll event frames by up to this many pixels in x and y.
    pub roll: usize,
    /// Pad images by this many pixels and crop at random.
    pub crop: usize,
    /// Cut a random part out of a photograph (`imagenet`) and scale it, in place of the centre.
    pub resized_crop: bool,
    /// Change colour images by the AutoAugment policy for CIFAR-10.
    pub auto: bool,
    /// Blank a square of this side in images.
    pub cutout: usize,
    /// Leave each event out with this probability (0 to below 1).
    pub drop: f32,
    /// Move each event in x and y by this standard deviation in pixels (of `size`, if given).
    pub jitter_px: f32,
    /// Move each event in time by this standard deviation in µs.
    pub jitter_us: f32,
    /// Swap ON and OFF of a whole recording with this probability (0 to 1).
    pub polarity: f32,
}

/// Pixels that an augmentation moves or blanks at most: more than any sensor has.
const LARGEST_CHANGE: usize = 65_535;
/// A minute, in µs.
const LONGEST_JITTER: f32 = 6e7;
/// The units of `data.time_unit`.
const TIME_UNITS: [&str; 4] = ["s", "ms", "us", "ns"];

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
        if !(0.0..1.0).contains(&a.drop) {
            return Err(format!("`data.augment.drop` = {}: give a probability from 0 to below 1", a.drop));
        }
        if !(0.0..=1.0).contains(&a.polarity) {
            return Err(format!("`data.augment.polarity` = {}: give a probability from 0 to 1", a.polarity));
        }
        for (name, value, most) in
            [("jitter_px", a.jitter_px, LARGEST_CHANGE as f32), ("jitter_us", a.jitter_us, LONGEST_JITTER)]
        {
            if !(0.0..=most).contains(&value) {
                return Err(format!("`data.augment.{name}` = {value}: give a deviation from 0 to {most}"));
            }
        }
        for (name, value) in [("size", self.size), ("sensor", self.sensor)] {
            if let Some([width, height]) = value
                && (width == 0 || height == 0)
            {
                return Err(format!("`data.{name}` = [{width}, {height}]: width and height are at least 1"));
            }
        }
        if let Some(unit) = self.time_unit.as_deref().filter(|unit| !TIME_UNITS.contains(unit)) {
            return Err(format!("`data.time_unit` = \"{unit}\": choose one of {}", TIME_UNITS.join(", ")));
        }
        match (self.test_share, self.train_first) {
            (Some(_), Some(_)) => {
                return Err("`data.test_share` and `data.train_first` are two ways to split: keep one".into());
            }
            (Some(share), _) if !(share > 0.0 && share < 1.0) => {
                return Err(format!("`data.test_share` = {share}: give a share between 0 and 1"));
            }
            (_, Some(0)) => return Err("`data.train_first` = 0: at least one recording of each class trains".into()),
            _ => {}
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
