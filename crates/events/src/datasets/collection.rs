//! Recordings in class folders: used for a user's own data and for several published data sets.
//!
//! Opening lists names only. If the sensor is not known, the first recording of each class is read
//! too. A recording is decoded when the caller asks for it.

use std::path::{Path, PathBuf};

use super::classes::{self, Entry, Wanted};
use super::key::Key;
use super::split::Rule;
use super::{DataRequest, Dataset, DatasetInfo, Description, Sample, SampleKind, Split, check_index, files, tree};
use crate::formats::{EventStream, FORMATS, ReadOptions};
use crate::{Choice, Error, Recording, Remedy, Result, Sensor};

/// The properties of a data set in class folders that its files do not state.
pub(super) struct Published {
    pub info: &'static DatasetInfo,
    /// The sensor; if `None`, that of the request, or else the one that the files state.
    pub sensor: Option<Sensor>,
    /// The rule to split the data set if it has no folders `train` and `test`.
    pub rule: Rule,
    /// Whether to ignore files and folders of this name.
    pub skip: fn(&str) -> bool,
    /// Transforms decoded events, if the usual loaders of the data set do so.
    pub adjust: fn(&mut EventStream),
}

/// Ignores no file or folder.
pub(super) fn nothing(_: &str) -> bool {
    false
}

/// Whether a file of this name can be a recording.
pub(super) fn is_recording(name: &str) -> bool {
    let name = name.to_ascii_lowercase();
    let name = name.strip_suffix(".gz").unwrap_or(&name);
    name.rsplit_once('.').is_some_and(|(_, e)| FORMATS.iter().any(|f| f.extensions.contains(&e)))
}

/// An open data set of this layout.
pub(super) struct Collection {
    published: Published,
    path: PathBuf,
    names: Vec<String>,
    sensor: Sensor,
    read: ReadOptions,
    /// The rule and seed of the split; `None` if folders define it.
    rule: Option<(Rule, u64)>,
    train: Vec<Entry>,
    test: Vec<Entry>,
}

impl Collection {
    pub(super) fn open(published: Published, request: &DataRequest) -> Result<Collection> {
        let path = request.path(published.info)?.to_path_buf();
        let found = classes::find(&path, Wanted { skip: published.skip, sample: is_recording })?;
        let asked = request.rule()?;
        let (train, test, rule) = match (found.test, asked) {
            (Some(_), Some(rule)) => {
                let what =
                    format!("{}: there are the parts train and test, and the request asks for {rule}", path.display());
                let choices = &[Choice::TestShare, Choice::TrainFirst];
                return Err(Error::setting(what, Remedy::of("leave the rule of the split out", choices)));
            }
            (Some(test), None) => (found.all, test, None),
            (None, asked) => {
                let rule = asked.unwrap_or(published.rule);
                let (train, test) = rule.cut(found.all, &found.names, request.seed)?;
                (train, test, Some((rule, request.seed)))
            }
        };
        let sensor = match (published.sensor, request.sensor) {
            (Some(known), Some(asked)) if asked != known => {
                let what = format!("data set `{}` is of a sensor of {known} pixels, not {asked}", published.info.name);
                let remedy = "leave the sensor out; to scale recordings, give another size";
                return Err(Error::setting(what, Remedy::of(remedy, &[Choice::Sensor])));
            }
            (Some(known), _) => known,
            (None, Some(asked)) => asked,
            (None, None) => stated(&train, &test, &request.reading())?,
        };
        let read = ReadOptions { sensor: Some(sensor), ..request.reading() };
        Ok(Collection { published, path, names: found.names, sensor, read, rule, train, test })
    }

    fn part(&self, split: Split) -> &[Entry] {
        match split {
            Split::Train => &self.train,
            Split::Test => &self.test,
        }
    }

    /// The names of the classes, in label order.
    pub(super) fn names(&self) -> &[String] {
        &self.names
    }
}

/// The sensor that the files state: the largest width and height in the first recording of each
/// class.
fn stated(train: &[Entry], test: &[Entry], read: &ReadOptions) -> Result<Sensor> {
    let mut sensor = Sensor { width: 0, height: 0 };
    for part in [train, test] {
        let mut last = None;
        for entry in part.iter().filter(|e| last.replace(e.class) != Some(e.class)) {
            let stream = entry.place.events(read)?;
            let Some(size) = stream.sensor else {
                let label = entry.place.label();
                let what =
                    format!("{label}: it does not state its sensor (its events reach {})", stream.events.bounding());
                return Err(Error::setting(what, Remedy::STATE_SENSOR));
            };
            sensor.width = sensor.width.max(size.width);
            sensor.height = sensor.height.max(size.height);
        }
    }
    Ok(sensor)
}

/// Makes a recording on `sensor`. If an event lies outside, the error names the file by `label`.
pub(super) fn on_sensor(stream: EventStream, sensor: Sensor, label: impl FnOnce() -> String) -> Result<Recording> {
    match Recording::from_columns(sensor, stream.events) {
        Ok((recording, _)) => with_duration(recording, label),
        Err(Error::OutsideSensor { index, x, y, sensor }) => {
            Err(Error::StrayEvent { file: label(), index: index as u64, x, y, sensor })
        }
        Err(other) => Err(other),
    }
}

/// Returns the recording, or an error if it has several events and all have the same time. Such a
/// recording cannot be divided into time steps, and probably its times were read in a wrong unit.
pub(super) fn with_duration(recording: Recording, label: impl FnOnce() -> String) -> Result<Recording> {
    if recording.len() < 2 || recording.span_us() > 1 {
        return Ok(recording);
    }
    let (n, t) = (recording.len(), recording.t_first_us().unwrap_or(0));
    let problem = format!("all {n} events have the time {t} µs, so the recording has no duration");
    Err(Error::unexpected(label(), problem, Remedy::STATE_UNIT))
}

impl Dataset for Collection {
    fn name(&self) -> &str {
        self.published.info.name
    }

    fn kind(&self) -> SampleKind {
        SampleKind::Events(self.sensor)
    }

    fn classes(&self) -> usize {
        self.names.len()
    }

    fn class_names(&self) -> Vec<String> {
        self.names.clone()
    }

    fn len(&self, split: Split) -> usize {
        self.part(split).len()
    }

    fn label(&self, split: Split, index: usize) -> usize {
        self.part(split)[index].class
    }

    fn sample(&self, split: Split, index: usize) -> Result<Sample> {
        check_index(self, split, index)?;
        let place = &self.part(split)[index].place;
        let mut stream = place.events(&self.read)?;
        self.adjust(&mut stream);
        on_sensor(stream, self.sensor, || place.label()).map(Sample::Events)
    }

    fn adjust(&self, events: &mut EventStream) {
        (self.published.adjust)(events);
    }

    fn file(&self, split: Split, index: usize) -> Option<String> {
        Some(self.part(split)[index].place.name_within(&self.path))
    }

    fn sources(&self, split: Split, key: &mut Key) -> Result<bool> {
        let ReadOptions { time_unit, literal_times, stream, drop_outside, .. } = self.read;
        key.text(time_unit.map_or("", |unit| unit.as_str())).number(literal_times.into()).number(drop_outside.into());
        key.text(&stream.map_or(String::new(), |stream| stream.to_string()));
        for entry in self.part(split) {
            entry.place.add_to(key)?;
        }
        Ok(true)
    }

    fn describe(&self) -> Description {
        let mut description = Description::of(self, format!("recordings, {}", self.path.display()));
        description.notes.push(match self.rule {
            Some((rule @ Rule::Share(_), seed)) => format!("split: {rule}, drawn by seed {seed}"),
            Some((rule, _)) => format!("split: {rule}, the rest for testing"),
            None => "split: folders train and test".into(),
        });
        description
    }
}

/// Whether the path contains recordings at any depth. Also true if its names cannot be listed, so
/// that opening it reports the error; false for an empty folder.
pub(super) fn has_recordings(path: &Path) -> bool {
    let empty = path.is_dir() && files::entries(path).is_ok_and(|entries| entries.is_empty());
    !empty && tree::list(path).map_or(true, |leaves| leaves.iter().any(|leaf| is_recording(&leaf.path)))
}

/// Whether the path has class folders with samples, and `names` accepts the names of the classes.
pub(super) fn looks_like(path: &Path, skip: fn(&str) -> bool, names: impl Fn(&[String]) -> bool) -> bool {
    let found = classes::find(path, Wanted { skip, sample: is_recording });
    found.is_ok_and(|f| !f.all.is_empty() && names(&f.names))
}
