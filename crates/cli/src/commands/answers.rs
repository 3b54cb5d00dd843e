//! The tables of a classifier's answers that `eval` and `simulate` print: accuracy of each class,
//! confusion matrix, and confidence against accuracy.

use crate::output::say;
use crate::report::{MISSING, with_error};
use tickless_net::AnswerStatistics;
use tickless_net::answers::ClassAccuracy;

/// Most classes whose tables are printed as a whole. Of more classes, only the worst and the most
/// frequent confusions are printed; the JSON has all.
const WHOLE: usize = 20;

/// Number of classes, and of confusions, that are printed of many.
const SOME: usize = 10;

/// Prints the tables. `at` names the run (`T = 4`); `gain_samples` is the number of validation
/// samples that the temperature was fitted on.
pub fn show_answers(at: &str, names: &[String], answers: &AnswerStatistics, gain_samples: usize) {
    let name = |k: usize| names.get(k).cloned().unwrap_or_else(|| k.to_string());
    let wide = names.iter().map(|n| n.chars().count()).max().unwrap_or(1).clamp(5, 24);
    let classes = answers.per_class.len();
    match &answers.confusion {
        Some(matrix) if classes <= WHOLE => {
            say!("answers at {at}: a row for each label, a column for each class that was answered");
            let cell = matrix.iter().flatten().max().map_or(1, |n| n.to_string().len()).max(3);
            let head: Vec<String> = (0..classes).map(|k| format!("{:>cell$}", short(&name(k), cell))).collect();
            say!("{:>wide$}  {:>7}  {:>16}  {}", "label", "samples", "% correct", head.join(" "));
            for (row, c) in matrix.iter().zip(&answers.per_class) {
                let counts: Vec<String> = row.iter().map(|n| count(*n, cell)).collect();
                say!("{:>wide$}  {:>7}  {:>16}  {}", name(c.class), c.samples, accuracy(c), counts.join(" "));
            }
        }
        matrix => {
            let mut worst: Vec<&ClassAccuracy> = answers.per_class.iter().filter(|c| c.samples > 0).collect();
            worst.sort_by(|a, b| {
                (a.accuracy, a.class).partial_cmp(&(b.accuracy, b.class)).unwrap_or(a.class.cmp(&b.class))
            });
            say!("the {} worst of {classes} classes at {at}:", worst.len().min(SOME));
            say!("{:>wide$}  {:>7}  {:>16}", "label", "samples", "% correct");
            for c in worst.iter().take(SOME) {
                say!("{:>wide$}  {:>7}  {:>16}", name(c.class), c.samples, accuracy(c));
            }
            let mut pairs = Vec::new();
            for (label, row) in matrix.iter().flatten().enumerate() {
                let wrong = row.iter().enumerate().filter(|(class, n)| *class != label && **n > 0);
                pairs.extend(wrong.map(|(class, n)| (*n, label, class)));
            }
            pairs.sort_by_key(|(n, label, class)| (std::cmp::Reverse(*n), *label, *class));
            for (n, label, class) in pairs.iter().take(SOME) {
                say!("{n:>7} × {} taken for {}", name(*label), name(*class));
            }
        }
    }
    let c = &answers.calibration;
    match gain_samples {
        0 => say!(
            "confidence: expected calibration error {:.2} points (uncalibrated, because the run has no validation \
             part: train with `data.validation = 0.1`)",
            c.expected_calibration_error
        ),
        n => say!(
            "confidence: expected calibration error {:.2} points at temperature {:.3} (fitted on {n} validation \
             samples), without it {:.2}",
            c.expected_calibration_error,
            c.gain,
            c.expected_calibration_error_at_gain_1
        ),
    }
    say!("{:>18}  {:>10}  {:>8}", "mean confidence, %", "% correct", "samples");
    for bin in &c.bins {
        say!("{:>18.1}  {:>10.1}  {:>8}", bin.confidence, bin.accuracy, bin.samples);
    }
}

fn accuracy(c: &ClassAccuracy) -> String {
    match (c.accuracy, c.standard_error) {
        (Some(accuracy), error) => with_error(accuracy, error, 2),
        (None, _) => MISSING.into(),
    }
}

/// A count in `wide` columns; zeros are dots, so that the others stand out.
fn count(n: usize, wide: usize) -> String {
    if n == 0 { format!("{:>wide$}", "·") } else { format!("{n:>wide$}") }
}

/// The first characters of a name.
fn short(name: &str, most: usize) -> String {
    name.chars().take(most).collect()
}
