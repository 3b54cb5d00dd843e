//! The answers of a network to labelled samples, and what they say class by class.
//!
//! ```text
//! class         the index of the largest readout value; of equal values, the lowest index
//! confidence    max p, p = softmax(g·m); m: mean logits of a clocked run, Σ/T_max without a clock
//! rank          the number of classes that come before the label: those with a larger value, and
//!               those with an equal value and a lower index
//! ```
//!
//! The standard error of a share p of n samples is √(p·(1 − p)/n) ([`standard_error`]). The
//! calibration curve and the expected calibration error have the bins of [`calibration_error`].

use crate::decision;
use crate::decision::{CalibrationBin, Exit, Rule, argmax, calibration_bins, calibration_error};
use serde::{Deserialize, Serialize};

/// If a network has more classes, [`AnswerStatistics`] has no confusion matrix, because it would be
/// larger than the answers.
pub const MOST_CONFUSED_CLASSES: usize = 200;

/// The number of classes that "top 5" counts.
const TOP: usize = 5;

/// The binomial standard error of a share of `correct` among `samples`, in percentage points.
///
/// `None` if all samples are alike, that is none or all of them are correct, and so for a single
/// sample: the formula then gives 0, as if the share were certain, because samples that do not
/// differ show nothing of how much others would. (With n samples that are alike, the other kind is
/// at most 3/n of all samples at a confidence of 95 %.)
pub fn standard_error(correct: usize, samples: usize) -> Option<f64> {
    let n = samples as f64;
    let p = correct as f64 / n;
    (0 < correct && correct < samples).then(|| 100.0 * (p * (1.0 - p) / n).sqrt())
}

/// softmax(g·values); empty without values.
pub fn probabilities(values: &[f32], gain: f64) -> Vec<f32> {
    let all = decision::probabilities(values.iter().map(|v| f64::from(*v)), gain);
    all.into_iter().map(|p| p as f32).collect()
}

/// The answers to labelled samples, in the order of the samples.
#[derive(Debug, Clone, PartialEq, Default)]
#[non_exhaustive]
pub struct Answers {
    /// Number of classes.
    pub classes: usize,
    /// Temperature g of the confidences.
    pub gain: f64,
    /// The values divided by this are m: 1, or T_max for accumulated logits.
    divisor: f64,
    /// The label of each sample.
    pub labels: Vec<u32>,
    /// The class that the network chose.
    pub predicted: Vec<u32>,
    /// The probability of that class, 0 to 1.
    pub confidence: Vec<f64>,
    /// The same with g = 1.
    pub confidence_at_gain_1: Vec<f64>,
    /// The rank of the label, 0 if the answer is right.
    pub ranks: Vec<u32>,
}

impl Answers {
    /// No answers yet, of a network with this many classes.
    pub fn new(classes: usize, gain: f64) -> Self {
        Self { classes, gain, divisor: 1.0, ..Self::default() }
    }

    /// As [`new`](Self::new), for values that are accumulated logits Σ of a network that was trained
    /// at `t_max` steps. The class is that of Σ itself, because a division can make values equal.
    pub fn of_sums(classes: usize, gain: f64, t_max: usize) -> Self {
        Self { divisor: t_max.max(1) as f64, ..Self::new(classes, gain) }
    }

    /// Number of samples.
    pub fn len(&self) -> usize {
        self.labels.len()
    }

    /// Whether there are no answers.
    pub fn is_empty(&self) -> bool {
        self.labels.is_empty()
    }

    /// Adds the answer that these readout values give for a sample: mean logits, or sums
    /// ([`of_sums`](Self::of_sums)).
    ///
    /// # Panics
    /// If the number of values is not that of the classes, or the label is not below it.
    pub fn push(&mut self, values: &[f32], label: usize) {
        assert!(values.len() == self.classes && label < self.classes, "one value for each class");
        let exit = |gain: f64| Exit { rule: Rule::Confidence, alpha: 1.0, gain: gain / self.divisor };
        let confidence = |gain| exit(gain).quantity(values, 0.0);
        let before = |(i, v): (usize, &f32)| *v > values[label] || (*v == values[label] && i < label);
        self.labels.push(label as u32);
        self.predicted.push(argmax(values.iter().map(|v| f64::from(*v))).0 as u32);
        self.confidence.push(confidence(self.gain));
        self.confidence_at_gain_1.push(confidence(1.0));
        self.ranks.push(values.iter().enumerate().filter(|v| before(*v)).count() as u32);
    }

    /// Whether the answer to a sample is its label.
    pub fn right(&self, sample: usize) -> bool {
        self.labels[sample] == self.predicted[sample]
    }

    /// Number of right answers.
    pub fn correct(&self) -> usize {
        (0..self.len()).filter(|&i| self.right(i)).count()
    }

    /// The number of samples of each label that were given each class: `[label][class]`.
    pub fn confusion(&self) -> Vec<Vec<usize>> {
        let mut matrix = vec![vec![0; self.classes]; self.classes];
        for (label, class) in self.labels.iter().zip(&self.predicted) {
            matrix[*label as usize][*class as usize] += 1;
        }
        matrix
    }

    /// Accuracy of each class, confusion matrix, top 5 and calibration.
    pub fn statistics(&self) -> AnswerStatistics {
        let mut per_class: Vec<ClassAccuracy> =
            (0..self.classes).map(|class| ClassAccuracy { class, ..ClassAccuracy::default() }).collect();
        for (label, class) in self.labels.iter().zip(&self.predicted) {
            let row = &mut per_class[*label as usize];
            row.samples += 1;
            row.correct += usize::from(label == class);
        }
        for row in per_class.iter_mut().filter(|row| row.samples > 0) {
            row.accuracy = Some(100.0 * row.correct as f64 / row.samples as f64);
            row.standard_error = standard_error(row.correct, row.samples);
        }
        let within = self.ranks.iter().filter(|rank| (**rank as usize) < TOP).count();
        let answers = |of: &[f64]| of.iter().enumerate().map(|(i, c)| (*c, self.right(i))).collect::<Vec<_>>();
        let (own, plain) = (answers(&self.confidence), answers(&self.confidence_at_gain_1));
        AnswerStatistics {
            top5: (self.classes > TOP).then(|| Share::of(within, self.len())),
            per_class,
            confusion: (self.classes <= MOST_CONFUSED_CLASSES).then(|| self.confusion()),
            calibration: CalibrationCurve {
                gain: self.gain,
                expected_calibration_error: 100.0 * calibration_error(own.iter().copied()),
                expected_calibration_error_at_gain_1: 100.0 * calibration_error(plain),
                bins: calibration_bins(own),
            },
        }
    }
}

/// A share of the samples.
#[derive(Debug, Clone, Copy, PartialEq, Default, Serialize, Deserialize)]
#[non_exhaustive]
pub struct Share {
    /// Percent of the samples.
    pub accuracy: f64,
    /// Its standard error in percentage points; `None` if all samples are alike.
    pub standard_error: Option<f64>,
}

impl Share {
    /// The share of `correct` among `samples`; 0 without samples.
    pub fn of(correct: usize, samples: usize) -> Self {
        let accuracy = 100.0 * correct as f64 / samples.max(1) as f64;
        Self { accuracy, standard_error: standard_error(correct, samples) }
    }
}

/// The accuracy on the samples of one class.
#[derive(Debug, Clone, Copy, PartialEq, Default, Serialize, Deserialize)]
#[non_exhaustive]
pub struct ClassAccuracy {
    /// Index of the class.
    pub class: usize,
    /// Number of samples with this label.
    pub samples: usize,
    /// Number of them that were classified correctly.
    pub correct: usize,
    /// Percent correct; `None` without samples.
    pub accuracy: Option<f64>,
    /// Its standard error in percentage points; `None` if all samples are alike.
    pub standard_error: Option<f64>,
}

/// Confidence against accuracy.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
#[non_exhaustive]
pub struct CalibrationCurve {
    /// Temperature g of the confidences; 1 if none was fitted.
    pub gain: f64,
    /// Expected calibration error in percentage points.
    pub expected_calibration_error: f64,
    /// The same with g = 1.
    pub expected_calibration_error_at_gain_1: f64,
    /// The bins that hold samples, by rising confidence.
    pub bins: Vec<CalibrationBin>,
}

/// What answers say class by class.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
#[non_exhaustive]
pub struct AnswerStatistics {
    /// Percent of samples whose label is among the five largest values; `None` for at most five
    /// classes.
    pub top5: Option<Share>,
    /// One entry for each class, in index order.
    pub per_class: Vec<ClassAccuracy>,
    /// `[label][class]`: number of samples of each label that were given each class; `None` beyond
    /// [`MOST_CONFUSED_CLASSES`].
    pub confusion: Option<Vec<Vec<usize>>>,
    /// Confidence against accuracy.
    pub calibration: CalibrationCurve,
}

impl AnswerStatistics {
    /// Checks the statistics against the score that they belong to; the error completes "the file …".
    ///
    /// # Errors
    /// If counts do not add up or a value is not finite.
    pub fn check(&self, correct: usize, samples: usize) -> Result<(), String> {
        let sum = |f: &dyn Fn(&ClassAccuracy) -> usize| self.per_class.iter().map(f).sum::<usize>();
        if (sum(&|c| c.correct), sum(&|c| c.samples)) != (correct, samples) {
            return Err(format!("has classes that do not add up to {correct} of {samples} samples"));
        }
        if let Some(matrix) = &self.confusion {
            let fits = |(row, class): (&Vec<usize>, &ClassAccuracy)| {
                row.len() == self.per_class.len()
                    && row.iter().sum::<usize>() == class.samples
                    && row[class.class.min(row.len() - 1)] == class.correct
            };
            if matrix.len() != self.per_class.len() || !matrix.iter().zip(&self.per_class).all(fits) {
                return Err("has a confusion matrix that does not fit its classes".into());
            }
        }
        let c = &self.calibration;
        let bins = c.bins.iter().flat_map(|b| [b.confidence, b.accuracy]);
        let errors = [c.gain, c.expected_calibration_error, c.expected_calibration_error_at_gain_1];
        if c.bins.iter().map(|b| b.samples).sum::<usize>() != samples
            || errors.into_iter().chain(bins).any(|v| !v.is_finite())
        {
            return Err("has a calibration curve that does not fit its samples".into());
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Six classes; values that rise with the index, and one that stands out.
    fn values(best: usize) -> Vec<f32> {
        (0..6).map(|i| i as f32 / 10.0 + if i == best { 3.0 } else { 0.0 }).collect()
    }

    #[test]
    fn the_confusion_matrix_has_a_row_for_each_label_and_adds_up_to_the_samples() {
        let mut answers = Answers::new(6, 1.0);
        for (label, class) in [(0, 0), (0, 0), (0, 3), (3, 0), (5, 5)] {
            answers.push(&values(class), label);
        }
        let s = answers.statistics();
        let matrix = s.confusion.clone().unwrap();
        assert_eq!((matrix[0][0], matrix[0][3], matrix[3][0], matrix[5][5]), (2, 1, 1, 1));
        assert_eq!(matrix.iter().flatten().sum::<usize>(), 5);
        assert_eq!(answers.correct(), 3);
        assert_eq!((s.per_class[0].accuracy, s.per_class[1].accuracy), (Some(100.0 * 2.0 / 3.0), None));
        assert!((s.per_class[0].standard_error.unwrap() - 100.0 * (2.0f64 / 9.0 / 3.0).sqrt()).abs() < 1e-12);
        s.check(3, 5).unwrap();
        assert!(s.check(4, 5).is_err() && s.check(3, 6).is_err());
        let mut moved = s.clone();
        moved.confusion.as_mut().unwrap()[0].swap(0, 3);
        assert!(moved.check(3, 5).is_err(), "the diagonal is the number of right answers");
    }

    #[test]
    fn top_5_counts_labels_by_rank_and_equal_values_by_index() {
        let mut answers = Answers::new(6, 1.0);
        answers.push(&values(5), 0);
        answers.push(&values(5), 1);
        answers.push(&[1.0; 6], 5);
        answers.push(&[1.0; 6], 4);
        assert_eq!(answers.ranks, [5, 4, 5, 4]);
        assert_eq!(answers.statistics().top5, Some(Share::of(2, 4)));
        let mut five = Answers::new(5, 1.0);
        five.push(&[0.0; 5], 0);
        assert_eq!(five.statistics().top5, None, "all five classes are among the first five");
    }

    #[test]
    fn probabilities_add_up_to_1_and_the_largest_is_the_confidence() {
        let p = probabilities(&values(2), 1.5);
        assert!((p.iter().sum::<f32>() - 1.0).abs() < 1e-6);
        let mut answers = Answers::new(6, 1.5);
        answers.push(&values(2), 2);
        assert!((f64::from(p[2]) - answers.confidence[0]).abs() < 1e-6);
        assert!(probabilities(&[], 1.0).is_empty());
    }

    #[test]
    fn the_temperature_changes_the_confidence_and_nothing_else() {
        let (mut one, mut two) = (Answers::new(6, 1.0), Answers::new(6, 2.0));
        one.push(&values(2), 2);
        two.push(&values(2), 2);
        assert!(two.confidence[0] > one.confidence[0]);
        assert_eq!(two.confidence_at_gain_1, one.confidence);
        assert_eq!((&one.predicted, &one.ranks), (&two.predicted, &two.ranks));
    }

    #[test]
    fn many_classes_have_no_matrix() {
        let classes = MOST_CONFUSED_CLASSES + 1;
        let mut answers = Answers::new(classes, 1.0);
        answers.push(&vec![0.0; classes], 7);
        let s = answers.statistics();
        assert!(s.confusion.is_none() && s.per_class.len() == classes);
        s.check(0, 1).unwrap();
    }

    #[test]
    fn the_standard_error_is_that_of_a_share_and_samples_that_are_alike_have_none() {
        for (correct, samples) in [(0, 0), (0, 1), (1, 1), (0, 40), (40, 40)] {
            assert_eq!(standard_error(correct, samples), None, "{correct} of {samples}");
        }
        assert!((standard_error(20, 40).unwrap() - 100.0 * (0.25f64 / 40.0).sqrt()).abs() < 1e-12);
        assert!((standard_error(1, 2).unwrap() - 100.0 * (0.25f64 / 2.0).sqrt()).abs() < 1e-12);
    }
}
