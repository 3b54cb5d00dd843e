//! N-Caltech101: the images of Caltech101 on a screen, recorded by a moving ATIS camera (Orchard et
//! al., 2015). One folder of `image_<n>.bin` per class, or a zip archive of these folders.
//!
//! Recordings differ in size (at most about 234×174). All use a sensor of 240×180 with the
//! recording in its upper left corner; `data.sensor` selects another size.
//!
//! The data set has 101 folders: 100 objects and `BACKGROUND_Google`, which contains arbitrary
//! pictures and counts as a class, as in other loaders; remove its folder to exclude it.
//! (N-Caltech101 has only `Faces_easy`, not the `Faces` of Caltech101.) The annotations beside the
//! recordings are also `.bin` files and are ignored. The data set has no official split: a tenth of
//! each class, drawn with the seed, is for testing.

use super::collection::{self, Collection, Published};
use super::split::Rule;
use super::{DatasetInfo, Samples, Setting};
use crate::Sensor;

pub(super) const INFO: DatasetInfo = DatasetInfo {
    name: "ncaltech101",
    about: "N-Caltech101, recordings of pictures of objects (240x180, 101 classes)",
    needs: "a folder for each class (or the zip of them): Caltech101/accordion/image_0001.bin",
    folder: "ncaltech101",
    samples: Samples::events(240, 180, 101),
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
