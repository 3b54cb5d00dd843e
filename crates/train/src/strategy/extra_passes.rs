//! The iterations in which a training runs one more pass beside those of its strategy.

use super::Strategy;
use crate::error::{Error, Result};

/// When an extra pass runs, and how many of the strategy's passes it replaces.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub struct ExtraPasses {
    /// The pass runs in the first of each `every` iterations.
    pub every: usize,
    /// Number of passes of the strategy, its last ones, that do not run in those iterations.
    pub replaces: usize,
}

impl ExtraPasses {
    /// One pass in `every` iterations, which replaces `replaces` passes.
    pub fn new(every: usize, replaces: usize) -> Self {
        Self { every, replaces }
    }

    /// Whether the pass runs in iteration `k`, counted from 0.
    pub fn is_due(&self, k: usize) -> bool {
        k.is_multiple_of(self.every)
    }

    /// The passes that it replaces in an iteration, averaged over all iterations.
    pub fn mean_replaced(&self) -> f64 {
        self.replaces as f64 / self.every as f64
    }
}

/// Refuses extra passes that replace more passes than the strategy has. `distills` is true if the
/// strategy's passes learn from an extra one, so that one of them must be left; `key` is the extra
/// pass's own.
pub(crate) fn check(strategy: &dyn Strategy, all: &[ExtraPasses], distills: bool, key: &'static str) -> Result<()> {
    let (passes, replaced) = (strategy.passes(), all.iter().map(|t| t.replaces).sum::<usize>());
    let name = strategy.name();
    if replaced > passes {
        let problem = format!(
            "`replaces` {replaced} passes of an iteration together, but {name} runs {passes}: lower it, or raise \
             `train.samples`"
        );
        return Err(Error::Recipe { key, problem });
    }
    if distills && replaced == passes {
        let problem = format!(
            "`distill` teaches the passes of {name}, but none is left, because `replaces` = {replaced}: lower it, or \
             raise `train.samples`"
        );
        return Err(Error::Recipe { key, problem });
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::strategy::{Steps, by_name};

    #[test]
    fn a_turn_comes_in_the_first_of_each_few_iterations() {
        let due = |every: usize| (0..7).filter(|k| ExtraPasses::new(every, 1).is_due(*k)).collect::<Vec<_>>();
        assert_eq!((due(1), due(3)), (vec![0, 1, 2, 3, 4, 5, 6], vec![0, 3, 6]));
        assert_eq!(ExtraPasses::new(4, 2).mean_replaced(), 0.5);
    }

    #[test]
    fn turns_that_replace_what_is_not_there_are_refused() {
        let steps = Steps { t_min: 1, t_max: 4, samples: 3, group: 1 };
        for (name, passes) in [("sdt", 1), ("nmt", 3), ("mtt", 3)] {
            let strategy = by_name(name, steps).unwrap();
            let checked = |replaces: &[usize], distills| {
                let all: Vec<ExtraPasses> = replaces.iter().map(|r| ExtraPasses::new(1, *r)).collect();
                check(strategy.as_ref(), &all, distills, "train.long").map_err(|e| e.to_string())
            };
            assert!(checked(&[passes], false).is_ok() && checked(&[passes - 1], true).is_ok());
            let more = checked(&[passes, 1], false).unwrap_err();
            assert!(more.starts_with("`train.long` `replaces`") && more.contains("train.samples"), "{more}");
            let none = checked(&[passes], true).unwrap_err();
            assert!(none.contains("`distill`") && none != more, "{none}");
        }
    }
}
