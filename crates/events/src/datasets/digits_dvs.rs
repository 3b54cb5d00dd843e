//! The embedded data set: the UCI handwritten digits, recorded by the simulated camera.
//!
//! 1,797 real images of 8×8 pixels are embedded (`digits_table`), so that a user can try everything
//! without a download. They are scaled to 26×26, centred on the 34×34 sensor and recorded by the
//! simulated camera: **the images are real, the camera is simulated.**
//!
//! The data set has no official split. A random share of each class, in proportion to its size, is
//! for testing: 500 in all; 1,297 remain for training. The seed determines the split. Within a
//! part, the samples keep the order of the source. A recording depends only on the seed and on the
//! image's index in the source, not on the part.

use super::digits_table::digits;
use super::key::Key;
use super::{
    DataRequest, Dataset, DatasetInfo, Description, Sample, SampleKind, Samples, Split, check_index, digit_names,
};
use crate::camera::Scene;
use crate::rng::Rng;
use crate::{Camera, Result, Sensor};

pub(super) const INFO: DatasetInfo = DatasetInfo {
    name: "digits-dvs",
    about: "embedded: UCI digits through a simulated event camera (34x34, 10 classes)",
    needs: "",
    folder: "",
    samples: Samples::events(34, 34, 10),
    settings: &[],
    fits: |_| false,
    open: |request| Ok(Box::new(DigitsDvs::open(request)?)),
};

const TEST: usize = 500;
const SIDE: Sensor = Sensor { width: 8, height: 8 };
const SHOWN: Sensor = Sensor { width: 26, height: 26 };
const BRIGHTEST: f32 = 16.0;

/// The open data set; see the module.
struct DigitsDvs {
    seed: u64,
    camera: Camera,
    /// The images, `[1797, 8, 8]`, in 0..1.
    grey: Vec<f32>,
    labels: Vec<u8>,
    train: Vec<usize>,
    test: Vec<usize>,
}

impl DigitsDvs {
    fn open(request: &DataRequest) -> Result<DigitsDvs> {
        let (pixels, labels) = digits();
        let grey = pixels.iter().map(|&p| f32::from(p) / BRIGHTEST).collect();
        let camera = Camera::new(request.camera.clone(), request.seed)?;
        let (train, test) = stratified(&labels, TEST, request.seed);
        Ok(DigitsDvs { seed: request.seed, camera, grey, labels, train, test })
    }

    fn part(&self, split: Split) -> &[usize] {
        match split {
            Split::Train => &self.train,
            Split::Test => &self.test,
        }
    }
}

/// Splits the indices 0..n into (train, test) so that each class contributes its share of `test`.
/// The samples that are still missing after rounding down come from the classes with the largest
/// remainders, one from each.
fn stratified(labels: &[u8], test: usize, seed: u64) -> (Vec<usize>, Vec<usize>) {
    let mut classes: Vec<Vec<usize>> = vec![Vec::new(); 10];
    for (i, &label) in labels.iter().enumerate() {
        classes[usize::from(label) % 10].push(i);
    }
    let quota = |class: &Vec<usize>| class.len() * test / labels.len().max(1);
    let mut open = test - classes.iter().map(quota).sum::<usize>();
    let mut order: Vec<usize> = (0..10).collect();
    order.sort_by_key(|&c| std::cmp::Reverse(classes[c].len() * test % labels.len().max(1)));
    let (mut train, mut chosen) = (Vec::new(), Vec::new());
    for c in order {
        let extra = open.min(1);
        open -= extra;
        let take = quota(&classes[c]) + extra;
        Rng::new(seed, c as u64).shuffle(&mut classes[c]);
        chosen.extend(&classes[c][..take]);
        train.extend(&classes[c][take..]);
    }
    train.sort_unstable();
    chosen.sort_unstable();
    (train, chosen)
}

impl Dataset for DigitsDvs {
    fn name(&self) -> &str {
        INFO.name
    }

    fn kind(&self) -> SampleKind {
        SampleKind::Events(self.camera.config().sensor)
    }

    fn classes(&self) -> usize {
        10
    }

    fn class_names(&self) -> Vec<String> {
        digit_names()
    }

    fn len(&self, split: Split) -> usize {
        self.part(split).len()
    }

    fn label(&self, split: Split, index: usize) -> usize {
        self.labels[self.part(split)[index]].into()
    }

    fn sample(&self, split: Split, index: usize) -> Result<Sample> {
        check_index(self, split, index)?;
        let place = self.part(split)[index];
        let pixels = SIDE.pixels();
        let grey = &self.grey[place * pixels..(place + 1) * pixels];
        let scene = Scene::centred(self.camera.config().sensor, grey, SIDE, SHOWN)?;
        Ok(Sample::Events(self.camera.record(&scene, place as u64)?))
    }

    fn sources(&self, _: Split, key: &mut Key) -> Result<bool> {
        key.text(&format!("{:?}", self.camera.config())).number(self.seed);
        Ok(true)
    }

    fn describe(&self) -> Description {
        let mut description = Description::of(self, "UCI handwritten digits, embedded, real images");
        description.simulated = true;
        description.notes.push(format!("stratified split by seed {}", self.seed));
        description
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn open(seed: u64) -> DigitsDvs {
        DigitsDvs::open(&DataRequest { seed, ..DataRequest::default() }).unwrap()
    }

    #[test]
    fn the_parts_are_stratified_and_disjoint() {
        let data = open(0);
        assert_eq!((data.len(Split::Train), data.len(Split::Test)), (1297, 500));
        let mut all: Vec<usize> = data.train.iter().chain(&data.test).copied().collect();
        all.sort_unstable();
        assert_eq!(all, (0..1797).collect::<Vec<_>>());
        for class in 0..10u8 {
            let count = |part: &[usize]| part.iter().filter(|&&i| data.labels[i] == class).count();
            let exact = (count(&data.train) + count(&data.test)) as f64 * 500.0 / 1797.0;
            assert!((count(&data.test) as f64 - exact).abs() < 1.0, "class {class}");
        }
    }

    #[test]
    fn the_seed_chooses_the_split_and_nothing_else_does() {
        assert_eq!(open(1).test, open(1).test);
        assert_ne!(open(1).test, open(2).test);
    }

    #[test]
    fn recordings_have_about_as_many_events_as_the_prototype() {
        let data = open(0);
        let count = |i| match data.sample(Split::Test, i).unwrap() {
            Sample::Events(recording) => recording.len(),
            Sample::Image(_) => 0,
        };
        let mean = (0..500).map(count).sum::<usize>() / 500;
        assert!((3_100..3_420).contains(&mean), "{mean}");
        assert!(data.sample(Split::Test, 500).is_err());
    }

    #[test]
    fn it_says_that_the_camera_is_simulated() {
        let text = open(0).describe().to_string();
        assert!(text.contains("real") && text.contains("simulated"), "{text}");
    }
}
