//! DVS-Gesture: 11 gestures of 29 people under three lights, recorded by a DVS128 (Amir et al.,
//! CVPR 2017). Two layouts are in use:
//!
//! **NumPy**: `userNN_<light>/<class>.npy`, class 0 to 10, columns x, y, p, t in ms. The authors
//! split by people: users 1 to 23 are for training, 24 to 29 for testing.
//!
//! **AEDAT 3.1**, as published: `userNN_<light>.aedat`; `userNN_<light>_labels.csv`, whose lines
//! are `class,startTime_usec,endTime_usec` with class 1 to 11; and the lists `trials_to_train.txt`
//! and `trials_to_test.txt` of `.aedat` names. Each line of labels is one sample: the events with
//! start ≤ t < end, whose times are used as stored.
//!
//! A sample is read from its file chunk by chunk, so it needs the memory of one chunk besides its
//! own events.

mod numpy;
mod trials;

use std::path::{Path, PathBuf};

use super::collection::on_sensor;
use super::key::Key;
use super::location::RecordingLocation;
use super::tree::Leaf;
use super::{Dataset, DatasetInfo, Description, Sample, SampleKind, Samples, Split, check_index, tree};
use crate::formats::{self, EventStream, ReadOptions};
use crate::problem::DatasetProblem;
use crate::{Columns, Error, Event, Result, Sensor};

pub(super) const INFO: DatasetInfo = DatasetInfo {
    name: "dvs-gesture",
    about: "DVS-Gesture, recordings of 11 gestures (128x128, 11 classes)",
    needs: "userNN_LIGHT/CLASS.npy, or userNN_LIGHT.aedat with labels and trials_to_train.txt",
    folder: "dvs-gesture",
    samples: Samples::events(SENSOR.width, SENSOR.height, NAMES.len()),
    settings: &[],
    fits,
    open: |request| Ok(Box::new(Gesture::open(request.path(&INFO)?.to_path_buf())?)),
};

const SENSOR: Sensor = Sensor { width: 128, height: 128 };
const NAMES: [&str; 11] = [
    "hand_clapping",
    "right_hand_wave",
    "left_hand_wave",
    "right_arm_clockwise",
    "right_arm_counter_clockwise",
    "left_arm_clockwise",
    "left_arm_counter_clockwise",
    "arm_roll",
    "air_drums",
    "air_guitar",
    "other_gestures",
];

/// No other data set has these lists of trials. Other data sets do have arrays in folders, so
/// arrays count only if all of them are trials.
fn fits(path: &Path) -> bool {
    let lists = |leaf: &Leaf| trials::LISTS.iter().any(|list| leaf.path.ends_with(list));
    tree::list(path).is_ok_and(|leaves| leaves.iter().any(lists)) || Gesture::open(path.to_path_buf()).is_ok()
}

/// The open data set; see the module.
struct Gesture {
    path: PathBuf,
    layout: &'static str,
    train: Vec<Trial>,
    test: Vec<Trial>,
}

/// One sample: a whole file, or a time range of it.
struct Trial {
    class: usize,
    place: RecordingLocation,
    /// The range `[start, end)` in µs; `None` for the whole file.
    time: Option<(u64, u64)>,
}

impl Gesture {
    fn open(path: PathBuf) -> Result<Gesture> {
        let leaves = tree::list(&path)?;
        let published = leaves.iter().any(|leaf| trials::LISTS.iter().any(|list| leaf.path.ends_with(list)));
        let (layout, [train, test]) =
            if published { ("AEDAT 3.1", trials::find(&leaves, &path)?) } else { ("npy", numpy::find(leaves)?) };
        for (part, name) in [(&train, "training"), (&test, "test")] {
            if part.is_empty() {
                let (what, remedy) = (format!("a trial of the {name} part"), format!("needed is {}", INFO.needs));
                return Err(Error::Missing { path, what, remedy: remedy.into() });
            }
        }
        Ok(Gesture { path, layout, train, test })
    }

    fn part(&self, split: Split) -> &[Trial] {
        match split {
            Split::Train => &self.train,
            Split::Test => &self.test,
        }
    }
}

impl Trial {
    fn events(&self) -> Result<EventStream> {
        let Some((start, end)) = self.time else { return self.place.events(&ReadOptions::default()) };
        let mut cut = Cut { start, end, events: Columns::new() };
        let (format, sensor) = match &self.place {
            RecordingLocation::File(path) => {
                let mut reader = formats::open(path)?;
                let mut chunk = Columns::new();
                while reader.next(&mut chunk)? && cut.add(&chunk) {}
                (reader.format(), reader.sensor())
            }
            RecordingLocation::Member(..) => {
                let stream = self.place.events(&ReadOptions::default())?;
                cut.add(&stream.events);
                (stream.format, stream.sensor)
            }
        };
        if cut.events.is_empty() {
            let problem = DatasetProblem::NoEvents { start_us: start, end_us: end };
            return Err(Error::unexpected(self.place.label(), problem, "get the file and its labels again"));
        }
        Ok(EventStream { format, sensor, events: cut.events })
    }
}

/// Collects the events of a time range from consecutive chunks.
struct Cut {
    start: u64,
    end: u64,
    events: Columns,
}

impl Cut {
    /// Adds the events of `chunk` that lie in the range. Returns false if all its events are later
    /// than the range; reading can then stop, because the times of a file are nearly sorted.
    fn add(&mut self, chunk: &Columns) -> bool {
        let inside = |e: &Event| (self.start..self.end).contains(&e.t_us);
        self.events.extend(chunk.iter().filter(inside));
        chunk.t_us().iter().any(|&t| t < self.end)
    }
}

impl Dataset for Gesture {
    fn name(&self) -> &str {
        INFO.name
    }

    fn kind(&self) -> SampleKind {
        SampleKind::Events(SENSOR)
    }

    fn classes(&self) -> usize {
        NAMES.len()
    }

    fn class_names(&self) -> Vec<String> {
        NAMES.map(String::from).into()
    }

    fn len(&self, split: Split) -> usize {
        self.part(split).len()
    }

    fn label(&self, split: Split, index: usize) -> usize {
        self.part(split)[index].class
    }

    fn sample(&self, split: Split, index: usize) -> Result<Sample> {
        check_index(self, split, index)?;
        let trial = &self.part(split)[index];
        on_sensor(trial.events()?, SENSOR, || trial.place.label()).map(Sample::Events)
    }

    fn file(&self, split: Split, index: usize) -> Option<String> {
        let trial = &self.part(split)[index];
        let name = trial.place.name_within(&self.path);
        // One file holds all trials of a person; the start time in µs distinguishes them.
        Some(trial.time.map_or(name.clone(), |(start, _)| format!("{name}@{start}")))
    }

    fn sources(&self, split: Split, key: &mut Key) -> Result<bool> {
        for trial in self.part(split) {
            trial.place.add_to(key)?;
            let (start, end) = trial.time.unwrap_or((0, u64::MAX));
            key.number(start).number(end);
        }
        Ok(true)
    }

    fn describe(&self) -> Description {
        let mut description = Description::of(self, format!("{} recordings, {}", self.layout, self.path.display()));
        description.notes.push("split of the authors, by people".into());
        description
    }
}
