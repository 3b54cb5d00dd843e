//! Which command or option of this program does what a library's error advises.
//!
//! A library explains an error and its remedy in words that hold for every caller. The words that
//! only users of this program know are added here.

use anyhow::Error;

/// The options or commands that fix `error`, if there are any.
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

/// Adds to an error of training how to continue: after Ctrl-C with `how`, after changed conditions
/// with the option that allows them.
pub fn stopped(e: tickless_train::Error, how: &str) -> anyhow::Error {
    match e {
        tickless_train::Error::Stopped { .. } => anyhow::anyhow!("{e}: {how}"),
        tickless_train::Error::ConditionsChanged { .. } => {
            anyhow::anyhow!("{e}: restore them, or go on all the same with `--allow-changed`")
        }
        other => other.into(),
    }
}
