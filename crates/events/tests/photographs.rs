//! Tests photographs in class folders: layout, labels, crops, and everything that can be wrong.

#[path = "common/folder.rs"]
mod folder;

use std::io::Cursor;
use std::path::Path;

use folder::{File, folder};
use image::{ImageFormat, RgbImage, RgbaImage};
use tickless_events::info::{Info, info};
use tickless_events::problem::{DatasetProblem, Problem};
use tickless_events::rng::Rng;
use tickless_events::{Choice, DataRequest, Dataset, Error, Image, Result, Sample, Sensor, Split, datasets};
use tickless_testing::assert_problem;

fn open(path: &Path, crop: Option<Sensor>) -> Result<Box<dyn Dataset>> {
    datasets::open(&DataRequest { crop, ..DataRequest::new("imagenet", Some(path)) })
}

/// An image whose left half is red and whose right half is blue.
fn picture(width: u32, height: u32, format: ImageFormat) -> Vec<u8> {
    let image =
        RgbImage::from_fn(width, height, |x, _| image::Rgb(if x < width / 2 { [200, 0, 0] } else { [0, 0, 250] }));
    let mut out = Cursor::new(Vec::new());
    image.write_to(&mut out, format).unwrap();
    out.into_inner()
}

fn set() -> Vec<File> {
    let mut files = Vec::new();
    for (name, size) in
        [("n02/b.JPEG", (80, 60)), ("n02/a.JPEG", (60, 80)), ("n10/c.jpg", (33, 200)), ("n1/x.png", (9, 7))]
    {
        let format = if name.ends_with("png") { ImageFormat::Png } else { ImageFormat::Jpeg };
        files.push((format!("train/{name}"), picture(size.0, size.1, format)));
    }
    // A PNG named `.JPEG`; ImageNet contains one.
    files.push(("val/n10/p.JPEG".into(), picture(50, 50, ImageFormat::Png)));
    files.push(("val/n02/q.JPEG".into(), picture(50, 40, ImageFormat::Jpeg)));
    files
}

fn pixels(sample: Sample) -> Image {
    match sample {
        Sample::Image(image) => image,
        Sample::Events(_) => panic!("a recording"),
    }
}

#[test]
fn classes_are_sorted_as_image_folder_sorts_them() {
    let root = tempfile::tempdir().unwrap();
    folder(root.path(), &set());
    let data = open(root.path(), None).unwrap();
    // Classes are sorted by bytes, not by number.
    assert_eq!(data.class_names(), ["n02", "n1", "n10"]);
    let labels = |split| (0..data.len(split)).map(|i| data.label(split, i)).collect::<Vec<_>>();
    assert_eq!(labels(Split::Train), [0, 0, 1, 2]);
    assert_eq!(labels(Split::Test), [0, 2]);
    assert!(data.sample(Split::Test, 2).is_err());
    assert!(data.cropped(Split::Test, 2, &mut Rng::new(0, 0)).is_err());
    let Info::Dataset(found) = info(root.path()).unwrap() else { panic!() };
    assert_eq!((found.name.as_str(), found.train, found.test), ("imagenet", 4, 2));
}

#[test]
fn every_sample_has_the_size_of_the_crop() {
    let root = tempfile::tempdir().unwrap();
    folder(root.path(), &set());
    for (crop, [height, width]) in [(None, [224, 224]), (Some(Sensor { width: 40, height: 24 }), [24, 40])] {
        let data = open(root.path(), crop).unwrap();
        assert_eq!(data.kind(), datasets::SampleKind::Image { channels: 3, height, width });
        for split in [Split::Train, Split::Test] {
            for i in 0..data.len(split) {
                let image = pixels(data.sample(split, i).unwrap());
                assert_eq!(image.shape(), [3, height, width]);
                // Red at the left and blue at the right; JPEG changes the exact values.
                let value = |c: usize, x: usize| image.pixels()[(c * height + height / 2) * width + x];
                assert!(value(0, 0) > 150 && value(2, 0) < 60 && value(0, width - 1) < 60 && value(2, width - 1) > 180);
                let cropped = |seed| pixels(data.cropped(split, i, &mut Rng::new(seed, 0)).unwrap());
                assert_eq!(cropped(1).shape(), [3, height, width]);
                assert_eq!(cropped(1), cropped(1), "the same draw, the same part");
                assert!((2..30).any(|seed| cropped(seed) != cropped(1)), "other draws, other parts");
            }
        }
    }
}

#[test]
fn grey_and_transparent_images_become_colour() {
    let root = tempfile::tempdir().unwrap();
    folder(root.path(), &set());
    let grey = image::GrayImage::from_pixel(20, 20, image::Luma([77]));
    grey.save(root.path().join("train/n1/g.png")).unwrap();
    RgbaImage::from_pixel(20, 20, image::Rgba([1, 2, 3, 0])).save(root.path().join("train/n1/h.png")).unwrap();
    let data = open(root.path(), Some(Sensor { width: 1, height: 1 })).unwrap();
    assert_eq!(pixels(data.sample(Split::Train, 2).unwrap()).pixels(), [77, 77, 77]);
    assert_eq!(pixels(data.sample(Split::Train, 3).unwrap()).pixels(), [1, 2, 3]);
}

#[test]
fn a_broken_image_is_named_and_harms_no_other() {
    let root = tempfile::tempdir().unwrap();
    folder(root.path(), &set());
    let whole = picture(80, 60, ImageFormat::Png);
    // The header states 2³¹ − 1 by 2³¹ − 1 pixels; not all readers verify the header's checksum
    // first.
    let mut claims = whole.clone();
    claims[16..24].copy_from_slice(&[0x7F, 0xFF, 0xFF, 0xFF, 0x7F, 0xFF, 0xFF, 0xFF]);
    for broken in [&whole[..0], &whole[..20], &whole[..whole.len() / 2], &claims[..], b"GIF89a, no format we read"] {
        folder(root.path(), &[("train/n02/a.JPEG".into(), broken.to_vec())]);
        let data = open(root.path(), None).unwrap();
        let start = std::time::Instant::now();
        let error = data.sample(Split::Train, 0).unwrap_err();
        assert!(start.elapsed() < tickless_testing::hang::HUNG_AFTER);
        assert!(error.to_string().contains("train/n02/a.JPEG: "), "{error}");
        let unreadable = |p: &Problem| matches!(p, Problem::Unreadable { what: "JPEG or PNG image", .. });
        assert!(error.problem().is_some_and(unreadable), "{error}");
        assert!(data.sample(Split::Train, 1).is_ok());
    }
    let jpeg = picture(80, 60, ImageFormat::Jpeg);
    for at in 0..jpeg.len() {
        let mut damaged = jpeg.clone();
        damaged[at] ^= 0x55;
        folder(root.path(), &[("train/n02/a.JPEG".into(), damaged)]);
        // The result is other pixels or an error, but never a panic.
        let _ = open(root.path(), Some(Sensor { width: 8, height: 8 })).unwrap().sample(Split::Train, 0);
    }
}

#[test]
fn another_layout_is_named_with_what_is_needed() {
    let refused = |files: &[File]| {
        let root = tempfile::tempdir().unwrap();
        folder(root.path(), files);
        open(root.path(), None).err().unwrap()
    };
    let with = |name: &str| [set(), vec![(name.to_string(), vec![1])]].concat();
    for (files, folder) in [(&set()[..4], "val"), (&set()[4..], "train")] {
        let error = refused(files);
        let Error::Missing { path, remedy, .. } = &error else { panic!("{error}") };
        assert!(path.ends_with(folder), "{error}");
        assert!(remedy.to_string().contains("train/CLASS"), "{error}");
    }
    assert_problem!(refused(&with("val/ILSVRC2012_val_00000001.JPEG")), DatasetProblem::NoClass);
    assert_problem!(refused(&with("val/n99/a.JPEG")), DatasetProblem::OwnClass { class: "n99".into() });
    let error = refused(&with("train/n02/list.txt"));
    assert!(error.to_string().contains("list.txt: "), "{error}");
    assert_problem!(error, DatasetProblem::NoImage);
    let root = tempfile::tempdir().unwrap();
    folder(root.path(), &set());
    let error = open(root.path(), Some(Sensor { width: 0, height: 5 })).err().unwrap();
    assert!(matches!(&error, Error::Setting { what, .. } if what.contains("0x5")), "{error}");
    let request = DataRequest { crop: Some(Sensor::NMNIST), ..DataRequest::new("mnist", Some(root.path())) };
    let error = datasets::open(&request).err().unwrap();
    assert_eq!(error.choices(), [Choice::Crop], "{error}");
    assert!(error.to_string().contains("`mnist`"), "{error}");
}
