//! The error type of this crate. Each message names the recipe's field and the remedy.

use tickless_words::UnknownWord;

/// The reason why a description is not a valid neuron.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// A word names no model and no surrogate.
    #[error(transparent)]
    Word(#[from] UnknownWord),
    /// A field holds a word other than `none` although it is a number.
    #[error("`{field}` is a number or \"none\", not \"{word}\"")]
    NotANumber {
        /// The field.
        field: &'static str,
        /// The word that the user wrote.
        word: String,
    },
    /// `refractory` holds a word other than `none`.
    #[error("`refractory` is a table such as {{ steps = 0.5 }}, or \"none\", not \"{word}\"")]
    NotAPeriod {
        /// The word that the user wrote.
        word: String,
    },
    /// The value of a field is out of range.
    #[error("`{field}` must be {range}, got {value}")]
    OutOfRange {
        /// The field.
        field: &'static str,
        /// The valid values.
        range: &'static str,
        /// The value that was given.
        value: String,
    },
    /// The λ from which a learned leak starts is out of range.
    #[error("a learned `leak` must start above 0 and below 1, got {value}")]
    LearnedStart {
        /// The value that was given.
        value: String,
    },
    /// A learned leak has no λ per step to start from.
    #[error("a learned leak starts from a λ per step: give `leak = 0.5`, or `learn_leak = false`")]
    LearnedWithoutStart,
    /// The length of the refractory period is out of range.
    #[error("`refractory.{unit}` must be above 0, got {value}; give `refractory = \"none\"` for no period")]
    PeriodLength {
        /// The field of the length: `steps` or `us`.
        unit: &'static str,
        /// The value that was given.
        value: String,
    },
    /// The refractory period has no length.
    #[error("`refractory` needs its length: `steps` (of a step at T_max) or `us`")]
    NoPeriodLength,
    /// Two fields give the same quantity.
    #[error("`{first}` and `{second}` both say {what}; give one")]
    Both {
        /// The first field.
        first: &'static str,
        /// The second field.
        second: &'static str,
        /// The quantity in words.
        what: &'static str,
    },
    /// A synaptic current or an adaptive threshold has no decay.
    #[error("needs `{step}` or `{time}`")]
    NoDecay {
        /// The field of the decay per step.
        step: &'static str,
        /// The field of the time constant.
        time: &'static str,
    },
    /// A decay of the threshold is given, but no amount that a spike adds to it.
    #[error("`adaptation_leak` and `adaptation_tau_us` need `adaptation`, what a spike adds to the threshold")]
    NoAdaptation,
    /// A neuron with a synaptic current has a lower limit.
    #[error("a neuron with a synaptic current has no lower limit; give `v_min = \"none\"` or `synapse = \"none\"`")]
    LimitWithSynapse,
    /// A multi-spike neuron has an adaptive threshold.
    #[error(
        "a neuron with an adaptive threshold emits one spike a step; give `spikes = \"single\"` or \
         `adaptation = \"none\"`"
    )]
    AdaptiveMultiSpike,
    /// A multi-spike neuron has a refractory period.
    #[error(
        "a multi-spike neuron has no refractory period, because it emits several spikes at once; give `spikes = \
         \"single\"` or `refractory = \"none\"`"
    )]
    RefractoryMultiSpike,
    /// A neuron whose reset depends on the step before has a part that this reset does not support.
    #[error("the reset `{reset}` has no form with `{part}`; give `reset = \"soft\"` or `{part} = \"none\"`")]
    LateReset {
        /// The word of the reset.
        reset: &'static str,
        /// The field of the part.
        part: &'static str,
    },
    /// The surrogate does not have a parameter that is given.
    #[error("the surrogate `{surrogate}` has no `{field}`{}", known.map(|f| format!("; it has `{f}`")).unwrap_or_default())]
    SurrogateParameter {
        /// The word of the surrogate.
        surrogate: &'static str,
        /// The field that was given.
        field: &'static str,
        /// The field of the surrogate's own parameter, if it has one.
        known: Option<&'static str>,
    },
}

impl Error {
    /// `field` must be in `range`, but is `value`.
    pub(crate) fn out_of_range(field: &'static str, range: &'static str, value: impl ToString) -> Self {
        Error::OutOfRange { field, range, value: value.to_string() }
    }
}
