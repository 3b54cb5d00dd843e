//! Photographs in class folders, laid out like ImageNet: `train/<class>/*.JPEG` and
//! `val/<class>/*.JPEG`, as JPEG or PNG of any size.
//!
//! Classes are sorted by the bytes of their names, as in torchvision's `ImageFolder`, so the labels
//! are equal. Opening lists names (about 30 bytes of memory per image); an image is decoded when
//! the caller asks for it.
//!
//! ```text
//! sample   scales the short side to crop·256/224 and crops the centre (the usual evaluation)
//! cropped  scales a random part, of 8 to 100 % of the area and 3:4 to 4:3 in aspect, to the crop
//!          (Szegedy et al., CVPR 2015; after ten failed tries, the largest allowed centre part)
//! ```
//!
//! Scaling is bilinear and widens its filter when an image shrinks, as in Pillow; pixels differ
//! from Pillow's by at most one level because of rounding. The crop is 224×224 unless the request
//! states another size. Grey images are converted to colour, alpha is dropped, and rotations stated
//! in EXIF are ignored.

mod listing;
mod transform;

use std::io::BufReader;
use std::path::{Path, PathBuf};

use image::{DynamicImage, ImageReader, Limits, RgbImage};

use super::{
    DataRequest, Dataset, DatasetInfo, Description, Key, Sample, SampleKind, Samples, Setting, Split, check_index,
};
use crate::problem::Problem;
use crate::rng::Rng;
use crate::{Error, Result, Sensor};
use listing::Listing;
pub(super) use transform::{centre, planes};

pub(super) const INFO: DatasetInfo = DatasetInfo {
    name: "imagenet",
    about: "ImageNet or other photographs in class folders (224x224 unless `size` says otherwise)",
    needs: "train/CLASS/*.JPEG and val/CLASS/*.JPEG (or .png)",
    folder: "imagenet",
    samples: Samples::images(3, CROP.width as usize, 1000),
    settings: &[Setting::Crop],
    fits: |path| ["train", "val"].iter().any(|part| listing::looks_like(&path.join(part))),
    open: |request| Ok(Box::new(Photographs::open(request)?)),
};

const CROP: Sensor = Sensor { width: 224, height: 224 };
/// The largest width or height in pixels. Larger images are made to exhaust memory.
const LARGEST_SIDE: u32 = 20_000;

/// The open data set; see the module.
struct Photographs {
    path: PathBuf,
    crop: Sensor,
    classes: Vec<String>,
    train: Listing,
    val: Listing,
}

impl Photographs {
    fn open(request: &DataRequest) -> Result<Photographs> {
        let path = request.path(&INFO)?.to_path_buf();
        let crop = request.crop.unwrap_or(CROP);
        if crop.pixels() == 0 {
            return Err(Error::setting(format!("a crop of {crop} pixels"), "give at least 1x1"));
        }
        let classes = listing::classes(&path.join("train"))?;
        let train = Listing::read(path.join("train"), &classes)?;
        let val = Listing::read(path.join("val"), &classes)?;
        Ok(Photographs { path, crop, classes, train, val })
    }

    fn part(&self, split: Split) -> &Listing {
        match split {
            Split::Train => &self.train,
            Split::Test => &self.val,
        }
    }

    fn decoded(&self, split: Split, index: usize) -> Result<RgbImage> {
        check_index(self, split, index)?;
        decode(&self.part(split).path(index, &self.classes))
    }
}

/// Decodes a photograph to colours.
fn decode(path: &Path) -> Result<RgbImage> {
    decode_any(path).map(DynamicImage::into_rgb8)
}

/// Decodes an image. The format is detected from the content, because some `.JPEG` files of
/// ImageNet are PNG.
pub(super) fn decode_any(path: &Path) -> Result<DynamicImage> {
    let io = |source| Error::Io { path: path.to_path_buf(), source };
    let file = BufReader::new(std::fs::File::open(path).map_err(io)?);
    let mut reader = ImageReader::new(file).with_guessed_format().map_err(io)?;
    let mut limits = Limits::default();
    limits.max_image_width = Some(LARGEST_SIDE);
    limits.max_image_height = Some(LARGEST_SIDE);
    reader.limits(limits);
    reader.decode().map_err(|e| {
        let problem = Problem::Unreadable { what: "JPEG or PNG image", reason: e.to_string() };
        Error::unexpected(path.display().to_string(), problem, "get the file again")
    })
}

impl Dataset for Photographs {
    fn name(&self) -> &str {
        INFO.name
    }

    fn kind(&self) -> SampleKind {
        SampleKind::Image { channels: 3, height: self.crop.height.into(), width: self.crop.width.into() }
    }

    fn classes(&self) -> usize {
        self.classes.len()
    }

    fn class_names(&self) -> Vec<String> {
        self.classes.clone()
    }

    fn len(&self, split: Split) -> usize {
        self.part(split).len()
    }

    fn label(&self, split: Split, index: usize) -> usize {
        self.part(split).class(index)
    }

    fn sample(&self, split: Split, index: usize) -> Result<Sample> {
        transform::centre(&self.decoded(split, index)?, self.crop).map(Sample::Image)
    }

    fn cropped(&self, split: Split, index: usize, rng: &mut Rng) -> Result<Sample> {
        transform::random(&self.decoded(split, index)?, self.crop, rng).map(Sample::Image)
    }

    fn sources(&self, split: Split, key: &mut Key) -> Result<bool> {
        self.part(split).add_to(key);
        Ok(true)
    }

    fn describe(&self) -> Description {
        Description::of(self, format!("photographs, {}", self.path.display()))
    }
}
