//! What differs between this library and the reader of a graph, or between a graph and its import.

use crate::Refractory;

/// A difference in behaviour: of a reader from this library, or of an import from the graph.
#[derive(Debug, Clone, PartialEq, thiserror::Error)]
#[non_exhaustive]
pub enum Deviation {
    /// A difference without a kind of its own.
    #[error("{0}")]
    Described(String),
    /// nir 1.0.8 computes another shape for a rectangular kernel.
    #[error(
        "nir 1.0.8 computes another output shape of this kernel and refuses the file; read it with `type_check=False`"
    )]
    TypeCheck,
    /// The reader has another kind of pooling, and no weights can take up the factor.
    #[error("no weights follow this pooling, so its factor could not be folded into them")]
    NoWeightsFollow,
    /// The reader has no such pooling.
    #[error("does not know {kind} pooling; export for this reader")]
    UnknownPooling {
        /// `average` or `sum`.
        kind: &'static str,
    },
    /// The membrane leaks at another rate.
    #[error("keeps {theirs:.6} of its membrane from step to step instead of {ours:.6}")]
    Leak {
        /// The fraction that the reader keeps from step to step.
        theirs: f64,
        /// The fraction that this library keeps.
        ours: f64,
    },
    /// The synaptic current leaks at another rate.
    #[error("keeps {theirs:.6} of its synaptic current from step to step instead of {ours:.6}")]
    CurrentLeak {
        /// The fraction that the reader keeps from step to step.
        theirs: f64,
        /// The fraction that this library keeps.
        ours: f64,
    },
    /// The spikes of recurrent connections return after another time.
    #[error("returns its spikes after one step instead of {ours} µs")]
    Delay {
        /// The delay of this library in µs.
        ours: f64,
    },
    /// The readout integrates what a leaky integrator of the graph would hold.
    #[error(
        "is a leaky integrator at the output; the readout here sums its input over time, which is the integral of that \
         potential over time"
    )]
    LeakyReadout,
    /// A delay of everything that follows.
    #[error("delays all that follows by {us} µs; here it comes that much earlier")]
    Later {
        /// The delay in µs.
        us: f64,
    },
    /// The input has another weight against the threshold.
    #[error("weighs its input {factor:.6} times as much against the threshold")]
    Gain {
        /// The reader's weight divided by that of this library.
        factor: f64,
    },
    /// The reader emits one spike a step, this library several.
    #[error("emits at most one spike a step instead of ⌊u/θ⌋")]
    OneSpike,
    /// The reader emits several spikes a step, this library one.
    #[error("emits ⌊u/θ⌋ spikes a step instead of one")]
    ManySpikes,
    /// A spike resets the membrane to 0, here by −θ.
    #[error("is reset to 0 by a spike instead of by −θ")]
    ResetToZero,
    /// A spike resets the membrane by −θ, here to 0.
    #[error("is reset by −θ by a spike instead of to 0")]
    ResetByThreshold,
    /// The reader's neuron does not fire where u = θ.
    #[error("does not fire where u = θ")]
    SilentAtThreshold,
    /// The reader's neuron fires where u = θ.
    #[error("fires where u = θ")]
    FiresAtThreshold,
    /// The membrane has another lower limit.
    #[error("has the lower limit {} instead of {}", limit(*theirs), limit(*ours))]
    LowerLimit {
        /// The reader's limit.
        theirs: Option<f64>,
        /// The limit of this library.
        ours: Option<f64>,
    },
    /// NIR has no node for the refractory period.
    #[error("drops the refractory period, of which NIR has no node: ours is {ours}")]
    Refractory {
        /// The period that is dropped.
        ours: Refractory,
    },
    /// The time constant is counted in steps, and nothing states the duration of a step.
    #[error(
        "sinabs counts its time constant of {tau} in steps, which last as long as a step of this run at T_max; give the \
         duration of a step to fix it in seconds"
    )]
    StepsOfRun {
        /// The time constant in steps.
        tau: f64,
    },
    /// The graph does not state which framework wrote it.
    #[error(
        "the graph does not state which framework wrote it, so its neurons are read as NIR defines them (one spike a \
         step, hard reset, no limit); if a framework wrote it, name the framework as its dialect"
    )]
    NoWriter,
    /// The graph carries no description by this library.
    #[error("the graph carries no description of ours")]
    NoDescription,
    /// The description by this library cannot be used.
    #[error("the description in the graph's metadata cannot be used: {reason}")]
    Unusable {
        /// The reason.
        reason: String,
    },
    /// The graph differs from its description by this library.
    #[error("the description in the graph's metadata cannot be used: the graph was changed after it was written")]
    Changed,
}

fn limit(v: Option<f64>) -> String {
    v.map_or("none".to_owned(), |v| v.to_string())
}

impl From<String> for Deviation {
    fn from(text: String) -> Deviation {
        Deviation::Described(text)
    }
}

impl From<&str> for Deviation {
    fn from(text: &str) -> Deviation {
        Deviation::Described(text.to_owned())
    }
}
