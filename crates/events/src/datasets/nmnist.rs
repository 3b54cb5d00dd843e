//! N-MNIST: 60,000 + 10,000 recordings of digits on a screen by a moving ATIS camera (Orchard et
//! al., 2015), in the published layout.
//!
//! The path is a folder with `Train.zip` and `Test.zip`, a folder with the unpacked folders `Train`
//! and `Test`, or one zip archive with both parts. Recordings are named `Train/<digit>/<id>.bin`.
//! The index is read once and sorted by id; a recording is decoded when the caller asks for it.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use super::archive::Archive;
use super::collection::with_duration;
use super::location::RecordingLocation;
use super::{
    Dataset, DatasetInfo, Description, Sample, SampleKind, Samples, Split, check_index, digit_names, files, key::Key,
};
use crate::formats::nmnist_bin;
use crate::problem::{DatasetProblem, Problem};
use crate::{Error, Recording, Result, Sensor};

pub(super) const INFO: DatasetInfo = DatasetInfo {
    name: "nmnist",
    about: "N-MNIST, recordings of MNIST digits (34x34, 10 classes)",
    needs: "Train.zip and Test.zip, or the unpacked folders Train and Test",
    folder: "nmnist",
    samples: Samples::events(34, 34, 10),
    settings: &[],
    fits,
    open: |request| Ok(Box::new(Nmnist::open(request.path(&INFO)?)?)),
};

/// Whether more than half of the class folders in the training part are named by a digit and one
/// of these contains a `.bin` file. A part `Train` alone proves nothing, because other data sets have
/// one too.
fn fits(path: &Path) -> bool {
    let folder = path.join("Train");
    if folder.is_dir() {
        let classes = files::entries(&folder).unwrap_or_default();
        let digits = classes.iter().filter(|c| c.file_name().is_some_and(|n| digit(&n.to_string_lossy()).is_some()));
        let mut recordings = digits.clone().flat_map(|c| files::entries(c).unwrap_or_default());
        return 2 * digits.count() > classes.len() && recordings.any(|r| r.extension().is_some_and(|e| e == "bin"));
    }
    let archive = if path.is_file() { path.to_path_buf() } else { path.join("Train.zip") };
    // If `Train.zip` is broken, it counts as N-MNIST, so that opening it reports the problem.
    let Ok(zip) = Archive::open(&archive) else { return archive.is_file() && archive != path };
    let names = (0..zip.len()).map(|i| zip.name(i));
    let mut classes = BTreeMap::new();
    for name in names.filter(|n| !n.split('/').any(files::is_litter)) {
        if let Some((class, file)) = name.strip_prefix("Train/").and_then(|n| n.split_once('/')) {
            *classes.entry(class.to_owned()).or_insert(false) |= file.ends_with(".bin");
        }
    }
    let digits = classes.iter().filter(|(class, _)| digit(class).is_some());
    2 * digits.clone().count() > classes.len() && digits.into_iter().any(|(_, recordings)| *recordings)
}

/// The digit that is the name of a class folder.
fn digit(name: &str) -> Option<u8> {
    match name.as_bytes() {
        [d @ b'0'..=b'9'] => Some(d - b'0'),
        _ => None,
    }
}

const REMEDY: &str = "the layout is Train/<digit>/<id>.bin and Test/<digit>/<id>.bin; remove it or \
                      give the folder of the data set";

/// The open data set; see the module.
pub struct Nmnist {
    path: PathBuf,
    train: Part,
    test: Part,
}

/// The recordings of one part, sorted by id.
struct Part {
    entries: Vec<Entry>,
}

struct Entry {
    id: u64,
    digit: u8,
    place: RecordingLocation,
}

impl Nmnist {
    /// Reads the index of both parts.
    pub fn open(path: &Path) -> Result<Nmnist> {
        let (train, test) = if path.is_file() {
            (Part::of_zip(path, "Train", true)?, Part::of_zip(path, "Test", true)?)
        } else {
            (Part::of_folder(path, "Train")?, Part::of_folder(path, "Test")?)
        };
        Ok(Nmnist { path: path.to_path_buf(), train, test })
    }

    fn part(&self, split: Split) -> &Part {
        match split {
            Split::Train => &self.train,
            Split::Test => &self.test,
        }
    }
}

impl Part {
    fn of_folder(root: &Path, part: &str) -> Result<Part> {
        let (folder, zip) = (root.join(part), root.join(format!("{part}.zip")));
        if folder.is_dir() {
            let mut entries = Vec::new();
            for class in files::entries(&folder)? {
                // If a file is in the place of a class folder, `parse` below refuses it.
                let inner = if class.is_dir() { files::entries(&class)? } else { vec![class] };
                for file in inner {
                    let name = file.strip_prefix(root).unwrap_or(&file).to_string_lossy();
                    let (id, digit) = parse(&name.replace('\\', "/"), part)
                        .map_err(|e| Error::unexpected(file.display().to_string(), e, REMEDY))?;
                    entries.push(Entry { id, digit, place: RecordingLocation::File(file) });
                }
            }
            Part::sorted(entries, &folder)
        } else if zip.is_file() {
            Part::of_zip(&zip, part, false)
        } else {
            let what = format!("{part}.zip or the folder {part}");
            let remedy = "put it there or give the folder that holds it".into();
            Err(Error::Missing { path: root.to_path_buf(), what, remedy })
        }
    }

    /// Lists the recordings of `part` in an archive. `shared`: the archive may hold the other part
    /// too.
    fn of_zip(path: &Path, part: &str, shared: bool) -> Result<Part> {
        let archive = Arc::new(Archive::open(path)?);
        let other = if part == "Train" { "Test/" } else { "Train/" };
        let mut entries = Vec::new();
        for index in 0..archive.len() {
            let name = archive.name(index);
            let litter = name.split('/').any(files::is_litter);
            if name.ends_with('/') || litter || (shared && name.starts_with(other)) {
                continue;
            }
            let (id, digit) = parse(&name, part).map_err(|e| Error::unexpected(archive.label(index), e, REMEDY))?;
            entries.push(Entry { id, digit, place: RecordingLocation::Member(archive.clone(), index) });
        }
        Part::sorted(entries, path)
    }

    fn sorted(mut entries: Vec<Entry>, path: &Path) -> Result<Part> {
        if entries.is_empty() {
            let what = "a single recording".into();
            return Err(Error::Missing { path: path.to_path_buf(), what, remedy: REMEDY.into() });
        }
        entries.sort_by_key(|e| (e.id, e.digit));
        Ok(Part { entries })
    }
}

/// Parses id and digit from a name like `Train/5/00001.bin`.
fn parse(name: &str, part: &str) -> Result<(u64, u8), Problem> {
    let parts: Vec<_> = name.split('/').collect();
    let [found, class, file] = parts[..] else {
        return Err(DatasetProblem::NotInClass.into());
    };
    if found != part {
        return Err(Problem::Expected { what: "lies in `{}`", found: found.into(), expected: format!("`{part}`") });
    }
    let digit = digit(class).ok_or_else(|| DatasetProblem::NoDigit { class: class.into() })?;
    let id = file.strip_suffix(".bin").and_then(|id| id.parse().ok());
    id.map(|id| (id, digit)).ok_or_else(|| DatasetProblem::NoRecording { file: file.into() }.into())
}

/// Decodes a recording. If an event lies outside the sensor, the error contains its byte offset.
fn decode(bytes: &[u8], file: &str) -> Result<Recording> {
    let stream = nmnist_bin::decode(bytes, file)?;
    match Recording::from_columns(Sensor::NMNIST, stream.events) {
        Ok((recording, _)) => with_duration(recording, || file.into()),
        Err(Error::OutsideSensor { index, x, y, sensor }) => {
            let at = nmnist_bin::offset_of(bytes, index);
            let problem = Problem::Outside { sensor, x, y };
            Err(Error::malformed(file, at, problem, "get the file again"))
        }
        Err(other) => Err(other),
    }
}

impl Dataset for Nmnist {
    fn name(&self) -> &str {
        INFO.name
    }

    fn kind(&self) -> SampleKind {
        SampleKind::Events(Sensor::NMNIST)
    }

    fn classes(&self) -> usize {
        10
    }

    fn class_names(&self) -> Vec<String> {
        digit_names()
    }

    fn len(&self, split: Split) -> usize {
        self.part(split).entries.len()
    }

    fn label(&self, split: Split, index: usize) -> usize {
        self.part(split).entries[index].digit.into()
    }

    fn sample(&self, split: Split, index: usize) -> Result<Sample> {
        check_index(self, split, index)?;
        let (bytes, file) = self.part(split).entries[index].place.read()?;
        Ok(Sample::Events(decode(&bytes, &file)?))
    }

    fn file(&self, split: Split, index: usize) -> Option<String> {
        Some(self.part(split).entries[index].place.name_within(&self.path))
    }

    fn sources(&self, split: Split, key: &mut Key) -> Result<bool> {
        self.part(split).entries.iter().try_for_each(|e| e.place.add_to(key))?;
        Ok(true)
    }

    fn describe(&self) -> Description {
        let source = format!("recordings of a real camera (ATIS), {}", self.path.display());
        Description::of(self, source)
    }
}
