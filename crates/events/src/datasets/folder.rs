//! A user's own data set: a folder or zip archive with one sub-folder per class. The recordings may
//! be in any format that this crate reads, gzipped or not, and the formats may differ. See
//! `classes` for the layout and for the order of classes and recordings.
//!
//! The sensor is that of the request, or else the largest that the files state. If the folders
//! `train` and `test` exist, they define the split. Otherwise the request does: the first n
//! recordings of each class are for training, or a random share of each class is for testing
//! (default: a fifth).

use super::collection::{self, Collection, Published, nothing};
use super::split::Rule;
use super::{DatasetInfo, Setting};

pub(super) const INFO: DatasetInfo = DatasetInfo {
    name: "folder",
    about: "your own recordings, one sub-folder per class",
    needs: "CLASS/RECORDING, or train/CLASS/RECORDING and test/CLASS/RECORDING (a folder or a zip)",
    folder: "",
    samples: None,
    settings: &[Setting::Sensor, Setting::Reading, Setting::Split],
    fits: collection::has_recordings,
    open: |request| {
        let rule = Rule::Share(0.2);
        let own = Published { info: &INFO, sensor: None, rule, skip: nothing, adjust: |_| {} };
        Ok(Box::new(Collection::open(own, request)?))
    },
};
