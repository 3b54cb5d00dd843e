//! Estimates of energy from counts of operations. An estimate is never a measurement: it leaves out
//! memory, communication and leakage.
//!
//! ```text
//! E = e_AC·accumulates + e_MAC·multiply-accumulates
//! ```
//!
//! 45 nm: e_AC = 0.9 pJ and e_MAC = 4.6 pJ for 32-bit floating point (Horowitz, "Computing's energy
//! problem", ISSCC 2014). A recipe can name further models (`eval.energy`).

use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;

/// The energy of one operation of each kind.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct EnergyCosts {
    /// Energy of one accumulate in pJ.
    pub accumulate_pj: f64,
    /// Energy of one multiply-accumulate in pJ.
    pub multiply_accumulate_pj: f64,
}

/// The costs of a 45 nm process.
pub const CMOS_45NM: EnergyCosts = EnergyCosts { accumulate_pj: 0.9, multiply_accumulate_pj: 4.6 };

/// The name of the model with the costs [`CMOS_45NM`].
pub const NAME_45NM: &str = "45 nm";

/// An estimate of energy, with the model that it is made with.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct EnergyEstimate {
    /// The name of the model.
    pub model: String,
    /// Its costs.
    #[serde(flatten)]
    pub costs: EnergyCosts,
    /// Estimated energy per sample in nJ.
    pub estimate_nj: f64,
}

impl EnergyCosts {
    /// Energy in pJ of this many accumulates and multiply-accumulates.
    pub fn picojoules(&self, accumulates: f64, multiply_accumulates: f64) -> f64 {
        self.accumulate_pj * accumulates + self.multiply_accumulate_pj * multiply_accumulates
    }

    /// Checks the costs; the error completes "`eval.energy.NAME` …".
    pub(crate) fn check(&self) -> Result<(), String> {
        let possible = |v: f64| v.is_finite() && v >= 0.0;
        match possible(self.accumulate_pj) && possible(self.multiply_accumulate_pj) {
            true => Ok(()),
            false => Err("has a cost below 0 or not finite: give pJ per operation".into()),
        }
    }
}

/// The models of a recipe (`eval.energy`) by name, that of 45 nm first unless the recipe has its own of
/// this name.
pub fn models(own: &BTreeMap<String, EnergyCosts>) -> Vec<(String, EnergyCosts)> {
    let first = (!own.contains_key(NAME_45NM)).then(|| (NAME_45NM.to_owned(), CMOS_45NM));
    first.into_iter().chain(own.iter().map(|(name, costs)| (name.clone(), *costs))).collect()
}

/// The estimates of all models of a recipe for these counts per sample.
pub fn estimates(
    own: &BTreeMap<String, EnergyCosts>,
    accumulates: f64,
    multiply_accumulates: f64,
) -> Vec<EnergyEstimate> {
    let estimate = |(model, costs): (String, EnergyCosts)| EnergyEstimate {
        model,
        costs,
        estimate_nj: costs.picojoules(accumulates, multiply_accumulates) / 1e3,
    };
    models(own).into_iter().map(estimate).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_estimate_of_45_nm_has_its_published_costs_and_a_recipe_adds_others() {
        let mut own = BTreeMap::new();
        let first = estimates(&own, 1000.0, 10.0);
        assert_eq!((first.len(), first[0].model.as_str()), (1, "45 nm"));
        assert!((first[0].estimate_nj - 0.946).abs() < 1e-12);
        let mine = EnergyCosts { accumulate_pj: 0.1, multiply_accumulate_pj: 1.0 };
        own.insert("mine".into(), mine);
        let both = estimates(&own, 1000.0, 10.0);
        assert_eq!((both[1].model.as_str(), both[1].estimate_nj), ("mine", 0.11));
        for bad in [-1.0, f64::NAN, f64::INFINITY] {
            assert!(EnergyCosts { accumulate_pj: bad, ..mine }.check().is_err(), "{bad}");
        }
    }
}
