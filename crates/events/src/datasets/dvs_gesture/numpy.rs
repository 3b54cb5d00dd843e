//! The NumPy layout of DVS-Gesture, `userNN_<light>/<class>.npy`: one file per trial.

use super::super::natural;
use super::super::tree::Leaf;
use super::Trial;
use crate::formats::npy::gesture_trial;
use crate::problem::DatasetProblem;
use crate::{Error, Result};

/// Users up to this number are in the training part, all others in the test part.
const LAST_OF_TRAIN: u32 = 23;

const REMEDY: &str = "the layout is userNN_LIGHT/CLASS.npy with users 1 to 29 and classes 0 to 10";

/// Finds the trials of both parts, and ignores files that are not `.npy`.
pub(super) fn find(mut leaves: Vec<Leaf>) -> Result<[Vec<Trial>; 2]> {
    leaves.retain(|leaf| leaf.path.to_ascii_lowercase().ends_with(".npy"));
    leaves.sort_by(|a, b| natural::compare(&a.path, &b.path));
    let (mut train, mut test) = (Vec::new(), Vec::new());
    for leaf in leaves {
        let Some((user, class)) = gesture_trial(&leaf.path) else {
            return Err(Error::unexpected(leaf.place.label(), DatasetProblem::NoTrial, REMEDY));
        };
        let trial = Trial { class, place: leaf.place, time: None };
        if user <= LAST_OF_TRAIN { train.push(trial) } else { test.push(trial) }
    }
    Ok([train, test])
}
