//! MNIST-DVS: recordings of moving MNIST digits by a DVS128 camera (Serrano-Gotarredona and
//! Linares-Barranco, Frontiers in Neuroscience 9:481, 2015). One folder per digit, with files of
//! text, AEDAT or any other format.
//!
//! x and y are used as stored; the authors' viewer shows 127 − x and 127 − y instead, which makes
//! no difference to a network. The data set has no official split: a fifth of each digit, drawn
//! with the seed, is for testing, unless the request states another split. If you have few
//! recordings, use cross-validation.

use std::path::Path;

use super::archive::Archive;
use super::collection::{self, Collection, Published, nothing};
use super::split::Rule;
use super::{DatasetInfo, Samples, Setting};
use crate::{Error, Sensor};

pub(super) const INFO: DatasetInfo = DatasetInfo {
    name: "mnist-dvs",
    about: "MNIST-DVS, recordings of moving digits (128x128, 10 classes)",
    needs: "a folder 0 to 9 for each digit, or the zip of them",
    folder: "mnist-dvs",
    samples: Samples::events(128, 128, 10),
    settings: &[Setting::Reading, Setting::Split],
    fits: |path| {
        collection::looks_like(path, nothing, |names| names.len() == 10 && names.iter().all(|n| is_digit(n)))
            && !has_parts(path)
    },
    open: |request| {
        let set = Published {
            info: &INFO,
            sensor: Some(Sensor { width: 128, height: 128 }),
            rule: Rule::Share(0.2),
            skip: nothing,
            adjust: |_| {},
        };
        let open = Collection::open(set, request)?;
        if let Some(name) = open.names().iter().find(|n| !is_digit(n)) {
            let file = request.path(&INFO)?.display().to_string();
            return Err(Error::unexpected(file, format!("the class `{name}` is no digit 0 to 9"), "move it away"));
        }
        Ok(Box::new(open))
    },
};

fn is_digit(name: &str) -> bool {
    matches!(name.as_bytes(), [b'0'..=b'9'])
}

/// Whether this is N-MNIST, which has class folders of digits too, but in the parts `Train` and
/// `Test`.
fn has_parts(path: &Path) -> bool {
    if path.is_file() {
        return Archive::open(path).is_ok_and(|zip| (0..zip.len()).any(|i| zip.name(i).starts_with("Train/")));
    }
    ["Train", "Train.zip"].iter().any(|name| path.join(name).exists())
}
