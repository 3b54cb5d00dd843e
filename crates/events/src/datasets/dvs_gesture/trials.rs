//! The layout of DVS-Gesture that the authors publish: `userNN_<light>.aedat` with labels and
//! lists.

use std::collections::HashMap;
use std::path::Path;

use super::super::tree::Leaf;
use super::{NAMES, Trial};
use crate::problem::DatasetProblem;
use crate::{Error, Result};

/// The lists of the training and the test part.
pub(super) const LISTS: [&str; 2] = ["trials_to_train.txt", "trials_to_test.txt"];

/// Finds the trials of both parts, in the order of the lists and of the lines of labels.
pub(super) fn find(leaves: &[Leaf], root: &Path) -> Result<[Vec<Trial>; 2]> {
    let name = |leaf: &'_ Leaf| leaf.path.rsplit('/').next().unwrap_or_default().to_string();
    let files: HashMap<String, &Leaf> = leaves.iter().map(|leaf| (name(leaf), leaf)).collect();
    let need = |name: &str| {
        files.get(name).copied().ok_or_else(|| Error::Missing {
            path: root.to_path_buf(),
            what: name.into(),
            remedy: "unpack all of DvsGesture.tar.gz and give its folder".into(),
        })
    };
    let part = |list: &str| {
        let (text, _) = need(list)?.place.read()?;
        let mut trials = Vec::new();
        for file in String::from_utf8_lossy(&text).lines().map(str::trim).filter(|l| !l.is_empty()) {
            let recording = need(file)?;
            let stem = file.strip_suffix(".aedat").unwrap_or(file);
            let (labels, label) = need(&format!("{stem}_labels.csv"))?.place.read()?;
            for (class, time) in spans(&String::from_utf8_lossy(&labels), &label)? {
                trials.push(Trial { class, place: recording.place.clone(), time: Some(time) });
            }
        }
        Ok(trials)
    };
    Ok([part(LISTS[0])?, part(LISTS[1])?])
}

/// Parses labels: for each line the class, counted from 0, and the range `[start, end)` in µs.
fn spans(text: &str, file: &str) -> Result<Vec<(usize, (u64, u64))>> {
    let mut spans = Vec::new();
    let mut at = 0;
    for line in text.split_inclusive('\n') {
        let start = at;
        at += line.len() as u64;
        let line = line.trim();
        // The first line may name the columns.
        if line.is_empty() || (start == 0 && line.starts_with("class")) {
            continue;
        }
        let numbers: Option<Vec<u64>> = line.split(',').map(|n| n.trim().parse().ok()).collect();
        match numbers.as_deref() {
            Some(&[class, from, to]) if (1..=NAMES.len() as u64).contains(&class) && from < to => {
                spans.push((class as usize - 1, (from, to)));
            }
            _ => {
                let problem = DatasetProblem::NoGesture { line: line.into() };
                let remedy = "a line is class,startTime_usec,endTime_usec with class 1 to 11 and start before end";
                return Err(Error::malformed(file, start, problem, remedy));
            }
        }
    }
    Ok(spans)
}
