//! Reads a file that does not belong to a data set as one of its samples, so that a network that
//! was trained on the set can classify it.
//!
//! A recording may be in any format that this crate reads, an image a PNG or a JPEG. The events of
//! a recording are changed as the data set changes its own ([`Dataset::adjust`]). A sample of
//! another size is refused unless the caller asks for scaling, because a network that reads a part
//! of it would give an answer without meaning.

use std::path::Path;

use super::collection::on_sensor;
use super::{Dataset, Sample, SampleKind};
use crate::formats::{self, EventStream, ReadOptions};
use crate::{Choice, Error, Image, Recording, Remedy, Result, Sensor};

/// How to treat a sample whose size is not that of the data set.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum OtherSize {
    /// Return an error.
    #[default]
    Refuse,
    /// Scale it: recordings by area sums ([`Recording::scaled`]), images bilinearly.
    Scale,
}

/// Reads a file as a sample of `dataset`.
///
/// # Errors
/// As [`formats::read_with`]; [`Error::Unexpected`] if the file has another size than the samples
/// and scaling is not asked for, or if an image has transparent pixels.
pub fn of_file(dataset: &dyn Dataset, path: &Path, options: &ReadOptions, other: OtherSize) -> Result<Sample> {
    let name = path.display().to_string();
    match dataset.kind() {
        SampleKind::Events(sensor) => {
            let mut options = *options;
            if options.drop_outside {
                options.sensor.get_or_insert(sensor);
            }
            of_stream(dataset, formats::read_with(path, &options)?, &name, other)
        }
        SampleKind::Image { channels, height, width } => {
            image(dataset, path, [channels, height, width], other).map(Sample::Image)
        }
    }
}

/// Turns the events of a file with the name `name` into a sample of `dataset`. If the stream has no
/// sensor, it is of the data set's.
///
/// # Errors
/// As [`of_file`]; [`Error::Unexpected`] if the data set holds images.
pub fn of_stream(dataset: &dyn Dataset, mut stream: EventStream, name: &str, other: OtherSize) -> Result<Sample> {
    let sensor = sensor_of(dataset, name)?;
    let from = stream.sensor.unwrap_or(sensor);
    dataset.adjust(&mut stream);
    check_size(from, sensor, name, other)?;
    let recording: Recording = match other {
        OtherSize::Scale => on_sensor(stream, from, || name.into())?.scaled(sensor)?,
        OtherSize::Refuse => on_sensor(stream, sensor, || name.into())?,
    };
    Ok(Sample::Events(recording))
}

/// The sensor of a data set's recordings.
///
/// # Errors
/// [`Error::Unexpected`] with the name of the recording `name` if the data set holds images.
pub fn sensor_of(dataset: &dyn Dataset, name: &str) -> Result<Sensor> {
    match dataset.kind() {
        SampleKind::Events(sensor) => Ok(sensor),
        SampleKind::Image { .. } => {
            let problem = format!("a recording, and data set `{}` holds images", dataset.name());
            Err(Error::unexpected(name, problem, "give an image"))
        }
    }
}

/// Checks that a recording of the sensor `from` fits the sensor of a data set, or may be scaled.
///
/// # Errors
/// [`Error::Unexpected`] with the name of the recording.
pub fn check_size(from: Sensor, sensor: Sensor, name: &str, other: OtherSize) -> Result<()> {
    // The files of a data set may state smaller sensors than the largest, which is the data set's.
    let fits = from.width <= sensor.width && from.height <= sensor.height;
    if fits || other == OtherSize::Scale {
        return Ok(());
    }
    let problem = format!("its sensor has {from} pixels, and the network reads recordings of {sensor}");
    let words = "scale it, state the sensor if the file states a wrong one, or give a recording of that size";
    Err(Error::unexpected(name, problem, Remedy::of(words, &[Choice::Scale, Choice::Sensor])))
}

#[cfg(feature = "images")]
fn image(dataset: &dyn Dataset, path: &Path, shape: [usize; 3], other: OtherSize) -> Result<Image> {
    use super::imagenet::{self, centre};
    use crate::problem::Problem;
    use image::imageops::{FilterType, resize};

    let name = path.display().to_string();
    let [channels, height, width] = shape;
    let decoded = imagenet::decode_any(path)?;
    if dataset.name() == imagenet::INFO.name {
        let crop = Sensor { width: width as u16, height: height as u16 };
        return centre(&decoded.into_rgb8(), crop);
    }
    if decoded.color().has_alpha() && decoded.to_rgba8().pixels().any(|p| p.0[3] < 255) {
        let problem = Problem::from("it has transparent pixels, whose colour depends on what lies behind them");
        return Err(Error::unexpected(name, problem, "lay it on a background first"));
    }
    let (w, h) = (decoded.width() as usize, decoded.height() as usize);
    if (w, h) != (width, height) && other == OtherSize::Refuse {
        let problem = format!("it has {w}x{h} pixels, and the network reads images of {width}x{height}");
        let words = "scale it, or give an image of that size";
        return Err(Error::unexpected(name, problem, Remedy::of(words, &[Choice::Scale])));
    }
    let (to_w, to_h) = (width as u32, height as u32);
    let same = (w, h) == (width, height);
    match channels {
        1 => {
            let grey = decoded.into_luma8();
            let grey = if same { grey } else { resize(&grey, to_w, to_h, FilterType::Triangle) };
            Image::new(1, height, width, grey.into_raw())
        }
        _ => {
            let colour = decoded.into_rgb8();
            let colour = if same { colour } else { resize(&colour, to_w, to_h, FilterType::Triangle) };
            imagenet::planes(&colour)
        }
    }
}

#[cfg(not(feature = "images"))]
fn image(_: &dyn Dataset, path: &Path, _: [usize; 3], _: OtherSize) -> Result<Image> {
    let remedy = "build with the feature `images`";
    Err(Error::unexpected(path.display().to_string(), "an image, which this build cannot read", remedy))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::datasets::{DataRequest, Split, open};
    use crate::formats::{encode, nmnist_bin};
    use crate::{Columns, Event};

    fn digits() -> Box<dyn Dataset> {
        open(&DataRequest::new("digits-dvs", None)).unwrap()
    }

    #[test]
    fn a_sample_written_to_a_file_is_read_back_as_that_sample() {
        let (digits, folder) = (digits(), tempfile::tempdir().unwrap());
        let Sample::Events(recording) = digits.sample(Split::Test, 3).unwrap() else { panic!("no recording") };
        for (format, name) in [("evt3", "a.raw"), ("npy", "a.npy"), ("nmnist-bin", "a.bin")] {
            let path = folder.path().join(name);
            let bytes = encode(format, recording.columns(), Some(recording.sensor())).unwrap();
            std::fs::write(&path, bytes).unwrap();
            let read = of_file(digits.as_ref(), &path, &ReadOptions::default(), OtherSize::Refuse).unwrap();
            assert_eq!(read, Sample::Events(recording.clone()), "{name}");
        }
    }

    #[test]
    fn a_recording_of_a_larger_sensor_is_refused_or_scaled() {
        let digits = digits();
        let SampleKind::Events(sensor) = digits.kind() else { panic!("no recordings") };
        let twice = Sensor { width: 2 * sensor.width, height: 2 * sensor.height };
        let events: Columns =
            [(0, 0), (5, 9)].map(|(x, y)| Event { t_us: x, x: x as u16, y, on: true }).into_iter().collect();
        let stream = EventStream { format: "test", sensor: Some(twice), events };
        let error = of_stream(digits.as_ref(), stream.clone(), "a.raw", OtherSize::Refuse).unwrap_err();
        assert_eq!(error.choices(), [Choice::Scale, Choice::Sensor], "{error}");
        let Sample::Events(scaled) = of_stream(digits.as_ref(), stream, "a.raw", OtherSize::Scale).unwrap() else {
            panic!("no recording")
        };
        assert_eq!((scaled.sensor(), scaled.x(), scaled.y()), (sensor, &[0, 2][..], &[0, 4][..]));
    }

    #[cfg(feature = "images")]
    #[test]
    fn an_image_has_the_pixels_of_its_file_and_no_other_size() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("a.png");
        let grey = image::GrayImage::from_fn(28, 28, |x, y| image::Luma([(x * 3 + y) as u8]));
        grey.save(&path).unwrap();
        let set = Images([1, 28, 28]);
        let read = of_file(&set, &path, &ReadOptions::default(), OtherSize::Refuse).unwrap();
        assert_eq!(read, Sample::Image(Image::new(1, 28, 28, grey.into_raw()).unwrap()));
        let other = Images([3, 32, 32]);
        let error = of_file(&other, &path, &ReadOptions::default(), OtherSize::Refuse).unwrap_err();
        assert_eq!(error.choices(), [Choice::Scale], "{error}");
        let Sample::Image(scaled) = of_file(&other, &path, &ReadOptions::default(), OtherSize::Scale).unwrap() else {
            panic!("no image")
        };
        assert_eq!(scaled.shape(), [3, 32, 32]);
        image::RgbaImage::from_pixel(28, 28, image::Rgba([9, 9, 9, 100])).save(&path).unwrap();
        let error = of_file(&set, &path, &ReadOptions::default(), OtherSize::Refuse).unwrap_err().to_string();
        assert!(error.contains("transparent"), "{error}");
    }

    /// A data set of images of a shape, without any image.
    #[cfg(feature = "images")]
    struct Images([usize; 3]);

    #[cfg(feature = "images")]
    impl Dataset for Images {
        fn name(&self) -> &str {
            "images"
        }

        fn kind(&self) -> SampleKind {
            let [channels, height, width] = self.0;
            SampleKind::Image { channels, height, width }
        }

        fn classes(&self) -> usize {
            0
        }

        fn class_names(&self) -> Vec<String> {
            Vec::new()
        }

        fn len(&self, _: Split) -> usize {
            0
        }

        fn label(&self, _: Split, _: usize) -> usize {
            0
        }

        fn sample(&self, _: Split, _: usize) -> Result<Sample> {
            Err(Error::setting("a sample of no images", "give none"))
        }

        fn describe(&self) -> crate::datasets::Description {
            crate::datasets::Description::of(self, "none")
        }
    }

    #[test]
    fn a_file_of_n_mnist_needs_no_sensor() {
        let bytes =
            nmnist_bin::encode([Event { t_us: 3, x: 1, y: 2, on: true }, Event { t_us: 9, x: 4, y: 0, on: false }]);
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("a.bin");
        std::fs::write(&path, bytes.unwrap()).unwrap();
        let Sample::Events(read) =
            of_file(digits().as_ref(), &path, &ReadOptions::default(), OtherSize::Refuse).unwrap()
        else {
            panic!("no recording")
        };
        assert_eq!(SampleKind::Events(read.sensor()), digits().kind());
    }
}
