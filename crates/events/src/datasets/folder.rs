//! A user's own data set: a folder or zip archive with one sub-folder per class that holds
//! recordings, in any format this crate reads, also gzipped and mixed. See `classes` for the
//! layout and for how classes and recordings are sorted.
//!
//! The sensor is the one of the request, else the largest that the files state. The split is that
//! of the folders `train` and `test` if there are such; else the first n of each class train, or a
//! share of each class drawn by the seed tests, whichever the request says: a fifth if none.

use super::collection::{self, Collection, Published, nothing};
use super::split::Rule;
use super::{DatasetInfo, Setting};

pub(super) const INFO: DatasetInfo = DatasetInfo {
    name: "folder",
    about: "your own recordings, one sub-folder per class",
    needs: "CLASS/RECORDING, or train/CLASS/RECORDING and test/CLASS/RECORDING (a folder or a zip)",
    folder: "",
    settings: &[Setting::Sensor, Setting::Reading, Setting::Split],
    fits: collection::has_recordings,
    open: |request| {
        let rule = Rule::Share(0.2);
        let own = Published { info: &INFO, sensor: None, rule, skip: nothing, adjust: |_| {} };
        Ok(Box::new(Collection::open(own, request)?))
    },
};
