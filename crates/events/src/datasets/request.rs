//! A user's request for a data set: its name, its path, how to split it and how to read it.

use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};

use super::DatasetInfo;
use super::split::Rule;
use crate::formats::{ReadOptions, TimeUnit};
use crate::{CameraConfig, Choice, Error, Remedy, Result, Sensor};

/// A request for a data set.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct DataRequest {
    /// The name of a data set in [`list`](super::list).
    pub name: String,
    /// The folder that contains its files; `digits-dvs` needs none.
    pub path: Option<PathBuf>,
    /// Seed of the split (if the data set has no official one) and of the simulated camera. It is
    /// not the seed of training: keep it constant to compare runs.
    pub seed: u64,
    /// The simulated camera, for data sets that use one.
    pub camera: CameraConfig,
    /// The sensor, for recordings whose files do not state one.
    pub sensor: Option<Sensor>,
    /// The unit of times, for recordings whose files do not state it.
    pub time_unit: Option<TimeUnit>,
    /// Use times as stored: if a clock restarts from 0, do not continue it.
    pub literal_times: bool,
    /// The number of the stream to read, for files that contain several streams.
    pub stream: Option<i32>,
    /// Drop events outside the sensor; otherwise such a recording is an error.
    pub drop_outside: bool,
    /// Share of each class for testing, drawn with the seed; for data sets without an official
    /// split.
    pub test_share: Option<f64>,
    /// Use the first n recordings of each class for training and the rest for testing.
    pub train_first: Option<usize>,
    /// The size to which photographs are cropped.
    pub crop: Option<Sensor>,
    /// A folder for a cache of decoded recordings, see [`cache`](super::cache).
    pub cache: Option<PathBuf>,
}

impl DataRequest {
    /// Requests the data set `name` from `path`; all other settings have their defaults.
    pub fn new(name: impl Into<String>, path: Option<&Path>) -> DataRequest {
        DataRequest { name: name.into(), path: path.map(Path::to_path_buf), ..Default::default() }
    }

    /// The options for reading recordings. An option that does not apply to a file's format is
    /// ignored, because the recordings of one data set may have several formats.
    pub(super) fn reading(&self) -> ReadOptions {
        let DataRequest { time_unit, literal_times, stream, drop_outside, .. } = *self;
        ReadOptions { time_unit, literal_times, stream, drop_outside, where_supported: true, ..ReadOptions::default() }
    }

    /// The split rule of the request, if it has one.
    pub(super) fn rule(&self) -> Result<Option<Rule>> {
        match (self.test_share, self.train_first) {
            (None, None) => Ok(None),
            (Some(share), None) if share > 0.0 && share < 1.0 => Ok(Some(Rule::Share(share))),
            (None, Some(first)) if first > 0 => Ok(Some(Rule::First(first))),
            (Some(_), Some(_)) => {
                let remedy = Remedy::of("keep one of them", &[Choice::TestShare, Choice::TrainFirst]);
                Err(Error::setting("both a share for testing and a number for training are given", remedy))
            }
            (Some(share), _) => {
                let remedy = Remedy::of("give a share between 0 and 1", &[Choice::TestShare]);
                Err(Error::setting(format!("a share of {share} for testing"), remedy))
            }
            _ => {
                let remedy = Remedy::of("give at least 1", &[Choice::TrainFirst]);
                Err(Error::setting("0 recordings of each class for training", remedy))
            }
        }
    }

    /// Returns an error if a setting is present that this data set does not support.
    pub(super) fn check(&self, info: &DatasetInfo) -> Result<()> {
        let refuse = |what: &str, choice: &'static [Choice], why: &str| {
            let problem = format!("{what} is given, but data set `{}` {why}", info.name);
            Err(Error::setting(problem, Remedy::of("leave it out", choice)))
        };
        let supports = |setting| info.settings.contains(&setting);
        match self {
            DataRequest { sensor: Some(_), .. } if !supports(Setting::Sensor) => {
                refuse("a sensor", &[Choice::Sensor], "has a sensor of its own")
            }
            DataRequest { time_unit: Some(_), .. } if !supports(Setting::Reading) => {
                refuse("a unit of time", &[Choice::TimeUnit], "has files that state their unit")
            }
            DataRequest { literal_times: true, .. } if !supports(Setting::Reading) => {
                refuse("the choice of literal times", &[Choice::LiteralTimes], "is of one format of known times")
            }
            DataRequest { stream: Some(_), .. } if !supports(Setting::Reading) => {
                refuse("the number of a stream", &[Choice::Stream], "has one stream of events in a file")
            }
            DataRequest { drop_outside: true, .. } if !supports(Setting::Reading) => {
                refuse("the choice to drop events outside", &[Choice::DropOutside], "has no event outside its sensor")
            }
            DataRequest { test_share: Some(_), .. } if !supports(Setting::Split) => {
                refuse("a share for testing", &[Choice::TestShare], "has a split of its own")
            }
            DataRequest { train_first: Some(_), .. } if !supports(Setting::Split) => {
                refuse("a number for training", &[Choice::TrainFirst], "has a split of its own")
            }
            DataRequest { crop: Some(_), .. } if !supports(Setting::Crop) => {
                refuse("a size for crops", &[Choice::Crop], "has images of one size")
            }
            _ => Ok(()),
        }
    }

    /// The path. Returns an error if the request has none or the path does not exist.
    pub(super) fn path(&self, info: &DatasetInfo) -> Result<&Path> {
        let name = info.name;
        let Some(path) = self.path.as_deref() else {
            let what = format!("data set `{name}` without a path");
            return Err(Error::setting(what, format!("give the folder that holds {}", info.needs)));
        };
        if !path.exists() {
            let what = format!("the folder of data set `{name}`");
            let remedy = format!("give the folder that holds {}", info.needs);
            return Err(Error::Missing { path: path.to_path_buf(), what, remedy: remedy.into() });
        }
        Ok(path)
    }
}

/// A setting of a [`DataRequest`] that only some data sets support.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Setting {
    /// `sensor`.
    Sensor,
    /// `time_unit`, `literal_times`, `stream` and `drop_outside`.
    Reading,
    /// `test_share` and `train_first`.
    Split,
    /// `crop`.
    Crop,
}
