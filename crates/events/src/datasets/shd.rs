//! Spiking Heidelberg Digits: spoken digits in English and German, as spikes of 700 channels of a
//! model of the inner ear (Cramer et al., IEEE TNNLS 33:2744, 2022).
//!
//! The data set has one file for each part. A spike becomes an ON event at x = channel on a sensor
//! of 700×1. The files are mapped into memory (feature `mmap`) or read; a sample is decoded when
//! the caller asks for it.

use std::fs::File;
use std::path::{Path, PathBuf};

use super::collection::with_duration;
use super::key::Key;
use super::{Dataset, DatasetInfo, Description, Sample, SampleKind, Samples, Split, check_index, files};
use crate::formats::shd::{SENSOR, Shd};
use crate::source::{self, Bytes};
use crate::{Error, Result};

pub(super) const INFO: DatasetInfo = DatasetInfo {
    name: "shd",
    about: "Spiking Heidelberg Digits, spoken digits (700x1, 20 classes)",
    needs: "shd_train.h5 and shd_test.h5 (plain or .gz)",
    folder: "shd",
    samples: Samples::events(SENSOR.width, SENSOR.height, NAMES.len()),
    settings: &[],
    fits: |path| files::plain_or_gz(path, "shd_train.h5").is_some(),
    open: |request| Ok(Box::new(Digits::open(request.path(&INFO)?)?)),
};

const NAMES: [&str; 20] = [
    "zero", "one", "two", "three", "four", "five", "six", "seven", "eight", "nine", "null", "eins", "zwei", "drei",
    "vier", "fuenf", "sechs", "sieben", "acht", "neun",
];

/// The open data set; see the module.
struct Digits {
    path: PathBuf,
    train: Part,
    test: Part,
}

struct Part {
    file: PathBuf,
    bytes: Bytes,
    samples: Shd,
}

impl Digits {
    fn open(path: &Path) -> Result<Digits> {
        let train = Part::open(files::need(path, "shd_train.h5")?)?;
        let test = Part::open(files::need(path, "shd_test.h5")?)?;
        Ok(Digits { path: path.to_path_buf(), train, test })
    }

    fn part(&self, split: Split) -> &Part {
        match split {
            Split::Train => &self.train,
            Split::Test => &self.test,
        }
    }
}

impl Part {
    fn open(file: PathBuf) -> Result<Part> {
        let io = |source| Error::Io { path: file.clone(), source };
        let mapped = if source::is_gz(&file) { None } else { source::map(&File::open(&file).map_err(io)?) };
        let bytes = match mapped {
            Some(bytes) => bytes,
            None => Bytes::Read(source::read(&file)?),
        };
        let name = file.display().to_string();
        let samples = Shd::open(&bytes, &name)?;
        if let Some(i) = samples.labels().iter().position(|&l| usize::from(l) >= NAMES.len()) {
            let problem = format!("sample {i} has the label {}; there are 0 to 19", samples.labels()[i]);
            return Err(Error::unexpected(name, problem, "give the files of SHD (not of SSC)"));
        }
        Ok(Part { file, bytes, samples })
    }
}

impl Dataset for Digits {
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
        self.part(split).samples.len()
    }

    fn label(&self, split: Split, index: usize) -> usize {
        self.part(split).samples.labels()[index].into()
    }

    fn sample(&self, split: Split, index: usize) -> Result<Sample> {
        check_index(self, split, index)?;
        let part = self.part(split);
        let (recording, _) = part.samples.recording(&part.bytes, index)?;
        let label = || format!("{}: sample {index}", part.file.display());
        with_duration(recording, label).map(Sample::Events)
    }

    fn sources(&self, split: Split, key: &mut Key) -> Result<bool> {
        key.file(&self.part(split).file)?;
        Ok(true)
    }

    fn describe(&self) -> Description {
        Description::of(self, format!("spikes of a model of the inner ear, {}", self.path.display()))
    }
}
