//! Splits a data set without an official split into a training and a test part.

use super::classes::Entry;
use crate::rng::Rng;
use crate::{Choice, Error, Remedy, Result};

/// Which recordings of each class are for testing.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Rule {
    /// This share of each class, drawn with the seed: at least one recording, and not all.
    Share(f64),
    /// All but the first n of each class, in natural order.
    First(usize),
}

impl Rule {
    /// Splits into (train, test); both parts keep the order of `entries`.
    ///
    /// # Errors
    /// [`Error::Setting`] if a class would have no recording in one of the parts.
    pub fn cut(self, entries: Vec<Entry>, names: &[String], seed: u64) -> Result<(Vec<Entry>, Vec<Entry>)> {
        let mut classes: Vec<Vec<usize>> = vec![Vec::new(); names.len()];
        entries.iter().enumerate().for_each(|(i, e)| classes[e.class].push(i));
        let mut tested = vec![false; entries.len()];
        for (c, (of_class, name)) in classes.iter_mut().zip(names).enumerate() {
            let n = of_class.len();
            let train = match self {
                Rule::First(first) => first,
                Rule::Share(share) => {
                    Rng::new(seed, c as u64).shuffle(of_class);
                    let test = (n as f64 * share).round() as usize;
                    n.saturating_sub(test.clamp(1, n.saturating_sub(1).max(1)))
                }
            };
            if train == 0 || train >= n {
                let what =
                    format!("class `{name}` has {n} recordings, of which {} would be for training", train.min(n));
                return Err(Error::setting(what, REMEDY));
            }
            of_class[train..].iter().for_each(|&i| tested[i] = true);
        }
        let (mut train, mut test) = (Vec::new(), Vec::new());
        for (entry, tested) in entries.into_iter().zip(tested) {
            if tested { test.push(entry) } else { train.push(entry) }
        }
        Ok((train, test))
    }
}

const REMEDY: Remedy = Remedy::of(
    "give a share for testing (0 to 1) or a number for training so that both parts have some of each class, or make the \
     folders train/ and test/",
    &[Choice::TestShare, Choice::TrainFirst],
);

impl std::fmt::Display for Rule {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Rule::Share(share) => write!(f, "{:.4} of each class for testing", share),
            Rule::First(n) => write!(f, "the first {n} of each class for training"),
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::datasets::location::RecordingLocation;

    fn entries(sizes: &[usize]) -> Vec<Entry> {
        let entry = |class, i: usize| {
            let name = i.to_string().into();
            Entry { class, name, place: RecordingLocation::File(format!("{class}/{i}").into()) }
        };
        sizes.iter().enumerate().flat_map(|(class, &n)| (0..n).map(move |i| entry(class, i))).collect()
    }

    fn names(entries: &[Entry]) -> Vec<String> {
        entries.iter().map(|e| e.place.label()).collect()
    }

    proptest! {
        #[test]
        fn a_share_is_cut_from_each_class_and_loses_nothing(
            sizes in prop::collection::vec(2usize..40, 1..5), share in 0.0f64..1.0, seed: u64
        ) {
            let classes: Vec<String> = (0..sizes.len()).map(|c| c.to_string()).collect();
            let cut = |seed| Rule::Share(share).cut(entries(&sizes), &classes, seed).unwrap();
            let (train, test) = cut(seed);
            for (c, &n) in sizes.iter().enumerate() {
                let count = test.iter().filter(|e| e.class == c).count();
                let wanted = ((n as f64 * share).round() as usize).clamp(1, n - 1);
                prop_assert_eq!(count, wanted);
            }
            let mut both = [names(&train), names(&test)].concat();
            both.sort();
            let mut all = names(&entries(&sizes));
            all.sort();
            prop_assert_eq!(both, all);
            prop_assert_eq!(names(&cut(seed).1), names(&test), "the same seed, the same split");
        }
    }

    #[test]
    fn the_first_of_each_class_train() {
        let classes = ["a".to_string(), "b".into()];
        let (train, test) = Rule::First(2).cut(entries(&[3, 4]), &classes, 7).unwrap();
        assert_eq!(names(&train), ["0/0", "0/1", "1/0", "1/1"]);
        assert_eq!(names(&test), ["0/2", "1/2", "1/3"]);
        let error = Rule::First(3).cut(entries(&[3, 4]), &classes, 7).err().unwrap().to_string();
        assert!(error.contains("`a` has 3 ") && error.contains(" 3 would "), "{error}");
        assert!(Rule::Share(0.5).cut(entries(&[1]), &classes[..1], 0).is_err());
    }
}
