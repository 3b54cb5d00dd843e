//! [`Checkpoint`]: one file from which a training resumes as if it had never stopped.
//!
//! The file is a safetensors file with a checksum (see [`tickless_net::weights`]). It stores the
//! weights (`now.*`), the optimiser's state (`optimiser.first.*`, `optimiser.second.*`) and the
//! best weights so far (`best.*`). Its header stores, as JSON, the position, the sums of the
//! unfinished epoch, the metrics of the finished ones and the [`Conditions`] of the training. The
//! random state needs no storage, because it follows from seed and position (see [`crate::seed`]).
//! [`tickless_files`] writes the file atomically: a kill at any moment leaves the old or the new
//! file complete.

use crate::error::{Error, Result};
use crate::run::conditions::Conditions;
use crate::run::train_plan::TrainPlan;
use serde::{Deserialize, Serialize};
use std::collections::{BTreeMap, HashMap};
use std::path::Path;
use tickless_files::NewFile;
use tickless_net::recipe::{Recipe, Select};
use tickless_net::weights::write_tensors;
use tickless_net::{Array, Network, WeightFile, Weights};

/// Format version, raised when the meaning of a field changes.
const VERSION: u32 = 2;
/// Version 1 files can be read too: they lack the checksum and the conditions only.
const WITHOUT_CHECKSUM: u32 = 1;

/// The position that a training has reached, with the sums and metrics up to it.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct Position {
    /// Number of finished epochs.
    pub epoch: usize,
    /// Number of batches done in the unfinished epoch.
    pub batch: usize,
    /// Number of iterations done in all epochs.
    pub iteration: usize,
    /// Sum of losses in the unfinished epoch.
    pub loss_sum: f64,
    /// Number of correct predictions in the unfinished epoch.
    pub correct: usize,
    /// Number of predictions in the unfinished epoch.
    pub predictions: usize,
    /// Seconds of training in all epochs.
    pub seconds: f64,
    /// Best validation accuracy in percent, and its epoch (from 1).
    pub best: Option<(f64, usize)>,
    /// One entry per finished epoch.
    pub history: Vec<EpochMetrics>,
}

impl Position {
    /// The position before the first iteration.
    pub fn start() -> Self {
        Self {
            epoch: 0,
            batch: 0,
            iteration: 0,
            loss_sum: 0.0,
            correct: 0,
            predictions: 0,
            seconds: 0.0,
            best: None,
            history: Vec::new(),
        }
    }
}

/// The results of one epoch: a line of `metrics.jsonl`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct EpochMetrics {
    /// Number of the epoch, from 1.
    pub epoch: usize,
    /// Number of iterations done in all epochs.
    pub iteration: usize,
    /// Mean loss over the epoch's passes.
    pub train_loss: f64,
    /// Percent of correct predictions over the epoch's passes.
    pub train_accuracy: f64,
    /// Percent of correct predictions on the validation part at T_max; `None` if that is empty.
    pub validation_accuracy: Option<f64>,
    /// Learning rate of the epoch's last iteration.
    pub learning_rate: f64,
    /// Seconds of training so far.
    pub seconds: f64,
}

impl EpochMetrics {
    /// All measured numbers.
    fn numbers(&self) -> impl Iterator<Item = f64> + use<> {
        let Self { train_loss, train_accuracy, validation_accuracy, learning_rate, seconds, .. } = *self;
        [train_loss, train_accuracy, learning_rate, seconds].into_iter().chain(validation_accuracy)
    }

    /// Whether an epoch can have these results: finite numbers, accuracies from 0 to 100 %.
    pub(crate) fn is_possible(&self) -> bool {
        let shares = [Some(self.train_accuracy), self.validation_accuracy];
        self.epoch > 0 && self.numbers().all(f64::is_finite) && shares.into_iter().flatten().all(is_percent)
    }
}

fn is_percent(value: f64) -> bool {
    (0.0..=100.0).contains(&value)
}

/// The state of a training from which it can resume.
#[derive(Debug, Clone, PartialEq)]
#[non_exhaustive]
pub struct Checkpoint {
    /// The resolved recipe; a training resumes with an equal recipe only.
    pub recipe: String,
    /// The position that the training has reached.
    pub position: Position,
    /// The current weights and running statistics.
    pub weights: Weights,
    /// State of the optimiser.
    pub optimiser: Weights,
    /// Number of steps that the optimiser has taken.
    pub optimiser_steps: u64,
    /// Weights of the best epoch, if the recipe selects it.
    pub best: Option<Weights>,
    /// The conditions, besides the recipe, that determine the bits of the training.
    pub conditions: Conditions,
    /// The differences each time the training resumed under other conditions.
    pub changed: Vec<String>,
}

impl Checkpoint {
    /// The checkpoint of a finished training of `recipe`, for the training of `longer`, which
    /// differs in its number of epochs only. Weights, optimiser and position stay; the learning
    /// rate goes on as the schedule of all epochs says.
    ///
    /// # Errors
    /// If the checkpoint is not of `recipe`, or has trained as many epochs as `longer` has.
    pub fn continued(self, recipe: &Recipe, longer: &Recipe) -> Result<Self> {
        self.check_recipe(recipe)?;
        let (done, epochs) = (self.position.epoch, longer.train.epochs);
        if epochs <= done {
            let problem = format!("= {epochs}, and {done} epochs are trained already: give more");
            return Err(Error::Recipe { key: "train.epochs", problem });
        }
        Ok(Self { recipe: longer.to_toml()?, ..self })
    }

    /// Writes the file atomically: a kill at any moment leaves the old or the new file complete.
    ///
    /// # Errors
    /// If a value is not finite, or the file cannot be written; the old file then stays.
    pub fn write(&self, file: &Path) -> Result<()> {
        let mut all: BTreeMap<String, &Array> = BTreeMap::new();
        let parts = [("now", Some(&self.weights)), ("optimiser", Some(&self.optimiser)), ("best", self.best.as_ref())];
        for (prefix, weights) in parts {
            weights.map_or(Ok(()), |w| w.check_values(file))?;
            for (name, array) in weights.into_iter().flat_map(|w| &w.tensors) {
                all.insert(format!("{prefix}.{name}"), array);
            }
        }
        let json = |value: serde_json::Result<String>| {
            value.map_err(|e| Error::NotWritten { path: file.to_owned(), problem: format!("cannot write: {e}") })
        };
        let header = HashMap::from([
            ("version".to_owned(), VERSION.to_string()),
            ("recipe".to_owned(), self.recipe.clone()),
            ("position".to_owned(), json(serde_json::to_string(&self.position))?),
            ("conditions".to_owned(), json(serde_json::to_string(&self.conditions))?),
            ("changed".to_owned(), json(serde_json::to_string(&self.changed))?),
            ("optimiser_steps".to_owned(), self.optimiser_steps.to_string()),
            ("has_best".to_owned(), self.best.is_some().to_string()),
        ]);
        let mut new = NewFile::create(file).map_err(|e| Error::io(file, e))?;
        write_tensors(&all, header, file, &mut new)?;
        new.commit().map_err(|e| Error::io(file, e))
    }

    /// Reads a file that [`write`](Self::write) wrote.
    ///
    /// # Errors
    /// If the file is missing, damaged or from another version; the message says what to do.
    pub fn read(file: &Path) -> Result<Self> {
        Self::from_bytes(&std::fs::read(file).map_err(|e| Error::io(file, e))?, file)
    }

    /// Reads a checkpoint from the bytes of `file`; messages name that file.
    ///
    /// # Errors
    /// If they are damaged or from another version; the message names the file and says what to do.
    pub fn from_bytes(bytes: &[u8], file: &Path) -> Result<Self> {
        let unusable = |problem: String| Error::RunFile {
            path: file.to_owned(),
            problem: format!("{problem}; delete it to train from the beginning"),
        };
        let damaged = |e: tickless_net::Error| match e {
            tickless_net::Error::WeightFile { problem, .. } => unusable(format!("damaged: {problem}")),
            other => other.into(),
        };
        let WeightFile { weights: all, metadata: header, has_checksum, .. } =
            WeightFile::from_bytes(bytes, file).map_err(damaged)?;
        let get = |key: &str| {
            header.get(key).cloned().ok_or_else(|| unusable(format!("not a checkpoint: `{key}` is missing")))
        };
        let version = get("version")?;
        let is_old = version == WITHOUT_CHECKSUM.to_string();
        if !is_old && version != VERSION.to_string() {
            return Err(unusable(format!("a checkpoint of version {version}, this program reads {VERSION}")));
        }
        if !is_old && !has_checksum {
            return Err(unusable("damaged: it has no checksum".into()));
        }
        let json = |key: &str| match header.get(key) {
            None if is_old => Ok(None),
            _ => get(key).map(Some),
        };
        let damaged_entry = |key: &'static str| move |e: serde_json::Error| unusable(format!("damaged {key}: {e}"));
        let part = |prefix: &str| {
            let mut w = Weights::default();
            for (name, array) in &all.tensors {
                if let Some(rest) = name.strip_prefix(prefix) {
                    w.insert(rest, array.clone());
                }
            }
            w
        };
        Ok(Self {
            recipe: get("recipe")?,
            position: serde_json::from_str(&get("position")?).map_err(damaged_entry("position"))?,
            conditions: json("conditions")?.map_or(Ok(Conditions::default()), |text| {
                serde_json::from_str(&text).map_err(damaged_entry("conditions"))
            })?,
            changed: json("changed")?
                .map_or(Ok(Vec::new()), |text| serde_json::from_str(&text).map_err(damaged_entry("changed")))?,
            weights: part("now."),
            optimiser: part("optimiser."),
            optimiser_steps: get("optimiser_steps")?.parse().map_err(|_| unusable("damaged step count".into()))?,
            best: (get("has_best")? == "true").then(|| part("best.")),
        })
    }

    /// Checks that the training is of this recipe. Paths of the data may differ, because the
    /// [`Conditions`] compare the files.
    fn check_recipe(&self, recipe: &Recipe) -> Result<()> {
        if self.recipe == recipe.to_toml()? {
            return Ok(());
        }
        let own = Recipe::parse(&self.recipe, Path::new("recipe of the checkpoint"), &[])?;
        let differences = own.differences(recipe)?;
        let decisive: Vec<String> = differences.iter().filter(|d| !d.is_place()).map(ToString::to_string).collect();
        match decisive.is_empty() {
            true => Ok(()),
            false => Err(Error::OtherRecipe { differences: decisive }),
        }
    }

    /// Checks the checkpoint against the training that resumes from it: the recipe; the name, shape
    /// and values of every tensor; and that the recipe reaches its epoch, batch and iteration.
    ///
    /// # Errors
    /// [`Error::OtherRecipe`] if the recipe differs, [`Error::Checkpoint`] if something else does.
    pub fn check(&self, recipe: &Recipe, network: &Network, plan: &TrainPlan) -> Result<()> {
        self.check_recipe(recipe)?;
        let refuse = |problem: String| Err(Error::Checkpoint(problem));
        let in_words = |e: tickless_net::Error| match e {
            tickless_net::Error::Weights { layer, problem, .. } => {
                Error::Checkpoint(format!("layer `{layer}`: {problem}"))
            }
            other => other.into(),
        };
        for weights in [Some(&self.weights), self.best.as_ref()].into_iter().flatten() {
            weights.check(network, Path::new("")).map_err(in_words)?;
            weights.check_values(Path::new("")).map_err(in_words)?;
        }
        self.optimiser.check_values(Path::new("")).map_err(in_words)?;
        let p = &self.position;
        let wants_best = recipe.train.select == Select::Best && p.best.is_some();
        if self.best.is_some() != wants_best {
            let has = if wants_best { "lacks" } else { "has" };
            return refuse(format!("it {has} the weights of a best epoch"));
        }
        let (epochs, per_epoch) = (recipe.train.epochs, plan.per_epoch);
        if p.epoch > epochs || p.batch > per_epoch || (p.epoch == epochs && p.batch > 0) {
            return refuse(format!(
                "it stands at epoch {}, batch {}; the recipe has {epochs} epochs of {per_epoch} batches",
                p.epoch, p.batch
            ));
        }
        let iteration = p.epoch * per_epoch + p.batch;
        if p.iteration != iteration || self.optimiser_steps != iteration as u64 {
            return refuse(format!(
                "epoch {}, batch {} is iteration {iteration}, it says {} and {} steps of the optimiser",
                p.epoch, p.batch, p.iteration, self.optimiser_steps
            ));
        }
        let in_order = p.history.iter().zip(1..).all(|(m, epoch)| m.epoch == epoch && m.iteration == epoch * per_epoch);
        if p.history.len() != p.epoch || !in_order {
            return refuse(format!("its history is not of {} epochs of {per_epoch} iterations", p.epoch));
        }
        let numbers = p.history.iter().flat_map(EpochMetrics::numbers).chain([p.loss_sum, p.seconds]);
        let best_is_one = p.best.is_none_or(|(accuracy, epoch)| is_percent(accuracy) && (1..=p.epoch).contains(&epoch));
        if numbers.into_iter().any(|v| !v.is_finite()) || p.correct > p.predictions || !best_is_one {
            return refuse("a number of its position cannot be".into());
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use tickless_net::Array;

    fn example() -> Checkpoint {
        let mut weights = Weights::default();
        weights.insert("conv1.weight", Array::full(&[2, 1, 3, 3], 0.25));
        let position = Position { epoch: 2, iteration: 34, best: Some((81.5, 1)), ..Position::start() };
        Checkpoint {
            recipe: "seed = 1".into(),
            position,
            best: Some(weights.clone()),
            optimiser: Weights::default(),
            optimiser_steps: 34,
            weights,
            conditions: Conditions::default(),
            changed: vec!["precision: f32 then, bf16 now".into()],
        }
    }

    #[test]
    fn numbers_of_a_checkpoint_come_back_as_the_bits_that_were_written() {
        let file = std::env::temp_dir().join(format!("tickless-bits-{}.safetensors", std::process::id()));
        let mut c = example();
        c.position.history = (1..2000)
            .map(|k| EpochMetrics {
                epoch: k,
                iteration: k,
                train_loss: (k as f64).sqrt() * 7.3,
                train_accuracy: 100.0 * k as f64 / 2001.0,
                validation_accuracy: Some(100.0 * k as f64 / 297.0),
                learning_rate: 3e-3 * (k as f64).cos(),
                seconds: k as f64 / 7.0,
            })
            .collect();
        c.write(&file).unwrap();
        assert_eq!(Checkpoint::read(&file).unwrap().position, c.position);
        std::fs::remove_file(&file).unwrap();
    }

    #[test]
    fn a_checkpoint_reads_back_as_itself() {
        let dir = std::env::temp_dir().join(format!("tickless-ckpt-{}", std::process::id()));
        std::fs::create_dir_all(&dir).unwrap();
        let file = dir.join("checkpoint.safetensors");
        example().write(&file).unwrap();
        assert_eq!(Checkpoint::read(&file).unwrap(), example());
        let bytes = std::fs::read(&file).unwrap();
        for n in (0..bytes.len()).step_by(7) {
            std::fs::write(&file, &bytes[..n]).unwrap();
            let e = Checkpoint::read(&file).unwrap_err().to_string();
            assert!(e.contains("checkpoint.safetensors"), "{e}");
        }
        std::fs::remove_dir_all(&dir).unwrap();
    }
}
