//! One finished run with the results that its folder stores.

use super::{Evaluation, stored};
use crate::output::note;
use anyhow::Result;
use std::path::Path;
use tickless::simulate::{Simulation, possible};
use tickless_train::run::{Loaded, RunFolder};

/// One finished run with its results.
pub struct Finished {
    /// The run.
    pub run: Loaded,
    /// Clocked, if evaluated.
    pub evaluation: Option<Evaluation>,
    /// Event-driven, if simulated.
    pub simulation: Option<Simulation>,
}

impl Finished {
    /// Opens a run and whatever results it has; its data set may lie elsewhere than its recipe says.
    ///
    /// # Errors
    /// If it is not a finished run or a result is damaged.
    pub fn open(folder: &RunFolder, data: Option<&Path>) -> Result<Self> {
        let run = folder.load_with(data)?;
        run.warnings.iter().for_each(|w| note!("warning: {w}"));
        let (evaluation, simulation) = (stored::evaluation(&run)?, stored::simulation(&run)?);
        Ok(Self { run, evaluation, simulation })
    }

    /// Its folder, as messages name it.
    fn place(&self) -> String {
        self.run.folder.path().display().to_string()
    }

    /// What a report cannot show of it, and the command that measures it.
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
