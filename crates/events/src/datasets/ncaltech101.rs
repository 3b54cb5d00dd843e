//! N-Caltech101: the images of Caltech101 on a screen, seen by a moving ATIS (Orchard et al.,
//! 2015): a folder per class of `image_<n>.bin`, or the zip of it.
//!
//! Recordings differ in size (at most about 234×174); all are put on a sensor of 240×180, upper
//! left, which `data.sensor` can change.
//!
//! There are 101 folders: 100 objects and `BACKGROUND_Google`, pictures of anything, which counts
//! as a class, as other loaders have it; remove its folder to do without. (`Faces` of Caltech101 is
//! not in N-Caltech101, only `Faces_easy`.) The annotations beside the recordings, also `.bin`, are
//! left out. There is no official split: a tenth of each class, drawn by the seed, is for testing.

use super::collection::{self, Collection, Published};
use super::split::Rule;
use super::{DatasetInfo, Setting};
use crate::Sensor;

pub(super) const INFO: DatasetInfo = DatasetInfo {
    name: "ncaltech101",
    about: "N-Caltech101, recordings of pictures of objects (240x180, 101 classes)",
    needs: "a folder for each class (or the zip of them): Caltech101/accordion/image_0001.bin",
    folder: "ncaltech101",
    settings: &[Setting::Sensor, Setting::Reading, Setting::Split],
    fits: |path| collection::looks_like(path, annotation, |names| names.iter().any(|n| n == "accordion")),
    open: |request| {
        let sensor = Sensor { width: 240, height: 180 };
        let request = super::DataRequest { sensor: request.sensor.or(Some(sensor)), ..request.clone() };
        let rule = Rule::Share(0.1);
        let set = Published { info: &INFO, sensor: None, rule, skip: annotation, adjust: |_| {} };
        Ok(Box::new(Collection::open(set, &request)?))
    },
};

fn annotation(name: &str) -> bool {
    let name = name.to_ascii_lowercase();
    name.contains("annotation") || name.ends_with(".m") || name.ends_with(".md")
}
