//! Maps a library's error to the command or option of this program that fixes it.
//!
//! A library's message gives a remedy that holds for every caller. This module adds the words that
//! only the users of this program know.

use anyhow::Error;
use tickless_events::Choice;

/// What this program adds to the message of `error`: the options, commands or keys of a recipe that
/// fix it. Empty if there are none.
pub fn remedy(error: &Error) -> String {
    let library = error.downcast_ref().and_then(of_library);
    let training = || error.downcast_ref().and_then(of_training);
    let words = library.or_else(training).or_else(|| error.downcast_ref().and_then(of_network));
    match (words, events_error(error)) {
        (Some(words), _) => format!("; {words}"),
        (None, Some(e)) => named(e.choices(), key),
        (None, None) => String::new(),
    }
}

/// The error of a recording or a data set that `error` carries. A command that reads recipes meets
/// such an error only by way of the libraries that do so.
pub fn events_error(error: &Error) -> Option<&tickless_events::Error> {
    let training = match error.downcast_ref() {
        Some(tickless::Error::Events(e)) => return Some(e),
        Some(tickless::Error::Train(e) | tickless::Error::Drawn(e)) => Some(e),
        _ => error.downcast_ref(),
    };
    match training {
        Some(tickless_train::Error::Events(e)) => Some(e),
        _ => None,
    }
}

/// The names of these choices in brackets, for the end of a message; empty if none has a name.
pub fn named(choices: &[Choice], name: fn(Choice) -> Option<&'static str>) -> String {
    match choices.iter().filter_map(|c| name(*c)).collect::<Vec<_>>() {
        none if none.is_empty() => String::new(),
        names => format!(" ({})", names.join(", ")),
    }
}

/// The key of a recipe for a choice of the library.
fn key(choice: Choice) -> Option<&'static str> {
    Some(match choice {
        Choice::Sensor => "`data.sensor`",
        Choice::DropOutside => "`data.drop_outside`",
        Choice::TimeUnit => "`data.time_unit`",
        Choice::LiteralTimes => "`data.literal_times`",
        Choice::Stream => "`data.stream`",
        Choice::TestShare => "`data.test_share`",
        Choice::TrainFirst => "`data.train_first`",
        Choice::Cache => "`data.cache`",
        Choice::Crop => "`data.size`",
        Choice::RandomPart => "`data.augment.resized_crop`",
        _ => return None,
    })
}

fn of_library(error: &tickless::Error) -> Option<String> {
    match error {
        tickless::Error::Net(e) => of_network(e),
        tickless::Error::Train(e) => of_training(e),
        tickless::Error::Graph { source, .. } => of_network(source),
        tickless::Error::Images { .. } => Some(SETS_OF_RECORDINGS.to_owned()),
        tickless::Error::Stopped => Some(AGAIN.to_owned()),
        tickless::Error::NoValidation { .. } => Some("`train` takes it as `--set data.validation=0.1`".to_owned()),
        tickless::Error::UnknownWriter { .. } => Some("give it with `--dialect`".to_owned()),
        tickless::Error::NotCompared { .. } => Some("`--limit` says how many are".to_owned()),
        tickless::Error::Drawn(e) => of_training(e),
        _ => None,
    }
}

fn of_training(error: &tickless_train::Error) -> Option<String> {
    use tickless_train::Error;
    let words = match error {
        Error::Net(e) => return of_network(e),
        Error::NotInBuild { feature, .. } => {
            return Some(format!("build with `--features {feature}`, or use `--device cpu`"));
        }
        Error::Images { .. } => SETS_OF_RECORDINGS,
        Error::Device { .. } => "`--device cpu` is always there, and `--threads` says how much of it computes",
        Error::SeveralDevices { .. } => "only `tickless train` takes several as `--device`",
        Error::NotARun { .. } => "`tickless train RECIPE` makes one",
        Error::Unfinished { .. } => "the command that began it finishes it (`train` and `finetune` with `--resume`)",
        Error::DamagedWeights { .. } => "`train` and `finetune` do so with `--resume`",
        Error::NotFinite { .. } | Error::Diverged { .. } => {
            "`train` takes the rate as `--set train.learning_rate=NUMBER`, `finetune` as `--learning-rate NUMBER`; \
             `--output` names the folder of the other run"
        }
        Error::Cancelled { .. } => AGAIN,
        Error::Busy { .. } => "`--output` names another",
        _ => return None,
    };
    Some(words.to_owned())
}

fn of_network(error: &tickless_net::Error) -> Option<String> {
    use tickless_net::Error;
    match error {
        Error::NotEventDriven { .. } => {
            Some("`tickless finetune RUN --epochs 0` folds it (or fine-tune with more epochs)".to_owned())
        }
        Error::StateDicts { .. } => Some("name it with `--entry PLACE`".to_owned()),
        Error::DecayInput { .. } => Some("`--decay-input true` or `false`; the frameworks' default is true".to_owned()),
        Error::NoRecipe { .. } => Some("`tickless demo` needs none".to_owned()),
        Error::RunAsRecipe { folder } => {
            let run = crate::shell::quoted(&folder.display().to_string());
            Some(format!("`tickless eval {run}` evaluates it"))
        }
        _ => None,
    }
}

/// The remedy after Ctrl-C in a task that had written nothing.
const AGAIN: &str = "give the same command again";

/// The remedy if a command needs recordings and the data set has images.
const SETS_OF_RECORDINGS: &str = "`tickless data list` names such sets, `mnist-dvs-sim` and `nmnist` among them";

/// Adds the way to continue to an error of training: if the user stopped it, `how`; if the
/// conditions have changed, the option that allows it.
pub fn stopped(e: tickless_train::Error, how: &str) -> anyhow::Error {
    match e {
        tickless_train::Error::Stopped { .. } => anyhow::anyhow!("{e}: {how}"),
        tickless_train::Error::ConditionsChanged { .. } => {
            anyhow::anyhow!("{e}: restore them, or go on all the same with `--allow-changed`")
        }
        other => other.into(),
    }
}
