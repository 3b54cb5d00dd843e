//! Data sets behind one trait, one file per data set.
//!
//! [`open`] turns a [`DataRequest`] into a [`Dataset`]: two parts (train, test) of labelled
//! samples, which are recordings or images. Labels are cheap; samples are decoded when asked for,
//! from as many threads as one likes. To add a data set: write one file with an `INFO`, and name
//! it in [`list`].

mod archive;
pub mod cache;
mod cifar;
mod cifar10_dvs;
mod classes;
mod collection;
mod digits_dvs;
mod digits_table;
mod dvs_gesture;
mod fashion_mnist;
mod files;
mod folder;
#[cfg(feature = "images")]
mod imagenet;
mod key;
mod mnist;
mod mnist_dvs;
mod mnist_dvs_sim;
mod natural;
mod ncaltech101;
mod nmnist;
mod place;
mod request;
#[cfg(feature = "hdf5")]
mod shd;
mod split;
mod tree;

use std::fmt;
use std::path::Path;

use serde::{Deserialize, Serialize};

pub use key::Key;
pub use request::{DataRequest, Setting};

use crate::progress::{Progress, Silent};
use crate::rng::Rng;
use crate::{Error, Image, Recording, Result, Sensor};

/// The two parts of a data set. A validation part is cut from `Train` by who trains.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Split {
    /// To learn from.
    Train,
    /// To be looked at once, at the end.
    Test,
}

impl Split {
    /// `train` or `test`.
    pub fn name(self) -> &'static str {
        match self {
            Split::Train => "train",
            Split::Test => "test",
        }
    }
}

/// What the samples of a data set are.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum SampleKind {
    /// Recordings of this sensor.
    Events(Sensor),
    /// Images of one size.
    Image {
        /// C
        channels: usize,
        /// H
        height: usize,
        /// W
        width: usize,
    },
}

impl fmt::Display for SampleKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            SampleKind::Events(sensor) => write!(f, "recordings of {sensor} pixels"),
            SampleKind::Image { channels, height, width } => {
                write!(f, "images of {width}x{height} pixels, {channels} channel(s)")
            }
        }
    }
}

/// One sample.
#[derive(Debug, Clone, PartialEq)]
pub enum Sample {
    /// A recording.
    Events(Recording),
    /// An image.
    Image(Image),
}

/// A labelled data set.
pub trait Dataset: Send + Sync {
    /// The name it was opened by.
    fn name(&self) -> &str;

    /// What its samples are.
    fn kind(&self) -> SampleKind;

    /// Number of classes; labels are below.
    fn classes(&self) -> usize;

    /// The names of the classes in label order.
    fn class_names(&self) -> Vec<String>;

    /// Number of samples of a part.
    fn len(&self, split: Split) -> usize;

    /// Whether a part is empty.
    fn is_empty(&self, split: Split) -> bool {
        self.len(split) == 0
    }

    /// The label of a sample; cheap, decodes nothing.
    ///
    /// # Panics
    /// When `index` is not below [`Dataset::len`], like indexing a slice.
    fn label(&self, split: Split, index: usize) -> usize;

    /// Decodes a sample. May be called from many threads at once.
    ///
    /// # Errors
    /// [`Error::NoSample`] beyond the end; otherwise what is wrong with the sample's bytes, with
    /// file, member and offset.
    fn sample(&self, split: Split, index: usize) -> Result<Sample>;

    /// A sample cut at random and scaled, where samples have more than a network sees; for training.
    ///
    /// # Errors
    /// As [`Dataset::sample`]; [`Error::Setting`] where all samples have one size.
    fn cropped(&self, _split: Split, _index: usize, _rng: &mut Rng) -> Result<Sample> {
        let what = format!("random parts of images, but those of data set `{}` are of one size", self.name());
        Err(Error::setting(what, "remove `data.augment.resized_crop`; `crop` pads and crops"))
    }

    /// The file of a sample, as the data set's folder or archive names it (`Test/0/00004.bin`); `None`, which is the
    /// default, if a sample has no file of its own.
    ///
    /// # Panics
    /// When `index` is not below [`Dataset::len`], like indexing a slice.
    fn file(&self, _split: Split, _index: usize) -> Option<String> {
        None
    }

    /// Adds all that the samples of a part depend on to a key: files, seeds, settings. False, which
    /// is the default, if that cannot be said; then its samples are not cached.
    ///
    /// # Errors
    /// [`Error::Io`] when a file has gone.
    fn sources(&self, _split: Split, _key: &mut Key) -> Result<bool> {
        Ok(false)
    }

    /// Bytes of decoded recordings that are mapped into memory: all of a cache.
    fn mapped_bytes(&self) -> u64 {
        0
    }

    /// Where it comes from, for `data info`.
    fn describe(&self) -> Description;
}

/// What a data set is, for people ([`fmt::Display`]) and for JSON.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Description {
    /// Name of the data set.
    pub name: String,
    /// Where the samples come from.
    pub source: String,
    /// True when the events come from the simulated camera.
    pub simulated: bool,
    /// What the samples are.
    pub samples: SampleKind,
    /// Number of classes.
    pub classes: usize,
    /// Number of training samples.
    pub train: usize,
    /// Number of test samples.
    pub test: usize,
    /// What else one should know.
    pub notes: Vec<String>,
}

impl Description {
    /// The parts that every data set can say of itself.
    fn of(dataset: &dyn Dataset, source: impl Into<String>) -> Description {
        Description {
            name: dataset.name().into(),
            source: source.into(),
            simulated: false,
            samples: dataset.kind(),
            classes: dataset.classes(),
            train: dataset.len(Split::Train),
            test: dataset.len(Split::Test),
            notes: Vec::new(),
        }
    }
}

impl fmt::Display for Description {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "{}: {}", self.name, self.source)?;
        let Description { train, test, classes, samples, .. } = self;
        write!(f, "{train} train + {test} test, {classes} classes, {samples}")?;
        if self.simulated {
            write!(f, "\nthe camera is simulated: these are not measured events")?;
        }
        self.notes.iter().try_for_each(|note| write!(f, "\n{note}"))
    }
}

/// An entry of [`list`].
pub struct DatasetInfo {
    /// Name for [`DataRequest`].
    pub name: &'static str,
    /// One line.
    pub about: &'static str,
    /// The files it needs; empty when it is embedded.
    pub needs: &'static str,
    /// A folder, relative to a collection of data sets, in which it usually lies.
    pub folder: &'static str,
    /// The settings it heeds; others are refused.
    pub settings: &'static [Setting],
    /// Whether this folder or archive has its marks (cheaply, by names). Something may be wrong or
    /// missing there all the same: opening it tells what.
    pub fits: fn(&Path) -> bool,
    open: fn(&DataRequest) -> Result<Box<dyn Dataset>>,
}

impl fmt::Debug for DatasetInfo {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("DatasetInfo").field("name", &self.name).finish_non_exhaustive()
    }
}

static DATASETS: &[DatasetInfo] = &[
    digits_dvs::INFO,
    nmnist::INFO,
    mnist_dvs_sim::INFO,
    mnist::INFO,
    fashion_mnist::INFO,
    cifar::CIFAR10,
    cifar::CIFAR100,
    // Before those that must list all names to say whether it is them.
    #[cfg(feature = "images")]
    imagenet::INFO,
    cifar10_dvs::INFO,
    ncaltech101::INFO,
    dvs_gesture::INFO,
    mnist_dvs::INFO,
    #[cfg(feature = "hdf5")]
    shd::INFO,
    // Last, because nearly everything looks like it.
    folder::INFO,
];

/// All data sets that can be opened.
pub fn list() -> &'static [DatasetInfo] {
    DATASETS
}

/// Opens a data set: reads its index and, for small images, all pixels; decodes no recording, unless
/// a cache is asked for and not there yet.
///
/// # Errors
/// [`Error::UnknownDataset`], [`Error::Setting`] without a path, [`Error::Missing`] with what to
/// put where, or what is wrong with a file.
pub fn open(request: &DataRequest) -> Result<Box<dyn Dataset>> {
    open_with(request, &Silent)
}

/// As [`open`]; `progress` sees the cache being made, and can stop it.
///
/// # Errors
/// As [`open`], what is wrong with a recording that goes into the cache, [`Error::Cancelled`].
pub fn open_with(request: &DataRequest, progress: &dyn Progress) -> Result<Box<dyn Dataset>> {
    let Some(info) = DATASETS.iter().find(|d| d.name == request.name) else {
        let known: Vec<_> = DATASETS.iter().map(|d| d.name).collect();
        return Err(Error::UnknownDataset { name: request.name.clone(), known: known.join(", ") });
    };
    request.check(info)?;
    let dataset = (info.open)(request)?;
    match &request.cache {
        Some(folder) => cache::open(dataset, folder, progress),
        None => Ok(dataset),
    }
}

/// [`Error::NoSample`] for an index beyond the end.
fn check_index(dataset: &dyn Dataset, split: Split, index: usize) -> Result<()> {
    let len = dataset.len(split);
    if index < len {
        return Ok(());
    }
    Err(Error::NoSample { dataset: dataset.name().into(), split: split.name(), index, len })
}

/// The class names of digits.
fn digit_names() -> Vec<String> {
    (0..10).map(|d| d.to_string()).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_unknown_name_lists_the_known_ones() {
        let error = open(&DataRequest::new("nmist", None)).err().unwrap().to_string();
        assert!(error.starts_with("unknown data set `nmist`") && error.contains("nmnist"), "{error}");
    }

    #[test]
    fn without_its_path_a_data_set_says_what_it_needs() {
        for info in list().iter().filter(|i| !i.needs.is_empty()) {
            let error = open(&DataRequest::new(info.name, None)).err().unwrap().to_string();
            assert!(error.contains(info.needs), "{error}");
            let nowhere = Path::new("/nowhere/at/all");
            let error = open(&DataRequest::new(info.name, Some(nowhere))).err().unwrap().to_string();
            assert!(error.starts_with("/nowhere/at/all: the folder of"), "{error}");
        }
    }

    #[test]
    fn a_request_is_read_with_defaults_and_without_misspellings() {
        let request: DataRequest = serde_json::from_str(r#"{"name": "digits-dvs"}"#).unwrap();
        assert_eq!(request, DataRequest::new("digits-dvs", None));
        let wrong = r#"{"name": "mnist", "camera": {"treshold": 1}}"#;
        assert!(serde_json::from_str::<DataRequest>(wrong).is_err());
    }

    #[test]
    fn names_are_unique() {
        let mut names: Vec<_> = list().iter().map(|i| i.name).collect();
        names.sort_unstable();
        names.dedup();
        assert_eq!(names.len(), list().len());
    }
}
