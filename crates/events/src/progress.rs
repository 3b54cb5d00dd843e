//! The trait through which this library reports the progress of long tasks, so that the
//! application decides how to display it.

/// Receives the progress of a task and decides whether to stop it. Every method has a default:
/// `warn` calls `line`, the others do nothing.
///
/// The library reports only amounts; the receiver computes rate and remaining time with its own
/// clock.
pub trait Progress: Sync {
    /// A task of `total` units begins (0: unknown). `unit` names one unit: "byte", "file".
    fn start(&self, _task: &str, _total: u64, _unit: &str) {}

    /// `n` more units are done. `note` is a text to show beside the rate.
    fn advance(&self, _n: u64, _note: &str) {}

    /// The task has ended.
    fn finish(&self) {}

    /// A line of information that should stay visible.
    fn line(&self, _text: &str) {}

    /// One sentence that the user should know or act upon before trusting a result.
    fn warn(&self, text: &str) {
        self.line(&format!("warning: {text}"));
    }

    /// A line for users who asked for detailed output.
    fn detail(&self, _text: &str) {}

    /// Whether the user asked to stop. If so, the task ends at the next safe point.
    fn cancelled(&self) -> bool {
        false
    }
}

/// A receiver that shows nothing and never stops the task.
#[derive(Debug, Clone, Copy, Default)]
pub struct Silent;

impl Progress for Silent {}

/// A receiver that passes warnings and requests to stop on to another one and shows nothing else:
/// for a small task within one that is shown.
#[derive(Clone, Copy)]
pub struct Quiet<'a>(pub &'a dyn Progress);

impl Progress for Quiet<'_> {
    fn warn(&self, text: &str) {
        self.0.warn(text);
    }

    fn cancelled(&self) -> bool {
        self.0.cancelled()
    }
}

impl std::fmt::Debug for Quiet<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Quiet")
    }
}
