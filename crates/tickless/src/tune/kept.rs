//! The choice that a run keeps.

use super::Tuning;
use crate::Result;
use tickless_train::Error;
use tickless_train::run::Loaded;

/// The file of a run that holds its choice.
pub const FILE: &str = "tuned.json";

/// The version of the file that this version writes.
pub(super) const FORMAT: u32 = 1;

/// Writes a choice into the run.
///
/// # Errors
/// If the file cannot be written.
pub fn keep(run: &Loaded, tuning: &Tuning) -> Result<()> {
    // Another command may write a result of the run.
    let _lock = run.folder.lock_results()?;
    Ok(run.folder.write_result(FILE, tuning)?)
}

/// The choice that a run keeps; `None` if it keeps none.
///
/// # Errors
/// If the file was changed or is of another version, or if its choice does not belong to the run's
/// weights or cannot be run by its network.
pub fn kept(run: &Loaded) -> Result<Option<Tuning>> {
    let path = run.folder.file(FILE);
    if !path.is_file() {
        return Ok(None);
    }
    let refuse = |problem: String| {
        let problem = format!("{problem}; delete it, or tune the run again");
        Err(Error::RunFile { path: path.clone(), problem }.into())
    };
    let tuning: Tuning = run.folder.read_sealed(FILE)?;
    if tuning.format != FORMAT {
        return refuse(format!("is of format {}, and this version reads {FORMAT}", tuning.format));
    }
    if tuning.weights != run.checksum {
        return refuse("was chosen for other weights".into());
    }
    let gain = tuning.temperature.gain;
    if !(gain.is_finite() && gain > 0.0) {
        return refuse(format!("the temperature {gain} is no number above 0"));
    }
    match tuning.chosen.point.check(&run.network) {
        Ok(()) => Ok(Some(tuning)),
        Err(problem) => refuse(problem),
    }
}
