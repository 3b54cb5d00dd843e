//! Which command or option of the program does what an error of a library advises.
//!
//! A library says what is wrong and what would help, in words that hold for every caller; the words
//! that only this program's users know stand here.

use anyhow::Error;

/// The options and commands that mend what `error` says, if the program has any.
pub fn remedy(error: &Error) -> Option<&'static str> {
    /// Of weights that grew beyond what numbers hold.
    const LOWER: &str = "`train` takes it as `--set train.learning_rate=NUMBER`, `finetune` as `--learning-rate NUMBER`, \
                         and `--output` names the folder of the other run";
    if let Some(tickless_train::Error::NotFinite { .. } | tickless_train::Error::Diverged { .. }) = error.downcast_ref()
    {
        return Some(LOWER);
    }
    match error.downcast_ref::<tickless::Error>()? {
        tickless::Error::Images { .. } => {
            Some("`tickless data list` names such sets, `mnist-dvs-sim` and `nmnist` among them")
        }
        tickless::Error::UnknownWriter { .. } => Some("give it with `--dialect`"),
        _ => None,
    }
}

/// Says how to go on after Ctrl-C.
pub fn stopped(e: tickless_train::Error, how: &str) -> anyhow::Error {
    match e {
        tickless_train::Error::Stopped { .. } => anyhow::anyhow!("{e}: {how}"),
        tickless_train::Error::ConditionsChanged { .. } => {
            anyhow::anyhow!("{e}: restore them, or go on all the same with `--allow-changed`")
        }
        other => other.into(),
    }
}
