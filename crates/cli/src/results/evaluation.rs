//! The clocked evaluation of a run, stored as `eval.json`, and how later results are merged into
//! it.

use crate::arguments::Part;
use serde::{Deserialize, Serialize};
use tickless_kernels::Precision;
use tickless_net::energy::{EnergyEstimate, estimates};
use tickless_net::neurobench::Cost;
use tickless_net::{InputKind, LeakRule};
use tickless_train::evaluate::{LayerActivity, Point, TemperatureOf};
use tickless_train::model::Model;
use tickless_train::run::Loaded;

/// The content of `eval.json`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Evaluation {
    /// Which part was evaluated.
    pub part: String,
    /// Accuracy for each configuration and leak.
    pub points: Vec<Point>,
    /// Activity of the spiking layers, clocked at T_max.
    pub activity: Vec<LayerActivity>,
    /// The precision of the convolutions.
    #[serde(default = "f32_precision")]
    pub precision: String,
    /// The checksum of the evaluated weights.
    #[serde(default)]
    pub weights: Option<String>,
    /// The names of the classes, in the order of their indices.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub class_names: Vec<String>,
    /// Number of validation samples that the temperature of the confidence was fitted on; 0 if the
    /// confidence is uncalibrated.
    #[serde(default)]
    pub gain_samples: usize,
    /// The cost at T_max by NeuroBench's definitions, on the evaluated samples.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub neurobench: Option<Cost>,
    /// Estimates of the energy per sample at T_max, each with its model.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub energy: Vec<EnergyEstimate>,
}

/// The precision of a stored evaluation that does not state one.
fn f32_precision() -> String {
    Precision::F32.to_string()
}

impl Evaluation {
    /// The results measured on a part of a run.
    pub fn of(
        run: &Loaded,
        model: &Model,
        part: Part,
        points: Vec<Point>,
        (activity, cost): (Vec<LayerActivity>, Cost),
        gain_samples: usize,
    ) -> Self {
        let precision = model.precision().to_string();
        let class_names = (0..run.network.output().len()).map(|k| run.source.dataset().class_name(k)).collect();
        let weights = Some(run.checksum.clone());
        let o = cost.synaptic_operations;
        let energy = estimates(&run.recipe.eval.energy, o.effective_acs, o.effective_macs);
        let (part, neurobench) = (part.to_string(), Some(cost));
        Self { part, points, activity, precision, weights, class_names, gain_samples, neurobench, energy }
    }

    /// Whether a run stores this evaluation: it covers the whole test part at full precision.
    pub fn is_whole(&self, run: &Loaded) -> bool {
        let samples = run.parts.test.len();
        self.part == Part::Test.as_str()
            && self.precision == f32_precision()
            && self.points.iter().all(|p| p.samples == samples)
    }

    /// The result at a configuration and leak, if it was measured.
    pub fn at(&self, configuration: &[usize], leak: LeakRule) -> Option<&Point> {
        self.points.iter().find(|p| p.configuration == configuration && p.leak == leak)
    }

    /// The result whose classes tables show: that at T_max if it was measured, else the last one.
    pub fn shown_point(&self, t_max: usize) -> Option<&Point> {
        self.points.iter().find(|p| p.steps() == Some(t_max)).or(self.points.last())
    }

    /// The numbers of steps whose confidences have the temperature of T_max, because an earlier version
    /// measured them, each once.
    pub fn of_another_temperature(&self, t_max: usize) -> Vec<String> {
        let mut all: Vec<String> = Vec::new();
        for p in self.points.iter().filter(|p| p.answers.is_some() && p.steps() != Some(t_max)) {
            let steps: Vec<String> = p.configuration.iter().map(usize::to_string).collect();
            let text = steps.join(",");
            if self.gain_samples > 0 && p.temperature_of == TemperatureOf::TMax && !all.contains(&text) {
                all.push(text);
            }
        }
        all
    }

    /// Adds these points to a stored evaluation. Points that were measured again replace stored
    /// ones.
    ///
    /// A stored evaluation of another part, precision, number of samples or other weights is
    /// dropped.
    #[must_use]
    pub fn merged_into(self, kept: Option<Self>) -> Self {
        let samples = |e: &Self| e.points.first().map(|p| p.samples);
        let is_of_the_same = |k: &Self| {
            (&k.part, &k.precision, samples(k)) == (&self.part, &self.precision, samples(&self))
                && (k.weights.is_none() || k.weights == self.weights)
        };
        let Some(kept) = kept.filter(is_of_the_same) else { return self };
        let mut points = kept.points;
        for new in self.points {
            match points.iter_mut().find(|p| p.configuration == new.configuration && p.leak == new.leak) {
                Some(old) => *old = new,
                None => points.push(new),
            }
        }
        Self { points, ..self }
    }
}

/// The leaks to evaluate. A static image has no duration, so only the leak per step applies to it.
pub fn leaks(kind: InputKind, wanted: &[LeakRule]) -> &[LeakRule] {
    if kind == InputKind::Image { &[LeakRule::Step] } else { wanted }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn evaluation(part: &str, points: &[(usize, LeakRule, f64, usize)]) -> Evaluation {
        let point = |&(t, leak, accuracy, samples): &(usize, LeakRule, f64, usize)| Point {
            configuration: vec![t],
            leak,
            accuracy,
            loss: 1.0,
            correct: 0,
            samples,
            standard_error: None,
            answers: None,
            operations: None,
            temperature_of: TemperatureOf::Setting,
        };
        let (points, precision) = (points.iter().map(point).collect(), f32_precision());
        let (class_names, gain_samples) = (Vec::new(), 0);
        Evaluation {
            part: part.into(),
            points,
            activity: Vec::new(),
            precision,
            weights: None,
            class_names,
            gain_samples,
            neurobench: None,
            energy: Vec::new(),
        }
    }

    #[test]
    fn a_later_evaluation_adds_to_what_a_run_has_kept_and_replaces_what_it_measured_again() {
        use LeakRule::{Step, Time};
        let kept = evaluation("test", &[(1, Time, 50.0, 40), (4, Time, 60.0, 40), (1, Step, 40.0, 40)]);
        let later = evaluation("test", &[(4, Time, 61.0, 40), (8, Time, 70.0, 40)]);
        let merged = later.clone().merged_into(Some(kept.clone()));
        let expected = [(1, Time, 50.0, 40), (4, Time, 61.0, 40), (1, Step, 40.0, 40), (8, Time, 70.0, 40)];
        assert_eq!(merged, evaluation("test", &expected));
        assert_eq!(merged.at(&[8], Time).map(|p| p.accuracy), Some(70.0));
        assert!(merged.at(&[8], Step).is_none());
        assert_eq!(later.clone().merged_into(None), later);
        assert_eq!(evaluation("validation", &[(1, Time, 9.0, 40)]).merged_into(Some(kept.clone())).points.len(), 1);
        assert_eq!(evaluation("test", &[(1, Time, 9.0, 10)]).merged_into(Some(kept)).points.len(), 1);
    }
}
