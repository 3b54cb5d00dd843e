//! CIFAR10-DVS: 10,000 images of CIFAR-10, moved in front of a DVS128 camera (Li et al., Frontiers
//! in Neuroscience 11:309, 2017). Each of the 10 classes has 1,000 recordings of 128×128 pixels, in
//! a folder or a zip archive.
//!
//! The files are AEDAT4 or the original AEDAT 2.0. Events of AEDAT 2.0 are transformed as the usual
//! loaders do:
//!
//! ```text
//! x' = 127 − y    y' = 127 − x    p' = 1 − p
//! ```
//!
//! Of each class, the first 900 recordings (sorted by number) are for training, the last 100 for
//! testing.

use super::collection::{self, Collection, Published, nothing};
use super::split::Rule;
use super::{DatasetInfo, Samples, Setting};
use crate::formats::{EventStream, aedat2};
use crate::problem::DatasetProblem;
use crate::{Error, Sensor};

pub(super) const INFO: DatasetInfo = DatasetInfo {
    name: "cifar10-dvs",
    about: "CIFAR10-DVS, recordings of moving CIFAR-10 images (128x128, 10 classes)",
    needs: "a folder or zip for each class, airplane to truck, of .aedat4 or .aedat",
    folder: "cifar10-dvs",
    samples: Samples::events(128, 128, 10),
    settings: &[Setting::Reading, Setting::Split],
    fits: |path| collection::looks_like(path, nothing, |names| names == CLASSES),
    open: |request| {
        let set = Published {
            info: &INFO,
            sensor: Some(Sensor { width: 128, height: 128 }),
            rule: Rule::First(900),
            skip: nothing,
            adjust: turn,
        };
        let open = Collection::open(set, request)?;
        if open.names() != CLASSES {
            let file = request.path(&INFO)?.display().to_string();
            let found = open.names().to_vec();
            let problem = DatasetProblem::Classes { found, expected: CLASSES.map(String::from).into() };
            return Err(Error::unexpected(file, problem, "get the missing classes, or use the data set `folder`"));
        }
        Ok(Box::new(open))
    },
};

const CLASSES: [&str; 10] = super::cifar::NAMES10;

/// Transforms the events of an AEDAT 2.0 file, see the module. A coordinate above 127 wraps around
/// and stays outside the sensor.
fn turn(stream: &mut EventStream) {
    if stream.format != aedat2::FORMAT.name {
        return;
    }
    let events = &mut stream.events;
    std::mem::swap(&mut events.x, &mut events.y);
    for coordinates in [&mut events.x, &mut events.y] {
        coordinates.iter_mut().for_each(|v| *v = 127u16.wrapping_sub(*v));
    }
    events.on.iter_mut().for_each(|on| *on = !*on);
}
