//! Stores evaluations and answers in the folder of a run.

use super::{Evaluation, StoredAnswers, stored};
use anyhow::Result;
use tickless_train::evaluate::{Answered, Setting, synaptic_operations};
use tickless_train::model::Model;
use tickless_train::progress::Progress;
use tickless_train::run::Loaded;

/// Number of samples on which the operations at each T are counted; the cost at T_max is that of all
/// samples.
const OPERATION_SAMPLES: usize = 100;

/// Counts the synaptic operations at each configuration on the first samples of the setting.
///
/// # Errors
/// As [`synaptic_operations`].
pub fn count_operations(
    model: &Model,
    setting: &Setting<'_>,
    all: &mut [Answered],
    progress: &dyn Progress,
) -> Result<()> {
    let setting = Setting { ids: &setting.ids[..setting.ids.len().min(OPERATION_SAMPLES)], ..*setting };
    for a in all {
        let stages = model.network().stages();
        let configuration = a.point.steps().map_or_else(|| a.point.configuration.clone(), |t| vec![t; stages]);
        a.point.operations = Some(synaptic_operations(model, &setting, &configuration, a.point.leak, progress)?);
    }
    Ok(())
}

/// Adds an evaluation of the whole test part and its answers to those that a run stores. If a
/// stored file cannot be read, the new one replaces it and a warning says so. Returns the
/// evaluation that the run then has.
///
/// # Errors
/// If the folder cannot be locked or written.
pub fn keep_evaluation(
    run: &Loaded,
    evaluation: Evaluation,
    answers: StoredAnswers,
    progress: &dyn Progress,
) -> Result<Evaluation> {
    // Another command may write the same files.
    let _lock = run.folder.lock_results()?;
    let evaluation = evaluation.merged_into(readable(stored::evaluation(run), progress));
    run.folder.write_result("eval.json", &evaluation)?;
    add(run, answers, progress)?;
    Ok(evaluation)
}

/// Adds answers to those that a run stores, as [`keep_evaluation`] does.
///
/// # Errors
/// As [`keep_evaluation`].
pub fn keep_answers(run: &Loaded, answers: StoredAnswers, progress: &dyn Progress) -> Result<()> {
    let _lock = run.folder.lock_results()?;
    add(run, answers, progress)
}

fn add(run: &Loaded, answers: StoredAnswers, progress: &dyn Progress) -> Result<()> {
    let answers = answers.merged_into(readable(stored::answers(run), progress));
    Ok(run.folder.write_result(stored::ANSWERS, &answers)?)
}

fn readable<T>(stored: Result<Option<T>>, progress: &dyn Progress) -> Option<T> {
    stored.inspect_err(|e| progress.warn(&format!("what cannot be read is replaced: {e}"))).unwrap_or_default()
}
