//! CIFAR-10 and CIFAR-100 in their binary format, plain or gzipped.
//!
//! The training part of CIFAR-10 consists of all files `data_batch_<n>.bin` that exist, in the
//! order of n. For CIFAR-100 it is `train.bin`, and the labels are the fine ones.

use std::path::{Path, PathBuf};

use super::{
    DataRequest, Dataset, DatasetInfo, Description, Key, Sample, SampleKind, Samples, Split, check_index, files,
};
use crate::formats::HEAD;
use crate::formats::cifar::{Kind, Records, SIDE};
use crate::{Image, Result, source};

pub(super) const CIFAR10: DatasetInfo = DatasetInfo {
    name: "cifar10",
    about: "CIFAR-10, colour images (32x32, 10 classes)",
    needs: "data_batch_<n>.bin and test_batch.bin (plain or .gz)",
    folder: "cifar10",
    samples: Samples::images(3, 32, NAMES10.len()),
    settings: &[],
    fits: |path| {
        let folder = folder(path, Kind::Cifar10);
        ["test_batch.bin", "data_batch_1.bin"].iter().any(|name| files::plain_or_gz(&folder, name).is_some())
    },
    open: |request| Ok(Box::new(Cifar::open(&CIFAR10, Kind::Cifar10, request)?)),
};

pub(super) const CIFAR100: DatasetInfo = DatasetInfo {
    name: "cifar100",
    about: "CIFAR-100, colour images (32x32, 100 classes)",
    needs: "train.bin and test.bin (plain or .gz)",
    folder: "cifar100",
    samples: Samples::images(3, 32, 100),
    settings: &[],
    fits: |path| {
        // Other data sets use the same file names, so the content is checked too.
        let files = ["train.bin", "test.bin"].map(|name| files::plain_or_gz(&folder(path, Kind::Cifar100), name));
        let records = |file| source::head(file, HEAD).is_ok_and(|(head, _)| Kind::Cifar100.begins(&head));
        files.iter().flatten().any(|file| records(file))
    },
    open: |request| Ok(Box::new(Cifar::open(&CIFAR100, Kind::Cifar100, request)?)),
};

pub(super) const NAMES10: [&str; 10] =
    ["airplane", "automobile", "bird", "cat", "deer", "dog", "frog", "horse", "ship", "truck"];

/// CIFAR-10 or CIFAR-100; see the module.
struct Cifar {
    name: &'static str,
    kind: Kind,
    path: PathBuf,
    class_names: Vec<String>,
    train: Part,
    test: Part,
}

/// The records of one part's files, in order, and the paths of these files.
struct Part(Vec<Records>, Vec<PathBuf>);

impl Cifar {
    fn open(info: &DatasetInfo, kind: Kind, request: &DataRequest) -> Result<Cifar> {
        let path = folder(request.path(info)?, kind);
        let (train, test, names) = match kind {
            Kind::Cifar10 => (batches(&path)?, "test_batch.bin", "batches.meta.txt"),
            Kind::Cifar100 => (vec![files::need(&path, "train.bin")?], "test.bin", "fine_label_names.txt"),
        };
        let test = Part::read(&[files::need(&path, test)?], kind)?;
        let train = Part::read(&train, kind)?;
        let class_names = class_names(&path.join(names), kind);
        Ok(Cifar { name: info.name, kind, path, class_names, train, test })
    }

    fn part(&self, split: Split) -> &Part {
        match split {
            Split::Train => &self.train,
            Split::Test => &self.test,
        }
    }
}

/// The path itself, or the sub-folder that the official archive creates.
fn folder(path: &Path, kind: Kind) -> PathBuf {
    let inner = path.join(match kind {
        Kind::Cifar10 => "cifar-10-batches-bin",
        Kind::Cifar100 => "cifar-100-binary",
    });
    if inner.is_dir() { inner } else { path.to_path_buf() }
}

/// The training files of CIFAR-10, sorted by number.
fn batches(folder: &Path) -> Result<Vec<PathBuf>> {
    let number = |path: &PathBuf| -> Option<u32> {
        let name = path.file_name()?.to_str()?;
        let name = name.strip_suffix(".gz").unwrap_or(name);
        name.strip_prefix("data_batch_")?.strip_suffix(".bin")?.parse().ok()
    };
    let mut found: Vec<_> = files::entries(folder)?.into_iter().filter_map(|p| Some((number(&p)?, p))).collect();
    // If a batch exists both plain and gzipped, one of the two is used: `.bin`, because it sorts
    // first.
    found.sort();
    found.dedup_by_key(|(n, _)| *n);
    if found.is_empty() {
        // This makes an error that names the first missing file.
        return Ok(vec![files::need(folder, "data_batch_1.bin")?]);
    }
    Ok(found.into_iter().map(|(_, path)| path).collect())
}

/// The class names from the file beside the records; if it is missing, the known names (CIFAR-10)
/// or numbers (CIFAR-100).
fn class_names(path: &Path, kind: Kind) -> Vec<String> {
    let text = std::fs::read_to_string(path).unwrap_or_default();
    let names: Vec<_> = text.lines().map(str::trim).filter(|l| !l.is_empty()).map(String::from).collect();
    match kind {
        _ if names.len() == kind.classes() => names,
        Kind::Cifar10 => NAMES10.map(String::from).into(),
        Kind::Cifar100 => (0..100).map(|c| c.to_string()).collect(),
    }
}

impl Part {
    fn read(paths: &[PathBuf], kind: Kind) -> Result<Part> {
        let read = |path: &PathBuf| Records::parse(source::read(path)?, kind, &path.display().to_string());
        Ok(Part(paths.iter().map(read).collect::<Result<_>>()?, paths.to_vec()))
    }

    /// The file that contains sample `index`, and the record's index in it.
    fn find(&self, mut index: usize) -> Option<(&Records, usize)> {
        for records in &self.0 {
            if index < records.len() {
                return Some((records, index));
            }
            index -= records.len();
        }
        None
    }
}

impl Dataset for Cifar {
    fn name(&self) -> &str {
        self.name
    }

    fn kind(&self) -> SampleKind {
        SampleKind::Image { channels: 3, height: SIDE, width: SIDE }
    }

    fn classes(&self) -> usize {
        self.kind.classes()
    }

    fn class_names(&self) -> Vec<String> {
        self.class_names.clone()
    }

    fn len(&self, split: Split) -> usize {
        self.part(split).0.iter().map(Records::len).sum()
    }

    fn label(&self, split: Split, index: usize) -> usize {
        let found = self.part(split).find(index).and_then(|(records, i)| records.label(i));
        found.unwrap_or_else(|| panic!("{}: no {split} sample {index}", self.name))
    }

    fn sample(&self, split: Split, index: usize) -> Result<Sample> {
        check_index(self, split, index)?;
        let found = self.part(split).find(index).and_then(|(records, i)| records.pixels(i));
        let pixels = found.unwrap_or(&[]).to_vec();
        Image::new(3, SIDE, SIDE, pixels).map(Sample::Image)
    }

    fn sources(&self, split: Split, key: &mut Key) -> Result<bool> {
        self.part(split).1.iter().try_for_each(|file| key.file(file))?;
        Ok(true)
    }

    fn describe(&self) -> Description {
        let mut description = Description::of(self, format!("images, {}", self.path.display()));
        if self.kind == Kind::Cifar10 {
            let files = self.train.0.len();
            description.notes.push(format!("{files} of the 5 official training files are there"));
        }
        description
    }
}
