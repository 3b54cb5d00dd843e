//! A budget: what an answer may cost, or how often it must be right.

use super::Measured;
use serde::{Deserialize, Serialize};
use std::fmt;
use std::str::FromStr;
use tickless_words::words;

/// A quantity that a budget limits.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Quantity {
    /// Mean time steps of a sample; of several stages, their mean. Event-driven runs have none.
    Steps,
    /// Mean synaptic operations of a sample.
    Operations,
    /// Estimated mean energy of a sample in nJ ([`Operations::energy_nj`]).
    ///
    /// [`Operations::energy_nj`]: tickless_train::evaluate::Operations::energy_nj
    Energy,
    /// Milliseconds of a sample on this machine, with all threads: a measurement.
    Ms,
    /// Percent correct, at least.
    Accuracy,
}

words!(serde Quantity, "budget", {
    Steps = "steps",
    Operations = "operations",
    Energy = "energy",
    Ms = "ms",
    Accuracy = "accuracy",
});

/// A limit of a quantity.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct Budget {
    /// The quantity.
    pub quantity: Quantity,
    /// The most that an answer may cost; of [`Quantity::Accuracy`] the least.
    pub limit: f64,
}

impl FromStr for Budget {
    type Err = String;

    /// Reads `steps=1.5`.
    fn from_str(text: &str) -> Result<Self, String> {
        let (word, value) =
            text.split_once('=').ok_or(format!("`{text}`: write a quantity and its limit, e.g. steps=1.5"))?;
        let quantity: Quantity = word.parse().map_err(|e| format!("{e}"))?;
        let limit = value.parse::<f64>().ok().filter(|v| v.is_finite() && *v > 0.0);
        let unit = match quantity {
            Quantity::Steps | Quantity::Operations => "",
            Quantity::Energy => ", in nJ",
            Quantity::Ms => ", in milliseconds",
            Quantity::Accuracy => ", in percent",
        };
        let limit = limit.ok_or_else(|| format!("`{text}`: the limit is a number above 0{unit}, e.g. {word}=1.5"))?;
        if quantity == Quantity::Accuracy && limit > 100.0 {
            return Err(format!("`{text}`: an accuracy is at most 100 %"));
        }
        Ok(Self { quantity, limit })
    }
}

impl fmt::Display for Budget {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}={}", self.quantity, self.limit)
    }
}

impl Budget {
    /// The value of the quantity; `None` if it does not apply or was not measured.
    pub fn of(&self, m: &Measured) -> Option<f64> {
        match self.quantity {
            Quantity::Steps => m.steps,
            Quantity::Operations => Some(m.operations),
            Quantity::Energy => Some(m.energy_nj),
            Quantity::Ms => m.ms,
            Quantity::Accuracy => Some(m.accuracy),
        }
    }

    /// Whether the budget is met.
    pub fn is_met(&self, m: &Measured) -> bool {
        match (self.quantity, self.of(m)) {
            (_, None) => false,
            (Quantity::Accuracy, Some(accuracy)) => accuracy >= self.limit,
            (_, Some(cost)) => cost <= self.limit,
        }
    }

    /// Whether `a` is the better choice: it meets the budget and `b` does not, or both do and it is
    /// more accurate (for an accuracy: needs fewer operations), or none does and it is nearer to the
    /// budget. Of equals, the one with fewer operations is better.
    pub fn prefers(&self, a: &Measured, b: &Measured) -> bool {
        let missing = |m: &Measured| match (self.quantity, self.of(m)) {
            (_, None) => f64::INFINITY,
            (Quantity::Accuracy, Some(v)) => self.limit - v,
            (_, Some(v)) => v - self.limit,
        };
        let (meets_a, meets_b) = (self.is_met(a), self.is_met(b));
        if meets_a != meets_b {
            return meets_a;
        }
        let fewer = a.operations < b.operations;
        if !meets_a {
            let (a, b) = (missing(a), missing(b));
            return a < b || (a == b && fewer);
        }
        match self.quantity {
            Quantity::Accuracy => fewer || (a.operations == b.operations && a.accuracy > b.accuracy),
            _ => a.correct > b.correct || (a.correct == b.correct && fewer),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::OperatingPoint;

    fn measured(correct: usize, steps: f64, operations: f64) -> Measured {
        Measured {
            point: OperatingPoint::EVENT_DRIVEN,
            correct,
            samples: 100,
            accuracy: correct as f64,
            standard_error: None,
            steps: Some(steps),
            us: None,
            events: None,
            operations,
            energy_nj: operations * 0.9e-3,
            ms: None,
        }
    }

    #[test]
    fn a_budget_reads_as_it_is_written() {
        for text in ["steps=1.5", "operations=20000", "energy=3.25", "ms=0.5", "accuracy=97"] {
            assert_eq!(text.parse::<Budget>().unwrap().to_string(), text);
        }
        for (text, word) in [
            ("steps", "steps=1.5"),
            ("step=1", "steps"),
            ("ms=-1", "above 0"),
            ("ms=x", "above 0"),
            ("ms=0", "milliseconds"),
            ("energy=1nJ", "a number above 0, in nJ, e.g. energy=1.5"),
            ("steps=NaN", "above 0"),
            ("operations=inf", "above 0"),
            ("accuracy=97%", "in percent"),
            ("accuracy=101", "100"),
        ] {
            let e = text.parse::<Budget>().unwrap_err();
            assert!(e.contains(word), "{e}");
        }
    }

    #[test]
    fn within_the_budget_accuracy_wins_and_beyond_it_the_nearest() {
        let budget: Budget = "steps=2".parse().unwrap();
        let (good, poor, dear) = (measured(90, 2.0, 9.0), measured(80, 1.0, 1.0), measured(99, 2.1, 9.0));
        assert!(budget.prefers(&good, &poor) && !budget.prefers(&poor, &good));
        assert!(budget.prefers(&poor, &dear) && budget.prefers(&dear, &measured(99, 3.0, 1.0)));
        assert!(budget.prefers(&measured(90, 2.0, 8.0), &good));
        let accuracy: Budget = "accuracy=85".parse().unwrap();
        assert!(accuracy.prefers(&measured(86, 4.0, 5.0), &measured(99, 4.0, 6.0)));
        assert!(accuracy.prefers(&measured(84, 4.0, 500.0), &measured(80, 4.0, 5.0)), "none meets it");
        let without = Measured { steps: None, ..measured(99, 1.0, 1.0) };
        assert!(!budget.is_met(&without) && budget.prefers(&dear, &without));
    }
}
