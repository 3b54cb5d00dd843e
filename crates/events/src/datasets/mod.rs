//! Opens data sets behind one trait; each data set has its own file.
//!
//! [`open`] turns a [`DataRequest`] into a [`Dataset`] with two parts (train, test) of labelled
//! samples, which are recordings or images. Reading a label is cheap; a sample is decoded when the
//! caller asks for it, and any number of threads may ask at once. To add a data set, write a file
//! with an `INFO` and add it to `DATASETS`.

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
mod identity;
#[cfg(feature = "images")]
mod imagenet;
mod key;
mod location;
mod mnist;
mod mnist_dvs;
mod mnist_dvs_sim;
mod natural;
mod ncaltech101;
mod nmnist;
pub mod own_file;
mod request;
#[cfg(feature = "hdf5")]
mod shd;
mod split;
mod tree;

use std::fmt;
use std::path::Path;

use serde::{Deserialize, Serialize};
use tickless_words::words;

pub use identity::{Comparison, Identity};
pub use key::Key;
pub use request::{DataRequest, Setting};

use crate::formats::EventStream;
use crate::progress::{Progress, Silent};
use crate::rng::Rng;
use crate::{Choice, Error, Image, Recording, Remedy, Result, Sensor};

/// The two parts of a data set. The training code takes a validation part from `Train`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Split {
    /// Samples to train on.
    Train,
    /// Samples to evaluate once, after training.
    Test,
}

words!(serde Split, "part of a data set", { Train = "train", Test = "test" });

/// The type and size of a data set's samples.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum SampleKind {
    /// Recordings of a sensor of this size.
    Events(Sensor),
    /// Images of one size, `[C, H, W]`.
    Image {
        /// Number of channels.
        channels: usize,
        /// Height in pixels.
        height: usize,
        /// Width in pixels.
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
    /// The name of the data set in [`list`].
    fn name(&self) -> &str;

    /// The type of its samples.
    fn kind(&self) -> SampleKind;

    /// Number of classes. Every label is below it.
    fn classes(&self) -> usize;

    /// The names of the classes in label order.
    fn class_names(&self) -> Vec<String>;

    /// The name of a class; its number if it has none.
    fn class_name(&self, label: usize) -> String {
        self.class_names().into_iter().nth(label).unwrap_or_else(|| label.to_string())
    }

    /// Number of samples of a part.
    fn len(&self, split: Split) -> usize;

    /// Whether a part is empty.
    fn is_empty(&self, split: Split) -> bool {
        self.len(split) == 0
    }

    /// The label of a sample. This is cheap: nothing is decoded.
    ///
    /// # Panics
    /// If `index` is not below [`Dataset::len`].
    fn label(&self, split: Split, index: usize) -> usize;

    /// Decodes a sample. Several threads may call this at the same time.
    ///
    /// # Errors
    /// [`Error::NoSample`] if `index` is past the end; otherwise an error of the sample's bytes,
    /// with file, member and offset.
    fn sample(&self, split: Split, index: usize) -> Result<Sample>;

    /// Decodes a sample and scales a random part of it to the size of the samples, to augment
    /// training.
    ///
    /// # Errors
    /// As [`Dataset::sample`]; [`Error::Setting`] (the default) if the data set's images have one
    /// size.
    fn cropped(&self, _split: Split, _index: usize, _rng: &mut Rng) -> Result<Sample> {
        let what = format!("random parts of images, but those of data set `{}` are of one size", self.name());
        Err(Error::setting(what, Remedy::of("take whole images, or pad and crop them", &[Choice::RandomPart])))
    }

    /// Changes the events of a file as this data set changes those of its own files when it reads
    /// them; by default nothing.
    fn adjust(&self, _events: &mut EventStream) {}

    /// The file of a sample, as the data set's folder or archive names it (`Test/0/00004.bin`);
    /// `None` (the default) if a sample has no file of its own.
    ///
    /// # Panics
    /// If `index` is not below [`Dataset::len`].
    fn file(&self, _split: Split, _index: usize) -> Option<String> {
        None
    }

    /// Adds everything that the samples of a part depend on (files, seeds, settings) to `key`.
    /// Returns false (the default) if the data set does not know it; its samples are then not
    /// cached.
    ///
    /// # Errors
    /// [`Error::Io`] if a file no longer exists.
    fn sources(&self, _split: Split, _key: &mut Key) -> Result<bool> {
        Ok(false)
    }

    /// Size in bytes of the cache files of decoded recordings that are mapped into memory; 0
    /// without a cache.
    fn mapped_bytes(&self) -> u64 {
        0
    }

    /// A description for `data info`.
    fn describe(&self) -> Description;
}

/// A description of a data set, as text ([`fmt::Display`]) and as JSON.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Description {
    /// Name of the data set.
    pub name: String,
    /// The source of the samples.
    pub source: String,
    /// True if the events come from the simulated camera.
    pub simulated: bool,
    /// The type of the samples.
    pub samples: SampleKind,
    /// Number of classes.
    pub classes: usize,
    /// Number of training samples.
    pub train: usize,
    /// Number of test samples.
    pub test: usize,
    /// Further remarks, one line each.
    pub notes: Vec<String>,
}

impl Description {
    /// The description without remarks, from what every data set provides.
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

/// The samples of a data set as published.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Samples {
    /// Their type and size, unless a setting changes it.
    pub kind: SampleKind,
    /// Number of classes.
    pub classes: usize,
}

impl Samples {
    /// Recordings of a sensor of `width`×`height` pixels.
    const fn events(width: u16, height: u16, classes: usize) -> Option<Self> {
        Some(Self { kind: SampleKind::Events(Sensor { width, height }), classes })
    }

    /// Square images.
    const fn images(channels: usize, side: usize, classes: usize) -> Option<Self> {
        Some(Self { kind: SampleKind::Image { channels, height: side, width: side }, classes })
    }
}

/// A data set that [`open`] can open.
pub struct DatasetInfo {
    /// The name to use in a [`DataRequest`].
    pub name: &'static str,
    /// A description of one line.
    pub about: &'static str,
    /// The files it needs; empty if the data set is embedded.
    pub needs: &'static str,
    /// The folder in which it usually lies, relative to the folder of all data sets.
    pub folder: &'static str,
    /// Its samples as published, without a look at files; `None` if they depend on the files.
    pub samples: Option<Samples>,
    /// The settings that it supports; [`open`] refuses all others.
    pub settings: &'static [Setting],
    /// Whether a folder or archive looks like this data set, judged quickly by names. Files may
    /// still be missing or broken; opening it reports that.
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
    // Before the data sets that must list all names of a folder, because this one lists only a few.
    #[cfg(feature = "images")]
    imagenet::INFO,
    cifar10_dvs::INFO,
    ncaltech101::INFO,
    dvs_gesture::INFO,
    mnist_dvs::INFO,
    #[cfg(feature = "hdf5")]
    shd::INFO,
    // Last, because nearly every folder of recordings fits it.
    folder::INFO,
];

/// All data sets that can be opened.
pub fn list() -> &'static [DatasetInfo] {
    DATASETS
}

/// Opens a data set: reads its index and, for small images, all pixels. Recordings are decoded only
/// if the request has a cache folder that does not yet contain them.
///
/// # Errors
/// [`Error::UnknownDataset`]; [`Error::Setting`] if the request has an unsupported setting or lacks
/// a path; [`Error::Missing`], which names what to put where; or an error of a file's content.
pub fn open(request: &DataRequest) -> Result<Box<dyn Dataset>> {
    open_with(request, &Silent)
}

/// As [`open`]. `progress` receives the state of building the cache, and can stop it.
///
/// # Errors
/// As [`open`]; the error of a recording that goes into the cache; [`Error::Cancelled`].
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

/// Returns [`Error::NoSample`] if `index` is past the end of `split`.
fn check_index(dataset: &dyn Dataset, split: Split, index: usize) -> Result<()> {
    let len = dataset.len(split);
    if index < len {
        return Ok(());
    }
    Err(Error::NoSample { dataset: dataset.name().into(), split: split.as_str(), index, len })
}

/// The class names of data sets of digits.
fn digit_names() -> Vec<String> {
    (0..10).map(|d| d.to_string()).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_unknown_name_lists_the_known_ones() {
        let error = open(&DataRequest::new("nmist", None)).err().unwrap();
        let Error::UnknownDataset { name, known } = &error else { panic!("{error}") };
        assert!(name == "nmist" && known.contains("nmnist"), "{error}");
    }

    #[test]
    fn the_description_of_a_data_set_names_the_size_and_the_classes_of_its_samples() {
        for info in list() {
            let Some(samples) = info.samples else { continue };
            let (width, height) = match samples.kind {
                SampleKind::Events(s) => (s.width.into(), s.height.into()),
                SampleKind::Image { height, width, .. } => (width, height),
            };
            assert!(info.about.contains(&format!("{width}x{height}")), "{}: {}", info.name, info.about);
            let classes = format!("{} classes", samples.classes);
            assert!(info.about.contains(&classes) || info.name == "imagenet", "{}: {}", info.name, info.about);
        }
    }

    #[test]
    fn without_its_path_a_data_set_says_what_it_needs() {
        for info in list().iter().filter(|i| !i.needs.is_empty()) {
            let error = open(&DataRequest::new(info.name, None)).err().unwrap().to_string();
            assert!(error.contains(info.needs), "{error}");
            let nowhere = Path::new("/nowhere/at/all");
            let error = open(&DataRequest::new(info.name, Some(nowhere))).err().unwrap();
            assert!(matches!(&error, Error::Missing { path, .. } if path == nowhere), "{error}");
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
