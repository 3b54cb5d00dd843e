//! The answer to each sample of the test part, stored as `answers.json`: which class the network
//! chose at each T and without a clock, and with which confidence.
//!
//! ```text
//! labels, predicted   base64 of one number per sample: 1 byte for up to 256 classes, else 2 or 4,
//!                     little-endian
//! confidence          base64 of 2 bytes per sample, little-endian: ⌊65,535·p + ½⌋
//! ```
//!
//! 10,000 samples with 10 classes at 10 T take 400 KB.

use base64::prelude::{BASE64_STANDARD, Engine};
use serde::{Deserialize, Serialize};
use tickless_net::{Answers, LeakRule};
use tickless_train::evaluate::Answered;
use tickless_train::run::Loaded;

/// The version of the file.
const FORMAT: u32 = 1;

/// The value of a confidence of 1.
const FULL: f64 = 65_535.0;

/// The content of `answers.json`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct StoredAnswers {
    format: u32,
    /// The checksum of the weights that answered.
    weights: String,
    /// Number of classes.
    classes: usize,
    /// The labels.
    labels: String,
    /// The answers at each configuration and leak.
    points: Vec<PointAnswers>,
    /// The answers without a clock.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    event_driven: Option<Packed>,
}

/// The answers at one configuration.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
struct PointAnswers {
    configuration: Vec<usize>,
    leak: LeakRule,
    answers: Packed,
}

/// The answers of one run over all samples.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
struct Packed {
    /// Temperature g of the confidences.
    gain: f64,
    predicted: String,
    confidence: String,
}

/// The answers of one run over all samples, read.
#[derive(Debug, Clone, PartialEq)]
pub struct SampleAnswers {
    /// The class that the network chose for each sample.
    pub predicted: Vec<usize>,
    /// The confidence of each answer, 0 to 1, in steps of 1/65,535.
    pub confidence: Vec<f64>,
}

impl StoredAnswers {
    fn empty(run: &Loaded) -> Self {
        let classes = run.network.output().len();
        let labels = run.parts.test.iter().map(|id| run.source.label(*id)).collect::<Vec<_>>();
        let labels = pack(&labels, width(classes));
        Self { format: FORMAT, weights: run.checksum.clone(), classes, labels, points: Vec::new(), event_driven: None }
    }

    /// The answers to the whole test part at these configurations.
    pub fn of(run: &Loaded, all: &[Answered]) -> Self {
        let point = |a: &Answered| PointAnswers {
            configuration: a.point.configuration.clone(),
            leak: a.point.leak,
            answers: Packed::of(&a.answers),
        };
        Self { points: all.iter().map(point).collect(), ..Self::empty(run) }
    }

    /// The answers to the whole test part without a clock.
    pub fn of_event_driven(run: &Loaded, answers: &Answers) -> Self {
        Self { event_driven: Some(Packed::of(answers)), ..Self::empty(run) }
    }

    /// Adds these answers to stored ones of the same weights and samples; those that were measured
    /// again replace stored ones.
    #[must_use]
    pub fn merged_into(self, kept: Option<Self>) -> Self {
        let same = |k: &Self| (&k.weights, k.classes, &k.labels) == (&self.weights, self.classes, &self.labels);
        let Some(kept) = kept.filter(same) else { return self };
        let mut points = kept.points;
        for new in self.points {
            match points.iter_mut().find(|p| p.configuration == new.configuration && p.leak == new.leak) {
                Some(old) => *old = new,
                None => points.push(new),
            }
        }
        Self { points, event_driven: self.event_driven.or(kept.event_driven), ..self }
    }

    /// Checks the answers against their run; the error completes "because it …".
    ///
    /// # Errors
    /// If the file is of another version, weights or samples, or a value is impossible.
    pub fn check(&self, run: &Loaded) -> Result<(), String> {
        let empty = Self::empty(run);
        if self.format != FORMAT {
            return Err(format!("is of format {}, this version reads {FORMAT}", self.format));
        }
        if self.weights != empty.weights {
            return Err("was measured on other weights".into());
        }
        if (self.classes, &self.labels) != (empty.classes, &empty.labels) {
            return Err("is of other samples".into());
        }
        let mut all = self.points.iter().map(|p| &p.answers).chain(&self.event_driven);
        all.try_for_each(|a| a.read(self.classes, run.parts.test.len()).map(|_| ()))
    }

    /// The answers at a configuration and leak, if they are stored.
    pub fn at(&self, configuration: &[usize], leak: LeakRule) -> Option<SampleAnswers> {
        let point = self.points.iter().find(|p| p.configuration == configuration && p.leak == leak)?;
        self.unpack(&point.answers)
    }

    /// The answers without a clock, if they are stored.
    pub fn event_driven(&self) -> Option<SampleAnswers> {
        self.unpack(self.event_driven.as_ref()?)
    }

    /// The labels of the samples.
    pub fn labels(&self) -> Vec<usize> {
        unpack(&self.labels, width(self.classes)).unwrap_or_default()
    }

    fn unpack(&self, answers: &Packed) -> Option<SampleAnswers> {
        answers.read(self.classes, self.labels().len()).ok()
    }
}

impl SampleAnswers {
    /// `[label][class]`: the number of samples of each label that were given each class.
    pub fn confusion(&self, labels: &[usize], classes: usize) -> Vec<Vec<usize>> {
        let mut matrix = vec![vec![0; classes]; classes];
        labels.iter().zip(&self.predicted).for_each(|(label, class)| matrix[*label][*class] += 1);
        matrix
    }
}

impl Packed {
    fn of(answers: &Answers) -> Self {
        let numbers = |v: &[u32]| v.iter().map(|v| *v as usize).collect::<Vec<_>>();
        let confidence = |c: &f64| (*c * FULL + 0.5) as usize;
        Self {
            gain: answers.gain,
            predicted: pack(&numbers(&answers.predicted), width(answers.classes)),
            confidence: pack(&answers.confidence.iter().map(confidence).collect::<Vec<_>>(), 2),
        }
    }

    fn read(&self, classes: usize, samples: usize) -> Result<SampleAnswers, String> {
        let read = |text: &str, width: usize, what: &str| {
            let values = unpack(text, width).ok_or_else(|| format!("has {what} that cannot be read"))?;
            if values.len() == samples {
                Ok(values)
            } else {
                Err(format!("has {} {what} for {samples} samples", values.len()))
            }
        };
        let predicted = read(&self.predicted, width(classes), "answers")?;
        if let Some(class) = predicted.iter().find(|class| **class >= classes) {
            return Err(format!("has the answer {class}, and there are {classes} classes"));
        }
        let confidence = read(&self.confidence, 2, "confidences")?;
        Ok(SampleAnswers { predicted, confidence: confidence.into_iter().map(|c| c as f64 / FULL).collect() })
    }
}

/// Bytes of a class.
fn width(classes: usize) -> usize {
    match classes {
        0..=0x100 => 1,
        0x101..=0x1_0000 => 2,
        _ => 4,
    }
}

fn pack(values: &[usize], width: usize) -> String {
    BASE64_STANDARD.encode(values.iter().flat_map(|v| v.to_le_bytes()[..width].to_vec()).collect::<Vec<u8>>())
}

fn unpack(text: &str, width: usize) -> Option<Vec<usize>> {
    let bytes = BASE64_STANDARD.decode(text).ok()?;
    let value = |b: &[u8]| b.iter().rev().fold(0usize, |v, b| v << 8 | usize::from(*b));
    bytes.len().is_multiple_of(width).then(|| bytes.chunks(width).map(value).collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_of_every_width_are_read_as_they_were_packed() {
        for (classes, values) in [(256, vec![0, 7, 255]), (1000, vec![0, 256, 999]), (70_000, vec![1, 69_999])] {
            let text = pack(&values, width(classes));
            assert_eq!(unpack(&text, width(classes)), Some(values), "{classes}");
        }
        assert_eq!(unpack("AAE=", 4), None, "2 bytes are no number of 4");
        assert_eq!(unpack("?", 1), None);
    }

    #[test]
    fn a_class_or_a_count_that_cannot_be_is_refused() {
        let mut answers = Answers::new(3, 1.0);
        answers.push(&[0.0, 2.0, 0.0], 1);
        answers.push(&[0.0, 0.0, 2.0], 1);
        let packed = Packed::of(&answers);
        let read = packed.read(3, 2).unwrap();
        assert_eq!(read.predicted, [1, 2]);
        assert!((read.confidence[0] - answers.confidence[0]).abs() < 1e-5);
        assert_eq!(read.confusion(&[1, 1], 3), [[0, 0, 0], [0, 1, 1], [0, 0, 0]]);
        assert!(packed.read(2, 2).is_err() && packed.read(3, 3).is_err());
        assert!(Packed { confidence: "AAE=".into(), ..packed }.read(3, 2).is_err());
    }
}
