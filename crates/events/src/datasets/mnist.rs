//! MNIST: 60,000 + 10,000 grey images of digits in four IDX files, plain or gzipped.
//!
//! [`IdxDataset`] serves every data set in this layout.

use std::path::{Path, PathBuf};

use super::key::Key;
use super::{
    DataRequest, Dataset, DatasetInfo, Description, Sample, SampleKind, Samples, Split, check_index, digit_names, files,
};
use crate::formats::idx::{self, IdxImages};
use crate::problem::{DatasetProblem, Problem};
use crate::{Error, Image, Result, source};

pub(super) const NEEDS: &str = "train-images-idx3-ubyte, train-labels-idx1-ubyte, \
                                t10k-images-idx3-ubyte and t10k-labels-idx1-ubyte (plain or .gz)";

pub(super) const INFO: DatasetInfo = DatasetInfo {
    name: "mnist",
    about: "MNIST, grey images of digits (28x28, 10 classes)",
    needs: NEEDS,
    folder: "mnist",
    samples: Samples::images(1, 28, 10),
    settings: &[],
    fits: |path| fits(path) && !is_fashion(path),
    open: |request| Ok(Box::new(IdxDataset::open(&INFO, request, digit_names())?)),
};

/// Whether the folder contains images in this layout.
pub(super) fn fits(path: &Path) -> bool {
    ["train", "t10k"].map(|p| files::plain_or_gz(path, &format!("{p}-images-idx3-ubyte"))) != [None, None]
}

/// Whether the folder's name contains "fashion". The files of both MNISTs have the same names, so
/// only the folder's name distinguishes them.
pub(super) fn is_fashion(path: &Path) -> bool {
    let name = path.canonicalize().unwrap_or_else(|_| path.to_path_buf());
    name.file_name().is_some_and(|n| n.to_string_lossy().to_ascii_lowercase().contains("fashion"))
}

/// The images and labels of both parts, in memory.
pub(super) struct IdxDataset {
    name: &'static str,
    path: PathBuf,
    class_names: Vec<String>,
    train: Part,
    test: Part,
}

struct Part {
    images: IdxImages,
    labels: Vec<u8>,
    files: [PathBuf; 2],
}

impl IdxDataset {
    /// Reads the four files.
    pub fn open(info: &DatasetInfo, request: &DataRequest, class_names: Vec<String>) -> Result<IdxDataset> {
        let path = request.path(info)?;
        let train = Part::read(path, "train", class_names.len())?;
        let test = Part::read(path, "t10k", class_names.len())?;
        let (a, b) = (&train.images, &test.images);
        if (a.height, a.width) != (b.height, b.width) {
            let problem = DatasetProblem::ImageSizes;
            return Err(Error::unexpected(path.display().to_string(), problem, "get the files again"));
        }
        Ok(IdxDataset { name: info.name, path: path.to_path_buf(), class_names, train, test })
    }

    /// The folder it was read from.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Height and width of every image.
    pub fn size(&self) -> (usize, usize) {
        (self.train.images.height, self.train.images.width)
    }

    /// The pixels of an image, row by row.
    pub fn pixels(&self, split: Split, index: usize) -> Result<&[u8]> {
        check_index(self, split, index)?;
        Ok(self.part(split).images.image(index).unwrap_or(&[]))
    }

    fn part(&self, split: Split) -> &Part {
        match split {
            Split::Train => &self.train,
            Split::Test => &self.test,
        }
    }
}

impl Part {
    fn read(folder: &Path, prefix: &str, classes: usize) -> Result<Part> {
        let images = files::need(folder, &format!("{prefix}-images-idx3-ubyte"))?;
        let labels = files::need(folder, &format!("{prefix}-labels-idx1-ubyte"))?;
        let labels_name = labels.display().to_string();
        let pixels = idx::images(source::read(&images)?, &images.display().to_string())?;
        let values = idx::labels(source::read(&labels)?, &labels_name)?;
        if values.len() != pixels.count {
            let problem = DatasetProblem::Labels { labels: values.len(), images: pixels.count };
            return Err(Error::malformed(&labels_name, 4, problem, "get both files again"));
        }
        if let Some(i) = values.iter().position(|&l| usize::from(l) >= classes) {
            let (found, expected) = (values[i].to_string(), format!("less than {classes}"));
            let problem = Problem::Expected { what: "label {}", found, expected };
            return Err(Error::malformed(&labels_name, 8 + i as u64, problem, "get the file again"));
        }
        Ok(Part { images: pixels, labels: values, files: [images, labels] })
    }
}

impl Dataset for IdxDataset {
    fn name(&self) -> &str {
        self.name
    }

    fn kind(&self) -> SampleKind {
        let (height, width) = self.size();
        SampleKind::Image { channels: 1, height, width }
    }

    fn classes(&self) -> usize {
        self.class_names.len()
    }

    fn class_names(&self) -> Vec<String> {
        self.class_names.clone()
    }

    fn len(&self, split: Split) -> usize {
        self.part(split).labels.len()
    }

    fn label(&self, split: Split, index: usize) -> usize {
        self.part(split).labels[index].into()
    }

    fn sample(&self, split: Split, index: usize) -> Result<Sample> {
        let (height, width) = self.size();
        let pixels = self.pixels(split, index)?.to_vec();
        Image::new(1, height, width, pixels).map(Sample::Image)
    }

    fn sources(&self, split: Split, key: &mut Key) -> Result<bool> {
        let part = self.part(split);
        key.file(&part.files[0])?;
        key.file(&part.files[1])?;
        Ok(true)
    }

    fn describe(&self) -> Description {
        Description::of(self, format!("images, {}", self.path.display()))
    }
}
