//! A finished run together with the results that its folder stores.

use super::{Evaluation, StoredAnswers, stored};
use crate::output::note;
use anyhow::Result;
use std::path::Path;
use tickless::simulate::{Simulation, possible};
use tickless::tune::Tuning;
use tickless_train::run::{Loaded, RunFolder};

/// A finished run and its results.
pub struct Finished {
    /// The run.
    pub run: Loaded,
    /// The clocked evaluation, if there is one.
    pub evaluation: Option<Evaluation>,
    /// The event-driven simulation, if there is one.
    pub simulation: Option<Simulation>,
    /// The answers to single samples, if they are stored.
    pub answers: Option<StoredAnswers>,
    /// The choice of `tickless tune`, if the run keeps one.
    pub tuning: Option<Tuning>,
}

impl Finished {
    /// Opens a run and its results. `data` is the place of its data set, if the recipe's is
    /// outdated.
    ///
    /// # Errors
    /// If the folder is not a finished run, or a result cannot be read.
    pub fn open(folder: &RunFolder, data: Option<&Path>) -> Result<Self> {
        let run = folder.load_with(data)?;
        run.warnings.iter().for_each(|w| note!("warning: {w}"));
        let (evaluation, simulation) = (stored::evaluation(&run)?, stored::simulation(&run)?);
        let answers = stored::answers(&run)?;
        let tuning = tickless::tune::kept(&run)?;
        Ok(Self { run, evaluation, simulation, answers, tuning })
    }

    /// The folder of the run, for messages.
    fn place(&self) -> String {
        self.run.folder.path().display().to_string()
    }

    /// For each result that the run lacks, a message with the command that measures it.
    pub fn missing(&self) -> Vec<String> {
        let run = self.place();
        let mut all = Vec::new();
        if self.evaluation.is_none() {
            all.push(format!("{run} has not been evaluated: `tickless eval {run}`"));
        }
        if self.simulation.is_none() && possible(&self.run).is_ok() {
            all.push(format!("{run} has not been run without a clock: `tickless simulate {run}`"));
        }
        all
    }
}
