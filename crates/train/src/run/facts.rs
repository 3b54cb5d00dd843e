//! [`RunFacts`]: seed, versions, machine, data and network of a run, stored as `run.json`.

use super::checkpoint::Position;
use super::machine::Machine;
use super::seal;
use serde::{Deserialize, Serialize};
use tickless_net::recipe::{LARGEST_STEPS, Recipe};

/// The facts of a run.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct RunFacts {
    /// SDT, NMT or MTT. If the run trained nothing, the strategy of its base, or
    /// [`RunFacts::IMPORTED`].
    pub strategy: String,
    /// Seed of the recipe.
    pub seed: u64,
    /// Version of Tickless.
    pub version: String,
    /// Version of the run folder's format.
    pub format: u32,
    /// The machine.
    pub machine: Machine,
    /// Name and source of the data set.
    pub dataset: String,
    /// Whether the data set simulates its camera.
    pub simulated_camera: bool,
    /// Number of training, validation and test samples.
    pub samples: [usize; 3],
    /// Name of the network.
    pub network: String,
    /// Number of stages of the network.
    pub stages: usize,
    /// Number of trainable values of the network.
    pub trainable_values: usize,
    /// Number of steps T_max.
    pub t_max: usize,
    /// Duration Δ of a step at T_max in µs: mean span of the training recordings / T_max.
    pub step_us: Option<f64>,
    /// Time constant τ of the first neuron layer's leak in µs, by Δ; `None` without a leak or
    /// without Δ.
    pub tau_us: Option<f64>,
    /// Mean events per training recording.
    pub mean_events: Option<f64>,
    /// The run or graph whose weights the training started from.
    pub base: Option<String>,
    /// The strategy that trained those weights.
    #[serde(default)]
    pub base_strategy: Option<String>,
    /// The command that made this run, if a command did.
    #[serde(default)]
    pub command: Option<String>,
    /// Number of workers that shared every batch.
    #[serde(default = "one")]
    pub workers: usize,
    /// Seconds of training.
    pub train_seconds: f64,
    /// Number of iterations done.
    pub iterations: usize,
    /// Whether the training has ended.
    pub finished: bool,
    /// The differences each time the training resumed under other conditions. If there are any, the
    /// weights are not those of a training that was never stopped.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub changed: Vec<String>,
    /// `xxh3-64:` and 16 hexadecimal digits over the other fields and the text of the run's
    /// recipe.toml; `None` in runs of versions that wrote no checksum.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub checksum: Option<String>,
}

impl RunFacts {
    /// Checks the values that can be checked without recipe and data.
    ///
    /// # Errors
    /// Names the first impossible value and the remedy.
    pub fn check(&self) -> Result<(), String> {
        if self.format != FORMAT {
            return Err(format!(
                "`format` is {}, this version of Tickless reads {FORMAT}: use the version that made the run ({})",
                self.format, self.version
            ));
        }
        let damaged = |key: &str, value: &dyn std::fmt::Debug, most: &dyn std::fmt::Display| {
            Err(format!("`{key}` is {value:?}, it must be {most}; restore the file, or train the run anew"))
        };
        if !(1..=LARGEST_STEPS).contains(&self.t_max) {
            return damaged("t_max", &self.t_max, &format!("from 1 to {LARGEST_STEPS}"));
        }
        for (key, value) in [("step_us", self.step_us), ("tau_us", self.tau_us), ("mean_events", self.mean_events)] {
            if value.is_some_and(|v| !v.is_finite() || v < 0.0) {
                return damaged(key, &value, &"a finite number from 0 on");
            }
        }
        if !self.train_seconds.is_finite() || self.train_seconds < 0.0 {
            return damaged("train_seconds", &self.train_seconds, &"a finite number from 0 on");
        }
        if self.workers == 0 {
            return damaged("workers", &self.workers, &"at least 1");
        }
        Ok(())
    }

    /// Checks the values against the run's recipe and the sizes of its parts (training, validation,
    /// test).
    ///
    /// # Errors
    /// As [`check`](Self::check).
    pub(super) fn check_against(&self, recipe: &Recipe, samples: [usize; 3]) -> Result<(), String> {
        let (t_max, seed) = (recipe.train.t_max, recipe.seed);
        if (self.t_max, self.seed) != (t_max, seed) {
            return Err(format!(
                "`t_max` is {} and `seed` {}, the run's recipe.toml has {t_max} and {seed}; restore the changed file",
                self.t_max, self.seed
            ));
        }
        if self.samples != samples {
            return Err(format!(
                "the run was made with {:?} training, validation and test samples, its data set and recipe.toml give \
                 {samples:?}: restore what was changed",
                self.samples
            ));
        }
        Ok(())
    }

    /// Returns the facts with the checksum over their fields and the text of the run's recipe.toml.
    pub(super) fn sealed(&self, recipe_toml: &str) -> Self {
        let open = Self { checksum: None, ..self.clone() };
        Self { checksum: Some(open.hash_with(recipe_toml)), ..open }
    }

    /// Checks that neither run.json nor recipe.toml has changed since the run wrote them.
    ///
    /// # Errors
    /// If the checksum differs; the text gives the remedy.
    pub(super) fn check_seal(&self, recipe_toml: &str) -> Result<(), String> {
        let open = Self { checksum: None, ..self.clone() };
        match &self.checksum {
            Some(sealed) if *sealed != open.hash_with(recipe_toml) => {
                Err("its checksum does not fit its values and the \
                 run's recipe.toml, so one of the two files was changed: restore them, or train the run anew"
                    .into())
            }
            _ => Ok(()),
        }
    }

    /// The checksum over the fields as JSON and the recipe's text.
    fn hash_with(&self, recipe_toml: &str) -> String {
        // Every field has a JSON form, so this does not fail; an empty text would match no
        // checksum.
        let fields = serde_json::to_string(self).unwrap_or_default();
        seal::over(&[&fields, recipe_toml])
    }

    /// The strategy of weights that come from another framework.
    pub const IMPORTED: &str = "imported";

    /// The origin of the weights, in words: `trained as MTT`, `imported from net.nir`.
    pub fn origin(&self) -> String {
        let Some(base) = &self.base else { return format!("trained as {}", self.strategy) };
        match self.iterations {
            0 if self.strategy == Self::IMPORTED => format!("imported from {base}"),
            0 => format!("converted from {base}, which was trained as {}", self.strategy),
            _ => format!("fine-tuned as {} from {base}", self.strategy),
        }
    }

    /// The facts at the end of training.
    pub(super) fn finish(self, end: &Position) -> Self {
        Self { train_seconds: end.seconds, iterations: end.iteration, finished: true, ..self }
    }
}

/// The number of workers of a run whose facts do not have it.
fn one() -> usize {
    1
}

/// The format of run folders that this version writes.
pub(super) const FORMAT: u32 = 1;

#[cfg(test)]
mod tests {
    use super::*;

    fn facts() -> RunFacts {
        RunFacts {
            strategy: "MTT".into(),
            seed: 1,
            version: "0.1.0".into(),
            format: FORMAT,
            machine: Machine::default(),
            dataset: "digits".into(),
            simulated_camera: true,
            samples: [100, 0, 40],
            network: "demo".into(),
            stages: 2,
            trainable_values: 10,
            t_max: 4,
            step_us: Some(1000.0),
            tau_us: None,
            mean_events: Some(100.0),
            base: None,
            base_strategy: None,
            command: None,
            workers: 1,
            train_seconds: 1.0,
            iterations: 10,
            finished: true,
            changed: Vec::new(),
            checksum: None,
        }
    }

    #[test]
    fn values_that_cannot_be_are_named() {
        facts().check().unwrap();
        let refused = |change: fn(&mut RunFacts), key: &str| {
            let mut f = facts();
            change(&mut f);
            let e = f.check().unwrap_err();
            assert!(e.contains(key), "{e}");
        };
        refused(|f| f.format = 99, "`format` is 99");
        refused(|f| f.t_max = 0, "`t_max` is 0");
        refused(|f| f.t_max = 1_000_000_000_000, "`t_max` is 1000000000000");
        refused(|f| f.step_us = Some(-1.0), "`step_us`");
        refused(|f| f.tau_us = Some(f64::INFINITY), "`tau_us`");
        refused(|f| f.mean_events = Some(f64::NAN), "`mean_events`");
        refused(|f| f.train_seconds = -1.0, "`train_seconds`");
        refused(|f| f.workers = 0, "`workers`");
    }

    #[test]
    fn a_change_of_any_fact_or_of_the_recipe_breaks_the_seal() {
        let sealed = facts().sealed("seed = 1\n");
        sealed.check_seal("seed = 1\n").unwrap();
        sealed.check_seal("seed = 2\n").unwrap_err();
        let changes: [fn(&mut RunFacts); 6] = [
            |f| f.step_us = Some(1000.1),
            |f| f.strategy = "SDT".into(),
            |f| f.stages = 99,
            |f| f.base = Some("nowhere".into()),
            |f| f.finished = false,
            |f| f.mean_events = None,
        ];
        for change in changes {
            let mut f = sealed.clone();
            change(&mut f);
            f.check_seal("seed = 1\n").unwrap_err();
        }
    }
}
