//! Reads and writes a run folder. Every write is atomic: a file is complete or unchanged.

use super::checkpoint::{Checkpoint, EpochMetrics};
use super::facts::RunFacts;
use super::made::Made;
use super::seal::{self, Seal};
use crate::data::{Parts, Source};
use crate::error::{Error, Result};
use crate::evaluate::calibrate::Calibration;
use crate::model::Model;
use burn::tensor::Device;
use serde::Serialize;
use serde::de::DeserializeOwned;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use tickless_net::recipe::{EvalRecipe, Recipe};
use tickless_net::{Network, WeightFile, Weights};

/// The folder of a run.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RunFolder {
    path: PathBuf,
}

/// A finished run with everything that its folder and data set contain.
#[derive(Debug)]
#[non_exhaustive]
pub struct Loaded {
    /// Its folder.
    pub folder: RunFolder,
    /// Its recipe.
    pub recipe: Recipe,
    /// Its facts.
    pub facts: RunFacts,
    /// Its network.
    pub network: Arc<Network>,
    /// Its weights.
    pub weights: Weights,
    /// The checksum of the weight file; results store it to identify the weights they were measured
    /// with.
    pub checksum: String,
    /// Its data set.
    pub source: Source,
    /// The training, validation and test parts of the data set.
    pub parts: Parts,
    /// Warnings about the run's files.
    pub warnings: Vec<String>,
}

impl RunFolder {
    /// The folder of a new run. The run makes it when it writes its first file, so that a refused
    /// command leaves no folder behind.
    ///
    /// # Errors
    /// If the folder holds a run already or cannot be made; to test that, this makes the folder and
    /// removes it again.
    pub fn create(path: &Path) -> Result<Self> {
        let folder = Self { path: path.to_owned() };
        if folder.file("run.json").exists() || folder.file("recipe.toml").exists() {
            return Err(Error::RunExists { path: folder.path });
        }
        Made::at(path)?;
        Ok(folder)
    }

    /// A folder, unchecked, for files that several runs share.
    pub fn at(path: &Path) -> Self {
        Self { path: path.to_owned() }
    }

    /// Opens the folder of a run.
    ///
    /// # Errors
    /// If the folder holds no run.
    pub fn open(path: &Path) -> Result<Self> {
        let folder = Self { path: path.to_owned() };
        match folder.file("recipe.toml").is_file() {
            true => Ok(folder),
            false => Err(Error::NotARun { path: folder.path }),
        }
    }

    /// Removes files that a killed process left half written.
    pub(super) fn sweep(&self) {
        tickless_files::sweep(&self.path);
        // Some versions wrote to `run.json.tmp` and similar names.
        let Ok(entries) = std::fs::read_dir(&self.path) else { return };
        for path in entries.flatten().map(|e| e.path()).filter(|p| p.extension().is_some_and(|e| e == "tmp")) {
            // Nothing reads such a file, so if it cannot be removed it only takes space.
            let _ = std::fs::remove_file(path);
        }
    }

    /// Writes a file of the run atomically.
    fn write(&self, name: &str, bytes: &[u8]) -> Result<()> {
        let path = self.file(name);
        tickless_files::write(&path, bytes).map_err(|e| Error::io(&path, e))
    }

    /// Path of the folder.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Path of a file in the folder.
    pub fn file(&self, name: &str) -> PathBuf {
        self.path.join(name)
    }

    /// Reads the run's recipe.
    ///
    /// # Errors
    /// If it is missing or damaged.
    pub fn recipe(&self) -> Result<Recipe> {
        Ok(Recipe::load(&self.file("recipe.toml"), &[])?)
    }

    /// Writes the run's recipe.
    ///
    /// # Errors
    /// If it cannot be written.
    pub fn write_recipe(&self, recipe: &Recipe) -> Result<()> {
        self.write("recipe.toml", recipe.to_toml()?.as_bytes())
    }

    /// Waits for and takes the lock of the run's results. A caller that reads, changes and writes a
    /// result holds it, for a short time only.
    ///
    /// # Errors
    /// If the lock's file cannot be made.
    pub fn lock_results(&self) -> Result<tickless_files::Lock> {
        let path = self.file("results.lock");
        tickless_files::Lock::wait(&path).map_err(|e| Error::io(&path, e))
    }

    /// Reads a JSON file of the run.
    ///
    /// # Errors
    /// If it is missing or damaged.
    pub fn read_json<T: DeserializeOwned>(&self, name: &str) -> Result<T> {
        let path = self.file(name);
        let bytes = std::fs::read(&path).map_err(|e| Error::io(&path, e))?;
        serde_json::from_slice(&bytes).map_err(|e| Error::RunFile {
            path,
            problem: format!("damaged ({e}); delete it and run the command that makes it again"),
        })
    }

    /// Writes a JSON file of the run.
    ///
    /// # Errors
    /// If the file cannot be written, or would not read back as `value`, because JSON has no
    /// infinite numbers.
    pub fn write_json<T: Serialize + DeserializeOwned + PartialEq>(&self, name: &str, value: &T) -> Result<()> {
        let path = self.file(name);
        let unwritable = |problem: String| Error::NotWritten { path: path.clone(), problem };
        let mut text = serde_json::to_string_pretty(value).map_err(|e| unwritable(e.to_string()))?;
        if !serde_json::from_str::<T>(&text).is_ok_and(|read| read == *value) {
            return Err(unwritable("not written, because a value of it is infinite or not a number".into()));
        }
        text.push('\n');
        self.write(name, text.as_bytes())
    }

    /// Writes a result of the run, a JSON object, with a checksum over its fields.
    ///
    /// # Errors
    /// As [`write_json`](Self::write_json), and if the value is not a JSON object.
    pub fn write_result<T: Serialize + DeserializeOwned + PartialEq>(&self, name: &str, value: &T) -> Result<()> {
        let path = self.file(name);
        let unwritable = |problem: String| Error::NotWritten { path: path.clone(), problem };
        let json = serde_json::to_value(value).map_err(|e| unwritable(e.to_string()))?;
        if !serde_json::from_value::<T>(json.clone()).is_ok_and(|read| read == *value) {
            return Err(unwritable("not written, because a value of it is infinite or not a number".into()));
        }
        self.write_json(name, &seal::seal(json, &path)?)
    }

    /// Reads a result that [`write_result`](Self::write_result) wrote, and compares it with its
    /// checksum.
    ///
    /// # Errors
    /// If the file is missing or is not JSON.
    pub fn read_result(&self, name: &str) -> Result<(serde_json::Value, Seal)> {
        Ok(seal::unseal(self.read_json(name)?))
    }

    /// As [`read_result`](Self::read_result), as a value.
    ///
    /// # Errors
    /// If the file is missing, was changed after it was written, or has no checksum.
    pub fn read_sealed<T: DeserializeOwned>(&self, name: &str) -> Result<T> {
        let (json, seal) = self.read_result(name)?;
        let problem = match (seal, serde_json::from_value(json)) {
            (Seal::Whole, Ok(value)) => return Ok(value),
            (Seal::Whole, Err(e)) => format!("cannot be read ({e})"),
            _ => "was changed after it was written: its checksum does not fit its values".to_owned(),
        };
        let problem = format!("{problem}; delete it and run the command that makes it again");
        Err(Error::RunFile { path: self.file(name), problem })
    }

    /// Writes the run's facts with a checksum over them and over this recipe's text, as
    /// [`write_recipe`](Self::write_recipe) writes it.
    ///
    /// # Errors
    /// If they cannot be written.
    pub fn write_facts(&self, facts: &RunFacts, recipe: &Recipe) -> Result<()> {
        self.write_json("run.json", &facts.sealed(&recipe.to_toml()?))
    }

    fn recipe_text(&self) -> Result<String> {
        let path = self.file("recipe.toml");
        std::fs::read_to_string(&path).map_err(|e| Error::io(&path, e))
    }

    /// Reads the run's facts.
    ///
    /// # Errors
    /// If they are missing, damaged or of another format, or if a value is impossible.
    pub fn facts(&self) -> Result<RunFacts> {
        let facts: RunFacts = self.read_json("run.json")?;
        facts.check().map_err(|problem| Error::RunFile { path: self.file("run.json"), problem })?;
        Ok(facts)
    }

    /// Whether the training has ended.
    ///
    /// # Errors
    /// If the run's facts exist but are damaged or of another format.
    pub fn finished(&self) -> Result<bool> {
        let begun = self.file("run.json").is_file();
        Ok(begun && self.facts()?.finished && self.file("weights.safetensors").is_file())
    }

    /// Reads the run's checkpoint, if it has one.
    ///
    /// # Errors
    /// If it is damaged.
    pub fn checkpoint(&self) -> Result<Option<Checkpoint>> {
        let path = self.file("checkpoint.safetensors");
        if path.is_file() { Checkpoint::read(&path).map(Some) } else { Ok(None) }
    }

    /// Writes the metrics of all finished epochs, one JSON object per line.
    ///
    /// # Errors
    /// If the file cannot be written.
    pub fn write_metrics(&self, history: &[EpochMetrics]) -> Result<()> {
        let path = self.file("metrics.jsonl");
        let mut text = String::new();
        for m in history {
            text += &serde_json::to_string(m)
                .map_err(|e| Error::NotWritten { path: path.clone(), problem: e.to_string() })?;
            text.push('\n');
        }
        self.write("metrics.jsonl", text.as_bytes())
    }

    /// Reads the metrics.
    ///
    /// # Errors
    /// If the file is missing or a line is damaged.
    pub fn metrics(&self) -> Result<Vec<EpochMetrics>> {
        let path = self.file("metrics.jsonl");
        let text = std::fs::read_to_string(&path).map_err(|e| Error::io(&path, e))?;
        text.lines()
            .enumerate()
            .map(|(k, line)| {
                let damaged = |why: String| Error::RunFile {
                    path: path.clone(),
                    problem: format!("line {} is damaged ({why}); remove it", k + 1),
                };
                let metrics: EpochMetrics = serde_json::from_str(line).map_err(|e| damaged(e.to_string()))?;
                if metrics.is_possible() { Ok(metrics) } else { Err(damaged("a number of it cannot be".into())) }
            })
            .collect()
    }

    /// Writes the weights.
    ///
    /// # Errors
    /// If a value is not finite, or the file cannot be written.
    pub fn write_weights(&self, weights: &Weights) -> Result<()> {
        weights.check_values(&self.file("weights.safetensors"))?;
        self.write("weights.safetensors", &weights.to_bytes(None)?)
    }

    /// Opens a trained run with its data set.
    ///
    /// # Errors
    /// If training has not finished, or recipe, data or weights do not fit each other.
    pub fn load(&self) -> Result<Loaded> {
        self.load_with(None)
    }

    /// As [`load`](Self::load), with the data set at `data` if its files have moved.
    ///
    /// # Errors
    /// As [`load`](Self::load).
    pub fn load_with(&self, data: Option<&Path>) -> Result<Loaded> {
        let path = self.file("weights.safetensors");
        if !path.is_file() {
            return Err(Error::Unfinished { path: self.path.clone() });
        }
        // Checked first, because a run of a later version may also have another recipe and weights.
        let facts = self.facts()?;
        let (mut recipe, recipe_text) = (self.recipe()?, self.recipe_text()?);
        if let Some(data) = data {
            recipe.data.path = Some(data.to_owned());
        }
        let source = Source::open(&recipe.data, recipe.seed)?;
        let parts = Parts::of(&source, &recipe.data, recipe.seed)?;
        let (shape, kind) = source.input();
        let network = Arc::new(recipe.network.build(shape, kind, source.dataset().classes())?);
        let WeightFile { weights, checksum, has_checksum, .. } = WeightFile::load(&path).map_err(|e| match e {
            tickless_net::Error::WeightFile { problem, .. } => Error::DamagedWeights { path: path.clone(), problem },
            other => other.into(),
        })?;
        weights.check(&network, &path)?;
        weights.check_values(&path)?;
        facts
            .check_against(&recipe, [parts.train.len(), parts.validation.len(), parts.test.len()])
            .and_then(|()| facts.check_seal(&recipe_text))
            .map_err(|problem| Error::RunFile { path: self.file("run.json"), problem })?;
        let mut warnings = Vec::new();
        if facts.checksum.is_none() {
            warnings.push(format!(
                "{}: has no checksum (an earlier version wrote it), so changes of it and of recipe.toml cannot be noticed",
                self.file("run.json").display()
            ));
        }
        if !has_checksum {
            warnings.push(format!(
                "{}: has no checksum (an earlier version or another program wrote it), so damage to it cannot be noticed",
                path.display()
            ));
        }
        Ok(Loaded { folder: self.clone(), facts, recipe, network, weights, checksum, source, parts, warnings })
    }
}

impl Loaded {
    /// The calibration of this run's norms, on at most `batches` batches; if `None`, the recipe's
    /// number, or the default if the training calibrated none.
    pub fn calibration(&self, batches: Option<usize>) -> Calibration<'_> {
        let batch = self.recipe.train.batch;
        let trained = Some(self.recipe.eval.calibration_batches).filter(|n| *n > 0);
        let batches = batches.or(trained).unwrap_or(EvalRecipe::default().calibration_batches);
        Calibration {
            source: &self.source,
            train: &self.parts.train,
            batches: batches.min(self.parts.train.len().div_ceil(batch)),
            batch,
            t_max: self.facts.t_max,
            step_us: self.facts.step_us,
            seed: self.recipe.seed,
        }
    }

    /// The run's model on a device.
    ///
    /// # Errors
    /// If the weights do not fit the network; [`RunFolder::load`] has checked that they do.
    pub fn model(&self, device: &Device) -> Result<Model> {
        Model::new(self.network.clone(), &self.weights, device)
    }
}
