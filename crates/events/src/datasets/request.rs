//! What a user asks of a data set: which, from where, split and shown how.

use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};

use super::DatasetInfo;
use super::split::Rule;
use crate::formats::{ReadOptions, TimeUnit};
use crate::{CameraConfig, Error, Result, Sensor};

/// Which data set, from where.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct DataRequest {
    /// A name out of [`list`](super::list).
    pub name: String,
    /// The folder that holds its files; not needed for `digits-dvs`.
    pub path: Option<PathBuf>,
    /// Seed of the split (where the data set has no official one) and of the simulated camera.
    /// Not the seed of training: keep it when you compare runs.
    pub seed: u64,
    /// The simulated camera, where there is one.
    pub camera: CameraConfig,
    /// The sensor, for recordings whose files do not state it.
    pub sensor: Option<Sensor>,
    /// The unit of times whose unit a recording's file does not state.
    pub time_unit: Option<TimeUnit>,
    /// Times as stored: clocks that start again from 0 are not continued.
    pub literal_times: bool,
    /// The number of the stream, for recordings of several cameras.
    pub stream: Option<i32>,
    /// Leave events outside the sensor out instead of refusing their recording.
    pub drop_outside: bool,
    /// Share of each class that is for testing, drawn by the seed; for sets without an official split.
    pub test_share: Option<f64>,
    /// The first n recordings of each class are for training, the rest for testing.
    pub train_first: Option<usize>,
    /// The size that photographs are cropped to.
    pub crop: Option<Sensor>,
    /// A folder for a cache of decoded recordings, see [`cache`](super::cache).
    pub cache: Option<PathBuf>,
}

impl DataRequest {
    /// A data set by its name, from `path`.
    pub fn new(name: impl Into<String>, path: Option<&Path>) -> DataRequest {
        DataRequest { name: name.into(), path: path.map(Path::to_path_buf), ..Default::default() }
    }

    /// How recordings are read, in whichever of several formats they are.
    pub(super) fn reading(&self) -> ReadOptions {
        let DataRequest { time_unit, literal_times, stream, drop_outside, .. } = *self;
        ReadOptions { time_unit, literal_times, stream, drop_outside, where_heeded: true, ..ReadOptions::default() }
    }

    /// The split asked for.
    pub(super) fn rule(&self) -> Result<Option<Rule>> {
        match (self.test_share, self.train_first) {
            (None, None) => Ok(None),
            (Some(share), None) if share > 0.0 && share < 1.0 => Ok(Some(Rule::Share(share))),
            (None, Some(first)) if first > 0 => Ok(Some(Rule::First(first))),
            (Some(_), Some(_)) => {
                Err(Error::setting("both `data.test_share` and `data.train_first` are set", "keep one of them"))
            }
            (Some(share), _) => {
                Err(Error::setting(format!("`data.test_share` = {share}"), "give a share between 0 and 1"))
            }
            _ => Err(Error::setting("`data.train_first` = 0", "give at least 1")),
        }
    }

    /// Refuses settings that this data set does not heed.
    pub(super) fn check(&self, info: &DatasetInfo) -> Result<()> {
        let refuse = |what: &str, why: &str| {
            let problem = format!("`{what}` is set, but data set `{}` {why}", info.name);
            Err(Error::setting(problem, format!("remove `{what}`")))
        };
        let heeds = |setting| info.settings.contains(&setting);
        match self {
            DataRequest { sensor: Some(_), .. } if !heeds(Setting::Sensor) => {
                refuse("data.sensor", "has a sensor of its own")
            }
            DataRequest { time_unit: Some(_), .. } if !heeds(Setting::Reading) => {
                refuse("data.time_unit", "has files that state their unit")
            }
            DataRequest { literal_times: true, .. } if !heeds(Setting::Reading) => {
                refuse("data.literal_times", "is of one format of known times")
            }
            DataRequest { stream: Some(_), .. } if !heeds(Setting::Reading) => {
                refuse("data.stream", "has one stream of events in a file")
            }
            DataRequest { drop_outside: true, .. } if !heeds(Setting::Reading) => {
                refuse("data.drop_outside", "has no event outside its sensor")
            }
            DataRequest { test_share: Some(_), .. } if !heeds(Setting::Split) => {
                refuse("data.test_share", "has a split of its own")
            }
            DataRequest { train_first: Some(_), .. } if !heeds(Setting::Split) => {
                refuse("data.train_first", "has a split of its own")
            }
            DataRequest { crop: Some(_), .. } if !heeds(Setting::Crop) => refuse("data.size", "has images of one size"),
            _ => Ok(()),
        }
    }

    /// The path, which must be there and exist.
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

/// A setting of a [`DataRequest`] that only some data sets heed.
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
