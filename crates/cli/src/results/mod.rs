//! The results of a finished run, as its folder stores them.

mod evaluation;
mod finished;
pub mod stored;

pub use evaluation::{Evaluation, leaks};
pub use finished::Finished;
