//! `[data]` of a recipe: the data set, its split, its scaling and its augmentation.

use serde::{Deserialize, Serialize};
use std::path::PathBuf;

/// The `[data]` part of a recipe.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct DataRecipe {
    /// Name of the data set (`tickless data list`).
    pub set: String,
    /// Folder or zip file of the data set; not needed for embedded sets.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub path: Option<PathBuf>,
    /// Seed of splits and of the simulated camera; by default the recipe's seed. If it is set, runs
    /// with different recipe seeds use the same data.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub seed: Option<u64>,
    /// Width and height of the sensor in pixels, for recordings whose files do not state them.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub sensor: Option<[u16; 2]>,
    /// Unit of time stamps, for recordings whose files do not state it: s, ms, us or ns.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub time_unit: Option<String>,
    /// Whether to use time stamps as stored. By default the reader continues clocks that restart
    /// from 0 (DAT, AEDAT 2.0, EVT).
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub literal_times: bool,
    /// Number of the stream to read from a file with several cameras (AEDAT4, HDF5).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub stream: Option<i32>,
    /// Whether to skip events outside the sensor; by default the reader refuses their recording.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub drop_outside: bool,
    /// Share of each class that forms the test part, drawn with the data seed; for sets without an
    /// official split.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub test_share: Option<f64>,
    /// Number of recordings of each class, in natural order, that form the training part; the rest
    /// form the test part. For sets without an official split.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub train_first: Option<usize>,
    /// Folder for a cache of decoded recordings, so only the first epoch of the first run decodes
    /// them; users may delete it at any time.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub cache: Option<PathBuf>,
    /// Share of the training part that is held out to select the best epoch (0 for none).
    #[serde(default)]
    pub validation: f64,
    /// Number of training samples to use, the first of a seeded order (0 for all).
    #[serde(default)]
    pub train_limit: usize,
    /// Number of test samples to use, the first of a seeded order (0 for all).
    #[serde(default)]
    pub test_limit: usize,
    /// Cross-validation over the training and test part together.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub folds: Option<Folds>,
    /// Width and height to which recordings are scaled by area sums and photographs (`imagenet`)
    /// cropped.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub size: Option<[u16; 2]>,
    /// Random augmentation of training samples.
    #[serde(default)]
    pub augment: Augment,
}

/// The fold of a cross-validation that this run uses.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Folds {
    /// Number of folds.
    pub of: usize,
    /// Index of the fold that is the test set, from 0.
    pub fold: usize,
}

/// Random augmentation of training samples, seeded per sample and epoch.
#[derive(Debug, Clone, Copy, PartialEq, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Augment {
    /// Mirrors left-right with probability ½.
    pub flip: bool,
    /// Rolls event frames by up to this many pixels in x and y.
    pub roll: usize,
    /// Pads images by this many pixels and crops them at random.
    pub crop: usize,
    /// Crops a random part of a photograph (`imagenet`) and scales it, instead of cropping the
    /// centre.
    pub resized_crop: bool,
    /// Changes colour images by the AutoAugment policy for CIFAR-10.
    pub auto: bool,
    /// Blanks a square of this side in images.
    pub cutout: usize,
    /// Drops each event with this probability (0 to below 1).
    pub drop: f32,
    /// Standard deviation in pixels (of `size`, if given) by which each event moves in x and y.
    pub jitter_px: f32,
    /// Standard deviation in µs by which each event moves in time.
    pub jitter_us: f32,
    /// Largest shift of each event in time, in steps at T_max. The shift is drawn uniformly between
    /// this number of steps earlier and as many later. The key is serialised only if it is not 0,
    /// so that versions that do not know it can resume a checkpoint.
    #[serde(skip_serializing_if = "is_zero")]
    pub jitter_steps: f32,
    /// Probability (0 to 1) that ON and OFF of a whole recording are swapped.
    pub polarity: f32,
}

fn is_zero(value: &f32) -> bool {
    *value == 0.0
}

/// Largest number of pixels for `roll`, `crop`, `cutout` and `jitter_px`: more than any sensor has.
const LARGEST_CHANGE: usize = 65_535;
/// Largest `jitter_us`: one minute, in µs.
const LONGEST_JITTER: f32 = 6e7;
/// Largest `jitter_steps`, because no training has more steps.
const MOST_JITTER_STEPS: f32 = super::LARGEST_STEPS as f32;
/// Valid values of `data.time_unit`.
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
        if !(0.0..=MOST_JITTER_STEPS).contains(&a.jitter_steps) {
            return Err(format!(
                "`data.augment.jitter_steps` = {}: give a number of steps from 0 to {MOST_JITTER_STEPS}",
                a.jitter_steps
            ));
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
