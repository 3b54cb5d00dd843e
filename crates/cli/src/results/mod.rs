//! The results of a finished run, as its folder stores them.

mod answers;
mod evaluation;
mod finished;
mod keep;
mod samples;
pub mod stored;

pub use answers::{SampleAnswers, StoredAnswers};
pub use evaluation::{Evaluation, leaks};
pub use finished::Finished;
pub use keep::{count_operations, keep_answers, keep_evaluation};
pub use samples::{Asked, Row, Spent, write_samples};
