//! How this library reports what takes long: a small trait, so that no library draws progress bars.

/// Receives progress; asked whether to stop. All methods default to nothing.
///
/// Rate and time left are the receiver's to compute: it is told amounts, and it has a clock.
pub trait Progress: Sync {
    /// A task of `total` units (0: not known; `unit` names one: "byte", "file") begins.
    fn start(&self, _task: &str, _total: u64, _unit: &str) {}

    /// `n` more units are done; `note` is what to show beside the rate.
    fn advance(&self, _n: u64, _note: &str) {}

    /// The task is over.
    fn finish(&self) {}

    /// A line worth keeping.
    fn line(&self, _text: &str) {}

    /// Something the user should change or know before believing a result; one sentence.
    fn warn(&self, text: &str) {
        self.line(&format!("warning: {text}"));
    }

    /// A line for users who asked for more than the usual ones.
    fn detail(&self, _text: &str) {}

    /// Whether the user asked to stop; the task then ends at the next safe point.
    fn cancelled(&self) -> bool {
        false
    }
}

/// Says nothing, never stops.
#[derive(Debug, Clone, Copy, Default)]
pub struct Silent;

impl Progress for Silent {}
