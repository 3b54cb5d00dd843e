//! MNIST, recorded by the simulated camera: the images are real, the events are simulated.
//!
//! The 28×28 digits are centred on the 34×34 sensor, as in N-MNIST. A recording depends on the
//! seed, the image, its index and its part; it is simulated again at every access.

use super::key::Key;
use super::mnist::{IdxDataset, NEEDS};
use super::{DataRequest, Dataset, DatasetInfo, Description, Sample, SampleKind, Samples, Split, digit_names};
use crate::camera::Scene;
use crate::{Camera, Error, Result, Sensor};

pub(super) const INFO: DatasetInfo = DatasetInfo {
    name: "mnist-dvs-sim",
    about: "MNIST through a simulated event camera (34x34, 10 classes)",
    needs: NEEDS,
    folder: "mnist",
    samples: Samples::events(34, 34, 10),
    settings: &[],
    fits: |_| false, // its files are those of MNIST
    open: |request| Ok(Box::new(MnistDvsSim::open(request)?)),
};

/// The open data set; see the module.
struct MnistDvsSim {
    images: IdxDataset,
    size: Sensor,
    camera: Camera,
    seed: u64,
}

impl MnistDvsSim {
    fn open(request: &DataRequest) -> Result<MnistDvsSim> {
        let images = IdxDataset::open(&INFO, request, digit_names())?;
        let (height, width) = images.size();
        let (Ok(width), Ok(height)) = (u16::try_from(width), u16::try_from(height)) else {
            let file = images.path().display().to_string();
            let remedy = "give the files of MNIST";
            return Err(Error::unexpected(file, "images larger than any sensor", remedy));
        };
        let camera = Camera::new(request.camera.clone(), request.seed)?;
        Ok(MnistDvsSim { images, size: Sensor { width, height }, camera, seed: request.seed })
    }
}

impl Dataset for MnistDvsSim {
    fn name(&self) -> &str {
        INFO.name
    }

    fn kind(&self) -> SampleKind {
        SampleKind::Events(self.camera.config().sensor)
    }

    fn classes(&self) -> usize {
        self.images.classes()
    }

    fn class_names(&self) -> Vec<String> {
        self.images.class_names()
    }

    fn len(&self, split: Split) -> usize {
        self.images.len(split)
    }

    fn label(&self, split: Split, index: usize) -> usize {
        self.images.label(split, index)
    }

    fn sample(&self, split: Split, index: usize) -> Result<Sample> {
        let pixels = self.images.pixels(split, index)?;
        let grey: Vec<f32> = pixels.iter().map(|&p| f32::from(p) / 255.0).collect();
        let sensor = self.camera.config().sensor;
        let scene = Scene::centred(sensor, &grey, self.size, self.size)?;
        // The two parts use different noise streams.
        let stream = index as u64 | u64::from(split == Split::Test) << 32;
        Ok(Sample::Events(self.camera.record(&scene, stream)?))
    }

    fn sources(&self, split: Split, key: &mut Key) -> Result<bool> {
        key.text(&format!("{:?}", self.camera.config())).number(self.seed);
        self.images.sources(split, key)
    }

    fn describe(&self) -> Description {
        let source = format!("real images of {}", self.images.path().display());
        let mut description = Description::of(self, source);
        description.simulated = true;
        description
    }
}
