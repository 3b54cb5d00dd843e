//! The decision at a moment: class, confidence, events and µs. [`tickless_net::Confidence`] has the
//! equations.

/// The answer of a session at a moment.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Decision {
    /// Index of the largest readout value.
    pub class: usize,
    /// Softmax probability of the class.
    pub confidence: f64,
    /// Number of events processed so far.
    pub events: u64,
    /// Time from the first event to this moment in µs.
    pub us: u64,
}
