//! What a finished run has been measured to do, as its folder stores it.

mod evaluation;
mod finished;
pub mod stored;

pub use evaluation::{Evaluation, leaks};
pub use finished::Finished;
